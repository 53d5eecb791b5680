/**
 * The way up, and through: what arrives is checked, and is for us or for somebody else.
 *
 *   link ──► header ──► martians ──► hop ──► deliver: reassembly ──► ICMP, or the boundary by protocol
 *                                     └────► forward: TTL, size ──► output
 */

import { IpAddress } from '../../../src/kernel/address.ts'
import type { Clock } from '../../../src/kernel/clock.ts'
import type { Drive } from '../../../src/kernel/drive.ts'
import type { Packet } from '../../../src/kernel/packet.ts'
import type { Cast } from '../../datalink/service.ts'
import { complete } from '../../offload/complete.ts'
import { offloadFits } from '../../offload/header.ts'
import type { FamilyRules } from '../family-rules.ts'
import type { LocalReceiver } from '../local.ts'
import type { GroupRoutes } from '../membership/group-routes.ts'
import type { Reassembly } from '../reassembly.ts'
import { NetworkAddressing, PROTOCOL } from '../service.ts'
import { type Addresses, isLoopback, isMulticast, isReserved, isThisNetwork, staysOnLink } from './addresses.ts'
import type { Filter } from './filter.ts'
import * as header from './header.ts'
import type { Hop, Hops } from './hops.ts'
import type { Icmp } from './icmp.ts'
import { CODE, TYPE } from './icmp-message.ts'
import { IGMP_PROTOCOL } from './igmp.ts'
import type { Output } from './output.ts'
import type { Ipv4Port } from './port.ts'
import type { Ipv4Boundary, Ipv4Reason } from './reasons.ts'
import type { Translation } from './translation.ts'

/** More fragments, or not the first. */
const FRAGMENT = header.MF | header.OFFSET_MASK
const ALL_RIGHT = 0xffff

export class Input implements LocalReceiver {
  private readonly boundary: Ipv4Boundary
  private readonly clock: Clock
  private readonly addresses: Addresses
  private readonly hops: Hops
  private readonly output: Output
  private readonly icmp: Icmp
  private readonly reassembly: Reassembly
  private readonly reassemblyDrive: Drive
  private readonly rules: FamilyRules<Filter>
  private readonly translation: Translation
  private readonly from = new NetworkAddressing()
  /** Scratch. */
  private readonly sender = new IpAddress()

  constructor(
    boundary: Ipv4Boundary,
    clock: Clock,
    addresses: Addresses,
    hops: Hops,
    output: Output,
    icmp: Icmp,
    reassembly: Reassembly,
    reassemblyDrive: Drive,
    rules: FamilyRules<Filter>,
    translation: Translation,
  ) {
    this.boundary = boundary
    this.clock = clock
    this.addresses = addresses
    this.hops = hops
    this.output = output
    this.icmp = icmp
    this.reassembly = reassembly
    this.reassemblyDrive = reassemblyDrive
    this.rules = rules
    this.translation = translation
  }

  ready(): void {
    this.boundary.ready()
  }

  receiveLocal(packet: Packet): void {
    this.receive(packet, null, 'unicast')
  }

  /** A packet of a link, or of ourselves when `port` is null. Takes ownership. */
  receive(packet: Packet, port: Ipv4Port | null, cast: Cast): void {
    const { view, start } = packet
    const length = packet.end - start
    if (length < header.HEADER_OCTETS) {
      this.boundary.drop(packet, 'short')
      return
    }
    const w0 = view.getInt32(start)
    const w1 = view.getInt32(start + 4)
    const w2 = view.getInt32(start + 8)
    const source = view.getInt32(start + 12)
    const destination = view.getInt32(start + 16)
    if (w0 >>> 24 !== header.VERSION_IHL) {
      const fault = this.unusual(packet)
      if (fault !== undefined) {
        this.boundary.drop(packet, fault)
        return
      }
    } else if (header.sumOf(w0, w1, w2, source, destination) !== ALL_RIGHT) {
      this.boundary.drop(packet, 'headerChecksum')
      return
    }
    const total = w0 & 0xffff
    if (total > length || total < ((w0 >>> 24) & 15) * 4) {
      this.boundary.drop(packet, 'badLength')
      return
    }
    // What is behind the datagram is padding of the link.
    packet.end = start + total
    packet.networkStart = start
    if (port !== null && cast === 'unicast' && this.joins(packet, port)) return
    if ((packet.checksum === 'partial' || packet.segmentOctets !== 0) && !holds(packet)) {
      this.boundary.drop(packet, 'badLength')
      return
    }
    if (port !== null) {
      const martian = martianOf(source, destination)
      if (martian !== undefined) {
        this.boundary.drop(packet, martian)
        return
      }
      const { reversePath } = this.rules
      if (reversePath !== null && source !== 0 && !reversePath.acceptsIpv4(source, port.port.index)) {
        this.boundary.drop(packet, 'reversePath')
        return
      }
    }
    const hop = this.hops.find(destination)
    if (hop.kind === 'broadcast' || hop.kind === 'multicast') this.toMany(packet, port, hop, w1, source)
    else if (hop.accepted) this.unicast(packet, port, cast, w1, source)
    else this.forward(packet, port, cast, hop, w1, w2, source)
  }

  /** Does it continue a segment that has come this way, and been let through? Takes ownership if so. */
  private joins(packet: Packet, { merger }: Ipv4Port): boolean {
    return merger !== null && this.rules.filter === null && this.translation.nat === null && merger.joins(packet)
  }

  /** The checks of a header that has options, or is none of ours. */
  private unusual(packet: Packet): Ipv4Reason | undefined {
    const { view, start } = packet
    if (view.getUint8(start) >>> 4 !== 4) return 'version'
    const octets = header.headerOctets(view, start)
    if (octets < header.HEADER_OCTETS || octets > packet.length) return 'short'
    if (header.sumOfAll(view, start) !== ALL_RIGHT) return 'headerChecksum'
    return header.optionsFault(view, start)
  }

  private unicast(packet: Packet, port: Ipv4Port | null, cast: Cast, w1: number, source: number): void {
    if (port !== null) {
      if (cast !== 'unicast') {
        this.boundary.drop(packet, 'linkBroadcast')
        return
      }
      if (!this.addresses.isForeign(source)) {
        this.boundary.drop(packet, 'martianSource')
        return
      }
    }
    this.deliver(packet, port, w1)
  }

  private toMany(packet: Packet, port: Ipv4Port | null, hop: Hop, w1: number, source: number): void {
    const { destination } = hop
    const { groups } = this.rules
    if (groups !== null && port !== null && hop.kind === 'multicast')
      this.relay(packet, port, hop.nextHop, source, groups)
    if (port !== null && isMulticast(destination) && !port.takes(hop.nextHop, this.sender.setIpv4(source))) {
      this.boundary.drop(packet, 'notMember')
      return
    }
    // To ourselves comes only what we are to have.
    if (port !== null && !this.addresses.isForeign(source)) {
      this.boundary.drop(packet, 'martianSource')
      return
    }
    const owner = this.addresses.broadcastOf(destination)
    if (owner !== undefined && owner !== port) {
      this.boundary.drop(packet, 'directedBroadcast')
      return
    }
    this.deliver(packet, port, w1)
  }

  /** Sends a copy by each link that a group goes on to, as far as the policy lets it. */
  private relay(packet: Packet, port: Ipv4Port, group: IpAddress, source: number, groups: GroupRoutes): void {
    const { filter } = this.rules
    const ttl = header.ttl(packet.view, packet.start)
    if (ttl <= 1 || staysOnLink(group.w3) || !this.addresses.isForeign(source)) return
    for (const link of groups.onwards(group, this.sender.setIpv4(source), port.port.index)) {
      const copy = packet.copy(packet.start - packet.base, packet.limit - packet.end)
      if (filter !== null && !filter.passes('forward', copy, port.port.index, link, false)) continue
      this.output.relay(copy, link, header.decrementTtl(copy.view.getInt32(copy.start + 8)))
    }
  }

  /** It is for us. */
  private deliver(packet: Packet, port: Ipv4Port | null, w1: number): void {
    const whole = (w1 & FRAGMENT) === 0 ? packet : this.assemble(packet)
    if (whole === undefined) return
    const { filter } = this.rules
    const { nat } = this.translation
    const arrival = nat === null ? 'notOurs' : nat.arrive(whole, port)
    if (arrival === 'translated') this.sendOn(whole, port)
    if (arrival !== 'notOurs') return
    const answer = nat?.answered ?? false
    if (filter === null || port === null || filter.passes('input', whole, port.port.index, 0, answer)) {
      this.merge(whole, port)
    }
  }

  /** Takes ownership of a fragment. @returns the datagram once it is whole. */
  assemble(packet: Packet): Packet | undefined {
    const whole = this.reassembly.input(packet, this.clock.now())
    this.reassemblyDrive.arm()
    return whole
  }

  /** Segments of a burst are handed up together, by the port's merger; anything else at once. */
  private merge(packet: Packet, port: Ipv4Port | null): void {
    const merger = port === null ? null : port.merger
    if (merger !== null && header.protocol(packet.view, packet.start) === PROTOCOL.tcp) merger.input(packet)
    else this.handUp(packet, port)
  }

  /** A datagram that is whole and for us. Takes ownership. */
  handUp(packet: Packet, port: Ipv4Port | null): void {
    const { view, start } = packet
    const { from } = this
    const protocol = header.protocol(view, start)
    from.source.setIpv4(header.source(view, start))
    from.destination.setIpv4(header.destination(view, start))
    from.protocol = protocol
    from.ttl = header.ttl(view, start)
    from.trafficClass = header.trafficClass(view, start)
    from.dontFragment = (header.flagsAndOffset(view, start) & header.DF) !== 0
    from.link = port === null ? 0 : port.port.index
    packet.start = start + header.headerOctets(view, start)
    // Its own sum may stay open: there was no wire to damage it. One inside has to hold for whoever takes that out.
    if (packet.checksum === 'partial' && packet.checksumStart !== packet.start) complete(packet)
    if (protocol === PROTOCOL.icmp) {
      this.icmp.receive(packet, from)
      return
    }
    if (protocol === IGMP_PROTOCOL && port !== null) {
      this.membership(packet, port)
      return
    }
    if (this.boundary.up(packet, from, protocol)) return
    this.icmp.complain(packet, TYPE.unreachable, CODE.protocol, 0)
    this.boundary.drop(packet, 'protocolUnreachable')
  }

  private membership(packet: Packet, { igmp }: Ipv4Port): void {
    const reason = igmp?.receive(packet, this.from.ttl)
    if (reason === undefined) packet.release()
    else this.boundary.drop(packet, reason)
  }

  /** It is for somebody else (RFC 1812 §5.2). The packet is only changed once it is certain that it goes on. */
  private forward(
    packet: Packet,
    port: Ipv4Port | null,
    cast: Cast,
    hop: Hop,
    w1: number,
    w2: number,
    source: number,
  ): void {
    const { forwarding } = this.rules
    if (!forwarding || port === null) {
      this.boundary.drop(packet, 'notForUs')
      return
    }
    if (cast !== 'unicast') {
      this.boundary.drop(packet, 'linkBroadcast')
      return
    }
    // Whoever sends in our name, or in everybody's, would have the answers come here.
    if (!this.addresses.isForeign(source)) {
      this.boundary.drop(packet, 'martianSource')
      return
    }
    if (port.nat?.hides(hop.destination)) {
      this.boundary.drop(packet, 'natUnsolicited')
      return
    }
    this.pass(packet, port, hop, w1, w2, false)
  }

  /** What was for us has been translated, and is for somebody else now. */
  private sendOn(packet: Packet, port: Ipv4Port | null): void {
    const { view, start } = packet
    const hop = this.hops.find(header.destination(view, start))
    const answer = this.translation.nat?.answered ?? false
    this.pass(packet, port, hop, view.getInt32(start + 4), view.getInt32(start + 8), answer)
  }

  /** @param answer it answers what translation has let out. */
  private pass(packet: Packet, port: Ipv4Port | null, to: Hop, w1: number, word2: number, answer: boolean): void {
    const { filter } = this.rules
    let hop = to
    let w2 = word2
    if (filter !== null) {
      hop = this.hops.wayOf(to, packet)
      const out = hop.port?.port.index ?? 0
      if (!filter.passes('forward', packet, port?.port.index ?? 0, out, answer)) return
      const { view, start } = packet
      if (filter.moved) hop = this.hops.find(header.destination(view, start))
      w2 = view.getInt32(start + 8)
    }
    if (w2 >>> 24 <= 1) {
      this.icmp.complain(packet, TYPE.timeExceeded, CODE.ttl, 0)
      this.boundary.drop(packet, 'ttlExceeded')
      return
    }
    this.output.forward(packet, port, hop, header.decrementTtl(w2), (w1 & header.DF) !== 0)
  }
}

/** Do the offload fields of a packet fit its header, which has been checked? Only TCP comes in super-segments. */
function holds(packet: Packet): boolean {
  const { view, start } = packet
  if (packet.segmentOctets !== 0 && header.protocol(view, start) !== PROTOCOL.tcp) return false
  return offloadFits(packet, start + header.headerOctets(view, start))
}

/** Why a packet cannot have come from a link with these addresses (RFC 1122 §3.2.1.3, RFC 1812 §5.3.7). */
function martianOf(source: number, destination: number): Ipv4Reason | undefined {
  if (isLoopback(destination) || isThisNetwork(destination)) return 'martianDestination'
  if (isReserved(destination) && destination !== -1) return 'martianDestination'
  if (isLoopback(source) || isMulticast(source) || isReserved(source)) return 'martianSource'
  // Who asks for an address has none yet, and asks everybody (RFC 2131 §4.1).
  if (isThisNetwork(source) && !(source === 0 && destination === -1)) return 'martianSource'
  return undefined
}
