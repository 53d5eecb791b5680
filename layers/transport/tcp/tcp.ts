/**
 * The TCP layer: finds the connection or listener a segment is for, sends what connections have to say, and offers
 * `StreamSockets` above.
 *
 *   connect, listen, intercept              handlers
 *            │                                 ▲
 *   ┌────────▼─────────────────────────────────┴─────────┐
 *   │  listeners   table of connections   time-wait      │   receive: decode, find, input, schedule
 *   │                                                    │   flush (once a batch): tell, output, arm timers
 *   └────────┬─────────────────────────────────▲─────────┘
 *            ▼ network.send                    │ receive, ready, onError
 */
import type {
  Connection,
  ConnectionHandler,
  ConnectionOptions,
  ConnectRequest,
  ListenHandler,
  ListenRequest,
  StreamEntry,
  StreamSockets,
} from '../../../src/api/sockets.ts'
import type { IpAddress } from '../../../src/kernel/address.ts'
import type { Boundary } from '../../../src/kernel/boundary.ts'
import { type Duration, seconds } from '../../../src/kernel/clock.ts'
import type { Env } from '../../../src/kernel/env.ts'
import { integer } from '../../../src/kernel/errors.ts'
import { hashKey } from '../../../src/kernel/keyed-hash.ts'
import type { User } from '../../../src/kernel/layer.ts'
import type { Packet } from '../../../src/kernel/packet.ts'
import { slab } from '../../../src/kernel/slab.ts'
import { Timer, type Timers } from '../../../src/kernel/timers.ts'
import { TokenBucket } from '../../../src/kernel/token-bucket.ts'
import { type ErrorReport, NetworkAddressing, type NetworkService, PROTOCOL } from '../../network/service.ts'
import { everyAddress } from '../wildcard.ts'
import type { TcpConnection } from './connection.ts'
import { Connections, cannot } from './connections.ts'
import { ADDRESS_GONE, DATA_LOST } from './failures.ts'
import { judgeSyn } from './fast-open-server.ts'
import { errorArrives } from './icmp-error.ts'
import { input } from './input.ts'
import { Interception, type InterceptOwner, type PendingRequest } from './intercept.ts'
import { type ListenerOwner, TcpListener } from './listener.ts'
import { Listeners } from './listeners.ts'
import { LiveSettings, type TcpChanges, type TcpLayer } from './live-settings.ts'
import { Outlet } from './outlet.ts'
import { type DropReason, REASONS } from './reasons.ts'
import { ackReply, resetReply } from './reply.ts'
import { ACK, checksumHolds, decode, ECN_FIELD, FIN, RST, Segment, SYN } from './segment.ts'
import { type TcpOptions, withOptions } from './settings.ts'
import type { Flow } from './table.ts'
import { endpoint, type Tcb } from './tcb.ts'
import { inTimeWait, isAnswered, type TimeWaitRecord } from './time-wait.ts'

const DEFAULT_BACKLOG = 511
/** How often an advancing connection vouches for its next hop. */
const CONFIRM_EVERY: Duration = seconds(1)
const NO_HANDLER: ConnectionHandler = Object.freeze({})

/**
 * Transmission Control Protocol (RFC 9293) over a network.
 * @param options defaults of connections, and limits of the node.
 * @throws TypeError or RangeError — an option makes no sense.
 */
export function tcp(options: TcpOptions = {}): TcpLayer {
  const settings = new LiveSettings(options)
  const layer = (network: NetworkService, env: Env): StreamSockets => new Tcp(network, env, settings)
  return Object.assign(layer, { set: (changes: TcpChanges) => settings.set(changes) })
}

class Tcp implements StreamSockets, User<NetworkAddressing>, ListenerOwner, InterceptOwner {
  readonly timers: Timers
  readonly stream: StreamSockets['stream']
  private readonly network: NetworkService
  private readonly env: Env
  private readonly settings: LiveSettings
  private readonly boundary: Boundary<NetworkAddressing, DropReason>
  private readonly outlet: Outlet
  private readonly connections: Connections
  private readonly listeners: Listeners
  private readonly interception: Interception
  /** Of resets on behalf of no connection: anyone may provoke them. */
  private readonly resets: TokenBucket
  private readonly change = new Timer({ expire: () => this.followNetwork() })
  private readonly seg = new Segment()

  constructor(network: NetworkService, env: Env, settings: LiveSettings) {
    this.network = network
    this.env = env
    this.settings = settings
    this.timers = env.timers
    this.boundary = env.boundary('tcp', 'transport', REASONS)
    this.outlet = new Outlet(network, env, this.boundary, settings)
    this.resets = new TokenBucket(settings.current.maxResets, Math.ceil(settings.current.maxResets / 10))
    this.listeners = new Listeners(network)
    const random = env.random('tcp')
    this.connections = new Connections(this.outlet, this.listeners, settings, random)
    this.interception = new Interception(hashKey(random.octets(16)), this)
    this.stream = {
      connect: (request, handler) => this.connect(request, handler),
      listen: (request, handler) => this.listen(request, handler),
      intercept: (rule, decide) => this.interception.add(rule, decide),
      list: () => this.list(),
    }
    const stops = [
      network.boundary.attach(this, PROTOCOL.tcp),
      network.onError(PROTOCOL.tcp, (report) => this.networkError(report)),
      network.onChange(() => this.networkChanged()),
    ]
    env.defer(() => {
      for (const stop of stops) stop()
      this.close()
    })
  }

  // ── StreamSockets

  private connect(request: ConnectRequest, handler: ConnectionHandler): Connection {
    this.env.touched()
    return this.connections.connect(request, handler)
  }

  private listen(request: ListenRequest, handler: ListenHandler): TcpListener {
    integer('port', request.port, 0, 65_535)
    const backlog = integer('backlog', request.backlog ?? DEFAULT_BACKLOG, 1, 2 ** 20)
    const options = withOptions(this.settings.connection, request.options)
    this.env.touched()
    const address = request.address ?? everyAddress(this.network)
    this.connections.assertOpen('listen', { address, port: request.port })
    const ipv6Only = request.ipv6Only ?? false
    if (!address.isUnspecified && !this.network.isLocal(address)) {
      throw cannot('listen', 'EADDRNOTAVAIL', 'not an address of this node', { address, port: request.port })
    }
    const link = this.connections.linkIndex(request.link)
    const usable = (port: number) => !this.listeners.taken({ address, ipv6Only }, port, link)
    const port = request.port !== 0 ? request.port : this.connections.ports.any(usable)
    if (port === 0 || !usable(port)) {
      throw cannot('listen', 'EADDRINUSE', 'somebody listens there already', { address, port: request.port })
    }
    const listener = new TcpListener(endpoint(address, port), ipv6Only, link, backlog, options, handler, this)
    this.listeners.add(listener)
    return listener
  }

  private *list(): Generator<StreamEntry> {
    for (const { local, link } of this.listeners) {
      const by = this.network.linkName(link)
      yield { state: 'LISTEN', local, remote: undefined, link: by, info: () => undefined }
    }
    for (const connection of this.connections.table) yield connection
    for (const { local, remote } of this.connections.timeWait)
      yield { state: 'TIME-WAIT', local, remote, info: () => undefined }
  }

  // ── User: what comes from the network

  receive(packet: Packet, from: NetworkAddressing): void {
    const { seg } = this
    this.boundary.up(packet, from, 0)
    const fault = decode(packet, seg)
    seg.ecn = from.trafficClass & ECN_FIELD
    if (fault !== undefined) {
      this.boundary.drop(packet, fault)
    } else if (!checksumHolds(packet, from.source, from.destination)) {
      this.boundary.drop(packet, 'badChecksum')
    } else {
      const { source, destination, link } = from
      const connection = this.connections.table.find(destination, seg.destinationPort, source, seg.sourcePort, link)
      if (connection === undefined) {
        this.toNobody(packet, from)
      } else if (connection.state === 'CLOSED') {
        // It ended in this batch, and has not been told yet.
        this.connections.unlink(connection)
        this.toNobody(packet, from)
      } else {
        this.toConnection(connection, packet, from)
      }
    }
  }

  private toConnection(connection: TcpConnection, packet: Packet, from: NetworkAddressing): void {
    const { seg } = this
    const { tcb } = connection
    if (tcb.state === 'SYN-RECEIVED' && connection.acceptor?.full === true && !tcb.early && (seg.flags & RST) === 0) {
      // Its SYN-ACK is sent again later on, and then there may be room.
      this.boundary.drop(packet, 'backlogFull')
      return
    }
    const now = this.outlet.now()
    const { una } = tcb.snd
    const verdict = input(tcb, seg, packet, now)
    if (tcb.snd.una !== una && now - tcb.confirmedAt >= CONFIRM_EVERY) {
      // What we send arrives, so the next hop is reachable (RFC 4861 §7.3.1, as Linux takes it for ARP too).
      tcb.confirmedAt = now
      this.network.confirm(from.source, tcb.link)
    }
    if (connection.acceptor !== null) connection.acceptor.progressed(connection)
    if (verdict === 'done') packet.release()
    else if (verdict === 'reset') this.reject(packet, from, 'unacceptableAck')
    else if (verdict === 'dataAfterClose') {
      this.reject(packet, from, 'dataAfterClose')
      tcb.end(tcb.queuedOctets > 0 ? DATA_LOST : null)
    } else if (verdict !== 'kept') this.boundary.drop(packet, verdict)
    if (tcb.ackEach) connection.sendAcks(now)
    this.outlet.schedule(connection)
  }

  private toNobody(packet: Packet, from: NetworkAddressing): void {
    const { seg, network } = this
    const { source, destination, link } = from
    if (network.isBroadcast(destination) || network.isMulticast(destination)) {
      // (RFC 9293 §3.9.2.3 MUST-57)
      this.boundary.drop(packet, 'notUnicast')
      return
    }
    if (source.isUnspecified || network.isBroadcast(source) || network.isMulticast(source)) {
      // (MUST-63)
      this.boundary.drop(packet, 'badSource')
      return
    }
    const record = this.connections.timeWait.find(destination, seg.destinationPort, source, seg.sourcePort, link)
    const listener = this.listeners.find(destination, seg.destinationPort, link)
    if (record !== undefined) {
      const wanted = listener !== undefined || this.interception.wants(record.local)
      if (!this.toTimeWait(record, wanted, packet, from)) return
    }
    const flags = seg.flags & (SYN | ACK | RST)
    if (flags === SYN) this.synArrives(listener, packet, from)
    else if (flags === ACK && listener !== undefined && this.cookieArrives(listener, packet, from)) return
    // In LISTEN an ACK is answered by a reset, anything else by nothing (RFC 9293 §3.10.7.2)
    else if (listener !== undefined && (flags & (ACK | RST)) !== ACK) this.boundary.drop(packet, 'noConnection')
    else this.reject(packet, from, 'noConnection')
  }

  /** @param wanted somebody would accept a new connection. @returns true when the segment may open one. */
  private toTimeWait(record: TimeWaitRecord, wanted: boolean, packet: Packet, from: NetworkAddressing): boolean {
    const now = this.outlet.now()
    const verdict = inTimeWait(record, this.seg, wanted)
    if (verdict === 'reopen') return true
    if (verdict === 'restart') this.connections.timeWait.restart(record, now)
    if (isAnswered(record, verdict, this.seg, now)) {
      const to = this.outlet.back(from)
      to.ttl = record.ttl
      to.trafficClass = record.trafficClass
      this.outlet.reply(ackReply(record, to, this.network, now), to)
    }
    if (verdict === 'ignore' || verdict === 'restart') packet.release()
    else this.boundary.drop(packet, verdict === 'ignoreReset' ? 'timeWaitReset' : 'timeWait')
    return false
  }

  private synArrives(listener: TcpListener | undefined, packet: Packet, from: NetworkAddressing): void {
    const { seg } = this
    const now = this.outlet.now()
    if ((seg.flags & FIN) !== 0) {
      // No use for it is known but probing for what may be behind a filter.
      if (listener === undefined) this.reject(packet, from, 'noListener')
      else this.boundary.drop(packet, 'synFin')
      return
    }
    const flow = this.flowOf(from)
    // A listener comes first for the node's own addresses, or when it names the address; else interception does.
    const first =
      listener !== undefined && (!listener.local.address.isUnspecified || this.listeners.isOwn(from.destination))
    if (!first && this.interception.offer(packet, flow, from.link, now)) return
    if (listener === undefined) {
      this.reject(packet, from, 'noListener')
      return
    }
    const full = listener.full ? 'backlogFull' : this.connections.limit
    if (full === 'synQueueFull' && this.settings.current.synCookies) {
      const answer = this.connections.cookieFor(seg, flow, listener.link || flow.scope, listener.options)
      if (answer !== null) this.outlet.reply(answer, this.outlet.back(from))
      this.boundary.count(full)
      packet.release()
      return
    }
    if (full !== undefined) {
      this.boundary.drop(packet, full)
      return
    }
    const link = listener.link || flow.scope
    const connection = this.connections.accept(seg, flow, link, listener.options, NO_HANDLER)
    connection.acceptor = listener
    listener.handshakes.add(connection)
    const fastOpen = judgeSyn(seg, flow, listener.fastOpens, this.settings.fastOpen, this.connections.fastOpenKeys, now)
    connection.tcb.fastOpen = fastOpen
    if (fastOpen?.early === true) listener.openEarly(connection, seg, packet, now)
    else packet.release()
  }

  /** An ACK in LISTEN that may bring back a cookie. @returns false when it does not; else it has the packet. */
  private cookieArrives(listener: TcpListener, packet: Packet, from: NetworkAddressing): boolean {
    const { seg } = this
    const flow = this.flowOf(from)
    const mss = this.connections.cookieIn(seg, flow)
    if (mss === 0) return false
    const full = listener.full ? 'backlogFull' : this.connections.tableLimit
    if (full !== undefined) {
      // It comes again with the peer's data, and then there may be room.
      this.boundary.drop(packet, full)
      return true
    }
    const { options } = listener
    const link = listener.link || flow.scope
    const connection = this.connections.acceptCookie(seg, mss, flow, link, options, NO_HANDLER)
    connection.acceptor = listener
    listener.handshakes.add(connection)
    this.toConnection(connection, packet, from)
    return true
  }

  private flowOf({ source, destination, link }: NetworkAddressing): Flow {
    const { sourcePort, destinationPort } = this.seg
    const scope = source.isScoped ? link : 0
    const zone = scope === 0 ? '' : this.network.linkName(scope)
    return { local: endpoint(destination, destinationPort, zone), remote: endpoint(source, sourcePort, zone), scope }
  }

  /** Answers with a reset, unless it is one or there are too many, and drops. */
  private reject(packet: Packet, from: NetworkAddressing, reason: DropReason): void {
    if ((this.seg.flags & RST) === 0) {
      if (!this.resets.take(this.outlet.now())) {
        this.boundary.drop(packet, 'resetLimit')
        return
      }
      const to = this.outlet.back(from)
      this.outlet.reply(resetReply(this.seg, to, this.network), to)
    }
    this.boundary.drop(packet, reason)
  }

  /** The network can take packets again. */
  ready(): void {
    this.outlet.ready()
  }

  /** An ICMP error: whose segment was it? */
  private networkError(report: ErrorReport): void {
    // Until the quote proves to be a segment in flight; of a forged one not even a path MTU is learnt.
    report.foreign = true
    const { quoteStart: at } = report
    if (report.quoteEnd - at < 8) return
    const { view } = slab()
    const { source, destination, link } = report
    const [port, remotePort] = [view.getUint16(at), view.getUint16(at + 2)]
    const connection = this.connections.table.find(source, port, destination, remotePort, link)
    if (connection === undefined) return
    const own = this.network.isLocal(report.from)
    const failure = errorArrives(connection.tcb, report, view.getInt32(at + 4), own)
    if (failure === undefined) this.outlet.schedule(connection)
    else connection.fail(failure)
  }

  /** However often it changes in a turn, all connections are looked at once, at its end. */
  private networkChanged(): void {
    // A link that went away says `ready` no more.
    this.ready()
    if (!this.change.armed) this.timers.arm(this.change, this.outlet.now())
  }

  private followNetwork(): void {
    for (const connection of [...this.connections.table]) {
      if (!this.network.isLocal(connection.local.address)) connection.fail(ADDRESS_GONE)
      // The others find their way when they have something to send.
      else if (isWaiting(connection.tcb)) this.outlet.schedule(connection)
    }
  }

  // ── ListenerOwner

  touched(): void {
    this.env.touched()
  }

  schedule(connection: TcpConnection): void {
    this.outlet.schedule(connection)
  }

  announce(listener: TcpListener): void {
    this.outlet.announce(listener)
  }

  unlisten(listener: TcpListener): void {
    this.listeners.delete(listener)
  }

  // ── InterceptOwner

  get limit(): DropReason | undefined {
    return this.connections.limit
  }

  declareLocal(address: IpAddress, length: number): () => void {
    return this.network.declareLocal(address, length)
  }

  accept(
    request: PendingRequest,
    handler: ConnectionHandler,
    options: Partial<ConnectionOptions> | undefined,
  ): Connection {
    const seg = new Segment()
    const packet = request.packet as Packet
    decode(packet, seg)
    packet.release()
    request.packet = null
    return this.connections.accept(seg, request, request.scope, withOptions(this.settings.connection, options), handler)
  }

  refuse(request: PendingRequest, how: 'reset' | 'hostUnreachable'): void {
    const packet = request.packet as Packet
    request.packet = null
    const from = new NetworkAddressing()
    from.source.set(request.remote.address)
    from.destination.set(request.local.address)
    from.protocol = PROTOCOL.tcp
    from.link = request.link
    if (how === 'reset') {
      decode(packet, this.seg)
      this.reject(packet, from, 'intercepted')
    } else {
      this.boundary.count('intercepted')
      this.network.refuse(packet, from, how)
    }
  }

  drop(packet: Packet, reason: DropReason): void {
    this.boundary.drop(packet, reason)
  }

  private close(): void {
    for (const listener of [...this.listeners]) listener.close()
    this.interception.close()
    this.timers.cancel(this.change)
    this.connections.close()
    this.outlet.drain()
  }
}

/** Something is to be sent, or may have to be sent again. */
function isWaiting(tcb: Tcb): boolean {
  return tcb.outstanding > 0 || tcb.hasUnsent || tcb.synDue || tcb.ackNow
}
