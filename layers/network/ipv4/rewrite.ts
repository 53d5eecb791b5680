/**
 * Changes addresses and ports of a datagram in place, and what sums them: the header's checksum and the transport's, each by
 * the difference alone.
 */
import type { Packet } from '../../../src/kernel/packet.ts'
import { PROTOCOL } from '../service.ts'
import { adjustLong, followAddress, followPort } from '../transport-checksum.ts'
import * as header from './header.ts'

/** Octets from an IPv4 header to its addresses, which also tell which end of the transport header is meant. */
export const SOURCE: 12 = 12
export const DESTINATION: 16 = 16
/** Octets from a transport header to what stands for its ports: source first; echo has one identifier. */
const ECHO_ID = 4
const HEADER_CHECKSUM = 10

/** Where in the packet a port is, by protocol and end; of echo, the identifier. */
export function portAt(protocol: number, transport: number, end: typeof SOURCE | typeof DESTINATION): number {
  return protocol === PROTOCOL.icmp ? transport + ECHO_ID : transport + (end === SOURCE ? 0 : 2)
}

/** The address at one end, with both checksums. @param at of a header. @param limit where the datagram's octets end. */
export function rewriteAddress(
  packet: Packet,
  at: number,
  limit: number,
  end: typeof SOURCE | typeof DESTINATION,
  address: number,
): void {
  const { view } = packet
  const before = view.getInt32(at + end)
  if (before === address) return
  view.setInt32(at + end, address)
  const ofHeader = view.getUint16(at + HEADER_CHECKSUM)
  view.setUint16(at + HEADER_CHECKSUM, adjustLong(ofHeader, before, address))
  const protocol = header.protocol(view, at)
  if (protocol === PROTOCOL.icmp) return
  const transport = at + header.headerOctets(view, at)
  followAddress(packet, protocol, transport, limit, before, address)
}

/** A port, or echo's identifier, with the checksum of its transport. */
export function rewritePort(
  packet: Packet,
  at: number,
  limit: number,
  end: typeof SOURCE | typeof DESTINATION,
  port: number,
): void {
  const { view } = packet
  const protocol = header.protocol(view, at)
  const transport = at + header.headerOctets(view, at)
  const place = portAt(protocol, transport, end)
  const before = view.getUint16(place)
  if (before === port) return
  view.setUint16(place, port)
  followPort(packet, protocol, transport, limit, before, port)
}
