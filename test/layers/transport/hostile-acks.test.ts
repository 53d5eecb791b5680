/** A receiver that lies: it acknowledges what it cannot have, in crumbs, or again and again (Savage et al. 1999). */
import t from 'tap'
import { ms } from '../../../src/kernel/clock.ts'
import { Script } from './tcp/script.ts'

const MSS = 1000
const WINDOW = 60_000

t.test('an optimistic ACK, of what was never sent, grows nothing', async (t) => {
  const s = new Script()
  const c = s.established({}, MSS, WINDOW)
  s.write(c, 100_000)
  const sent = s.skip()
  const { cwnd, outstanding } = c.info()
  t.ok(outstanding <= cwnd && sent > 0)
  for (let ahead = 1; ahead < 50_000; ahead += 997) s.in(`. 1:1 ack ${1 + outstanding + ahead} win ${WINDOW}`)
  s.skip()
  t.equal(c.info().cwnd, cwnd)
  t.equal(c.info().outstanding, outstanding, 'and nothing of it counts')
  t.equal(c.queuedOctets, 100_000)
  t.equal(c.state, 'ESTABLISHED')
  s.close()
  t.equal(s.packets, 0)
})

t.test(
  'ACKs before the data can have arrived: as much is in flight as window and buffer allow, and no more',
  async (t) => {
    const buffer = 200_000
    const s = new Script()
    const c = s.passive(`mss ${MSS},ws 7`, { sendBuffer: buffer }, 65_535)
    let acked = 1
    let most = 0
    for (let turn = 0; turn < 200; turn++) {
      s.write(c, c.writableOctets)
      s.skip()
      const { outstanding } = c.info()
      most = Math.max(most, outstanding)
      acked += outstanding
      s.in(`. 1:1 ack ${acked} win 65535`)
      s.run(10)
    }
    t.ok(most <= buffer, `${most} octets in flight at the most`)
    t.ok(s.chunks * 16_384 <= 2 * buffer, `${s.chunks} chunks`)
    s.close()
    t.equal(s.chunks, 0)
  },
)

t.test('an ACK in crumbs opens the window no further than a whole one (RFC 3465)', async (t) => {
  const grown = (crumbs: number): number => {
    const s = new Script()
    const c = s.established({}, MSS, WINDOW)
    s.write(c, 100_000)
    s.skip()
    s.run(ms(100))
    const flight = c.info().outstanding
    for (let i = 1; i <= crumbs; i++) s.in(`. 1:1 ack ${1 + Math.floor((flight * i) / crumbs)} win ${WINDOW}`)
    const { cwnd } = c.info()
    s.close()
    return cwnd
  }
  const whole = grown(1)
  t.ok(grown(10) <= whole + MSS, 'an ACK a segment')
  t.ok(grown(1000) <= whole + MSS, `a thousand ACKs: ${grown(1000)} instead of ${whole}`)
})

t.test('duplicate ACKs without end: nothing beyond the window is sent, and memory stays', async (t) => {
  const s = new Script()
  const c = s.established({}, MSS, WINDOW)
  s.write(c, 200_000)
  s.skip()
  let sent = 0
  for (let i = 0; i < 5000; i++) {
    s.in(`. 1:1 ack 1 win ${WINDOW}`)
    sent += s.skip()
  }
  const { outstanding } = c.info()
  t.ok(outstanding <= WINDOW, `${outstanding} octets in flight`)
  t.ok(sent <= (2 * WINDOW) / MSS, `${sent} segments for 5000 duplicates`)
  t.equal(s.packets, 0)
  s.in(`. 1:1 ack ${1 + outstanding} win ${WINDOW}`)
  s.run(ms(100))
  t.ok(c.info().cwnd <= WINDOW + MSS, 'and what they have inflated is let out')
  s.close()
})
