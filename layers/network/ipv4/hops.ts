/**
 * Where packets to an address go: to ourselves, onto a link, or nowhere. What the routes, our addresses and the path
 * MTU say of a destination is put together once, in a `Hop`, and kept in a direct-mapped cache until any of them changes;
 * so the data path does one comparison for a destination it knows.
 */
import { IpAddress } from '../../../src/kernel/address.ts'
import { type HashKey, hashKey, keyedHash } from '../../../src/kernel/keyed-hash.ts'
import type { Packet } from '../../../src/kernel/packet.ts'
import type { Random } from '../../../src/kernel/random.ts'
import type { LinkAddress } from '../../datalink/service.ts'
import { chosenWay, flowHash, type Way } from '../flow.ts'
import type { Neighbours } from '../neighbours.ts'
import type { PathMtu } from '../path-mtu.ts'
import type { Route, RouteTable } from '../routes.ts'
import { PROTOCOL } from '../service.ts'
import {
  type Addresses,
  isLoopback,
  isMulticast,
  isReserved,
  isThisNetwork,
  LIMITED_BROADCAST,
  LOOPBACK,
} from './addresses.ts'
import * as header from './header.ts'
import type { Ipv4Port } from './port.ts'

/** Slots of the cache; a power of two. */
const SLOT_BITS = 8
/** 2^32 divided by the golden ratio: spreads neighbouring addresses over the slots (Knuth, volume 3, §6.4). */
const SPREAD = 0x9e37_79b1 | 0
/** Counters of identification; destinations share them by a keyed hash. */
const COUNTERS = 2048

export type HopKind =
  | 'local'
  | 'broadcast'
  | 'multicast'
  | 'forward'
  | 'noRoute'
  | 'blackhole'
  | 'unreachable'
  | 'prohibit'

export class Hop implements Way {
  kind: HopKind = 'noRoute'
  /** The link to leave by; null for the node itself, and when there is none. */
  port: Ipv4Port | null = null
  /** The station on that link: a router, by an address of either family, or the destination itself. */
  readonly nextHop: IpAddress = new IpAddress()
  /** Who finds that station; null where the link has but one, and for what goes to all or nowhere. */
  neighbours: Neighbours | null = null
  destination = 0
  /** Largest datagram for the path as far as it is known. */
  mtu = 0
  /** The path is narrower than we care to go: let it fragment (see `PathMtu`). */
  mayFragment = false
  /** What arrives for it is ours: an address of this node, or of a prefix that was declared local. */
  accepted = false
  /** Which counter of identification; -1 until one is needed. */
  counter = -1
  /** Valid while it equals the cache's. */
  epoch = 0
  /** Of a way among others, what tells it from them. */
  spread = 0
  /** The ways among which the flows to the destination are spread; null when there is only this one. */
  ways: readonly Hop[] | null = null
}

export class Hops {
  private readonly addresses: Addresses
  private readonly routes: RouteTable
  private readonly ports: readonly (Ipv4Port | undefined)[]
  private readonly pathMtu: PathMtu
  /** Slots that no destination has asked for hold null: most nodes talk to few. */
  private readonly cache: (Hop | null)[] = new Array<Hop | null>(1 << SLOT_BITS).fill(null)
  private readonly forced = new Hop()
  private readonly scratch = new IpAddress()
  private readonly key: HashKey
  private readonly counters: Uint16Array
  private readonly hashed = new Int32Array(1)
  private epoch = 1
  /** The way that the last packet left by; null when there may be another to its destination now. */
  last: Hop | null = null
  /** The station on the link that it went to. */
  lastPeer: LinkAddress = 0

  constructor(
    addresses: Addresses,
    routes: RouteTable,
    ports: readonly (Ipv4Port | undefined)[],
    pathMtu: PathMtu,
    random: Random,
  ) {
    this.addresses = addresses
    this.routes = routes
    this.ports = ports
    this.pathMtu = pathMtu
    this.key = hashKey(random.octets(16))
    this.counters = new Uint16Array(random.octets(2 * COUNTERS).buffer)
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

  /** The way to a destination by the routes. Valid until `clear`, or the next destination of the same slot. */
  find(destination: number): Hop {
    const slot = Math.imul(destination, SPREAD) >>> (32 - SLOT_BITS)
    const hop = this.cache[slot] ?? this.take(slot)
    if (hop.destination !== destination || hop.epoch !== this.epoch) this.fill(hop, destination)
    return hop
  }

  /** A packet leaves by it. @param peer the station on the link. */
  left(hop: Hop, peer: LinkAddress): void {
    this.last = hop.kind === 'forward' && hop !== this.forced ? hop : null
    this.lastPeer = peer
  }

  /**
   * The way of a packet among equal ones.
   * @param packet with its header at `start`. Fragments of a datagram have to go one way, so their ports do not count.
   */
  wayOf(hop: Hop, packet: Packet): Hop {
    if (hop.ways === null) return hop
    const { view, start, end } = packet
    const transport = start + header.headerOctets(view, start)
    const protocol = header.protocol(view, start)
    const whole = (header.flagsAndOffset(view, start) & (header.MF | header.OFFSET_MASK)) === 0
    const hasPorts = whole && (protocol === PROTOCOL.tcp || protocol === PROTOCOL.udp) && transport + 4 <= end
    const ports = hasPorts ? view.getInt32(transport) : 0
    const source = header.source(view, start)
    return chosenWay(flowHash(this.routes.seed, source, hop.destination, protocol, ports), hop.ways)
  }

  /** The way over one link, whatever the routes say of others; where they say nothing of it, the link itself. */
  via(destination: number, link: number): Hop {
    const hop = this.forced
    this.fill(hop, destination)
    if (hop.kind === 'local' || isThisNetwork(destination)) return hop
    hop.ways = null
    const port = this.ports[link]
    hop.port = port ?? null
    if (port === undefined) hop.kind = 'noRoute'
    else if (hop.kind !== 'broadcast' && hop.kind !== 'multicast') {
      const route = this.routes.lookupOn(this.scratch.setIpv4(destination), link)
      hop.nextHop.setIpv4(destination)
      hop.kind = !isReserved(destination) && lead(hop, port, route?.via ?? null) ? 'forward' : 'noRoute'
    }
    this.limit(hop)
    return hop
  }

  /** The source for packets that take this hop, or 0 when we have none to offer. */
  sourceFor(hop: Hop): number {
    const { destination } = hop
    if (hop.kind === 'local') {
      if (isLoopback(destination)) return LOOPBACK
      if (this.addresses.isAssigned(destination)) return destination
      return this.addresses.any()
    }
    const source = hop.port?.sourceFor(hop.nextHop.isIpv4 ? hop.nextHop.w3 : 0) ?? 0
    return source === 0 ? this.addresses.any() : source
  }

  /**
   * Identifications for `count` datagrams to a destination: different from others in flight to it, and no outsider can
   * tell them from what he gets himself (RFC 6864 §4.2, RFC 7739 §5.3).
   * @returns the first of them.
   */
  identify(hop: Hop, count: number): number {
    if (hop.counter < 0) {
      this.hashed[0] = hop.destination
      hop.counter = keyedHash(this.key, this.hashed) & (COUNTERS - 1)
    }
    const id = this.counters[hop.counter] as number
    this.counters[hop.counter] = id + count
    return id
  }

  private take(slot: number): Hop {
    const hop = new Hop()
    this.cache[slot] = hop
    return hop
  }

  private fill(hop: Hop, destination: number): void {
    hop.destination = destination
    hop.epoch = this.epoch
    hop.counter = -1
    hop.port = null
    hop.ways = null
    hop.neighbours = null
    hop.nextHop.setIpv4(destination)
    hop.kind = this.kindOf(hop, destination)
    hop.accepted = hop.kind === 'local' || this.addresses.isLocal(destination)
    this.limit(hop)
    if (hop.ways !== null) this.narrow(hop, hop.ways)
  }

  private kindOf(hop: Hop, destination: number): HopKind {
    // A declared prefix counts for what arrives; what we send there, even to all addresses, leaves by the routes.
    if (this.addresses.isAssigned(destination) || isLoopback(destination)) return 'local'
    if (destination === LIMITED_BROADCAST) return this.onSomeLink(hop, 'broadcast')
    if (isMulticast(destination)) return this.onSomeLink(hop, 'multicast')
    if (isReserved(destination) || isThisNetwork(destination)) return 'noRoute'
    const broadcast = this.addresses.broadcastOf(destination)
    if (broadcast !== undefined) {
      hop.port = broadcast
      return 'broadcast'
    }
    return this.route(hop, destination)
  }

  private route(hop: Hop, destination: number): HopKind {
    const route = this.routes.lookupIpv4(destination)
    if (route === null) return 'noRoute'
    if (route.action !== 'forward') return route.action
    if (!lead(hop, this.ports[route.link], route.via)) return 'noRoute'
    const { equals } = route
    if (equals.length > 1) hop.ways = this.waysOf(equals, destination)
    return 'forward'
  }

  private waysOf(routes: readonly Route[], destination: number): Hop[] {
    return routes.flatMap((route) => {
      const way = new Hop()
      way.kind = 'forward'
      way.destination = destination
      way.nextHop.setIpv4(destination)
      way.spread = route.spread
      if (!lead(way, this.ports[route.link], route.via)) return []
      this.limit(way)
      return [way]
    })
  }

  /** Multicast and limited broadcast leave by the link the routes name, else by the first that is up. */
  private onSomeLink(hop: Hop, kind: 'broadcast' | 'multicast'): HopKind {
    if (this.route(hop, hop.destination) !== 'forward') {
      hop.port = this.ports.find((port) => port?.port.up) ?? null
    }
    hop.nextHop.setIpv4(hop.destination)
    hop.neighbours = null
    return hop.port === null ? 'noRoute' : kind
  }

  private limit(hop: Hop): void {
    hop.mayFragment = false
    if (hop.port === null) {
      hop.mtu = header.LONGEST_DATAGRAM_OCTETS
      return
    }
    hop.mtu = hop.port.mtu
    if (hop.kind !== 'forward') return
    const known = this.pathMtu.get(hop.destination)
    if (known === undefined || known.mtu >= hop.mtu) return
    hop.mtu = known.mtu
    hop.mayFragment = known.mayFragment
  }

  /** The least that any of the ways carries: what is sent may take each. */
  private narrow(hop: Hop, ways: readonly Hop[]): void {
    for (const { mtu } of ways) hop.mtu = Math.min(hop.mtu, mtu)
  }
}

/**
 * Has a hop leave by a link. @param via the next hop; null: the destination itself.
 * @returns false where the link is gone, or nobody there finds stations by IPv6 addresses.
 */
function lead(hop: Hop, port: Ipv4Port | undefined, via: IpAddress | null): boolean {
  if (port === undefined) return false
  hop.port = port
  if (via !== null) hop.nextHop.set(via)
  if (port.neighbours === null) return true
  hop.neighbours = hop.nextHop.isIpv4 ? port.neighbours : port.port.ipv6Neighbours
  return hop.neighbours !== null
}
