/** What keeps a sender from sending, and for how long: `busyTime`, `windowLimitedTime`, `bufferLimitedTime` of `info()`. */
import t from 'tap'
import { ms } from '../../../../src/kernel/clock.ts'
import { Script } from './script.ts'

t.test('the peer may be in the way', async (t) => {
  const s = new Script()
  const c = s.established({}, 1000, 500)
  t.equal(c.info().busyTime, 0)
  s.write(c, 1500)
  s.run(ms(100))
  t.equal(c.info().windowLimitedTime, ms(100))
  s.in('. 1:1 ack 1 win 5000')
  t.equal(s.skip(), 2)
  s.run(ms(20))
  s.in('. 1:1 ack 1501 win 5000')
  s.run(ms(500))
  t.equal(c.info().windowLimitedTime, ms(100))
  t.equal(c.info().busyTime, ms(120))
})

t.test('so may the send queue, and the application may have nothing to send', async (t) => {
  const s = new Script()
  const c = s.established({ sendBuffer: 4000 }, 1000)
  s.write(c, 3000)
  t.equal(s.skip(), 3)
  s.run(ms(10))
  t.equal(c.info().bufferLimitedTime, 0)
  t.equal(c.write(new Uint8Array(2000)), 1000)
  s.run(0)
  t.equal(s.skip(), 1)
  s.run(ms(10))
  t.equal(c.info().bufferLimitedTime, ms(10))
  s.in('. 1:1 ack 4001 win 60000')
  s.run(ms(10))
  t.equal(c.info().bufferLimitedTime, ms(10))
  t.equal(c.info().busyTime, ms(20))
})

t.test('when data last arrived', async (t) => {
  const s = new Script()
  const c = s.established()
  s.run(ms(30))
  s.in('. 1:101 ack 1')
  s.run(ms(40))
  t.equal(c.info().sinceReceived, ms(40))
  s.in('. 101:101 ack 1')
  t.equal(c.info().sinceReceived, ms(40), 'an ACK is no data')
})
