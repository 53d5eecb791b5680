// An empty project that installed the package can import every entry of its exports map.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'

const { exports } = JSON.parse(readFileSync('node_modules/netstrata/package.json', 'utf8'))
const entries = Object.keys(exports).filter((entry) => entry !== './package.json')
assert.ok(entries.length >= 9, 'the exports map has its entries')
for (const entry of entries) {
  const names = Object.keys(await import(entry.replace('.', 'netstrata')))
  assert.ok(names.length > 0, `${entry} exports something`)
  console.log(`import  ${entry}: ${names.length} names`)
}
