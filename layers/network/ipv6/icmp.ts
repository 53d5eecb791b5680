/**
 * ICMPv6 (RFC 4443): answers echo, sends errors about packets, and hands the errors that others send us to the transports
 * whose packets they are about. Messages of discovery go to that of the link.
 *
 * Errors are not believed lightly (RFC 5927): one must quote a packet with a source of ours to a destination we sent to
 * lately; a transport then checks its own header in the quote, and only then is a path MTU learnt.
 */
import { IpAddress } from '../../../src/kernel/address.ts'
import { adjust, checksum, pseudoHeaderIpv6 } from '../../../src/kernel/checksum.ts'
import type { Env } from '../../../src/kernel/env.ts'
import { Packet } from '../../../src/kernel/packet.ts'
import type { TokenBucket } from '../../../src/kernel/token-bucket.ts'
import { complete } from '../../offload/complete.ts'
import { type ErrorRate, errorBucket } from '../error-rate.ts'
import type { FamilyContext } from '../family.ts'
import type { PathMtu } from '../path-mtu.ts'
import { ErrorReport, NetworkAddressing, PROTOCOL } from '../service.ts'
import { isLinkLocal, isMulticast, isUnspecified, UNSPECIFIED } from './address-kinds.ts'
import type { Addresses } from './addresses.ts'
import { Chain } from './chain.ts'
import { DISCOVERY_TYPE } from './discovery.ts'
import * as header from './header.ts'
import type { Hops } from './hops.ts'
import { CODE, type Complaints, explain, ICMP_OCTETS, isError, TYPE } from './icmp-message.ts'
import { isMembership } from './mld-message.ts'
import type { Output } from './output.ts'
import type { Ipv6Port } from './port.ts'
import type { Ipv6Boundary, Ipv6Reason } from './reasons.ts'

/** Octets of the quoted packet behind its headers, at the least: what tells flows apart. */
const SHORTEST_QUOTE = 8

export class Icmp implements Complaints {
  private readonly context: FamilyContext
  private readonly env: Env
  private readonly boundary: Ipv6Boundary
  private readonly addresses: Addresses
  private readonly hops: Hops
  private readonly pathMtu: PathMtu
  private readonly hopLimit: number
  private readonly bucket: TokenBucket
  private readonly to = new NetworkAddressing()
  private readonly scratch = new ErrorReport()
  private readonly chain = new Chain()
  private readonly source = new IpAddress()
  private readonly destination = new IpAddress()
  private output: Output | undefined
  /** Told when a path MTU was learnt. */
  private readonly learnt: () => void

  /** @param hopLimit of our messages, unless a router of the link said another. */
  constructor(
    context: FamilyContext,
    boundary: Ipv6Boundary,
    addresses: Addresses,
    hops: Hops,
    pathMtu: PathMtu,
    hopLimit: number,
    rate: ErrorRate,
    learnt: () => void,
  ) {
    this.context = context
    this.env = context.env
    this.boundary = boundary
    this.addresses = addresses
    this.hops = hops
    this.pathMtu = pathMtu
    this.hopLimit = hopLimit
    this.bucket = errorBucket(rate)
    this.learnt = learnt
  }

  /** Output and ICMP need each other: this is the other half of the introduction. */
  connect(output: Output): void {
    this.output = output
  }

  complain(packet: Packet, type: number, code: number, rest: number, link: number): void {
    const { view, networkStart: at } = packet
    const target = header.readSource(view, at, this.source)
    const about = header.readDestination(view, at, this.destination)
    if (!this.mayComplain(packet, at, type, code)) return
    const by = isLinkLocal(target) ? link : 0
    const hop = this.hops.find(target, by)
    // Errors to ourselves bother nobody else.
    if (hop.kind !== 'local' && !this.bucket.take(this.env.clock.now())) return
    const ours = this.addresses.isLocal(about) && (!isLinkLocal(about) || by !== 0)
    const source = hop.kind === 'local' ? target : ours ? about : this.hops.sourceFor(hop)
    if (isUnspecified(source)) return
    // Whoever reads the quote is to see what a wire would have carried.
    complete(packet)
    const quote = Math.min(packet.end - at, header.SMALLEST_MTU - header.HEADER_OCTETS - ICMP_OCTETS)
    const error = Packet.take(this.context.headroom, ICMP_OCTETS + quote + this.context.tailroom)
    const start = error.put(ICMP_OCTETS + quote)
    view.setInt32(start, (type << 24) | (code << 16))
    view.setInt32(start + 4, rest)
    error.octets.copyWithin(start + ICMP_OCTETS, at, at + quote)
    const pseudo = pseudoHeaderIpv6(source, target, PROTOCOL.icmpv6, ICMP_OCTETS + quote)
    view.setUint16(start + 2, checksum(start, ICMP_OCTETS + quote, pseudo))
    this.send(error, source, target, 0, by)
  }

  /** Tells the sender of a packet for us that nobody here knows what is behind its headers (RFC 8200 §4). */
  noProtocol(packet: Packet, link: number): void {
    const { networkStart } = packet
    if (this.chain.walk(packet.view, networkStart, packet.end, false) !== undefined) return
    const pointer = this.chain.namedAt - networkStart
    this.complain(packet, TYPE.parameterProblem, CODE.unrecognizedHeader, pointer, link)
  }

  /**
   * A message that reached us, its data at the ICMPv6 header. Takes ownership.
   * @param from read during the call. @param port null: from ourselves. @param fragmented it came in pieces.
   */
  receive(packet: Packet, from: NetworkAddressing, port: Ipv6Port | null, fragmented: boolean): void {
    const { view, start } = packet
    const length = packet.end - start
    if (length < ICMP_OCTETS) {
      this.boundary.drop(packet, 'icmpShort')
      return
    }
    const pseudo = pseudoHeaderIpv6(from.source, from.destination, PROTOCOL.icmpv6, length)
    if (packet.checksum === 'none' && checksum(start, length, pseudo) !== 0) {
      this.boundary.drop(packet, 'icmpChecksum')
      return
    }
    const type = view.getUint8(start)
    if (type === TYPE.echo) this.answer(packet, from)
    else if (type === TYPE.echoReply) {
      if (!this.boundary.up(packet, from, PROTOCOL.icmpv6)) this.boundary.drop(packet, 'icmpNoUser')
    } else if (type >= DISCOVERY_TYPE.routerSolicitation && type <= DISCOVERY_TYPE.redirect) {
      this.discover(packet, from, port, fragmented)
    } else if (isMembership(type)) this.membership(packet, from, port)
    else if (isError(type)) this.hear(packet, from, type)
    else this.boundary.drop(packet, 'icmpType')
  }

  private membership(packet: Packet, from: NetworkAddressing, port: Ipv6Port | null): void {
    const reason = port === null || port.mld === null ? 'icmpType' : port.mld.receive(packet, from.source, from.ttl)
    if (reason === undefined) packet.release()
    else this.boundary.drop(packet, reason)
  }

  private discover(packet: Packet, from: NetworkAddressing, port: Ipv6Port | null, fragmented: boolean): void {
    let reason: Ipv6Reason | undefined
    if (from.ttl !== 255 || packet.view.getUint8(packet.start + 1) !== 0) reason = 'icmpHopLimit'
    else if (fragmented) reason = 'icmpFragmented'
    else if (port === null || port.discovery === null) reason = 'icmpType'
    else reason = port.discovery.receive(packet, from.source, from.destination)
    if (reason === undefined) packet.release()
    else this.boundary.drop(packet, reason)
  }

  /** Turns an echo into its reply, in place (§4.2). To a group, whoever has an address there answers by that. */
  private answer(packet: Packet, from: NetworkAddressing): void {
    const { source, destination } = this
    const { link, trafficClass } = from
    destination.set(from.source)
    const toUs = this.addresses.isLocal(from.destination)
    if (toUs) source.set(from.destination)
    else if (isUnspecified(from.source)) source.set(UNSPECIFIED)
    else source.set(this.hops.sourceFor(this.hops.find(destination, isLinkLocal(destination) ? link : 0)))
    if (isUnspecified(source)) {
      this.boundary.drop(packet, 'icmpGroupEcho')
      return
    }
    const open = packet.checksum === 'partial'
    const reply = packet.withRoom(this.context.headroom, this.context.tailroom)
    const { view, start, end } = reply
    const word = view.getUint16(start)
    view.setUint16(start, TYPE.echoReply << 8)
    if (toUs && !open) {
      view.setUint16(start + 2, adjust(view.getUint16(start + 2), word, TYPE.echoReply << 8))
    } else {
      const length = end - start
      view.setUint16(start + 2, 0)
      view.setUint16(start + 2, checksum(start, length, pseudoHeaderIpv6(source, destination, PROTOCOL.icmpv6, length)))
    }
    reply.checksum = 'none'
    this.send(reply, source, destination, trafficClass, link)
  }

  private send(packet: Packet, source: IpAddress, destination: IpAddress, trafficClass: number, link: number): void {
    const { to } = this
    to.source.set(source)
    to.destination.set(destination)
    to.protocol = PROTOCOL.icmpv6
    to.link = isLinkLocal(destination) ? link : 0
    to.ttl = this.hops.find(to.destination, to.link).port?.hopLimit || this.hopLimit
    to.trafficClass = trafficClass
    to.dontFragment = false
    this.output?.send(packet, to)
  }

  /** An error about a packet that we have sent, it says. */
  private hear(packet: Packet, from: NetworkAddressing, type: number): void {
    const { view, start } = packet
    const report = this.scratch
    if (!explain(report, type, view.getUint8(start + 1))) {
      this.boundary.drop(packet, 'icmpType')
      return
    }
    const at = start + ICMP_OCTETS
    const mtu = type === TYPE.tooBig ? view.getUint32(start + 4) : header.SMALLEST_MTU
    // Every link carries 1280 octets, so nothing smaller can be too big (RFC 8201 §4).
    if (mtu < header.SMALLEST_MTU || !this.quotesUs(packet, at)) {
      this.boundary.drop(packet, 'icmpQuote')
      return
    }
    report.from.set(from.source)
    report.link = from.link
    header.readSource(view, at, report.source)
    header.readDestination(view, at, report.destination)
    report.quoteStart = this.chain.at
    report.quoteEnd = packet.end
    const { protocol } = this.chain
    const length = header.HEADER_OCTETS + header.payloadLength(view, at)
    if (type === TYPE.tooBig) report.mtu = this.pathTold(report.destination, mtu, length, false)
    if (!this.context.report(protocol, report)) {
      this.boundary.drop(packet, 'icmpNoUser')
    } else if (report.foreign) {
      this.boundary.drop(packet, 'icmpQuote')
    } else {
      if (type === TYPE.tooBig) this.pathTold(report.destination, mtu, length, true)
      packet.release()
    }
  }

  /** Is what an error quotes the beginning of a packet we can have sent? Then `chain` knows where its transport is. */
  private quotesUs(packet: Packet, at: number): boolean {
    const { view, end } = packet
    const { chain } = this
    if (end - at < header.HEADER_OCTETS || header.version(view, at) !== 6) return false
    if (chain.walk(view, at, end, false) !== undefined) return false
    if (chain.protocol === header.NEXT.fragment) {
      // Of a later fragment nobody could say whose it is.
      if (chain.at + header.FRAGMENT_OCTETS > end || header.fragmentOffset(view, chain.at) !== 0) return false
      if (chain.walkBehind(view, chain.at, end) !== undefined) return false
    }
    return (
      chain.at + SHORTEST_QUOTE <= end &&
      this.addresses.isLocal(header.readSource(view, at, this.source)) &&
      this.output?.sentTo(header.readDestination(view, at, this.destination)) === true
    )
  }

  /**
   * A packet of `length` octets was too big on its way, it is said: there is one of `reported` octets at the most.
   * @param learn take it for true; else this is only a look at what it says.
   * @returns the MTU of the path by this report, or by what was known if that says nothing new.
   */
  private pathTold(destination: IpAddress, reported: number, length: number, learn: boolean): number {
    const hop = this.hops.find(destination, 0)
    const mtu = this.hops.mtuOf(hop)
    if (hop.kind !== 'forward') return mtu
    const key = this.hops.keyOf(hop)
    if (!learn) return this.pathMtu.assess(key, reported, length, mtu) || mtu
    const learnt = this.pathMtu.report(key, reported, length, mtu, this.env.clock.now())
    if (learnt !== 0) this.learnt()
    return learnt || mtu
  }

  /** `source` and `destination` are those of the packet (§2.4 (e)). */
  private mayComplain(packet: Packet, at: number, type: number, code: number): boolean {
    const { source, destination, chain } = this
    const { view, end } = packet
    if (isUnspecified(source) || isMulticast(source) || source.isIpv4) return false
    const toGroups = type === TYPE.tooBig || (type === TYPE.parameterProblem && code === CODE.unrecognizedOption)
    if (isMulticast(destination) && !toGroups) return false
    if (chain.walk(view, at, end, false) !== undefined) return true
    if (chain.protocol === header.NEXT.fragment) {
      if (chain.at + header.FRAGMENT_OCTETS > end || header.fragmentOffset(view, chain.at) !== 0) return true
      if (chain.walkBehind(view, chain.at, end) !== undefined) return true
    }
    if (chain.protocol !== PROTOCOL.icmpv6) return true
    const message = view.getUint8(Math.min(chain.at, end - 1))
    return chain.at < end && !isError(message) && message !== DISCOVERY_TYPE.redirect
  }
}
