/** What `ipv6` can be told, and what becomes of it. */
import type { NewRoute } from '../../../src/api/routes.ts'
import type { GroupRoute, PolicyOptions } from '../../../src/api/rules.ts'
import { type IpAddress, type Prefix, parseAddress, parsePrefix, splitZone } from '../../../src/kernel/address.ts'
import { integer, invalidValue } from '../../../src/kernel/errors.ts'
import { checkErrors, type ErrorRate } from '../error-rate.ts'
import { UNNAMED_LINK } from '../family.ts'
import { groupRoutesOf, type ParsedGroupRoute } from '../membership/group-routes.ts'
import { checkPolicy } from '../policy/policy.ts'
import { checkReassembly, type ReassemblyLimits } from '../reassembly.ts'
import { checkReversePath, type ReversePathCheck } from '../reverse-path.ts'
import { isLinkLocal, isMulticast, isStation } from './address-kinds.ts'
import type { AdvertiseOptions, DiscoveryOptions } from './discovery.ts'
import * as header from './header.ts'
import { checkAdvertise } from './nd/advertise-options.ts'
import { checkDiscovery } from './nd/discovery-options.ts'

/** What the last 64 bits of an address fe80::… are made of: a keyed hash (RFC 7217), or the link's own address (RFC 4291, appendix A). */
export type InterfaceIdentifier = 'stable' | 'eui64'

/** What `ipv6` can be told; text as at the API. */
export interface Ipv6Options {
  /** 'fd00::1/64', or several: of the only link, or the first of several. Each link has an address fe80::… besides. */
  readonly address?: string | readonly string[] | undefined
  /** By the names of links, also of such that are attached later. */
  readonly addresses?: Readonly<Record<string, string | readonly string[]>> | undefined
  /** The next hop of the default route; of one that is link-local with its link, 'fe80::1%eth0', unless that is the only one. */
  readonly gateway?: string | undefined
  /** Added when the node boots, in this order. */
  readonly routes?: readonly NewRoute[] | undefined
  /** Be a router: send on what is for others. Default false. */
  readonly forwarding?: boolean | undefined
  /**
   * Heed routers: take the addresses, routes and MTUs that they tell of (RFC 4862). For all links but those that `advertise`; or by the
   * names of links, or what tells it for each link that is attached. Default: true unless `forwarding`.
   */
  readonly autoconfigure?: boolean | Readonly<Record<string, boolean>> | AutoconfigureOf | undefined
  /** As IPv4's: packets must come in by a link that leads back to their source. Default false. */
  readonly reversePath?: ReversePathCheck | undefined
  /** Groups that are sent on, with `forwarding`; those that stay on a link never are. Default: none. */
  readonly groups?: readonly GroupRoute[] | undefined
  /** What may pass through the node, reach it, and leave it; of discovery, all may. Default: all. */
  readonly policy?: PolicyOptions | undefined
  /** Of forwarded TCP connections: let both ends announce no larger segments than the links here take. Default false. */
  readonly clampMss?: boolean | undefined
  /** Largest packet on any link: 1280 to 65575. Default: what the link takes. */
  readonly mtu?: number | undefined
  /** Of our ICMPv6 messages, unless a router of the link tells another: 1 to 255. Default 64. Transports choose their own. */
  readonly hopLimit?: number | undefined
  /** Default 'stable'. */
  readonly interfaceIdentifier?: InterfaceIdentifier | undefined
  /** Bounds of ICMPv6 errors sent, except to ourselves. */
  readonly errors?: ErrorRate | undefined
  readonly reassembly?: ReassemblyLimits | undefined
  /** How neighbours, and ourselves, are discovered on links that have any. */
  readonly neighbours?: Omit<DiscoveryOptions, 'accept'> | undefined
  /** What we say as a link's router, by the names of links; or what tells it for each link that is attached. */
  readonly advertise?: Readonly<Record<string, AdvertiseOptions>> | AdvertiseOf | undefined
}

/** What is said on a link as its router; undefined: nothing. What it returns is checked when the link is attached. */
export type AdvertiseOf = (link: string) => AdvertiseOptions | undefined

/** Whether routers of a link are heeded; undefined: by default. One that advertises there as well cannot be attached. */
export type AutoconfigureOf = (link: string) => boolean | undefined

export interface Settings {
  readonly address: readonly Prefix[]
  readonly addresses: ReadonlyMap<string, readonly Prefix[]>
  readonly forwarding: boolean
  readonly reversePath: ReversePathCheck
  readonly groups: readonly ParsedGroupRoute[]
  readonly policy: PolicyOptions | null
  readonly clampMss: boolean
  readonly mtu: number
  readonly hopLimit: number
  readonly interfaceIdentifier: InterfaceIdentifier
  readonly errors: ErrorRate
  readonly reassembly: ReassemblyLimits
  readonly neighbours: Omit<DiscoveryOptions, 'accept'>
  readonly advertise: AdvertiseOf
  /** @throws TypeError ERR_INVALID_ARG_VALUE — it is told to be heeded on a link and to advertise there. */
  readonly heeds: (link: string, advertises: boolean) => boolean
}

/** @throws TypeError ERR_INVALID_ARG_VALUE, RangeError ERR_OUT_OF_RANGE — an option makes no sense. */
export function settingsOf(options: Ipv6Options): Settings {
  checkDiscovery(options.neighbours ?? {})
  checkErrors(options.errors ?? {})
  checkReassembly(options.reassembly ?? {})
  const { interfaceIdentifier = 'stable', forwarding = false } = options
  if (interfaceIdentifier !== 'stable' && interfaceIdentifier !== 'eui64') {
    throw invalidValue('interfaceIdentifier', "'stable' or 'eui64'", interfaceIdentifier)
  }
  const advertise = advertiseOf(options.advertise ?? {})
  const heeds = heedOf(options.autoconfigure, !forwarding)
  if (typeof options.autoconfigure === 'object' && typeof options.advertise === 'object') {
    for (const link of Object.keys(options.autoconfigure)) heeds(link, advertise(link) !== undefined)
  }
  const longest = header.HEADER_OCTETS + header.LONGEST_PAYLOAD_OCTETS
  return {
    address: prefixes('address', options.address ?? []),
    addresses: new Map(
      Object.entries(options.addresses ?? {}).map(([link, texts]) => [link, prefixes(`addresses.${link}`, texts)]),
    ),
    forwarding,
    reversePath: checkReversePath(options.reversePath ?? false),
    groups: groupRoutesOf(options.groups ?? [], isMulticast),
    policy: checkPolicy(options.policy),
    clampMss: options.clampMss ?? false,
    mtu: integer('mtu', options.mtu ?? longest, header.SMALLEST_MTU, longest),
    hopLimit: integer('hopLimit', options.hopLimit ?? 64, 1, 255),
    interfaceIdentifier,
    errors: options.errors ?? {},
    reassembly: options.reassembly ?? {},
    neighbours: options.neighbours ?? {},
    advertise,
    heeds,
  }
}

/** The routes that options ask for, the default route first. @throws TypeError ERR_INVALID_ARG_VALUE */
export function routesOf({ gateway, routes = [] }: Ipv6Options): NewRoute[] {
  if (gateway === undefined) return [...routes]
  const [via, zone] = splitZone(gateway)
  const address = parseAddress(via, 'gateway')
  if (!isStation(address) || (zone !== '' && !isLinkLocal(address))) {
    throw invalidValue('gateway', "the IPv6 address of a station such as 'fd00::1' or 'fe80::1%eth0'", gateway)
  }
  const link = isLinkLocal(address) ? { link: zone === '' ? UNNAMED_LINK : zone } : {}
  return [{ prefix: '::/0', via, ...link }, ...routes]
}

function advertiseOf(options: NonNullable<Ipv6Options['advertise']>): AdvertiseOf {
  if (typeof options === 'function') return options
  for (const said of Object.values(options)) checkAdvertise(said)
  const links = new Map(Object.entries(options))
  return (link) => links.get(link)
}

/** A router hears others of its link only to see whether they agree with it (RFC 4861 §6.2.7), so it takes nothing from them. */
function heedOf(options: Ipv6Options['autoconfigure'], otherwise: boolean): Settings['heeds'] {
  if (options === undefined || typeof options === 'boolean') {
    const heeded = options ?? otherwise
    return (_, advertises) => heeded && !advertises
  }
  const links = typeof options === 'function' ? undefined : new Map(Object.entries(options))
  const said = typeof options === 'function' ? options : (link: string) => links?.get(link)
  return (link, advertises) => {
    const heeded = said(link)
    if (heeded === true && advertises) {
      throw invalidValue(`autoconfigure.${link}`, 'false on a link that we advertise on', true)
    }
    return (heeded ?? otherwise) && !advertises
  }
}

function prefixes(name: string, texts: string | readonly string[]): Prefix[] {
  return (typeof texts === 'string' ? [texts] : [...texts]).map((text) => {
    const prefix = parsePrefix(text, name)
    if (prefix.address.isIpv4 || !text.includes('/')) {
      throw invalidValue(name, "an IPv6 address with prefix length such as 'fd00::1/64'", text)
    }
    checkHost(name, prefix.address, prefix.length)
    return prefix
  })
}

/** @throws TypeError ERR_INVALID_ARG_VALUE — not an address that one station can have. */
export function checkHost(name: string, address: IpAddress, length: number): void {
  if (!isStation(address)) {
    throw invalidValue(name, "one station's address, neither a group's nor a reserved one", `${address}/${length}`)
  }
}
