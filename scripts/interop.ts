/**
 * `npm run interop [-- --all] [FILE…]`: runs the tests against other implementations, which `npm test` leaves out.
 *
 * --all    the full product of link impairments instead of a dozen cells (sets NETSTRATA_INTEROP=all).
 * FILE…    only these files of test/interop.
 *
 * What the machine lacks is skipped with the name of the package, unless NETSTRATA_ORACLES=required.
 */
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

const root = join(import.meta.dirname, '..')
const { values, positionals } = parseArgs({ options: { all: { type: 'boolean' } }, allowPositionals: true })

const tests = readdirSync(join(root, 'test/interop'), { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.test.ts'))
  .map((file) => join('test/interop', file))
const files = positionals.length > 0 ? positionals : tests.sort()
if (files.length === 0) throw new Error('test/interop holds no tests')

// One at a time: they share the machine's interfaces, and measure.
const tap = join(root, 'node_modules/tap/dist/esm/run.mjs')
const options = ['run', '--jobs=1', '--timeout=900', ...files]
const { status } = spawnSync(process.execPath, [tap, ...options], {
  cwd: root,
  stdio: 'inherit',
  env: { ...process.env, ...(values.all && { NETSTRATA_INTEROP: 'all' }) },
})
process.exitCode = status ?? 1
