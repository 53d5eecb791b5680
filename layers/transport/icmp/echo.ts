/**
 * Echo requests and what comes of them (RFC 792): a reply, or an ICMP error from somebody on the way, which is how
 * traceroute works. Requests to us are answered by the network layer itself.
 *
 *   0      1      2          4            6          8
 *   ├ type ┼ code ┼ checksum ┼ identifier ┼ sequence ┼ payload …
 */
import type { EchoReply, EchoRequest, IcmpSockets } from '../../../src/api/sockets.ts'
import { IpAddress } from '../../../src/kernel/address.ts'
import type { Boundary } from '../../../src/kernel/boundary.ts'
import { checksum } from '../../../src/kernel/checksum.ts'
import type { Instant } from '../../../src/kernel/clock.ts'
import type { Env } from '../../../src/kernel/env.ts'
import { integer, invalidType, NetError } from '../../../src/kernel/errors.ts'
import type { User } from '../../../src/kernel/layer.ts'
import type { Packet } from '../../../src/kernel/packet.ts'
import { slab } from '../../../src/kernel/slab.ts'
import { type ErrorReport, NetworkAddressing, type NetworkService, Path, PROTOCOL } from '../../network/service.ts'

const HEADER_OCTETS = 8
const TYPE_ECHO = 8
const TYPE_ECHO_REPLY = 0
/** 65535 less the headers of IPv4 and ICMP. */
const LARGEST_PAYLOAD = 65_507
const DEFAULT_PAYLOAD = 56
const DEFAULT_TTL = 64
const IPV4_HEADER_OCTETS = 20
/** Requests that wait for an answer, at the most. */
const MAX_OUTSTANDING = 4096
const ANY: IpAddress = new IpAddress()

type DropReason = 'truncated' | 'notReply' | 'badChecksum' | 'unexpected'

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
    const stops = [
      network.boundary.attach(this, PROTOCOL.icmp),
      network.onError(PROTOCOL.icmp, (report) => this.networkError(report)),
    ]
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
    this.findWay(address, size, dontFragment)
    const sequence = this.nextSequence(address)
    const waiting = { address: address.clone(), sentAt: this.env.clock.now(), answered }
    this.outstanding.set(sequence, waiting)
    this.send(address, sequence, size, ttl, dontFragment)
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

  private findWay(address: IpAddress, size: number, dontFragment: boolean): void {
    const { network, path } = this
    if (network.isBroadcast(address))
      throw cannot('EACCES', 'everybody would answer: not to a broadcast address', address)
    const none = network.path(address, ANY, 0, path)
    if (none !== undefined) throw cannot(none, 'there is no way to this address', address)
    const room = path.mtu - IPV4_HEADER_OCTETS - HEADER_OCTETS
    if (dontFragment && size > room) throw cannot('EMSGSIZE', `${size} octets do not fit: ${room} do`, address)
  }

  private nextSequence(address: IpAddress): number {
    if (this.outstanding.size >= MAX_OUTSTANDING) throw cannot('ENOBUFS', 'too many requests are unanswered', address)
    do this.sequence = (this.sequence + 1) & 0xffff
    while (this.outstanding.has(this.sequence))
    return this.sequence
  }

  private send(address: IpAddress, sequence: number, size: number, ttl: number, dontFragment: boolean): void {
    const { path, to } = this
    const packet = this.env.packet(path.headroom, HEADER_OCTETS + size + path.tailroom)
    const at = packet.put(HEADER_OCTETS + size)
    const { view, octets } = packet
    view.setInt32(at, TYPE_ECHO << 24)
    view.setUint16(at + 4, this.identifier)
    view.setUint16(at + 6, sequence)
    for (let i = 0; i < size; i++) octets[at + HEADER_OCTETS + i] = i
    view.setUint16(at + 2, checksum(at, HEADER_OCTETS + size))
    to.source.set(path.source)
    to.destination.set(address)
    to.protocol = PROTOCOL.icmp
    to.ttl = ttl
    to.dontFragment = dontFragment
    this.boundary.down(packet, to)
    this.network.send(packet, to)
  }

  /** @returns why the message was of no use, or undefined. */
  private input(packet: Packet, from: NetworkAddressing): DropReason | undefined {
    const { view, start } = packet
    const length = packet.end - start
    if (length < HEADER_OCTETS) return 'truncated'
    if (view.getUint8(start) !== TYPE_ECHO_REPLY) return 'notReply'
    if (packet.checksum === 'none' && checksum(start, length) !== 0) return 'badChecksum'
    const sequence = this.sequenceAt(view, start)
    const waiting = this.outstanding.get(sequence)
    if (waiting === undefined) return 'unexpected'
    // A group answers by its members' own addresses.
    if (!waiting.address.equals(from.source) && !this.network.isMulticast(waiting.address)) return 'unexpected'
    this.answer(sequence, waiting, from.source, 'reply', length - HEADER_OCTETS, from.ttl)
    return undefined
  }

  private networkError(report: ErrorReport): void {
    const { view } = slab()
    const { quoteStart } = report
    report.foreign = true
    if (report.quoteEnd - quoteStart < HEADER_OCTETS || view.getUint8(quoteStart) !== TYPE_ECHO) return
    const sequence = this.sequenceAt(view, quoteStart)
    const waiting = this.outstanding.get(sequence)
    if (waiting === undefined || !waiting.address.equals(report.destination)) return
    report.foreign = false
    this.answer(sequence, waiting, report.from, report.reason, report.quoteEnd - quoteStart - HEADER_OCTETS, 0)
  }

  /** The sequence number of a message with our identifier; -1 of any other. */
  private sequenceAt(view: DataView, at: number): number {
    return view.getUint16(at + 4) === this.identifier ? view.getUint16(at + 6) : -1
  }

  private answer(
    sequence: number,
    { sentAt, answered }: Outstanding,
    from: IpAddress,
    outcome: string,
    octets: number,
    ttl: number,
  ): void {
    this.outstanding.delete(sequence)
    const roundTrip = this.env.clock.now() - sentAt
    this.env.touched()
    answered({ address: from.toString(), outcome, octets, ttl, roundTrip })
  }
}

function cannot(code: string, why: string, address: IpAddress): NetError {
  return new NetError(code, why, { syscall: 'ping', address: address.toString(), layer: 'icmp' })
}
