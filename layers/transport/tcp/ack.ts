/** What an acceptable ACK means for the sender (RFC 9293 §3.10.7.4 fifth, RFC 5681 §3, RFC 6298 §5, RFC 8985). */
import type { Instant } from '../../../src/kernel/clock.ts'
import { after, before } from '../../../src/kernel/sequence.ts'
import { UNLIMITED } from './congestion.ts'
import { assess, assessProbe, forgetDuplicates, takeBlocks } from './loss.ts'
import { armAfterAck } from './loss-timer.ts'
import { probeAcked } from './mtu-probe.ts'
import { endPersist } from './output.ts'
import { Progress } from './progress.ts'
import { DUP_THRESHOLD } from './rack.ts'
import { reduceWindow } from './reduction.ts'
import { CWR, ECE, FIN, type Segment, SYN } from './segment.ts'
import type { Sender } from './sender.ts'
import { DRAINED, SOFT_ERROR, type Tcb } from './tcb.ts'
import { noteRoom } from './writing.ts'

const TOLD = new Progress()

/** Takes in SEG.ACK, SEG.WND and SACK of a segment whose ACK lies at or after SND.UNA and not after SND.NXT, or is old. */
export function acknowledge(tcb: Tcb, seg: Segment, now: Instant): void {
  tcb.probes = 0
  // It has been told; whatever fails later on, the way was open in between.
  if ((tcb.events & SOFT_ERROR) === 0) tcb.softFailure = null
  // The sender has slowed down (RFC 3168 §6.1.3). He should say so with data; who does not would see the echo for ever.
  if (tcb.ecnEcho && (seg.flags & CWR) !== 0) tcb.ecnEcho = false
  const acked = (seg.ack - tcb.snd.una) | 0
  const { sender } = tcb
  if (sender === null) {
    if (acked >= 0) updateWindow(tcb, seg)
  } else if (acked < 0) {
    oldAck(tcb, sender, seg, now)
  } else if (acked === 0 && saysNothing(sender, seg)) {
    moveWindow(tcb, seg)
  } else {
    currentAck(tcb, sender, seg, acked, now)
  }
}

/** Data came; what its ACK would be about is in order, and nothing is being found out. */
function saysNothing(s: Sender, seg: Segment): boolean {
  const inOrder = s.state === 'open' && !s.probing && !s.uncontrolled
  return inOrder && seg.length > 0 && seg.sackCount === 0 && (seg.flags & ECE) === 0
}

function moveWindow(tcb: Tcb, seg: Segment): void {
  updateWindow(tcb, seg)
  // A window that has shrunk to nothing is no reason to give up, as long as there is somebody to read on both sides.
  if (tcb.snd.wnd === 0 && !tcb.orphan) tcb.retransmits = 0
}

/**
 * Only from segments that are newer than the one the window came from, so that an old one cannot shrink it; and from those
 * that acknowledge something new in any case, or SND.WND would reach further than was offered. Before SND.UNA moves.
 */
function updateWindow(tcb: Tcb, seg: Segment): void {
  const { snd } = tcb
  const newer = before(snd.wl1, seg.seq) || (snd.wl1 === seg.seq && !after(snd.wl2, seg.ack))
  if (!newer && !after(seg.ack, snd.una)) return
  snd.wnd = seg.wnd << snd.shift
  snd.wl1 = seg.seq
  snd.wl2 = seg.ack
  if (snd.wnd > snd.maxWnd) snd.maxWnd = snd.wnd
}

function begin(tcb: Tcb, s: Sender, seg: Segment, now: Instant): void {
  tcb.echoes = tcb.timestamps && seg.hasTimestamps && seg.tsecr !== 0 && mayEcho(tcb, seg, now)
  tcb.lastEcho = seg.tsecr
  // Timestamps are milliseconds: what echoes this one was sent before its millisecond was over.
  const echoedAt = tcb.echoes ? now - (((tcb.tsval(now) - seg.tsecr) | 0) - 1) * 1000 : -1
  TOLD.begin(tcb.snd.una, s.board, tcb.sack, s.recover, s.minRtt.value, echoedAt, now)
}

/**
 * Can that be the time of something which is newly acknowledged (RFC 7323 §4.1)? All of it was sent a timeout at the most
 * before SND.UNA came to where it stands.
 */
function mayEcho(tcb: Tcb, seg: Segment, now: Instant): boolean {
  if (seg.ack === tcb.snd.una) return true
  const elapsed = (tcb.tsval(now) - seg.tsecr) | 0
  return elapsed >= 0 && elapsed * 1000 <= now - tcb.unackedSince + tcb.rtt.rto
}

/** Overtaken by another; what it has to say about holes may still be new. */
function oldAck(tcb: Tcb, s: Sender, seg: Segment, now: Instant): void {
  if (seg.sackCount === 0 || !tcb.sack) return
  begin(tcb, s, seg, now)
  takeBlocks(tcb, s, seg.ack, seg.sackEdges, seg.sackCount, TOLD)
  learn(tcb, s, seg, now)
  assess(tcb, s, TOLD)
}

function currentAck(tcb: Tcb, s: Sender, seg: Segment, acked: number, now: Instant): void {
  begin(tcb, s, seg, now)
  TOLD.advanced = acked > 0
  TOLD.duplicate = acked === 0 && isDuplicate(tcb, seg)
  TOLD.congested = tcb.ecn && (seg.flags & ECE) !== 0
  moveWindow(tcb, seg)
  if (seg.sackCount > 0 && tcb.sack) takeBlocks(tcb, s, seg.ack, seg.sackEdges, seg.sackCount, TOLD)
  if (TOLD.dsack) TOLD.duplicate = false
  if (acked > 0) {
    advance(tcb, s, seg, now)
    if (tcb.search !== null) probeAcked(tcb, tcb.search, now)
  }
  learn(tcb, s, seg, now)
  if (s.probing) assessProbe(tcb, s, seg.ack, TOLD)
  const dubious = TOLD.duplicate || TOLD.sacked || TOLD.congested || TOLD.dsack || s.state !== 'open'
  const reorderingBefore = tcb.timer === 'reorder' ? tcb.deadlines.retransmit : -1
  if (dubious) assess(tcb, s, TOLD)
  const reordering = tcb.timer === 'reorder' && tcb.deadlines.retransmit !== reorderingBefore
  if ((acked > 0 || restarts(s)) && !reordering && !isWaitingForRenege(tcb, s)) armAfterAck(tcb, s, now)
  control(tcb, s, now)
}

/** The peer seems to have thrown away what it had sacked: the timer stays short. */
function isWaitingForRenege(tcb: Tcb, s: Sender): boolean {
  return s.board.sacked > 0 && tcb.sack && s.board.isHeadSacked
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

/** SND.UNA moves. */
function advance(tcb: Tcb, s: Sender, seg: Segment, now: Instant): void {
  const { snd } = tcb
  snd.una = seg.ack
  // It must not fall behind by 2^31, or it would seem to lie ahead.
  if (before(tcb.smallEnd, snd.una)) tcb.smallEnd = snd.una
  s.board.acknowledge(seg.ack, TOLD)
  if (!tcb.sack) forgetDuplicates(tcb, s, TOLD)
  releaseData(tcb)
  tcb.retransmits = 0
  tcb.unackedSince = now
  tcb.tailProbeDue = false
  if (tcb.persisting) endPersist(tcb)
}

/** Frees what is acknowledged, and sees whether the application waits for that. */
export function releaseData(tcb: Tcb): void {
  const buffer = tcb.sendBuffer
  if (buffer === null) return
  const { snd } = tcb
  const kept = Math.max((snd.end - snd.una) | 0, 0)
  const data = buffer.length - kept
  if (data <= 0) return
  buffer.release(data)
  if (kept === 0) tcb.sendBuffer = buffer.end()
  noteRoom(tcb)
  if (tcb.sender?.recordEnds?.acknowledged(snd.una) === true) tcb.sender.recordEnds = null
  if (tcb.wantsDrained && kept === 0) {
    tcb.wantsDrained = false
    tcb.events |= DRAINED
  }
}

/** Round trips, reordering and the rate of delivery. */
function learn(tcb: Tcb, s: Sender, seg: Segment, now: Instant): void {
  if (TOLD.octets === 0 && !TOLD.dsack) return
  measure(tcb, s, seg, now)
  s.rack.advance(TOLD)
  if (TOLD.reordered) s.rack.sawReordering((s.board.fack - TOLD.reorderedAt) | 0, s.mss)
  s.rate.sample(TOLD, s.minRtt.value)
  s.rack.adapt(TOLD, s.rate.delivered)
}

/** A round trip is measured by what was sent once (Karn), or by its echo when timestamps tell (RFC 7323 §4.1). */
function measure(tcb: Tcb, s: Sender, seg: Segment, now: Instant): void {
  let sentAt = TOLD.ambiguous ? -1 : TOLD.firstSentAt
  if (sentAt < 0) sentAt = TOLD.firstSackedAt
  if (sentAt >= 0) {
    const rtt = Math.max(now - sentAt, 1)
    const least = TOLD.lastSentAt >= 0 && !TOLD.ambiguous ? Math.max(now - TOLD.lastSentAt, 1) : rtt
    s.minRtt.sample(least, now)
    s.algorithm.measured(s, least, tcb.snd.una, tcb.snd.nxt)
    sampled(tcb, s, rtt)
  } else if (TOLD.advanced && tcb.echoes && !TOLD.dsack) {
    // Not when a duplicate has caused the ACK: that echoes what arrived long before it.
    // Milliseconds, so that a shorter round trip counts as a half
    const elapsed = (tcb.tsval(now) - seg.tsecr) | 0
    if (elapsed >= 0) sampled(tcb, s, Math.max(elapsed * 1000, 500))
  }
}

function sampled(tcb: Tcb, s: Sender, rtt: number): void {
  tcb.rtt.sample(rtt, tcb.snd.una, tcb.snd.nxt)
  s.srtt = tcb.rtt.srtt
  tcb.backoff = 0
}

/** Something sent before the first segment was sent again has arrived: others of that flight may be on their way. */
function restarts(s: Sender): boolean {
  return TOLD.firstSackedAt >= 0 && TOLD.firstSackedAt < s.board.headSentAt
}

/** The window follows. */
function control(tcb: Tcb, s: Sender, now: Instant): void {
  if (s.reducing) reduceWindow(tcb, s, TOLD)
  else if (s.uncontrolled && s.state !== 'loss') s.cwnd = UNLIMITED
  else if (TOLD.octets > 0 && (TOLD.advanced || s.rack.reordering > DUP_THRESHOLD)) {
    if (s.state === 'loss' || s.limited) s.algorithm.grow(s, TOLD.octets, tcb.rtt.srtt, now)
  }
}
