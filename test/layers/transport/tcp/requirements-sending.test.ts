/** What an application can rely on while it sends (RFC 9293 §3.7.4, §3.8.3, §3.9.1, §3.9.2). */
import t from 'tap'
import { seconds } from '../../../../src/kernel/clock.ts'
import { Script } from './script.ts'
import type { Sent } from './segment-text.ts'

t.test('nothing written waits for ever: for its ACK, or for a timer (MUST-60)', async (t) => {
  const s = new Script()
  const c = s.established({}, 1000, 1000)
  s.write(c, 10)
  s.out('P. 1:11 ack 1')
  s.write(c, 10, 10)
  s.out()
  s.in('. 1:1 ack 11 win 1000')
  s.out('P. 11:21 ack 1')
  s.in('. 1:1 ack 21 win 1000')
  c.set('cork', true)
  s.write(c, 10, 20)
  s.out()
  s.run(c.info().rto)
  s.out('P. 21:31 ack 1')
  s.in('. 1:1 ack 31 win 20')
  s.write(c, 30, 30)
  s.run(c.info().rto)
  s.out('. 31:51 ack 1')
  t.equal(c.queuedOctets, 30)
})

t.test('what was written leaves in the largest segments there are, the last with PSH (MUST-61, SHLD-28)', async (t) => {
  const s = new Script()
  const c = s.established()
  const segments: (Sent | undefined)[] = []
  const { sent } = s.net
  s.net.sent = (packet, to) => {
    const taken = sent(packet, to)
    segments.push(s.lastPacket)
    return taken
  }
  const pushed = () => segments.at(-1)?.flags.includes('P')
  s.write(c, 2500)
  s.run(0)
  t.same(
    segments.map((segment) => segment?.length),
    [1000, 1000, 500],
  )
  t.ok(pushed())
  s.write(c, 600, 2500)
  s.run(0)
  t.equal(segments.length, 3, 'one small segment at a time')
  s.in('. 1:1 ack 2501')
  s.run(0)
  t.equal(segments.at(-1)?.length, 600)
  t.ok(pushed())
})

t.test('a peer that falls silent is given 100 seconds and more (SHLD-11)', async (t) => {
  const s = new Script()
  const c = s.established()
  s.write(c, 10)
  s.run(seconds(100))
  t.equal(c.state, 'ESTABLISHED')
  t.ok(s.skip() > 3)
  s.run(seconds(3600))
  s.tells('closed ETIMEDOUT retransmissionTimeout')
})

t.test('the traffic class goes to the network as it is, and may change (SHLD-21, SHLD-22)', async (t) => {
  const s = new Script()
  const seen: number[] = []
  const { sent } = s.net
  s.net.sent = (packet, to) => {
    seen.push(to.trafficClass)
    return sent(packet, to)
  }
  const c = s.established({ trafficClass: 0xb8, noDelay: true })
  s.write(c, 1)
  s.run(0)
  c.set('trafficClass', 0x28)
  s.write(c, 1)
  s.run(0)
  t.same(seen, [0xb8, 0xb8, 0xb8, 0x28], 'SYN, ACK, data, data')
})

t.test('soft errors are told only to who wants to hear them (SHLD-20)', async (t) => {
  const s = new Script()
  const c = s.established()
  s.write(c, 10)
  s.skip()
  c.handler = { closed: () => s.told.push('closed') }
  s.icmp(1, { code: 'EHOSTUNREACH', reason: 'hostUnreachable' })
  s.tells()
  c.handler = s.handler
  s.icmp(1, { code: 'EHOSTUNREACH', reason: 'hostUnreachable' })
  s.tells('softError EHOSTUNREACH')
  t.equal(c.state, 'ESTABLISHED')
})
