/** When data is acknowledged (RFC 9293 §3.8.6.3, RFC 5681 §4.2). */
import t from 'tap'
import { ms } from '../../../../src/kernel/clock.ts'
import { Script } from './script.ts'

/** Established, the first sixteen segments acknowledged one by one, all read. */
function settled(): { s: Script; c: ReturnType<Script['established']>; at: number } {
  const s = new Script()
  const c = s.established()
  let at = 1
  for (let i = 0; i < 16; i++, at += 1000) {
    s.in(`. ${at}:${at + 1000} ack 1`)
    s.out(`. 1:1 ack ${at + 1000}`)
  }
  s.read(c)
  return { s, c, at }
}

t.test('after a pause of a timeout, at once again: the sender may be in slow start', async (t) => {
  const { s, at } = settled()
  s.in(`. ${at}:${at + 100} ack 1`)
  s.out()
  s.run(ms(40))
  s.out(`. 1:1 ack ${at + 100}`)
  s.run(ms(1000))
  s.in(`. ${at + 100}:${at + 200} ack 1`)
  s.out(`. 1:1 ack ${at + 200}`)
  t.equal(s.withinCall, 0)
})

t.test('what is answered by data is acknowledged by the answer', async (t) => {
  const s = new Script()
  const c = s.established()
  s.in('P. 1:101 ack 1')
  s.out('. 1:1 ack 101')
  s.write(c, 50)
  s.out('P. 1:51 ack 101')
  s.in('P. 101:201 ack 51')
  s.out()
  s.run(ms(5))
  s.write(c, 50, 50)
  s.out('P. 51:101 ack 201')
  // An answer that does not come: the acknowledgment goes alone, and those after it do not wait.
  s.in('P. 201:301 ack 101')
  s.run(ms(40) - 1)
  s.out()
  s.run(1)
  s.out('. 101:101 ack 301')
  s.in('P. 301:401 ack 101')
  s.out('. 101:101 ack 401')
  t.equal(c.readableOctets, 400)
})

t.test('two full segments are acknowledged at once, answer or not', async (t) => {
  const { s, c, at } = settled()
  s.write(c, 50)
  s.out(`P. 1:51 ack ${at}`)
  s.in(`. ${at}:${at + 1000} ack 51`)
  s.out()
  s.in(`. ${at + 1000}:${at + 2000} ack 51`)
  s.out(`. 51:51 ack ${at + 2000}`)
  t.equal(s.withinCall, 0)
})

t.test('duplicates are acknowledged at once, and so is what follows', async (t) => {
  const { s, at } = settled()
  s.in(`. ${at - 1000}:${at} ack 1`)
  s.out(`. 1:1 ack ${at}`)
  s.in(`. ${at}:${at + 10} ack 1`)
  s.out(`. 1:1 ack ${at + 10}`)
  t.equal(s.drops('duplicateData'), 1)
})

t.test('a small window is acknowledged at once for a few segments only', async (t) => {
  const s = new Script()
  s.established({ receiveBuffer: 6000 })
  for (const at of [1, 11, 21]) {
    s.in(`. ${at}:${at + 10} ack 1`)
    s.out(`. 1:1 ack ${at + 10}`)
  }
  t.equal(s.withinCall, 0)
})

t.test('the end of a peer that has sent data is acknowledged with our own, or after a while', async (t) => {
  for (const answers of [true, false]) {
    const s = new Script()
    const c = s.established()
    s.in('P. 1:101 ack 1')
    s.out('. 1:1 ack 101')
    s.in('F. 101:101 ack 1')
    s.out()
    s.run(ms(40) - 1)
    s.out()
    t.equal(c.state, 'CLOSE-WAIT')
    if (answers) {
      s.read(c)
      s.call(() => c.close())
      s.out('F. 1:1 ack 102')
    }
    s.run(1)
    s.out(...(answers ? [] : ['. 1:1 ack 102']))
    t.equal(s.withinCall, 0)
  }
})

t.test('a request that is all the peer says is acknowledged by the answer', async (t) => {
  const s = new Script()
  const c = s.established()
  s.in('FP. 1:101 ack 1')
  s.out()
  s.run(ms(39))
  s.read(c)
  s.write(c, 50)
  s.out('P. 1:51 ack 102')
  const full = new Script()
  full.established()
  full.in('FP. 1:1461 ack 1')
  full.out('. 1:1 ack 1462')
  // It comes again: the acknowledgment was lost.
  full.in('FP. 1:1461 ack 1')
  full.out('. 1:1 ack 1462')
  t.equal(s.withinCall + full.withinCall, 0)
})

t.test('the end is acknowledged at once where nothing came before it, and where we have ended too', async (t) => {
  const silent = new Script()
  silent.established()
  silent.in('F. 1:1 ack 1')
  silent.out('. 1:1 ack 2')
  const s = new Script()
  const c = s.established()
  s.in('P. 1:101 ack 1')
  s.out('. 1:1 ack 101')
  s.read(c)
  s.call(() => c.close())
  s.out('F. 1:1 ack 101')
  s.in('F. 101:101 ack 2')
  s.out('. 2:2 ack 102')
  // It comes again: the acknowledgment was lost.
  s.in('F. 101:101 ack 2')
  s.out('. 2:2 ack 102')
  t.equal(s.withinCall + silent.withinCall, 0)
})

t.test('an end behind a hole is acknowledged at once, and so is what fills the hole', async (t) => {
  const s = new Script()
  const c = s.established()
  s.in('P. 1:101 ack 1')
  s.out('. 1:1 ack 101')
  // From now on answers are expected, and acknowledgments wait for them.
  s.read(c)
  s.write(c, 50)
  s.out('P. 1:51 ack 101')
  s.in('F. 201:201 ack 51')
  s.out('. 51:51 ack 101')
  s.in('. 101:201 ack 51')
  s.out('. 51:51 ack 202')
  t.equal(c.state, 'CLOSE-WAIT')
})
