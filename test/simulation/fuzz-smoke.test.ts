/** A short run of `npm run fuzz`: everything but that every reason is reached, which takes more frames. */
import t from 'tap'
import { fuzz } from '../fuzz/fuzz.ts'

t.test('twenty thousand frames', async (t) => {
  const { checks, harassment } = await fuzz({ seed: 20_261, frames: 20_000, inputs: 1000 })
  t.ok(harassment.mutated >= 20_000)
  for (const { name, passed, detail } of checks.filter(({ reach }) => !reach)) t.ok(passed, name, { detail })
  const reasons = checks.filter(({ reach }) => reach)
  const reached = reasons.filter(({ passed }) => passed).length
  t.ok(reached > 0.9 * reasons.length, `${reached} of ${reasons.length} reasons were reached`)
})

t.test('one seed, one run', async (t) => {
  const run = async () => (await fuzz({ seed: 5, frames: 2000, inputs: 50 })).lines
  t.strictSame(await run(), await run())
})
