/** Loss, congestion and round-trip times without SACK (RFC 5681, 6582, 6298, 3042, 6937, 7323 §4, 6928). */
import t from 'tap'
import type { TcpOptions } from '../../../../layers/transport/tcp/settings.ts'
import { tcp } from '../../../../layers/transport/tcp/tcp.ts'
import { ms, seconds } from '../../../../src/kernel/clock.ts'
import { Script } from './script.ts'

/** Established with a round trip of 100 ms, by a peer without SACK, with Reno's window. */
function slow(window = 65_535, tcp: TcpOptions = {}): { s: Script; c: ReturnType<Script['connect']> } {
  const s = new Script({ tcp })
  const c = s.connect({ congestionControl: 'reno' })
  s.skip()
  s.run(ms(100))
  s.in(`S. 0:0 ack 1 win ${window} <mss 1000>`)
  s.skip()
  s.told = []
  return { s, c }
}

t.test('the initial window is ten segments (RFC 6928), doubled each round trip in slow start (MUST-19)', async (t) => {
  const { s, c } = slow()
  s.write(c, 100_000)
  t.equal(s.skip(), 10)
  t.equal(c.info().cwnd, 10_000)
  s.in('. 1:1 ack 2001')
  t.equal(s.skip(), 4)
  t.equal(c.info().cwnd, 12_000)
  s.in('. 1:1 ack 10001')
  t.equal(s.skip(), 16)
  t.equal(c.info().cwnd, 20_000)
})

t.test('an unused window does not grow (RFC 7661)', async (t) => {
  const { s, c } = slow()
  s.write(c, 5000)
  s.skip()
  for (const ack of [2001, 4001, 5001]) s.in(`. 1:1 ack ${ack}`)
  t.equal(c.info().cwnd, 10_000)
})

t.test('a window used again grows with every ACK of it', async (t) => {
  const { s, c } = slow()
  s.write(c, 10_000)
  s.skip()
  const seen: number[] = []
  for (const ack of [2001, 4001, 6001, 8001, 10_001]) {
    s.in(`. 1:1 ack ${ack}`)
    seen.push(c.info().cwnd / 1000)
  }
  t.same(seen, [12, 14, 16, 18, 20])
})

t.test('RTO = srtt + max(4 rttvar, 200 ms); backoff doubles it (MUST-18)', async (t) => {
  const { s, c } = slow()
  t.equal(c.info().srtt, ms(100))
  t.equal(c.info().rttvar, ms(50))
  t.equal(c.info().rto, ms(300))
  s.write(c, 1000)
  s.out('P. 1:1001 ack 1')
  for (const wait of [300, 600, 1200, 2400]) {
    s.run(ms(wait) - 1)
    s.out()
    s.run(1)
    s.out('P. 1:1001 ack 1')
  }
  t.equal(c.info().cwnd, 1000)
  t.equal(c.info().ssthresh, 5000)
  t.equal(c.info().retransmits, 4)
  const far = new Script()
  const d = far.connect()
  far.skip()
  far.run(ms(400))
  far.in('S. 0:0 ack 1 <mss 1000>')
  far.skip()
  t.match(d.info(), { srtt: ms(400), rttvar: ms(200), rto: ms(400 + 4 * 200) })
})

t.test('maxRto bounds the RTO, its backoff, a SYN and its answer, and probes of a closed window', async (t) => {
  const s = new Script({ tcp: { maxRto: ms(500), retries: 8 } })
  const c = s.connect({ synRetries: 9 })
  s.skip()
  s.run(ms(500) - 1)
  s.out()
  for (let i = 0; i < 3; i++, s.run(ms(500) - 1)) {
    s.run(1)
    s.out('S 0:0')
  }
  s.in('S. 0:0 ack 1 win 65535 <mss 1000>')
  s.out('. 1:1 ack 1')
  t.equal(c.info().rto, ms(500), 'after a handshake that was slow, too')
  s.write(c, 1000)
  s.out('P. 1:1001 ack 1')
  s.run(ms(100))
  s.in('. 1:1 ack 1001 win 0')
  t.equal(c.info().rto, ms(300))
  s.write(c, 100)
  for (const wait of [300, 500, 500, 500]) {
    s.run(ms(wait) - 1)
    s.out()
    s.run(1)
    s.out('. 1000:1000 ack 1')
  }
  const server = new Script({ tcp: { maxRto: ms(500) } })
  server.listen()
  server.in('S 0:0 <mss 1000>')
  for (let i = 0; i < 4; i++) {
    server.out('S. 0:0 ack 1')
    server.run(ms(500))
  }
  for (const maxRto of [ms(199), ms(120_001)]) t.throws(() => tcp({ maxRto }), { code: 'ERR_OUT_OF_RANGE' })
})

t.test('Karn: what was sent twice is not measured, and the backoff stays until something is (MUST-18)', async (t) => {
  const { s, c } = slow()
  s.write(c, 1000)
  s.skip()
  s.run(ms(300))
  s.skip()
  s.run(ms(10))
  s.in('. 1:1 ack 1001')
  t.equal(c.info().srtt, ms(100))
  t.equal(c.info().rto, ms(600))
  s.write(c, 1000, 1000)
  s.skip()
  s.run(ms(100))
  s.in('. 1:1 ack 2001')
  t.ok(c.info().rto <= ms(300))
})

t.test('after a timeout, what was outstanding goes again in slow start', async (t) => {
  const { s, c } = slow()
  s.write(c, 10_000)
  t.equal(s.skip(), 10)
  s.run(ms(301))
  s.out('. 1:1001 ack 1')
  s.in('. 1:1 ack 1001')
  s.out('. 1001:2001 ack 1', 'P. 2001:3001 ack 1'.replace('P', ''))
  t.equal(c.info().ssthresh, 5000)
  s.in('. 1:1 ack 10001')
  s.out()
  t.equal(c.info().flightSize, 0)
})

t.test('three duplicate ACKs: the first segment goes again, the window halves (RFC 5681 §3.2)', async (t) => {
  const { s, c } = slow()
  s.write(c, 10_000)
  s.skip()
  s.in('. 1:1 ack 1', '. 1:1 ack 1')
  s.out()
  s.in('. 1:1 ack 1')
  s.out('. 1:1001 ack 1')
  t.equal(c.info().ssthresh, 5000)
  s.in('. 1:1 ack 10001')
  s.out()
  t.equal(c.info().cwnd, 5000)
})

t.test('limited transmit: one new segment on each of the first two duplicates (RFC 3042)', async (t) => {
  const { s, c } = slow()
  s.write(c, 15_000)
  s.skip()
  s.in('. 1:1 ack 1')
  s.out('. 10001:11001 ack 1')
  s.in('. 1:1 ack 1')
  s.out('. 11001:12001 ack 1')
  s.in('. 1:1 ack 1')
  s.out('. 1:1001 ack 1')
  t.equal(s.withinCall, 0, 'no handler ran within a call')
})

t.test('each duplicate ACK lets half a segment go (RFC 6937); a partial ACK is the next hole (RFC 6582)', async (t) => {
  const { s, c } = slow()
  s.write(c, 30_000)
  t.equal(s.skip(), 10)
  const seen: number[] = []
  for (let i = 0; i < 9; i++) {
    s.in('. 1:1 ack 1')
    seen.push(s.skip())
  }
  // Two by limited transmit, the retransmission, then one for every second, until five are in flight.
  t.same(seen, [1, 1, 1, 0, 1, 0, 1, 0, 0])
  t.equal(c.info().congestionState, 'recovery')
  s.in('. 1:1 ack 4001')
  s.out('. 4001:5001 ack 1', '. 14001:15001 ack 1')
  t.equal(c.info().retransmits, 2)
  s.in('. 1:1 ack 15001')
  s.skip()
  t.equal(c.info().cwnd, 6000)
  t.equal(c.info().congestionState, 'open')
})

t.test('what looks like a duplicate but is not: data, a new window, nothing outstanding', async (t) => {
  const { s, c } = slow()
  s.write(c, 10_000)
  s.skip()
  s.in('. 1:101 ack 1', '. 101:201 ack 1', '. 201:301 ack 1')
  s.in('. 301:301 ack 1 win 65000', '. 301:301 ack 1 win 64000', '. 301:301 ack 1 win 63000')
  s.skip()
  t.equal(c.info().retransmits, 0)
  s.in('. 301:301 ack 10001')
  s.in('. 301:301 ack 10001', '. 301:301 ack 10001', '. 301:301 ack 10001')
  s.out()
})

t.test('duplicate ACKs of a retransmission after a timeout start no fast recovery (RFC 6582 §3.2)', async (t) => {
  const { s, c } = slow()
  s.write(c, 10_000)
  s.skip()
  s.run(ms(301))
  s.out('. 1:1001 ack 1')
  const { ssthresh } = c.info()
  s.in('. 1:1 ack 1', '. 1:1 ack 1', '. 1:1 ack 1', '. 1:1 ack 1')
  s.out()
  t.equal(c.info().ssthresh, ssthresh)
})

t.test('congestion avoidance: a segment a window (RFC 5681 §3.1)', async (t) => {
  const { s, c } = slow()
  s.write(c, 200_000)
  s.skip()
  s.in('. 1:1 ack 1', '. 1:1 ack 1', '. 1:1 ack 1')
  s.skip()
  s.in('. 1:1 ack 10001')
  s.skip()
  t.equal(c.info().ssthresh, 5000)
  const windows: number[] = []
  for (let ack = 11_001; ack <= 45_001; ack += 1000) {
    s.in(`. 1:1 ack ${ack}`)
    s.skip()
    windows.push(c.info().cwnd / 1000)
  }
  // One for 5, 6, 7, 8, 9 segments.
  const expected = [5, 6, 7, 8, 9].flatMap((n) => Array.from({ length: n }, () => n)).slice(1)
  t.same(windows, [...expected, 10])
})

t.test('after an idle time the window begins anew (RFC 5681 §4.1), unless told not to', async (t) => {
  for (const slowStartAfterIdle of [true, false]) {
    const s = new Script({ tcp: { slowStartAfterIdle } })
    const c = s.established()
    s.write(c, 10_000)
    s.skip()
    s.in('. 1:1 ack 10001')
    t.equal(c.info().cwnd, 20_000)
    s.run(seconds(10))
    s.write(c, 60_000, 10_000)
    t.equal(s.skip(), slowStartAfterIdle ? 10 : 20)
  }
})

t.test('of a window that is not used for a timeout, half is given up (RFC 2861 §2), unless told not to', async (t) => {
  for (const [slowStartAfterIdle, left] of [
    [true, 15_000],
    [false, 20_000],
  ] as const) {
    const { s, c } = slow(65_535, { slowStartAfterIdle })
    s.write(c, 10_000)
    s.skip()
    s.run(ms(100))
    s.in('. 1:1 ack 10001')
    t.equal(c.info().cwnd, 20_000)
    // A segment a round trip, so that it is never idle.
    for (let end = 11_001; end <= 15_001; end += 1000) {
      s.write(c, 1000, end - 1001)
      s.skip()
      s.run(ms(100))
      s.in(`. 1:1 ack ${end}`)
    }
    t.equal(c.info().cwnd, left)
  }
})

t.test('lost SYNs: one is forgiven, after two the initial window is one segment (RFC 6928 §2)', async (t) => {
  for (const [lost, cwnd] of [
    [1, 10],
    [2, 1],
  ] as const) {
    const s = new Script()
    const c = s.connect()
    for (let i = 0; i < lost; i++) s.run(seconds(2 ** i))
    s.skip()
    s.in('S. 0:0 ack 1 <mss 1000>')
    t.equal(c.info().cwnd, cwnd * 1000)
  }
})

t.test('timestamps measure retransmissions too (RFC 7323 §4.1)', async (t) => {
  const s = new Script()
  const c = s.connect()
  s.run(0)
  const tsval = Number(/ts (\d+)/.exec(s.lastPacket?.options ?? '')?.[1])
  s.skip()
  s.run(ms(100))
  s.in(`S. 0:0 ack 1 <mss 1000,ts 100 ${tsval}>`)
  s.skip()
  s.write(c, 500)
  s.skip()
  s.run(ms(300))
  s.skip()
  s.run(ms(60))
  const echo = Number(/ts (\d+)/.exec(s.lastPacket?.options ?? '')?.[1])
  s.in(`. 1:1 ack 501 <nop,nop,ts 101 ${echo}>`)
  t.not(c.info().srtt, ms(100))
  t.ok(c.info().rto < ms(600), 'no backoff left')
})

t.test('R2: given up after as many retransmissions as told (MUST-20, MUST-21)', async (t) => {
  const s = new Script({ tcp: { retries: 4 } })
  const c = s.established()
  s.write(c, 100)
  s.run(seconds(100))
  t.equal(s.skip(), 6, 'once, four times again, and a reset')
  t.equal(s.lastPacket?.flags, 'R.')
  s.tells('closed ETIMEDOUT retransmissionTimeout')
  t.equal(c.state, 'CLOSED')
})

t.test('user timeout: given up when it has passed, and not before (RFC 5482)', async (t) => {
  const s = new Script()
  const c = s.established({ userTimeout: seconds(3) })
  s.write(c, 100)
  s.run(seconds(3) - 1)
  s.tells()
  s.run(1)
  s.tells('closed ETIMEDOUT userTimeout')
  t.equal(c.state, 'CLOSED')
  const u = new Script()
  const d = u.connect({ userTimeout: seconds(5) })
  u.run(seconds(5))
  u.tells('closed ETIMEDOUT userTimeout')
  t.equal(d.state, 'CLOSED')
  // It takes the place of counting.
  const v = new Script({ tcp: { retries: 2 } })
  v.write(v.established({ userTimeout: seconds(60) }), 100)
  v.run(seconds(60) - 1)
  v.tells()
  v.run(1)
  v.tells('closed ETIMEDOUT userTimeout')
})

t.test('progress puts the user timeout off', async (t) => {
  const s = new Script()
  const c = s.established({ userTimeout: seconds(3) })
  s.write(c, 2000)
  s.run(seconds(2))
  s.in('. 1:1 ack 1001')
  s.run(seconds(2))
  s.tells()
  s.run(seconds(1))
  s.tells('closed ETIMEDOUT userTimeout')
  t.equal(s.withinCall, 0, 'no handler ran within a call')
})

t.test('taps hear of every retransmission and its section', async (t) => {
  const { s, c } = slow()
  const notes: string[] = []
  s.tcpBoundary.watch({ note: (_packet, event, reason, rfc) => notes.push(`${event} ${reason} ${rfc}`) })
  s.write(c, 10_000)
  s.skip()
  s.in('. 1:1 ack 1', '. 1:1 ack 1', '. 1:1 ack 1')
  s.skip()
  s.in('. 1:1 ack 2001')
  s.skip()
  s.run(ms(1000))
  t.same(notes.slice(0, 3), [
    'retransmit fastRetransmit RFC 5681 §3.2',
    'retransmit partialAck RFC 6582 §3.2',
    'retransmit rto RFC 6298 §5.4',
  ])
})

t.test('every ACK of something new measures a round trip', async (t) => {
  const { s, c } = slow()
  s.write(c, 4000)
  s.skip()
  s.run(ms(180))
  s.in('. 1:1 ack 2001')
  t.equal(c.info().srtt, ms(110))
  s.run(ms(20))
  s.in('. 1:1 ack 4001')
  t.ok(c.info().srtt > ms(121) && c.info().srtt < ms(122))
  t.equal(c.info().minRtt, ms(100))
})

t.test('what went again by fast retransmit is not measured either', async (t) => {
  const { s, c } = slow()
  s.write(c, 10_000)
  s.skip()
  s.run(ms(50))
  s.in('. 1:1 ack 1', '. 1:1 ack 1', '. 1:1 ack 1')
  s.skip()
  s.run(ms(100))
  s.in('. 1:1 ack 10001')
  t.equal(c.info().srtt, ms(100))
})

t.test('a second timeout of the same segment does not halve ssthresh again (RFC 5681 equation 4)', async (t) => {
  const { s, c } = slow()
  s.write(c, 10_000)
  s.run(ms(301))
  t.equal(c.info().ssthresh, 5000)
  s.run(ms(601))
  t.equal(c.info().ssthresh, 5000)
  t.equal(c.info().cwnd, 1000)
})

t.test('what is outstanding goes again into a window that has shrunk to nothing (SHLD-16, SHLD-17)', async (t) => {
  const { s, c } = slow()
  s.write(c, 2000)
  s.skip()
  s.in('. 1:1 ack 1 win 0')
  s.run(ms(301))
  s.out('. 1:1001 ack 1')
  t.equal(c.state, 'ESTABLISHED')
})
