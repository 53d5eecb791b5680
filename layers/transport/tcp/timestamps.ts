/** What the timestamps of a segment say (RFC 7323): whether it is of this connection and of now, and what to echo. */
import { type Duration, type Instant, seconds } from '../../../src/kernel/clock.ts'
import { after, before } from '../../../src/kernel/sequence.ts'
import type { Segment } from './segment.ts'
import type { Tcb } from './tcb.ts'

/** TS.Recent is not believed any more after this (RFC 7323 §5.5). */
const TS_RECENT_LIFE: Duration = seconds(24 * 86_400)

/** PAWS: an old duplicate, from before the sequence numbers wrapped (RFC 7323 §5.3 R1). */
export function isOldDuplicate(tcb: Tcb, seg: Segment, now: Instant): boolean {
  return before(seg.tsval, tcb.tsRecent) && now - tcb.tsRecentAt <= TS_RECENT_LIFE
}

/** TS.Recent follows the segments at the left edge (RFC 7323 §4.3 (2)). */
export function rememberTimestamp(tcb: Tcb, seg: Segment, now: Instant): void {
  if (after(seg.seq, tcb.rcv.acked) || isOldDuplicate(tcb, seg, now)) return
  tcb.tsRecent = seg.tsval
  tcb.tsRecentAt = now
}

/** A SYN-ACK that echoes a time at which no SYN of ours was sent answers another connection's, or is forged, as Linux sees it. */
export function echoesOurSyn(tcb: Tcb, seg: Segment, now: Instant): boolean {
  if (!tcb.settings.timestamps || !seg.hasTimestamps || seg.tsecr === 0) return true
  return !before(seg.tsecr, tcb.tsval(tcb.unackedSince)) && !after(seg.tsecr, tcb.tsval(now))
}
