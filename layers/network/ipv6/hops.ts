/**
 * Where packets to an address go: to ourselves, onto a link, or nowhere. As IPv4's, put together once per destination and
 * link, and kept in a direct-mapped cache until routes, addresses or path MTUs change.
 *
 * What is link-local means nothing without its link (RFC 4007 §6): where none is named, there must be only one.
 */
import { IpAddress } from '../../../src/kernel/address.ts'
import { isBetterSource } from '../../../src/kernel/address-selection.ts'
import { type HashKey, hashKey, keyedHash64 } from '../../../src/kernel/keyed-hash.ts'
import type { Packet } from '../../../src/kernel/packet.ts'
import type { Random } from '../../../src/kernel/random.ts'
import type { LinkAddress } from '../../datalink/service.ts'
import { chosenWay, flowHash, folded, type Way } from '../flow.ts'
import type { PathMtu } from '../path-mtu.ts'
import type { Route, RouteTable } from '../routes.ts'
import { PROTOCOL } from '../service.ts'
import {
  groupScope,
  isLinkLocal,
  isLoopback,
  isMulticast,
  isUnspecified,
  LOOPBACK,
  staysOnLink,
  UNSPECIFIED,
} from './address-kinds.ts'
import type { Addresses } from './addresses.ts'
import * as header from './header.ts'
import type { Ipv6Assigned, Ipv6Port } from './port.ts'

/** Slots of the cache; a power of two. */
const SLOT_BITS = 8
/** Odd constants that spread addresses over the slots (Knuth, volume 3, §6.4, and its neighbours). */
const SPREAD = 0x9e37_79b1 | 0
const SPREAD_HIGH = 0x85eb_ca6b | 0
/** Counters of identification; destinations share them by a keyed hash. */
const COUNTERS = 2048
/** The widest scope that leaves no node. */
const INTERFACE_LOCAL = 1

export type HopKind = 'local' | 'multicast' | 'forward' | 'noRoute' | 'blackhole' | 'unreachable' | 'prohibit'

export class Hop implements Way {
  kind: HopKind = 'noRoute'
  /** The link to leave by; null for the node itself, and when there is none. */
  port: Ipv6Port | null = null
  /** The station on that link: a router, or the destination itself. */
  readonly nextHop: IpAddress = new IpAddress(0, 0, 0, 0)
  readonly destination: IpAddress = new IpAddress(0, 0, 0, 0)
  /** What `sourceFor` found; null until it was asked. */
  source: IpAddress | null = null
  /** The link that was asked for, or 0. */
  link = 0
  /** See `Hops.mtuOf`; 0 until it was asked. */
  mtu = 0
  /** What arrives for it is ours: an address of this node, or of a prefix that was declared local. */
  accepted = false
  /** A hash of the destination: chooses its counter of identification, and stands for it in `PathMtu`; -1 until needed. */
  key = -1
  /** Valid while it equals the cache's. */
  epoch = 0
  /** Of a way among others, what tells it from them. */
  spread = 0
  /** The ways among which the flows to the destination are spread; null when there is only this one. */
  ways: readonly Hop[] | null = null
  /** Where `ways` are put. */
  readonly ownWays: Hop[] = []
}

export class Hops {
  private readonly addresses: Addresses
  private readonly routes: RouteTable
  private readonly ports: readonly (Ipv6Port | undefined)[]
  private readonly pathMtu: PathMtu
  /** Slots that no destination has asked for hold null: most nodes talk to few. */
  private readonly cache: (Hop | null)[] = new Array<Hop | null>(1 << SLOT_BITS).fill(null)
  private readonly key: HashKey
  private readonly counters: Int32Array
  private readonly hashed = new Int32Array(4)
  private readonly source = new IpAddress()
  private epoch = 1
  /** The way that the last packet left by; null when there may be another to its destination now. */
  last: Hop | null = null
  /** The station on the link that it went to. */
  lastPeer: LinkAddress = 0

  constructor(
    addresses: Addresses,
    routes: RouteTable,
    ports: readonly (Ipv6Port | undefined)[],
    pathMtu: PathMtu,
    random: Random,
  ) {
    this.addresses = addresses
    this.routes = routes
    this.ports = ports
    this.pathMtu = pathMtu
    this.key = hashKey(random.octets(16))
    this.counters = new Int32Array(random.octets(4 * COUNTERS).buffer)
  }

  /** Forgets what was put together. */
  clear(): void {
    this.epoch++
    this.last = null
  }

  /** Holds nothing of any link any more: one has gone, and all that was below it is to go, too. */
  letGo(): void {
    this.cache.fill(null)
    this.last = null
  }

  /** The way to a destination, over one link unless that is 0. Valid until `clear`, or the next one of the same slot. */
  find(destination: IpAddress, link: number): Hop {
    const high = Math.imul(destination.w0 ^ Math.imul(destination.w1 ^ link, SPREAD), SPREAD_HIGH)
    const word = high ^ Math.imul(destination.w2, SPREAD_HIGH) ^ destination.w3
    const slot = Math.imul(word, SPREAD) >>> (32 - SLOT_BITS)
    const hop = this.cache[slot] ?? this.take(slot)
    if (!hop.destination.equals(destination) || hop.link !== link || hop.epoch !== this.epoch) {
      this.fill(hop, destination, link)
    }
    return hop
  }

  /** A packet leaves by it. @param peer the station on the link. */
  left(hop: Hop, peer: LinkAddress): void {
    this.last = hop.kind === 'forward' ? hop : null
    this.lastPeer = peer
  }

  /** The way of a packet among equal ones. @param packet with its header at `start`. */
  wayOf(hop: Hop, packet: Packet): Hop {
    if (hop.ways === null) return hop
    const { view, start, end } = packet
    const protocol = header.next(view, start)
    const transport = start + header.HEADER_OCTETS
    const hasPorts = (protocol === PROTOCOL.tcp || protocol === PROTOCOL.udp) && transport + 4 <= end
    const ports = hasPorts ? view.getInt32(transport) : 0
    const source = folded(header.readSource(view, start, this.source))
    return chosenWay(flowHash(this.routes.seed, source, folded(hop.destination), protocol, ports), hop.ways)
  }

  /** The source for packets that take this hop (RFC 6724 §5), or `::` when we have none to offer. */
  sourceFor(hop: Hop): IpAddress {
    hop.source ??= this.chosenSource(hop)
    return hop.source
  }

  /** The largest packet for the path as far as it is known. What is only forwarded asks for the link's. */
  mtuOf(hop: Hop): number {
    if (hop.mtu === 0) {
      hop.mtu = this.limitOf(hop)
      if (hop.ways !== null) for (const way of hop.ways) hop.mtu = Math.min(hop.mtu, this.limitOf(way))
    }
    return hop.mtu
  }

  /** Identifications for fragments: see IPv4's `Hops.identify`. @returns int32 */
  identify(hop: Hop): number {
    const slot = this.keyOf(hop) % COUNTERS
    const id = this.counters[slot] as number
    this.counters[slot] = id + 1
    return id
  }

  /** What stands for the destination of `hop` in `PathMtu`: 53 bits of a keyed hash, so nobody can make two collide. */
  keyOf(hop: Hop): number {
    if (hop.key < 0) hop.key = this.hash(hop.destination)
    return hop.key
  }

  private hash({ w0, w1, w2, w3 }: IpAddress): number {
    const { hashed } = this
    hashed[0] = w0
    hashed[1] = w1
    hashed[2] = w2
    hashed[3] = w3
    const [low, high] = keyedHash64(this.key, hashed)
    return (high >>> 11) * 0x1_0000_0000 + (low >>> 0)
  }

  private chosenSource({ kind, port, destination }: Hop): IpAddress {
    if (kind === 'local' && isLoopback(destination)) return LOOPBACK
    const link = port === null ? 0 : port.port.index
    let best: Ipv6Assigned | undefined
    for (const other of this.ports) {
      if (other === undefined) continue
      for (const assigned of other.addresses) {
        // Link-local addresses are of use on their own link alone.
        const fits = port === null || other === port || !isLinkLocal(assigned.address)
        if (!assigned.usable || !fits) continue
        if (best === undefined || isBetterSource(assigned, best, destination, link)) best = assigned
      }
    }
    return best?.address ?? UNSPECIFIED
  }

  private take(slot: number): Hop {
    const hop = new Hop()
    this.cache[slot] = hop
    return hop
  }

  private fill(hop: Hop, destination: IpAddress, link: number): void {
    hop.destination.set(destination)
    hop.nextHop.set(destination)
    hop.link = link
    hop.epoch = this.epoch
    hop.key = -1
    hop.mtu = 0
    hop.source = null
    hop.port = null
    hop.ways = null
    hop.kind = this.kindOf(hop, destination, link)
    hop.accepted = hop.kind === 'local' || this.addresses.isLocal(destination)
  }

  private kindOf(hop: Hop, destination: IpAddress, link: number): HopKind {
    if (isLoopback(destination) || this.addresses.isAssigned(destination)) return 'local'
    if (isUnspecified(destination) || destination.isIpv4) return 'noRoute'
    if (isMulticast(destination)) return this.toGroup(hop, destination, link)
    if (isLinkLocal(destination)) return this.onLink(hop, link === 0 ? this.onlyPort() : this.ports[link])
    const route = link === 0 ? this.routes.lookup(destination) : this.routes.lookupOn(destination, link)
    if (route === null) return link === 0 ? 'noRoute' : this.onLink(hop, this.ports[link])
    return this.follow(hop, route)
  }

  private follow(hop: Hop, route: Route): HopKind {
    if (route.action !== 'forward') return route.action
    if (!this.lead(hop, route)) return 'noRoute'
    const { equals } = route
    if (hop.link === 0 && equals.length > 1) hop.ways = this.waysOf(hop, equals)
    return 'forward'
  }

  private lead(hop: Hop, route: Route): boolean {
    const port = this.ports[route.link]
    if (port === undefined) return false
    hop.port = port
    if (route.via !== null) hop.nextHop.set(route.via)
    return true
  }

  /** Into those that the hop had before. */
  private waysOf({ ownWays, destination }: Hop, routes: readonly Route[]): Hop[] {
    let count = 0
    for (const route of routes) {
      ownWays[count] ??= new Hop()
      const way = ownWays[count] as Hop
      way.kind = 'forward'
      way.destination.set(destination)
      way.nextHop.set(destination)
      way.key = -1
      way.spread = route.spread
      if (this.lead(way, route)) count++
    }
    if (ownWays.length > count) ownWays.length = count
    return ownWays
  }

  /** Groups leave by the link that is named, or by the one the routes name, else by the first that is up. */
  private toGroup(hop: Hop, group: IpAddress, link: number): HopKind {
    if (groupScope(group) <= INTERFACE_LOCAL) return 'noRoute'
    const route = link === 0 && !staysOnLink(group) ? this.routes.lookup(group) : null
    const routed = route?.action === 'forward' ? this.ports[route.link] : undefined
    const port = link === 0 ? (routed ?? this.ports.find((other) => other?.port.up)) : this.ports[link]
    hop.port = port ?? null
    return port === undefined ? 'noRoute' : 'multicast'
  }

  private onLink(hop: Hop, port: Ipv6Port | undefined): HopKind {
    hop.port = port ?? null
    return port === undefined ? 'noRoute' : 'forward'
  }

  private onlyPort(): Ipv6Port | undefined {
    let only: Ipv6Port | undefined
    for (const port of this.ports) {
      if (port === undefined) continue
      if (only !== undefined) return undefined
      only = port
    }
    return only
  }

  private limitOf(hop: Hop): number {
    if (hop.port === null) return header.HEADER_OCTETS + header.LONGEST_PAYLOAD_OCTETS
    const known = hop.kind === 'forward' && this.pathMtu.size > 0 ? this.pathMtu.get(this.keyOf(hop)) : undefined
    return known === undefined ? hop.port.mtu : Math.min(known.mtu, hop.port.mtu)
  }
}
