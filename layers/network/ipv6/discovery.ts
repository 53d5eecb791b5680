/**
 * Neighbour Discovery as the rest of IPv6 sees it (RFC 4861, RFC 4862): one per link, made by `neighbourDiscovery` of
 * nd/neighbour-discovery.ts. The family owns header, checksum, groups, addresses and routes; discovery owns the messages, the
 * neighbours, the claims to addresses, and what routers say or are told.
 *
 *      family ── resolve, claim, receive, linkChanged ──► Discovery
 *      family ◄── transmit, join, learnt routes and addresses ── DiscoveryOwner
 *
 * The owner is told during its making (`join` alone), `claim`, `receive`, `linkChanged`, `close` and turns of its own; during
 * `resolve` it is only asked to `transmit` and `discard`. Every IpAddress handed over is scratch of the side that calls,
 * valid during the call. The peer of `conflict` is UNRESOLVED where it has not told.
 */
import type { IpAddress } from '../../../src/kernel/address.ts'
import type { Reasons } from '../../../src/kernel/boundary.ts'
import type { Duration } from '../../../src/kernel/clock.ts'
import type { LinkState } from '../../../src/kernel/layer.ts'
import type { Packet } from '../../../src/kernel/packet.ts'
import type { LinkAddress } from '../../datalink/service.ts'
import type { NeighbourOptions, NeighbourOwner, Neighbours, UNRESOLVED } from '../neighbours.ts'

/** ICMPv6 types of discovery (RFC 4861 §4): what `Discovery.receive` is for. */
export const DISCOVERY_TYPE: {
  readonly routerSolicitation: 133
  readonly routerAdvertisement: 134
  readonly neighbourSolicitation: 135
  readonly neighbourAdvertisement: 136
  readonly redirect: 137
} = {
  routerSolicitation: 133,
  routerAdvertisement: 134,
  neighbourSolicitation: 135,
  neighbourAdvertisement: 136,
  redirect: 137,
}

/** Why packets end their life in discovery; the family has these among its reasons. */
export type DiscoveryReason =
  | 'discoveryShort'
  | 'discoveryOption'
  | 'discoveryTarget'
  | 'discoverySource'
  | 'discoveryLinkAddress'
  | 'solicitedGroup'
  | 'notOurNeighbour'
  | 'unsolicitedNeighbour'
  | 'ownDiscovery'
  | 'addressConflict'
  | 'advertisementIgnored'
  | 'solicitationIgnored'
  | 'redirectIgnored'
  | 'neighbourQueueFull'
  | 'discoveryClosed'

export const DISCOVERY_REASONS: Reasons<DiscoveryReason> = {
  discoveryShort: 'RFC 4861 §6.1, §7.1, §8.1',
  /** An option of no length, longer than the message, or of the wrong length for its kind. */
  discoveryOption: 'RFC 4861 §4.6',
  /** What is asked or told of is no station's address. */
  discoveryTarget: 'RFC 4861 §7.1, §8.1',
  /** A source that must not send this, or not to this destination or with these options. */
  discoverySource: 'RFC 4861 §6.1, §7.1, §8.1',
  /** The link address is missing, or that of no single station. */
  discoveryLinkAddress: 'RFC 4861 §7.2',
  /** Told to a group as if it had been asked for. */
  solicitedGroup: 'RFC 4861 §7.1.2',
  /** Asks for an address that is not ours. */
  notOurNeighbour: 'RFC 4861 §7.2.3',
  /** Tells of an address that we have not asked for. */
  unsolicitedNeighbour: 'RFC 4861 §7.2.5',
  /** The link gave us back what we sent. */
  ownDiscovery: 'RFC 7527 §4',
  /** Somebody else uses, or claims, one of our addresses. */
  addressConflict: 'RFC 4862 §5.4',
  /** A router speaks, and we do not listen to routers here. */
  advertisementIgnored: 'RFC 4861 §6.2.7',
  /** A host looks for routers, and we are none here. */
  solicitationIgnored: 'RFC 4861 §6.2.6',
  /** From a router that does not forward what it is for, or not heeded here. */
  redirectIgnored: 'RFC 4861 §8.1',
  /** Too many packets wait for a neighbour's answer. */
  neighbourQueueFull: 'RFC 4861 §7.2.2',
  discoveryClosed: '',
}

/** The resolution and autoconfiguration of one link. `claim` is for every address of ours on it, the link-local one first. */
export interface Discovery extends Neighbours {
  /**
   * A message of one of the five types arrived by this link, for us or a group of ours.
   * @param packet from the ICMPv6 header to its end; stays the caller's, who releases or drops it. Checked by the caller:
   *   hop limit 255, code 0, checksum, at least 8 octets, no fragment (RFC 6980).
   * @returns why it was of no use, or undefined.
   */
  receive(packet: Packet, source: IpAddress, destination: IpAddress): DiscoveryReason | undefined
  /** The link went down: neighbours are forgotten. Up: our addresses are announced, and routers looked for. */
  linkChanged(state: LinkState): void
  /** As a router, says goodbye first: `transmit` is called once more. Nothing else is after that. */
  close(): void
}

/** How much a router wants to be preferred (RFC 4191 §2.1). */
export type RouterPreference = 'low' | 'medium' | 'high'

/** What discovery asks of, and tells, the family about one link. */
export interface DiscoveryOwner extends NeighbourOwner {
  /**
   * Sends a message with hop limit 255. Takes ownership.
   * @param packet from the ICMPv6 header on, its checksum 0 and left to the owner, with room for the IPv6 header and the link's.
   * @param source one of our addresses on the link, or `::`.
   * @param peer the station; UNRESOLVED: that of the group, or found by `resolve`.
   */
  transmit(packet: Packet, source: IpAddress, destination: IpAddress, peer: LinkAddress | typeof UNRESOLVED): void
  /** Ends the life of a packet that waited for a neighbour: drops it for `reason`. Takes ownership. */
  discard(packet: Packet, reason: DiscoveryReason): void
  /** Receive what is sent to `group` on this link (solicited-node groups; all routers). Calls are counted: `leave` undoes one. */
  join(group: IpAddress): void
  leave(group: IpAddress): void
  /**
   * Take this address; comes before its `claim`, which is the owner's to call. When that ends in `conflict` with `lost`, the owner
   * forgets the address and another one follows, three times at most (RFC 7217 §6).
   * @param length of its prefix, which is no on-link prefix by itself: see `learnRoute`.
   */
  autoconfigured(address: IpAddress, length: number): void
  /** An address of `autoconfigured` is to be avoided for new flows, or no longer (RFC 4862 §5.5.4). */
  deprecated(address: IpAddress, deprecated: boolean): void
  /** The time of an address of `autoconfigured` is over: the owner removes it, and calls `renounce`. */
  expired(address: IpAddress): void
  /**
   * A way that routers told of: the default route, an on-link prefix (`via` null), a route of RFC 4191, or a redirect. One that is known
   * is told again when its preference has changed.
   */
  learnRoute(prefix: IpAddress, length: number, via: IpAddress | null, preference: RouterPreference): void
  forgetRoute(prefix: IpAddress, length: number, via: IpAddress | null): void
  /** Do packets to `destination` leave by this link, and by `router`? */
  isFirstHop(destination: IpAddress, router: IpAddress): boolean
  /** Packets on this link may be this large: 1280 to the link's MTU. */
  learnMtu(mtu: number): void
  /** Hop limit for what we send: 1 to 255. */
  learnHopLimit(hopLimit: number): void
  /** All name servers and search domains that routers tell of now (RFC 8106), those of the latest word first. The arrays are the owner's. */
  learnNames(servers: readonly IpAddress[], domains: readonly string[]): void
}

/** How a link is discovered, and its addresses configured. */
export interface DiscoveryOptions extends NeighbourOptions {
  /** Solicitations for an address before it is used: 0 to 10; 0 uses it at once. Default 1 (RFC 4862 §5.1). */
  readonly duplicateTransmits?: number | undefined
  /** Heed router advertisements: routes, MTU, hop limit, names. Default: true unless the node forwards (RFC 4861 §6.2.7). */
  readonly accept?: boolean | undefined
  /** Heed redirects of the routers that we use; only with `accept`. Default: true unless the node forwards. */
  readonly redirects?: boolean | undefined
  /** Take addresses of the prefixes that routers tell of. Default true; only with `accept`. */
  readonly autoconfigure?: boolean | undefined
  /**
   * 32 hexadecimal digits from which interface identifiers are derived, so that they stay the same from boot to boot and tell nobody
   * on another network who we are (RFC 7217). Default: chosen when the node boots.
   */
  readonly secret?: string | undefined
}

/** A prefix in our advertisements; '2001:db8:1::/64' alone takes the defaults. */
export interface AdvertisedPrefix {
  readonly prefix: string
  /** Its addresses are on the link. Default true. */
  readonly onLink?: boolean | undefined
  /** Hosts may take addresses of it; it must have 64 bits. Default true. */
  readonly autonomous?: boolean | undefined
  /** Whole seconds count; at most 2^32 - 2 s. Default 30 days. */
  readonly valid?: Duration | undefined
  /** Not longer than `valid`. Default 7 days. */
  readonly preferred?: Duration | undefined
}

/** A route behind us that hosts are to know (RFC 4191 §2.3). */
export interface AdvertisedRoute {
  readonly prefix: string
  readonly preference?: RouterPreference | undefined
  /** Default: three times `maxInterval`. */
  readonly lifetime?: Duration | undefined
}

/** What we say as a router of one link (RFC 4861 §6.2.1). */
export interface AdvertiseOptions {
  /** Default: the networks of our own addresses of 64 bits, except fe80::/64. */
  readonly prefixes?: readonly (string | AdvertisedPrefix)[] | undefined
  /** How long we may be the default router: 0 (never) to 9000 s, else not below `maxInterval`. Default three times that. */
  readonly lifetime?: Duration | undefined
  readonly preference?: RouterPreference | undefined
  /** Addresses, or other things, are to be had by DHCPv6. Default false. */
  readonly managed?: boolean | undefined
  readonly other?: boolean | undefined
  /** 1280 to 2^32 - 1. Default: nothing is said. */
  readonly mtu?: number | undefined
  /** 0 (nothing is said) to 255. Default 64. */
  readonly hopLimit?: number | undefined
  /** What hosts are to use as theirs (see `NeighbourOptions`); whole milliseconds, at most 1 hour. Default: nothing is said. */
  readonly reachable?: Duration | undefined
  readonly retransmit?: Duration | undefined
  /** Addresses of name servers, and domains to search; at most 8 each (RFC 8106). */
  readonly nameServers?: readonly string[] | undefined
  readonly searchDomains?: readonly string[] | undefined
  readonly routes?: readonly AdvertisedRoute[] | undefined
  /** Between advertisements that nobody asked for: `maxInterval` 4 to 1800 s, default 600 s; `minInterval` 3 s to 3/4 of it, default a third. */
  readonly maxInterval?: Duration | undefined
  readonly minInterval?: Duration | undefined
}
