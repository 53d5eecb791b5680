/**
 * The checksum of a transport after an address or a port that it covers has changed: by the difference alone (RFC 1624), so
 * that damage done before stays visible. One that is left to the link covers no more than the pseudo-header yet.
 */
import { adjust, fold } from '../../src/kernel/checksum.ts'
import type { Packet } from '../../src/kernel/packet.ts'
import { PROTOCOL } from './service.ts'

/** Where the checksum of a protocol stands in its header; -1 for protocols whose checksum, if any, covers no address. */
function checksumOffset(protocol: number): number {
  if (protocol === PROTOCOL.tcp) return 16
  if (protocol === PROTOCOL.udp) return 6
  return protocol === PROTOCOL.icmp || protocol === PROTOCOL.icmpv6 ? 2 : -1
}

/**
 * 32 bits of an address in the pseudo-header have changed.
 * @param transport where the transport header begins. @param limit where the octets of its packet end.
 */
export function followAddress(
  packet: Packet,
  protocol: number,
  transport: number,
  limit: number,
  before: number,
  after: number,
): void {
  const { view } = packet
  const field = fieldOf(packet, protocol, transport, limit)
  if (field < 0) return
  if (isOpen(packet, transport)) {
    const sum = view.getUint16(field) + (~before >>> 16) + (~before & 0xffff) + (after >>> 16) + (after & 0xffff)
    view.setUint16(field, fold(sum))
  } else {
    settle(view, field, protocol, adjustLong(view.getUint16(field), before, after))
  }
}

/** A port in the header has changed. */
export function followPort(
  packet: Packet,
  protocol: number,
  transport: number,
  limit: number,
  before: number,
  after: number,
): void {
  const { view } = packet
  const field = fieldOf(packet, protocol, transport, limit)
  if (field < 0 || isOpen(packet, transport)) return
  settle(view, field, protocol, adjust(view.getUint16(field), before, after))
}

/** As `adjust`, for 32 bits. */
export function adjustLong(old: number, from: number, to: number): number {
  return ~fold((~old & 0xffff) + (~from >>> 16) + (~from & 0xffff) + (to >>> 16) + (to & 0xffff)) & 0xffff
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
