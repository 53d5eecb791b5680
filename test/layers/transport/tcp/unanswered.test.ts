/** R1 (RFC 9293 §3.8.3): what happens before a connection is given up. */
import t from 'tap'
import type { Connection } from '../../../../src/api/sockets.ts'
import { seconds } from '../../../../src/kernel/clock.ts'
import { Script } from './script.ts'

/** Hears of R1, too. */
function hear(s: Script, c: Connection): void {
  c.handler = { ...s.handler, unanswered: () => s.told.push('unanswered') }
}

t.test(
  'R1: after three retransmissions the network looks again, and the application is told (MUST-20, SHLD-9, SHLD-10)',
  async (t) => {
    const s = new Script()
    const c = s.established()
    hear(s, c)
    s.write(c, 10)
    s.run(seconds(1))
    t.equal(s.net.doubted, 0)
    s.tells()
    s.run(seconds(1))
    t.equal(c.info().timeouts, 3)
    t.equal(s.net.doubted, 1)
    s.tells('unanswered')
    s.run(seconds(60))
    t.equal(s.net.doubted, 1, 'once for each segment')
    s.in('. 1:1 ack 11')
    s.write(c, 10)
    s.run(seconds(400))
    t.equal(s.net.doubted, 2)
    s.tells('unanswered')
  },
)

t.test('R1 is what the node says', async (t) => {
  const s = new Script({ tcp: { reportRetries: 1 } })
  const c = s.established()
  hear(s, c)
  s.write(c, 10)
  s.run(seconds(1))
  t.equal(s.net.doubted, 1)
  s.tells('unanswered')
  t.throws(() => new Script({ tcp: { reportRetries: 0 } }), { code: 'ERR_OUT_OF_RANGE' })
})

t.test('R1 holds for a SYN like for data (MUST-22)', async (t) => {
  const s = new Script()
  hear(s, s.connect())
  s.run(seconds(6))
  s.tells()
  s.run(seconds(1))
  t.equal(s.net.doubted, 1)
  s.tells('unanswered')
  s.run(seconds(120))
  s.tells('closed ETIMEDOUT retransmissionTimeout')
})

t.test('R1 holds for a SYN-ACK: the network is told, nobody else', async (t) => {
  const s = new Script()
  s.listen()
  s.in('S 0:0 <mss 1000>')
  s.run(seconds(7))
  t.equal(s.net.doubted, 1)
  s.tells()
})
