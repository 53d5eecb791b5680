/** The sending side of a datagram socket: names to addresses, and datagrams to the transport. */
import { NetError } from '../../kernel/errors.ts'
import type { DatagramSocket, PlainSockets } from '../sockets.ts'
import { refusal } from './block-list.ts'
import type { Context } from './context.ts'
import type { DatagramSocketOptions, SendPlan } from './dgram-arguments.ts'
import { Outbox } from './dgram-outbox.ts'
import { asCall, netError } from './errors.ts'
import { askLookup, type Found, familyOf, invalidAddress, reachable, textOf } from './names.ts'

/** Datagrams by any transport. */
export type NetDatagrams = Pick<PlainSockets, 'datagram' | 'ipv6' | 'sourceOf'>

export class DgramSender {
  readonly outbox: Outbox = new Outbox()
  private readonly context: Context<NetDatagrams>
  private readonly options: DatagramSocketOptions
  private readonly failed: (error: Error | null) => void
  /** The destination last sent to: most sockets have one. */
  private to: Found | undefined
  private toText = ''
  private below: DatagramSocket | undefined

  /** @param failed told of errors of names, for sends without a callback. */
  constructor(context: Context<NetDatagrams>, options: DatagramSocketOptions, failed: (error: Error | null) => void) {
    this.context = context
    this.options = options
    this.failed = failed
  }

  /** The socket is bound, or closed. */
  use(below: DatagramSocket | undefined): void {
    this.below = below
    if (below === undefined) this.outbox.empty()
  }

  send(plan: SendPlan): void {
    const { below } = this
    if (below === undefined) return
    if (plan.port === 0) {
      this.hand(below, plan, undefined)
      return
    }
    const host = plan.address ?? this.loopback
    if (host === this.toText && this.to !== undefined) {
      this.hand(below, plan, this.to)
      return
    }
    // A lookup function may take its time, and the buffer is the caller's.
    const kept = this.options.lookup === undefined ? plan : { ...plan, octets: Buffer.from(plan.octets) }
    this.resolve(host, (error, to) => this.sendTo(kept, host, error, to))
  }

  /** An address, from the name or literal; then called at once, unless a custom `lookup` takes its time. */
  resolve(host: string = this.loopback, then: (error: Error | null, found: Found | undefined) => void): void {
    const { names, host: node } = this.context
    const { family } = this
    const { lookup } = this.options
    if (lookup !== undefined) {
      // Of datagram sockets, it is asked about addresses too, and told the family as a number.
      askLookup(lookup, host, family, (error, [first]) => {
        node.touched()
        if (error !== null || first === undefined) then(error, undefined)
        else if (first.found === undefined) then(invalidAddress(first), undefined)
        else tell(names.usable([first.found]), then)
      })
      return
    }
    tell(names.resolveAll(host, family), then)
  }

  /** What the socket speaks. */
  get family(): 4 | 6 {
    return this.options.type === 'udp4' ? 4 : 6
  }

  private get loopback(): string {
    return this.family === 4 ? '127.0.0.1' : '::1'
  }

  private sendTo(plan: SendPlan, host: string, error: Error | null, to: Found | undefined): void {
    if (this.below === undefined) return
    if (to === undefined) {
      if (plan.callback !== undefined) process.nextTick(plan.callback, error, 0)
      else this.failed(error)
      return
    }
    if (this.options.lookup === undefined) {
      this.toText = host
      this.to = to
    }
    this.hand(this.below, plan, to)
  }

  /** Gives one datagram to the transport. */
  private hand(below: DatagramSocket, { octets, port, callback }: SendPlan, to: Found | undefined): void {
    try {
      if (to === undefined) {
        if (!below.send(octets, 0, octets.length)) this.outbox.full = true
      } else {
        const refused = refusal(this.options.sendBlockList, to)
        if (refused !== undefined) throw refused
        if (familyOf(to) !== this.family) throw otherFamily(to, port)
        const address = reachable(to.address)
        if (!below.send(octets, 0, octets.length, address, port, to.zone || undefined)) this.outbox.full = true
      }
    } catch (error) {
      const place = to === undefined ? {} : { address: textOf(to), port }
      if (callback !== undefined) process.nextTick(callback, asCall(error, 'send', place), 0)
      return
    }
    this.outbox.sent(callback, octets.length)
  }
}

function tell(found: readonly Found[] | NetError, then: (error: Error | null, found: Found | undefined) => void): void {
  if (NetError.is(found)) then(found, undefined)
  else then(null, found[0])
}

/** What Node says of an address that its socket cannot be given. */
export const otherFamily = (found: Found, port: number): NetError =>
  netError('EINVAL', 'send', 'an address of the other family', { address: textOf(found), port })
