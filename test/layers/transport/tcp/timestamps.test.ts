/** What the timestamps of a SYN-ACK say of it; PAWS and TS.Recent are in `validation.test.ts`. */
import t from 'tap'
import { ms } from '../../../../src/kernel/clock.ts'
import { Script } from './script.ts'

t.test('a SYN-ACK must echo when a SYN of ours was sent, or nothing; another is answered by a reset', async (t) => {
  const s = new Script()
  const c = s.connect()
  s.skip()
  const stamp = Number(/ts (\d+)/.exec(s.lastPacket?.options ?? '')?.[1])
  s.run(ms(100))
  for (const echo of [stamp - 1, stamp + 101, stamp + 2 ** 30]) {
    s.in(`S. 0:0 ack 1 <mss 1000,ts 1000 ${echo}>`)
    s.out('R 1:1')
    t.equal(c.state, 'SYN-SENT')
  }
  s.in(`R. 0:0 ack 1 <nop,nop,ts 1000 ${stamp - 1}>`)
  s.run(ms(10))
  s.out()
  t.equal(s.drops('unacceptableAck'), 4)
  s.run(ms(890))
  s.skip()
  // To the SYN that was sent first, or again.
  s.in(`S. 0:0 ack 1 <mss 1000,ts 1000 ${stamp}>`)
  s.out('. 1:1 ack 1')
  t.equal(c.state, 'ESTABLISHED')
})

t.test('who takes no part in timestamps is not judged by them', async (t) => {
  const s = new Script({ tcp: { timestamps: false } })
  const c = s.connect()
  s.skip()
  s.in('S. 0:0 ack 1 <mss 1000,ts 1000 77>')
  s.out('. 1:1 ack 1')
  t.equal(c.state, 'ESTABLISHED')
})
