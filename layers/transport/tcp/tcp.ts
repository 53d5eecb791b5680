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
  ConnectionInfo,
  ConnectionOptions,
  ConnectionState,
  ConnectRequest,
  Endpoint,
  ListenHandler,
  ListenRequest,
  StreamSockets,
} from '../../../src/api/sockets.ts'
import { IpAddress } from '../../../src/kernel/address.ts'
import type { Boundary } from '../../../src/kernel/boundary.ts'
import type { Instant } from '../../../src/kernel/clock.ts'
import type { Env } from '../../../src/kernel/env.ts'
import { integer, invalidType, NetError } from '../../../src/kernel/errors.ts'
import { hashKey } from '../../../src/kernel/keyed-hash.ts'
import type { Layer, User } from '../../../src/kernel/layer.ts'
import type { Packet } from '../../../src/kernel/packet.ts'
import { after } from '../../../src/kernel/sequence.ts'
import { slab } from '../../../src/kernel/slab.ts'
import { Timer, type Timers } from '../../../src/kernel/timers.ts'
import {
  type ErrorReport,
  NetworkAddressing,
  type NetworkService,
  type NoPath,
  Path,
  PROTOCOL,
} from '../../network/service.ts'
import { EphemeralPorts } from '../ports.ts'
import { type ConnectionOwner, TcpConnection } from './connection.ts'
import { errorArrives } from './icmp-error.ts'
import { Secrets } from './initial-sequence.ts'
import { acceptSyn, input } from './input.ts'
import { Interception, type InterceptOwner, type PendingRequest } from './intercept.ts'
import { type ListenerOwner, TcpListener } from './listener.ts'
import { Listeners } from './listeners.ts'
import { updateMss } from './output.ts'
import { type DropReason, REASONS } from './reasons.ts'
import type { ReassemblyBudget } from './reassembly.ts'
import { ackReply, resetReply } from './reply.ts'
import { ACK, checksumHolds, decode, FIN, HEADER_OCTETS, RST, Segment, SYN } from './segment.ts'
import { type TcpOptions, type TcpSettings, tcpSettings, withOptions } from './settings.ts'
import { type Flow, FlowTable } from './table.ts'
import { endpoint, type Failure, Tcb } from './tcb.ts'
import { inTimeWait, TimeWait, type TimeWaitRecord } from './time-wait.ts'
import { windowShiftFor } from './window.ts'

const DEFAULT_BACKLOG = 511
/** Distance that a new connection's sequence numbers keep from those of the one it takes over from. */
const REOPEN_DISTANCE = 0x1_0000
const ANY: IpAddress = new IpAddress()
const NO_HANDLER: ConnectionHandler = Object.freeze({})

const ADDRESS_GONE: Failure = {
  code: 'EADDRNOTAVAIL',
  message: 'the local address was removed',
  reason: 'addressRemoved',
  rfc: '',
}
/** What a timeout is blamed on while there is no way to the peer. */
const NO_PATH: Readonly<Record<NoPath, Failure>> = {
  ENETUNREACH: noPath('ENETUNREACH'),
  EHOSTUNREACH: noPath('EHOSTUNREACH'),
  EACCES: noPath('EACCES'),
  EADDRNOTAVAIL: noPath('EADDRNOTAVAIL'),
}

const NODE_CLOSED: Failure = { code: 'ECONNABORTED', message: 'the node was closed', reason: 'nodeClosed', rfc: '' }

/**
 * Transmission Control Protocol (RFC 9293) over a network.
 * @param options defaults of connections, and limits of the node.
 * @throws TypeError or RangeError — an option makes no sense.
 */
export function tcp(options: TcpOptions = {}): Layer<NetworkService, StreamSockets> {
  const settings = tcpSettings(options)
  return (network, env) => new Tcp(network, env, settings)
}

class Tcp implements StreamSockets, User<NetworkAddressing>, ConnectionOwner, ListenerOwner, InterceptOwner {
  readonly timers: Timers
  readonly stream: StreamSockets['stream']
  private readonly network: NetworkService
  private readonly env: Env
  private readonly settings: TcpSettings
  private readonly boundary: Boundary<NetworkAddressing, DropReason>
  private readonly secrets: Secrets
  private readonly ports: EphemeralPorts
  private readonly connections: FlowTable<TcpConnection>
  private readonly timeWait: TimeWait
  private readonly interception: Interception
  private readonly listeners: Listeners
  private readonly reassembly: ReassemblyBudget
  private handshakes = 0
  private orphans = 0
  /** Connections with something to do once the batch at hand is done, and those of the batch being done. */
  private dirty: TcpConnection[] = []
  private pumping: TcpConnection[] = []
  private announced: TcpListener[] = []
  /** Connections that wait until the network takes packets again, and the links that said so. */
  private blocked: TcpConnection[] = []
  private readonly full = new Set<number>()
  private readonly flush: Timer
  private readonly seg = new Segment()
  private readonly addressing = new NetworkAddressing()
  private readonly path = new Path()

  constructor(network: NetworkService, env: Env, settings: TcpSettings) {
    this.network = network
    this.env = env
    this.settings = settings
    this.timers = env.timers
    const random = env.random('tcp')
    const key = () => hashKey(random.octets(16))
    this.secrets = new Secrets(key())
    this.ports = new EphemeralPorts(random)
    this.connections = new FlowTable(key())
    this.timeWait = new TimeWait(key(), env.timers, 2 * settings.maxSegmentLifetime, settings.maxTimeWait)
    this.interception = new Interception(key(), this)
    this.listeners = new Listeners(network)
    this.reassembly = { used: 0, limit: settings.maxReassembly }
    this.flush = new Timer(this)
    this.boundary = env.boundary('tcp', 'transport', REASONS)
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
      this.close()
      for (const stop of stops) stop()
    })
  }

  // ── StreamSockets

  private connect(request: ConnectRequest, handler: ConnectionHandler): Connection {
    const { address, port } = request
    if (!(address instanceof IpAddress)) throw invalidType('address', 'an IpAddress', address)
    integer('port', port, 1, 65_535)
    integer('localPort', request.localPort ?? 0, 0, 65_535)
    const options = withOptions(this.settings.connection, request.options)
    this.env.touched()
    // (RFC 9293 §3.9.2.3 MUST-46)
    if (this.network.isBroadcast(address) || this.network.isMulticast(address)) {
      throw cannot('connect', 'ENETUNREACH', 'a connection has one peer: not a broadcast or multicast address', request)
    }
    if (this.connections.size >= this.settings.maxConnections) {
      throw cannot('connect', 'ENOBUFS', 'too many connections', request)
    }
    const link = this.linkIndex(request.link)
    const none = this.network.path(address, request.localAddress ?? ANY, link, this.path)
    if (none !== undefined) throw cannot('connect', none, 'there is no way to this address', request)
    const now = this.now()
    const remote = endpoint(address, port)
    const local = this.bind(request, endpoint(this.path.source, request.localPort ?? 0), remote, now)
    const tcb = new Tcb(false, local, remote, link, options, this.settings, this.reassembly)
    this.open(tcb, now)
    tcb.state = 'SYN-SENT'
    return this.start(tcb, handler)
  }

  /** Chooses the local port, if it is not given, and makes sure that the connection will be the only one of its kind. */
  private bind(request: ConnectRequest, local: Endpoint, remote: Endpoint, now: Instant): Endpoint {
    const usable = (port: number) => this.isFree(local.address, port, remote, now)
    if (local.port !== 0) {
      if (!usable(local.port)) throw cannot('connect', 'EADDRINUSE', 'this connection exists already', request)
      return local
    }
    const port = this.ports.towards(local.address, remote.address, remote.port, usable)
    if (port === 0) throw cannot('connect', 'EADDRNOTAVAIL', 'all local ports are in use with this peer', request)
    return endpoint(local.address, port)
  }

  private isFree(local: IpAddress, port: number, { address, port: remotePort }: Endpoint, now: Instant): boolean {
    if (this.connections.find(local, port, address, remotePort) !== undefined) return false
    if (this.listeners.taken(local, port)) return false
    const record = this.timeWait.find(local, port, address, remotePort)
    return record === undefined || this.timeWait.mayReuse(record, now)
  }

  private listen(request: ListenRequest, handler: ListenHandler): TcpListener {
    integer('port', request.port, 0, 65_535)
    const backlog = integer('backlog', request.backlog ?? DEFAULT_BACKLOG, 1, 2 ** 20)
    const options = withOptions(this.settings.connection, request.options)
    this.env.touched()
    const address = request.address ?? ANY
    if (!address.isUnspecified && !this.network.isLocal(address)) {
      throw cannot('listen', 'EADDRNOTAVAIL', 'not an address of this node', { address, port: request.port })
    }
    const usable = (port: number) => !this.listeners.taken(address, port)
    const port = request.port !== 0 ? request.port : this.ports.any(usable)
    if (port === 0 || !usable(port)) {
      throw cannot('listen', 'EADDRINUSE', 'somebody listens there already', { address, port: request.port })
    }
    const link = this.linkIndex(request.link)
    const listener = new TcpListener(endpoint(address, port), link, backlog, options, handler, this)
    this.listeners.add(listener)
    return listener
  }

  private *list(): Generator<{
    state: ConnectionState
    local: Endpoint
    remote: Endpoint | undefined
    info(): ConnectionInfo | undefined
  }> {
    for (const { local } of this.listeners) {
      yield { state: 'LISTEN', local, remote: undefined, info: () => undefined }
    }
    for (const connection of this.connections) yield connection
    for (const { local, remote } of this.timeWait) yield { state: 'TIME-WAIT', local, remote, info: () => undefined }
  }

  private linkIndex(name: string | undefined): number {
    if (name === undefined) return 0
    const index = this.network.linkIndex(name)
    if (index === 0) throw new NetError('ENODEV', `there is no link called '${name}'`, { layer: 'tcp' })
    return index
  }

  // ── opening

  /** Everything a TCB needs before its first segment. */
  private open(tcb: Tcb, now: Instant): void {
    const { snd, rcv, local, remote, options, settings } = tcb
    const record = this.timeWait.find(local.address, local.port, remote.address, remote.port)
    snd.iss = this.secrets.sequence(local, remote, now)
    if (record !== undefined) {
      // Larger than all the connection before has used (RFC 9293 §3.10.7.4 MAY-2)
      if (!after(snd.iss, record.sndNxt)) snd.iss = (record.sndNxt + REOPEN_DISTANCE) | 0
      this.timeWait.delete(record)
    }
    snd.una = snd.nxt = snd.rtx = snd.iss
    snd.end = (snd.iss + 1) | 0
    tcb.pushEnd = tcb.smallEnd = snd.iss
    tcb.tsOffset = this.secrets.timestampOffset(local, remote)
    const largest = Math.max(settings.maxReceiveBuffer, options.receiveBuffer)
    rcv.shift = settings.windowScaling ? windowShiftFor(largest) : -1
    this.route(tcb)
    const byPath = tcb.path.mtu - tcb.networkHeaderOctets - HEADER_OCTETS
    tcb.announcedMss = options.maxSegment > 0 ? Math.min(options.maxSegment, byPath) : byPath
  }

  private start(tcb: Tcb, handler: ConnectionHandler): TcpConnection {
    tcb.synDue = true
    const connection = new TcpConnection(tcb, handler, this)
    connection.linked = true
    this.connections.add(connection)
    if (tcb.passive) {
      connection.handshaking = true
      this.handshakes++
    }
    this.schedule(connection)
    return connection
  }

  /** A SYN that somebody wants: SYN-RECEIVED (RFC 9293 §3.10.7.2). */
  private passiveOpen(
    seg: Segment,
    flow: Flow,
    link: number,
    options: Readonly<ConnectionOptions>,
    handler: ConnectionHandler,
    now: Instant,
  ): TcpConnection {
    const tcb = new Tcb(true, flow.local, flow.remote, link, options, this.settings, this.reassembly)
    this.open(tcb, now)
    acceptSyn(tcb, seg, now)
    tcb.state = 'SYN-RECEIVED'
    return this.start(tcb, handler)
  }

  // ── User: what comes from the network

  receive(packet: Packet, from: NetworkAddressing): void {
    const { seg } = this
    this.boundary.up(packet, from, 0)
    const fault = decode(packet, seg)
    if (fault !== undefined) {
      this.boundary.drop(packet, fault)
    } else if (!checksumHolds(packet, from.source, from.destination)) {
      this.boundary.drop(packet, 'badChecksum')
    } else {
      const { source, destination } = from
      const connection = this.connections.find(destination, seg.destinationPort, source, seg.sourcePort)
      if (connection === undefined) {
        this.toNobody(packet, from)
      } else if (connection.state === 'CLOSED') {
        // It ended in this batch, and has not been told yet.
        this.unlink(connection)
        this.toNobody(packet, from)
      } else {
        this.toConnection(connection, packet, from)
      }
    }
  }

  private toConnection(connection: TcpConnection, packet: Packet, from: NetworkAddressing): void {
    const { seg } = this
    const { tcb } = connection
    if (tcb.state === 'SYN-RECEIVED' && connection.acceptor?.full === true && (seg.flags & RST) === 0) {
      // Its SYN-ACK is sent again later on, and then there may be room.
      this.boundary.drop(packet, 'backlogFull')
      return
    }
    const now = this.now()
    const verdict = input(tcb, seg, packet, now)
    if (verdict === 'done') packet.release()
    else if (verdict === 'reset') this.reject(packet, from, 'unacceptableAck')
    else if (verdict === 'dataAfterClose') {
      this.reject(packet, from, 'dataAfterClose')
      tcb.end(null)
    } else if (verdict !== 'kept') this.boundary.drop(packet, verdict)
    if (tcb.ackEach) connection.sendAcks(now)
    this.schedule(connection)
  }

  private toNobody(packet: Packet, from: NetworkAddressing): void {
    const { seg, network } = this
    const { source, destination } = from
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
    const record = this.timeWait.find(destination, seg.destinationPort, source, seg.sourcePort)
    if (record !== undefined && !this.toTimeWait(record, packet, from)) return
    const listener = this.listeners.find(destination, seg.destinationPort, from.link)
    if ((seg.flags & (SYN | ACK | RST)) === SYN) this.synArrives(listener, packet, from)
    // In LISTEN an ACK is answered by a reset, anything else by nothing (RFC 9293 §3.10.7.2)
    else if (listener !== undefined && (seg.flags & (ACK | RST)) !== ACK) this.boundary.drop(packet, 'noConnection')
    else this.reject(packet, from, 'noConnection')
  }

  /** @returns true when the segment may open a new connection. */
  private toTimeWait(record: TimeWaitRecord, packet: Packet, from: NetworkAddressing): boolean {
    const now = this.now()
    const verdict = inTimeWait(record, this.seg)
    if (verdict === 'reopen') return true
    if (verdict === 'restart') this.timeWait.restart(record, now)
    if (verdict === 'restart' || verdict === 'acknowledge') {
      const to = this.back(from)
      this.sendUnbound(ackReply(record, to, this.network, now), to)
    }
    if (verdict === 'ignore' || verdict === 'restart') packet.release()
    else this.boundary.drop(packet, verdict === 'ignoreReset' ? 'timeWaitReset' : 'timeWait')
    return false
  }

  private synArrives(listener: TcpListener | undefined, packet: Packet, from: NetworkAddressing): void {
    const { seg } = this
    const now = this.now()
    if ((seg.flags & FIN) !== 0) {
      // No use for it is known but probing for what may be behind a filter.
      this.boundary.drop(packet, 'synFin')
      return
    }
    const flow = {
      local: endpoint(from.destination, seg.destinationPort),
      remote: endpoint(from.source, seg.sourcePort),
    }
    // A listener comes first for the node's own addresses, or when it names the address; else interception does.
    const first =
      listener !== undefined && (!listener.local.address.isUnspecified || this.listeners.isOwn(from.destination))
    if (!first && this.interception.offer(packet, flow, from.link, now)) return
    if (listener === undefined) {
      this.reject(packet, from, 'noListener')
      return
    }
    const full = this.isFull(listener)
    if (full !== undefined) {
      this.boundary.drop(packet, full)
      return
    }
    const connection = this.passiveOpen(seg, flow, listener.link, listener.options, NO_HANDLER, now)
    connection.acceptor = listener
    listener.handshakes.add(connection)
    packet.release()
  }

  private isFull(listener: TcpListener): DropReason | undefined {
    if (listener.full) return 'backlogFull'
    if (this.handshakes >= this.settings.maxSynReceived) return 'synQueueFull'
    return this.connections.size >= this.settings.maxConnections ? 'connectionLimit' : undefined
  }

  /** Answers with a reset, unless it is one, and drops. */
  private reject(packet: Packet, from: NetworkAddressing, reason: DropReason): void {
    if ((this.seg.flags & RST) === 0) {
      const to = this.back(from)
      this.sendUnbound(resetReply(this.seg, to, this.network), to)
    }
    this.boundary.drop(packet, reason)
  }

  /** The network can take packets again. */
  ready(): void {
    const waiting = this.blocked
    this.blocked = []
    this.full.clear()
    for (const connection of waiting) {
      connection.blocked = false
      this.schedule(connection)
    }
  }

  /** An ICMP error: whose segment was it? */
  private networkError(report: ErrorReport): void {
    const { quoteStart: at } = report
    if (report.quoteEnd - at < 8) return
    const { view } = slab()
    const { source, destination } = report
    const connection = this.connections.find(source, view.getUint16(at), destination, view.getUint16(at + 2))
    if (connection === undefined) return
    const failure = errorArrives(connection.tcb, report, view.getInt32(at + 4))
    if (failure === undefined) this.schedule(connection)
    else connection.fail(failure)
  }

  private networkChanged(): void {
    // A link that went away says `ready` no more.
    this.ready()
    for (const connection of [...this.connections]) {
      if (this.network.isLocal(connection.local.address)) this.schedule(connection)
      else connection.fail(ADDRESS_GONE)
    }
  }

  // ── ConnectionOwner, ListenerOwner: what connections ask for

  now(): Instant {
    return this.env.clock.now()
  }

  touched(): void {
    this.env.touched()
  }

  schedule(connection: TcpConnection): void {
    if (connection.scheduled) return
    connection.scheduled = true
    this.dirty.push(connection)
    if (!this.flush.armed) this.timers.arm(this.flush, this.now())
  }

  /** The batch is done: everything it changed gets its say. Called by the timer. */
  expire(now: Instant): void {
    const batch = this.dirty
    this.dirty = this.pumping
    this.pumping = batch
    for (const connection of batch) {
      connection.scheduled = false
      connection.drive.run(now)
    }
    batch.length = 0
    if (this.announced.length > 0) for (const listener of this.announced.splice(0)) listener.tell()
  }

  transmit(connection: TcpConnection, packet: Packet): boolean {
    const { addressing } = this
    const { tcb } = connection
    const { options, note } = tcb
    addressing.source.set(tcb.local.address)
    addressing.destination.set(tcb.remote.address)
    addressing.protocol = PROTOCOL.tcp
    addressing.ttl = options.ttl
    addressing.trafficClass = options.trafficClass
    addressing.dontFragment = options.pathMtuDiscovery
    addressing.link = tcb.link
    if (note !== null) this.boundary.note(packet, note.event, note.reason, note.rfc)
    this.boundary.down(packet, addressing)
    if (this.network.send(packet, addressing)) return true
    this.full.add(tcb.path.link)
    this.block(connection)
    return false
  }

  /** A link that is full takes nothing of others either: they queue up behind. */
  mayTransmit(connection: TcpConnection): boolean {
    if (this.full.size === 0 || !this.full.has(connection.tcb.path.link)) return true
    this.block(connection)
    return false
  }

  private block(connection: TcpConnection): void {
    if (connection.blocked) return
    connection.blocked = true
    this.blocked.push(connection)
  }

  route(tcb: Tcb): boolean {
    if (tcb.pathGeneration === this.network.generation) return true
    const none = this.network.path(tcb.remote.address, tcb.local.address, tcb.link, tcb.path)
    if (none !== undefined) {
      tcb.softFailure = NO_PATH[none]
      return false
    }
    tcb.pathGeneration = this.network.generation
    tcb.pathMtu = 0
    updateMss(tcb)
    return true
  }

  unlink(connection: TcpConnection): void {
    connection.linked = false
    this.connections.delete(connection)
    if (connection.tcb.orphan) this.orphans--
  }

  enterTimeWait(connection: TcpConnection, now: Instant): void {
    this.unlink(connection)
    this.timeWait.add(connection.tcb, now)
  }

  orphan(): boolean {
    if (this.orphans >= this.settings.maxOrphans) return false
    this.orphans++
    return true
  }

  handshakeOver(): void {
    this.handshakes--
  }

  announce(listener: TcpListener): void {
    this.announced.push(listener)
    if (!this.flush.armed) this.timers.arm(this.flush, this.now())
  }

  unlisten(listener: TcpListener): void {
    this.listeners.delete(listener)
  }

  // ── InterceptOwner

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
    return this.passiveOpen(seg, request, 0, withOptions(this.settings.connection, options), handler, this.now())
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

  // ── segments that no connection stands behind

  /** The way back. Scratch. */
  private back(from: NetworkAddressing): NetworkAddressing {
    const { addressing } = this
    addressing.source.set(from.destination)
    addressing.destination.set(from.source)
    addressing.protocol = PROTOCOL.tcp
    addressing.ttl = this.settings.connection.ttl
    addressing.trafficClass = 0
    addressing.dontFragment = true
    addressing.link = 0
    return addressing
  }

  private sendUnbound(packet: Packet, to: NetworkAddressing): void {
    this.boundary.down(packet, to)
    this.network.send(packet, to)
  }

  private close(): void {
    for (const listener of [...this.listeners]) listener.close()
    this.interception.close()
    for (const connection of [...this.connections]) connection.reset(NODE_CLOSED)
    while (this.dirty.length > 0) this.expire(this.now())
    this.timers.cancel(this.flush)
    this.timeWait.clear()
  }
}

function noPath(code: NoPath): Failure {
  return { code, message: 'there is no way to the peer', reason: 'noPath', rfc: 'RFC 9293 §3.9.2.2' }
}

/** An operation that failed at once. */
function cannot(
  syscall: string,
  code: string,
  message: string,
  { address, port }: { readonly address: IpAddress; readonly port: number },
): NetError {
  return new NetError(code, message, { syscall, address: address.toString(), port, layer: 'tcp', reason: code })
}
