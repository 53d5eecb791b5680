/** A window is spread over its round trip: what short queues lose without it, and that nothing waits without need. */
import t from 'tap'
import { ms, seconds } from '../../../../src/kernel/clock.ts'
import { type Flow, type Outcome, transfer } from './bottleneck.ts'

/** 100 Mbit/s, in octets a second. */
const RATE = 12_500_000
const BIG = { sendBuffer: 16_000_000, receiveBuffer: 16_000_000 }

function run(rtt: number, queue: number, pacing: boolean, more: Partial<Flow> = {}): Promise<Outcome> {
  const forth = { delay: ms(rtt / 2), rate: RATE, queue }
  const flow = { octets: 10_000_000, forth, back: { delay: ms(rtt / 2) }, options: BIG, tcp: { pacing } }
  return transfer({ ...flow, ...more })
}

t.test('over a short queue a paced flow is faster, over a long one no slower', async (t) => {
  for (const [rtt, queue, factor] of [
    [10, 15_000, 1.1],
    [40, 15_000, 2],
    [40, 45_000, 2],
    [100, 15_000, 4],
    [100, 45_000, 3],
    [100, 150_000, 1.3],
    [40, 500_000, 0.98],
    [100, 2_500_000, 0.98],
  ] as const) {
    const burst = await run(rtt, queue, false)
    const paced = await run(rtt, queue, true)
    const ratio = paced.goodput / burst.goodput
    t.ok(ratio >= factor, `${rtt} ms, queue of ${queue}: ${ratio.toFixed(2)} times`)
    t.equal(paced.again.rto ?? 0, 0)
  }
})

t.test('ten segments go at once, also after a pause: short answers are not late', async (t) => {
  const answers = { octets: 140_000, write: 14_000, pause: ms(500) }
  const burst = await run(100, 150_000, false, answers)
  const paced = await run(100, 150_000, true, answers)
  t.equal(paced.took, burst.took)
})

t.test('what paths of less than 4 ms carry is not held back', async (t) => {
  const { info, took } = await run(2, 150_000, true)
  t.equal(info.pacingRate, 0)
  t.equal(took, (await run(2, 150_000, false)).took)
})

t.test('maxPacingRate is kept to, whatever the path allows', async (t) => {
  for (const [rtt, segment] of [
    [2, undefined],
    [2, 65_535],
    [40, undefined],
  ] as const) {
    const options = { ...BIG, maxPacingRate: 1_000_000 }
    const flow = { octets: 5_000_000, options, ...(segment !== undefined && { segment }) }
    const { took, info } = await run(rtt, 150_000, false, flow)
    t.ok(took >= seconds(5) - ms(10), `${rtt} ms: ${took} us`)
    t.ok(took <= 1.02 * seconds(5) + ms(3 * rtt), `${rtt} ms: ${took} us`)
    t.equal(info.pacingRate, 1_000_000)
  }
})

t.test('maxPacingRate must be a rate', async (t) => {
  await t.rejects(run(2, 150_000, false, { options: { maxPacingRate: -1 } }), { code: 'ERR_OUT_OF_RANGE' })
})
