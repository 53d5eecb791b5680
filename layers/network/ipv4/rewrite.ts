/**
 * Changes addresses and ports of a datagram in place, and what sums them: the header's checksum and the transport's, each by
 * the difference alone (RFC 1624), so that damage done before stays visible. A checksum that is left to the link covers no
 * more than the pseudo-header yet.
 */
import { adjust, fold } from '../../../src/kernel/checksum.ts'
import type { Packet } from '../../../src/kernel/packet.ts'
import { PROTOCOL } from '../service.ts'
import * as header from './header.ts'

/** Octets from an IPv4 header to its addresses, which also tell which end of the transport header is meant. */
export const SOURCE: 12 = 12
export const DESTINATION: 16 = 16
/** Octets from a transport header to what stands for its ports: source first; echo has one identifier. */
const ECHO_ID = 4
const HEADER_CHECKSUM = 10

/** Where the checksum of a protocol stands in its header; -1 for protocols whose checksum, if any, covers no address. */
function checksumOffset(protocol: number): number {
  return protocol === PROTOCOL.tcp ? 16 : protocol === PROTOCOL.udp ? 6 : protocol === PROTOCOL.icmp ? 2 : -1
}

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
  const field = fieldOf(packet, protocol, transport, limit)
  if (field < 0) return
  if (isOpen(packet, transport)) {
    const sum = view.getUint16(field) + (~before >>> 16) + (~before & 0xffff) + (address >>> 16) + (address & 0xffff)
    view.setUint16(field, fold(sum))
  } else {
    settle(view, field, protocol, adjustLong(view.getUint16(field), before, address))
  }
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
  const field = fieldOf(packet, protocol, transport, limit)
  if (field < 0 || isOpen(packet, transport)) return
  settle(view, field, protocol, adjust(view.getUint16(field), before, port))
}

/** Where the checksum field is that has to follow, or -1: there is none, or none among the octets that are there. */
function fieldOf(packet: Packet, protocol: number, transport: number, limit: number): number {
  const offset = checksumOffset(protocol)
  if (offset < 0 || transport + offset + 2 > limit) return -1
  const field = transport + offset
  const absent = protocol === PROTOCOL.udp && !isOpen(packet, transport) && packet.view.getUint16(field) === 0
  return absent ? -1 : field
}

/** Is the sum of this transport header still to be made by somebody below? Not that of a header inside another. */
const isOpen = (packet: Packet, transport: number): boolean =>
  packet.checksum === 'partial' && packet.checksumStart === transport

/** 0 would say of UDP's that there is none (RFC 768). */
function settle(view: DataView, field: number, protocol: number, value: number): void {
  view.setUint16(field, value === 0 && protocol === PROTOCOL.udp ? 0xffff : value)
}

/** As `adjust`, for 32 bits. */
function adjustLong(old: number, from: number, to: number): number {
  return ~fold((~old & 0xffff) + (~from >>> 16) + (~from & 0xffff) + (to >>> 16) + (to & 0xffff)) & 0xffff
}
