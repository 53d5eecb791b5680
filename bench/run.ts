/**
 * `npm run bench [-- NAME…] [-- --json] [-- --quick]`: every bench named, or all but the long ones; each in a process of
 * its own, so that none runs on what another has left behind. Leaves with 0 whatever the figures.
 */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { BENCHES, LONG } from './benches.ts'
import { type Bench, FULL, type Line, QUICK } from './harness.ts'
import { HEAD, row } from './table.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
    /** In this process, all subjects of it, for a profiler. */
    here: { type: 'boolean', default: false },
    /** What each bench is started with, in its process. */
    one: { type: 'boolean', default: false },
  },
})

const unknown = positionals.filter((name) => !(name in BENCHES))
if (unknown.length > 0) {
  console.error(`there is no bench called ${unknown.join(', ')}: choose from ${Object.keys(BENCHES).join(', ')}`)
  process.exit(2)
}

const names = positionals.length > 0 ? positionals : Object.keys(BENCHES).filter((name) => !LONG.has(name))
const effort = values.quick ? QUICK : FULL
if (!values.json) console.log(HEAD)
for (const name of names) {
  if (values.here || values.one) await (BENCHES[name] as Bench)({ ...effort, here: values.here }, tell)
  else await inProcess(name)
}

function tell(line: Line): void {
  console.log(values.json ? JSON.stringify(line) : row(line))
}

/** Runs one bench in a process and passes its lines on. A bench that fails is told of, and the next one runs. */
async function inProcess(name: string): Promise<void> {
  const flags = ['--expose-gc', '--import', import.meta.resolve('tsx')]
  const args = [fileURLToPath(import.meta.url), name, '--one', '--json', ...(values.quick ? ['--quick'] : [])]
  const child = spawn(process.execPath, [...flags, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  const exited = new Promise<number | null>((resolve) => child.once('close', resolve))
  for await (const text of createInterface({ input: child.stdout })) tell(JSON.parse(text) as Line)
  const code = await exited
  if (code !== 0) console.error(`${name} ended with ${code}`)
}
