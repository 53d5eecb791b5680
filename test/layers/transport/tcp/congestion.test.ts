/** Congestion control alone: CUBIC (RFC 9438), HyStart++ (RFC 9406), Reno (RFC 5681), and none. */
import t from 'tap'
import {
  type Congestion,
  type CongestionWindow,
  congestion,
  UNLIMITED,
} from '../../../../layers/transport/tcp/congestion.ts'
import { HyStart } from '../../../../layers/transport/tcp/hystart.ts'
import { type Duration, ms, seconds } from '../../../../src/kernel/clock.ts'

const MSS = 1000

function window(cwnd: number, ssthresh = UNLIMITED): CongestionWindow {
  return { cwnd: cwnd * MSS, ssthresh: ssthresh === UNLIMITED ? UNLIMITED : ssthresh * MSS, mss: MSS }
}

/** Delivers a window each round trip. @returns cwnd in segments after each. */
function rounds(algorithm: Congestion, w: CongestionWindow, rtt: Duration, n: number, from = 0): number[] {
  const seen: number[] = []
  for (let round = 1; round <= n; round++) {
    for (let left = w.cwnd; left > 0; left -= 2 * MSS) {
      algorithm.grow(w, Math.min(left, 2 * MSS), rtt, from + round * rtt)
    }
    seen.push(w.cwnd / MSS)
  }
  return seen
}

t.test('a loss: CUBIC goes to 0.7, Reno to a half, and never below two segments', async (t) => {
  const cases = [
    ['cubic', 100, 70],
    ['cubic', 10, 7],
    ['cubic', 2, 2],
    ['reno', 100, 50],
    ['reno', 3, 2],
  ] as const
  for (const [name, cwnd, ssthresh] of cases) {
    t.equal(congestion(name).reduce(window(cwnd)), ssthresh * MSS, `${name} ${cwnd}`)
  }
  t.equal(congestion('none').reduce(window(10)), UNLIMITED)
})

t.test('slow start counts what is delivered, up to ssthresh and not beyond', async (t) => {
  for (const name of ['cubic', 'reno'] as const) {
    const w = window(10, 14)
    const algorithm = congestion(name)
    algorithm.grow(w, 3 * MSS, ms(100), 0)
    t.equal(w.cwnd, 13 * MSS)
    algorithm.grow(w, 3 * MSS, ms(100), 0)
    t.equal(w.cwnd, 14 * MSS)
  }
})

t.test('Reno: a segment a round trip', async (t) => {
  t.same(rounds(congestion('reno'), window(10, 10), ms(100), 5), [11, 12, 13, 14, 15])
})

t.test('CUBIC: back to where it was after K, flat there, and steep beyond (RFC 9438 §4.2)', async (t) => {
  const cubic = congestion('cubic')
  const w = window(1000, 1000)
  w.ssthresh = w.cwnd = cubic.reduce(w)
  // K = cbrt(1000 * 0.3 / 0.4) = 9.09 s
  const rtt = ms(100)
  const seen = rounds(cubic, w, rtt, 200)
  const at = (s: number) => seen[s * 10 - 1] as number
  const exact = (s: number) => 0.4 * (s - 9.086) ** 3 + 1000
  for (const s of [2, 5, 9, 12, 15]) t.ok(Math.abs(at(s) - exact(s)) < 15, `${s} s: ${at(s)}, by the cubic ${exact(s)}`)
  t.ok(at(9) - at(8) < 3, 'flat')
})

t.test('CUBIC: where Reno would be faster, as fast as Reno (RFC 9438 §4.3)', async (t) => {
  const cubic = congestion('cubic')
  const w = window(20, 20)
  w.ssthresh = w.cwnd = cubic.reduce(w)
  // With a round trip of 10 ms the cubic moves 0.03 segments in 0.4 s.
  const seen = rounds(cubic, w, ms(10), 40)
  const alpha = (3 * 0.3) / 1.7
  const reached = Math.round((20 - 14) / alpha)
  t.ok(Math.abs((seen[reached - 1] as number) - 20) <= 1, `${seen[reached - 1]}`)
  t.ok((seen[39] as number) >= 20 + (40 - reached) - 3, 'a segment a round trip beyond that')
})

t.test('CUBIC: never more than half as much again in a round trip, however long that took', async (t) => {
  const cubic = congestion('cubic')
  const w = window(100, 100)
  w.ssthresh = w.cwnd = cubic.reduce(w)
  rounds(cubic, w, ms(100), 2)
  const [after] = rounds(cubic, w, seconds(60), 1)
  t.ok((after as number) <= 110 && (after as number) >= 100, `${after}`)
})

t.test('CUBIC: a flow that did not get back makes room for others (RFC 9438 §4.7)', async (t) => {
  const cubic = congestion('cubic')
  const w = window(1000, 1000)
  w.ssthresh = w.cwnd = cubic.reduce(w)
  w.ssthresh = w.cwnd = cubic.reduce(w)
  t.equal(w.cwnd, 490 * MSS)
  // W_max is 700 * 0.85 = 595, and not 700.
  const seen = rounds(cubic, w, ms(100), 64)
  const k = Math.cbrt((595 - 490) / 0.4)
  t.ok(Math.abs((seen[Math.round(k * 10) - 1] as number) - 595) < 8)
})

t.test('CUBIC: time in which nothing was sent does not count; what was undone neither', async (t) => {
  const [idle, busy] = [congestion('cubic'), congestion('cubic')]
  const [wi, wb] = [window(100, 100), window(100, 100)]
  for (const [algorithm, w] of [
    [idle, wi],
    [busy, wb],
  ] as const) {
    w.ssthresh = w.cwnd = algorithm.reduce(w)
    rounds(algorithm, w, ms(100), 10)
  }
  idle.resumed(seconds(30), seconds(31))
  t.same(rounds(idle, wi, ms(100), 10, seconds(31)), rounds(busy, wb, ms(100), 10, seconds(1)))
  const undone = congestion('cubic')
  const w = window(100, 100)
  undone.reduce(w)
  w.cwnd = 70 * MSS
  // W_max would be 59.5.
  undone.reduce(w)
  undone.undone()
  w.ssthresh = w.cwnd
  const k = Math.cbrt(30 / 0.4)
  const seen = rounds(undone, w, ms(100), 43)
  t.ok(Math.abs((seen[Math.round(k * 10) - 1] as number) - 100) < 6, 'W_max is still 100')
})

/** One round with so many samples. @returns whether slow start is over. */
function round(hystart: HyStart, n: number, rtt: (i: number) => Duration, samples = 10): boolean {
  let over = false
  for (let i = 0; i < samples; i++) over = hystart.measured(rtt(i), n * 1000 + i, n * 1000 + 1000) || over
  return over
}

t.test('HyStart++: longer round trips slow the start down, and after five rounds end it (RFC 9406 §4.2)', async (t) => {
  const hystart = new HyStart()
  t.equal(
    round(hystart, 1, () => ms(100)),
    false,
  )
  t.equal(hystart.allows(4000), 4000)
  round(hystart, 2, () => ms(111))
  t.equal(hystart.allows(4000), 4000, '11 ms more are less than an eighth')
  round(hystart, 3, () => ms(130), 7)
  t.equal(hystart.allows(4000), 4000, 'seven samples are too few')
  round(hystart, 4, () => ms(150))
  t.equal(hystart.allows(4000), 1000)
  for (let n = 5; n < 9; n++)
    t.equal(
      round(hystart, n, () => ms(151)),
      false,
    )
  t.equal(
    round(hystart, 9, () => ms(151)),
    true,
  )
})

t.test('HyStart++: what was only a moment is taken back', async (t) => {
  const hystart = new HyStart()
  round(hystart, 1, () => ms(20))
  round(hystart, 2, () => ms(25))
  t.equal(hystart.allows(4000), 1000)
  round(hystart, 3, () => ms(21))
  t.equal(hystart.allows(4000), 4000)
  for (let n = 4; n < 20; n++)
    t.equal(
      round(hystart, n, () => ms(21)),
      false,
    )
})

t.test('CUBIC leaves its first slow start by HyStart++', async (t) => {
  const cubic = congestion('cubic')
  const w = window(40)
  let una = 0
  for (let n = 0; n < 12; n++) {
    for (let i = 0; i < 10; i++, una += 100) cubic.measured(w, n < 3 ? ms(50) : ms(80), una, (n + 1) * 1000)
  }
  t.equal(w.ssthresh, 40 * MSS)
})
