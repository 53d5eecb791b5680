/**
 * Shows SYNs to a prefix to somebody who decides, before anything is answered: what a gateway for virtual machines
 * stands on. Undecided requests keep their SYN, are bounded in number, and are dropped after a while.
 */
import type {
  Connection,
  ConnectionHandler,
  ConnectionOptions,
  Endpoint,
  InterceptRule,
  StreamRequest,
} from '../../../src/api/sockets.ts'
import { type IpAddress, type Prefix, parsePrefix } from '../../../src/kernel/address.ts'
import { type Duration, type Instant, seconds } from '../../../src/kernel/clock.ts'
import { integer, NetError } from '../../../src/kernel/errors.ts'
import type { HashKey } from '../../../src/kernel/keyed-hash.ts'
import type { Packet } from '../../../src/kernel/packet.ts'
import { Timer, type Timers } from '../../../src/kernel/timers.ts'
import type { DropReason } from './reasons.ts'
import { type Flow, FlowTable } from './table.ts'

/** How long a request may stay undecided. */
const UNDECIDED: Duration = seconds(30)
/** Undecided requests at the most. */
const MAX_UNDECIDED = 1024

/** What interception needs of the layer. */
export interface InterceptOwner {
  readonly timers: Timers
  /** Why no further handshake can begin, if so. */
  readonly limit: DropReason | undefined
  touched(): void
  declareLocal(address: IpAddress, length: number): () => void
  /** Goes on with the SYN as if a listener had been found. Takes ownership of the packet. */
  accept(
    request: PendingRequest,
    handler: ConnectionHandler,
    options: Partial<ConnectionOptions> | undefined,
  ): Connection
  /** Answers the SYN with a reset, or with ICMP host unreachable. Takes ownership of the packet. */
  refuse(request: PendingRequest, how: 'reset' | 'hostUnreachable'): void
  drop(packet: Packet, reason: DropReason): void
}

interface Rule {
  readonly prefix: Prefix
  readonly ports: ReadonlySet<number> | undefined
  readonly decide: (request: StreamRequest) => void
}

/** A SYN that waits for a decision. */
export class PendingRequest implements StreamRequest, Flow {
  readonly source: Endpoint
  readonly destination: Endpoint
  readonly local: Endpoint
  readonly remote: Endpoint
  readonly scope: number
  /** Index of the link the SYN came by. */
  readonly link: number
  readonly expiresAt: Instant
  /** The SYN, as long as nothing is decided. */
  packet: Packet | null
  private readonly owner: InterceptOwner
  private readonly interception: Interception

  constructor(
    flow: Flow,
    link: number,
    packet: Packet,
    expiresAt: Instant,
    owner: InterceptOwner,
    interception: Interception,
  ) {
    this.local = this.destination = flow.local
    this.remote = this.source = flow.remote
    this.scope = flow.scope
    this.link = link
    this.packet = packet
    this.expiresAt = expiresAt
    this.owner = owner
    this.interception = interception
  }

  accept(handler: ConnectionHandler, options?: Partial<ConnectionOptions>): Connection {
    if (this.packet === null) {
      throw new NetError('ECONNABORTED', 'the request has been answered, or took too long', {
        syscall: 'accept',
        address: this.remote.address.toString(),
        port: this.remote.port,
        layer: 'tcp',
        reason: 'answered',
      })
    }
    const { limit } = this.owner
    if (limit !== undefined) {
      // Others have taken the room while it waited for the decision.
      this.drop()
      throw new NetError('ENOBUFS', 'too many connections', { syscall: 'accept', layer: 'tcp', reason: limit })
    }
    this.interception.forget(this)
    return this.owner.accept(this, handler, options)
  }

  reset(): void {
    if (this.packet === null) return
    this.interception.forget(this)
    this.owner.refuse(this, 'reset')
  }

  unreachable(): void {
    if (this.packet === null) return
    this.interception.forget(this)
    this.owner.refuse(this, 'hostUnreachable')
  }

  drop(): void {
    const { packet } = this
    if (packet === null) return
    this.interception.forget(this)
    this.packet = null
    this.owner.drop(packet, 'intercepted')
  }
}

export class Interception {
  private readonly owner: InterceptOwner
  private readonly pending: FlowTable<PendingRequest>
  private readonly timer: Timer
  private rules: readonly Rule[] = []

  constructor(key: HashKey, owner: InterceptOwner) {
    this.owner = owner
    this.pending = new FlowTable(key)
    this.timer = new Timer(this)
  }

  /** @throws TypeError ERR_INVALID_ARG_VALUE, RangeError ERR_OUT_OF_RANGE — not a prefix, not ports. @returns undo. */
  add(rule: InterceptRule, decide: (request: StreamRequest) => void): () => void {
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

  /** A SYN that no listener claims before us. @returns false when no rule wants it: the caller still owns it. */
  offer(packet: Packet, flow: Flow, link: number, now: Instant): boolean {
    const rule = this.rules.find((candidate) => matches(candidate, flow.local))
    if (rule === undefined) return false
    const { limit } = this.owner
    if (limit !== undefined) {
      this.owner.drop(packet, limit)
      return true
    }
    const { local, remote } = flow
    if (this.pending.find(local.address, local.port, remote.address, remote.port, link) !== undefined) {
      this.owner.drop(packet, 'interceptPending')
      return true
    }
    if (this.pending.size >= MAX_UNDECIDED) {
      this.owner.drop(packet, 'interceptQueueFull')
      return true
    }
    const request = new PendingRequest(flow, link, packet, now + UNDECIDED, this.owner, this)
    this.pending.add(request)
    if (!this.timer.armed) this.owner.timers.arm(this.timer, request.expiresAt)
    this.owner.touched()
    rule.decide(request)
    return true
  }

  /** Would a rule want connections to it? */
  wants(local: Endpoint): boolean {
    return this.rules.some((rule) => matches(rule, local))
  }

  forget(request: PendingRequest): void {
    this.pending.delete(request)
  }

  /** The timer fired: requests that took too long are dropped. Not to be called by others. */
  expire(now: Instant): void {
    let next = Number.POSITIVE_INFINITY
    for (const request of [...this.pending]) {
      if (request.expiresAt <= now) request.drop()
      else next = Math.min(next, request.expiresAt)
    }
    if (next !== Number.POSITIVE_INFINITY) this.owner.timers.arm(this.timer, next)
  }

  close(): void {
    this.owner.timers.cancel(this.timer)
    for (const request of [...this.pending]) request.drop()
  }
}

function matches({ prefix, ports }: Rule, { address, port }: Endpoint): boolean {
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
