/**
 * When to acknowledge (RFC 9293 §3.8.6.3, RFC 5681 §4.2), as Linux does it: at once while the sender is in slow start and
 * its window grows by our ACKs, which is at the beginning and after a pause; then every second full segment, or after a
 * while; and where data is answered by data, together with that.
 */
import type { Instant } from '../../../src/kernel/clock.ts'
import { NEVER, type Tcb } from './tcb.ts'

/** Acknowledgments sent at once, at the most: by then there are enough for every second segment. */
const MOST_QUICK_ACKS = 16
const LEAST_QUICK_ACKS = 2

/** Within a batch, an ACK that stands for so many full segments does not wait for the end: ACKs clock the sender. */
const STRETCH_SEGMENTS = 16
/** Of super-segments it stands for so many octets at least: each ACK costs as much as receiving one of them. */
const STRETCH_OCTETS = 131_072

/** Data has arrived. */
export function noteArrival(tcb: Tcb, now: Instant): void {
  // After a pause of a timeout the sender may have gone back to slow start.
  if (tcb.lastDataAt < 0 || now - tcb.lastDataAt > tcb.rtt.rto) beQuick(tcb)
  tcb.lastDataAt = now
}

/** Acknowledges at once for a while. */
export function beQuick(tcb: Tcb): void {
  const halfWindow = Math.floor(tcb.rcv.wnd / (2 * tcb.rcvMss))
  tcb.quickAcks = Math.max(tcb.quickAcks, Math.min(Math.max(halfWindow, LEAST_QUICK_ACKS), MOST_QUICK_ACKS))
}

/** Something went wrong on the way here: the sender must hear of everything. */
export function beQuickAfterTrouble(tcb: Tcb): void {
  tcb.interactive = false
  beQuick(tcb)
}

/** Data has been sent: if that was the answer to what had just arrived, the next one will be too. */
export function noteAnswer(tcb: Tcb, now: Instant): void {
  if (tcb.lastDataAt >= 0 && now - tcb.lastDataAt < tcb.settings.delayedAck) tcb.interactive = true
}

/** Data has been taken in: the acknowledgment goes now, or is on its way. @param whole it came in a super-segment. */
export function scheduleAck(tcb: Tcb, whole: boolean, now: Instant): void {
  const unacknowledged = (tcb.rcv.nxt - tcb.rcv.acked) | 0
  // A sender that may send no more cannot make it two.
  const stalled = tcb.rcv.wnd < tcb.rcvMss
  if ((tcb.quickAcks > 0 && !tcb.interactive) || unacknowledged > tcb.rcvMss || stalled) {
    tcb.ackNow = true
    const stretch = STRETCH_SEGMENTS * tcb.rcvMss
    if (unacknowledged >= (whole ? Math.max(stretch, STRETCH_OCTETS) : stretch)) tcb.ackEach = true
  } else if (tcb.deadlines.delayedAck === NEVER) {
    tcb.deadlines.delayedAck = now + tcb.settings.delayedAck
  }
}

/** A request that is the last: its acknowledgment goes with the answer. */
export function expectAnswer(tcb: Tcb): void {
  if (tcb.state === 'ESTABLISHED' && !tcb.early) tcb.interactive = true
}

/** The peer has said all: who answers that by a FIN does so soon, and the acknowledgment goes with it. */
export function scheduleAckOfFin(tcb: Tcb, now: Instant): void {
  // A peer that has said nothing, or began by data in its SYN, hears at once, as from Linux.
  if (tcb.lastDataAt < 0 || tcb.early) {
    tcb.ackNow = true
    return
  }
  tcb.interactive = true
  scheduleAck(tcb, false, now)
}

/** An acknowledgment has waited for an answer that did not come. */
export function ackOverdue(tcb: Tcb): void {
  tcb.deadlines.delayedAck = NEVER
  tcb.interactive = false
  tcb.ackNow = true
}
