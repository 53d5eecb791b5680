/**
 * `npm run interop [-- --all] [PATH…]`: runs the tests against other implementations, which `npm test` leaves out;
 * `npm run ecosystem` those of popular libraries, against servers and clients that others wrote.
 *
 * --all    the full product of link impairments instead of a dozen cells (sets NETSTRATA_INTEROP=all).
 * PATH…    only these files, or the tests in these folders; default test/interop.
 *
 * What the machine lacks is skipped with the name of the package, unless NETSTRATA_ORACLES=required.
 */
import { spawnSync } from 'node:child_process'
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

const root = join(import.meta.dirname, '..')
const { values, positionals } = parseArgs({ options: { all: { type: 'boolean' } }, allowPositionals: true })

const paths = positionals.length > 0 ? positionals : ['test/interop']
const files = paths.flatMap((path) => (statSync(join(root, path)).isDirectory() ? testsIn(path) : [path]))
if (files.length === 0) throw new Error(`there are no tests in ${paths.join(' ')}`)

/** Tests that measure, or need a whole processor: one at a time. The others wait for daemons and delays, three at a time. */
const ALONE = /(?:faults|hostile-floods|iperf3|ax25-linux|direwolf)\.test/

const alone = files.filter((file) => ALONE.test(file))
const together = files.filter((file) => !ALONE.test(file))
process.exitCode = Math.max(run(together, 3), run(alone, 1))

/** @returns the exit code; 0 when there is nothing to run. */
function run(tests: readonly string[], jobs: number): number {
  if (tests.length === 0) return 0
  const tap = join(root, 'node_modules/tap/dist/esm/run.mjs')
  const { status } = spawnSync(process.execPath, [tap, 'run', `--jobs=${jobs}`, '--timeout=900', ...tests], {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, ...(values.all && { NETSTRATA_INTEROP: 'all' }) },
  })
  return status ?? 1
}

function testsIn(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.test.ts'))
    .map((file) => join(folder, file))
    .sort()
}
