/** What an acceptable ACK means for the sender (RFC 9293 §3.10.7.4 fifth, RFC 5681 §3, RFC 6582, RFC 6298 §5). */
import type { Instant } from '../../../src/kernel/clock.ts'
import { after, afterOrAt, before } from '../../../src/kernel/sequence.ts'
import { endPersist } from './output.ts'
import { FIN, type Segment, SYN } from './segment.ts'
import { DRAINED, NEVER, type Tcb, WRITABLE } from './tcb.ts'

/** Duplicate ACKs that mean a loss (RFC 5681 §3.2). */
const DUP_THRESHOLD = 3

/** Takes in SEG.ACK and SEG.WND of a segment whose ACK lies at or after SND.UNA and not after SND.NXT, or is old. */
export function acknowledge(tcb: Tcb, seg: Segment, now: Instant): void {
  const { snd } = tcb
  tcb.probes = 0
  const acked = (seg.ack - snd.una) | 0
  if (acked > 0) newAck(tcb, seg, acked, now)
  else if (acked === 0 && isDuplicate(tcb, seg)) duplicateAck(tcb)
  if (acked >= 0) updateWindow(tcb, seg)
}

/** (RFC 5681 §2): data outstanding, the segment empty and its window the one we know. */
function isDuplicate(tcb: Tcb, seg: Segment): boolean {
  return (
    seg.length === 0 &&
    tcb.snd.una !== tcb.snd.nxt &&
    seg.wnd << tcb.snd.shift === tcb.snd.wnd &&
    (seg.flags & (SYN | FIN)) === 0
  )
}

/** Only from segments that are newer than the one the window came from, so that an old one cannot shrink it. */
export function updateWindow(tcb: Tcb, seg: Segment): void {
  const { snd } = tcb
  if (!(before(snd.wl1, seg.seq) || (snd.wl1 === seg.seq && !after(snd.wl2, seg.ack)))) return
  snd.wnd = seg.wnd << snd.shift
  snd.wl1 = seg.seq
  snd.wl2 = seg.ack
  if (snd.wnd > snd.maxWnd) snd.maxWnd = snd.wnd
}

function newAck(tcb: Tcb, seg: Segment, acked: number, now: Instant): void {
  const { snd } = tcb
  snd.una = seg.ack
  // It must not fall behind by 2^31, or it would seem to lie ahead.
  if (before(tcb.smallEnd, snd.una)) tcb.smallEnd = snd.una
  if (tcb.goingBack && !before(snd.una, snd.rtx)) {
    snd.rtx = snd.una
    if (snd.rtx === snd.nxt) tcb.goingBack = false
  }
  const resent = tcb.retransmits > 0 || tcb.recovery !== 'open'
  measure(tcb, seg, resent, now)
  const data = releaseData(tcb)
  tcb.retransmits = 0
  tcb.unackedSince = now
  const partial = tcb.recovery === 'fast' && before(snd.una, tcb.recover)
  if (tcb.recovery === 'fast') inFastRecovery(tcb, acked, partial)
  else grow(tcb, data, now)
  rearm(tcb, partial, now)
}

/** Frees what is acknowledged, and sees whether the application waits for that. @returns octets of data. */
function releaseData(tcb: Tcb): number {
  const buffer = tcb.sendBuffer
  if (buffer === null) return 0
  const { snd } = tcb
  const kept = Math.max((snd.end - snd.una) | 0, 0)
  const data = buffer.length - kept
  if (data <= 0) return 0
  buffer.release(data)
  if (kept === 0) tcb.sendBuffer = null
  if (tcb.wantsWritable && kept * 2 <= tcb.options.sendBuffer) {
    tcb.wantsWritable = false
    tcb.events |= WRITABLE
  }
  if (tcb.wantsDrained && kept === 0) {
    tcb.wantsDrained = false
    tcb.events |= DRAINED
  }
  return data
}

/** A round trip was measured: by a segment that was sent once, or by its echo when timestamps tell which it was. */
function measure(tcb: Tcb, seg: Segment, resent: boolean, now: Instant): void {
  if (tcb.timedAt >= 0) {
    if (before(seg.ack, tcb.timedSeq)) return
    tcb.rtt.sample(now - tcb.timedAt)
    tcb.timedAt = -1
    tcb.backoff = 0
  } else if (resent && tcb.timestamps && seg.hasTimestamps && seg.tsecr !== 0) {
    // (RFC 7323 §4.1 RTTM); milliseconds, so that a shorter round trip counts as a half
    const elapsed = (tcb.tsval(now) - seg.tsecr) | 0
    if (elapsed < 0) return
    tcb.rtt.sample(Math.max(elapsed * 1000, 500))
    tcb.backoff = 0
  }
}

function grow(tcb: Tcb, acked: number, now: Instant): void {
  const { congestion, snd } = tcb
  tcb.dupAcks = 0
  if (tcb.recovery === 'timeout' && afterOrAt(snd.una, tcb.recover)) tcb.recovery = 'open'
  if (acked > 0) {
    // In slow start a window that is half used is limiting already: it doubles within the round trip.
    const used = congestion.cwnd < congestion.ssthresh ? 2 * tcb.maxFlight : tcb.maxFlight + tcb.mss
    congestion.onAck(acked, tcb.recovery !== 'open' || congestion.cwnd < used, now)
  }
}

function inFastRecovery(tcb: Tcb, acked: number, partial: boolean): void {
  if (partial) {
    tcb.partialAcks++
    tcb.resendFirst = true
    tcb.congestion.onPartialAck(acked)
    return
  }
  tcb.congestion.onRecovered(tcb.flightSize)
  tcb.recovery = 'open'
  tcb.dupAcks = tcb.partialAcks = 0
  tcb.resendFirst = false
}

/** (RFC 6298 §5.2, §5.3); in fast recovery only the first partial ACK restarts the timer (RFC 6582 §4). */
function rearm(tcb: Tcb, partial: boolean, now: Instant): void {
  if (tcb.persisting) endPersist(tcb)
  const { deadlines, snd } = tcb
  if (snd.una === snd.nxt) deadlines.retransmit = NEVER
  else if (!partial || tcb.partialAcks <= 1) deadlines.retransmit = now + tcb.rtt.backedOff(tcb.backoff)
}

function duplicateAck(tcb: Tcb): void {
  tcb.dupAcks++
  if (tcb.recovery === 'fast') {
    tcb.congestion.onDuplicate()
    return
  }
  // After a timeout, duplicate ACKs are the echo of our own retransmissions (RFC 6582 §3.2 step 1).
  if (tcb.dupAcks !== DUP_THRESHOLD || tcb.recovery === 'timeout') return
  tcb.recovery = 'fast'
  tcb.recover = tcb.snd.nxt
  tcb.partialAcks = 0
  tcb.resendFirst = true
  tcb.congestion.onFastRetransmit(tcb.flightSize)
}
