/**
 * The ARP packet for IPv4 (RFC 826, RFC 5494). With n octets of a hardware address, which are 6 on Ethernet, 8 + 2 n + 8:
 *
 *    0        2        4    5    6      8         8+n      12+n      12+2n    16+2n
 *    ├ hrd ───┼ pro ───┼ hln┼ pln┼ op ──┼ sha ─────┼ spa ───┼ tha ─────┼ tpa ───┤
 *
 * sha and spa are the sender's hardware and protocol addresses, tha and tpa the target's.
 * Accessors read the packet from its start on; check it with `fault` first.
 */
import type { Packet } from '../../../src/kernel/packet.ts'
import { type ArpFormat, ETHERTYPE, type LinkAddress } from '../../datalink/service.ts'

export const OP_REQUEST: 1 = 1
export const OP_REPLY: 2 = 2

const SHA = 8
const PROTOCOL_OCTETS = 4

/** Ethernet's, and that of all links that say nothing else. */
export const ETHERNET: ArpFormat = {
  hardwareType: 1,
  protocolType: ETHERTYPE.ipv4,
  addressOctets: 6,
  read: ({ view }, at) => view.getUint16(at) * 0x1_0000_0000 + view.getUint32(at + 2),
  write({ view }, at, address) {
    view.setUint16(at, Math.floor(address / 0x1_0000_0000))
    view.setUint32(at + 2, address % 0x1_0000_0000)
  },
}

/** Why a packet is not one that we understand. */
export type ArpFault = 'short' | 'hardwareType' | 'protocolType' | 'addressLength' | 'operation'

/** Octets of the packet; what follows on the link is padding. */
export const octetsOf = ({ addressOctets }: ArpFormat): number => SHA + 2 * (addressOctets + PROTOCOL_OCTETS)

/** @returns what is wrong with the format, or undefined. */
export function fault(packet: Packet, format: ArpFormat = ETHERNET): ArpFault | undefined {
  if (packet.length < octetsOf(format)) return 'short'
  const { view, start } = packet
  if (view.getUint16(start) !== format.hardwareType) return 'hardwareType'
  if (view.getUint16(start + 2) !== format.protocolType) return 'protocolType'
  if (view.getUint8(start + 4) !== format.addressOctets || view.getUint8(start + 5) !== PROTOCOL_OCTETS)
    return 'addressLength'
  const op = view.getUint16(start + 6)
  if (op !== OP_REQUEST && op !== OP_REPLY) return 'operation'
  return undefined
}

export const op = ({ view, start }: Packet): number => view.getUint16(start + 6)

/** Sender's and target's hardware address. */
export const sha = (packet: Packet, format: ArpFormat = ETHERNET): LinkAddress =>
  format.read(packet, packet.start + SHA)
export const tha = (packet: Packet, format: ArpFormat = ETHERNET): LinkAddress =>
  format.read(packet, packet.start + SHA + format.addressOctets + PROTOCOL_OCTETS)

/** Sender's and target's protocol address, as int32. */
export const spa = ({ view, start }: Packet, { addressOctets }: ArpFormat = ETHERNET): number =>
  view.getInt32(start + SHA + addressOctets)
export const tpa = ({ view, start }: Packet, format: ArpFormat = ETHERNET): number =>
  view.getInt32(start + octetsOf(format) - PROTOCOL_OCTETS)

/** What a packet says. Protocol addresses are int32. */
export interface ArpContent {
  readonly op: number
  readonly sha: LinkAddress
  readonly spa: number
  readonly tha: LinkAddress
  readonly tpa: number
}

/** Appends an ARP packet to an empty one with room for it. */
export function write(packet: Packet, { op, sha, spa, tha, tpa }: ArpContent, format: ArpFormat = ETHERNET): void {
  const { addressOctets } = format
  const at = packet.put(octetsOf(format))
  const { view } = packet
  view.setUint16(at, format.hardwareType)
  view.setUint16(at + 2, format.protocolType)
  view.setUint8(at + 4, addressOctets)
  view.setUint8(at + 5, PROTOCOL_OCTETS)
  view.setUint16(at + 6, op)
  format.write(packet, at + SHA, sha)
  view.setInt32(at + SHA + addressOctets, spa)
  format.write(packet, at + SHA + addressOctets + PROTOCOL_OCTETS, tha)
  view.setInt32(at + SHA + 2 * addressOctets + PROTOCOL_OCTETS, tpa)
}
