/**
 * The header of Geneve (RFC 8926 §3.4) in front of an Ethernet frame without FCS, as the payload of a UDP datagram.
 *
 *    0                   1                   2                   3
 *    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *   |Ver|  Opt Len  |O|C|    Rsvd.  |          Protocol Type        |
 *   |        Virtual network identifier (VNI)       |    reserved   |
 *   |                    options, Opt Len × 4 octets                |
 *
 * We send no options and pass over those that arrive, unless one is critical, since we know none.
 */
import type { Codec } from './codec.ts'

const OCTETS = 8

/** The port assigned to Geneve (RFC 8926 §3.3). */
export const GENEVE_PORT = 6081

/** Transparent Ethernet Bridging. */
const ETHERNET_TYPE = 0x6558
const OPTION_LENGTH = 0x3f
const FLAG_CONTROL = 0x80
const FLAG_CRITICAL = 0x40

/** @param vni of 24 bits. Reserved bits are ignored on receipt (RFC 8926 §3.4). */
export function geneve(vni: number): Codec {
  return {
    octets: OCTETS,
    port: GENEVE_PORT,
    spreads: true,
    push(packet) {
      const at = packet.push(OCTETS)
      packet.view.setInt32(at, ETHERNET_TYPE)
      packet.view.setInt32(at + 4, vni << 8)
    },
    pull(packet) {
      const { view, start, length } = packet
      if (length < OCTETS) return 'truncated'
      const first = view.getUint8(start)
      const octets = OCTETS + (first & OPTION_LENGTH) * 4
      if (first >> 6 !== 0) return 'badVersion'
      if (length < octets) return 'truncated'
      const flags = view.getUint8(start + 1)
      if ((flags & FLAG_CONTROL) !== 0) return 'control'
      if ((flags & FLAG_CRITICAL) !== 0) return 'criticalOption'
      if (view.getUint16(start + 2) !== ETHERNET_TYPE) return 'badType'
      if (view.getUint32(start + 4) >>> 8 !== vni) return 'wrongVni'
      packet.pull(octets)
      return undefined
    },
  }
}
