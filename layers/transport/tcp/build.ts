/** Segments, written: headers and options by what the TCB says, data out of the send buffer. */
import type { Instant } from '../../../src/kernel/clock.ts'
import { Packet } from '../../../src/kernel/packet.ts'
import type { FastOpen } from './fast-open.ts'
import { SACK_BLOCK_OCTETS, SACK_HEAD_OCTETS } from './sack-blocks.ts'
import {
  ACK,
  ECE,
  HEADER_OCTETS,
  leaveChecksum,
  PSH,
  RST,
  type SynOffer,
  synOptionsOctets,
  TIMESTAMPS_OCTETS,
  USER_TIMEOUT_OCTETS,
  writeChecksum,
  writeHeader,
  writeSynOptions,
  writeTimestamps,
  writeUserTimeout,
} from './segment.ts'
import { NEVER, type Tcb } from './tcb.ts'
import { advertisement } from './user-timeout.ts'
import { offerFirstWindow, offerWindow } from './window.ts'

/** Octets that all options of a segment may take. */
const OPTION_OCTETS = 40
const OFFER: SynOffer = {
  sack: false,
  timestamps: false,
  tsval: 0,
  tsecr: 0,
  windowShift: -1,
  userTimeout: -1,
  cookie: null,
  cookieExperimental: false,
}

/**
 * A SYN or SYN-ACK. The caller sees to SND.NXT and to timers.
 * @param fastOpen whose cookie it says; null: none. @param data octets of the send buffer that go with it.
 */
export function synSegment(tcb: Tcb, flags: number, fastOpen: FastOpen | null, data: number, now: Instant): Packet {
  const { snd, rcv } = tcb
  const first = (flags & ACK) === 0
  OFFER.sack = first ? tcb.settings.sack : tcb.sack
  OFFER.timestamps = first ? tcb.settings.timestamps : tcb.timestamps
  OFFER.tsval = tcb.tsval(now)
  OFFER.tsecr = first ? 0 : tcb.tsRecent
  OFFER.windowShift = rcv.shift
  OFFER.cookie = fastOpen === null ? null : fastOpen.cookie
  OFFER.cookieExperimental = fastOpen?.experimental === true
  OFFER.userTimeout = advertisement(tcb)
  // Where both do not fit, the cookie is worth more.
  if (synOptionsOctets(OFFER) > OPTION_OCTETS) OFFER.userTimeout = -1
  const header = HEADER_OCTETS + synOptionsOctets(OFFER)
  const packet = takeSegment(tcb, header, data)
  const { view, start } = packet
  writeHeader(view, start, tcb.ports, snd.iss, rcv.nxt, header, flags, offerFirstWindow(tcb))
  writeSynOptions(view, start + HEADER_OCTETS, tcb.announcedMss, OFFER)
  if (data > 0) fill(tcb, packet, (snd.iss + 1) | 0, header, data)
  else complete(tcb, packet, header)
  if (!first) acknowledged(tcb)
  return packet
}

/** A segment with `data` octets from `seq` on. @param flags beside ACK, and PSH at the end of a write. */
export function dataSegment(tcb: Tcb, seq: number, data: number, flags: number, now: Instant): Packet {
  // A full segment has no room for SACK blocks: then an ACK of their own carries them.
  const options = optionOctets(tcb)
  const sack = sackOctets(tcb, tcb.mss - data)
  const header = HEADER_OCTETS + options + sack
  const packet = takeSegment(tcb, header, data)
  const push = data > 0 && ((seq + data) | 0) === tcb.pushEnd ? PSH : 0
  const told = sack > 0 || !sackDue(tcb)
  writeSegment(tcb, packet, seq, header, flags | push | ACK, now)
  if (sack > 0) tcb.sackBlocks?.write(packet.view, packet.start + HEADER_OCTETS + options, sack)
  if (data > tcb.mss) packet.segmentOctets = tcb.mss
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
  if (path.checksum || packet.segmentOctets > 0) {
    buffer.copy(offset, data, to)
    leaveChecksum(packet, local.address, remote.address, header)
  } else {
    const payload = buffer.copyAndSum(offset, data, to)
    writeChecksum(packet, local.address, remote.address, header, payload)
  }
}

/** A segment without data: an ACK, or a probe. */
export function emptySegment(tcb: Tcb, seq: number, now: Instant): Packet {
  const timeout = tcb.userTimeoutDue ? advertisement(tcb) : -1
  const room = timeout < 0 ? OPTION_OCTETS : OPTION_OCTETS - USER_TIMEOUT_OCTETS
  const options = optionOctets(tcb)
  const sack = sackOctets(tcb, room - options)
  const header = HEADER_OCTETS + options + sack + (timeout < 0 ? 0 : USER_TIMEOUT_OCTETS)
  const packet = takeSegment(tcb, header, 0)
  writeSegment(tcb, packet, seq, header, ACK, now)
  if (sack > 0) tcb.sackBlocks?.write(packet.view, packet.start + HEADER_OCTETS + options, sack)
  if (timeout >= 0) writeUserTimeout(packet.view, packet.start + header - USER_TIMEOUT_OCTETS, timeout)
  tcb.userTimeoutDue = false
  complete(tcb, packet, header)
  acknowledged(tcb)
  return packet
}

/** The segment that resets the connection from our side (RFC 9293 §3.10.5). */
export function resetSegment(tcb: Tcb, now: Instant): Packet {
  const header = HEADER_OCTETS + optionOctets(tcb)
  const packet = takeSegment(tcb, header, 0)
  writeSegment(tcb, packet, tcb.snd.nxt, header, RST | ACK, now)
  tcb.ect = false
  complete(tcb, packet, header)
  return packet
}

/** A packet for a segment: room for the network's header, and `header + data` octets with undefined contents. */
export function takeSegment(tcb: Tcb, header: number, data: number): Packet {
  const packet = Packet.take(tcb.path.headroom, header + data + tcb.path.tailroom)
  packet.put(header + data)
  return packet
}

function writeSegment(tcb: Tcb, packet: Packet, seq: number, header: number, flags: number, now: Instant): void {
  const { view, start } = packet
  const echo = tcb.ecnEcho ? ECE : 0
  writeHeader(view, start, tcb.ports, seq, tcb.rcv.nxt, header, flags | echo, offerWindow(tcb))
  if (tcb.timestamps) writeTimestamps(view, start + HEADER_OCTETS, tcb.tsval(now), tcb.tsRecent)
}

/** Octets of the options that every segment has. */
export function optionOctets(tcb: Tcb): number {
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
