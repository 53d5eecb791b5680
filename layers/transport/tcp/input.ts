/**
 * A segment arrives for a connection (RFC 9293 §3.10.7.3 and §3.10.7.4, in the order of the steps there), with the
 * precautions of RFC 5961 against blind attackers and PAWS (RFC 7323 §5).
 *
 * Nothing is sent from here: what must be answered is left in the TCB (`ackNow`, `synDue`, …) for `output`. Segments that
 * are answered by a reset outside of the connection's state come back as a verdict.
 */
import type { Instant } from '../../../src/kernel/clock.ts'
import type { Packet } from '../../../src/kernel/packet.ts'
import { after, beforeOrAt } from '../../../src/kernel/sequence.ts'
import { acknowledge } from './ack.ts'
import { beQuickAfterTrouble, expectAnswer } from './ack-policy.ts'
import { mayChallenge } from './challenge.ts'
import { deliver, finArrives } from './deliver.ts'
import { restartRetransmit } from './loss-timer.ts'
import { updateMss } from './path-mtu.ts'
import type { DropReason } from './reasons.ts'
import { ACK, AE, CWR, ECE, FIN, RST, type Segment, SYN } from './segment.ts'
import { ESTABLISHED, type Failure, NEVER, type Tcb, WRITABLE } from './tcb.ts'
import { startKeepAlive } from './timers.ts'
import { echoesOurSyn, isOldDuplicate, rememberTimestamp } from './timestamps.ts'
import { heedUserTimeout } from './user-timeout.ts'
import { offerFirstWindow } from './window.ts'

/** What became of a segment. */
export type Verdict =
  /** Processed; the caller releases the packet. */
  | 'done'
  /** Processed; its data was kept with the packet. */
  | 'kept'
  /** Processed in part or not at all: the caller drops the packet for this reason. */
  | DropReason
  /** The same, and a reset answers it (`resetFor`). */
  | 'reset'

/** (RFC 7323 §2.3) */
const LARGEST_WINDOW = 0x3fff_c000

const REFUSED: Failure = {
  code: 'ECONNREFUSED',
  message: 'nobody listens there',
  reason: 'reset',
  rfc: 'RFC 9293 §3.10.7.3',
}
const RESET: Failure = {
  code: 'ECONNRESET',
  message: 'the peer reset the connection',
  reason: 'reset',
  rfc: 'RFC 9293 §3.10.7.4',
}

/** @param packet starts at the TCP header that `seg` holds. */
export function input(tcb: Tcb, seg: Segment, packet: Packet, now: Instant): Verdict {
  tcb.segmentsReceived++
  if (isPredicted(tcb, seg)) return predicted(tcb, seg, packet, now)
  if (tcb.state === 'SYN-SENT') return inSynSent(tcb, seg, packet, now)
  return synchronized(tcb, seg, packet, now)
}

// ── header prediction

/** The usual segment of an established connection: the next one, with nothing special about it. */
function isPredicted(tcb: Tcb, seg: Segment): boolean {
  return (
    seg.seq === tcb.rcv.nxt &&
    (seg.flags & (FIN | SYN | RST | ACK)) === ACK &&
    tcb.state === 'ESTABLISHED' &&
    seg.hasTimestamps === tcb.timestamps &&
    seg.length <= tcb.rcv.wnd &&
    seg.userTimeout < 0 &&
    ((seg.ack - tcb.snd.una) | 0) >= 0 &&
    ((tcb.snd.nxt - seg.ack) | 0) >= 0 &&
    (!seg.hasTimestamps || ((seg.tsval - tcb.tsRecent) | 0) >= 0)
  )
}

function predicted(tcb: Tcb, seg: Segment, packet: Packet, now: Instant): Verdict {
  tcb.lastReceivedAt = now
  if (seg.hasTimestamps) rememberTimestamp(tcb, seg, now)
  acknowledge(tcb, seg, now)
  if (seg.length === 0) return 'done'
  packet.pull(seg.headerOctets)
  return deliver(tcb, seg, packet, now)
}

// ── SYN-SENT (RFC 9293 §3.10.7.3)

function inSynSent(tcb: Tcb, seg: Segment, packet: Packet, now: Instant): Verdict {
  const { snd } = tcb
  const hasAck = (seg.flags & ACK) !== 0
  // First and second: an ACK of something never sent, or of nothing, is answered by a reset unless it is one.
  if (hasAck && (beforeOrAt(seg.ack, snd.iss) || after(seg.ack, snd.nxt) || !echoesOurSyn(tcb, seg, now))) {
    return (seg.flags & RST) !== 0 ? 'unacceptableAck' : 'reset'
  }
  if ((seg.flags & RST) !== 0) {
    if (!hasAck) return 'unexpectedInSynSent'
    tcb.end(REFUSED)
    return 'done'
  }
  // Fourth: the SYN; a FIN or data without one means nothing yet.
  if ((seg.flags & SYN) === 0) return 'unexpectedInSynSent'
  tcb.lastReceivedAt = now
  acceptSyn(tcb, seg, now)
  if (!hasAck) {
    // Simultaneous open (RFC 9293 §3.5 figure 7): our SYN goes once more, with the ACK, and is not
    // measured (RFC 6298 §3).
    tcb.state = 'SYN-RECEIVED'
    tcb.synDue = true
    tcb.timedAt = -1
    return 'done'
  }
  establish(tcb, seg, now)
  tcb.ackNow = true
  return seg.length > 0 || (seg.flags & FIN) !== 0 ? afterSyn(tcb, seg, packet, now) : 'done'
}

/** Data and FIN that came with the SYN-ACK. */
function afterSyn(tcb: Tcb, seg: Segment, packet: Packet, now: Instant): Verdict {
  seg.flags &= ~SYN
  seg.seq = (seg.seq + 1) | 0
  return text(tcb, seg, packet, now)
}

/** Takes in what a SYN says: its sequence number and options. Also the first step of a passive open. */
export function acceptSyn(tcb: Tcb, seg: Segment, now: Instant): void {
  const { rcv, snd, settings } = tcb
  rcv.irs = seg.seq
  rcv.nxt = rcv.acked = (seg.seq + 1) | 0
  if (seg.mss > 0) tcb.peerMss = seg.mss
  // Only what both sides offer is in use (RFC 7323 §1.3)
  tcb.timestamps = settings.timestamps && seg.hasTimestamps
  if (tcb.timestamps) {
    tcb.tsRecent = seg.tsval
    tcb.tsRecentAt = now
  }
  tcb.sack = settings.sack && seg.sackPermitted
  tcb.ecn = agreesOnEcn(tcb, seg)
  if (seg.windowShift >= 0 && rcv.shift >= 0) snd.shift = seg.windowShift
  else rcv.shift = -1
  if (seg.userTimeout >= 0) heedUserTimeout(tcb, seg.userTimeout)
  updateMss(tcb)
  // The window of a SYN is never scaled (RFC 7323 §2.2)
  snd.wnd = snd.maxWnd = seg.wnd
  snd.wl1 = seg.seq
  snd.wl2 = seg.ack
}

/**
 * Do both sides want ECN (RFC 3168 §6.1.1)? A SYN asks by both flags, a SYN-ACK agrees by ECE alone. A SYN in a packet that
 * may be marked is not what that standard means, unless it asks for accurate ECN, which falls back to this one (RFC 9768 §3.1).
 * One of ours that had to go again has not asked.
 */
function agreesOnEcn({ settings, lostSyns }: Tcb, seg: Segment): boolean {
  const flags = seg.flags & (ECE | CWR)
  if ((seg.flags & ACK) !== 0) return settings.ecn === 'on' && flags === ECE && lostSyns === 0
  return settings.ecn !== 'off' && flags === (ECE | CWR) && (seg.ecn === 0 || (seg.flags & AE) !== 0)
}

/** The handshake is complete. */
function establish(tcb: Tcb, seg: Segment, now: Instant): void {
  const { snd } = tcb
  if (tcb.timedAt >= 0) {
    tcb.rtt.sample(now - tcb.timedAt, snd.una, snd.nxt)
    tcb.timedAt = -1
  } else if (tcb.lostSyns > 0) {
    tcb.rtt.handshakeWasSlow()
  }
  if (!tcb.early) snd.una = seg.ack
  tcb.fastOpen?.answered(tcb, seg, now)
  tcb.retransmits = tcb.backoff = 0
  tcb.synDue = false
  tcb.deadlines.retransmit = NEVER
  tcb.softFailure = null
  tcb.state = 'ESTABLISHED'
  tcb.established = true
  // With Fast Open it has been accepted before.
  if (!tcb.early) tcb.events |= ESTABLISHED
  if (tcb.wantsWritable && !tcb.early) {
    tcb.wantsWritable = false
    tcb.events |= WRITABLE
  }
  startKeepAlive(tcb, now)
}

// ── the synchronized states (RFC 9293 §3.10.7.4)

function synchronized(tcb: Tcb, seg: Segment, packet: Packet, now: Instant): Verdict {
  const fault = staleTimestamp(tcb, seg, now) ?? sequenceFault(tcb, seg, now)
  if (fault !== undefined) return fault
  if ((seg.flags & RST) !== 0) return resetArrives(tcb, seg, now)
  if ((seg.flags & SYN) !== 0) return synArrives(tcb, now)
  if ((seg.flags & ACK) === 0) return 'noAck'
  tcb.lastReceivedAt = now
  const refused = ackArrives(tcb, seg, now)
  if (refused !== undefined) return refused
  if (seg.userTimeout >= 0) heedUserTimeout(tcb, seg.userTimeout)
  // Not before: what PAWS stands on must not come from who does not know what we have sent.
  if (seg.hasTimestamps && tcb.timestamps) rememberTimestamp(tcb, seg, now)
  return text(tcb, seg, packet, now)
}

/** PAWS (RFC 7323 §5.3 R1), and segments without the timestamps that were agreed on (§3.2). */
function staleTimestamp(tcb: Tcb, seg: Segment, now: Instant): Verdict | undefined {
  if (!tcb.timestamps || (seg.flags & RST) !== 0) return undefined
  if (!seg.hasTimestamps) return tcb.settings.requireTimestamps ? 'noTimestamps' : undefined
  if (!isOldDuplicate(tcb, seg, now)) return undefined
  answer(tcb, seg, now)
  return 'paws'
}

/** First: is any of it in the window? */
function sequenceFault(tcb: Tcb, seg: Segment, now: Instant): Verdict | undefined {
  const { rcv } = tcb
  if (tcb.state === 'SYN-RECEIVED' && seg.seq === rcv.irs && (seg.flags & (SYN | RST)) === SYN) {
    return synAgain(tcb, seg, now)
  }
  if (isAcceptable(rcv.nxt, rcv.wnd, seg.seq, seg.len)) return undefined
  // A window of zero closes the data out, never ACK, RST and URG (RFC 9293 §3.10.7.4 MUST-66)
  if (rcv.wnd === 0 && seg.seq === rcv.nxt) return undefined
  if ((seg.flags & RST) !== 0) return 'resetOutsideWindow'
  if ((seg.flags & SYN) !== 0) {
    challenge(tcb, now)
    return 'synInWindow'
  }
  if (isHeardBeside(seg, rcv.nxt, rcv.wnd)) return undefined
  const again = isOld(rcv.nxt, seg)
  if (again) {
    tcb.sackDuplicate(seg.seq, (seg.seq + seg.length) | 0)
    beQuickAfterTrouble(tcb)
  }
  answer(tcb, seg, now)
  return again ? 'duplicateData' : 'outsideWindow'
}

/** Right beside the window there is nothing to receive, but an ACK and a time that are news (RFC 9293 §A.2); as on Linux and BSD. */
function isHeardBeside(seg: Segment, nxt: number, wnd: number): boolean {
  // Who has filled the window acknowledges from right behind it. Table 6 would not hear him, nor what he says of holes, while
  // one segment of his is missing.
  if (seg.len === 0) return seg.seq === ((nxt + wnd) | 0)
  // The last segment again, because our ACK was lost: it acknowledges what has arrived since it was sent first. Only this one: of
  // others nothing says that they are not a guess, and TS.Recent is what PAWS stands on.
  return ((seg.seq + seg.len) | 0) === nxt
}

/** Does it hold nothing but data that has been received, and lies no further back than a window reaches? */
function isOld(nxt: number, seg: Segment): boolean {
  const age = (nxt - seg.seq) | 0
  return seg.length > 0 && seg.length <= age && age <= LARGEST_WINDOW
}

/** In SYN-RECEIVED, the SYN that brought us there. */
function synAgain(tcb: Tcb, seg: Segment, now: Instant): Verdict {
  if (tcb.passive || (seg.flags & ACK) === 0) {
    // Our SYN-ACK was lost; which of two the ACK will be for nobody can tell (RFC 6298 §3).
    tcb.synDue = true
    tcb.timedAt = -1
    return 'duplicateData'
  }
  // A simultaneous open: its ACK of our SYN is what is new, and ours of its SYN is under way (RFC 9293 §3.5 figure 7)
  const refused = ackArrives(tcb, seg, now)
  if (refused !== undefined) return refused
  return 'done'
}

/** The four cases of RFC 9293 §3.4 table 6. */
function isAcceptable(nxt: number, wnd: number, seq: number, len: number): boolean {
  const first = (seq - nxt) | 0
  if (wnd === 0) return len === 0 && first === 0
  if (first >= 0 && first < wnd) return true
  const last = (first + len - 1) | 0
  return len > 0 && last >= 0 && last < wnd
}

/**
 * Second: RST counts only at exactly RCV.NXT; elsewhere in the window it is challenged (RFC 5961 §3.2). As on Linux, it also counts
 * right behind all that has arrived: where a peer that has lost something resets, and nobody would ask again for a challenge's answer.
 */
function resetArrives(tcb: Tcb, seg: Segment, now: Instant): Verdict {
  if (seg.seq !== tcb.rcv.nxt && tcb.sackBlocks?.endsAt(seg.seq) !== true) {
    challenge(tcb, now)
    return 'resetNotExact'
  }
  if (tcb.state === 'TIME-WAIT') return 'timeWaitReset' // (RFC 1337 §3 fix F1)
  // A passive open goes back to LISTEN without a word (RFC 9293 §3.10.7.4); its listener is still there.
  if (tcb.state === 'SYN-RECEIVED' && !tcb.early) tcb.end(tcb.passive ? RESET : REFUSED)
  else if (leavesSomething(tcb)) resetWithLeft(tcb)
  else tcb.end(isClosingCleanly(tcb) ? null : RESET)
  return 'done'
}

/** What arrived before a reset is there to be read, unless something that was written is lost by it: that is told first. */
function leavesSomething(tcb: Tcb): boolean {
  return !tcb.orphan && !tcb.readShut && tcb.readableOctets > 0 && tcb.queuedOctets === 0 && !tcb.wantsWritable
}

/** The connection is gone, but not over before that has been read. */
function resetWithLeft(tcb: Tcb): void {
  tcb.state = 'CLOSED'
  tcb.failure = RESET
  tcb.releaseSending()
  tcb.reassembly?.clear()
  tcb.reassembly = null
}

/** The application has closed, and only our FIN has not been acknowledged: nothing is lost by a reset. */
function isClosingCleanly(tcb: Tcb): boolean {
  return tcb.orphan && (tcb.state === 'LAST-ACK' || tcb.state === 'CLOSING') && tcb.queuedOctets === 0
}

/** Fourth: a SYN in a synchronized state is challenged wherever it lies (RFC 5961 §4.2). */
function synArrives(tcb: Tcb, now: Instant): Verdict {
  if (tcb.state === 'SYN-RECEIVED' && tcb.passive && !tcb.early) {
    tcb.end(RESET)
    return 'synInWindow'
  }
  challenge(tcb, now)
  return 'synInWindow'
}

/** Fifth: the ACK field. @returns a verdict when the segment ends here. */
function ackArrives(tcb: Tcb, seg: Segment, now: Instant): Verdict | undefined {
  const { snd } = tcb
  if (tcb.state === 'SYN-RECEIVED') {
    if (beforeOrAt(seg.ack, snd.iss) || after(seg.ack, snd.nxt)) return 'reset'
    establish(tcb, seg, now)
    // The window of a SYN is never scaled (RFC 7323 §2.2)
    snd.wnd = snd.maxWnd = (seg.flags & SYN) !== 0 ? seg.wnd : seg.wnd << snd.shift
    snd.wl1 = seg.seq
    snd.wl2 = seg.ack
    if (tcb.finQueued) tcb.state = 'FIN-WAIT-1'
    if (tcb.early) acknowledgeEarly(tcb, seg, now)
    return undefined
  }
  // What was never sent, or is older than any window, is a blind guess (RFC 5961 §5.2)
  if (after(seg.ack, snd.nxt) || ((snd.una - seg.ack) | 0) > Math.min(snd.maxWnd, acknowledgedOctets(tcb))) {
    challenge(tcb, now)
    return 'unacceptableAck'
  }
  acknowledge(tcb, seg, now)
  if (tcb.finAcked) finAcknowledged(tcb, now)
  return undefined
}

/** All that the peer has acknowledged, FIN included. */
function acknowledgedOctets(tcb: Tcb): number {
  return tcb.octetsSent + (tcb.finSent ? 1 : 0) - tcb.outstanding
}

/** What was sent before the handshake was complete (RFC 7413 §4.2.2) is outstanding from now on, or acknowledged. */
function acknowledgeEarly(tcb: Tcb, seg: Segment, now: Instant): void {
  if (tcb.outstanding > 0) restartRetransmit(tcb, now)
  acknowledge(tcb, seg, now)
  if (tcb.finAcked) finAcknowledged(tcb, now)
}

function finAcknowledged(tcb: Tcb, now: Instant): void {
  switch (tcb.state) {
    case 'FIN-WAIT-1':
      tcb.state = 'FIN-WAIT-2'
      if (tcb.orphan) tcb.deadlines.closing = now + tcb.settings.finWait2Timeout
      return
    case 'CLOSING':
      tcb.state = 'TIME-WAIT'
      return
    case 'LAST-ACK':
      tcb.state = 'CLOSED'
      tcb.releaseSending()
      return
  }
}

/** Sixth to eighth: urgent data is in line, like any other (RFC 6093 §6); then the data and the FIN. */
function text(tcb: Tcb, seg: Segment, packet: Packet, now: Instant): Verdict {
  const fin = (seg.flags & FIN) !== 0
  if (seg.length === 0 && !fin) return 'done'
  const { rcv } = tcb
  const cut = Math.min(Math.max((rcv.nxt - seg.seq) | 0, 0), seg.length)
  if (cut > 0) {
    // Some of it is old: the peer did not hear our ACK.
    tcb.ackNow = true
    tcb.sackDuplicate(seg.seq, (seg.seq + cut) | 0)
    if (cut === seg.length) beQuickAfterTrouble(tcb)
  }
  const receiving = tcb.state === 'ESTABLISHED' || tcb.state === 'FIN-WAIT-1' || tcb.state === 'FIN-WAIT-2'
  if (!receiving) {
    tcb.ackNow = true
    return seg.length === 0 ? 'done' : 'duplicateData'
  }
  const finSeq = (seg.seq + seg.length) | 0
  packet.pull(seg.headerOctets + cut)
  seg.seq = (seg.seq + cut) | 0
  let verdict: Verdict = 'done'
  if (seg.length > cut) {
    const room = (rcv.nxt + rcv.wnd - seg.seq) | 0
    if (packet.length > room) {
      tcb.ackNow = true
      if (room <= 0) return 'outsideWindow'
      packet.trim(room)
    }
    if (fin && seg.seq === rcv.nxt) expectAnswer(tcb)
    verdict = deliver(tcb, seg, packet, now)
  } else if (cut > 0) verdict = 'duplicateData'
  if (fin && tcb.state !== 'CLOSED' && beforeOrAt(finSeq, (rcv.nxt + rcv.wnd) | 0)) finArrives(tcb, finSeq, now)
  return verdict
}

// ── answers that anyone can provoke, and so are limited

/** An ACK for a segment that was not acceptable; without data it may be part of a loop of ACKs, and is limited. */
function answer(tcb: Tcb, seg: Segment, now: Instant): void {
  if (seg.length > 0 || (seg.flags & FIN) !== 0) tcb.ackNow = true
  else challenge(tcb, now)
}

function challenge(tcb: Tcb, now: Instant): void {
  if (mayChallenge(tcb, now)) tcb.ackNow = true
}

// ── Fast Open

/** The data of a SYN whose cookie is good is delivered at once (RFC 7413 §4.2.2). Takes ownership of `packet`. */
export function earlyData(tcb: Tcb, seg: Segment, packet: Packet, now: Instant): void {
  offerFirstWindow(tcb)
  tcb.events |= ESTABLISHED
  if (seg.length === 0) {
    packet.release()
    return
  }
  seg.flags &= ~SYN
  seg.seq = (seg.seq + 1) | 0
  packet.pull(seg.headerOctets)
  if (packet.length > tcb.rcv.wnd) packet.trim(tcb.rcv.wnd)
  if (deliver(tcb, seg, packet, now) !== 'kept') packet.release()
}
