/**
 * The ARP packet for IPv4 over Ethernet-like links (RFC 826, RFC 5494). 28 octets:
 *
 *    0        2        4    5    6      8              14       18              24       28
 *    ├ hrd ───┼ pro ───┼ hln┼ pln┼ op ──┼ sha ─────────┼ spa ───┼ tha ─────────┼ tpa ───┤
 *
 * sha and spa are the sender's hardware and protocol addresses, tha and tpa the target's.
 * Accessors take the offset of the packet in the view; check it with `fault` first.
 */
import type { MacAddress } from '../../../src/kernel/address.ts'
import type { Packet } from '../../../src/kernel/packet.ts'
import { ETHERTYPE } from '../../datalink/service.ts'

/** Octets of the packet; what follows on the link is padding. */
export const ARP_OCTETS: 28 = 28

export const OP_REQUEST: 1 = 1
export const OP_REPLY: 2 = 2

const HARDWARE_ETHERNET = 1

/** Why a packet is not one that we understand. */
export type ArpFault = 'short' | 'hardwareType' | 'protocolType' | 'addressLength' | 'operation'

/** @returns what is wrong with the format, or undefined. */
export function fault(packet: Packet): ArpFault | undefined {
  if (packet.end - packet.start < ARP_OCTETS) return 'short'
  const { view, start } = packet
  if (view.getUint16(start) !== HARDWARE_ETHERNET) return 'hardwareType'
  if (view.getUint16(start + 2) !== ETHERTYPE.ipv4) return 'protocolType'
  if (view.getUint16(start + 4) !== 0x0604) return 'addressLength'
  const op = view.getUint16(start + 6)
  if (op !== OP_REQUEST && op !== OP_REPLY) return 'operation'
  return undefined
}

export const op = (view: DataView, at: number): number => view.getUint16(at + 6)
/** Sender's and target's hardware address. */
export const sha = (view: DataView, at: number): MacAddress => macAt(view, at + 8)
export const tha = (view: DataView, at: number): MacAddress => macAt(view, at + 18)
/** Sender's and target's protocol address, as int32. */
export const spa = (view: DataView, at: number): number => view.getInt32(at + 14)
export const tpa = (view: DataView, at: number): number => view.getInt32(at + 24)

/** Appends an ARP packet to an empty one with room for it. Protocol addresses are int32. */
export function write(packet: Packet, op: number, sha: MacAddress, spa: number, tha: MacAddress, tpa: number): void {
  const at = packet.put(ARP_OCTETS)
  const { view } = packet
  view.setUint16(at, HARDWARE_ETHERNET)
  view.setUint16(at + 2, ETHERTYPE.ipv4)
  view.setUint16(at + 4, 0x0604)
  view.setUint16(at + 6, op)
  setMac(view, at + 8, sha)
  view.setInt32(at + 14, spa)
  setMac(view, at + 18, tha)
  view.setInt32(at + 24, tpa)
}

function macAt(view: DataView, at: number): MacAddress {
  return view.getUint16(at) * 0x1_0000_0000 + view.getUint32(at + 2)
}

function setMac(view: DataView, at: number, address: MacAddress): void {
  view.setUint16(at, Math.floor(address / 0x1_0000_0000))
  view.setUint32(at + 2, address % 0x1_0000_0000)
}
