/** Windows (RFC 9293 §3.8.6): what is offered, what is kept to, and what happens when there is none. */
import t from 'tap'
import { Script } from './script.ts'

t.test('only what fits the window is taken', async (t) => {
  const s = new Script()
  const c = s.established({ receiveBuffer: 1000 })
  s.in('. 1:1201 ack 1')
  s.out('. 1:1 ack 1001 win 0')
  t.equal(s.read(c, 2000, 0), 1000)
})

t.test('the sender keeps to the window, and is not silly (MUST-38)', async (t) => {
  const s = new Script()
  const c = s.established({}, 1000, 2500)
  s.write(c, 5000)
  s.out('. 1:1001 ack 1', 'P. 1001:2001 ack 1')
  s.in('. 1:1 ack 2001 win 400')
  s.out()
  s.in('. 1:1 ack 2001 win 1300')
  s.out('. 2001:3001 ack 1')
  s.in('. 1:1 ack 3001 win 2500')
  s.out('. 3001:4001 ack 1', 'P. 4001:5001 ack 1')
  t.equal(s.withinCall, 0, 'no handler ran within a call')
})

t.test('a window that shrinks below what is in flight stops the sender only (MUST-34, SHLD-15)', async (t) => {
  const s = new Script()
  const c = s.established({}, 1000, 4000)
  s.write(c, 8000)
  t.equal(s.skip(), 4)
  s.in('. 1:1 ack 1001 win 1000')
  s.out()
  s.in('. 1:1 ack 4001 win 4000')
  t.equal(s.skip(), 4)
  t.equal(c.state, 'ESTABLISHED')
})

t.test('a large window is an unsigned number (MUST-1)', async (t) => {
  const s = new Script()
  const c = s.connect()
  s.skip()
  s.in('S. 0:0 ack 1 win 65535 <mss 1000,ws 14>')
  s.in('. 1:1 ack 1 win 65535')
  t.equal(c.info().sndWnd, 65_535 * 16_384)
  s.write(c, 20_000)
  t.equal(s.skip(), 10, 'by the initial window')
})

t.test('a tiny window is filled after the override timeout (RFC 9293 §3.8.6.2.1 (4))', async (t) => {
  const s = new Script()
  const c = s.established({}, 1000, 1000)
  s.write(c, 2000)
  s.skip()
  s.in('. 1:1 ack 1001 win 100')
  s.out()
  s.run(c.info().rto)
  s.out('. 1001:1101 ack 1')
  t.equal(s.withinCall, 0, 'no handler ran within a call')
})

t.test('the window does not open by less than a segment on other segments either (MUST-39)', async (t) => {
  const s = new Script()
  const c = s.established({ receiveBuffer: 4000 })
  s.in('. 1:1001 ack 1')
  s.out('. 1:1 ack 1001 win 3000')
  t.equal(s.read(c, 400, 0), 400)
  s.write(c, 10)
  s.out('P. 1:11 ack 1001 win 3000')
  t.equal(s.read(c, 600, 400), 600)
  s.in('. 1001:1001 ack 11')
  s.write(c, 10, 10)
  s.out('P. 11:21 ack 1001 win 4000')
})

t.test('an ACK that was overtaken moves the window with SND.UNA, not beyond what was offered', async (t) => {
  const s = new Script()
  const c = s.established({}, 1000, 4000)
  s.write(c, 20_000)
  s.skip()
  // Data that follows the ACK arrives before it.
  s.in('. 101:201 ack 1 win 4000')
  s.skip()
  s.in('. 1:101 ack 2001 win 2000')
  s.out('. 4001:4001 ack 201')
  s.in('. 201:301 ack 4001 win 1000')
  s.skip()
  t.equal(c.info().sndWnd, 1000)
  t.equal(c.info().outstanding, 1000)
})

t.test('of segments with the same ACK, the one sent last says the window, in whatever order they come', async (t) => {
  const s = new Script()
  const c = s.established({}, 1000, 4000)
  s.in('. 101:201 ack 1 win 2000')
  s.in('. 1:101 ack 1 win 3000')
  s.skip()
  t.equal(c.info().sndWnd, 2000)
  s.in('. 201:201 ack 1 win 5000')
  s.run(0)
  t.equal(c.info().sndWnd, 5000)
})
