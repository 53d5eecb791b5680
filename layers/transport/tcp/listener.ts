/**
 * A passive open (RFC 9293 §3.10.1): the handshakes it began, and the connections that are complete and wait to be
 * accepted. Both are bounded: a SYN that finds no room is dropped, and the peer tries again.
 */
import type { ConnectionOptions, Endpoint, Listener, ListenHandler } from '../../../src/api/sockets.ts'
import type { Instant } from '../../../src/kernel/clock.ts'
import type { Packet } from '../../../src/kernel/packet.ts'
import { Queue } from '../../../src/kernel/queue.ts'
import type { Bound } from '../wildcard.ts'
import type { TcpConnection } from './connection.ts'
import type { Acceptor } from './connection-owner.ts'
import { PendingFastOpens } from './fast-open-server.ts'
import { earlyData } from './input.ts'
import type { Segment } from './segment.ts'

/** What a listener needs of the layer. */
export interface ListenerOwner {
  touched(): void
  schedule(connection: TcpConnection): void
  /** Calls `listener.tell` on a later turn. */
  announce(listener: TcpListener): void
  /** It listens no more. */
  unlisten(listener: TcpListener): void
}

export class TcpListener implements Listener, Acceptor {
  readonly local: Endpoint
  readonly bound: Bound
  readonly handler: ListenHandler
  /** Index of the link it is bound to, or 0. */
  readonly link: number
  readonly options: Readonly<ConnectionOptions>
  /** Connections in SYN-RECEIVED. */
  readonly handshakes: Set<TcpConnection> = new Set()
  closed = false
  /** Those of them, and of the complete ones, that began with data (RFC 7413). */
  readonly fastOpens: PendingFastOpens
  private readonly owner: ListenerOwner
  private readonly backlog: number
  /** Complete since this batch of segments: they have a place in the backlog that they take when it is done. */
  private readonly completing = new Set<TcpConnection>()
  private readonly complete: Queue<TcpConnection>
  private told = false

  constructor(
    local: Endpoint,
    ipv6Only: boolean,
    link: number,
    backlog: number,
    options: Readonly<ConnectionOptions>,
    handler: ListenHandler,
    owner: ListenerOwner,
  ) {
    this.local = local
    this.bound = { address: local.address, ipv6Only }
    this.link = link
    this.backlog = backlog
    this.options = options
    this.handler = handler
    this.owner = owner
    this.fastOpens = new PendingFastOpens(options.fastOpen)
    this.complete = new Queue(backlog, backlog)
  }

  /** As many connections wait as may. */
  get full(): boolean {
    return this.complete.length + this.completing.size >= this.backlog
  }

  accept(): TcpConnection | undefined {
    this.owner.touched()
    for (;;) {
      const connection = this.complete.shift()
      if (this.complete.length === 0) this.told = false
      if (connection === undefined) return undefined
      // What ended meanwhile, and was told nobody, is not worth accepting.
      if (connection.acceptor !== this) continue
      connection.acceptor = null
      this.owner.schedule(connection)
      return connection
    }
  }

  close(): void {
    if (this.closed) return
    this.closed = true
    this.owner.touched()
    this.owner.unlisten(this)
    // Handshakes are forgotten without a word, as if the SYN had been lost; complete connections are reset.
    for (const connection of this.handshakes) {
      connection.tcb.end(null)
      this.owner.schedule(connection)
    }
    for (let waiting = this.complete.shift(); waiting !== undefined; waiting = this.complete.shift()) {
      if (waiting.acceptor === this) waiting.reset(null)
    }
  }

  /** The data of a connection's SYN is delivered, and it can be accepted (RFC 7413 §4.2.2). Takes ownership of `packet`. */
  openEarly(connection: TcpConnection, seg: Segment, packet: Packet, now: Instant): void {
    this.fastOpens.begun()
    connection.fastOpens = this.fastOpens
    if (connection.tcb.fastOpen !== null) connection.tcb.fastOpen.accepted = seg.length > 0
    earlyData(connection.tcb, seg, packet, now)
    this.progressed(connection)
  }

  progressed(connection: TcpConnection): void {
    const { established, early } = connection.tcb
    if ((established || early) && this.handshakes.delete(connection)) this.completing.add(connection)
  }

  completed(connection: TcpConnection): void {
    this.completing.delete(connection)
    if (this.closed || !this.complete.push(connection)) {
      connection.reset(null)
      return
    }
    if (this.told) return
    this.told = true
    this.owner.announce(this)
  }

  lost(connection: TcpConnection): void {
    this.handshakes.delete(connection)
    this.completing.delete(connection)
  }

  /** Says that there is something to accept. */
  tell(): void {
    if (this.closed || this.complete.length === 0) return
    this.owner.touched()
    this.handler.acceptable(this)
  }
}
