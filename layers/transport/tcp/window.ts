/** The window we offer: from the buffer, never shrinking, never silly (RFC 9293 §3.8.6, RFC 7323 §2). */
import type { Tcb } from './tcb.ts'

/**
 * Room for data that is not there yet, as far as a window can say it; negative while the last unit of a scaled window
 * lies beyond the buffer.
 */
function freeOctets(tcb: Tcb): number {
  return Math.min(tcb.receiveLimit - tcb.readableOctets, 0xffff << Math.max(tcb.rcv.shift, 0))
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
  if (free - rcv.wnd >= Math.min(tcb.receiveLimit >> 1, tcb.rcvMss)) rcv.wnd = free
  const unit = 1 << shift
  // Rounding down would move the right edge to the left (RFC 7323 §2.4); rounding up costs at most one unit of memory.
  let units = (rcv.wnd + unit - 1) >> shift
  if (units << shift >= free + unit || units > 0xffff) units = rcv.wnd >> shift
  else rcv.wnd = units << shift
  return units
}

/** The window of a SYN or SYN-ACK, which is never scaled (RFC 7323 §2.2); kept as RCV.WND. */
export function offerFirstWindow(tcb: Tcb): number {
  tcb.rcv.wnd = Math.max(Math.min(freeOctets(tcb), 0xffff), tcb.rcv.wnd)
  return Math.min(tcb.rcv.wnd, 0xffff)
}

/** After a read: is the window so much larger now that the peer should hear of it? */
export function windowUpdateDue(tcb: Tcb): boolean {
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
