/**
 * Where the headers of a packet with offload fields are, found by offsets alone: `checksumStart` says where the transport
 * header is; an IPv4 header ends right before it, and so does an IPv6 header with what extension headers follow it.
 */
import type { Packet } from '../../src/kernel/packet.ts'

const IPV4_OCTETS = 20
const IPV6_OCTETS = 40
/** Octets of the header of IPv4, and of the payload of IPv6. */
const TOTAL_LENGTH = 2
const PAYLOAD_LENGTH = 4
/** Octets of an Ethernet header, and of one with a VLAN tag. */
const LINK_HEADERS = [0, 14, 18] as const
/** Octets of a checksum field. */
const FIELD_OCTETS = 2

/** Octets of a TCP header without options: only TCP's super-segments are known. */
export const TCP_OCTETS = 20

/**
 * Where the network header of a packet with offload fields begins: before `checksumStart`, by `networkStart` or, where no
 * network layer has seen the packet, behind what link header there is.
 * @returns an offset in `octets`, or -1 when there is none.
 */
export function networkHeader(packet: Packet): number {
  const { networkStart, start } = packet
  if (isHeader(packet, networkStart)) return networkStart
  for (const octets of LINK_HEADERS) if (isHeader(packet, start + octets)) return start + octets
  return -1
}

/**
 * Where the data that the transport checksum covers ends. Behind it may be padding of the link, which is no part of the
 * datagram even where it is not zero.
 * @param packet one packet of the wire.
 */
export function transportEnd(packet: Packet): number {
  const network = networkHeader(packet)
  if (network < 0) return packet.end
  const end = network + datagramOctets(packet.view, network)
  return end >= fieldEnd(packet) && end < packet.end ? end : packet.end
}

/**
 * Do the offload fields still fit a packet whose end is known now? They come from outside (a virtio_net_hdr), and were
 * held against what arrived, not against what its own header says of its length.
 * @param transport where the transport header begins.
 */
export function offloadFits(packet: Packet, transport: number): boolean {
  const { checksumStart, end } = packet
  // Behind the transport header: of a tunnel, what is inside has its checksum left open.
  if (packet.checksum === 'partial' && (checksumStart < transport || fieldEnd(packet) > end)) return false
  if (packet.segmentOctets === 0) return true
  const { headerOctets } = packet
  return checksumStart === transport && headerOctets >= TCP_OCTETS && checksumStart + headerOctets <= end
}

/** Is the checksum field that a packet says is to be completed inside of it? */
export function checksumInside(packet: Packet): boolean {
  return packet.checksumStart >= packet.start && packet.checksumOffset >= 0 && fieldEnd(packet) <= packet.end
}

/** Is it an IPv6 header that begins there, and not an IPv4 header? */
export const isIpv6 = (view: DataView, at: number): boolean => view.getUint8(at) >> 4 === 6

function datagramOctets(view: DataView, at: number): number {
  return isIpv6(view, at) ? IPV6_OCTETS + view.getUint16(at + PAYLOAD_LENGTH) : view.getUint16(at + TOTAL_LENGTH)
}

const fieldEnd = (packet: Packet): number => packet.checksumStart + packet.checksumOffset + FIELD_OCTETS

function isHeader(packet: Packet, at: number): boolean {
  const octets = packet.checksumStart - at
  if (at < packet.start || octets < IPV4_OCTETS) return false
  const first = packet.view.getUint8(at)
  if (first >> 4 === 4) return (first & 15) * 4 === octets
  // Extension headers are multiples of 8 octets (RFC 8200 §4); from a link header to a transport, it never is one.
  return first >> 4 === 6 && octets >= IPV6_OCTETS && octets % 8 === 0
}
