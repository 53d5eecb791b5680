/**
 * The header that TAP and TUN devices opened with IFF_VNET_HDR put in front of every packet, both ways: `struct
 * virtio_net_hdr` (virtio 1.2 §5.1.6), in the host's byte order. It tells what the packet leaves to whom it is handed.
 *
 *     0       1          2         4          6            8             10
 *   | flags | gso_type | hdr_len | gso_size | csum_start | csum_offset |  packet …
 *
 * NEEDS_CSUM says that the transport checksum field holds only the sum of the pseudo-header; a gso_type says that the
 * packet is a super-segment, to be split into segments of gso_size octets of payload.
 */
import { endianness } from 'node:os'
import type { Packet } from '../../src/kernel/packet.ts'
import { checksumInside } from '../offload/header.ts'

/** Octets of the header. */
export const VNET_HEADER_OCTETS = 10

const NEEDS_CSUM = 1
const DATA_VALID = 2
const GSO_NONE = 0
const GSO_TCPV4 = 1
const GSO_TCPV6 = 4
/** Set beside a TCP type when the first segment carries CWR (RFC 3168 §6.1.2). */
const GSO_ECN = 0x80
const LITTLE = endianness() === 'LE'
const ETHERNET_OCTETS = 14
const ETHERTYPE_IPV4 = 0x0800
const ETHERTYPE_IPV6 = 0x86dd
const IPV6_OCTETS = 40
const TCP_DATA_OFFSET = 12
const TCP_MINIMUM_OCTETS = 20
const PROTOCOL_TCP = 6
const PROTOCOL_UDP = 17
const TCP_CHECKSUM_OFFSET = 16
const UDP_CHECKSUM_OFFSET = 6

/** How to find the network header of a packet: behind 14 octets of Ethernet, or at once. */
export type VnetMedium = 'ethernet' | 'ip'

/**
 * Pushes the header in front of a packet that is to be written, from the packet's offload fields.
 * @param packet with 10 octets of headroom.
 * @returns false when the packet asks for what the device cannot do (nothing was pushed): a super-segment that is not
 * TCP, or whose checksum is not left to the device, or fields that point outside of the packet.
 */
export function pushVnetHeader(packet: Packet, medium: VnetMedium): boolean {
  const partial = packet.checksum === 'partial'
  if (partial && !checksumInside(packet)) return false
  const type = packet.segments > 1 ? gsoType(packet, medium) : GSO_NONE
  if (type < 0 || (type !== GSO_NONE && !partial)) return false
  const length = packet.checksumStart - packet.start
  const { view } = packet
  const at = packet.push(VNET_HEADER_OCTETS)
  view.setUint8(at, partial ? NEEDS_CSUM : packet.checksum === 'verified' ? DATA_VALID : 0)
  view.setUint8(at + 1, type)
  view.setUint16(at + 2, type === GSO_NONE ? 0 : length + packet.headerOctets, LITTLE)
  view.setUint16(at + 4, type === GSO_NONE ? 0 : packet.segmentOctets, LITTLE)
  view.setUint16(at + 6, partial ? length : 0, LITTLE)
  view.setUint16(at + 8, partial ? packet.checksumOffset : 0, LITTLE)
  return true
}

/**
 * Pulls the header of a packet that was read, and sets the packet's offload fields from it.
 * @returns false when the packet is shorter than its header says, or a super-segment of a kind we did not ask for.
 */
export function pullVnetHeader(packet: Packet, medium: VnetMedium): boolean {
  if (packet.length < VNET_HEADER_OCTETS) return false
  const { view } = packet
  const at = packet.pull(VNET_HEADER_OCTETS)
  const flags = view.getUint8(at)
  packet.segmentOctets = 0
  packet.checksum = 'none'
  if (flags & NEEDS_CSUM) {
    packet.checksum = 'partial'
    packet.checksumStart = packet.start + view.getUint16(at + 6, LITTLE)
    packet.checksumOffset = view.getUint16(at + 8, LITTLE)
    packet.headerOctets = 0
    if (!checksumInside(packet)) return false
  } else if (flags & DATA_VALID) {
    markVerified(packet, medium)
  }
  const type = view.getUint8(at + 1) & ~GSO_ECN
  return type === GSO_NONE || pullSegmentation(packet, type, view.getUint16(at + 4, LITTLE))
}

/** `hdr_len` is a hint only (virtio 1.2 §5.1.6.2): the TCP header itself says how long it is. */
function pullSegmentation(packet: Packet, type: number, gsoSize: number): boolean {
  if ((type !== GSO_TCPV4 && type !== GSO_TCPV6) || packet.checksum !== 'partial' || gsoSize === 0) return false
  const tcp = packet.checksumStart
  if (tcp + TCP_MINIMUM_OCTETS > packet.end) return false
  const headerOctets = (packet.view.getUint8(tcp + TCP_DATA_OFFSET) >> 4) * 4
  if (headerOctets < TCP_MINIMUM_OCTETS || tcp + headerOctets > packet.end) return false
  packet.headerOctets = headerOctets
  packet.segmentOctets = gsoSize
  return true
}

/** The kernel has checked the sum, but does not say where it is: only TCP and UDP right behind IP are taken up on it. */
function markVerified(packet: Packet, medium: VnetMedium): void {
  const network = packet.start + (medium === 'ethernet' ? ETHERNET_OCTETS : 0)
  const version = versionOf(packet, medium)
  const fixed = version === 4 ? 20 : IPV6_OCTETS
  if (version === 0 || network + fixed > packet.end) return
  const { view } = packet
  const protocol = view.getUint8(network + (version === 4 ? 9 : 6))
  if (protocol !== PROTOCOL_TCP && protocol !== PROTOCOL_UDP) return
  packet.checksum = 'verified'
  packet.checksumStart = network + (version === 4 ? (view.getUint8(network) & 15) * 4 : IPV6_OCTETS)
  packet.checksumOffset = protocol === PROTOCOL_TCP ? TCP_CHECKSUM_OFFSET : UDP_CHECKSUM_OFFSET
  packet.headerOctets = 0
  if (!checksumInside(packet)) packet.checksum = 'none'
}

function gsoType(packet: Packet, medium: VnetMedium): number {
  if (packet.headerOctets < TCP_MINIMUM_OCTETS || packet.checksumOffset !== TCP_CHECKSUM_OFFSET) return -1
  const version = versionOf(packet, medium)
  return version === 4 ? GSO_TCPV4 : version === 6 ? GSO_TCPV6 : -1
}

/** 4 or 6, or 0 for what is not IP. */
function versionOf(packet: Packet, medium: VnetMedium): number {
  if (medium === 'ip') {
    const version = packet.length > 0 ? packet.view.getUint8(packet.start) >> 4 : 0
    return version === 4 || version === 6 ? version : 0
  }
  if (packet.length < ETHERNET_OCTETS) return 0
  const type = packet.view.getUint16(packet.start + 12)
  return type === ETHERTYPE_IPV4 ? 4 : type === ETHERTYPE_IPV6 ? 6 : 0
}
