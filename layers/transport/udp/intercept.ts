/**
 * Shows the first datagram of a flow to a prefix to somebody who decides: what a gateway for virtual machines stands on.
 * Undecided requests keep their datagram, are bounded in number, and are dropped after a while; further datagrams of the
 * flow are dropped meanwhile, as an application repeats what is not answered.
 */
import type {
  DatagramHandler,
  DatagramOptions,
  DatagramRequest,
  DatagramSocket,
  InterceptRule,
} from '../../../src/api/sockets.ts'
import { type IpAddress, type Prefix, parsePrefix } from '../../../src/kernel/address.ts'
import { type Duration, type Instant, seconds } from '../../../src/kernel/clock.ts'
import { integer, NetError } from '../../../src/kernel/errors.ts'
import type { Packet } from '../../../src/kernel/packet.ts'
import { Timer, type Timers } from '../../../src/kernel/timers.ts'
import type { NetworkAddressing } from '../../network/service.ts'
import { MutableEndpoint } from './endpoint.ts'
import type { DropReason } from './reasons.ts'

/** How long a request may stay undecided. */
const UNDECIDED: Duration = seconds(30)
/** Undecided requests at the most. */
const MAX_UNDECIDED = 1024

/** What interception needs of the layer. */
export interface InterceptOwner {
  readonly timers: Timers
  touched(): void
  declareLocal(address: IpAddress, length: number): () => void
  /** The name of the link of an address that `isScoped`; else ''. */
  zoneOf(address: IpAddress, link: number): string
  /** Makes a socket of the request, with the datagram as its first. Takes ownership of the packet. @throws NetError */
  accept(
    request: PendingRequest,
    packet: Packet,
    handler: DatagramHandler,
    options: Partial<DatagramOptions> | undefined,
  ): DatagramSocket
  /** Answers with an ICMP error. Takes ownership of the packet. */
  refuse(request: PendingRequest, packet: Packet, why: 'portUnreachable' | 'hostUnreachable'): void
  drop(packet: Packet, reason: DropReason): void
}

interface Rule {
  readonly prefix: Prefix
  readonly ports: ReadonlySet<number> | undefined
  readonly decide: (request: DatagramRequest) => void
}

/** A datagram that waits for a decision. */
export class PendingRequest implements DatagramRequest {
  readonly source: MutableEndpoint = new MutableEndpoint()
  readonly destination: MutableEndpoint = new MutableEndpoint()
  /** Of its header, for the error that may answer it. */
  readonly ttl: number
  readonly trafficClass: number
  readonly link: number
  readonly expiresAt: Instant
  private packet: Packet | null
  private readonly owner: InterceptOwner
  private readonly interception: Interception

  constructor(
    packet: Packet,
    ports: { readonly source: number; readonly destination: number },
    from: NetworkAddressing,
    expiresAt: Instant,
    owner: InterceptOwner,
    interception: Interception,
  ) {
    this.packet = packet
    this.source.set(from.source, ports.source, owner.zoneOf(from.source, from.link))
    this.destination.set(from.destination, ports.destination)
    this.ttl = from.ttl
    this.trafficClass = from.trafficClass
    this.link = from.link
    this.expiresAt = expiresAt
    this.owner = owner
    this.interception = interception
  }

  accept(handler: DatagramHandler, options?: Partial<DatagramOptions>): DatagramSocket {
    const packet = this.take()
    if (packet === null) {
      throw new NetError('ECONNABORTED', 'the request has been answered, or took too long', {
        syscall: 'accept',
        address: this.source.address.toString(),
        port: this.source.port,
        layer: 'udp',
        reason: 'answered',
      })
    }
    return this.owner.accept(this, packet, handler, options)
  }

  reset(): void {
    const packet = this.take()
    if (packet !== null) this.owner.refuse(this, packet, 'portUnreachable')
  }

  unreachable(): void {
    const packet = this.take()
    if (packet !== null) this.owner.refuse(this, packet, 'hostUnreachable')
  }

  drop(): void {
    const packet = this.take()
    if (packet !== null) this.owner.drop(packet, 'intercepted')
  }

  /** Is this the flow of such a datagram? */
  isOf(ports: { readonly source: number; readonly destination: number }, from: NetworkAddressing): boolean {
    const { source, destination } = this
    if (source.port !== ports.source || destination.port !== ports.destination) return false
    if (source.zone !== '' && this.link !== from.link) return false
    return source.address.equals(from.source) && destination.address.equals(from.destination)
  }

  private take(): Packet | null {
    const { packet } = this
    this.packet = null
    if (packet !== null) this.interception.forget(this)
    return packet
  }
}

export class Interception {
  private readonly owner: InterceptOwner
  /** In the order they came, which is that of their deadlines. */
  private readonly pending = new Set<PendingRequest>()
  private readonly timer: Timer
  private rules: readonly Rule[] = []

  constructor(owner: InterceptOwner) {
    this.owner = owner
    this.timer = new Timer(this)
  }

  /** @throws TypeError ERR_INVALID_ARG_VALUE, RangeError ERR_OUT_OF_RANGE — not a prefix, not ports. @returns undo. */
  add(rule: InterceptRule, decide: (request: DatagramRequest) => void): () => void {
    const prefix = parsePrefix(rule.prefix)
    for (const port of rule.ports ?? []) integer('ports', port, 1, 65_535)
    const added: Rule = { prefix, ports: rule.ports === undefined ? undefined : new Set(rule.ports), decide }
    const undo = this.owner.declareLocal(prefix.address, prefix.length)
    // The most specific rule decides; among equals the first.
    this.rules = [...this.rules, added].sort((a, b) => b.prefix.length - a.prefix.length)
    return () => {
      if (!this.rules.includes(added)) return
      this.rules = this.rules.filter((other) => other !== added)
      undo()
    }
  }

  /** A datagram that no socket takes. @returns false when no rule wants it: the caller still owns it. */
  offer(packet: Packet, source: number, destination: number, from: NetworkAddressing, now: Instant): boolean {
    if (this.rules.length === 0) return false
    const rule = this.rules.find((candidate) => matches(candidate, from.destination, destination))
    if (rule === undefined) return false
    const ports = { source, destination }
    for (const request of this.pending) {
      if (!request.isOf(ports, from)) continue
      this.owner.drop(packet, 'interceptPending')
      return true
    }
    if (this.pending.size >= MAX_UNDECIDED) {
      this.owner.drop(packet, 'interceptQueueFull')
      return true
    }
    const request = new PendingRequest(packet, ports, from, now + UNDECIDED, this.owner, this)
    this.pending.add(request)
    if (!this.timer.armed) this.owner.timers.arm(this.timer, request.expiresAt)
    this.owner.touched()
    rule.decide(request)
    return true
  }

  /** It has been decided. */
  forget(request: PendingRequest): void {
    this.pending.delete(request)
    if (this.pending.size === 0) this.owner.timers.cancel(this.timer)
  }

  /** The timer fired: requests that took too long are dropped. Not to be called by others. */
  expire(now: Instant): void {
    for (const request of this.pending) {
      if (request.expiresAt > now) {
        this.owner.timers.arm(this.timer, request.expiresAt)
        return
      }
      request.drop()
    }
  }

  close(): void {
    for (const request of this.pending) request.drop()
  }
}

function matches({ prefix, ports }: Rule, address: IpAddress, port: number): boolean {
  return (ports === undefined || ports.has(port)) && covers(prefix, address)
}

function covers({ address, length }: Prefix, candidate: IpAddress): boolean {
  if (address.isIpv4 !== candidate.isIpv4) return false
  const bits = address.isIpv4 ? length + 96 : length
  return (
    sameBits(address.w0, candidate.w0, bits) &&
    sameBits(address.w1, candidate.w1, bits - 32) &&
    sameBits(address.w2, candidate.w2, bits - 64) &&
    sameBits(address.w3, candidate.w3, bits - 96)
  )
}

function sameBits(a: number, b: number, bits: number): boolean {
  if (bits <= 0) return true
  return bits >= 32 ? a === b : (a ^ b) >>> (32 - bits) === 0
}
