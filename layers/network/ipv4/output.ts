/**
 * The way down: a header in front, the way found, fragments or segments where the link takes no more, out.
 *
 *   send ──► header ──► hop ──► local queue
 *                        │
 *   forward ─────────────┴────► fit (fragment, complete, segment) ──► neighbour ──► link
 */
import { IpAddress } from '../../../src/kernel/address.ts'
import type { Packet } from '../../../src/kernel/packet.ts'
import { complete } from '../../offload/complete.ts'
import { clampMss } from '../clamp-mss.ts'
import type { FamilyRules } from '../family-rules.ts'
import type { LocalDelivery } from '../local.ts'
import { UNRESOLVED } from '../neighbours.ts'
import { Segments, type SegmentUser, wireOctets } from '../segments.ts'
import { type NetworkAddressing, PROTOCOL } from '../service.ts'
import { TCP_HEADER_OCTETS } from '../tcp-option.ts'
import { type Addresses, DUMMY, isLoopback, LIMITED_BROADCAST } from './addresses.ts'
import type { Filter } from './filter.ts'
import { type Fragments, fragment } from './fragment.ts'
import * as header from './header.ts'
import type { Hop, Hops } from './hops.ts'
import { CODE, type Complaints, TYPE } from './icmp-message.ts'
import { multicastMac } from './multicast-mac.ts'
import type { Ipv4Port } from './port.ts'
import type { Ipv4Boundary, Ipv4Reason } from './reasons.ts'

/** Slots of the memory of destinations we sent to; a power of two. */
const RECENT_BITS = 10
const SPREAD = 0x9e37_79b1 | 0

export class Output implements Fragments, SegmentUser<Hop> {
  private readonly boundary: Ipv4Boundary
  private readonly addresses: Addresses
  private readonly hops: Hops
  private readonly local: LocalDelivery
  private readonly complaints: Complaints
  private readonly clamping: boolean
  private readonly rules: FamilyRules<Filter>
  /** Destinations we sent to lately; a report about another one is forged, or too late to matter. */
  private readonly recent = new Int32Array(1 << RECENT_BITS)
  /** Where fragments go while `fragment` runs. */
  private fragmentHop: Hop | null = null
  private readonly segments = new Segments<Hop>(this)
  /** Scratch. */
  private readonly group = new IpAddress()
  private readonly source = new IpAddress()

  /** @param clamping of the MSS in forwarded SYNs. */
  constructor(
    boundary: Ipv4Boundary,
    addresses: Addresses,
    hops: Hops,
    local: LocalDelivery,
    complaints: Complaints,
    clamping: boolean,
    rules: FamilyRules<Filter>,
  ) {
    this.boundary = boundary
    this.addresses = addresses
    this.hops = hops
    this.local = local
    this.complaints = complaints
    this.clamping = clamping
    this.rules = rules
  }

  /** Sends a packet that begins with its transport header. Takes ownership. @returns as `Service.send`. */
  send(packet: Packet, to: NetworkAddressing): boolean {
    const destination = to.destination.w3
    const last = to.again ? this.lastTo(destination, to.link) : null
    if (last !== null) return this.follow(packet, to, last)
    const hop = to.link === 0 ? this.hops.find(destination) : this.hops.via(destination, to.link)
    this.recent[Math.imul(destination, SPREAD) >>> (32 - RECENT_BITS)] = destination
    if (!this.canSend(hop, to.source.w3)) return this.drop(packet, 'badSource')
    if (packet.length > header.LONGEST_DATAGRAM_OCTETS - header.HEADER_OCTETS) return this.drop(packet, 'tooLong')
    const dontFragment = to.dontFragment && !hop.mayFragment
    this.pushHeader(packet, to, hop, dontFragment)
    if (to.loop && hop.kind === 'multicast') this.loop(packet, hop)
    return this.dispatch(packet, hop, dontFragment)
  }

  /** The way that the last packet left by, if what is like it is to leave by it, too. */
  private lastTo(destination: number, link: number): Hop | null {
    const { last } = this.hops
    if (last === null || last.destination !== destination || link !== 0 || this.rules.filter !== null) return null
    return last.port?.nat === null ? last : null
  }

  /** Sends what is like the last packet by its way. Takes ownership. */
  private follow(packet: Packet, to: NetworkAddressing, hop: Hop): boolean {
    this.pushHeader(packet, to, hop, to.dontFragment && !hop.mayFragment)
    const port = hop.port as Ipv4Port
    const { headroom, tailroom } = port.link
    port.to.peer = this.hops.lastPeer
    return port.link.send(packet.withRoom(headroom, tailroom), port.to)
  }

  private pushHeader(packet: Packet, to: NetworkAddressing, hop: Hop, dontFragment: boolean): void {
    const start = packet.push(header.HEADER_OCTETS)
    header.write(
      packet.view,
      start,
      to.trafficClass,
      packet.end - start,
      this.hops.identify(hop, packet.segmentOctets === 0 ? 1 : packet.segments),
      dontFragment ? header.DF : 0,
      to.ttl,
      to.protocol,
      to.source.w3,
      hop.destination,
    )
    packet.networkStart = start
  }

  /** Were packets sent to this destination lately? */
  sentTo(destination: number): boolean {
    return this.recent[Math.imul(destination, SPREAD) >>> (32 - RECENT_BITS)] === destination
  }

  /**
   * Sends on what came from elsewhere. Takes ownership.
   * @param packet with its header at `start`, as it came. @param from where it came from; null for our own, translated.
   * @param w2 the word of TTL and checksum to go out with.
   */
  forward(packet: Packet, from: Ipv4Port | null, to: Hop, w2: number, dontFragment: boolean): void {
    const hop = this.hops.wayOf(to, packet)
    const { port } = hop
    if (hop.kind !== 'forward' || port === null) {
      this.fail(packet, hop)
      return
    }
    if (!port.port.up) {
      this.complaints.complain(packet, TYPE.unreachable, CODE.host, 0)
      this.drop(packet, 'linkDown')
      return
    }
    if (wireOctets(packet) > port.mtu && dontFragment) {
      this.tooBig(packet, port.mtu)
      return
    }
    packet.view.setInt32(packet.start + 8, w2)
    const left = port.nat === null ? packet : port.nat.leave(packet)
    if (left === null) return
    if (this.clamping) clamp(left, Math.min(from?.mtu ?? port.mtu, port.mtu))
    if (!this.fit(left, hop, port.mtu) && from !== null) port.backpressure.hold(from.link)
  }

  /** We are in the group ourselves. */
  private loop(packet: Packet, { port, destination }: Hop): void {
    const { group, source } = this
    group.setIpv4(destination)
    source.setIpv4(header.source(packet.view, packet.start))
    if (port === null || !port.takes(group, source)) return
    const copy = packet.copy(0, 0)
    if (!this.local.push(copy)) this.drop(copy, 'queueFull')
  }

  /** Sends on, by one link, what was sent to a group. Takes ownership. @param w2 the word of TTL and checksum to go out with. */
  relay(packet: Packet, link: number, w2: number): void {
    const { view, start } = packet
    const hop = this.hops.via(header.destination(view, start), link)
    const { port } = hop
    if (port === null || !port.port.up) {
      this.drop(packet, 'linkDown')
      return
    }
    // Nobody is told: a group has too many senders and receivers for that (RFC 1122 §3.2.2).
    if ((header.flagsAndOffset(view, start) & header.DF) !== 0 && wireOctets(packet) > port.mtu) {
      this.drop(packet, 'fragmentationNeeded')
      return
    }
    view.setInt32(start + 8, w2)
    this.fit(packet, hop, port.mtu)
  }

  /** A piece that `fragment` cut. Not to be called by others. */
  fragment(packet: Packet): boolean {
    return this.transmit(packet, this.fragmentHop as Hop)
  }

  /** Sends what has its header: where it goes to is decided, whether it fits is not. Takes ownership. */
  private dispatch(packet: Packet, to: Hop, dontFragment: boolean): boolean {
    const hop = this.hops.wayOf(to, packet)
    if (hop.kind === 'local') {
      if (!this.local.push(packet)) return this.drop(packet, 'queueFull')
      return this.local.open
    }
    if (hop.port === null) return this.fail(packet, hop)
    if (!hop.port.port.up) return this.drop(packet, 'linkDown')
    if (dontFragment && packet.length > hop.mtu && wireOctets(packet) > hop.mtu) return this.tooBig(packet, hop.mtu)
    const { filter } = this.rules
    if (filter !== null && !filter.passes('output', packet, 0, hop.port.port.index, false)) return true
    const { nat } = hop.port
    const left = nat === null || hop.kind !== 'forward' ? packet : nat.leave(packet)
    return left === null || this.fit(left, hop, hop.mtu)
  }

  /** Makes of a packet what the link takes: whole, in segments, or in fragments. @param hop with a port. */
  private fit(packet: Packet, hop: Hop, mtu: number): boolean {
    const { link } = hop.port as Ipv4Port
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
    const { headroom, tailroom } = (hop.port as Ipv4Port).link
    this.fragmentHop = hop
    return fragment(packet, mtu, headroom, tailroom, this)
  }

  /** Hands a datagram that fits to the link. Takes ownership. Not to be called by others. @param hop with a port. */
  transmit(packet: Packet, hop: Hop): boolean {
    const port = hop.port as Ipv4Port
    const { link, to } = port
    const roomy = packet.withRoom(link.headroom, link.tailroom)
    if (hop.neighbours !== null) {
      const peer = hop.neighbours.resolve(hop.nextHop, roomy)
      if (peer === UNRESOLVED) {
        this.hops.last = null
        return true
      }
      to.peer = peer
    } else if (link.broadcast !== null) {
      to.peer = hop.kind === 'multicast' ? multicastMac(hop.destination) : link.broadcast
    }
    this.hops.left(hop, to.peer)
    return link.send(roomy, to)
  }

  private tooBig(packet: Packet, mtu: number): boolean {
    this.complaints.complain(packet, TYPE.unreachable, CODE.fragmentationNeeded, mtu)
    return this.drop(packet, 'fragmentationNeeded')
  }

  /**
   * Only addresses of ours leave as source; loopback's not at all; none at all while asking for one (RFC 2131 §4.1). Nobody but
   * ICMP offers the dummy.
   */
  private canSend(hop: Hop, source: number): boolean {
    if (source === 0) return hop.destination === LIMITED_BROADCAST
    if (source === DUMMY) return true
    return this.addresses.isLocal(source) && (hop.kind === 'local' || !isLoopback(source))
  }

  private fail(packet: Packet, hop: Hop): boolean {
    const reason = failureOf(hop)
    const code = reason === 'prohibited' ? CODE.prohibited : reason === 'noRoute' ? CODE.net : CODE.host
    if (reason !== 'blackhole') this.complaints.complain(packet, TYPE.unreachable, code, 0)
    return this.drop(packet, reason)
  }

  private drop(packet: Packet, reason: Ipv4Reason): boolean {
    this.boundary.drop(packet, reason)
    return true
  }
}

/** Holds the MSS that a SYN announces within an MTU. */
function clamp(packet: Packet, mtu: number): void {
  const { view, start } = packet
  if (header.protocol(view, start) !== PROTOCOL.tcp || header.fragmentOffset(view, start) !== 0) return
  clampMss(packet, start + header.headerOctets(view, start), mtu - header.HEADER_OCTETS - TCP_HEADER_OCTETS)
}

/** Why a hop leads nowhere. */
function failureOf(hop: Hop): Ipv4Reason {
  if (hop.kind === 'blackhole') return 'blackhole'
  if (hop.kind === 'prohibit') return 'prohibited'
  return hop.kind === 'unreachable' ? 'unreachableRoute' : 'noRoute'
}
