/** Loss recovery with SACK, one segment a line (RFC 8985, 6675, 6937, 2883, 3522, 5682). */
import t from 'tap'
import type { TcpOptions } from '../../../../layers/transport/tcp/settings.ts'
import type { Connection, ConnectionOptions } from '../../../../src/api/sockets.ts'
import { ms } from '../../../../src/kernel/clock.ts'
import { Script } from './script.ts'

/** Established with a round trip of 100 ms by a peer with SACK; ten segments of 1000 octets are in flight. */
function flight(n = 10_000, options?: Partial<ConnectionOptions>, tcp?: TcpOptions): { s: Script; c: Connection } {
  const s = new Script(tcp === undefined ? {} : { tcp })
  const c = s.connect(options)
  s.skip()
  s.run(ms(100))
  s.in('S. 0:0 ack 1 win 65535 <mss 1000,sackOK>')
  s.skip()
  s.told = []
  if (n > 0) {
    s.write(c, n)
    s.skip()
  }
  return { s, c }
}

/** An ACK with blocks; nothing else about it is special. */
const sack = (ack: number, ...blocks: string[]): string => `. 1:1 ack ${ack} <nop,nop,sack ${blocks.join(' ')}>`

t.test('three segments sacked: the hole goes again at once, the window goes down bit by bit (RFC 6937)', async (t) => {
  const { s, c } = flight()
  s.run(ms(100))
  s.in(sack(1, '1001:2001'))
  s.out()
  t.equal(c.info().congestionState, 'disorder')
  s.in(sack(1, '1001:3001'))
  s.out()
  s.in(sack(1, '1001:4001'))
  s.out('. 1:1001 ack 1')
  t.match(c.info(), { congestionState: 'recovery', cwnd: 7000, ssthresh: 7000, lost: 1000, sacked: 3000, resent: 1000 })
  s.write(c, 10_000, 10_000)
  s.out()
  s.in(sack(1, '1001:5001'))
  s.out('. 10001:11001 ack 1')
  s.in('. 1:1 ack 11001')
  t.match(c.info(), { congestionState: 'open', cwnd: 7000, lost: 0, sacked: 0, resent: 0, outstanding: 0 })
  s.skip()
})

t.test('fewer than three: RACK gives what is missing a quarter of the round trip (RFC 8985 §6.2)', async (t) => {
  const { s, c } = flight(4000)
  s.run(ms(100))
  s.in(sack(1, '3001:4001'))
  s.run(ms(26))
  s.out()
  s.run(ms(2))
  s.out('. 1:1001 ack 1')
  t.equal(c.info().lost, 3000)
  t.equal(c.info().congestionState, 'recovery')
})

t.test('what goes again in the instant of its flight goes once: the rest left before (RFC 8985 §6.2)', async (t) => {
  const s = new Script()
  const c = s.connect()
  s.skip()
  s.in('S. 0:0 ack 1 win 65535 <mss 1000,sackOK>')
  s.skip()
  s.write(c, 5000)
  s.skip()
  for (const last of [2001, 3001, 4001]) s.in(sack(1, `1001:${last}`))
  s.out('. 1:1001 ack 1')
  s.in(sack(1, '1001:5001'))
  s.out()
  t.match(c.info(), { lost: 1000, resent: 1000, sacked: 4000, retransmits: 1 })
  // What leaves later shows that it is lost all the same.
  s.write(c, 1000)
  s.out('P. 5001:6001 ack 1')
  s.in(sack(1, '1001:6001'))
  s.out('. 1:1001 ack 1')
})

t.test('what was only late is not sent again, and the patience grows with it', async (t) => {
  const { s, c } = flight(4000)
  s.run(ms(100))
  s.in(sack(1, '3001:4001'))
  s.run(ms(20))
  s.in('. 1:1 ack 4001')
  s.out()
  t.match(c.info(), { retransmits: 0, congestionState: 'open', cwnd: 10_000, reordering: 4 })
  s.write(c, 8000, 4000)
  s.skip()
  s.run(ms(100))
  s.in(sack(4001, '5001:12001'))
  s.out()
  s.run(ms(28))
  s.out('. 4001:5001 ack 1')
})

t.test('a tail loss probe: new data if there is any, else the last segment again (RFC 8985 §7)', async (t) => {
  const { s, c } = flight(12_000)
  s.run(ms(203))
  s.out('. 10001:11001 ack 1')
  s.run(ms(90))
  s.out()
  t.equal(c.info().retransmits, 0)
  const last = flight(3000)
  last.s.run(ms(203))
  last.s.out('P. 2001:3001 ack 1')
  last.s.run(ms(100))
  last.s.in(sack(1, '2001:3001'))
  last.s.out('. 1:1001 ack 1')
  t.match(last.c.info(), { congestionState: 'recovery', ssthresh: 7000 })
})

t.test(
  'a probe that repaired the loss itself costs a reduction (RFC 8985 §7.4), a superfluous one nothing',
  async (t) => {
    for (const [answer, ssthresh] of [
      ['. 1:1 ack 3501', 7000],
      [sack(3001, '2001:3001'), 0x3fff_ffff],
    ] as const) {
      const { s, c } = flight(3000)
      s.run(ms(203))
      s.out('P. 2001:3001 ack 1')
      s.write(c, 500, 3000)
      s.skip()
      s.run(ms(50))
      s.in(answer)
      s.skip()
      t.equal(c.info().ssthresh, ssthresh)
      t.equal(c.info().congestionState, 'open')
    }
  },
)

t.test('a single segment waits for a delayed ACK before it is probed, and no probe without SACK', async (t) => {
  const { s } = flight(500)
  s.run(ms(299))
  s.out()
  s.run(ms(2))
  s.out('P. 1:501 ack 1')
  const off = flight(3000, {}, { tailLossProbe: false })
  off.s.run(ms(299))
  off.s.out()
  off.s.run(ms(2))
  off.s.out('. 1:1001 ack 1')
  t.equal(off.c.info().congestionState, 'loss')
})

t.test('a retransmission that is lost is found by what was sent after it (RFC 8985 §3)', async (t) => {
  const { s, c } = flight()
  s.run(ms(100))
  s.in(sack(1, '1001:4001'))
  s.out('. 1:1001 ack 1')
  s.write(c, 10_000, 10_000)
  s.in(sack(1, '1001:7001'))
  s.out('. 10001:11001 ack 1', 'P. 11001:12001 ack 1', '. 12001:13001 ack 1')
  s.run(ms(100))
  s.in(sack(1, '1001:11001'))
  s.out('. 1:1001 ack 1', '. 13001:14001 ack 1', 'P. 14001:15001 ack 1', '. 15001:16001 ack 1', 'P. 16001:17001 ack 1')
  t.equal(c.info().retransmits, 2)
})

t.test('DSACK: a reduction for what had not been lost is undone (RFC 3708)', async (t) => {
  const { s, c } = flight()
  s.run(ms(100))
  s.in(sack(1, '1001:4001'))
  s.out('. 1:1001 ack 1')
  t.equal(c.info().cwnd, 7000)
  s.run(ms(5))
  s.in('. 1:1 ack 4001')
  s.run(ms(95))
  s.in(sack(4001, '1:1001'))
  t.match(c.info(), { cwnd: 10_000, congestionState: 'open' })
  s.skip()
})

t.test('Eifel: so it is by a timestamp older than the retransmission (RFC 3522)', async (t) => {
  const s = new Script()
  const c = s.connect()
  s.run(0)
  const stamp = () => Number(/ts (\d+)/.exec(s.lastPacket?.options ?? '')?.[1])
  const syn = stamp()
  s.skip()
  s.run(ms(100))
  s.in(`S. 0:0 ack 1 win 65535 <mss 1012,sackOK,ts 5 ${syn}>`)
  s.skip()
  s.write(c, 10_000)
  s.skip()
  const original = stamp()
  s.run(ms(100))
  s.in(`. 1:1 ack 1 <nop,nop,ts 6 ${syn},nop,nop,sack 1001:4001>`)
  s.out('. 1:1001 ack 1')
  t.equal(c.info().congestionState, 'recovery')
  s.run(ms(10))
  s.in(`. 1:1 ack 10001 <nop,nop,ts 7 ${original}>`)
  t.match(c.info(), { congestionState: 'open', cwnd: 17_000, ssthresh: 0x3fff_ffff })
})

t.test('an ACK that a duplicate has caused measures no round trip: it echoes what arrived long before', async (t) => {
  for (const [answer, srtt] of [
    ['<nop,nop,ts 7 STAMP,nop,nop,sack 1:501>', ms(100)],
    ['<nop,nop,ts 7 STAMP>', ms(150)],
  ] as const) {
    const s = new Script({ tcp: { tailLossProbe: false } })
    const c = s.connect()
    s.run(0)
    const stamp = () => /ts (\d+)/.exec(s.lastPacket?.options ?? '')?.[1] as string
    const syn = stamp()
    s.skip()
    s.run(ms(100))
    s.in(`S. 0:0 ack 1 win 65535 <mss 1012,sackOK,ts 5 ${syn}>`)
    s.skip()
    s.write(c, 500)
    s.skip()
    const original = stamp()
    s.run(ms(400))
    s.out('P. 1:501 ack 1')
    s.run(ms(100))
    s.in(`. 1:1 ack 501 ${answer.replace('STAMP', original)}`)
    t.equal(c.info().srtt, srtt)
  }
})

t.test('F-RTO: a timeout is undone when what was sent before it only arrives (RFC 5682)', async (t) => {
  for (const forwardRto of [true, false]) {
    const { s, c } = flight(30_000, {}, { tailLossProbe: false, forwardRto })
    s.run(ms(301))
    s.out('. 1:1001 ack 1')
    t.match(c.info(), { congestionState: 'loss', cwnd: 1000, ssthresh: 7000 })
    s.in('. 1:1 ack 1001')
    // Step 2 b: new data, not what is taken as lost.
    if (forwardRto) s.out('. 10001:11001 ack 1', '. 11001:12001 ack 1')
    else s.out('. 1001:2001 ack 1', '. 2001:3001 ack 1')
    s.in('. 1:1 ack 2001')
    s.skip()
    t.equal(c.info().congestionState, forwardRto ? 'open' : 'loss')
    t.equal(c.info().cwnd >= 10_000, forwardRto)
  }
})

t.test('F-RTO: when what was sent after it arrives and nothing from before, it was one', async (t) => {
  const { s, c } = flight(30_000, {}, { tailLossProbe: false })
  s.run(ms(301))
  s.out('. 1:1001 ack 1')
  s.in('. 1:1 ack 1001')
  s.out('. 10001:11001 ack 1', '. 11001:12001 ack 1')
  s.in(sack(1001, '10001:11001'))
  s.out('. 1001:2001 ack 1')
  t.equal(c.info().congestionState, 'loss')
  t.equal(c.info().ssthresh, 7000)
})

t.test(
  'a timeout keeps what is sacked, unless the first segment is: then the peer forgot it (RFC 2018 §8)',
  async (t) => {
    const { s, c } = flight(10_000, {}, { tailLossProbe: false })
    s.run(ms(50))
    s.in(sack(1, '2001:3001'))
    s.run(ms(1000))
    t.ok(c.info().sacked >= 1000)
    s.skip()
    const forgetful = flight()
    forgetful.s.run(ms(100))
    forgetful.s.in(sack(1, '3001:10001'))
    forgetful.s.skip()
    t.equal(forgetful.c.info().sacked, 7000)
    // Everything before the blocks arrives, and the blocks are not acknowledged with it.
    forgetful.s.in('. 1:1 ack 3001')
    t.equal(forgetful.c.info().sacked, 7000)
    forgetful.s.run(ms(70))
    t.equal(forgetful.c.info().sacked, 0)
    forgetful.s.out('. 3001:4001 ack 1')
  },
)

t.test('blocks that cannot be are passed over', async (t) => {
  const { s, c } = flight()
  s.run(ms(100))
  for (const block of ['20001:21001', '9001:11001', '3001:3001', '4001:3001', '-2000:-1000', '1500:1900']) {
    s.in(sack(1, block))
    s.skip()
    t.equal(c.info().sacked, 0, block)
  }
  s.in(sack(1, '1500:3500'))
  t.equal(c.info().sacked, 1000, 'only whole segments')
  s.in(sack(1, '9001:10001', '7001:8001', '5001:6001', '3001:4001'))
  t.equal(c.info().sacked, 5000)
  t.equal(c.info().reordering, 3)
})

t.test('an old ACK still tells of blocks', async (t) => {
  const { s, c } = flight()
  s.run(ms(100))
  s.in('. 1:1 ack 2001')
  s.in(sack(1001, '4001:5001'))
  t.equal(c.info().sacked, 1000)
  s.skip()
})

t.test('ECN: asked for by both flags, agreed to by one, off by default on our side (RFC 3168 §6.1.1)', async (t) => {
  const asks = new Script({ tcp: { ecn: 'on' } })
  asks.connect()
  asks.out('SEW 0:0')
  asks.run(ms(1000))
  asks.out('S 0:0')
  for (const [ecn, answer] of [
    ['off', 'S. 0:0 ack 1'],
    ['accept', 'SE. 0:0 ack 1'],
    ['on', 'SE. 0:0 ack 1'],
  ] as const) {
    const s = new Script({ tcp: { ecn } })
    s.listen()
    s.in('SEW 0:0 <mss 1000>')
    s.out(answer)
  }
  for (const [answer, ecn] of [
    ['SE. 0:0 ack 1', true],
    ['S. 0:0 ack 1', false],
    ['SEW. 0:0 ack 1', false],
  ] as const) {
    const s = new Script({ tcp: { ecn: 'on' } })
    const c = s.connect()
    s.skip()
    s.in(answer)
    t.equal(c.info().ecn, ecn)
  }
})

t.test(
  'ECN: new data may be marked, what goes again and ACKs may not; ECE halves once a window, CWR says so',
  async (t) => {
    const s = new Script({ tcp: { ecn: 'on' } })
    const c = s.connect()
    s.skip()
    s.run(ms(100))
    s.in('SE. 0:0 ack 1 win 65535 <mss 1000,sackOK>')
    s.out('. 1:1 ack 1')
    t.equal(s.lastPacket?.ecn, 0)
    s.write(c, 20_000)
    s.skip()
    t.equal(s.lastPacket?.ecn, 2)
    s.run(ms(100))
    s.in('E. 1:1 ack 1001')
    s.out('W. 10001:11001 ack 1')
    t.match(c.info(), { congestionState: 'cwr', ssthresh: 7000 })
    s.in('E. 1:1 ack 5001')
    s.out('. 11001:12001 ack 1')
    s.in('E. 1:1 ack 9001')
    s.skip()
    t.equal(c.info().ssthresh, 7000, 'once')
    s.in('. 1:1 ack 13001')
    s.skip()
    t.match(c.info(), { congestionState: 'open', retransmits: 0 })
  },
)

t.test('ECN: a mark is echoed until the sender says that it has slowed down (RFC 3168 §6.1.3)', async (t) => {
  const s = new Script()
  s.listen()
  s.in('SEW 0:0 <mss 1000>')
  s.skip()
  s.in('. 1:1 ack 1')
  s.arriveMarked('. 1:1001 ack 1')
  s.out('E. 1:1 ack 1001')
  s.in('. 1001:2001 ack 1')
  s.out('E. 1:1 ack 2001')
  s.in('W. 2001:3001 ack 1')
  s.out('. 1:1 ack 3001')
  t.equal(s.withinCall, 0)
})

t.test('ECN: that the sender has slowed down is believed without data, too, as on Linux and BSD', async (t) => {
  const s = new Script()
  s.listen()
  s.in('SEW 0:0 <mss 1000>')
  s.skip()
  s.in('. 1:1 ack 1')
  s.arriveMarked('. 1:1001 ack 1')
  s.out('E. 1:1 ack 1001')
  s.in('W. 1001:1001 ack 1')
  s.out()
  s.in('. 1001:2001 ack 1')
  s.out('. 1:1 ack 2001')
  s.arriveMarked('. 2001:3001 ack 1')
  s.out('E. 1:1 ack 3001')
  // The same between segments that are out of the ordinary
  s.in('W. 3001:3001 ack 1 <nop,nop,sack 5:6>')
  s.in('. 3001:4001 ack 1')
  s.out('. 1:1 ack 4001')
  t.equal(s.withinCall, 0)
})
