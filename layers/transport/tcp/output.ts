/**
 * What to send now: SYN, what was lost, new data and FIN, probes, and if nothing of these, an ACK.
 *
 * `output` is asked until it answers null. Each segment it makes carries the newest ACK and window, so an ACK on its own
 * is made only when there is nothing to carry it (RFC 9293 §3.8.6.3).
 */
import type { Instant } from '../../../src/kernel/clock.ts'
import type { Packet } from '../../../src/kernel/packet.ts'
import { after } from '../../../src/kernel/sequence.ts'
import { noteAnswer } from './ack-policy.ts'
import { dataSegment, emptySegment, optionOctets, synSegment } from './build.ts'
import { beginBurst, nextOfBurst } from './burst.ts'
import { restartAfterIdle, validateWindow } from './cwnd-validation.ts'
import { goesAgain } from './fast-open.ts'
import { armAfterSending, startRetransmit } from './loss-timer.ts'
import { probeOctets, probeSent } from './mtu-probe.ts'
import type { MtuSearch } from './mtu-search.ts'
import { charge, heldBack } from './pacing.ts'
import { resendLost, resendTail } from './resend.ts'
import { ACK, CWR, ECE, FIN, HEADER_OCTETS, PSH, SYN } from './segment.ts'
import type { Sender } from './sender.ts'
import { NEVER, type SegmentNote, type Tcb } from './tcb.ts'
import { unitOctets } from './unit.ts'

const NOTE_SYN: SegmentNote = { event: 'retransmit', reason: 'synTimeout', rfc: 'RFC 9293 §3.8.3' }
const NOTE_PERSIST: SegmentNote = { event: 'probe', reason: 'zeroWindow', rfc: 'RFC 9293 §3.8.6.1' }
const NOTE_KEEP_ALIVE: SegmentNote = { event: 'probe', reason: 'keepAlive', rfc: 'RFC 9293 §3.8.4' }
const NOTE_PATH_MTU: SegmentNote = { event: 'probe', reason: 'pathMtu', rfc: 'RFC 4821 §7.5' }
const NOTE_TAIL: SegmentNote = { event: 'probe', reason: 'tailLoss', rfc: 'RFC 8985 §7.3' }

/** @returns the next segment, or null when there is nothing to send now. The caller owns it. */
export function output(tcb: Tcb, now: Instant): Packet | null {
  const next = nextOfBurst(tcb, now)
  if (next !== null) return next
  tcb.note = null
  tcb.ect = false
  switch (tcb.state) {
    case 'CLOSED':
    case 'LISTEN':
      return null
    case 'TIME-WAIT':
      return tcb.ackNow ? emptySegment(tcb, tcb.snd.nxt, now) : null
    case 'SYN-SENT':
      return tcb.synDue ? syn(tcb, SYN, now) : null
    case 'SYN-RECEIVED':
      if (tcb.synDue) return syn(tcb, SYN | ACK, now)
      // With Fast Open the answer need not wait for the handshake (RFC 7413 §4.2.2).
      return (tcb.early ? dataToSend(tcb, now) : null) ?? acknowledgment(tcb, now)
    default:
      return pacedData(tcb, now) ?? probe(tcb, now) ?? acknowledgment(tcb, now)
  }
}

function acknowledgment(tcb: Tcb, now: Instant): Packet | null {
  return tcb.ackNow || tcb.userTimeoutDue ? emptySegment(tcb, tcb.snd.nxt, now) : null
}

/** What is paced goes in its time. */
function pacedData(tcb: Tcb, now: Instant): Packet | null {
  const { sender } = tcb
  return sender !== null && heldBack(tcb, sender, now) ? null : dataToSend(tcb, now)
}

function dataToSend(tcb: Tcb, now: Instant): Packet | null {
  const { sender } = tcb
  if (sender === null) return tcb.hasUnsent ? newSegment(tcb, tcb.sending(now), now) : null
  if (tcb.tailProbeDue) return tailProbe(tcb, sender, now)
  if (sender.board.due === 0) {
    return tcb.search === null ? newSegment(tcb, sender, now) : probeOrNew(tcb, sender, tcb.search, now)
  }
  return sender.frtoTrial ? trial(tcb, sender, now) : resendLost(tcb, sender, now)
}

/** New data before what is lost, to see whether a timeout was one (RFC 5682 §2.1 step 2 b). */
function trial(tcb: Tcb, s: Sender, now: Instant): Packet | null {
  const packet = newSegment(tcb, s, now)
  // What follows waits for the answer; when there was nothing to send, the timeout is taken as one.
  if (packet !== null || after(tcb.snd.nxt, s.recover)) return packet
  s.frto = s.frtoTrial = false
  return resendLost(tcb, s, now)
}

/** One segment beyond cwnd, new if there is any, else the last one again (RFC 8985 §7.3). */
function tailProbe(tcb: Tcb, s: Sender, now: Instant): Packet | null {
  tcb.tailProbeDue = false
  if (s.probing || tcb.outstanding === 0) return null
  // What Nagle's rule or cork hold back is better than something that was sent.
  tcb.override = true
  let packet = newSegment(tcb, s, now, true)
  tcb.override = false
  const fresh = packet !== null
  packet ??= tcb.hasUnsent && tcb.snd.wnd > tcb.outstanding ? null : resendTail(tcb, s, now)
  if (packet === null) return null
  tcb.note = NOTE_TAIL
  s.probing = true
  s.probeResent = !fresh
  s.probeEnd = tcb.snd.nxt
  return packet
}

// ── the handshake

function syn(tcb: Tcb, flags: number, now: Instant): Packet {
  const { snd } = tcb
  tcb.synDue = false
  const first = snd.nxt === snd.iss
  // What goes again goes without Fast Open: its option or data may be why the SYN was lost (RFC 7413 §4.1.3.1).
  const fastOpen = first ? tcb.fastOpen : null
  const data = flags === SYN && fastOpen !== null ? (snd.end - snd.iss - 1) | 0 : 0
  const packet = synSegment(tcb, flags | ecnFlags(tcb, flags), fastOpen, data, now)
  if (tcb.retransmits > 0) {
    tcb.note = NOTE_SYN
    tcb.retransmitted++
    tcb.timedAt = -1
  } else if (first) {
    tcb.timedAt = now
    tcb.unackedSince = now
  }
  if (first) {
    snd.nxt = (snd.iss + 1 + data) | 0
    if (fastOpen !== null) fastOpen.sent = data
    // As if it had been acknowledged: data that follows it is outstanding, it is not.
    if (tcb.early) snd.una = snd.nxt
  }
  startRetransmit(tcb, now)
  tcb.lastSentAt = now
  return packet
}

/** Asks for ECN, or agrees to it; a SYN that goes again does not ask, lest it was lost for asking (RFC 3168 §6.1.1). */
function ecnFlags(tcb: Tcb, flags: number): number {
  if (flags !== SYN) return tcb.ecn ? ECE : 0
  return tcb.settings.ecn === 'on' && tcb.retransmits === 0 ? ECE | CWR : 0
}

// ── new data

/** @param beyond a tail loss probe: one segment, whatever cwnd is. */
function newSegment(tcb: Tcb, s: Sender, now: Instant, beyond = false): Packet | null {
  const { snd } = tcb
  const unsent = (snd.end - snd.nxt) | 0
  if (unsent < 0 || (unsent === 0 && !tcb.finQueued)) return null
  const flight = (snd.nxt - snd.una) | 0
  // While the peer's window is closed it is not us who are idle.
  if (flight === 0 && snd.wnd > 0) restartAfterIdle(tcb, s, now)
  const pipe = s.board.pipe(flight)
  const room = beyond ? tcb.mss : s.cwnd - pipe
  const usable = snd.wnd - flight
  const { recordEnds } = s
  const record = recordEnds === null ? unsent : recordEnds.within(snd.nxt, unsent)
  const most = sendable(tcb, record, record < unsent, usable, room)
  if (most < 0) {
    if (flight === 0 && tcb.deadlines.retransmit === NEVER) startPersist(tcb, now)
    return null
  }
  const more = s.unitLeft > 0
  const data = ofUnit(tcb, s, most, beyond)
  const seq = snd.nxt
  const left = unsent - data
  let flags = s.unitLeft === 0 && s.unitIsLong ? PSH : 0
  const fin = left === 0 && tcb.finQueued
  if (fin) flags |= FIN
  if (data === record && left > 0) flags |= PSH
  if (tcb.cwrDue && data > 0) {
    // (RFC 3168 §6.1.2)
    flags |= CWR
    tcb.cwrDue = false
  }
  const packet = dataSegment(tcb, seq, data, flags, now)
  tcb.ect = tcb.ecn && data > 0
  tcb.override = false
  if (data % tcb.mss !== 0 && !goesAgain(tcb.fastOpen, tcb, seq)) tcb.smallEnd = (seq + data) | 0
  snd.nxt = (seq + data + (fin ? 1 : 0)) | 0
  tcb.octetsSent += data
  if (data > 0) noteAnswer(tcb, now)
  if (flight === 0) tcb.unackedSince = now
  sent(tcb, s, seq, pipe, tcb.mss, more, left === 0, now)
  if (flight > 0) beginBurst(tcb, s, packet, now)
  return packet
}

/** While the path's MTU is being searched for. */
function probeOrNew(tcb: Tcb, s: Sender, search: MtuSearch, now: Instant): Packet | null {
  const octets = probeOctets(tcb, s, search, now)
  if (octets === 0) return newSegment(tcb, s, now)
  return octets < 0 ? null : mtuProbe(tcb, s, search, octets, now)
}

/** One segment that is larger than the others, of data that is to be sent anyway (RFC 4821 §7.5). */
function mtuProbe(tcb: Tcb, s: Sender, search: MtuSearch, octets: number, now: Instant): Packet {
  const { snd, mss } = tcb
  const seq = snd.nxt
  const pipe = s.board.pipe(tcb.outstanding)
  // What is larger than MSS is a super-segment otherwise.
  tcb.mss = octets
  const packet = dataSegment(tcb, seq, octets, 0, now)
  tcb.mss = mss
  tcb.note = NOTE_PATH_MTU
  tcb.ect = tcb.ecn
  snd.nxt = (seq + octets) | 0
  tcb.octetsSent += octets
  noteAnswer(tcb, now)
  probeSent(tcb, search, seq, octets)
  sent(tcb, s, seq, pipe, octets, false, false, now)
  return packet
}

/** The part of `most` octets that goes as one segment, or super-segment: no further than the unit. */
function ofUnit(tcb: Tcb, s: Sender, most: number, single: boolean): number {
  if (most < tcb.mss || single) {
    s.unitLeft = 0
    s.unitIsLong = false
    return Math.min(most, tcb.mss)
  }
  if (s.unitLeft === 0) {
    s.unitLeft = unitOctets(tcb, s, most)
    s.unitIsLong = s.unitLeft > tcb.mss
  }
  const data = Math.min(wholeSegments(tcb, most), Math.max(s.unitLeft, tcb.mss))
  s.unitLeft = Math.max(s.unitLeft - data, 0)
  return data
}

/** [seq, SND.NXT) has been sent for the first time. @param full payload of its full segments. */
function sent(
  tcb: Tcb,
  s: Sender,
  seq: number,
  pipe: number,
  full: number,
  more: boolean,
  all: boolean,
  now: Instant,
): void {
  const { snd } = tcb
  const octets = (snd.nxt - seq) | 0
  const record = s.board.append(seq, snd.nxt, full, more, all && pipe + octets < s.cwnd, now)
  if (record !== 0) s.rate.sent(record, pipe === 0, now)
  if (s.reducing) s.prrOut += octets
  charge(tcb, s, octets, now)
  validateWindow(tcb, s, pipe + octets, now)
  tcb.lastSentAt = now
  if (tcb.persisting) endPersist(tcb)
  armAfterSending(tcb, s, now)
}

const whole = (octets: number, mss: number): number => octets - (octets % mss)

/**
 * Octets of data that may be sent now; 0 for a FIN alone; -1: none.
 * @param complete no more can be added to what is unsent.
 */
function sendable(tcb: Tcb, unsent: number, complete: boolean, usable: number, room: number): number {
  const { mss } = tcb
  const window = Math.min(usable, room)
  if (unsent >= mss && window >= mss) return whole(Math.min(unsent, window), mss)
  if (room < Math.min(unsent, mss) || usable < 1) return -1
  if (unsent <= usable) return tcb.override || complete || mayGoSmall(tcb) ? unsent : -1
  // Only the peer's window is in the way: a silly one unless it is half of the largest seen (RFC 9293 §3.8.6.2.1).
  return tcb.override || usable >= tcb.snd.maxWnd / 2 ? Math.min(usable, mss) : -1
}

/** Nagle's rule in Minshall's variant: one segment at a time may be small (RFC 9293 §3.7.4). */
function mayGoSmall(tcb: Tcb): boolean {
  if (tcb.finQueued) return true
  if (tcb.options.cork || (tcb.more && tcb.snd.una === tcb.moreSince)) return false
  return tcb.options.noDelay || !after(tcb.smallEnd, tcb.snd.una)
}

/** As much of `most` octets as fits one packet for the link, in whole segments unless it is less than one. */
export function wholeSegments(tcb: Tcb, most: number): number {
  const { mss, path } = tcb
  if (most <= mss) return most
  if (path.segment === 0) return mss
  const header = HEADER_OCTETS + optionOctets(tcb)
  const largest = Math.min(path.segment, 0xffff) - tcb.networkHeaderOctets - header
  const data = Math.min(most, largest)
  return data < mss ? mss : data - (data % mss)
}

// ── probes

/** There is something to send, nothing in flight to bring an answer, and the window (or cork) is in the way. */
function startPersist(tcb: Tcb, now: Instant): void {
  tcb.persisting = true
  tcb.probes = tcb.backoff = 0
  tcb.unackedSince = now
  tcb.deadlines.retransmit = now + tcb.rtt.rto
}

/** There is no way to the peer now: see to it that we try again. */
export function retryLater(tcb: Tcb, now: Instant): void {
  if (tcb.deadlines.retransmit !== NEVER) return
  const waits = tcb.snd.end !== tcb.snd.nxt || tcb.finQueued
  if (tcb.synDue) startRetransmit(tcb, now)
  else if (waits) startPersist(tcb, now)
}

export function endPersist(tcb: Tcb): void {
  tcb.persisting = false
  tcb.probes = tcb.backoff = 0
  tcb.deadlines.retransmit = NEVER
}

/** A segment with a sequence number already acknowledged: any peer that is alive answers it (RFC 9293 §3.8.4). */
function probe(tcb: Tcb, now: Instant): Packet | null {
  if (!tcb.probeDue) return null
  tcb.probeDue = false
  const packet = emptySegment(tcb, (tcb.snd.una - 1) | 0, now)
  tcb.note = tcb.persisting ? NOTE_PERSIST : NOTE_KEEP_ALIVE
  return packet
}
