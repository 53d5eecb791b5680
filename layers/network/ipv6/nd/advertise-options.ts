/** What a router is told to say on a link, checked and as it goes into the message (RFC 4861 §6.2.1, RFC 4191, RFC 8106). */
import { IpAddress, type Prefix, parseAddress, parsePrefix } from '../../../../src/kernel/address.ts'
import { type Duration, ms, seconds } from '../../../../src/kernel/clock.ts'
import { integer, invalidValue } from '../../../../src/kernel/errors.ts'
import { maskOf } from '../../prefix-trie.ts'
import { isLinkLocal, isMulticast } from '../address-kinds.ts'
import type { AdvertisedPrefix, AdvertisedRoute, AdvertiseOptions, RouterPreference } from '../discovery.ts'
import { SMALLEST_MTU } from '../header.ts'
import { domainOctets, isDomain } from './domains.ts'
import type { AdvertisementFields } from './message.ts'
import { PREFIX_OCTETS, prefixFlags, UNIT_OCTETS } from './options.ts'

const SECOND: Duration = seconds(1)
const DAY = 86_400
/** Longest lifetime of a router, in seconds (RFC 4861 §6.2.1), and of all else; 2^32 - 1 would be for ever. */
const MOST_ROUTER_LIFETIME = 9000
const MOST_LIFETIME = 0xffff_fffe
/** Name servers, and domains. */
const MOST_NAMES = 8
/** All options together, so that an advertisement fits into any link: 1280 octets less both headers and our link address. */
const MOST_OCTETS: number = SMALLEST_MTU - 40 - 16 - UNIT_OCTETS
const PREFERENCES: readonly RouterPreference[] = ['low', 'medium', 'high']

/** A prefix as it is sent; lifetimes are seconds. */
export interface PrefixSettings {
  readonly prefix: IpAddress
  readonly length: number
  readonly flags: number
  readonly valid: number
  readonly preferred: number
}

export interface RouteSettings {
  readonly prefix: IpAddress
  readonly length: number
  readonly preference: RouterPreference
  readonly lifetime: number
}

export interface AdvertiseSettings {
  readonly fields: AdvertisementFields
  /** Undefined: those of our own addresses. */
  readonly prefixes: readonly PrefixSettings[] | undefined
  readonly mtu: number | undefined
  readonly nameServers: readonly IpAddress[]
  readonly searchDomains: readonly string[]
  readonly routes: readonly RouteSettings[]
  /** Of name servers and domains, in seconds (RFC 8106 §5.1). */
  readonly namesLifetime: number
  readonly minInterval: Duration
  readonly maxInterval: Duration
}

/** Prefixes of our own addresses that fit beside what else is said. */
export const roomForPrefixes = (settings: AdvertiseSettings): number =>
  Math.floor((MOST_OCTETS - optionOctets(settings)) / PREFIX_OCTETS)

/**
 * @throws TypeError ERR_INVALID_ARG_VALUE, RangeError ERR_OUT_OF_RANGE — see `AdvertiseOptions`; or all of it together does not
 *   fit into one message on the smallest link.
 */
export function checkAdvertise(options: AdvertiseOptions): AdvertiseSettings {
  const maxInterval = integer('maxInterval', options.maxInterval ?? seconds(600), seconds(4), seconds(1800))
  const minDefault = Math.max(seconds(3), Math.floor(maxInterval / 3))
  const minInterval = integer(
    'minInterval',
    options.minInterval ?? minDefault,
    seconds(3),
    Math.floor(maxInterval * 0.75),
  )
  const thrice = Math.ceil((3 * maxInterval) / SECOND)
  const settings: AdvertiseSettings = {
    fields: fieldsOf(options, maxInterval, thrice),
    prefixes: options.prefixes?.map(prefixOf),
    mtu: options.mtu === undefined ? undefined : integer('mtu', options.mtu, SMALLEST_MTU, 0xffff_ffff),
    nameServers: few('nameServers', options.nameServers).map(serverOf),
    searchDomains: few('searchDomains', options.searchDomains).map(domainOf),
    routes: (options.routes ?? []).map((route) => routeOf(route, thrice)),
    namesLifetime: thrice,
    minInterval,
    maxInterval,
  }
  const octets = optionOctets(settings) + (settings.prefixes?.length ?? 0) * PREFIX_OCTETS
  if (octets > MOST_OCTETS) {
    throw invalidValue('advertise', `not more than ${MOST_OCTETS} octets of options`, `${octets} octets`)
  }
  return settings
}

/** A prefix of an address of ours, with the lifetimes of RFC 4861 §6.2.1. */
export function ownPrefix({ w0, w1 }: IpAddress): PrefixSettings {
  return {
    prefix: new IpAddress(w0, w1, 0, 0),
    length: 64,
    flags: prefixFlags(true, true),
    valid: 30 * DAY,
    preferred: 7 * DAY,
  }
}

/** Octets of the search domain option: a whole number of units. */
export const domainsOctets = (domains: readonly string[]): number => {
  let octets = UNIT_OCTETS
  for (const domain of domains) octets += domainOctets(domain)
  return Math.ceil(octets / UNIT_OCTETS) * UNIT_OCTETS
}

/** Octets of all options but prefixes and our link address. */
function optionOctets({ mtu, nameServers, searchDomains, routes }: AdvertiseSettings): number {
  let octets = mtu === undefined ? 0 : UNIT_OCTETS
  if (nameServers.length > 0) octets += UNIT_OCTETS + 16 * nameServers.length
  if (searchDomains.length > 0) octets += domainsOctets(searchDomains)
  for (const { length } of routes) octets += routeOctets(length)
  return octets
}

/** Octets of a route option: as much of the prefix as it has bits (RFC 4191 §2.3). */
export const routeOctets = (length: number): number => UNIT_OCTETS * (1 + Math.ceil(length / 64))

function fieldsOf(options: AdvertiseOptions, maxInterval: Duration, thrice: number): AdvertisementFields {
  const lifetime = inSeconds('lifetime', options.lifetime, Math.min(thrice, MOST_ROUTER_LIFETIME), MOST_ROUTER_LIFETIME)
  if (lifetime > 0 && lifetime * SECOND < maxInterval) {
    throw invalidValue('lifetime', '0, or not shorter than maxInterval', options.lifetime)
  }
  return {
    hopLimit: integer('hopLimit', options.hopLimit ?? 64, 0, 255),
    managed: options.managed ?? false,
    other: options.other ?? false,
    preference: preferenceOf(options.preference),
    lifetime,
    reachableMs: inMs('reachable', options.reachable),
    retransmitMs: inMs('retransmit', options.retransmit),
  }
}

function prefixOf(given: string | AdvertisedPrefix): PrefixSettings {
  const options = typeof given === 'string' ? { prefix: given } : given
  const { address, length } = networkOf('prefixes', options.prefix)
  const autonomous = options.autonomous ?? true
  if (autonomous && length !== 64) throw invalidValue('prefixes', 'of 64 bits, or not autonomous', options.prefix)
  const valid = inSeconds('valid', options.valid, 30 * DAY, MOST_LIFETIME)
  const preferred = inSeconds('preferred', options.preferred, Math.min(valid, 7 * DAY), MOST_LIFETIME)
  if (preferred > valid) throw invalidValue('preferred', 'not longer than valid', options.preferred)
  return { prefix: address, length, flags: prefixFlags(options.onLink ?? true, autonomous), valid, preferred }
}

function routeOf({ prefix, preference, lifetime }: AdvertisedRoute, thrice: number): RouteSettings {
  const { address, length } = networkOf('routes', prefix)
  return {
    prefix: address,
    length,
    preference: preferenceOf(preference),
    lifetime: inSeconds('lifetime', lifetime, thrice, MOST_LIFETIME),
  }
}

/** A prefix without bits beyond its length. */
function networkOf(name: string, text: string): Prefix {
  const { address, length } = parsePrefix(text, name)
  if (address.isIpv4 || isLinkLocal(address) || isMulticast(address) || !text.includes('/')) {
    throw invalidValue(name, "an IPv6 prefix such as '2001:db8:1::/64'", text)
  }
  const word = (n: number) => maskOf(length, n)
  const network = new IpAddress(address.w0 & word(0), address.w1 & word(1), address.w2 & word(2), address.w3 & word(3))
  return { address: network, length }
}

function serverOf(text: string): IpAddress {
  const address = parseAddress(text, 'nameServers')
  if (address.isIpv4 || address.isUnspecified || isMulticast(address)) {
    throw invalidValue('nameServers', 'the IPv6 address of one station', text)
  }
  return address
}

function domainOf(name: string): string {
  if (isDomain(name)) return name.toLowerCase()
  throw invalidValue('searchDomains', "the name of a domain such as 'example.net'", name)
}

function few<T>(name: string, list: readonly T[] = []): readonly T[] {
  if (list.length > MOST_NAMES) throw invalidValue(name, `at most ${MOST_NAMES}`, list.length)
  return list
}

function preferenceOf(given: RouterPreference = 'medium'): RouterPreference {
  if (PREFERENCES.includes(given)) return given
  throw invalidValue('preference', PREFERENCES.join(', '), given)
}

/** @param otherwise, @param most seconds. @returns whole seconds. */
function inSeconds(name: string, given: Duration | undefined, otherwise: number, most: number): number {
  return given === undefined ? otherwise : Math.floor(integer(name, given, 0, most * SECOND) / SECOND)
}

/** @returns whole milliseconds; 0 when nothing is to be said. */
function inMs(name: string, given: Duration | undefined): number {
  return given === undefined ? 0 : integer(name, given, ms(1), seconds(3600)) / 1000
}
