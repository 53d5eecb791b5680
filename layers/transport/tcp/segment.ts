/**
 * The TCP segment on the wire (RFC 9293 §3.1, options of §3.2, RFC 7323 §2.2, §3.2, RFC 2018, 5482 and 7413): checked once,
 * then read.
 *
 *    0                   1                   2                   3
 *    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *   ├───────────────────────────────┼───────────────────────────────┤
 *   │          source port          │       destination port        │  0
 *   │                        sequence number                        │  4
 *   │                    acknowledgment number                      │  8
 *   │ offset│reserved │C E U A P R S F│            window            │ 12
 *   │           checksum            │        urgent pointer         │ 16
 *   │                     options, padded with 0                    │ 20
 */
import type { IpAddress } from '../../../src/kernel/address.ts'
import { fold, pseudoHeaderIpv4, sum } from '../../../src/kernel/checksum.ts'
import type { Packet } from '../../../src/kernel/packet.ts'

/** Octets of a header without options. */
export const HEADER_OCTETS = 20
/** Octets of a timestamps option with the two NOPs that align it (RFC 7323 appendix A). */
export const TIMESTAMPS_OCTETS = 12
/** Octets from the start of the header to the checksum field. */
export const CHECKSUM_OFFSET = 16
const PROTOCOL_TCP = 6

/** Control bits. */
export const FIN = 0x01
export const SYN = 0x02
export const RST = 0x04
export const PSH = 0x08
export const ACK = 0x10
export const URG = 0x20
/** ECN-Echo and Congestion Window Reduced (RFC 3168 §6.1). */
export const ECE = 0x40
export const CWR = 0x80
/** Of accurate ECN (RFC 9768 §2); we never send it. */
export const AE = 0x100

/** The ECN field of the TOS octet, and its codepoints: may be marked, and has been (RFC 3168 §5). */
export const ECN_FIELD = 3
export const ECT_0 = 2
export const CE = 3

const KIND_END = 0
const KIND_NOP = 1
const KIND_MSS = 2
const KIND_WINDOW_SCALE = 3
const KIND_SACK_PERMITTED = 4
const KIND_SACK = 5
const KIND_TIMESTAMPS = 8
const KIND_USER_TIMEOUT = 28
const KIND_FAST_OPEN = 34
/** Shared by experiments, which are told apart by what follows (RFC 6994); that of Fast Open (RFC 7413 appendix A). */
const KIND_EXPERIMENT = 254
const FAST_OPEN_EXPERIMENT = 0xf989
/** Octets of a user timeout option. */
export const USER_TIMEOUT_OCTETS = 4
/** Sizes of a Fast Open cookie; all are even (RFC 7413 §4.1.1). */
const LEAST_COOKIE_OCTETS = 4
export const MOST_COOKIE_OCTETS = 16
/** NOP, NOP, timestamps, length 10: how nearly every peer sends it. */
const TIMESTAMPS_WORD = 0x0101_080a
/** SACK permitted, then timestamps: how a SYN has them. */
const SACK_TIMESTAMPS_WORD = 0x0402_080a
const SACK_PERMITTED_WORD = 0x0101_0402
/** Blocks that an option of the largest length holds. */
const MOST_SACK_BLOCKS = 4

/** Largest shift of a window; greater ones are read as this (RFC 7323 §2.3). */
export const MAX_WINDOW_SHIFT = 14

export type SegmentFault = 'truncated' | 'badDataOffset' | 'badChecksum' | 'malformedOption'

/** A received segment, decoded. One object is reused for all: valid until the next `decode`. */
export class Segment {
  sourcePort = 0
  destinationPort = 0
  /** SEG.SEQ and SEG.ACK, int32. */
  seq = 0
  ack = 0
  flags = 0
  /** SEG.WND as it stands in the header, before scaling. */
  wnd = 0
  /** Octets of the header with its options. */
  headerOctets: number = HEADER_OCTETS
  /** Octets of payload. */
  length = 0
  hasTimestamps = false
  tsval = 0
  tsecr = 0
  /** The MSS option's value; 0 when there is none. */
  mss = 0
  /** The window scale option's shift; -1 when there is none. */
  windowShift = -1
  sackPermitted = false
  /** Blocks of the SACK option: left and right edge of each in turn (RFC 2018 §3). */
  sackCount = 0
  readonly sackEdges: Int32Array = new Int32Array(2 * MOST_SACK_BLOCKS)
  /** The user timeout option as it stands on the wire; -1 when there is none (RFC 5482 §3). */
  userTimeout = -1
  /**
   * The Fast Open option: octets of the cookie, which begins at `cookieStart` of the slab; 0: a cookie is asked for; -1: there
   * is none; -2: it is one that cannot be.
   */
  cookieOctets = -1
  cookieStart = 0
  /** It came as the experiment that it was at first. */
  cookieExperimental = false
  /** The ECN field of the packet it came in; set by the receiver (RFC 3168 §5). */
  ecn = 0

  /** SEG.LEN: payload, SYN and FIN. */
  get len(): number {
    return this.length + ((this.flags >> 1) & 1) + (this.flags & 1)
  }
}

/** Reads the header at `packet.start`. @returns what is wrong with it, or undefined when `into` holds it. */
export function decode(packet: Packet, into: Segment): SegmentFault | undefined {
  const { view, start: at } = packet
  const octets = packet.end - at
  if (octets < HEADER_OCTETS) return 'truncated'
  const word = view.getInt32(at + 12)
  const headerOctets = (word >>> 28) * 4
  if (headerOctets < HEADER_OCTETS) return 'badDataOffset'
  if (headerOctets > octets) return 'truncated'
  const ports = view.getInt32(at)
  into.sourcePort = ports >>> 16
  into.destinationPort = ports & 0xffff
  into.seq = view.getInt32(at + 4)
  into.ack = view.getInt32(at + 8)
  into.flags = (word >>> 16) & 0x1ff
  into.wnd = word & 0xffff
  into.headerOctets = headerOctets
  into.length = octets - headerOctets
  into.hasTimestamps = into.sackPermitted = false
  into.mss = into.sackCount = 0
  into.windowShift = into.userTimeout = into.cookieOctets = -1
  if (headerOctets === HEADER_OCTETS) return undefined
  return decodeOptions(view, at + HEADER_OCTETS, at + headerOctets, into)
}

function decodeOptions(view: DataView, from: number, end: number, into: Segment): SegmentFault | undefined {
  if (end - from === TIMESTAMPS_OCTETS && view.getInt32(from) === TIMESTAMPS_WORD) {
    into.hasTimestamps = true
    into.tsval = view.getInt32(from + 4)
    into.tsecr = view.getInt32(from + 8)
    return undefined
  }
  for (let at = from; at < end; ) {
    const kind = view.getUint8(at)
    if (kind === KIND_END) return undefined
    if (kind === KIND_NOP) {
      at++
      continue
    }
    // Every option but these two has a length (RFC 9293 §3.1 MUST-68); one that cannot be true is refused (MUST-7).
    const length = at + 1 < end ? view.getUint8(at + 1) : 0
    if (length < 2 || at + length > end) return 'malformedOption'
    decodeOption(view, at, kind, length, into)
    at += length
  }
  return undefined
}

/** Options that are unknown, or known but of another length, are passed over (RFC 9293 §3.1 MUST-6). */
function decodeOption(view: DataView, at: number, kind: number, length: number, into: Segment): void {
  if (kind === KIND_TIMESTAMPS && length === 10) {
    into.hasTimestamps = true
    into.tsval = view.getInt32(at + 2)
    into.tsecr = view.getInt32(at + 6)
  } else if (kind === KIND_MSS && length === 4) {
    into.mss = view.getUint16(at + 2)
  } else if (kind === KIND_WINDOW_SCALE && length === 3) {
    into.windowShift = Math.min(view.getUint8(at + 2), MAX_WINDOW_SHIFT)
  } else if (kind === KIND_SACK_PERMITTED && length === 2) {
    into.sackPermitted = true
  } else if (kind === KIND_SACK && length >= 10 && (length & 7) === 2) {
    into.sackCount = Math.min((length - 2) >> 3, MOST_SACK_BLOCKS)
    for (let i = 0; i < 2 * into.sackCount; i++) into.sackEdges[i] = view.getInt32(at + 2 + 4 * i)
  } else if (kind === KIND_USER_TIMEOUT && length === USER_TIMEOUT_OCTETS) {
    into.userTimeout = view.getUint16(at + 2)
  } else if (kind === KIND_FAST_OPEN) {
    decodeCookie(at + 2, length - 2, false, into)
  } else if (kind === KIND_EXPERIMENT && length >= 4 && view.getUint16(at + 2) === FAST_OPEN_EXPERIMENT) {
    decodeCookie(at + 4, length - 4, true, into)
  }
}

/** (RFC 7413 §4.1.1); a length that is odd is passed over. */
function decodeCookie(start: number, octets: number, experimental: boolean, into: Segment): void {
  if ((octets & 1) !== 0) return
  const possible = octets === 0 || (octets >= LEAST_COOKIE_OCTETS && octets <= MOST_COOKIE_OCTETS)
  into.cookieOctets = possible ? octets : -2
  into.cookieStart = start
  into.cookieExperimental = experimental
}

/** The sum of the pseudo-header, as `sum` continues it (RFC 9293 §3.1; RFC 8200 §8.1). @param length of the segment. */
export function pseudoHeader(source: IpAddress, destination: IpAddress, length: number): number {
  if (source.isIpv4) return pseudoHeaderIpv4(source.w3, destination.w3, PROTOCOL_TCP, length)
  return addressSum(source) + addressSum(destination) + PROTOCOL_TCP + length
}

function addressSum({ w0, w1, w2, w3 }: IpAddress): number {
  return halves(w0) + halves(w1) + halves(w2) + halves(w3)
}

/** The sum of the two halves of a word: a partial sum. */
export const halves = (word: number): number => (word >>> 16) + (word & 0xffff)

/** Is the checksum right, or vouched for by the medium? (RFC 9293 §3.1 MUST-3) */
export function checksumHolds(packet: Packet, source: IpAddress, destination: IpAddress): boolean {
  if (packet.checksum !== 'none') return true
  const length = packet.end - packet.start
  return fold(sum(packet.start, length, pseudoHeader(source, destination, length))) === 0xffff
}

/**
 * Writes a header without options at `at`, its checksum 0.
 * @param headerOctets with the options that the caller writes behind it.
 * @param wnd as it is to stand in the header.
 */
export function writeHeader(
  view: DataView,
  at: number,
  ports: number,
  seq: number,
  ack: number,
  headerOctets: number,
  flags: number,
  wnd: number,
): void {
  view.setInt32(at, ports)
  view.setInt32(at + 4, seq)
  view.setInt32(at + 8, ack)
  view.setInt32(at + 12, (headerOctets << 26) | (flags << 16) | wnd)
  view.setInt32(at + 16, 0)
}

/** Writes the timestamps option, aligned by two NOPs. */
export function writeTimestamps(view: DataView, at: number, tsval: number, tsecr: number): void {
  view.setInt32(at, TIMESTAMPS_WORD)
  view.setInt32(at + 4, tsval)
  view.setInt32(at + 8, tsecr)
}

/** What a SYN offers beside the MSS. One scratch object serves all. */
export interface SynOffer {
  sack: boolean
  timestamps: boolean
  tsval: number
  tsecr: number
  /** Negative: window scaling is not offered. */
  windowShift: number
  /** The user timeout option; negative: none. */
  userTimeout: number
  /** The Fast Open cookie, empty to ask for one; null: no such option. */
  cookie: Uint8Array | null
  cookieExperimental: boolean
}

/** Octets of the options of a SYN: the MSS always, the others as they are offered. */
export function synOptionsOctets({
  sack,
  timestamps,
  windowShift,
  userTimeout,
  cookie,
  cookieExperimental,
}: SynOffer): number {
  const shared = 4 + (timestamps ? TIMESTAMPS_OCTETS : sack ? 4 : 0) + (windowShift >= 0 ? 4 : 0)
  const fastOpen = cookie === null ? 0 : (cookie.length + (cookieExperimental ? 7 : 5)) & ~3
  return shared + fastOpen + (userTimeout >= 0 ? USER_TIMEOUT_OCTETS : 0)
}

/**
 * Writes the options of a SYN in the order `mss, SACK permitted, timestamps, nop, window scale, Fast Open, user timeout`; two
 * NOPs take the place of SACK permitted or stand before it, and some behind a cookie, so that all is aligned.
 */
export function writeSynOptions(view: DataView, from: number, mss: number, offer: SynOffer): void {
  let at = from
  view.setInt32(at, (KIND_MSS << 24) | (4 << 16) | mss)
  at += 4
  if (offer.timestamps) {
    writeTimestamps(view, at, offer.tsval, offer.tsecr)
    if (offer.sack) view.setInt32(at, SACK_TIMESTAMPS_WORD)
    at += TIMESTAMPS_OCTETS
  } else if (offer.sack) {
    view.setInt32(at, SACK_PERMITTED_WORD)
    at += 4
  }
  const { windowShift } = offer
  if (windowShift >= 0) {
    view.setInt32(at, (KIND_NOP << 24) | (KIND_WINDOW_SCALE << 16) | (3 << 8) | windowShift)
    at += 4
  }
  if (offer.cookie !== null) at = writeCookie(view, at, offer.cookie, offer.cookieExperimental)
  if (offer.userTimeout >= 0) writeUserTimeout(view, at, offer.userTimeout)
}

/** @returns where it ends, padded. */
function writeCookie(view: DataView, from: number, cookie: Uint8Array, experimental: boolean): number {
  let at = from
  view.setUint8(at, experimental ? KIND_EXPERIMENT : KIND_FAST_OPEN)
  view.setUint8(at + 1, cookie.length + (experimental ? 4 : 2))
  at += 2
  if (experimental) {
    view.setUint16(at, FAST_OPEN_EXPERIMENT)
    at += 2
  }
  for (let i = 0; i < cookie.length; i++) view.setUint8(at++, cookie[i] as number)
  while (((at - from) & 3) !== 0) view.setUint8(at++, KIND_NOP)
  return at
}

/** Writes the user timeout option. @param word as it is to stand there (RFC 5482 §3). */
export function writeUserTimeout(view: DataView, at: number, word: number): void {
  view.setInt32(at, (KIND_USER_TIMEOUT << 24) | (USER_TIMEOUT_OCTETS << 16) | word)
}

/**
 * Completes the checksum of the segment that fills `packet` (RFC 9293 §3.1 MUST-2).
 * @param payloadSum what `copyAndSum` made of everything behind the header, or 0 when there is nothing.
 */
export function writeChecksum(
  packet: Packet,
  source: IpAddress,
  destination: IpAddress,
  headerOctets: number,
  payloadSum: number,
): void {
  const { start } = packet
  const partial = pseudoHeader(source, destination, packet.end - start) + payloadSum
  packet.view.setUint16(start + CHECKSUM_OFFSET, ~fold(sum(start, headerOctets, partial)) & 0xffff)
}

/** Leaves the checksum to the link: the pseudo-header's sum goes into the field. */
export function leaveChecksum(packet: Packet, source: IpAddress, destination: IpAddress, headerOctets: number): void {
  const { start } = packet
  packet.checksum = 'partial'
  packet.checksumStart = start
  packet.checksumOffset = CHECKSUM_OFFSET
  packet.headerOctets = headerOctets
  packet.view.setUint16(start + CHECKSUM_OFFSET, fold(pseudoHeader(source, destination, packet.end - start)))
}
