/**
 * The segments between the first and the last of a unit (`unit.ts`). Nothing happens from one to the next, so what was
 * found out for the first holds for them, and they say the same but for their sequence numbers.
 *
 *   unit   ├─ output.ts ─┼─ here ─┼─ here ─┼─ … ─┼─ output.ts ─┤
 *
 * Only while nothing is lost, and over links that take segments one by one: others take the unit as it is.
 */
import { fold } from '../../../src/kernel/checksum.ts'
import type { Instant } from '../../../src/kernel/clock.ts'
import type { Packet } from '../../../src/kernel/packet.ts'
import { optionOctets, takeSegment } from './build.ts'
import { charge } from './pacing.ts'
import { CWR, HEADER_OCTETS, halves, PSH, pseudoHeader, TIMESTAMPS_OCTETS } from './segment.ts'
import type { Sender } from './sender.ts'
import type { Tcb } from './tcb.ts'

/** What the segments of the unit being sent have in common. One object serves all: a unit is sent in one go. */
class Burst {
  /** Whose unit it is, and what has not changed since its first segment. */
  sender: Sender | null = null
  nxt = 0
  mss = 0
  received = 0
  now: Instant = 0
  /** The words of the header behind the sequence number, but for the checksum. */
  header = 0
  ack = 0
  flags = 0
  kind = 0
  tsval = 0
  tsecr = 0
  /** The sum of the pseudo-header and of the header without sequence number. */
  sum = 0
  /** The packet of the segment made last. */
  id = 0
}

const BURST = new Burst()

/** `packet`, made last, is the first of a unit or follows such a one; something was in flight before. */
export function beginBurst(tcb: Tcb, s: Sender, packet: Packet, now: Instant): void {
  const { path, mss } = tcb
  if (s.unitLeft <= mss || s.state !== 'open' || path.segment > 0 || path.checksum || tcb.ackNow) return
  const { view, start } = packet
  const header = HEADER_OCTETS + optionOctets(tcb)
  if (packet.end - start !== header + mss) return
  const burst = BURST
  burst.sender = s
  burst.nxt = tcb.snd.nxt
  burst.mss = mss
  burst.received = tcb.segmentsReceived
  burst.now = now
  burst.header = header
  burst.ack = view.getInt32(start + 8)
  burst.flags = view.getInt32(start + 12) & ~((CWR | PSH) << 16)
  let sum = pseudoHeader(tcb.local.address, tcb.remote.address, header + mss)
  sum += halves(tcb.ports) + halves(burst.ack) + halves(burst.flags)
  if (header === HEADER_OCTETS + TIMESTAMPS_OCTETS) {
    burst.kind = view.getInt32(start + 20)
    burst.tsval = view.getInt32(start + 24)
    burst.tsecr = view.getInt32(start + 28)
    sum += halves(burst.kind) + halves(burst.tsval) + halves(burst.tsecr)
  }
  burst.sum = sum
}

/** Is it the last that `nextOfBurst` made? It was made right behind another that is like it. */
export const followsInBurst = (packet: Packet): boolean => packet.id === BURST.id

/** @returns the next segment of a unit that is being sent, or null: what comes now has to be decided. */
export function nextOfBurst(tcb: Tcb, now: Instant): Packet | null {
  const burst = BURST
  const { sender: s, snd, mss, sendBuffer } = tcb
  const seq = snd.nxt
  if (s === null || burst.sender !== s || burst.nxt !== seq || burst.now !== now || s.unitLeft <= mss) return null
  if (burst.mss !== mss || burst.received !== tcb.segmentsReceived || sendBuffer === null) return null
  const nxt = (seq + mss) | 0
  const { header } = burst
  const push = nxt === tcb.pushEnd ? PSH : 0
  const packet = takeSegment(tcb, header, mss)
  const { view, start } = packet
  view.setInt32(start, tcb.ports)
  view.setInt32(start + 4, seq)
  view.setInt32(start + 8, burst.ack)
  view.setInt32(start + 12, burst.flags | (push << 16))
  if (header > HEADER_OCTETS) {
    view.setInt32(start + 20, burst.kind)
    view.setInt32(start + 24, burst.tsval)
    view.setInt32(start + 28, burst.tsecr)
  }
  const payload = sendBuffer.copyAndSum((seq - snd.end + sendBuffer.length) | 0, mss, start + header)
  // No urgent pointer.
  view.setInt32(start + 16, ~fold(burst.sum + push + halves(seq) + payload) << 16)
  snd.nxt = burst.nxt = nxt
  s.unitLeft -= mss
  s.board.extend(nxt)
  s.noteFlight(s.board.pipe((nxt - snd.una) | 0), snd.una, nxt)
  if (s.nextUnitAt !== 0) charge(tcb, s, mss, now)
  tcb.octetsSent += mss
  burst.id = packet.id
  return packet
}
