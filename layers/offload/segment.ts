/**
 * Splits a super-segment into the packets of the wire that it stands for, as a network card with TSO would.
 *
 *   start                networkStart       checksumStart   + headerOctets                              end
 *     ├ link header (if any) ├─ network header ┼── TCP header ──┼── payload ────────────────────────────┤
 *
 *     └──────────── repeated in every segment ─────────────────┘└ segmentOctets ┘└ segmentOctets ┘└ rest ┘
 *
 * In every segment: of IPv4 the total length, the identification counted on, and the header checksum (RFC 791 §3.1), of
 * IPv6 the payload length (RFC 8200 §3); the sequence number, FIN and PSH only on the last, CWR only on the first (RFC 3168 §6.1.2), and the TCP checksum. It finds
 * its way by the packet's offsets alone and knows no protocol's options.
 */
import { checksum, copyAndSum, fold, pseudoHeaderIpv4, sum } from '../../src/kernel/checksum.ts'
import { Packet } from '../../src/kernel/packet.ts'
import { complete } from './complete.ts'
import { isIpv6, networkHeader, TCP_OCTETS } from './header.ts'

const FIN = 0x01
const PSH = 0x08
const CWR = 0x80

/** Offsets in the IPv4 header. */
const TOTAL_LENGTH = 2
const IDENTIFICATION = 4
const PROTOCOL = 9
const HEADER_CHECKSUM = 10
const SOURCE = 12
const DESTINATION = 16

/** In the IPv6 header: offsets, and octets of both addresses and of all of it. */
const PAYLOAD_LENGTH = 4
const IPV6_ADDRESSES = 8
const IPV6_ADDRESSES_OCTETS = 32
const IPV6_OCTETS = 40
/** What the pseudo-header says where extension headers may stand between IPv6 and TCP. */
const PROTOCOL_TCP = 6

/** Offsets in the TCP header. */
const SEQUENCE = 4
const FLAGS = 13
const TCP_CHECKSUM = 16

/**
 * Splits one packet after the other; reusable, and nothing is made per packet but the packets.
 *
 *     segmenter.start(packet, link.headroom, link.tailroom)
 *     for (let segment = segmenter.next(); segment !== undefined; segment = segmenter.next()) link.send(segment, to)
 *     packet.release()
 */
export class Segmenter {
  private packet: Packet | null = null
  private headroom = 0
  private tailroom = 0
  /** The network header's offset in the super-segment, or -1: it cannot be split. */
  private network = -1
  /** Octets of all headers, and the payload's offset in the super-segment: its start, next octet and end. */
  private headers = 0
  private payload = 0
  private at = 0
  private end = 0
  private finished = true

  /**
   * Begins with a packet, which stays the caller's and unchanged, and must live until `next` has returned undefined.
   * @param packet a super-segment of TCP; of any other, `next` gives one copy with its checksum complete.
   * @param headroom octets to leave free in front of each segment. @param tailroom and behind it.
   */
  start(packet: Packet, headroom: number, tailroom: number): void {
    this.packet = packet
    this.headroom = headroom
    this.tailroom = tailroom
    this.finished = false
    this.network = packet.segmentOctets > 0 && packet.headerOctets >= TCP_OCTETS ? networkHeader(packet) : -1
    this.payload = this.at = packet.checksumStart + packet.headerOctets
    this.headers = this.payload - packet.start
    this.end = packet.end
    if (this.payload > packet.end) this.network = -1
  }

  /** The next packet of the wire, complete and owned by the caller; undefined after the last. */
  next(): Packet | undefined {
    const { packet } = this
    if (packet === null || this.finished) {
      this.packet = null
      return undefined
    }
    if (this.network >= 0) return this.cut(packet)
    this.finished = true
    return whole(packet, this.headroom, this.tailroom)
  }

  private cut(packet: Packet): Packet {
    const length = Math.min(packet.segmentOctets, this.end - this.at)
    const segment = Packet.take(this.headroom, this.headers + length + this.tailroom)
    const start = segment.put(this.headers + length)
    segment.octets.copyWithin(start, packet.start, this.payload)
    segment.networkStart = start + this.network - packet.start
    segment.checksumStart = start + packet.checksumStart - packet.start
    segment.checksumOffset = TCP_CHECKSUM
    segment.headerOctets = packet.headerOctets
    const payloadSum = copyAndSum(this.at, start + this.headers, length, 0)
    const offset = this.at - this.payload
    this.at += length
    this.finished = this.at >= this.end
    const ipv6 = isIpv6(segment.view, segment.networkStart)
    if (ipv6) finishIpv6(segment)
    else finishIpv4(segment, Math.floor(offset / packet.segmentOctets))
    finishTcp(segment, offset, this.finished, payloadSum + (ipv6 ? pseudoIpv6(segment) : pseudoIpv4(segment)))
    return segment
  }
}

/** @param count of segments before this one. */
function finishIpv4({ view, end, networkStart: at, checksumStart }: Packet, count: number): void {
  view.setUint16(at + TOTAL_LENGTH, end - at)
  view.setUint16(at + IDENTIFICATION, view.getUint16(at + IDENTIFICATION) + count)
  view.setUint16(at + HEADER_CHECKSUM, 0)
  view.setUint16(at + HEADER_CHECKSUM, checksum(at, checksumStart - at))
}

function finishIpv6({ view, end, networkStart: at }: Packet): void {
  view.setUint16(at + PAYLOAD_LENGTH, end - at - IPV6_OCTETS)
}

function pseudoIpv4({ view, end, networkStart: at, checksumStart }: Packet): number {
  const source = view.getInt32(at + SOURCE)
  const destination = view.getInt32(at + DESTINATION)
  return pseudoHeaderIpv4(source, destination, view.getUint8(at + PROTOCOL), end - checksumStart)
}

function pseudoIpv6({ end, networkStart: at, checksumStart }: Packet): number {
  return sum(at + IPV6_ADDRESSES, IPV6_ADDRESSES_OCTETS, PROTOCOL_TCP + end - checksumStart)
}

/**
 * @param offset of the segment's payload in that of the super-segment.
 * @param partial the sum of payload and pseudo-header.
 */
function finishTcp(segment: Packet, offset: number, last: boolean, partial: number): void {
  const { view, checksumStart: at, headerOctets } = segment
  view.setInt32(at + SEQUENCE, view.getInt32(at + SEQUENCE) + offset)
  let flags = view.getUint8(at + FLAGS)
  if (!last) flags &= ~(FIN | PSH)
  if (offset > 0) flags &= ~CWR
  view.setUint8(at + FLAGS, flags)
  view.setUint16(at + TCP_CHECKSUM, 0)
  view.setUint16(at + TCP_CHECKSUM, ~fold(sum(at, headerOctets, partial)) & 0xffff)
}

function whole(packet: Packet, headroom: number, tailroom: number): Packet {
  const copy = packet.copy(headroom, tailroom)
  copy.segmentOctets = 0
  complete(copy)
  return copy
}
