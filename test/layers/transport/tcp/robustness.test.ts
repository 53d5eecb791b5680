/** Peers that say what cannot be, by mistake or by intent, and what the RFCs say of old segments. */
import t from 'tap'
import { MAX_RTO, RoundTrip } from '../../../../layers/transport/tcp/rtt.ts'
import type { Connection } from '../../../../src/api/sockets.ts'
import { ms, seconds } from '../../../../src/kernel/clock.ts'
import { Script } from './script.ts'

const DAY = seconds(86_400)

/** Established, with timestamps on both sides. */
function stamped(s: Script): Connection {
  const c = s.connect()
  s.run(ms(10))
  s.skip()
  s.in('S. 0:0 ack 1 <mss 1000,ts 1000 0>')
  s.skip()
  return c
}

t.test('an echo of what was never sent measures nothing (RFC 7323 §4.1)', async (t) => {
  const s = new Script()
  const c = stamped(s)
  s.write(c, 10)
  s.run(seconds(1))
  t.ok(s.skip() >= 2, 'sent again, so that only the echo could measure')
  const { rto, srtt } = c.info()
  s.in(`. 1:1 ack 11 <ts 1100 ${(Number(s.lastPacket?.options.split(' ')[1]) - 1_000_000) >>> 0}>`)
  s.run(0)
  t.equal(c.info().outstanding, 0)
  t.same([c.info().rto, c.info().srtt], [rto, srtt])
})

t.test('a round trip of an hour is one', async (t) => {
  const rtt = new RoundTrip(MAX_RTO)
  rtt.sample(seconds(3600), 0, 0)
  t.same([rtt.srtt, rtt.rttvar, rtt.rto], [seconds(3600), seconds(1800), MAX_RTO])
})

t.test('data beyond a FIN that waits for its turn is none, and the FIN comes in', async (t) => {
  for (const late of [false, true]) {
    const s = new Script()
    const c = s.established()
    const [fin, beyond] = ['F. 11:21 ack 1', '. 21:41 ack 1']
    s.in(...(late ? [beyond, fin] : [fin, beyond]), '. 1:11 ack 1')
    s.run(0)
    t.equal(s.read(c), 20, 'what lies before the FIN')
    t.equal(s.drops('beyondFin'), late ? 0 : 1)
    t.ok(c.ended)
    t.equal(c.state, 'CLOSE-WAIT')
    s.skip()
    s.in('. 22:32 ack 1')
    s.out('. 1:1 ack 22')
    s.call(() => c.close())
    s.skip()
    s.in('. 22:22 ack 2')
    s.run(0)
    t.equal(s.packets, 0)
  }
})

t.test('data from the peer after close says that what was written is lost', async (t) => {
  const s = new Script()
  const c = s.established({}, 1000, 1000)
  s.write(c, 3000)
  s.call(() => c.close())
  s.skip()
  s.in('. 1:101 ack 1001')
  s.out('R 1001:1001')
  s.tells('closed ECONNRESET dataAfterClose')
  t.equal(s.drops('dataAfterClose'), 1)
  t.equal(s.chunks, 0)
})

t.test(
  'a SYN-ACK with a wrong ACK in a simultaneous open is answered by a reset alone (RFC 9293 §3.10.7.4)',
  async (t) => {
    const s = new Script()
    const c = s.connect()
    s.skip()
    s.in('S 0:0')
    s.out('S. 0:0 ack 1')
    s.in('S. 0:0 ack 5')
    s.out('R 5:5')
    t.equal(c.state, 'SYN-RECEIVED')
    s.in('S. 0:0 ack 1')
    s.out()
    t.equal(c.state, 'ESTABLISHED')
  },
)

t.test('after 24 days of silence any timestamp is believed, and PAWS goes on from there (RFC 7323 §5.5)', async (t) => {
  const s = new Script()
  const c = stamped(s)
  s.in('. 1:11 ack 1 <ts 1001 0>')
  s.run(seconds(1))
  s.skip()
  s.run(25 * DAY)
  // 2^31 ms are 24.8 days: it seems to lie behind what was last seen.
  const tsval = 1001 + 2 ** 31 + 1000
  s.in(`. 11:21 ack 1 <ts ${tsval} 0>`)
  s.run(seconds(1))
  t.equal(c.readableOctets, 20)
  s.skip()
  s.in(`. 21:31 ack 1 <ts ${tsval - 5} 0>`)
  s.run(seconds(1))
  t.equal(s.drops('paws'), 1)
  t.equal(c.readableOctets, 20)
})

t.test('a peer whose window is closed answers keepalive, and is not given up', async (t) => {
  const s = new Script()
  const c = s.established({
    keepAlive: true,
    keepAliveIdle: seconds(10),
    keepAliveInterval: seconds(5),
    keepAliveCount: 3,
  })
  s.in('. 1:1 ack 1 win 0')
  for (let i = 0; i < 20; i++) {
    s.run(seconds(10))
    s.out('. 0:0 ack 1')
    s.in('. 1:1 ack 1 win 0')
  }
  t.equal(c.state, 'ESTABLISHED')
  s.write(c, 10)
  s.run(seconds(120))
  t.ok(s.skip() > 2, 'the window is probed in place of the connection')
  s.in('. 1:1 ack 1 win 1000')
  s.out('P. 1:11 ack 1')
})

t.test('an ACK from before all that was ever sent is challenged, however large the window is', async (t) => {
  const s = new Script()
  const c = s.established({}, 1000, 5000)
  s.in('. 1:101 ack 0')
  s.out('. 1:1 ack 1')
  s.write(c, 10)
  s.out('P. 1:11 ack 1')
  s.in('. 1:101 ack 0')
  s.out('. 11:11 ack 1')
  c.shutdown('write')
  s.run(0)
  s.out('F. 11:11 ack 1')
  s.in('. 1:1 ack 12', '. 1:101 ack 0')
  s.out('. 12:12 ack 1')
  t.equal(s.drops('unacceptableAck'), 3)
  t.equal(c.readableOctets, 0)
  s.in('. 1:101 ack 1')
  t.equal(c.readableOctets, 100, 'the first there was is only old')
})

t.test('the last segment again is heard: what it acknowledges is news (RFC 9293 §A.2)', async (t) => {
  const s = new Script()
  const c = s.established({}, 1000, 5000)
  s.in('. 1:101 ack 1', '. 101:201 ack 1')
  s.skip()
  s.write(c, 1000)
  s.skip()
  s.in('. 1:101 ack 1001')
  s.out('. 1001:1001 ack 201')
  t.equal(c.queuedOctets, 1000, 'not so one before it')
  s.in('. 101:201 ack 1001')
  s.out('. 1001:1001 ack 201')
  t.equal(c.queuedOctets, 0)
  t.equal(s.drops('duplicateData'), 2)
  c.shutdown('write')
  s.run(0)
  s.skip()
  s.in('F. 201:201 ack 1001', 'F. 201:201 ack 1002')
  t.equal(c.state, 'TIME-WAIT', 'its FIN again acknowledges ours')
})

t.test('a SYN that lies right in front of RCV.NXT says nothing but that it came', async (t) => {
  const s = new Script()
  const c = stamped(s)
  s.in('. 1:101 ack 1 <nop,nop,ts 1010 0>')
  s.skip()
  s.write(c, 100)
  s.skip()
  for (const line of ['S 100:100 <ts 5000 0>', 'S. 100:100 ack 101 <ts 5000 0>', 'S -99:-89 <ts 5000 0>']) {
    s.in(line)
    s.out('. 101:101 ack 101 <nop,nop,ts * *>')
    t.match(s.lastPacket?.options, / 1010$/, 'the time it has is not echoed')
  }
  t.equal(c.queuedOctets, 100)
})
