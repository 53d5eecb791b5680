/** Keepalive (RFC 9293 §3.8.4). */
import t from 'tap'
import { ms, seconds } from '../../../../src/kernel/clock.ts'
import { Script } from './script.ts'

const KEEP = { keepAlive: true, keepAliveIdle: seconds(10), keepAliveInterval: seconds(2), keepAliveCount: 3 }

t.test('off by default, two hours when on (MUST-24, MUST-25, MUST-28)', async (t) => {
  const s = new Script()
  const c = s.established()
  s.run(seconds(100_000))
  s.out()
  t.equal(c.get('keepAlive'), false)
  t.equal(c.get('keepAliveIdle'), seconds(7200))
  c.set('keepAlive', true)
  s.run(seconds(7200) - 1)
  s.out()
  s.run(1)
  s.out('. 0:0 ack 1')
  c.set('keepAlive', false)
  s.run(seconds(100_000))
  s.out()
  t.equal(c.state, 'ESTABLISHED')
})

t.test('probes an idle peer, and gives up only after several (MUST-27, MUST-29)', async (t) => {
  const s = new Script()
  const c = s.established(KEEP)
  s.run(seconds(10))
  s.out('. 0:0 ack 1')
  s.in('. 1:1 ack 1')
  s.run(seconds(10) - 1)
  s.out()
  s.run(1)
  s.out('. 0:0 ack 1')
  s.run(seconds(2))
  s.out('. 0:0 ack 1')
  s.run(seconds(2))
  s.out('. 0:0 ack 1')
  s.run(seconds(2) - 1)
  s.tells()
  s.run(1)
  s.out('R. 1:1 ack 1')
  s.tells('closed ETIMEDOUT keepAliveTimeout')
  t.equal(c.state, 'CLOSED')
  t.equal(s.timers.size, 0)
})

t.test('what arrives puts the probe off; nothing is probed while data is outstanding (MUST-26)', async (t) => {
  const s = new Script()
  const c = s.established(KEEP)
  s.run(seconds(6))
  s.in('. 1:11 ack 1')
  s.out('. 1:1 ack 11')
  s.run(seconds(9))
  s.out()
  s.run(seconds(1))
  s.out('. 0:0 ack 11')
  s.in('. 11:11 ack 1')
  c.set('keepAliveIdle', ms(50))
  s.write(c, 5)
  s.out('P. 1:6 ack 11')
  for (let i = 0; i < 40; i++) {
    s.run(ms(50))
    if (s.skip() > 0) t.equal(s.lastPacket?.seq, 1, 'a retransmission, not a probe')
  }
  t.equal(s.withinCall, 0, 'no handler ran within a call')
})

t.test('we answer probes of the peer, with and without an octet', async (t) => {
  const s = new Script()
  s.established()
  s.in('. 0:0 ack 1')
  s.out('. 1:1 ack 1')
  s.in('. 0:1 ack 1')
  s.out('. 1:1 ack 1')
  t.equal(s.withinCall, 0, 'no handler ran within a call')
})
