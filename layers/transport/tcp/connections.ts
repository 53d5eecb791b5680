/** All connections of a node: how they come to be, by OPEN or by SYN, how they are found, and how many there may be. */
import type { ConnectionHandler, ConnectionOptions, ConnectRequest, Endpoint } from '../../../src/api/sockets.ts'
import { IpAddress } from '../../../src/kernel/address.ts'
import { type Duration, type Instant, seconds } from '../../../src/kernel/clock.ts'
import { integer, invalidType, NetError } from '../../../src/kernel/errors.ts'
import { type HashKey, hashKey } from '../../../src/kernel/keyed-hash.ts'
import type { Packet } from '../../../src/kernel/packet.ts'
import type { Random } from '../../../src/kernel/random.ts'
import { after } from '../../../src/kernel/sequence.ts'
import { Path } from '../../network/service.ts'
import { EphemeralPorts } from '../ports.ts'
import { TcpConnection } from './connection.ts'
import type { ConnectionOwner } from './connection-owner.ts'
import { NODE_CLOSED } from './failures.ts'
import { FastOpenCache } from './fast-open-cache.ts'
import { FastOpenKeys } from './fast-open-keys.ts'
import { Secrets } from './initial-sequence.ts'
import { acceptSyn } from './input.ts'
import type { Listeners } from './listeners.ts'
import type { LiveSettings } from './live-settings.ts'
import type { Outlet } from './outlet.ts'
import { output } from './output.ts'
import type { DropReason } from './reasons.ts'
import { HEADER_OCTETS, type Segment } from './segment.ts'
import { withOptions } from './settings.ts'
import { SynCookies, stampFor, synBehind } from './syn-cookie.ts'
import { type Flow, FlowTable } from './table.ts'
import { type Budgets, endpoint, Tcb } from './tcb.ts'
import { TimeWait } from './time-wait.ts'
import { offerFirstWindow, windowShiftFor } from './window.ts'

/** Distance that a new connection's sequence numbers keep from those of the one it takes over from. */
const REOPEN_DISTANCE = 0x1_0000
const ANY: IpAddress = new IpAddress()
/** Cookies are looked for in ACKs this long after the last one was given out; none lives longer. */
const COOKIE_LIFE: Duration = seconds(128)

export class Connections implements ConnectionOwner {
  readonly table: FlowTable<TcpConnection>
  readonly timeWait: TimeWait
  /** In neither: those that are over but for what their application has yet to read. */
  readonly unreads: Set<TcpConnection> = new Set()
  readonly ports: EphemeralPorts
  private readonly outlet: Outlet
  private readonly listeners: Listeners
  private readonly settings: LiveSettings
  private readonly secrets: Secrets
  private readonly budgets: Budgets
  private readonly path = new Path()
  private readonly cookies: SynCookies
  private readonly fastOpens: FastOpenCache
  /** The cookies that listeners give out. */
  readonly fastOpenKeys: FastOpenKeys
  private cookieGivenAt: Instant = Number.NEGATIVE_INFINITY
  private handshakes = 0
  private orphans = 0
  private closed = false

  constructor(outlet: Outlet, listeners: Listeners, settings: LiveSettings, random: Random) {
    const key = (): HashKey => hashKey(random.octets(16))
    const { maxSegmentLifetime, maxTimeWait, maxReassembly, maxBufferGrowth } = settings.current
    this.outlet = outlet
    this.listeners = listeners
    this.settings = settings
    this.secrets = new Secrets(key())
    this.cookies = new SynCookies(key())
    this.fastOpens = new FastOpenCache(settings)
    this.fastOpenKeys = new FastOpenKeys(settings, random)
    this.ports = new EphemeralPorts(random)
    this.table = new FlowTable(key())
    this.timeWait = new TimeWait(key(), outlet.env.timers, 2 * maxSegmentLifetime, maxTimeWait)
    this.budgets = {
      reassembly: { used: 0, limit: maxReassembly },
      growth: { used: 0, limit: maxBufferGrowth },
    }
  }

  // ── active open (RFC 9293 §3.10.1)

  /** @throws as `StreamSockets.connect` does. */
  connect(request: ConnectRequest, handler: ConnectionHandler): TcpConnection {
    const { address, port } = request
    const { network } = this.outlet
    if (!(address instanceof IpAddress)) throw invalidType('address', 'an IpAddress', address)
    integer('port', port, 1, 65_535)
    integer('localPort', request.localPort ?? 0, 0, 65_535)
    const options = withOptions(this.settings.connection, request.options)
    this.assertOpen('connect', request)
    // (RFC 9293 §3.9.2.3 MUST-46)
    if (network.isBroadcast(address) || network.isMulticast(address)) {
      throw cannot('connect', 'ENETUNREACH', 'a connection has one peer: not a broadcast or multicast address', request)
    }
    if (this.tableLimit !== undefined) {
      throw cannot('connect', 'ENOBUFS', 'too many connections', request)
    }
    const wanted = this.linkIndex(request.link)
    const none = network.path(address, request.localAddress ?? ANY, wanted, this.path)
    if (none !== undefined) throw cannot('connect', none, 'there is no way to this address', request)
    const now = this.outlet.now()
    // Other links may come, on which the address is another station's.
    const link = address.isScoped ? this.path.link : wanted
    const zone = address.isScoped ? network.linkName(link) : ''
    const remote = endpoint(address, port, zone)
    const local = this.bind(request, endpoint(this.path.source, request.localPort ?? 0, zone), remote, link, now)
    const tcb = new Tcb(false, local, remote, link, options, this.settings.current, this.budgets)
    this.open(tcb, now)
    tcb.state = 'SYN-SENT'
    if (options.fastOpen > 0) tcb.fastOpen = this.fastOpens.begin(tcb, now)
    return this.start(tcb, handler)
  }

  /** @returns the index of a link by name, 0 for none. @throws NetError ENODEV */
  linkIndex(name: string | undefined): number {
    if (name === undefined) return 0
    const index = this.outlet.network.linkIndex(name)
    if (index === 0) throw new NetError('ENODEV', `there is no link called '${name}'`, { layer: 'tcp' })
    return index
  }

  /** Chooses the local port, if it is not given, and makes sure that the connection will be the only one of its kind. */
  private bind(request: ConnectRequest, local: Endpoint, remote: Endpoint, link: number, now: Instant): Endpoint {
    const usable = (port: number): boolean => this.isFree(local.address, port, remote, link, now)
    if (local.port !== 0) {
      if (!usable(local.port)) throw cannot('connect', 'EADDRINUSE', 'this connection exists already', request)
      return local
    }
    const port = this.ports.towards(local.address, remote.address, remote.port, usable)
    if (port === 0) throw cannot('connect', 'EADDRNOTAVAIL', 'all local ports are in use with this peer', request)
    return endpoint(local.address, port, local.zone)
  }

  private isFree(local: IpAddress, port: number, remote: Endpoint, link: number, now: Instant): boolean {
    if (this.table.find(local, port, remote.address, remote.port, link) !== undefined) return false
    if (this.listeners.taken({ address: local, ipv6Only: false }, port, link)) return false
    const record = this.timeWait.find(local, port, remote.address, remote.port, link)
    return record === undefined || this.timeWait.mayReuse(record, now)
  }

  // ── passive open (RFC 9293 §3.10.7.2)

  /** Why no further handshake can begin, if so. */
  get limit(): DropReason | undefined {
    return this.handshakes >= this.settings.current.maxSynReceived ? 'synQueueFull' : this.tableLimit
  }

  /** Why there can be no further connection, if so. */
  get tableLimit(): DropReason | undefined {
    // Those that are over but for what nobody has read count, too: a peer could have us keep any number of them.
    const count = this.table.size + this.unreads.size
    return count >= this.settings.current.maxConnections ? 'connectionLimit' : undefined
  }

  /** A SYN that somebody wants: SYN-RECEIVED. */
  accept(
    seg: Segment,
    flow: Flow,
    link: number,
    options: Readonly<ConnectionOptions>,
    handler: ConnectionHandler,
  ): TcpConnection {
    return this.start(this.received(seg, flow, link, options), handler)
  }

  /**
   * The SYN-ACK of a handshake that there is no room to remember: its cookie is remembered by the peer.
   * @returns a segment that the caller owns, or null when there is no way back.
   */
  cookieFor(seg: Segment, flow: Flow, link: number, options: Readonly<ConnectionOptions>): Packet | null {
    const now = this.outlet.now()
    const tcb = this.received(seg, flow, link, options, this.cookies.make(flow, seg.seq, seg.mss, now))
    if (!this.outlet.route(tcb)) return null
    if (tcb.timestamps) tcb.tsOffset = stampFor(tcb, now)
    else {
      // Nothing would bring back what these say.
      tcb.rcv.shift = -1
      tcb.sack = tcb.ecn = false
    }
    tcb.synDue = true
    this.cookieGivenAt = now
    return output(tcb, now)
  }

  /** The MSS that the cookie in an ACK says; 0: it has none of ours. */
  cookieIn(ack: Segment, flow: Flow): number {
    const now = this.outlet.now()
    if (now - this.cookieGivenAt > COOKIE_LIFE) return 0
    return this.cookies.mssOf(flow, (ack.seq - 1) | 0, (ack.ack - 1) | 0, now)
  }

  /** The connection whose handshake an ACK completes by a cookie: SYN-RECEIVED, its SYN-ACK sent. */
  acceptCookie(
    ack: Segment,
    mss: number,
    flow: Flow,
    link: number,
    options: Readonly<ConnectionOptions>,
    handler: ConnectionHandler,
  ): TcpConnection {
    const syn = synBehind(ack, mss, this.secrets.timestampOffset(flow.local, flow.remote))
    const tcb = this.received(syn, flow, link, options, (ack.ack - 1) | 0)
    tcb.snd.nxt = ack.ack
    offerFirstWindow(tcb)
    const connection = this.start(tcb, handler)
    tcb.synDue = false
    return connection
  }

  /** A TCB in SYN-RECEIVED. @param iss by default a new one. */
  private received(seg: Segment, flow: Flow, link: number, options: Readonly<ConnectionOptions>, iss?: number): Tcb {
    const now = this.outlet.now()
    const tcb = new Tcb(true, flow.local, flow.remote, link, options, this.settings.current, this.budgets)
    this.open(tcb, now, iss)
    acceptSyn(tcb, seg, now)
    tcb.state = 'SYN-RECEIVED'
    return tcb
  }

  // ── both

  /** Everything a TCB needs before its first segment. @param cookie the initial sequence number, if it is one. */
  private open(tcb: Tcb, now: Instant, cookie?: number): void {
    const { snd, rcv, local, remote, options, settings } = tcb
    const record = this.timeWait.find(local.address, local.port, remote.address, remote.port, tcb.link)
    snd.iss = cookie ?? this.secrets.sequence(local, remote, now)
    if (record !== undefined) {
      // Larger than all the connection before has used (RFC 9293 §3.10.7.4 MAY-2)
      if (cookie === undefined && !after(snd.iss, record.sndNxt)) snd.iss = (record.sndNxt + REOPEN_DISTANCE) | 0
      this.timeWait.delete(record)
    }
    snd.una = snd.nxt = snd.iss
    snd.end = (snd.iss + 1) | 0
    tcb.pushEnd = tcb.smallEnd = snd.iss
    tcb.tsOffset = this.secrets.timestampOffset(local, remote)
    const largest = Math.max(settings.maxReceiveBuffer, options.receiveBuffer)
    rcv.shift = settings.windowScaling ? windowShiftFor(largest) : -1
    this.outlet.route(tcb)
    // By the link: what routers say of the way out is nothing to the way in (RFC 2923 §2.3).
    const byLink = tcb.path.linkMtu - tcb.networkHeaderOctets - HEADER_OCTETS
    tcb.announcedMss = options.maxSegment > 0 ? Math.min(options.maxSegment, byLink) : byLink
  }

  private start(tcb: Tcb, handler: ConnectionHandler): TcpConnection {
    tcb.synDue = true
    const connection = new TcpConnection(tcb, handler, this.outlet, this)
    connection.linked = true
    this.table.add(connection)
    if (tcb.passive) {
      connection.handshaking = true
      this.handshakes++
    }
    this.outlet.schedule(connection)
    return connection
  }

  // ── the end of the node

  /** Resets all, and lets none begin any more. */
  close(): void {
    this.closed = true
    for (const connection of [...this.table]) connection.reset(NODE_CLOSED)
    for (const connection of this.unreads) connection.fail(NODE_CLOSED)
    this.timeWait.clear()
  }

  /** @throws NetError ENETDOWN — the node is closed. */
  assertOpen(syscall: string, place: { readonly address: IpAddress; readonly port: number }): void {
    if (this.closed) throw cannot(syscall, 'ENETDOWN', 'the node is closed', place)
  }

  // ── ConnectionOwner

  unlink(connection: TcpConnection): void {
    this.unreads.delete(connection)
    if (!connection.linked) return
    connection.linked = false
    this.table.delete(connection)
    if (connection.counted) this.orphans--
  }

  enterTimeWait(connection: TcpConnection, now: Instant): void {
    this.unlink(connection)
    if (this.timeWait.add(connection.tcb, now)) this.outlet.count('timeWaitLimit')
  }

  unread(connection: TcpConnection): void {
    this.unreads.add(connection)
  }

  handshakeOver(): void {
    this.handshakes--
  }

  orphan(connection: TcpConnection): boolean {
    if (this.orphans >= this.settings.current.maxOrphans) {
      this.outlet.count('orphanLimit')
      return false
    }
    this.orphans++
    connection.counted = true
    return true
  }
}

/** An operation that failed at once. */
export function cannot(
  syscall: string,
  code: string,
  message: string,
  { address, port }: { readonly address: IpAddress; readonly port: number },
): NetError {
  return new NetError(code, message, { syscall, address: address.toString(), port, layer: 'tcp', reason: code })
}
