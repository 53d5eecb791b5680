/**
 * The messages of Neighbour Discovery before their options (RFC 4861 §4). All begin as every ICMPv6 message:
 *
 *    0      1      2          4                      8                16        24          40
 *    ├ type ┼ code ┼ checksum ┼──────────────────────┤
 *    router solicitation      ┼ reserved             ┤ options
 *    router advertisement     ┼ hop limit, flags, lifetime ┼ reachable, retransmit ┤ options
 *    neighbour solicitation   ┼ reserved             ┼ target ──────────┤ options
 *    neighbour advertisement  ┼ flags                ┼ target ──────────┤ options
 *    redirect                 ┼ reserved             ┼ target ──────────┼ destination ┤ options
 *
 * Accessors take the offset of the message in the view; check it with `fault` first.
 */
import type { IpAddress } from '../../../../src/kernel/address.ts'
import type { Packet } from '../../../../src/kernel/packet.ts'
import { DISCOVERY_TYPE, type RouterPreference } from '../discovery.ts'
import { readAddress, writeAddress } from '../header.ts'
import { optionsFault } from './options.ts'

/** Octets of an IPv6 address. */
export const ADDRESS_OCTETS = 16

/** Octets before the options, by type from 133. */
const FIXED_OCTETS = [8, 16, 24, 24, 40] as const

const ROUTER = 0x80
const SOLICITED = 0x40
const OVERRIDE = 0x20
const MANAGED = 0x80
const OTHER = 0x40

/** Octets of a message before its options. @param type one of the five. */
export const fixedOctets = (type: number): number => FIXED_OCTETS[type - DISCOVERY_TYPE.routerSolicitation] as number

/** @returns what is wrong with the form of a message of one of the five types, or undefined. */
export function fault(packet: Packet): 'discoveryShort' | 'discoveryOption' | undefined {
  const fixed = fixedOctets(packet.view.getUint8(packet.start))
  if (packet.end - packet.start < fixed) return 'discoveryShort'
  return optionsFault(packet.view, packet.start + fixed, packet.end) ? 'discoveryOption' : undefined
}

/** Whom a solicitation, an advertisement or a redirect is about. */
export const target = (view: DataView, at: number, into: IpAddress): IpAddress => readAddress(view, at + 8, into)

/** What a redirect is for (§4.5). */
export const redirected = (view: DataView, at: number, into: IpAddress): IpAddress => readAddress(view, at + 24, into)

/** The flags of a neighbour advertisement (§4.4). */
export const isRouter = (view: DataView, at: number): boolean => (view.getUint8(at + 4) & ROUTER) !== 0
export const isSolicited = (view: DataView, at: number): boolean => (view.getUint8(at + 4) & SOLICITED) !== 0
export const isOverride = (view: DataView, at: number): boolean => (view.getUint8(at + 4) & OVERRIDE) !== 0

/** Fields of a router advertisement (§4.2): 0 says nothing, but for the lifetime, in seconds; the times are milliseconds. */
export const hopLimit = (view: DataView, at: number): number => view.getUint8(at + 4)
export const routerLifetime = (view: DataView, at: number): number => view.getUint16(at + 6)
export const reachableMs = (view: DataView, at: number): number => view.getUint32(at + 8)
export const retransmitMs = (view: DataView, at: number): number => view.getUint32(at + 12)

/** The two bits of preference in an octet of flags (RFC 4191 §2.1); undefined for the value that is reserved. */
export function preferenceIn(flags: number): RouterPreference | undefined {
  const bits = (flags >> 3) & 3
  return bits === 0 ? 'medium' : bits === 1 ? 'high' : bits === 3 ? 'low' : undefined
}

/** The opposite of `preferenceIn`. */
export function preferenceBits(preference: RouterPreference): number {
  return preference === 'medium' ? 0 : preference === 'high' ? 1 << 3 : 3 << 3
}

/** As a default router; a reserved value counts as medium (RFC 4191 §2.2). */
export const routerPreference = (view: DataView, at: number): RouterPreference =>
  preferenceIn(view.getUint8(at + 5)) ?? 'medium'

/** What a router advertisement says before its options. */
export interface AdvertisementFields {
  readonly hopLimit: number
  readonly managed: boolean
  readonly other: boolean
  readonly preference: RouterPreference
  /** Seconds. */
  readonly lifetime: number
  readonly reachableMs: number
  readonly retransmitMs: number
}

/** Appends a router solicitation without options to an empty packet. */
export function putRouterSolicitation(packet: Packet): void {
  putFixed(packet, DISCOVERY_TYPE.routerSolicitation)
}

/** Appends a neighbour solicitation without options to an empty packet. */
export function putSolicitation(packet: Packet, target: IpAddress): void {
  const at = putFixed(packet, DISCOVERY_TYPE.neighbourSolicitation)
  writeAddress(packet.view, at + 8, target)
}

/** Appends a neighbour advertisement without options to an empty packet. */
export function putAdvertisement(
  packet: Packet,
  target: IpAddress,
  router: boolean,
  solicited: boolean,
  override: boolean,
): void {
  const at = putFixed(packet, DISCOVERY_TYPE.neighbourAdvertisement)
  packet.view.setUint8(at + 4, (router ? ROUTER : 0) | (solicited ? SOLICITED : 0) | (override ? OVERRIDE : 0))
  writeAddress(packet.view, at + 8, target)
}

/** Appends a router advertisement without options to an empty packet. */
export function putRouterAdvertisement(packet: Packet, fields: AdvertisementFields): void {
  const at = putFixed(packet, DISCOVERY_TYPE.routerAdvertisement)
  const { view } = packet
  view.setUint8(at + 4, fields.hopLimit)
  const flags = (fields.managed ? MANAGED : 0) | (fields.other ? OTHER : 0)
  // Who is no default router has no preference as one (RFC 4191 §2.2).
  view.setUint8(at + 5, flags | (fields.lifetime === 0 ? 0 : preferenceBits(fields.preference)))
  view.setUint16(at + 6, fields.lifetime)
  view.setUint32(at + 8, fields.reachableMs)
  view.setUint32(at + 12, fields.retransmitMs)
}

function putFixed(packet: Packet, type: number): number {
  const octets = fixedOctets(type)
  const at = packet.put(octets)
  packet.octets.fill(0, at, at + octets)
  packet.view.setUint8(at, type)
  return at
}
