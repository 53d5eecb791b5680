/**
 * The options of Neighbour Discovery: each begins with its type and its length in units of 8 octets (RFC 4861 §4.6).
 *
 *     1, 2  source's, target's link address   ├ type ┼ 1 ┼ address ─────────┤
 *     3     prefix                            ├ type ┼ 4 ┼ bits ┼ LA flags ┼ valid ┼ preferred ┼ 0 ┼ prefix ─┤
 *     4     redirected packet
 *     5     MTU                               ├ type ┼ 1 ┼ 0 ────┼ MTU ────┤
 *     14    nonce (RFC 3971 §5.3.2)           ├ type ┼ 1 ┼ nonce ───────────┤
 *     24    route (RFC 4191 §2.3)             ├ type ┼ 1 to 3 ┼ bits ┼ preference ┼ lifetime ┼ prefix ─┤
 *     25    name servers (RFC 8106 §5.1)      ├ type ┼ 1 + 2n ┼ 0 ┼ lifetime ┼ addresses ─┤
 *     31    search domains (RFC 8106 §5.2)    ├ type ┼ 1 + n ┼ 0 ┼ lifetime ┼ names, zeros ─┤
 *
 * Of other types only the length is looked at. Accessors take the offset of an option; check all with `optionsFault` first.
 * Lifetimes are seconds; 2^32 - 1 is for ever.
 */
import type { IpAddress } from '../../../../src/kernel/address.ts'
import type { Packet } from '../../../../src/kernel/packet.ts'
import type { LinkAddress } from '../../../datalink/service.ts'

export const OPTION: {
  readonly sourceLinkAddress: 1
  readonly targetLinkAddress: 2
  readonly prefix: 3
  readonly redirected: 4
  readonly mtu: 5
  readonly nonce: 14
  readonly route: 24
  readonly nameServers: 25
  readonly searchDomains: 31
} = {
  sourceLinkAddress: 1,
  targetLinkAddress: 2,
  prefix: 3,
  redirected: 4,
  mtu: 5,
  nonce: 14,
  route: 24,
  nameServers: 25,
  searchDomains: 31,
}

/** A lifetime without end. */
export const FOREVER = 0xffff_ffff

/** Octets of a link address, an MTU and a nonce option each. */
export const UNIT_OCTETS = 8
export const PREFIX_OCTETS = 32

const ON_LINK = 0x80
const AUTONOMOUS = 0x40

/** Is there an option of no length, past the end, or of a length that its kind cannot have? */
export function optionsFault(view: DataView, from: number, end: number): boolean {
  for (let at = from; at < end; at += optionOctets(view, at)) {
    if (end - at < UNIT_OCTETS) return true
    const units = view.getUint8(at + 1)
    if (units === 0 || at + units * UNIT_OCTETS > end || !fits(view, at, units)) return true
  }
  return false
}

function fits(view: DataView, at: number, units: number): boolean {
  switch (view.getUint8(at)) {
    case OPTION.sourceLinkAddress:
    case OPTION.targetLinkAddress:
    case OPTION.mtu:
      return units === 1
    case OPTION.prefix:
      return units === 4 && view.getUint8(at + 2) <= 128
    case OPTION.route:
      return units <= 3 && view.getUint8(at + 2) <= (units - 1) * 64
    case OPTION.nameServers:
      return units >= 3 && units % 2 === 1
    case OPTION.searchDomains:
      return units >= 2
    default:
      return true
  }
}

export const optionType = (view: DataView, at: number): number => view.getUint8(at)
export const optionOctets = (view: DataView, at: number): number => view.getUint8(at + 1) * UNIT_OCTETS

/** The first option of a type, or -1. */
export function findOption(view: DataView, from: number, end: number, type: number): number {
  for (let at = from; at < end; at += optionOctets(view, at)) if (view.getUint8(at) === type) return at
  return -1
}

/** Of a link address option. */
export const linkAddress = (view: DataView, at: number): LinkAddress =>
  view.getUint16(at + 2) * 0x1_0000_0000 + view.getUint32(at + 4)

/** Bits of the prefix in a prefix or route option. */
export const prefixLength = (view: DataView, at: number): number => view.getUint8(at + 2)

/** Of a prefix option; the prefix itself is 16 octets on. */
export const isOnLink = (view: DataView, at: number): boolean => (view.getUint8(at + 3) & ON_LINK) !== 0
export const isAutonomous = (view: DataView, at: number): boolean => (view.getUint8(at + 3) & AUTONOMOUS) !== 0
export const validLifetime = (view: DataView, at: number): number => view.getUint32(at + 4)
export const preferredLifetime = (view: DataView, at: number): number => view.getUint32(at + 8)
export const prefixAt = (at: number): number => at + 16

/** Of a route, name server or search domain option; what it is for begins 8 octets on. */
export const lifetime = (view: DataView, at: number): number => view.getUint32(at + 4)
export const contentAt = (at: number): number => at + UNIT_OCTETS

/** Of a route option, to be read with `preferenceIn`. */
export const routeFlags = (view: DataView, at: number): number => view.getUint8(at + 3)

/** The prefix of a route option, of which only as many octets are there as it has bits. */
export function routePrefix(view: DataView, at: number, into: IpAddress): IpAddress {
  const end = at + optionOctets(view, at)
  const word = (n: number): number => (at + 12 + n * 4 <= end ? view.getInt32(at + 8 + n * 4) : 0)
  into.w0 = word(0)
  into.w1 = word(1)
  into.w2 = word(2)
  into.w3 = word(3)
  return into
}

export const mtu = (view: DataView, at: number): number => view.getUint32(at + 4)

/** Appends an option of `units` times 8 octets, zero but for type and length. @returns its offset. */
export function putOption(packet: Packet, type: number, units: number): number {
  const at = packet.put(units * UNIT_OCTETS)
  packet.octets.fill(0, at, packet.end)
  packet.view.setUint8(at, type)
  packet.view.setUint8(at + 1, units)
  return at
}

/** @param type of source or target. */
export function putLinkAddress(packet: Packet, type: 1 | 2, address: LinkAddress): void {
  const at = putOption(packet, type, 1)
  packet.view.setUint16(at + 2, Math.floor(address / 0x1_0000_0000))
  packet.view.setUint32(at + 4, address % 0x1_0000_0000)
}

/** @param high the first 16 bits. @param low the other 32, as int32. */
export function putNonce(packet: Packet, high: number, low: number): void {
  const at = putOption(packet, OPTION.nonce, 1)
  packet.view.setUint16(at + 2, high)
  packet.view.setInt32(at + 4, low)
}

/** Is it the nonce that `putNonce` writes? @param at of a nonce option. */
export const isNonce = (view: DataView, at: number, high: number, low: number): boolean =>
  view.getUint8(at + 1) === 1 && view.getUint16(at + 2) === high && view.getInt32(at + 4) === low

export function putMtu(packet: Packet, mtu: number): void {
  packet.view.setUint32(putOption(packet, OPTION.mtu, 1) + 4, mtu)
}

/** The flags of a prefix option as its octet. */
export const prefixFlags = (onLink: boolean, autonomous: boolean): number =>
  (onLink ? ON_LINK : 0) | (autonomous ? AUTONOMOUS : 0)
