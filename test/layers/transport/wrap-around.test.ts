/** Sequence numbers and timestamps are numbers modulo 2^32 (RFC 9293 §3.4, RFC 7323 §5): wherever they begin, nothing shows. */
import t from 'tap'
import { ms, seconds } from '../../../src/kernel/clock.ts'
import { octetAt, Script, type ScriptOptions } from './tcp/script.ts'

const CIRCLE = 2 ** 32
const SEGMENT = 1000
const TOTAL = 200_000
/** Microseconds between two initial sequence numbers (RFC 9293 §3.4.1). */
const TICK_US = 4
/** All around the circle, and a transfer's way before and behind the places where an int32 turns over. */
const STARTS = [
  ...Array.from({ length: 16 }, (_, i) => (i * CIRCLE) / 16),
  ...[CIRCLE, CIRCLE / 2].flatMap((edge) => [1, 2, SEGMENT, TOTAL / 2, TOTAL].map((before) => edge - before)),
]

/** A script whose node begins its connection with this sequence number: at the instant its clock says so. */
function beginning(iss: number, options: ScriptOptions = {}): Script {
  const origin = 1_000_000
  const trial = new Script({ ...options, now: origin })
  trial.connect()
  trial.skip()
  const now = origin + ((iss - trial.rawSeq(0) + 2 * CIRCLE) % CIRCLE) * TICK_US
  trial.close()
  return new Script({ ...options, now })
}

/** Does the last segment that was sent carry the octets of its place in the stream? */
function carriesItsOwn({ lastPayload, lastPacket }: Script): boolean {
  if (lastPacket === undefined || lastPacket.length === 0) return true
  return lastPayload.every((octet, i) => octet === octetAt(lastPacket.seq - 1 + i))
}

t.test('a script begins where it is told', async (t) => {
  for (const iss of STARTS) {
    const s = beginning(iss)
    s.connect()
    s.out('S 0:0')
    t.equal(s.rawSeq(0) >>> 0, iss)
    s.close()
  }
})

for (const iss of STARTS) {
  t.test(`sending from ${iss}, with losses`, async (t) => {
    const s = beginning(iss)
    const c = s.connect()
    s.skip()
    s.in(`S. 0:0 ack 1 win 65535 <mss ${SEGMENT},sackOK>`)
    let written = 0
    let acked = 0
    let lost = 0
    let right = true
    for (let turn = 0; acked < TOTAL && turn < 1000; turn++) {
      written += s.write(c, Math.min(TOTAL - written, 50_000), written)
      s.skip()
      right &&= carriesItsOwn(s)
      const flight = c.info().outstanding
      // Of every other window the peer misses the first segment, until it comes once more.
      if (turn % 2 === 1 && flight > 4 * SEGMENT) {
        for (let at = 2; at <= 4; at++) {
          s.in(`. 1:1 ack ${1 + acked} <nop,nop,sack ${1 + acked + SEGMENT}:${1 + acked + at * SEGMENT}>`)
        }
        s.run(0)
        t.equal(c.info().retransmits, ++lost, 'it comes at once')
        s.skip()
        right &&= carriesItsOwn(s)
      }
      acked += c.info().outstanding
      s.in(`. 1:1 ack ${1 + acked}`)
      s.run(ms(20))
    }
    t.equal(acked, TOTAL)
    t.equal(c.queuedOctets, 0)
    t.ok(right, 'every segment that was looked at carries what belongs there')
    t.ok(lost > 2, `${lost} losses`)
    s.skip()
    c.close()
    s.out(`F. ${1 + TOTAL}:${1 + TOTAL} ack 1`)
    s.in(`F. 1:1 ack ${2 + TOTAL}`)
    s.out(`. ${2 + TOTAL}:${2 + TOTAL} ack 2`)
    s.close()
    t.equal(s.chunks, 0)
  })

  t.test(`receiving from ${iss}, out of order`, async (t) => {
    const s = new Script({ irs: iss })
    const c = s.passive(`mss ${SEGMENT},sackOK`)
    let read = 0
    for (let at = 0; at < TOTAL; at += 4 * SEGMENT) {
      for (const i of [2, 1, 3, 1, 0]) s.in(`. ${1 + at + i * SEGMENT}:${1 + at + (i + 1) * SEGMENT} ack 1`)
      s.run(0)
      read += s.read(c, 10_000, read)
    }
    t.equal(read, TOTAL)
    t.equal(s.drops('outsideWindow'), 0)
    s.in(`. ${1 + TOTAL - CIRCLE / 4}:${1 + TOTAL - CIRCLE / 4 + 10} ack 1`)
    s.in(`. ${1 + TOTAL + CIRCLE / 4}:${1 + TOTAL + CIRCLE / 4 + 10} ack 1`)
    t.equal(s.drops('outsideWindow'), 2, 'a quarter of the circle away is outside, on either side')
    s.in(`F. ${1 + TOTAL}:${1 + TOTAL} ack 1`)
    s.run(0)
    t.equal(c.state, 'CLOSE-WAIT')
    s.close()
    t.equal(s.packets, 0)
  })
}

t.test('timestamps of the peer wrap', async (t) => {
  const s = new Script()
  s.listen()
  s.in(`S 0:0 win 65535 <mss ${SEGMENT},ts ${CIRCLE - 3} 0>`)
  s.skip()
  s.in(`. 1:1 ack 1 <ts ${CIRCLE - 2} 0>`)
  s.run(0)
  const [c] = s.accepted
  if (c === undefined) throw new Error('nothing was accepted')
  for (const [i, tsval] of [CIRCLE - 1, 0, 1, 5, 5, 100].entries()) {
    s.in(`. ${1 + 10 * i}:${11 + 10 * i} ack 1 <ts ${tsval} 0>`)
    s.run(0)
  }
  t.equal(s.read(c, 100, 0), 60, 'on both sides of it')
  for (const tsval of [CIRCLE - 1, 99, 100 - CIRCLE / 4 + CIRCLE]) s.in(`. 61:71 ack 1 <ts ${tsval} 0>`)
  t.equal(s.drops('paws'), 3, 'what is from before is old')
  s.skip()
  s.in(`. 61:71 ack 1 <ts 100 0>`)
  s.run(ms(500))
  t.match(s.lastPacket?.options, / 100$/, 'the latest is echoed')
  s.run(seconds(25 * 86_400))
  s.in(`. 71:81 ack 1 <ts ${CIRCLE - 5} 0>`)
  s.run(0)
  t.equal(s.read(c, 100), 20, 'after more than 24 days any is taken (RFC 7323 §5.5)')
  s.close()
})

t.test('our timestamps wrap', async (t) => {
  const tsval = (s: Script): number => Number(/ts (\d+) /.exec(s.lastPacket?.options ?? '')?.[1])
  const trial = new Script()
  trial.connect()
  trial.skip()
  const untilWrap = CIRCLE - tsval(trial)
  trial.close()

  const s = new Script({ now: 1_000_000 + (untilWrap - 500) * 1000 })
  const c = s.connect()
  s.skip()
  t.equal(tsval(s), CIRCLE - 500)
  s.in(`S. 0:0 ack 1 win 65535 <mss ${SEGMENT},ts 1 ${tsval(s)}>`)
  s.run(0)
  let acked = 0
  let wrapped = false
  for (let turn = 0; turn < 20; turn++) {
    s.write(c, 10 * SEGMENT, acked)
    s.skip()
    const flight = c.info().outstanding
    const sentAt = tsval(s)
    wrapped ||= sentAt < 1000
    s.run(ms(50))
    s.skip()
    acked += flight
    s.in(`. 1:1 ack ${1 + acked} <ts ${2 + turn} ${sentAt}>`)
    s.run(0)
  }
  t.ok(wrapped)
  const { srtt, rto, retransmits } = c.info()
  t.ok(srtt > ms(40) && srtt < ms(60), `srtt ${srtt}`)
  t.ok(rto < seconds(2), `rto ${rto}`)
  t.equal(retransmits, 0)
  s.close()
})
