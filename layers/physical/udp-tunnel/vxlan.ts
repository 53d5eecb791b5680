/**
 * The header of VXLAN (RFC 7348 §5) in front of an Ethernet frame without FCS, as the payload of a UDP datagram.
 *
 *    0                   1                   2                   3
 *    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *   |R|R|R|R|I|R|R|R|            reserved                           |
 *   |           VXLAN network identifier (VNI)      |   reserved    |
 */
import type { Packet } from '../../../src/kernel/packet.ts'

/** Octets of the header; a multiple of 4, so that it does not shift what follows. */
export const VXLAN_OCTETS = 8

/** The port assigned to VXLAN (RFC 7348 §8). */
export const VXLAN_PORT = 4789

/** The largest network identifier: 24 bits. */
export const MAX_VNI = 0xff_ffff

const FLAG_VNI_VALID = 0x08

/** Why a datagram is not a frame of our VXLAN segment. */
export type VxlanFault = 'truncated' | 'badFlags' | 'wrongVni'

/** Pushes the header in front of a frame. @param packet with VXLAN_OCTETS of headroom. */
export function pushVxlan(packet: Packet, vni: number): void {
  const at = packet.push(VXLAN_OCTETS)
  packet.view.setInt32(at, FLAG_VNI_VALID << 24)
  packet.view.setInt32(at + 4, vni << 8)
}

/**
 * What is wrong with an arrived datagram, or undefined. The reserved fields are ignored on receipt (RFC 7348 §5).
 * The packet is left as it is: pull VXLAN_OCTETS from a good one.
 */
export function vxlanFault(packet: Packet, vni: number): VxlanFault | undefined {
  if (packet.length < VXLAN_OCTETS) return 'truncated'
  if ((packet.view.getUint8(packet.start) & FLAG_VNI_VALID) === 0) return 'badFlags'
  return packet.view.getUint32(packet.start + 4) >>> 8 === vni ? undefined : 'wrongVni'
}
