/**
 * What to send now: SYN, what was lost, new data and FIN, probes, and if nothing of these, an ACK.
 *
 * `output` is asked until it answers null. Each segment it makes carries the newest ACK and window, so an ACK on its own
 * is made only when there is nothing to carry it (RFC 9293 §3.8.6.3).
 */
import type { Instant } from '../../../src/kernel/clock.ts'
import { Packet } from '../../../src/kernel/packet.ts'
import { after, before } from '../../../src/kernel/sequence.ts'
import { SACK_BLOCK_OCTETS, SACK_HEAD_OCTETS } from './sack-blocks.ts'
import {
  ACK,
  FIN,
  HEADER_OCTETS,
  leaveChecksum,
  PSH,
  RST,
  SYN,
  type SynOffer,
  synOptionsOctets,
  TIMESTAMPS_OCTETS,
  writeChecksum,
  writeHeader,
  writeSynOptions,
  writeTimestamps,
} from './segment.ts'
import { MIN_MSS } from './settings.ts'
import { NEVER, type SegmentNote, type Tcb } from './tcb.ts'
import { offerFirstWindow, offerWindow } from './window.ts'

/** Octets that all options of a segment may take. */
const OPTION_OCTETS = 40

const NOTE_SYN: SegmentNote = { event: 'retransmit', reason: 'synTimeout', rfc: 'RFC 9293 §3.8.3' }
const NOTE_TIMEOUT: SegmentNote = { event: 'retransmit', reason: 'rto', rfc: 'RFC 6298 §5.4' }
const NOTE_FAST: SegmentNote = { event: 'retransmit', reason: 'fastRetransmit', rfc: 'RFC 5681 §3.2' }
const NOTE_PARTIAL: SegmentNote = { event: 'retransmit', reason: 'partialAck', rfc: 'RFC 6582 §3.2' }
const NOTE_PERSIST: SegmentNote = { event: 'probe', reason: 'zeroWindow', rfc: 'RFC 9293 §3.8.6.1' }
const NOTE_KEEP_ALIVE: SegmentNote = { event: 'probe', reason: 'keepAlive', rfc: 'RFC 9293 §3.8.4' }

const OFFER: SynOffer = { sack: false, timestamps: false, tsval: 0, tsecr: 0, windowShift: -1 }

/** @returns the next segment, or null when there is nothing to send now. The caller owns it. */
export function output(tcb: Tcb, now: Instant): Packet | null {
  tcb.note = null
  switch (tcb.state) {
    case 'CLOSED':
    case 'LISTEN':
      return null
    case 'TIME-WAIT':
      return tcb.ackNow ? emptySegment(tcb, tcb.snd.nxt, now) : null
    case 'SYN-SENT':
      return tcb.synDue ? synSegment(tcb, SYN, now) : null
    case 'SYN-RECEIVED':
      if (tcb.synDue) return synSegment(tcb, SYN | ACK, now)
      return tcb.ackNow ? emptySegment(tcb, tcb.snd.nxt, now) : null
    default:
      return dataToSend(tcb, now) ?? probe(tcb, now) ?? (tcb.ackNow ? emptySegment(tcb, tcb.snd.nxt, now) : null)
  }
}

function dataToSend(tcb: Tcb, now: Instant): Packet | null {
  if (tcb.resendFirst) return resendFirst(tcb, now)
  return tcb.goingBack ? resendNext(tcb, now) : newSegment(tcb, now)
}

/** The effective send MSS (RFC 9293 §3.7.1 MUST-16, RFC 6691). */
export function updateMss(tcb: Tcb): void {
  const mtu = tcb.pathMtu > 0 ? Math.min(tcb.pathMtu, tcb.path.mtu) : tcb.path.mtu
  const byPath = mtu - tcb.networkHeaderOctets - HEADER_OCTETS
  const limit = tcb.options.maxSegment > 0 ? Math.min(tcb.options.maxSegment, byPath) : byPath
  // Options are part of what a segment may hold (MUST-16): both sides count them against its data.
  const options = tcb.timestamps ? TIMESTAMPS_OCTETS : 0
  // A tiny value would cost us more than it saves the peer.
  const mss = Math.max(Math.min(tcb.peerMss, limit), MIN_MSS) - options
  if (mss === tcb.mss) return
  tcb.mss = mss
  tcb.congestion.onMss(mss)
}

// ── retransmissions

function resendFirst(tcb: Tcb, now: Instant): Packet {
  const { snd } = tcb
  tcb.resendFirst = false
  const data = Math.min(tcb.mss, (snd.end - snd.una) | 0, (snd.nxt - snd.una) | 0)
  const packet = dataSegment(tcb, snd.una, data, now)
  tcb.note = tcb.partialAcks > 0 ? NOTE_PARTIAL : NOTE_FAST
  resent(tcb, snd.una, data)
  startRetransmit(tcb, now)
  return packet
}

/** After a timeout: everything outstanding again, as fast as slow start allows. */
function resendNext(tcb: Tcb, now: Instant): Packet | null {
  const { snd } = tcb
  const outstanding = (snd.nxt - snd.rtx) | 0
  const flight = (snd.rtx - snd.una) | 0
  const room = tcb.congestion.cwnd - flight
  // The first segment goes even into a window that has shrunk to nothing (RFC 9293 §3.8.6 SHLD-16, MAY-7).
  const usable = flight === 0 ? Math.max(snd.wnd, tcb.mss) : snd.wnd - flight
  const limit = Math.min(room, usable)
  if (limit < Math.min(tcb.mss, outstanding)) return null
  const data = wholeSegments(tcb, Math.min((snd.end - snd.rtx) | 0, outstanding, limit))
  const seq = snd.rtx
  const packet = dataSegment(tcb, seq, data, now)
  tcb.note = NOTE_TIMEOUT
  resent(tcb, seq, data)
  snd.rtx = endOf(tcb, seq, data)
  if (!before(snd.rtx, snd.nxt)) tcb.goingBack = false
  startRetransmit(tcb, now)
  return packet
}

function resent(tcb: Tcb, seq: number, data: number): void {
  tcb.retransmitted++
  // Karn: what was sent twice cannot be timed (RFC 6298 §3)
  if (tcb.timedAt >= 0 && before(seq, tcb.timedSeq)) tcb.timedAt = -1
  // A FIN that was queued meanwhile has gone along.
  const end = endOf(tcb, seq, data)
  if (after(end, tcb.snd.nxt)) tcb.snd.nxt = end
}

// ── new data

function newSegment(tcb: Tcb, now: Instant): Packet | null {
  const { snd } = tcb
  const unsent = (snd.end - snd.nxt) | 0
  if (unsent < 0 || (unsent === 0 && !tcb.finQueued)) return null
  const flight = (snd.nxt - snd.una) | 0
  if (flight === 0) restartAfterIdle(tcb, now)
  const room = tcb.congestion.cwnd + limitedTransmit(tcb) - flight
  const usable = snd.wnd - flight
  const data = sendable(tcb, unsent, usable, room)
  if (data < 0) {
    if (flight === 0 && tcb.deadlines.retransmit === NEVER) startPersist(tcb, now)
    return null
  }
  const seq = snd.nxt
  if (tcb.timedAt < 0) {
    tcb.timedAt = now
    tcb.timedSeq = (seq + data) | 0
  }
  const left = unsent - data
  const last = left > 0 && Math.min(usable, room) - data < tcb.mss
  const packet = dataSegment(tcb, seq, data, now, data > tcb.mss || (last && tcb.burst > 0) ? PSH : 0)
  tcb.burst++
  tcb.override = false
  if (data % tcb.mss !== 0) tcb.smallEnd = (seq + data) | 0
  snd.nxt = endOf(tcb, seq, data)
  tcb.octetsSent += data
  if (flight === 0) tcb.unackedSince = now
  if (flight + data > tcb.maxFlight || !before(snd.una, tcb.windowMark)) {
    tcb.maxFlight = flight + data
    tcb.windowMark = snd.nxt
  }
  if (tcb.persisting) endPersist(tcb)
  startRetransmit(tcb, now)
  return packet
}

/** Octets of data to send now; 0 for a FIN alone; -1: not now. */
function sendable(tcb: Tcb, unsent: number, usable: number, room: number): number {
  const { mss } = tcb
  const window = Math.min(usable, room)
  if (unsent >= mss && window >= mss) return wholeSegments(tcb, Math.min(unsent, window))
  if (room < Math.min(unsent, mss) || usable < 1) return -1
  if (unsent <= usable) return tcb.override || mayGoSmall(tcb) ? unsent : -1
  // Only the peer's window is in the way: a silly one unless it is half of the largest seen (RFC 9293 §3.8.6.2.1).
  return tcb.override || usable >= tcb.snd.maxWnd / 2 ? Math.min(usable, mss) : -1
}

/** Nagle's rule in Minshall's variant: one segment at a time may be small (RFC 9293 §3.7.4). */
function mayGoSmall(tcb: Tcb): boolean {
  if (tcb.finQueued) return true
  if (tcb.options.cork) return false
  return tcb.options.noDelay || !after(tcb.smallEnd, tcb.snd.una)
}

/** As much of `most` octets as fits one packet for the link, in whole segments unless it is less than one. */
function wholeSegments(tcb: Tcb, most: number): number {
  const { mss, path } = tcb
  if (most <= mss) return most
  if (path.segment === 0) return mss
  const header = HEADER_OCTETS + optionOctets(tcb)
  const largest = Math.min(path.segment, 0xffff) - tcb.networkHeaderOctets - header
  const data = Math.min(most, largest)
  return data < mss ? mss : data - (data % mss)
}

/** Two more segments on the first two duplicate ACKs (RFC 3042). */
function limitedTransmit(tcb: Tcb): number {
  return tcb.recovery === 'open' && tcb.dupAcks > 0 ? Math.min(tcb.dupAcks, 2) * tcb.mss : 0
}

function restartAfterIdle(tcb: Tcb, now: Instant): void {
  if (tcb.settings.slowStartAfterIdle && now - tcb.lastSentAt > tcb.rtt.rto) tcb.congestion.onIdle()
}

// ── timers that go with sending

function startRetransmit(tcb: Tcb, now: Instant): void {
  if (tcb.deadlines.retransmit === NEVER) tcb.deadlines.retransmit = now + tcb.rtt.backedOff(tcb.backoff)
}

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

// ── segments

/** A segment with a sequence number already acknowledged: any peer that is alive answers it (RFC 9293 §3.8.4). */
function probe(tcb: Tcb, now: Instant): Packet | null {
  if (!tcb.probeDue) return null
  tcb.probeDue = false
  const packet = emptySegment(tcb, (tcb.snd.una - 1) | 0, now)
  tcb.note = tcb.persisting ? NOTE_PERSIST : NOTE_KEEP_ALIVE
  return packet
}

function synSegment(tcb: Tcb, flags: number, now: Instant): Packet {
  const { snd, rcv } = tcb
  tcb.synDue = false
  const first = flags === SYN
  OFFER.sack = first ? tcb.settings.sack : tcb.sack
  OFFER.timestamps = first ? tcb.settings.timestamps : tcb.timestamps
  OFFER.tsval = tcb.tsval(now)
  OFFER.tsecr = first ? 0 : tcb.tsRecent
  OFFER.windowShift = rcv.shift
  const header = HEADER_OCTETS + synOptionsOctets(OFFER)
  const packet = take(tcb, header, 0)
  const { view, start } = packet
  writeHeader(view, start, tcb.ports, snd.iss, rcv.nxt, header, flags, offerFirstWindow(tcb))
  writeSynOptions(view, start + HEADER_OCTETS, tcb.announcedMss, OFFER)
  complete(tcb, packet, header)
  if (tcb.retransmits > 0) {
    tcb.note = NOTE_SYN
    tcb.retransmitted++
    tcb.timedAt = -1
  } else if (snd.nxt === snd.iss) {
    tcb.timedAt = now
    tcb.timedSeq = (snd.iss + 1) | 0
    tcb.unackedSince = now
  }
  snd.nxt = (snd.iss + 1) | 0
  startRetransmit(tcb, now)
  if (!first) acknowledged(tcb)
  tcb.lastSentAt = now
  return packet
}

/** A FIN rides on the segment that ends the stream. */
function carriesFin(tcb: Tcb, seq: number, data: number): boolean {
  return tcb.finQueued && ((seq + data) | 0) === tcb.snd.end
}

/** Sequence number behind such a segment. */
function endOf(tcb: Tcb, seq: number, data: number): number {
  return (seq + data + (carriesFin(tcb, seq, data) ? 1 : 0)) | 0
}

function dataSegment(tcb: Tcb, seq: number, data: number, now: Instant, push = 0): Packet {
  // A full segment has no room for SACK blocks: then an ACK of their own carries them.
  const options = optionOctets(tcb)
  const header = HEADER_OCTETS + options + sackOctets(tcb, tcb.mss - data)
  const packet = take(tcb, header, data)
  let flags = ACK | push
  const end = (seq + data) | 0
  if (data > 0 && end === tcb.pushEnd) flags |= PSH
  if (carriesFin(tcb, seq, data)) flags |= FIN
  const told = header > HEADER_OCTETS + options || !sackDue(tcb)
  writeSegment(tcb, packet, seq, header, flags, now)
  if (data > 0) fill(tcb, packet, seq, header, data)
  else complete(tcb, packet, header)
  acknowledged(tcb)
  if (!told) tcb.ackNow = true
  tcb.lastSentAt = now
  return packet
}

/** Copies the data in, and completes the checksum or leaves it to the link. */
function fill(tcb: Tcb, packet: Packet, seq: number, header: number, data: number): void {
  const { path, local, remote, snd } = tcb
  const buffer = tcb.sendBuffer
  if (buffer === null) return
  const offset = (seq - snd.end + buffer.length) | 0
  const to = packet.start + header
  if (data > tcb.mss) packet.segmentOctets = tcb.mss
  if (path.checksum || packet.segmentOctets > 0) {
    buffer.copy(offset, data, to)
    leaveChecksum(packet, local.address, remote.address, header)
  } else {
    const payload = buffer.copyAndSum(offset, data, to)
    writeChecksum(packet, local.address, remote.address, header, payload)
  }
}

function emptySegment(tcb: Tcb, seq: number, now: Instant): Packet {
  const header = HEADER_OCTETS + optionOctets(tcb) + sackOctets(tcb, OPTION_OCTETS)
  const packet = take(tcb, header, 0)
  writeSegment(tcb, packet, seq, header, ACK, now)
  complete(tcb, packet, header)
  acknowledged(tcb)
  return packet
}

/** The segment that resets the connection from our side (RFC 9293 §3.10.5). */
export function resetSegment(tcb: Tcb, now: Instant): Packet {
  const header = HEADER_OCTETS + optionOctets(tcb)
  const packet = take(tcb, header, 0)
  writeSegment(tcb, packet, tcb.snd.nxt, header, RST | ACK, now)
  complete(tcb, packet, header)
  return packet
}

function take(tcb: Tcb, header: number, data: number): Packet {
  const packet = Packet.take(tcb.path.headroom, header + data + tcb.path.tailroom)
  packet.put(header + data)
  return packet
}

function writeSegment(tcb: Tcb, packet: Packet, seq: number, header: number, flags: number, now: Instant): void {
  const { view, start } = packet
  writeHeader(view, start, tcb.ports, seq, tcb.rcv.nxt, header, flags, offerWindow(tcb))
  if (tcb.timestamps) writeTimestamps(view, start + HEADER_OCTETS, tcb.tsval(now), tcb.tsRecent)
  const room = header - HEADER_OCTETS - optionOctets(tcb)
  if (room > 0) tcb.sackBlocks?.write(view, start + header - room, room)
}

/** Octets of the options that every segment has. */
function optionOctets(tcb: Tcb): number {
  return tcb.timestamps ? TIMESTAMPS_OCTETS : 0
}

function sackDue(tcb: Tcb): boolean {
  return tcb.sackBlocks !== null && tcb.sackBlocks.due > 0
}

/** Octets of the SACK option in a segment that has `room` left for it. */
function sackOctets(tcb: Tcb, room: number): number {
  if (tcb.sackBlocks === null || tcb.sackBlocks.due === 0) return 0
  const most = Math.min(room, OPTION_OCTETS - optionOctets(tcb))
  const blocks = Math.min(tcb.sackBlocks.due, Math.floor((most - SACK_HEAD_OCTETS) / SACK_BLOCK_OCTETS))
  return blocks <= 0 ? 0 : SACK_HEAD_OCTETS + SACK_BLOCK_OCTETS * blocks
}

function complete(tcb: Tcb, packet: Packet, header: number): void {
  if (tcb.path.checksum) leaveChecksum(packet, tcb.local.address, tcb.remote.address, header)
  else writeChecksum(packet, tcb.local.address, tcb.remote.address, header, 0)
}

/** An ACK of everything received has been made. */
function acknowledged(tcb: Tcb): void {
  if (tcb.quickAcks > 0 && tcb.rcv.acked !== tcb.rcv.nxt) tcb.quickAcks--
  tcb.rcv.acked = tcb.rcv.nxt
  tcb.ackNow = false
  tcb.deadlines.delayedAck = NEVER
}
