/** The user timeout option (RFC 5482). */
import t from 'tap'
import type { TcpOptions } from '../../../../layers/transport/tcp/settings.ts'
import { timeoutOf } from '../../../../layers/transport/tcp/user-timeout.ts'
import { seconds } from '../../../../src/kernel/clock.ts'
import { Script } from './script.ts'

const PLAIN: TcpOptions = { sack: false, timestamps: false, windowScaling: false }

t.test('off by default: none is sent, and the peer has no say', async (t) => {
  const s = new Script({ tcp: PLAIN })
  const c = s.connect()
  s.out('S 0:0 <mss 1460>')
  s.in('S. 0:0 ack 1 <mss 1000,uto 200>')
  s.out('. 1:1 ack 1 <>')
  t.equal(c.info().userTimeout, 0)
})

t.test('said in SYN and SYN-ACK: seconds, or minutes where these are too many', async (t) => {
  const s = new Script({ tcp: PLAIN })
  s.connect({ advertisedTimeout: 1 })
  s.out('S 0:0 <mss 1460,uto 1>')
  s.connect({ advertisedTimeout: seconds(32_767) })
  s.out('S 0:0 <mss 1460,uto 32767>')
  s.connect({ advertisedTimeout: seconds(32_768) })
  s.out(`S 0:0 <mss 1460,uto ${0x8000 | 547}>`)
  t.equal(timeoutOf(0x8000 | 547), seconds(547 * 60))
  const listening = new Script({ tcp: PLAIN })
  listening.listen({ options: { advertisedTimeout: seconds(300) } })
  listening.in('S 0:0 <mss 1000>')
  listening.out('S. 0:0 ack 1 <mss 1460,uto 300>')
})

t.test('the longer of both counts, within the limits of the node', async (t) => {
  const heard = (ours: number, theirs: number) => {
    const s = new Script({ tcp: { ...PLAIN, leastUserTimeout: seconds(150), mostUserTimeout: seconds(1000) } })
    const c = s.connect({ advertisedTimeout: seconds(ours) })
    s.skip()
    s.in(`S. 0:0 ack 1 <mss 1000,uto ${theirs}>`)
    return c.info().userTimeout / seconds(1)
  }
  t.equal(heard(200, 300), 300)
  t.equal(heard(400, 300), 400)
  t.equal(heard(10, 20), 150)
  t.equal(heard(10, 2000), 1000)
  t.equal(heard(10, 0x8000 | 5), 300)
  t.equal(heard(200, 0), 0, 'none is none')
})

t.test('a user timeout of the application stays as it is', async (t) => {
  const s = new Script({ tcp: PLAIN })
  const c = s.connect({ advertisedTimeout: seconds(200), userTimeout: seconds(20) })
  s.skip()
  s.in('S. 0:0 ack 1 <mss 1000,uto 300>')
  t.equal(c.info().userTimeout, seconds(20))
})

t.test('it ends the connection', async (t) => {
  const s = new Script({ tcp: PLAIN })
  const c = s.connect({ advertisedTimeout: seconds(120) })
  s.skip()
  s.in('S. 0:0 ack 1 <mss 1000,uto 110>')
  s.tells('established')
  s.write(c, 10)
  s.run(seconds(119))
  s.tells()
  s.run(seconds(1))
  s.tells('closed ETIMEDOUT userTimeout')
  t.equal(c.state, 'CLOSED')
})

t.test('a change is said by the next ACK, beside SACK blocks and timestamps, and heard in any segment', async (t) => {
  const s = new Script()
  const c = s.connect()
  s.skip()
  s.in('S. 0:0 ack 1 <mss 1000,sackOK,ts 1 0>')
  s.skip()
  s.call(() => c.set('advertisedTimeout', seconds(240)))
  s.out('. 1:1 ack 1 <nop,nop,ts * *,uto 240>')
  s.in('. 1001:2001 ack 1 <ts 2 0>')
  s.out('. 1:1 ack 1 <nop,nop,ts * *,nop,nop,sack 1001:2001>')
  s.call(() => c.set('advertisedTimeout', seconds(360)))
  s.in('. 3001:4001 ack 1 <ts 2 0>', '. 5001:6001 ack 1 <ts 2 0>', '. 7001:8001 ack 1 <ts 2 0>')
  s.skip()
  s.in('. 1:1 ack 1 <nop,nop,ts 2 0,uto 600>')
  t.equal(c.info().userTimeout, seconds(600))
  s.in('. 1:1 ack 100000 <nop,nop,ts 2 0,uto 900>')
  t.equal(c.info().userTimeout, seconds(600), 'not of a segment that is not acceptable')
  s.in('. 1:101 ack 1 <nop,nop,ts 2 0,uto 700>')
  t.equal(c.info().userTimeout, seconds(700))
  t.equal(s.read(c, 1000, 0), 100)
})
