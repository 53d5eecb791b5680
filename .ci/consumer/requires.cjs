// CommonJS projects can require them too, and get the same modules: nothing published waits at its top level.
const assert = require('node:assert/strict')
const manifest = require('netstrata/package.json')

for (const entry of Object.keys(manifest.exports)) {
  if (entry === './package.json') continue
  const names = Object.keys(require(entry.replace('.', 'netstrata')))
  assert.ok(names.length > 0, `${entry} exports something`)
  console.log(`require ${entry}: ${names.length} names`)
}
import('netstrata').then((imported) => assert.equal(imported.stack, require('netstrata').stack))
