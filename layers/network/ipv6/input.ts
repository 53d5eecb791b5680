/**
 * The way up, and through: what arrives is checked, and is for us or for somebody else.
 *
 *   link ──► header ──► martians ──► hop ──► deliver: headers, reassembly ──► ICMP, or the boundary by protocol
 *                                     └────► forward: hop limit, scope, size ──► output
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
import { groupScope, isLinkLocal, isLoopback, isMulticast, isUnspecified, staysOnLink } from './address-kinds.ts'
import type { Addresses } from './addresses.ts'
import { Chain, type ChainFault } from './chain.ts'
import type { Filter } from './filter.ts'
import * as header from './header.ts'
import type { Hop, Hops } from './hops.ts'
import type { Icmp } from './icmp.ts'
import { CODE, TYPE } from './icmp-message.ts'
import type { Output } from './output.ts'
import type { Ipv6Port } from './port.ts'
import type { Ipv6Boundary, Ipv6Reason } from './reasons.ts'

/** Octets of a transport header that have to be in the first fragment (RFC 7112 §5): TCP's, and any other's. */
const TCP_OCTETS = 20
const TRANSPORT_OCTETS = 8

export class Input implements LocalReceiver {
  private readonly boundary: Ipv6Boundary
  private readonly clock: Clock
  private readonly addresses: Addresses
  private readonly hops: Hops
  private readonly output: Output
  private readonly icmp: Icmp
  private readonly reassembly: Reassembly
  private readonly reassemblyDrive: Drive
  private readonly rules: FamilyRules<Filter>
  private readonly from = new NetworkAddressing()
  private readonly source = new IpAddress()
  private readonly destination = new IpAddress()
  private readonly chain = new Chain()

  constructor(
    boundary: Ipv6Boundary,
    clock: Clock,
    addresses: Addresses,
    hops: Hops,
    output: Output,
    icmp: Icmp,
    reassembly: Reassembly,
    reassemblyDrive: Drive,
    rules: FamilyRules<Filter>,
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
  }

  ready(): void {
    this.boundary.ready()
  }

  receiveLocal(packet: Packet): void {
    this.receive(packet, null, 'unicast')
  }

  /** A packet of a link, or of ourselves when `port` is null. Takes ownership. */
  receive(packet: Packet, port: Ipv6Port | null, cast: Cast): void {
    const { view, start } = packet
    const length = packet.end - start
    if (length < header.HEADER_OCTETS) {
      this.boundary.drop(packet, 'short')
      return
    }
    if (header.version(view, start) !== 6) {
      this.boundary.drop(packet, 'version')
      return
    }
    const payload = header.payloadLength(view, start)
    // One of 0 octets whose headers go on is a jumbogram (RFC 2675), which nobody sends us.
    const jumbo = payload === 0 && header.next(view, start) === header.NEXT.hopByHop
    if (payload + header.HEADER_OCTETS > length || jumbo) {
      this.boundary.drop(packet, 'badLength')
      return
    }
    // What is behind the packet is padding of the link.
    packet.end = start + header.HEADER_OCTETS + payload
    packet.networkStart = start
    if (port !== null && cast === 'unicast' && this.joins(packet, port)) return
    const { source, destination } = this
    header.readSource(view, start, source)
    header.readDestination(view, start, destination)
    const many = isMulticast(destination)
    if (port !== null) {
      const fault = addressFault(source, destination, many) ?? (holds(packet) ? undefined : 'badLength')
      if (fault !== undefined) {
        this.boundary.drop(packet, fault)
        return
      }
      // What is link-local leads back by nature, and who has no address yet cannot be asked where he is.
      const { reversePath } = this.rules
      if (reversePath !== null && !isLinkLocal(source) && !isUnspecified(source)) {
        if (!reversePath.accepts(source, port.port.index)) {
          this.boundary.drop(packet, 'reversePath')
          return
        }
      }
    }
    if (many) this.toMany(packet, port)
    else this.toOne(packet, port, cast)
  }

  /** Does it continue a segment that has come this way, and been let through? Takes ownership if so. */
  private joins(packet: Packet, { merger }: Ipv6Port): boolean {
    return merger !== null && this.rules.filter === null && merger.joins(packet)
  }

  private toOne(packet: Packet, port: Ipv6Port | null, cast: Cast): void {
    const { source, destination } = this
    const hop = this.hops.find(destination, port !== null && isLinkLocal(destination) ? port.port.index : 0)
    if (port === null) {
      if (hop.accepted) this.deliver(packet, null, false)
      else this.boundary.drop(packet, 'notForUs')
      return
    }
    if (cast !== 'unicast') {
      this.boundary.drop(packet, 'linkBroadcast')
      return
    }
    // Whoever sends in our name would have the answers come here.
    if (isUnspecified(source) || !this.addresses.isForeign(source)) {
      this.boundary.drop(packet, 'martianSource')
      return
    }
    if (!hop.accepted) {
      this.forward(packet, port, hop)
      return
    }
    // An address of one link does not answer for another (RFC 4291 §2.1).
    if (isLinkLocal(destination) && this.addresses.find(destination, port.port.index) === undefined) {
      this.boundary.drop(packet, 'scope')
      return
    }
    this.deliver(packet, port, false)
  }

  private toMany(packet: Packet, port: Ipv6Port | null): void {
    const { groups } = this.rules
    if (port !== null) {
      if (groups !== null) this.relay(packet, port, groups)
      if (!port.takes(this.destination, this.source)) {
        this.boundary.drop(packet, 'notMember')
        return
      }
      if (!this.addresses.isForeign(this.source)) {
        this.boundary.drop(packet, 'martianSource')
        return
      }
    }
    this.deliver(packet, port, false)
  }

  /** Sends a copy by each link that a group goes on to, as far as the policy lets it. */
  private relay(packet: Packet, port: Ipv6Port, groups: GroupRoutes): void {
    const { source, destination } = this
    const { filter } = this.rules
    if (header.hopLimit(packet.view, packet.start) <= 1 || staysOnLink(destination)) return
    if (isLinkLocal(source) || isUnspecified(source) || !this.addresses.isForeign(source)) return
    for (const link of groups.onwards(destination, source, port.port.index)) {
      const copy = packet.copy(packet.start - packet.base, packet.limit - packet.end)
      if (filter !== null && !filter.passes('forward', copy, port.port.index, link)) continue
      this.output.relay(copy, link, port.port.index)
    }
  }

  /** It is for us. @param whole it has been in fragments, and is not any more. */
  private deliver(packet: Packet, port: Ipv6Port | null, whole: boolean): void {
    const { view, start, end } = packet
    const { chain } = this
    const fault = chain.walk(view, start, end, true)
    if (fault !== undefined) {
      this.refuse(packet, port, fault)
      return
    }
    if (chain.protocol !== header.NEXT.fragment) this.accept(packet, port, whole)
    else if (whole) this.boundary.drop(packet, 'nestedFragment')
    else this.fragment(packet, port)
  }

  /** The headers of a packet ask for what we do not do. */
  private refuse(packet: Packet, port: Ipv6Port | null, fault: ChainFault): void {
    const { code, pointer, tellGroups } = this.chain
    if (code >= 0 && (tellGroups || !isMulticast(this.destination))) {
      this.problem(packet, port, code, pointer)
    }
    this.boundary.drop(packet, fault)
  }

  /** @param pointer an offset in the slab. */
  private problem(packet: Packet, port: Ipv6Port | null, code: number, pointer: number): void {
    this.icmp.complain(packet, TYPE.parameterProblem, code, pointer - packet.networkStart, indexOf(port))
  }

  /** `chain` stands at a fragment header. */
  private fragment(packet: Packet, port: Ipv6Port | null): void {
    const { view, end } = packet
    const { at } = this.chain
    if (at + header.FRAGMENT_OCTETS > end || packet.checksum === 'partial' || packet.segmentOctets !== 0) {
      this.boundary.drop(packet, 'truncatedChain')
      return
    }
    const offset = header.fragmentOffset(view, at)
    const more = header.moreFragments(view, at)
    if (offset === 0 && !more) {
      this.deliver(withoutFragment(packet, at, this.chain.namedAt), port, true)
      return
    }
    const length = end - at - header.FRAGMENT_OCTETS
    if (more && length % 8 !== 0) {
      this.problem(packet, port, CODE.erroneousField, packet.start + header.PAYLOAD_LENGTH_AT)
      this.boundary.drop(packet, 'badFragment')
      return
    }
    if (at - packet.start - header.HEADER_OCTETS + offset + length > header.LONGEST_PAYLOAD_OCTETS) {
      this.problem(packet, port, CODE.erroneousField, at + 2)
      this.boundary.drop(packet, 'badFragment')
      return
    }
    if (offset === 0 && !this.holdsChain(packet, at)) {
      this.problem(packet, port, CODE.incompleteChain, packet.start)
      this.boundary.drop(packet, 'tinyFragment')
      return
    }
    packet.start = at
    const zone = isLinkLocal(this.source) ? indexOf(port) : 0
    const whole = this.reassembly.input(packet, this.clock.now(), zone)
    this.reassemblyDrive.arm()
    if (whole !== undefined) this.deliver(whole, port, true)
  }

  /** Are all headers in the first fragment (RFC 7112 §5)? */
  private holdsChain({ view, end }: Packet, at: number): boolean {
    const { chain } = this
    if (chain.walkBehind(view, at, end) !== undefined) return false
    return chain.at + (chain.protocol === PROTOCOL.tcp ? TCP_OCTETS : TRANSPORT_OCTETS) <= end
  }

  /** A packet that is whole, for us, and whose headers are walked: `chain` knows where its transport is. */
  private accept(packet: Packet, port: Ipv6Port | null, whole: boolean): void {
    const { protocol, at } = this.chain
    if (packet.segmentOctets !== 0 && protocol !== PROTOCOL.tcp) {
      this.boundary.drop(packet, 'badLength')
    } else if (!offloadFits(packet, at)) {
      this.boundary.drop(packet, 'badLength')
    } else if (!this.admits(packet, port)) {
      return
    } else if (port?.merger != null && protocol === PROTOCOL.tcp && at === packet.start + header.HEADER_OCTETS) {
      port.merger.input(packet)
    } else {
      this.handUp(packet, port, protocol, at, whole)
    }
  }

  /** Takes ownership of what does not pass. What comes from ourselves has been looked at. */
  private admits(packet: Packet, port: Ipv6Port | null): boolean {
    const { filter } = this.rules
    return filter === null || port === null || filter.passes('input', packet, port.port.index, 0)
  }

  /** What the merger gives back: its transport is right behind the header. Takes ownership. */
  merged(packet: Packet, port: Ipv6Port): void {
    this.handUp(packet, port, PROTOCOL.tcp, packet.start + header.HEADER_OCTETS, false)
  }

  private handUp(packet: Packet, port: Ipv6Port | null, protocol: number, at: number, whole: boolean): void {
    const { view, start } = packet
    const { from } = this
    header.readSource(view, start, from.source)
    header.readDestination(view, start, from.destination)
    from.protocol = protocol
    from.ttl = header.hopLimit(view, start)
    from.trafficClass = header.trafficClass(view, start)
    from.dontFragment = true
    from.link = indexOf(port)
    packet.start = at
    // Its own sum may stay open: there was no wire to damage it. One inside has to hold for whoever takes that out.
    if (packet.checksum === 'partial' && packet.checksumStart !== at) complete(packet)
    if (protocol === PROTOCOL.icmpv6) this.icmp.receive(packet, from, port, whole)
    else if (protocol === header.NEXT.none) this.boundary.drop(packet, 'noNextHeader')
    else if (!this.boundary.up(packet, from, protocol)) {
      this.icmp.noProtocol(packet, from.link)
      this.boundary.drop(packet, 'protocolUnreachable')
    }
  }

  /** It is for somebody else. But for what a policy rewrites, the packet is only changed once it is certain that it goes on. */
  private forward(packet: Packet, port: Ipv6Port, to: Hop): void {
    const { forwarding, filter } = this.rules
    const { index } = port.port
    if (!forwarding || isLinkLocal(this.destination)) {
      this.boundary.drop(packet, 'notForUs')
      return
    }
    let hop = to
    if (filter !== null) {
      hop = this.hops.wayOf(to, packet)
      if (!filter.passes('forward', packet, index, hop.port?.port.index ?? 0)) return
      if (filter.moved) hop = this.hops.find(header.readDestination(packet.view, packet.start, this.destination), 0)
    }
    if (header.hopLimit(packet.view, packet.start) <= 1) {
      this.icmp.complain(packet, TYPE.timeExceeded, CODE.hopLimit, 0, index)
      this.boundary.drop(packet, 'ttlExceeded')
      return
    }
    this.output.forward(packet, port, hop)
  }
}

const indexOf = (port: Ipv6Port | null): number => (port === null ? 0 : port.port.index)

/**
 * An atomic fragment: a packet that is whole, and says so (RFC 6946). Takes ownership.
 * @param at its fragment header. @param namedAt where that is named.
 */
function withoutFragment(packet: Packet, at: number, namedAt: number): Packet {
  const { view, octets, start } = packet
  view.setUint8(namedAt, view.getUint8(at))
  view.setUint16(start + header.PAYLOAD_LENGTH_AT, header.payloadLength(view, start) - header.FRAGMENT_OCTETS)
  octets.copyWithin(start + header.FRAGMENT_OCTETS, start, at)
  packet.pull(header.FRAGMENT_OCTETS)
  packet.networkStart = packet.start
  return packet
}

/** Do the offload fields of a packet leave its header alone? They are looked at again when the transport is known. */
function holds(packet: Packet): boolean {
  if (packet.checksum !== 'partial' && packet.segmentOctets === 0) return true
  return packet.checksumStart >= packet.start + header.HEADER_OCTETS && offloadFits(packet, packet.checksumStart)
}

/** Why a packet cannot have come from a link with these addresses. */
function addressFault(source: IpAddress, destination: IpAddress, many: boolean): Ipv6Reason | undefined {
  if (source.isIpv4 || destination.isIpv4) return 'mappedAddress'
  if (isMulticast(source) || isLoopback(source)) return 'martianSource'
  if (isUnspecified(destination) || isLoopback(destination)) return 'martianDestination'
  return many && groupScope(destination) <= 1 ? 'scope' : undefined
}
