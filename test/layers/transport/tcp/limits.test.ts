/** What anyone may provoke, and what may linger, is bounded. */
import t from 'tap'
import { ms, seconds } from '../../../../src/kernel/clock.ts'
import { Script } from './script.ts'

t.test('resets are limited by the second', async (t) => {
  const s = new Script({ tcp: { maxResets: 100 } })
  for (let i = 0; i < 50; i++) s.in('S 0:0', '. 1:1 ack 1')
  t.equal(s.skip(), 10, 'a tenth at once')
  t.equal(s.drops('resetLimit'), 90)
  s.run(ms(50))
  for (let i = 0; i < 50; i++) s.in('S 0:0')
  t.equal(s.skip(), 5, 'and as many as the time allows')
  s.run(seconds(10))
  for (let i = 0; i < 50; i++) s.in('R 0:0')
  s.in('S 0:0')
  t.equal(s.skip(), 1, 'what is not answered takes none')
})

t.test('SYN-ACKs with cookies are limited by the second', async (t) => {
  const s = new Script({ tcp: { maxSynReceived: 1, maxCookies: 100 } })
  s.listen()
  s.in('S 0:0')
  s.ports[1] = 40_001
  for (let i = 0; i < 50; i++) s.in('S 0:0')
  t.equal(s.skip(), 11, 'one that is remembered, and a tenth')
  t.equal(s.drops('cookieLimit'), 40)
  s.run(ms(50))
  for (let i = 0; i < 50; i++) s.in('S 0:0')
  t.equal(s.skip(), 5)
})
