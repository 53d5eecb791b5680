/**
 * ICMP (RFC 792, RFC 1122 §3.2.2, RFC 1812 §4.3): answers echo, sends errors about packets, and hands the errors that
 * others send us to the transports whose packets they are about.
 *
 * Errors are not believed lightly (RFC 5927): one must quote a packet with a source of ours to a destination we sent to
 * lately; a transport then checks its own header in the quote, and only then is a path MTU learnt. Redirects are ignored:
 * routes are not for strangers to set.
 */
import { adjust, checksum } from '../../../src/kernel/checksum.ts'
import type { Env } from '../../../src/kernel/env.ts'
import { Packet } from '../../../src/kernel/packet.ts'
import type { TokenBucket } from '../../../src/kernel/token-bucket.ts'
import { complete } from '../../offload/complete.ts'
import { type ErrorRate, errorBucket } from '../error-rate.ts'
import type { FamilyContext } from '../family.ts'
import type { PathMtu } from '../path-mtu.ts'
import { ErrorReport, NetworkAddressing, PROTOCOL } from '../service.ts'
import { type Addresses, DUMMY, isLoopback, isMulticast, isReserved, isThisNetwork } from './addresses.ts'
import * as header from './header.ts'
import type { Hop, Hops } from './hops.ts'
import { CODE, type Complaints, explain, ICMP_OCTETS, isQuery, TYPE } from './icmp-message.ts'
import type { Output } from './output.ts'
import type { Ipv4Boundary } from './reasons.ts'

/** Octets of an error, IP header included, at the most (RFC 1812 §4.3.2.3). */
const LONGEST_ERROR = 576
/** Octets of the quoted packet behind its header, at the least (RFC 792). */
const SHORTEST_QUOTE = 8
/** Internetwork control (RFC 1812 §4.3.2.5). */
const ERROR_TOS = 0xc0

export class Icmp implements Complaints {
  private readonly context: FamilyContext
  private readonly env: Env
  private readonly boundary: Ipv4Boundary
  private readonly addresses: Addresses
  private readonly hops: Hops
  private readonly pathMtu: PathMtu
  private readonly ttl: number
  private readonly bucket: TokenBucket
  private readonly to = new NetworkAddressing()
  private readonly scratch = new ErrorReport()
  private output: Output | undefined
  /** Told when a path MTU was learnt. */
  private readonly learnt: () => void

  constructor(
    context: FamilyContext,
    boundary: Ipv4Boundary,
    addresses: Addresses,
    hops: Hops,
    pathMtu: PathMtu,
    ttl: number,
    rate: ErrorRate,
    learnt: () => void,
  ) {
    this.context = context
    this.env = context.env
    this.boundary = boundary
    this.addresses = addresses
    this.hops = hops
    this.pathMtu = pathMtu
    this.ttl = ttl
    this.bucket = errorBucket(rate)
    this.learnt = learnt
  }

  /** Output and ICMP need each other: this is the other half of the introduction. */
  connect(output: Output): void {
    this.output = output
  }

  complain(packet: Packet, type: number, code: number, rest: number): void {
    const { view, networkStart: at } = packet
    if (!this.mayComplain(packet, at)) return
    const target = header.source(view, at)
    const hop = this.hops.find(target)
    // Errors to ourselves bother nobody else.
    if (hop.kind !== 'local' && !this.bucket.take(this.env.clock.now())) return
    const source = hop.kind === 'local' ? target : this.sourceFor(hop, header.destination(view, at))
    // Whoever reads the quote is to see what a wire would have carried.
    complete(packet)
    const quote = Math.min(packet.end - at, LONGEST_ERROR - header.HEADER_OCTETS - ICMP_OCTETS)
    const error = Packet.take(this.roomBefore(), ICMP_OCTETS + quote + this.context.tailroom)
    const start = error.put(ICMP_OCTETS + quote)
    view.setInt32(start, (type << 24) | (code << 16))
    view.setInt32(start + 4, rest)
    error.octets.copyWithin(start + ICMP_OCTETS, at, at + quote)
    view.setUint16(start + 2, checksum(start, ICMP_OCTETS + quote))
    this.reply(error, source, target, ERROR_TOS)
  }

  /** A message that reached us, its data at the ICMP header. Takes ownership. @param from read during the call. */
  receive(packet: Packet, from: NetworkAddressing): void {
    const { view, start } = packet
    const length = packet.end - start
    if (length < ICMP_OCTETS) {
      this.boundary.drop(packet, 'icmpShort')
      return
    }
    if (packet.checksum === 'none' && checksum(start, length) !== 0) {
      this.boundary.drop(packet, 'icmpChecksum')
      return
    }
    const type = view.getUint8(start)
    if (type === TYPE.echo) {
      this.answer(packet, from)
      return
    }
    if (type === TYPE.redirect) {
      this.boundary.drop(packet, 'icmpRedirect')
      return
    }
    if (type === TYPE.unreachable || type === TYPE.timeExceeded || type === TYPE.parameterProblem) {
      this.hear(packet, from, type)
      return
    }
    if (type !== TYPE.echoReply) {
      this.boundary.drop(packet, 'icmpType')
      return
    }
    if (!this.boundary.up(packet, from, PROTOCOL.icmp)) this.boundary.drop(packet, 'icmpNoUser')
  }

  /** Turns an echo into its reply, in place (RFC 1122 §3.2.2.6). */
  private answer(packet: Packet, from: NetworkAddressing): void {
    const destination = from.destination.w3
    if (!this.addresses.isLocal(destination)) {
      this.boundary.drop(packet, 'icmpBroadcastEcho')
      return
    }
    const { trafficClass } = from
    const source = from.source.w3
    const reply = packet.withRoom(this.roomBefore(), this.context.tailroom)
    const { view, start } = reply
    const word = view.getUint16(start)
    view.setUint16(start, TYPE.echoReply << 8)
    view.setUint16(start + 2, adjust(view.getUint16(start + 2), word, TYPE.echoReply << 8))
    reply.checksum = 'none'
    this.reply(reply, destination, source, trafficClass)
  }

  private roomBefore(): number {
    return this.context.headroom
  }

  private reply(packet: Packet, source: number, destination: number, tos: number): void {
    const { to } = this
    to.source.setIpv4(source)
    to.destination.setIpv4(destination)
    to.protocol = PROTOCOL.icmp
    to.ttl = this.ttl
    to.trafficClass = tos
    to.dontFragment = false
    to.link = 0
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
    if (!this.quotesUs(packet, at)) {
      this.boundary.drop(packet, 'icmpQuote')
      return
    }
    report.from.set(from.source)
    report.link = from.link
    report.source.setIpv4(header.source(view, at))
    report.destination.setIpv4(header.destination(view, at))
    report.quoteStart = at + header.headerOctets(view, at)
    report.quoteEnd = packet.end
    const tooBig = type === TYPE.unreachable && report.icmpCode === CODE.fragmentationNeeded
    if (tooBig) report.mtu = this.pathTold(view, start, at, false)
    if (!this.context.report(header.protocol(view, at), report)) {
      this.boundary.drop(packet, 'icmpNoUser')
    } else if (report.foreign) {
      this.boundary.drop(packet, 'icmpQuote')
    } else {
      if (tooBig) this.pathTold(view, start, at, true)
      packet.release()
    }
  }

  /** Is what an error quotes the beginning of a packet we can have sent? */
  private quotesUs(packet: Packet, at: number): boolean {
    const { view } = packet
    if (packet.end - at < header.HEADER_OCTETS + SHORTEST_QUOTE || view.getUint8(at) >>> 4 !== 4) return false
    const octets = header.headerOctets(view, at)
    return (
      octets >= header.HEADER_OCTETS &&
      packet.end - at >= octets + SHORTEST_QUOTE &&
      this.addresses.isLocal(header.source(view, at)) &&
      this.output?.sentTo(header.destination(view, at)) === true
    )
  }

  /**
   * The message at `start` says, quoting a header at `at`, that a packet was too big.
   * @param learn take it for true; else this is only a look at what it says.
   * @returns the MTU of the path by this report, or by what was known if that says nothing new.
   */
  private pathTold(view: DataView, start: number, at: number, learn: boolean): number {
    const destination = header.destination(view, at)
    const { kind, mtu } = this.hops.find(destination)
    // Only a packet that must not be fragmented can have been too big (RFC 1191 §4).
    if (kind !== 'forward' || (header.flagsAndOffset(view, at) & header.DF) === 0) return mtu
    const reported = view.getUint16(start + 6)
    const length = header.totalLength(view, at)
    if (!learn) return this.pathMtu.assess(destination, reported, length, mtu) || mtu
    const learnt = this.pathMtu.report(destination, reported, length, mtu, this.env.clock.now())
    if (learnt !== 0) this.learnt()
    return learnt || mtu
  }

  /** Of errors about packets to `destination`: that itself if it is ours, else ours, else the dummy. */
  private sourceFor(hop: Hop, destination: number): number {
    return this.addresses.isLocal(destination) ? destination : this.hops.sourceFor(hop) || DUMMY
  }

  private mayComplain(packet: Packet, at: number): boolean {
    const { view } = packet
    if (header.fragmentOffset(view, at) !== 0) return false
    const source = header.source(view, at)
    if (isThisNetwork(source) || isMulticast(source) || isReserved(source)) return false
    if (this.addresses.broadcastOf(source) !== undefined) return false
    if (isLoopback(source) && !this.addresses.isLocal(header.destination(view, at))) return false
    const { kind } = this.hops.find(header.destination(view, at))
    if (kind === 'broadcast' || kind === 'multicast') return false
    if (header.protocol(view, at) !== PROTOCOL.icmp) return true
    const message = at + header.headerOctets(view, at)
    return message < packet.end && isQuery(view.getUint8(message))
  }
}
