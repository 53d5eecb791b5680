/**
 * Where connections send: collects those with something to do until the batch at hand is done, gives each its turn, and
 * holds them back while a link is full.
 */
import type { Boundary } from '../../../src/kernel/boundary.ts'
import type { Instant } from '../../../src/kernel/clock.ts'
import type { Env } from '../../../src/kernel/env.ts'
import type { Packet } from '../../../src/kernel/packet.ts'
import { Timer } from '../../../src/kernel/timers.ts'
import { NetworkAddressing, type NetworkService, type NoPath, PROTOCOL } from '../../network/service.ts'
import { followsInBurst } from './burst.ts'
import type { TcpConnection } from './connection.ts'
import type { TcpListener } from './listener.ts'
import type { LiveSettings } from './live-settings.ts'
import { updateMss } from './path-mtu.ts'
import type { DropReason } from './reasons.ts'
import { ECN_FIELD, ECT_0 } from './segment.ts'
import type { Failure, Tcb } from './tcb.ts'

/** What a timeout is blamed on while there is no way to the peer. */
const NO_PATH: Readonly<Record<NoPath, Failure>> = {
  ENETUNREACH: noPath('ENETUNREACH'),
  EHOSTUNREACH: noPath('EHOSTUNREACH'),
  EACCES: noPath('EACCES'),
  EADDRNOTAVAIL: noPath('EADDRNOTAVAIL'),
}

export class Outlet {
  readonly network: NetworkService
  readonly env: Env
  private readonly boundary: Boundary<NetworkAddressing, DropReason>
  private readonly settings: LiveSettings
  /** Connections with something to do once the batch at hand is done, and those of the batch being done. */
  private dirty: TcpConnection[] = []
  private pumping: TcpConnection[] = []
  private announced: TcpListener[] = []
  /** Connections that wait until the network takes packets again, and the links that said so. */
  private blocked: TcpConnection[] = []
  private readonly full = new Set<number>()
  private readonly flush: Timer = new Timer(this)
  private readonly addressing = new NetworkAddressing()
  /** Whose addresses are in it; null: those of a segment that no connection stands behind. */
  private addressed: Tcb | null = null

  /** @param settings say the TTL of segments that no connection stands behind. */
  constructor(
    network: NetworkService,
    env: Env,
    boundary: Boundary<NetworkAddressing, DropReason>,
    settings: LiveSettings,
  ) {
    this.network = network
    this.env = env
    this.boundary = boundary
    this.settings = settings
  }

  /** Counts what a limit has ended, where no packet of the peer is dropped for it. */
  count(reason: DropReason): void {
    this.boundary.count(reason)
  }

  now(): Instant {
    return this.env.clock.now()
  }

  // ── turns

  /** The connection gets its turn, by `drive.run`, when the batch at hand is done. */
  schedule(connection: TcpConnection): void {
    if (connection.scheduled) return
    connection.scheduled = true
    this.dirty.push(connection)
    if (!this.flush.armed) this.env.timers.arm(this.flush, this.now())
  }

  /** The listener says on a later turn that there is something to accept. */
  announce(listener: TcpListener): void {
    this.announced.push(listener)
    if (!this.flush.armed) this.env.timers.arm(this.flush, this.now())
  }

  /** The batch is done: everything it changed gets its say. Called by the timer. */
  expire(now: Instant): void {
    const batch = this.dirty
    this.dirty = this.pumping
    this.pumping = batch
    let done = 0
    try {
      while (done < batch.length) {
        const connection = batch[done++] as TcpConnection
        connection.scheduled = false
        connection.drive.run(now)
      }
      while (this.announced.length > 0) (this.announced.shift() as TcpListener).tell()
    } finally {
      // Where a handler of the application threw, those behind it get their turn in the next batch.
      while (done < batch.length) this.dirty.push(batch[done++] as TcpConnection)
      while (batch.length > 0) batch.pop()
      const left = this.dirty.length > 0 || this.announced.length > 0
      if (left && !this.flush.armed) this.env.timers.arm(this.flush, now)
    }
  }

  /** Gives turns until nobody has anything to do. For the end of the node. @throws what a handler threw, when all have been told. */
  drain(): void {
    const thrown: unknown[] = []
    while (this.dirty.length > 0) {
      try {
        this.expire(this.now())
      } catch (error) {
        thrown.push(error)
      }
    }
    this.env.timers.cancel(this.flush)
    if (thrown.length > 0) throw thrown[0]
  }

  // ── sending

  /** Sees to it that `tcb.path` is current. @returns false when there is no way to the peer. */
  route(tcb: Tcb): boolean {
    const { network } = this
    if (tcb.pathGeneration === network.generation) return true
    const { link } = tcb.path
    const none = network.path(tcb.remote.address, tcb.local.address, tcb.link, tcb.path)
    if (none !== undefined) {
      tcb.softFailure = NO_PATH[none]
      return false
    }
    tcb.pathGeneration = network.generation
    tcb.pathMtu = 0
    // What was found out about another path is worth nothing here.
    if (tcb.path.link !== link) tcb.search = null
    updateMss(tcb)
    return true
  }

  /** Does the link towards the peer take packets? If not, the connection gets a turn when it does. */
  mayTransmit(connection: TcpConnection): boolean {
    if (this.full.size === 0 || !this.full.has(connection.tcb.path.link)) return true
    this.block(connection)
    return false
  }

  /** Sends. Takes ownership. @returns false when the connection is to stop until its next turn. */
  transmit(connection: TcpConnection, packet: Packet): boolean {
    const { addressing } = this
    const { tcb } = connection
    const { note } = tcb
    addressing.again = this.addressed === tcb && followsInBurst(packet)
    if (!addressing.again) this.address(tcb)
    if (note !== null) this.boundary.note(packet, note.event, note.reason, note.rfc)
    this.boundary.down(packet, addressing)
    if (this.network.send(packet, addressing)) return true
    this.full.add(tcb.path.link)
    this.block(connection)
    return false
  }

  private address(tcb: Tcb): void {
    const { addressing } = this
    const { options } = tcb
    if (this.addressed !== tcb) {
      this.addressed = tcb
      addressing.source.set(tcb.local.address)
      addressing.destination.set(tcb.remote.address)
      addressing.protocol = PROTOCOL.tcp
      addressing.link = tcb.link
    }
    addressing.ttl = options.ttl
    addressing.trafficClass = (options.trafficClass & ~ECN_FIELD) | (tcb.ect ? ECT_0 : 0)
    addressing.dontFragment = options.pathMtuDiscovery
  }

  /** The network can take packets again: who waited gets a turn, in order. */
  ready(): void {
    const waiting = this.blocked
    this.blocked = []
    this.full.clear()
    for (const connection of waiting) {
      connection.blocked = false
      this.schedule(connection)
    }
  }

  /** The way back to where a segment came from. Scratch, until the next segment is sent. */
  back(from: NetworkAddressing): NetworkAddressing {
    const { addressing } = this
    this.addressed = null
    addressing.source.set(from.destination)
    addressing.destination.set(from.source)
    addressing.protocol = PROTOCOL.tcp
    addressing.ttl = this.settings.connection.ttl
    addressing.trafficClass = 0
    addressing.dontFragment = true
    addressing.again = false
    addressing.link = from.source.isScoped ? from.link : 0
    return addressing
  }

  /** Sends a segment that no connection stands behind. Takes ownership. */
  reply(packet: Packet, to: NetworkAddressing): void {
    this.boundary.down(packet, to)
    this.network.send(packet, to)
  }

  private block(connection: TcpConnection): void {
    if (connection.blocked) return
    connection.blocked = true
    this.blocked.push(connection)
  }
}

function noPath(code: NoPath): Failure {
  return { code, message: 'there is no way to the peer', reason: 'noPath', rfc: 'RFC 9293 §3.9.2.2' }
}
