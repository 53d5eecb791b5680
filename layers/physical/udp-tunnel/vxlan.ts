/**
 * The header of VXLAN (RFC 7348 §5) in front of an Ethernet frame without FCS, as the payload of a UDP datagram.
 *
 *    0                   1                   2                   3
 *    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *   |R|R|R|R|I|R|R|R|            reserved                           |
 *   |           VXLAN network identifier (VNI)      |   reserved    |
 */
import type { Codec } from './codec.ts'

const OCTETS = 8

/** The port assigned to VXLAN (RFC 7348 §8). */
export const VXLAN_PORT = 4789

const FLAG_VNI_VALID = 0x08

/** @param vni of 24 bits. The reserved fields are ignored on receipt (RFC 7348 §5). */
export function vxlan(vni: number): Codec {
  return {
    octets: OCTETS,
    port: VXLAN_PORT,
    spreads: true,
    push(packet) {
      const at = packet.push(OCTETS)
      packet.view.setInt32(at, FLAG_VNI_VALID << 24)
      packet.view.setInt32(at + 4, vni << 8)
    },
    pull(packet) {
      const { view, start, length } = packet
      if (length < OCTETS) return 'truncated'
      if ((view.getUint8(start) & FLAG_VNI_VALID) === 0) return 'badFlags'
      if (view.getUint32(start + 4) >>> 8 !== vni) return 'wrongVni'
      packet.pull(OCTETS)
      return undefined
    },
  }
}
