/**
 * Echo requests and what comes of them (RFC 792, RFC 4443 §4): a reply, or an ICMP error from somebody on the way, which is how
 * traceroute works. Requests to us are answered by the network layer itself.
 *
 *   0      1      2          4            6          8
 *   ├ type ┼ code ┼ checksum ┼ identifier ┼ sequence ┼ payload …
 */
import type { EchoReply, EchoRequest, IcmpSockets } from '../../../src/api/sockets.ts'
import { formatScoped, IpAddress } from '../../../src/kernel/address.ts'
import type { Boundary } from '../../../src/kernel/boundary.ts'
import { checksum, pseudoHeaderIpv6 } from '../../../src/kernel/checksum.ts'
import type { Instant } from '../../../src/kernel/clock.ts'
import type { Env } from '../../../src/kernel/env.ts'
import { integer, invalidType, NetError } from '../../../src/kernel/errors.ts'
import type { User } from '../../../src/kernel/layer.ts'
import type { Packet } from '../../../src/kernel/packet.ts'
import { slab } from '../../../src/kernel/slab.ts'
import { type ErrorReport, NetworkAddressing, type NetworkService, Path, PROTOCOL } from '../../network/service.ts'

const HEADER_OCTETS = 8
/** 65535 less the headers of IPv4 and ICMP: IPv6 would take 20 more. */
const LARGEST_PAYLOAD = 65_507
const DEFAULT_PAYLOAD = 56
const DEFAULT_TTL = 64
/** Requests that wait for an answer, at the most. */
const MAX_OUTSTANDING = 4096
const ANY: IpAddress = new IpAddress()

type DropReason = 'truncated' | 'notReply' | 'badChecksum' | 'unexpected'

/** What differs between the families. */
interface Family {
  readonly protocol: number
  readonly request: number
  readonly reply: number
  /** Octets of the network header. */
  readonly headerOctets: number
  /** The share of the checksum that is not in the message. */
  pseudoHeader(source: IpAddress, destination: IpAddress, length: number): number
}

const IPV4: Family = { protocol: PROTOCOL.icmp, request: 8, reply: 0, headerOctets: 20, pseudoHeader: () => 0 }
const IPV6: Family = {
  protocol: PROTOCOL.icmpv6,
  request: 128,
  reply: 129,
  headerOctets: 40,
  pseudoHeader: (source, destination, length) => pseudoHeaderIpv6(source, destination, PROTOCOL.icmpv6, length),
}
const familyOf = (address: IpAddress): Family => (address.isIpv4 ? IPV4 : IPV6)

const REASONS: Readonly<Record<DropReason, string>> = {
  truncated: 'RFC 792',
  notReply: '',
  badChecksum: 'RFC 792',
  /** An answer that nobody waits for, or to a question that was put to somebody else. */
  unexpected: 'RFC 1122 §3.2.2.6',
}

interface Outstanding {
  readonly address: IpAddress
  readonly sentAt: Instant
  readonly answered: (reply: EchoReply) => void
}

/** The echo part of the transport tier, on a network that hands echo replies up. */
export function echo(network: NetworkService, env: Env): IcmpSockets {
  const layer = new Echo(network, env)
  return { icmp: { echo: (request, answered) => layer.ask(request, answered) } }
}

class Echo implements User<NetworkAddressing> {
  private readonly network: NetworkService
  private readonly env: Env
  private readonly boundary: Boundary<NetworkAddressing, DropReason>
  /** By sequence number. */
  private readonly outstanding = new Map<number, Outstanding>()
  private readonly identifier: number
  private sequence: number
  private readonly to = new NetworkAddressing()
  private readonly path = new Path()

  constructor(network: NetworkService, env: Env) {
    this.network = network
    this.env = env
    this.boundary = env.boundary<NetworkAddressing, DropReason>('icmp', 'transport', REASONS)
    // Neither is for others to guess: who cannot see the question cannot answer it.
    const chance = env.random('icmp').uint32()
    this.identifier = chance >>> 16
    this.sequence = chance & 0xffff
    const stops = [PROTOCOL.icmp, PROTOCOL.icmpv6].flatMap((protocol) => [
      network.boundary.attach(this, protocol),
      network.onError(protocol, (report) => this.networkError(report)),
    ])
    env.defer(() => {
      this.outstanding.clear()
      for (const stop of stops) stop()
    })
  }

  ask(request: EchoRequest, answered: (reply: EchoReply) => void): () => void {
    const { address } = request
    if (!(address instanceof IpAddress)) throw invalidType('address', 'an IpAddress', address)
    if (typeof answered !== 'function') throw invalidType('answered', 'of type function', answered)
    const size = integer('size', request.size ?? DEFAULT_PAYLOAD, 0, LARGEST_PAYLOAD)
    const ttl = integer('ttl', request.ttl ?? DEFAULT_TTL, 1, 255)
    const dontFragment = request.dontFragment ?? false
    this.env.touched()
    const link = this.linkIndex(request.link, address)
    this.findWay(address, link, size, dontFragment)
    const sequence = this.nextSequence(address)
    const waiting = { address: address.clone(), sentAt: this.env.clock.now(), answered }
    this.outstanding.set(sequence, waiting)
    this.to.link = link
    this.to.ttl = ttl
    this.to.dontFragment = dontFragment
    this.send(address, sequence, size)
    return () => {
      if (this.outstanding.get(sequence) === waiting) this.outstanding.delete(sequence)
    }
  }

  receive(packet: Packet, from: NetworkAddressing): void {
    this.boundary.up(packet, from, 0)
    const reason = this.input(packet, from)
    if (reason === undefined) packet.release()
    else this.boundary.drop(packet, reason)
  }

  private linkIndex(name: string | undefined, address: IpAddress): number {
    const index = name === undefined ? 0 : this.network.linkIndex(name)
    if (name !== undefined && index === 0) throw cannot('ENODEV', `there is no link called '${name}'`, address)
    return index
  }

  private findWay(address: IpAddress, link: number, size: number, dontFragment: boolean): void {
    const { network, path } = this
    if (network.isBroadcast(address))
      throw cannot('EACCES', 'everybody would answer: not to a broadcast address', address)
    const none = network.path(address, ANY, link, path)
    if (none !== undefined) throw cannot(none, 'there is no way to this address', address)
    const room = path.mtu - familyOf(address).headerOctets - HEADER_OCTETS
    if (dontFragment && size > room) throw cannot('EMSGSIZE', `${size} octets do not fit: ${room} do`, address)
  }

  private nextSequence(address: IpAddress): number {
    if (this.outstanding.size >= MAX_OUTSTANDING) throw cannot('ENOBUFS', 'too many requests are unanswered', address)
    do this.sequence = (this.sequence + 1) & 0xffff
    while (this.outstanding.has(this.sequence))
    return this.sequence
  }

  /** To `to.link`, with the TTL that is set in `to`. */
  private send(address: IpAddress, sequence: number, size: number): void {
    const { path, to } = this
    const { protocol, request, pseudoHeader } = familyOf(address)
    const packet = this.env.packet(path.headroom, HEADER_OCTETS + size + path.tailroom)
    const at = packet.put(HEADER_OCTETS + size)
    const { view, octets } = packet
    view.setInt32(at, request << 24)
    view.setUint16(at + 4, this.identifier)
    view.setUint16(at + 6, sequence)
    for (let i = 0; i < size; i++) octets[at + HEADER_OCTETS + i] = i
    const length = HEADER_OCTETS + size
    view.setUint16(at + 2, checksum(at, length, pseudoHeader(path.source, address, length)))
    to.source.set(path.source)
    to.destination.set(address)
    to.protocol = protocol
    this.boundary.down(packet, to)
    this.network.send(packet, to)
  }

  /** @returns why the message was of no use, or undefined. */
  private input(packet: Packet, from: NetworkAddressing): DropReason | undefined {
    const { view, start } = packet
    const length = packet.end - start
    if (length < HEADER_OCTETS) return 'truncated'
    const { reply, pseudoHeader } = familyOf(from.source)
    if (view.getUint8(start) !== reply) return 'notReply'
    const partial = pseudoHeader(from.source, from.destination, length)
    if (packet.checksum === 'none' && checksum(start, length, partial) !== 0) return 'badChecksum'
    const sequence = this.sequenceAt(view, start)
    const waiting = this.outstanding.get(sequence)
    if (waiting === undefined) return 'unexpected'
    // A group answers by its members' own addresses.
    if (!waiting.address.equals(from.source) && !this.network.isMulticast(waiting.address)) return 'unexpected'
    const address = formatScoped(from.source, this.network.linkName(from.link))
    this.answer(sequence, waiting, address, 'reply', length - HEADER_OCTETS, from.ttl)
    return undefined
  }

  private networkError(report: ErrorReport): void {
    const { view } = slab()
    const { quoteStart } = report
    report.foreign = true
    const { request } = familyOf(report.destination)
    if (report.quoteEnd - quoteStart < HEADER_OCTETS || view.getUint8(quoteStart) !== request) return
    const sequence = this.sequenceAt(view, quoteStart)
    const waiting = this.outstanding.get(sequence)
    if (waiting === undefined || !waiting.address.equals(report.destination)) return
    report.foreign = false
    this.answer(
      sequence,
      waiting,
      report.from.toString(),
      report.reason,
      report.quoteEnd - quoteStart - HEADER_OCTETS,
      0,
    )
  }

  /** The sequence number of a message with our identifier; -1 of any other. */
  private sequenceAt(view: DataView, at: number): number {
    return view.getUint16(at + 4) === this.identifier ? view.getUint16(at + 6) : -1
  }

  private answer(
    sequence: number,
    { sentAt, answered }: Outstanding,
    address: string,
    outcome: string,
    octets: number,
    ttl: number,
  ): void {
    this.outstanding.delete(sequence)
    const roundTrip = this.env.clock.now() - sentAt
    this.env.touched()
    answered({ address, outcome, octets, ttl, roundTrip })
  }
}

function cannot(code: string, why: string, address: IpAddress): NetError {
  return new NetError(code, why, { syscall: 'ping', address: address.toString(), layer: 'icmp' })
}
