/** What IPv4 can be told, and the checks of it. */
import type { NewRoute } from '../../../src/api/routes.ts'
import type { GroupRoute, NatOptions, PolicyOptions } from '../../../src/api/rules.ts'
import { type Prefix, parseAddress, parsePrefix } from '../../../src/kernel/address.ts'
import { integer, invalidValue } from '../../../src/kernel/errors.ts'
import { checkErrors, type ErrorRate } from '../error-rate.ts'
import { groupRoutesOf, type ParsedGroupRoute } from '../membership/group-routes.ts'
import { type NatSettings, natSettings } from '../nat/options.ts'
import { checkNeighbours } from '../neighbours.ts'
import { checkPolicy } from '../policy/policy.ts'
import { checkReassembly, type ReassemblyLimits } from '../reassembly.ts'
import { checkReversePath, type ReversePathCheck } from '../reverse-path.ts'
import { isLoopback, isMulticast, isReserved, isThisNetwork } from './addresses.ts'
import type { ArpOptions } from './arp.ts'
import * as header from './header.ts'

/** What `ipv4` can be told; text as at the API. */
export interface Ipv4Options {
  /** '10.0.0.1/24', or several: of the only link, or the first of several. */
  readonly address?: string | readonly string[] | undefined
  /** By the names of links, also of such that are attached later. */
  readonly addresses?: Readonly<Record<string, string | readonly string[]>> | undefined
  /** The next hop of the default route. */
  readonly gateway?: string | undefined
  /** Added when the node boots, in this order. */
  readonly routes?: readonly NewRoute[] | undefined
  /** Be a router: send on what is for others. Default false. */
  readonly forwarding?: boolean | undefined
  /**
   * Packets must come in by a link that leads back to their source ('strict'), or there must be some route to it ('loose'), or
   * they are dropped (RFC 3704). Default false: no matter.
   */
  readonly reversePath?: ReversePathCheck | undefined
  /** Give what leaves by one link its address as source, and know whose the answers are. */
  readonly nat?: NatOptions | undefined
  /** Groups that are sent on, with `forwarding`; those of one link, 224.0.0.0/24, never are. Default: none. */
  readonly groups?: readonly GroupRoute[] | undefined
  /** What may pass through the node, reach it, and leave it. Default: all. */
  readonly policy?: PolicyOptions | undefined
  /**
   * Of forwarded TCP connections: let both ends announce no larger segments than the links here take. For links smaller
   * than the rest of the way, as tunnels are, where ICMP errors may get lost. Default false.
   */
  readonly clampMss?: boolean | undefined
  /** Largest datagram on any link: 68 to 65535. Default: what the link takes. */
  readonly mtu?: number | undefined
  /** TTL of our ICMP messages: 1 to 255. Default 64. Transports choose their own. */
  readonly ttl?: number | undefined
  /** Bounds of ICMP errors sent, except to ourselves. */
  readonly errors?: ErrorRate | undefined
  /** How neighbours are resolved on links with broadcast. */
  readonly arp?: ArpOptions | undefined
  readonly reassembly?: ReassemblyLimits | undefined
}

/** Options, checked and with their defaults. */
export interface Settings {
  readonly address: readonly Prefix[]
  readonly addresses: ReadonlyMap<string, readonly Prefix[]>
  readonly forwarding: boolean
  readonly reversePath: ReversePathCheck
  readonly nat: NatSettings | null
  readonly groups: readonly ParsedGroupRoute[]
  readonly policy: PolicyOptions | null
  readonly clampMss: boolean
  readonly mtu: number
  readonly ttl: number
  readonly errors: ErrorRate
  readonly arp: ArpOptions
  readonly reassembly: ReassemblyLimits
}

/** @throws TypeError ERR_INVALID_ARG_VALUE, RangeError ERR_OUT_OF_RANGE — an option makes no sense. */
export function settingsOf(options: Ipv4Options): Settings {
  if (options.nat !== undefined && options.forwarding !== true) {
    throw invalidValue('nat', 'given together with forwarding: true', options.nat.link)
  }
  checkNeighbours(options.arp ?? {})
  checkErrors(options.errors ?? {})
  checkReassembly(options.reassembly ?? {})
  return {
    address: prefixes('address', options.address ?? []),
    addresses: new Map(
      Object.entries(options.addresses ?? {}).map(([link, texts]) => [link, prefixes(`addresses.${link}`, texts)]),
    ),
    forwarding: options.forwarding ?? false,
    reversePath: checkReversePath(options.reversePath ?? false),
    groups: groupRoutesOf(options.groups ?? [], (address) => address.isIpv4 && isMulticast(address.w3)),
    policy: checkPolicy(options.policy),
    nat: options.nat === undefined ? null : natSettings(options.nat),
    clampMss: options.clampMss ?? false,
    mtu: integer('mtu', options.mtu ?? header.LONGEST_DATAGRAM_OCTETS, header.SMALLEST_MTU, 65_535),
    ttl: integer('ttl', options.ttl ?? 64, 1, 255),
    errors: options.errors ?? {},
    arp: options.arp ?? {},
    reassembly: options.reassembly ?? {},
  }
}

/** The routes that options ask for: that of the gateway first. @throws TypeError ERR_INVALID_ARG_VALUE */
export function routesOf({ routes = [], gateway }: Ipv4Options): NewRoute[] {
  return gateway === undefined ? [...routes] : [{ prefix: '0.0.0.0/0', via: word('gateway', gateway) }, ...routes]
}

function prefixes(name: string, texts: string | readonly string[]): Prefix[] {
  return (typeof texts === 'string' ? [texts] : [...texts]).map((text) => {
    const prefix = parsePrefix(text, name)
    if (!prefix.address.isIpv4 || !text.includes('/')) {
      throw invalidValue(name, "an IPv4 address with prefix length such as '10.0.0.1/24'", text)
    }
    checkHost(name, prefix.address.w3, prefix.length)
    return prefix
  })
}

function word(name: string, text: string): string {
  if (!parseAddress(text, name).isIpv4) throw invalidValue(name, "an IPv4 address such as '10.0.0.1'", text)
  return text
}

/** @throws TypeError ERR_INVALID_ARG_VALUE — not an address that one station can have (RFC 1122 §3.2.1.3). */
export function checkHost(name: string, address: number, length: number): void {
  const hostBits = length === 0 ? -1 : ~(-1 << (32 - length))
  const host = length === 32 ? 1 : address & hostBits
  const fits = length > 30 || (host !== 0 && host !== hostBits)
  if (isThisNetwork(address) || isLoopback(address) || isMulticast(address) || isReserved(address) || !fits) {
    const text = `${address >>> 24}.${(address >>> 16) & 255}.${(address >>> 8) & 255}.${address & 255}/${length}`
    throw invalidValue(name, "one station's address, not a network's, a broadcast or a reserved one", text)
  }
}
