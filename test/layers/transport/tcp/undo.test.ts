/** What the sender takes back, and what it does not take for lost, when a timeout or a recovery was one too many. */
import t from 'tap'
import type { Connection } from '../../../../src/api/sockets.ts'
import { ms } from '../../../../src/kernel/clock.ts'
import { Script } from './script.ts'

/** A peer with SACK, a round trip of 100 ms; so many octets are in flight, in segments of 1000. No probe goes before a timeout. */
function flight(octets: number, forwardRto = true): { s: Script; c: Connection } {
  const s = new Script({ tcp: { tailLossProbe: false, forwardRto } })
  s.listen()
  s.in('S 0:0 <mss 1000,sackOK>')
  s.skip()
  s.run(ms(100))
  s.in('. 1:1 ack 1')
  s.skip()
  const c = s.accepted[0] as Connection
  s.write(c, octets)
  s.skip()
  return { s, c }
}

t.test('a DSACK with the ACK that ends a recovery undoes it (RFC 3708)', async (t) => {
  for (const [blocks, cwnd] of [
    ['1:1001', 17_000],
    ['', 7000],
  ] as const) {
    const { s, c } = flight(10_000)
    s.run(ms(100))
    s.in('. 1:1 ack 1 <nop,nop,sack 1001:4001>')
    s.out('. 1:1001 ack 1')
    s.run(ms(5))
    s.in(`. 1:1 ack 10001${blocks === '' ? '' : ` <nop,nop,sack ${blocks}>`}`)
    t.match(c.info(), { congestionState: 'open', cwnd })
  }
})

t.test('so is a timeout, where a DSACK says that its retransmission came twice', async (t) => {
  for (const [blocks, state] of [
    ['1:1001', 'open'],
    ['', 'loss'],
  ] as const) {
    const { s, c } = flight(10_000, false)
    s.run(ms(301))
    s.out('. 1:1001 ack 1')
    t.match(c.info(), { congestionState: 'loss', ssthresh: 7000 })
    s.in(`. 1:1 ack 2001${blocks === '' ? '' : ` <nop,nop,sack ${blocks}>`}`)
    t.equal(c.info().congestionState, state)
    t.equal(c.info().cwnd >= 10_000, state === 'open')
    s.skip()
  }
})

t.test('a timeout that was none does not count towards giving up, though nothing new is acknowledged', async (t) => {
  const { s, c } = flight(10_000)
  s.run(ms(301))
  s.out('. 1:1001 ack 1')
  t.equal(c.info().timeouts, 1)
  // Of what was sent before the timeout only (RFC 5682 §3.1).
  s.in('. 1:1 ack 1 <nop,nop,sack 1001:2001>')
  t.match(c.info(), { timeouts: 0, sacked: 1000 })
  t.not(c.info().congestionState, 'loss')
  s.skip()
})

t.test('a timeout says nothing of what was sent less than a round trip ago', async (t) => {
  const { s, c } = flight(1000)
  s.run(ms(100))
  s.in('. 1:1 ack 1001')
  s.write(c, 2000, 1000)
  s.out('. 1001:2001 ack 1', 'P. 2001:3001 ack 1')
  s.run(c.info().rto - ms(50))
  s.write(c, 1000, 3000)
  s.out('P. 3001:4001 ack 1')
  s.run(ms(50))
  s.out('. 1001:2001 ack 1')
  t.equal(c.info().lost, 2000)
})

t.test('what was sent before the first segment went again and arrives now puts the timeout off', async (t) => {
  const { s, c } = flight(10_000)
  s.run(ms(100))
  s.in('. 1:1 ack 1 <nop,nop,sack 1001:4001>')
  s.out('. 1:1001 ack 1')
  s.run(ms(150))
  s.in('. 1:1 ack 1 <nop,nop,sack 1001:5001>')
  s.out()
  const { rto } = c.info()
  s.run(rto - 1)
  t.equal(c.info().timeouts, 0)
  s.run(1)
  t.equal(c.info().timeouts, 1)
  s.skip()
})
