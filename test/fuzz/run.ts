/**
 * `npm run fuzz [-- --seed N] [--frames N]`: mutated frames into booted nodes, inputs into every decoder, and the corners
 * frames cannot reach. Deterministic: the seed is printed, and the same seed makes the same run. Ends with 1 when
 * anything was thrown, lost, left behind, or beyond its bound, or a reason for a drop was never reached.
 */
import { parseArgs } from 'node:util'
import { fuzz, type Report } from './fuzz.ts'
import { watchdog } from './watchdog.ts'

const { values } = parseArgs({
  options: { seed: { type: 'string' }, frames: { type: 'string' }, inputs: { type: 'string' } },
})
const seed = Number(values.seed ?? Date.now() % 2 ** 31)
const options = { seed, frames: Number(values.frames ?? 1_000_000), inputs: Number(values.inputs ?? 100_000) }
for (const [name, value] of Object.entries(options)) {
  if (!Number.isSafeInteger(value) || value < 0) {
    console.error(`--${name} takes a whole number\nusage: npm run fuzz -- [--seed N] [--frames N] [--inputs N]`)
    process.exit(2)
  }
}
console.log(`seed ${seed}`)
const started = performance.now()
const dog = watchdog(60_000, `seed ${seed}: no progress for a minute, an endless loop?`)
const report = await fuzz({ ...options, beat: dog.beat })
await dog.stop()
print(report)
console.log(`${((performance.now() - started) / 1000).toFixed(1)} s`)
const passed = report.checks.filter((check) => check.passed).length
const failed = report.checks.length - passed
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1

function print({ harassment, decoders, lines, checks }: Report): void {
  const share = ((100 * harassment.repaired) / harassment.mutated).toFixed(0)
  console.log(
    `${harassment.mutated} mutated frames (${share} % with their checksums repaired), ${harassment.good} good ones`,
  )
  const most = Object.entries(harassment.most).map(([what, count]) => `${count} ${what}`)
  console.log(`at most, at once: ${most.join(', ')}`)
  for (const { name, inputs, refused } of decoders) console.log(`${name}: ${inputs} inputs, ${refused} refused`)
  console.log('\nlayer       reason                  count  section')
  for (const { layer, reason, count, rfc } of lines) {
    console.log(`${layer.padEnd(11)} ${reason.padEnd(20)} ${String(count).padStart(8)}  ${rfc}`.trimEnd())
  }
  console.log('')
  for (const { name, passed, detail } of checks)
    console.log(`${passed ? 'ok    ' : 'FAILED'} ${name}${detail === '' ? '' : `: ${detail}`}`)
}
