/** The window we offer: from the buffer, never shrinking, never silly (RFC 9293 §3.8.6, RFC 7323 §2). */
import type { Tcb } from './tcb.ts'

/**
 * Room for data that is not there yet, as far as a window can say it; negative while the last unit of a scaled window
 * lies beyond the buffer. The largest that a header can say is kept as whole segments, rounded up, where there is room:
 * who fills it need not cut the last one, and the RST of a peer that counts so is challenged (RFC 5961 §3.2).
 */
function freeOctets(tcb: Tcb): number {
  const { announcedMss, rcv, receiveLimit, readableOctets } = tcb
  const largest = 0xffff << Math.max(rcv.shift, 0)
  return Math.min(receiveLimit - readableOctets, largest + announcedMss - 1 - ((largest - 1) % announcedMss))
}

/**
 * Chooses the window of a segment to send now, and keeps it as RCV.WND.
 * @returns what stands in the header.
 */
export function offerWindow(tcb: Tcb): number {
  const { rcv } = tcb
  const free = freeOctets(tcb)
  const shift = Math.max(rcv.shift, 0)
  // Receiver's silly window avoidance (RFC 9293 §3.8.6.2.2): open it by a segment or half the buffer, else not at all.
  // What the header cannot say cannot be silly.
  const more = rcv.wnd >= 0xffff << shift ? 1 : Math.min(tcb.receiveLimit >> 1, tcb.rcvMss)
  if (free - rcv.wnd >= more) rcv.wnd = free
  const unit = 1 << shift
  // Rounding down would move the right edge to the left (RFC 7323 §2.4); rounding up costs at most one unit of memory.
  let units = (rcv.wnd + unit - 1) >> shift
  if (units > 0xffff) return 0xffff
  if (units << shift >= free + unit) units = rcv.wnd >> shift
  else rcv.wnd = units << shift
  return units
}

/** The window of a SYN or SYN-ACK, which is never scaled (RFC 7323 §2.2); kept as RCV.WND. */
export function offerFirstWindow(tcb: Tcb): number {
  tcb.rcv.wnd = Math.max(Math.min(freeOctets(tcb), 0xffff), tcb.rcv.wnd)
  return Math.min(tcb.rcv.wnd, 0xffff)
}

/** After a read: is the window so much larger now that the peer should hear of it? Not before he has answered our SYN-ACK. */
export function windowUpdateDue(tcb: Tcb): boolean {
  if (!tcb.established) return false
  const { wnd } = tcb.rcv
  const free = freeOctets(tcb)
  return free >= 2 * wnd && free - wnd >= Math.min(tcb.receiveLimit >> 1, tcb.rcvMss)
}

/** Smallest shift with which `octets` can be offered (RFC 7323 §2.3). */
export function windowShiftFor(octets: number): number {
  let shift = 0
  while (0xffff * 2 ** shift < octets && shift < 14) shift++
  return shift
}
