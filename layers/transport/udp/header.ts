/**
 * The UDP header (RFC 768). 8 octets:
 *
 *   0              2                   4        6          8
 *   ├ source port ─┼ destination port ─┼ length ┼ checksum ┤ payload …
 *
 * The checksum covers a pseudo-header, the header and the payload; 0 says that there is none.
 * Accessors take the offset of the header in the view.
 */
import type { IpAddress } from '../../../src/kernel/address.ts'
import { copyAndSum, fold, pseudoHeaderIpv4, sum } from '../../../src/kernel/checksum.ts'
import type { Packet } from '../../../src/kernel/packet.ts'
import { PROTOCOL } from '../../network/service.ts'
import type { DropReason } from './reasons.ts'

export const HEADER_OCTETS: 8 = 8
/** Largest payload of a datagram over IPv4: 65535 less its header and ours. */
export const LARGEST_PAYLOAD: 65_507 = 65_507

const LENGTH = 4
const CHECKSUM = 6
/** Runs up to here are copied faster octet by octet than by a call, and than by a view that is made for it first. */
const SHORT_SET = 32
const SHORT_COPY = 96

export const sourcePort = (view: DataView, at: number): number => view.getUint16(at)
export const destinationPort = (view: DataView, at: number): number => view.getUint16(at + 2)

/**
 * Checks a datagram that was received, and trims what follows it.
 * @returns why it must be dropped, or undefined.
 */
export function fault(packet: Packet, source: IpAddress, destination: IpAddress): DropReason | undefined {
  const { view, start } = packet
  const arrived = packet.end - start
  if (arrived < HEADER_OCTETS) return 'truncated'
  const length = view.getUint16(start + LENGTH)
  if (length < HEADER_OCTETS || length > arrived) return 'badLength'
  if (length < arrived) packet.trim(length)
  if (view.getUint16(start + CHECKSUM) === 0) return destination.isIpv4 ? undefined : 'noChecksum'
  if (packet.checksum !== 'none') return undefined
  return fold(sum(start, length, pseudoHeader(source, destination, length))) === 0xffff ? undefined : 'badChecksum'
}

/** Appends header and payload to an empty packet with room for both; the checksum is written by one of those below. */
export function write(
  packet: Packet,
  sourcePort: number,
  destinationPort: number,
  octets: Uint8Array,
  from: number,
  length: number,
): void {
  const at = writeHeader(packet, sourcePort, destinationPort, length)
  const into = packet.octets
  if (into === octets) {
    into.copyWithin(at, from, from + length)
  } else if (length === octets.length && length > SHORT_SET) {
    into.set(octets, at)
  } else if (length <= SHORT_COPY) {
    for (let i = 0; i < length; i++) into[at + i] = octets[from + i] as number
  } else {
    into.set(octets.subarray(from, from + length), at)
  }
}

/** As `write`, with the checksum, in one pass over octets that are in the slab themselves. */
export function writeFromSlab(
  packet: Packet,
  sourcePort: number,
  destinationPort: number,
  from: number,
  length: number,
  source: IpAddress,
  destination: IpAddress,
): void {
  const at = writeHeader(packet, sourcePort, destinationPort, length)
  const payloadSum = fold(copyAndSum(from, at, length, 0))
  const header = at - HEADER_OCTETS
  const partial = pseudoHeader(source, destination, HEADER_OCTETS + length) + payloadSum
  setChecksum(packet, header, ~fold(sum(header, HEADER_OCTETS, partial)) & 0xffff)
}

function writeHeader(packet: Packet, sourcePort: number, destinationPort: number, length: number): number {
  const at = packet.put(HEADER_OCTETS + length)
  const { view } = packet
  view.setUint16(at, sourcePort)
  view.setUint16(at + 2, destinationPort)
  view.setUint16(at + LENGTH, HEADER_OCTETS + length)
  view.setUint16(at + CHECKSUM, 0)
  return at + HEADER_OCTETS
}

/** Computes the checksum of the datagram that fills the packet. */
export function finishChecksum(packet: Packet, source: IpAddress, destination: IpAddress): void {
  const { start } = packet
  const length = packet.end - start
  setChecksum(packet, start, ~fold(sum(start, length, pseudoHeader(source, destination, length))) & 0xffff)
}

/** Leaves the checksum to the link: the pseudo-header's sum goes into the field. */
export function leaveChecksum(packet: Packet, source: IpAddress, destination: IpAddress): void {
  const { start } = packet
  packet.view.setUint16(start + CHECKSUM, fold(pseudoHeader(source, destination, packet.end - start)))
  packet.checksum = 'partial'
  packet.checksumStart = start
  packet.checksumOffset = CHECKSUM
  packet.headerOctets = HEADER_OCTETS
}

/** A sum of 0 is sent as its other form, as 0 would say that there is none (RFC 768). */
function setChecksum(packet: Packet, at: number, value: number): void {
  packet.view.setUint16(at + CHECKSUM, value === 0 ? 0xffff : value)
}

function pseudoHeader(source: IpAddress, destination: IpAddress, length: number): number {
  if (destination.isIpv4) return pseudoHeaderIpv4(source.w3, destination.w3, PROTOCOL.udp, length)
  return words(source) + words(destination) + PROTOCOL.udp + length
}

/** The eight 16-bit words of an IPv6 address (RFC 8200 §8.1). */
function words({ w0, w1, w2, w3 }: IpAddress): number {
  const high = (w0 >>> 16) + (w1 >>> 16) + (w2 >>> 16) + (w3 >>> 16)
  return high + (w0 & 0xffff) + (w1 & 0xffff) + (w2 & 0xffff) + (w3 & 0xffff)
}
