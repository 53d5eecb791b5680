/** Units of several segments: those between the first and the last are made from what was found out for the first. */
import t from 'tap'
import { octetAt, Script } from './script.ts'

/** What a segment carries when each has timestamps. */
const FULL = 988
const HEADER_OCTETS = 32

/** Lines of `count` segments in a row. @param pushed numbers of those with PSH, from 0. */
const row = (count: number, pushed: readonly number[], rest = 'ack 1 win 65535 <nop,nop,ts * *>'): string[] =>
  Array.from({ length: count }, (_, i) => {
    const seq = 1 + i * FULL
    return `${pushed.includes(i) ? 'P.' : '.'} ${seq}:${seq + FULL} ${rest}`
  })

t.test('the segments of a unit say the same, each with its part of the data', async (t) => {
  const s = new Script()
  const c = s.passive('mss 1000,ts 1000 0')
  const payloads: number[] = []
  const stamps = new Set<string>()
  const like: boolean[] = []
  const { sent } = s.net
  s.net.sent = (packet, to) => {
    const octets = packet.bytes().slice()
    payloads.push(...octets.subarray(HEADER_OCTETS))
    like.push(to.again)
    stamps.add(`${packet.view.getInt32(packet.start + 24)} ${packet.view.getInt32(packet.start + 28)}`)
    return sent(packet, to)
  }
  s.write(c, 10 * FULL)
  // Two units of half the initial window; Script verifies the checksums.
  s.out(...row(10, [4, 9]))
  t.same(
    payloads,
    Array.from({ length: 10 * FULL }, (_, i) => octetAt(i)),
  )
  // What follows the very first is decided by itself: before it nothing was in flight.
  const first = [false, false, true, true, false]
  t.same(like, [...first, false, true, true, true, false], 'those in between are like the ones before')
  t.equal(stamps.size, 1)
  t.match([...stamps][0], / 1000$/, 'the time of the last segment is echoed')
  t.equal(c.info().octetsSent, 10 * FULL)
  s.in(`. 1:1 ack ${1 + 10 * FULL} win 65535 <ts 1001 2000>`)
  t.equal(c.queuedOctets, 0)
  t.equal(c.info().outstanding, 0)
})

t.test('the end of a write carries PSH, wherever it lies in a unit (RFC 9293 §3.9.1 MUST-61)', async (t) => {
  const s = new Script()
  const c = s.passive('mss 1000,ts 1000 0')
  s.write(c, 3 * FULL)
  s.call(() => c.write(new Uint8Array(7 * FULL), 0, 7 * FULL, true))
  s.out(...row(10, [2, 4, 9]))
  t.equal(c.info().outstanding, 10 * FULL)
})

t.test('a unit goes no further than the window', async (t) => {
  const s = new Script()
  const c = s.passive('mss 1000,ts 1000 0', undefined, 4 * FULL + 100)
  s.write(c, 10 * FULL)
  s.out(...row(4, [3]))
  t.equal(c.info().outstanding, 4 * FULL)
})

t.test('a full link stops a unit; afterwards it goes on with what has been found out meanwhile', async (t) => {
  const s = new Script()
  const c = s.passive('mss 1000,ts 1000 0')
  let left = 3
  const { sent } = s.net
  s.net.sent = (packet, to) => {
    if (--left === 0) s.net.open = false
    return sent(packet, to)
  }
  s.write(c, 5 * FULL)
  s.out(...row(3, []))
  // Meanwhile data has arrived: what follows acknowledges it.
  s.in('P. 1:11 ack 1 win 65535 <ts 1001 2000>')
  s.net.open = true
  s.net.ready()
  s.out(...row(5, [4], 'ack 11 win 65535 <nop,nop,ts * *>').slice(3))
  t.equal(c.info().outstanding, 5 * FULL)
})
