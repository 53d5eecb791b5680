/** The sending side of a datagram socket: names to addresses, and datagrams to the transport. */
import type { IpAddress } from '../../kernel/address.ts'
import { NetError } from '../../kernel/errors.ts'
import type { DatagramSocket, PlainSockets } from '../sockets.ts'
import type { Context } from './context.ts'
import type { DatagramSocketOptions, SendPlan } from './dgram-arguments.ts'
import { Outbox } from './dgram-outbox.ts'
import { asCall } from './errors.ts'
import { askLookup } from './names.ts'

/** Datagrams by any transport. */
export type NetDatagrams = Pick<PlainSockets, 'datagram' | 'ipv6'>

export class DgramSender {
  readonly outbox: Outbox = new Outbox()
  private readonly context: Context<NetDatagrams>
  private readonly options: DatagramSocketOptions
  private readonly failed: (error: Error | null) => void
  /** The destination last sent to: most sockets have one. */
  private to: IpAddress | undefined
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
  resolve(host: string = this.loopback, then: (error: Error | null, address: IpAddress | undefined) => void): void {
    const { names, host: node } = this.context
    const family = this.options.type === 'udp4' ? 4 : 6
    const { lookup } = this.options
    if (lookup !== undefined) {
      // Of datagram sockets, it is asked about addresses too, and told the family as a number.
      askLookup(lookup, host, family, (error, address) => {
        node.touched()
        const usable = address === undefined ? undefined : names.supported(address)
        if (NetError.is(usable)) then(usable, undefined)
        else then(error, usable)
      })
      return
    }
    const found = names.resolve(host, family)
    if (NetError.is(found)) then(found, undefined)
    else then(null, found)
  }

  private get loopback(): string {
    return this.options.type === 'udp4' ? '127.0.0.1' : '::1'
  }

  private sendTo(plan: SendPlan, host: string, error: Error | null, to: IpAddress | undefined): void {
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
  private hand(below: DatagramSocket, { octets, port, callback }: SendPlan, to: IpAddress | undefined): void {
    try {
      if (!below.send(octets, 0, octets.length, to, to === undefined ? undefined : port)) this.outbox.full = true
    } catch (error) {
      const place = to === undefined ? {} : { address: to.toString(), port }
      if (callback !== undefined) process.nextTick(callback, asCall(error, 'send', place), 0)
      return
    }
    this.outbox.sent(callback, octets.length)
  }
}
