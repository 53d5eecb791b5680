/**
 * The way down: a header in front, the way found, fragments or segments where the path takes no more, out.
 *
 *   send ──► header ──► hop ──► local queue
 *                        │
 *                        ├────► fit (fragment, complete, segment) ──► neighbour ──► link
 *   forward ─────────────┘
 */
import { IpAddress } from '../../../src/kernel/address.ts'
import { checksum, pseudoHeaderIpv6 } from '../../../src/kernel/checksum.ts'
import type { Packet } from '../../../src/kernel/packet.ts'
import type { LinkAddress } from '../../datalink/service.ts'
import { complete } from '../../offload/complete.ts'
import { clampMss } from '../clamp-mss.ts'
import type { FamilyRules } from '../family-rules.ts'
import { flowHash, folded, mix } from '../flow.ts'
import type { LocalDelivery } from '../local.ts'
import { UNRESOLVED } from '../neighbours.ts'
import { Segments, type SegmentUser, wireOctets } from '../segments.ts'
import { type NetworkAddressing, PROTOCOL } from '../service.ts'
import { TCP_HEADER_OCTETS } from '../tcp-option.ts'
import { isLinkLocal, isLoopback, isMulticast } from './address-kinds.ts'
import type { Addresses } from './addresses.ts'
import type { Filter } from './filter.ts'
import { type Fragments, fragment } from './fragment.ts'
import * as header from './header.ts'
import type { Hop, Hops } from './hops.ts'
import { CODE, type Complaints, TYPE } from './icmp-message.ts'
import type { Ipv6Port } from './port.ts'
import type { Ipv6Boundary, Ipv6Reason } from './reasons.ts'

/** Slots of the memory of destinations we sent to; a power of two. */
const RECENT_BITS = 10
/** 33:33:00:00:00:00, to which the low 32 bits of a group are added (RFC 2464 §7). */
const MULTICAST_MAC = 0x3333_0000_0000
const FLOW_BITS = 0xf_ffff
/** What discovery says must not come from beyond the link (RFC 4861 §11.2). */
const DISCOVERY_HOP_LIMIT = 255

export class Output implements Fragments, SegmentUser<Hop> {
  private readonly boundary: Ipv6Boundary
  private readonly addresses: Addresses
  private readonly hops: Hops
  private readonly local: LocalDelivery
  private readonly complaints: Complaints
  private readonly clamping: boolean
  private readonly rules: FamilyRules<Filter>
  /** Of the flow labels. */
  private readonly seed: number
  /** Destinations we sent to lately; a report about another one is forged, or too late to matter. */
  private readonly recent = new Int32Array(1 << RECENT_BITS)
  /** Where fragments go while `fragment` runs. */
  private fragmentHop: Hop | null = null
  private readonly segments = new Segments<Hop>(this)
  private readonly source = new IpAddress()
  private readonly destination = new IpAddress()

  /** @param clamping of the MSS in forwarded SYNs. @param seed any int32 that nobody else knows. */
  constructor(
    boundary: Ipv6Boundary,
    addresses: Addresses,
    hops: Hops,
    local: LocalDelivery,
    complaints: Complaints,
    clamping: boolean,
    rules: FamilyRules<Filter>,
    seed: number,
  ) {
    this.boundary = boundary
    this.addresses = addresses
    this.hops = hops
    this.local = local
    this.complaints = complaints
    this.clamping = clamping
    this.rules = rules
    this.seed = seed
  }

  /** Sends a packet that begins with its transport header. Takes ownership. @returns as `Service.send`. */
  send(packet: Packet, to: NetworkAddressing): boolean {
    const { source, destination, protocol } = to
    const last = to.again ? this.lastTo(destination, to.link) : null
    const way = last ?? this.hops.find(destination, to.link)
    const place = folded(destination)
    if (last === null) {
      this.recent[mix(place) >>> (32 - RECENT_BITS)] = place
      if (!this.canSend(way, source)) return this.drop(packet, 'badSource')
    }
    const length = packet.end - packet.start
    if (length > header.LONGEST_PAYLOAD_OCTETS) return this.drop(packet, 'tooLong')
    const flow = this.flowLabel(packet, source, place, protocol)
    const start = packet.push(header.HEADER_OCTETS)
    header.write(packet.view, start, to.trafficClass, flow, length, protocol, to.ttl, source, destination)
    packet.networkStart = start
    if (last !== null) return this.follow(packet, last)
    if (to.loop && way.kind === 'multicast' && way.port?.takes(destination, source)) this.loop(packet)
    return this.dispatch(packet, this.hops.wayOf(way, packet), this.hops.mtuOf(way), to.dontFragment)
  }

  /** We are in the group ourselves. */
  private loop(packet: Packet): void {
    const copy = packet.copy(0, 0)
    if (!this.local.push(copy)) this.drop(copy, 'queueFull')
  }

  /** The way that the last packet left by, if what is like it is to leave by it, too. */
  private lastTo(destination: IpAddress, link: number): Hop | null {
    const { last } = this.hops
    if (last === null || !last.destination.equals(destination) || last.link !== link) return null
    return this.rules.filter === null ? last : null
  }

  /** Sends what is like the last packet by its way. Takes ownership. */
  private follow(packet: Packet, { port }: Hop): boolean {
    const { link, to } = port as Ipv6Port
    to.peer = this.hops.lastPeer
    return link.send(packet.withRoom(link.headroom, link.tailroom), to)
  }

  /** Were packets sent to this destination lately? */
  sentTo(destination: IpAddress): boolean {
    const place = folded(destination)
    return this.recent[mix(place) >>> (32 - RECENT_BITS)] === place
  }

  /** Sends on what came from elsewhere. Takes ownership. @param packet with its header at `start`. */
  forward(packet: Packet, from: Ipv6Port, to: Hop): void {
    const hop = this.hops.wayOf(to, packet)
    const { port } = hop
    const link = from.port.index
    if (hop.kind !== 'forward' || port === null) {
      this.fail(packet, hop, link)
      return
    }
    const { view, start } = packet
    if (isLinkLocal(header.readSource(view, start, this.source)) && port !== from) {
      this.complaints.complain(packet, TYPE.unreachable, CODE.beyondScope, 0, link)
      this.drop(packet, 'scope')
      return
    }
    if (!port.port.up) {
      this.complaints.complain(packet, TYPE.unreachable, CODE.address, 0, link)
      this.drop(packet, 'linkDown')
      return
    }
    if (wireOctets(packet) > port.mtu) {
      this.tooBig(packet, port.mtu, link)
      return
    }
    if (this.clamping) clamp(packet, Math.min(from.mtu, port.mtu))
    view.setUint8(start + header.HOP_LIMIT_AT, header.hopLimit(view, start) - 1)
    if (!this.fit(packet, hop, port.mtu)) port.backpressure.hold(from.link)
  }

  /**
   * Sends a message of discovery by one link. Takes ownership.
   * @param packet from the ICMPv6 header on, its checksum 0. @param source any, also `::`.
   * @param peer UNRESOLVED: that of the group, or to be found.
   */
  discover(port: Ipv6Port, packet: Packet, source: IpAddress, destination: IpAddress, peer: LinkAddress): void {
    const { view, start } = packet
    const length = packet.end - start
    const pseudo = pseudoHeaderIpv6(source, destination, PROTOCOL.icmpv6, length)
    view.setUint16(start + 2, checksum(start, length, pseudo))
    const at = packet.push(header.HEADER_OCTETS)
    header.write(view, at, 0, 0, length, PROTOCOL.icmpv6, DISCOVERY_HOP_LIMIT, source, destination)
    packet.networkStart = at
    const { link, to } = port
    const roomy = packet.withRoom(link.headroom, link.tailroom)
    if (link.broadcast === null) to.peer = 0
    else if (peer !== UNRESOLVED) to.peer = peer
    else if (isMulticast(destination)) to.peer = groupMac(destination)
    else if (port.discovery !== null) {
      const found = port.discovery.resolve(destination, roomy)
      if (found === UNRESOLVED) return
      to.peer = found
    }
    link.send(roomy, to)
  }

  /**
   * Sends on, by one link, what was sent to a group. Takes ownership.
   * @param packet with its header at `start`, and a hop limit above 1. @param from index of the link it came by.
   */
  relay(packet: Packet, link: number, from: number): void {
    const { view, start } = packet
    const hop = this.hops.find(header.readDestination(view, start, this.destination), link)
    const { port } = hop
    if (port === null || !port.port.up) {
      this.drop(packet, 'linkDown')
      return
    }
    if (wireOctets(packet) > port.mtu) {
      this.tooBig(packet, port.mtu, from)
      return
    }
    view.setUint8(start + header.HOP_LIMIT_AT, header.hopLimit(view, start) - 1)
    this.fit(packet, hop, port.mtu)
  }

  /** A piece that `fragment` cut. Not to be called by others. */
  fragment(packet: Packet): boolean {
    return this.transmit(packet, this.fragmentHop as Hop)
  }

  /** Sends what has its header: where it goes to is decided, whether it fits is not. Takes ownership. */
  private dispatch(packet: Packet, hop: Hop, mtu: number, dontFragment: boolean): boolean {
    if (hop.kind === 'local') {
      if (!this.local.push(packet)) return this.drop(packet, 'queueFull')
      return this.local.open
    }
    if (hop.port === null) return this.fail(packet, hop, 0)
    if (!hop.port.port.up) return this.drop(packet, 'linkDown')
    if (dontFragment && packet.length > mtu && wireOctets(packet) > mtu) return this.tooBig(packet, mtu, 0)
    const { filter } = this.rules
    if (filter !== null && !filter.passes('output', packet, 0, hop.port.port.index)) return true
    return this.fit(packet, hop, mtu)
  }

  /** Makes of a packet what the link takes: whole, in segments, or, if it is ours, in fragments. @param hop with a port. */
  private fit(packet: Packet, hop: Hop, mtu: number): boolean {
    const { link } = hop.port as Ipv6Port
    const { offload } = link
    if (packet.segmentOctets !== 0 && (packet.length > offload.segment || wireOctets(packet) > mtu)) {
      return this.segments.send(packet, hop, mtu, link)
    }
    const cut = packet.segmentOctets === 0 && packet.end - packet.start > mtu
    if (packet.checksum === 'partial' && (cut || !offload.checksum)) complete(packet)
    return cut ? this.cut(packet, hop, mtu) : this.transmit(packet, hop)
  }

  /** A segment that does not fit, or a packet. Not to be called by others. @param hop with a port. */
  cut(packet: Packet, hop: Hop, mtu: number): boolean {
    const { headroom, tailroom } = (hop.port as Ipv6Port).link
    this.fragmentHop = hop
    return fragment(packet, mtu, this.hops.identify(hop), headroom, tailroom, this)
  }

  /** Hands a packet that fits to the link. Takes ownership. Not to be called by others. @param hop with a port. */
  transmit(packet: Packet, hop: Hop): boolean {
    const { link, to, discovery } = hop.port as Ipv6Port
    const roomy = packet.withRoom(link.headroom, link.tailroom)
    if (discovery !== null && link.broadcast !== null) {
      const peer = hop.kind === 'forward' ? discovery.resolve(hop.nextHop, roomy) : groupMac(hop.destination)
      if (peer === UNRESOLVED) {
        this.hops.last = null
        return true
      }
      to.peer = peer
    }
    this.hops.left(hop, to.peer)
    return link.send(roomy, to)
  }

  /** Of a flow, always the same (RFC 6437 §3). @param packet at its transport header. @param place the destination's. */
  private flowLabel(packet: Packet, source: IpAddress, place: number, protocol: number): number {
    const hasPorts = (protocol === PROTOCOL.tcp || protocol === PROTOCOL.udp) && packet.end - packet.start >= 4
    const ports = hasPorts ? packet.view.getInt32(packet.start) : 0
    return flowHash(this.seed, folded(source), place, protocol, ports) & FLOW_BITS
  }

  /** Only addresses of ours leave as source; loopback's not at all, and link-local ones by their own link. */
  private canSend({ kind, port }: Hop, source: IpAddress): boolean {
    if (kind === 'local') return this.addresses.isLocal(source)
    if (isLoopback(source)) return false
    if (isLinkLocal(source) && port !== null) return this.addresses.find(source, port.port.index) !== undefined
    return this.addresses.isLocal(source)
  }

  private tooBig(packet: Packet, mtu: number, link: number): boolean {
    this.complaints.complain(packet, TYPE.tooBig, 0, mtu, link)
    return this.drop(packet, 'packetTooBig')
  }

  private fail(packet: Packet, hop: Hop, link: number): boolean {
    const reason = failureOf(hop)
    const code = reason === 'prohibited' ? CODE.prohibited : reason === 'noRoute' ? CODE.noRoute : CODE.address
    if (reason !== 'blackhole') this.complaints.complain(packet, TYPE.unreachable, code, 0, link)
    return this.drop(packet, reason)
  }

  private drop(packet: Packet, reason: Ipv6Reason): boolean {
    this.boundary.drop(packet, reason)
    return true
  }
}

/** The MAC address of a group, on Ethernet and its kind. */
export const groupMac = ({ w3 }: IpAddress): LinkAddress => MULTICAST_MAC + (w3 >>> 0)

/** Holds the MSS that a SYN announces within an MTU, if it is right behind the header. */
function clamp(packet: Packet, mtu: number): void {
  const { view, start } = packet
  if (header.next(view, start) !== PROTOCOL.tcp) return
  clampMss(packet, start + header.HEADER_OCTETS, mtu - header.HEADER_OCTETS - TCP_HEADER_OCTETS)
}

/** Why a hop leads nowhere. */
function failureOf({ kind }: Hop): Ipv6Reason {
  if (kind === 'blackhole') return 'blackhole'
  if (kind === 'prohibit') return 'prohibited'
  return kind === 'unreachable' ? 'unreachableRoute' : 'noRoute'
}
