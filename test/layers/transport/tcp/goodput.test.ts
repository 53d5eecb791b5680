/** How fast it goes over a path that loses, reorders and marks; every octet is checked on the other side. */
import t from 'tap'
import { ms, seconds } from '../../../../src/kernel/clock.ts'
import { type Hardship, type Outcome, share, transfer } from './bottleneck.ts'

const RATE = 12_500_000
const BIG = { sendBuffer: 4_000_000, receiveBuffer: 4_000_000 }

/** A path of 100 Mbit/s with room for a round trip in its queue. */
function path(rtt: number, forth: Partial<Hardship> = {}): { forth: Partial<Hardship>; back: Partial<Hardship> } {
  const queue = Math.max((RATE * rtt) / seconds(1), 100_000)
  return { forth: { delay: rtt / 2, rate: RATE, queue, ...forth }, back: { delay: rtt / 2 } }
}

/** More than is ever in flight. */
const DEEP = 8_000_000

const timeouts = ({ again }: Outcome): number => again.rto ?? 0

t.test('random loss: as fast as the square-root law allows, and each loss is repaired once', async (t) => {
  for (const congestionControl of ['cubic', 'reno'] as const) {
    for (const loss of [10, 100, 300]) {
      for (const rtt of [1, 20, 100]) {
        const octets = loss === 300 && rtt === 100 ? 1_000_000 : 4_000_000
        const outcome = await transfer({
          octets,
          seed: 11,
          ...path(ms(rtt), { loss }),
          options: { ...BIG, congestionControl },
        })
        // Mathis et al. 1997, with what headers and slow start take off; the rate is the other limit.
        const law = ((1448 * 1.22) / Math.sqrt(loss / 10_000) / rtt) * 1000
        const least = Math.min(0.55 * law, 0.4 * RATE)
        const where = `${congestionControl}, ${loss / 100} % at ${rtt} ms: ${Math.round(outcome.goodput / 1000)} kB/s`
        t.ok(outcome.goodput >= least, `${where}, at least ${Math.round(least / 1000)}`)
        t.ok(outcome.info.retransmits <= outcome.dropped + 2, `${where}: ${outcome.dropped} lost`)
        t.ok(timeouts(outcome) <= outcome.dropped / 50, `${where}: ${timeouts(outcome)} timeouts`)
      }
    }
  }
})

t.test('super-segments are repaired as single segments are', async (t) => {
  const flow = { octets: 4_000_000, seed: 5, ...path(ms(20), { loss: 0, lose: (n: number) => n % 40 === 39 }) }
  const outcome = await transfer({ ...flow, segment: 65_535, options: BIG })
  t.ok(outcome.dropped > 3)
  t.equal(timeouts(outcome), 0)
})

t.test('a queue that overflows costs one reduction, and no timeout', async (t) => {
  const outcome = await transfer({ octets: 20_000_000, ...path(ms(40), { queue: 250_000 }), options: BIG })
  t.ok(outcome.dropped > 0)
  t.equal(timeouts(outcome), 0)
  t.equal(outcome.info.retransmits, outcome.dropped)
  t.ok(outcome.goodput > 0.75 * RATE, `${Math.round(outcome.goodput / 1000)} kB/s`)
})

t.test('a lost tail costs a probe, not a timeout (RFC 8985 §7)', async (t) => {
  // 20 segments in one burst after the handshake; the last k of them are lost.
  for (const k of [1, 2, 5]) {
    const lose = (n: number) => n >= 10 - k && n < 10
    const outcome = await transfer({ octets: 14_480, ...path(ms(50), { lose }), options: BIG })
    t.equal(timeouts(outcome), 0, `${k} lost`)
    t.equal(outcome.again.tailLoss, 1)
    t.ok(outcome.took < ms(50) * 2 + 2 * ms(50) + ms(200) + ms(60), `${k} lost: ${outcome.took} us`)
  }
})

t.test('a burst of losses is repaired in a few round trips', async (t) => {
  const lose = (n: number) => n >= 100 && n < 140
  const clean = await transfer({ octets: 2_000_000, ...path(ms(20)), options: BIG })
  const outcome = await transfer({ octets: 2_000_000, ...path(ms(20), { lose }), options: BIG })
  t.equal(outcome.dropped, 40)
  t.equal(timeouts(outcome), 0)
  t.equal(outcome.info.retransmits, 40)
  t.ok(outcome.took - clean.took < ms(160), `${outcome.took - clean.took} us more`)
})

t.test('what is sent again is lost again, and found without a timeout', async (t) => {
  // Number 100 is lost, and what goes out a round trip later, among it 100 again.
  const lose = (n: number) => n === 100 || (n > 200 && n < 420 && n % 2 === 0)
  const tcp = { pacing: false }
  const outcome = await transfer({ octets: 3_000_000, ...path(ms(20), { lose }), options: BIG, tcp })
  t.equal(timeouts(outcome), 0)
  t.ok(outcome.info.retransmits >= outcome.dropped)
})

t.test('reordering within a quarter of the round trip is not taken for loss', async (t) => {
  const late = (n: number) => (n % 7 === 3 ? ms(4) : 0)
  const outcome = await transfer({ octets: 4_000_000, ...path(ms(40), { late, queue: DEEP }), options: BIG })
  t.equal(timeouts(outcome), 0)
  t.ok(outcome.info.reordering > 3)
  t.ok(outcome.info.retransmits <= 3, `${outcome.info.retransmits} sent again before it was known`)
  const clean = await transfer({ octets: 4_000_000, ...path(ms(40), { queue: DEEP }), options: BIG })
  t.ok(outcome.took < 1.5 * clean.took)
})

t.test('reordering by more: the window of RACK grows until nothing goes again for nothing', async (t) => {
  const late = (n: number) => (n % 50 === 10 ? ms(25) : 0)
  const outcome = await transfer({ octets: 12_000_000, ...path(ms(40), { late, queue: DEEP }), options: BIG })
  t.equal(timeouts(outcome), 0)
  const lateOnes = 12_000_000 / 1448 / 50
  t.ok(outcome.info.retransmits < lateOnes / 4, `${outcome.info.retransmits} of ${Math.round(lateOnes)} went again`)
})

t.test('lost acknowledgments slow nothing down', async (t) => {
  const { forth, back } = path(ms(20), { queue: DEEP })
  const clean = await transfer({ octets: 4_000_000, seed: 2, forth, back, options: BIG })
  const outcome = await transfer({ octets: 4_000_000, seed: 2, forth, back: { ...back, loss: 2000 }, options: BIG })
  t.equal(outcome.info.retransmits, 0)
  t.ok(outcome.took < 1.3 * clean.took)
})

t.test('a pause of the path is a timeout that is undone (F-RTO, Eifel)', async (t) => {
  for (const tcp of [{}, { timestamps: false }, { forwardRto: false }]) {
    const { forth, back } = path(ms(20), { stall: [ms(300), ms(1300)], rate: 2_000_000, queue: DEEP })
    const options = { sendBuffer: 100_000, receiveBuffer: 100_000 }
    const outcome = await transfer({ octets: 3_000_000, forth, back, options, tcp })
    const how = JSON.stringify(tcp)
    t.ok(timeouts(outcome) >= 1, how)
    t.ok(outcome.info.retransmits <= 6, `${how}: ${outcome.info.retransmits} went again`)
    t.ok(outcome.took < seconds(3), `${how}: ${outcome.took} us`)
    t.ok(outcome.info.cwnd > 40_000, `${how}: cwnd ${outcome.info.cwnd} afterwards`)
  }
})

t.test('ECN: marks reduce the window, and nothing is lost (RFC 3168)', async (t) => {
  const marking = path(ms(20), { markAbove: 150_000, queue: 600_000 })
  const outcome = await transfer({ octets: 20_000_000, ...marking, options: BIG, tcp: { ecn: 'on' } })
  t.equal(outcome.info.ecn, true)
  t.ok(outcome.marked > 0)
  t.equal(outcome.dropped, 0)
  t.equal(outcome.info.retransmits, 0)
  t.ok(outcome.goodput > 0.8 * RATE, `${Math.round(outcome.goodput / 1000)} kB/s`)
  const deaf = await transfer({ octets: 20_000_000, ...marking, options: BIG })
  t.equal(deaf.info.ecn, false)
  t.equal(deaf.marked, 0)
})

t.test('an application that pauses is neither slow nor a burst', async (t) => {
  const outcome = await transfer({
    octets: 3_000_000,
    ...path(ms(20)),
    options: BIG,
    write: 100_000,
    pause: ms(100),
  })
  t.equal(outcome.info.retransmits, 0)
  t.ok(outcome.took < seconds(3.5))
})

t.test('two flows share a bottleneck, and neither starves (CUBIC is as fair as Reno on short paths)', async (t) => {
  for (const [algorithms, least] of [
    [['cubic', 'cubic'], 0.4],
    [['reno', 'reno'], 0.4],
    [['cubic', 'reno'], 0.25],
  ] as const) {
    const flow = { ...path(ms(20), { queue: 150_000 }), options: BIG }
    const [first, second] = (await share(flow, algorithms, seconds(10), seconds(40))) as [number, number]
    const smaller = Math.min(first, second) / (first + second)
    t.ok(smaller >= least, `${algorithms.join(' and ')}: ${Math.round(100 * smaller)} %`)
    t.ok(
      first + second > 0.85 * RATE * 30,
      `${algorithms.join(' and ')}: ${Math.round((first + second) / 30_000)} kB/s`,
    )
  }
})
