/**
 * UDP (RFC 768, RFC 1122 §4.1): finds the socket a datagram is for, sends what sockets send, and offers
 * `DatagramSockets` above.
 *
 *   bind, send, intercept                  handlers
 *           │                                 ▲
 *   ┌───────▼─────────────────────────────────┴───────┐
 *   │  route ─► header, checksum       bindings ─► to │   receive: check, find, hand over (or hold, while paused)
 *   └───────┬─────────────────────────────────▲───────┘
 *           ▼ network.send                    │ receive, ready, onError
 */
import { withOptions } from '../../../src/api/datagram-options.ts'
import type {
  BindRequest,
  DatagramHandler,
  DatagramOptions,
  DatagramSocket,
  DatagramSockets,
} from '../../../src/api/sockets.ts'
import { IpAddress } from '../../../src/kernel/address.ts'
import type { Boundary } from '../../../src/kernel/boundary.ts'
import type { Env } from '../../../src/kernel/env.ts'
import { integer, invalidType, NetError } from '../../../src/kernel/errors.ts'
import type { Layer, User } from '../../../src/kernel/layer.ts'
import type { Packet } from '../../../src/kernel/packet.ts'
import { slab } from '../../../src/kernel/slab.ts'
import { Timer, type Timers } from '../../../src/kernel/timers.ts'
import { type ErrorReport, NetworkAddressing, type NetworkService, PROTOCOL } from '../../network/service.ts'
import { EphemeralPorts } from '../ports.ts'
import { type Bound, everyAddress } from '../wildcard.ts'
import { ANY_LINK, Bindings, cannotBind, takes } from './bindings.ts'
import { MutableEndpoint } from './endpoint.ts'
import * as header from './header.ts'
import { Interception, type InterceptOwner, type PendingRequest } from './intercept.ts'
import { linkBy } from './memberships.ts'
import { type DropReason, REASONS } from './reasons.ts'
import { type Route, type SocketOwner, UdpSocket } from './socket.ts'

const ANY: IpAddress = new IpAddress()

export interface UdpOptions {
  /** Sockets of the node, at the most. Default 16384. */
  readonly maxSockets?: number | undefined
}

/**
 * User Datagram Protocol over a network.
 * @throws RangeError ERR_OUT_OF_RANGE — an option makes no sense.
 */
export function udp(options: UdpOptions = {}): Layer<NetworkService, DatagramSockets> {
  const maxSockets = integer('maxSockets', options.maxSockets ?? 16_384, 1, 2 ** 20)
  return (network, env) => new Udp(network, env, maxSockets)
}

class Udp implements DatagramSockets, User<NetworkAddressing>, SocketOwner, InterceptOwner {
  readonly datagram: DatagramSockets['datagram']
  readonly timers: Timers
  readonly network: NetworkService
  private readonly env: Env
  private readonly maxSockets: number
  private readonly boundary: Boundary<NetworkAddressing, DropReason>
  private readonly bindings: Bindings
  private readonly ports: EphemeralPorts
  private readonly interception: Interception
  private readonly octets: Uint8Array
  /** Addressing of what is sent; and what handlers are shown. */
  private readonly to = new NetworkAddressing()
  private readonly sender = new MutableEndpoint()
  private readonly receiver = new MutableEndpoint()
  private readonly concerned = new MutableEndpoint()
  /** What was found out about the addresses of the last datagram received, and in which generation of the network. */
  private readonly lastSource = new IpAddress()
  private readonly lastDestination = new IpAddress()
  private lastLocal = false
  private lastGeneration = -1
  /** Sockets whose `send` returned false, in turn. */
  private blocked: UdpSocket[] = []
  /** Sockets whose queue is to be handed over on the next turn. */
  private resumed: UdpSocket[] = []
  private readonly timer: Timer

  constructor(network: NetworkService, env: Env, maxSockets: number) {
    this.network = network
    this.env = env
    this.timers = env.timers
    this.maxSockets = maxSockets
    this.boundary = env.boundary<NetworkAddressing, DropReason>('udp', 'transport', REASONS)
    this.octets = slab().octets
    const random = env.random('udp')
    this.bindings = new Bindings(random.uint32())
    this.ports = new EphemeralPorts(random)
    this.interception = new Interception(this)
    this.timer = new Timer(this)
    this.datagram = {
      bind: (request, handler) => this.bind(request, handler),
      intercept: (rule, decide) => this.interception.add(rule, decide),
      list: () => this.bindings.list(network),
    }
    const stops = [
      network.boundary.attach(this, PROTOCOL.udp),
      network.onError(PROTOCOL.udp, (report) => this.networkError(report)),
    ]
    env.defer(() => {
      for (const socket of [...this.bindings]) socket.close()
      this.interception.close()
      this.timers.cancel(this.timer)
      for (const stop of stops) stop()
    })
  }

  touched(): void {
    this.env.touched()
  }

  // ── down

  private bind(request: BindRequest, handler: DatagramHandler): UdpSocket {
    const address = request.address ?? everyAddress(this.network)
    const ipv6Only = request.ipv6Only ?? false
    const reuse = request.reuse ?? false
    if (!(address instanceof IpAddress)) throw invalidType('address', 'an IpAddress', address)
    const port = integer('port', request.port ?? 0, 0, 65_535)
    const options = withOptions(request.options)
    this.touched()
    const link = request.link === undefined ? 0 : this.linkIndex(request.link)
    const { network, bindings } = this
    if (!mayBind(network, address)) {
      throw cannotBind('EADDRNOTAVAIL', 'not an address of this node', address, port)
    }
    const bound = { address, ipv6Only }
    const chosen = port !== 0 ? port : this.ports.any((free) => !bindings.taken(bound, free, link, false))
    if (chosen === 0 || (port !== 0 && bindings.taken(bound, port, link, reuse))) {
      throw cannotBind('EADDRINUSE', 'another socket is bound there', address, port)
    }
    return this.open(bound, chosen, link, reuse, options, handler)
  }

  private open(
    { address, ipv6Only }: Bound,
    port: number,
    link: number,
    reuse: boolean,
    options: DatagramOptions,
    handler: DatagramHandler,
  ): UdpSocket {
    if (this.bindings.size >= this.maxSockets) throw cannotBind('ENOBUFS', 'too many sockets', address, port)
    const bound = new MutableEndpoint().set(address, port)
    const socket = new UdpSocket(bound, ipv6Only, link, reuse, options, handler, this)
    this.bindings.add(socket)
    return socket
  }

  route(socket: UdpSocket, route: Route, destination: IpAddress, source: IpAddress, link: number): void {
    const { network } = this
    if (route.generation === network.generation && route.link === link && route.destination.equals(destination)) return
    route.generation = 0
    // One may receive what goes to many, but not send as all of them.
    const from = network.isBroadcast(source) || network.isMulticast(source) ? ANY : source
    const none = network.path(destination, from, link, route.path)
    if (none !== undefined) {
      throw socket.failure(none, 'send', 'there is no way to this address', destination)
    }
    route.destination.set(destination)
    route.link = link
    route.broadcast = network.isBroadcast(destination)
    route.multicast = network.isMulticast(destination)
    route.generation = network.generation
  }

  transmit(socket: UdpSocket, route: Route, octets: Uint8Array, start: number, length: number, port: number): boolean {
    const { path } = route
    const { options } = socket
    if (route.broadcast && !route.multicast && !options.broadcast) {
      throw socket.failure('EACCES', 'send', "set the option 'broadcast' first", route.destination, port)
    }
    if (options.pathMtuDiscovery) socket.checkFits(route, length)
    const packet = this.env.packet(path.headroom, header.HEADER_OCTETS + length + path.tailroom)
    const source = path.source
    const { port: sourcePort } = socket.local
    if (octets === this.octets && !path.checksum) {
      header.writeFromSlab(packet, sourcePort, port, start, length, source, route.destination)
    } else {
      header.write(packet, sourcePort, port, octets, start, length)
      if (path.checksum) header.leaveChecksum(packet, source, route.destination)
      else header.finishChecksum(packet, source, route.destination)
    }
    if (this.emit(packet, socket, route)) return true
    if (!socket.blocked) {
      socket.blocked = true
      this.blocked.push(socket)
    }
    return false
  }

  private emit(packet: Packet, socket: UdpSocket, route: Route): boolean {
    const { to } = this
    const { options } = socket
    to.source.set(route.path.source)
    to.destination.set(route.destination)
    to.protocol = PROTOCOL.udp
    to.ttl = route.multicast ? options.multicastTtl : options.ttl
    to.loop = route.multicast && options.multicastLoopback
    to.trafficClass = options.trafficClass
    to.dontFragment = options.pathMtuDiscovery
    to.link = route.link
    this.boundary.down(packet, to)
    return this.network.send(packet, to)
  }

  refile(socket: UdpSocket, change: () => void): void {
    this.bindings.refile(socket, change)
  }

  closed(socket: UdpSocket): void {
    this.bindings.remove(socket)
    const { HEADER_OCTETS } = header
    for (let held = socket.unhold(HEADER_OCTETS); held !== undefined; held = socket.unhold(HEADER_OCTETS)) {
      this.boundary.drop(held.packet, 'closed')
    }
  }

  // ── up

  receive(packet: Packet, from: NetworkAddressing): void {
    this.boundary.up(packet, from, 0)
    const { source, destination } = from
    const reason = header.fault(packet, source, destination) ?? this.fault(source, destination)
    if (reason !== undefined) {
      this.boundary.drop(packet, reason)
      return
    }
    const { view, start } = packet
    const sourcePort = header.sourcePort(view, start)
    const port = header.destinationPort(view, start)
    if (!this.lastLocal) {
      this.receiveForMany(packet, from, sourcePort, port)
      return
    }
    const socket = this.bindings.find(destination, port, source, sourcePort, from.link)
    if (socket === undefined) {
      this.refuseOrOffer(packet, from, sourcePort, port)
      return
    }
    this.sender.set(source, sourcePort, this.zoneOf(source, from.link))
    this.receiver.set(destination, port)
    if (socket.holding) {
      this.hold(socket, packet)
      return
    }
    try {
      this.tell(socket, packet)
    } finally {
      packet.release() // also when the application throws
    }
  }

  /** What the network knows of both addresses; remembered, as datagrams come in runs. */
  private fault(source: IpAddress, destination: IpAddress): DropReason | undefined {
    const { network, lastSource, lastDestination } = this
    if (
      this.lastGeneration === network.generation &&
      lastSource.equals(source) &&
      lastDestination.equals(destination)
    ) {
      return undefined
    }
    this.lastGeneration = -1
    // One without an address yet may ask for one, of all stations (RFC 1122 §3.2.1.3).
    if (network.isBroadcast(source) || network.isMulticast(source)) return 'badSource'
    // A prefix declared local may well cover the broadcast addresses.
    this.lastLocal =
      network.isLocal(destination) && !network.isBroadcast(destination) && !network.isMulticast(destination)
    lastSource.set(source)
    lastDestination.set(destination)
    this.lastGeneration = network.generation
    return undefined
  }

  private refuseOrOffer(packet: Packet, from: NetworkAddressing, sourcePort: number, port: number): void {
    // A flow needs two ports: who sends from port 0 wants no answer (RFC 768), and nothing could be accepted.
    if (sourcePort !== 0 && this.interception.offer(packet, sourcePort, port, from, this.env.clock.now())) return
    // The network drops it, for that reason, where it may not be answered.
    this.boundary.count('noPort')
    this.network.refuse(packet, from, 'portUnreachable')
  }

  /** Broadcast and multicast reach every socket that takes them; nobody is told when none does (RFC 1122 §3.2.2). */
  private receiveForMany(packet: Packet, from: NetworkAddressing, sourcePort: number, port: number): void {
    let taken = false
    const { source, destination, link } = from
    const many = this.network.isMulticast(destination)
    // What we sent to a group ourselves came by no link, and is for members on any.
    const by = many && link === 0 ? ANY_LINK : link
    this.sender.set(source, sourcePort, this.zoneOf(source, link))
    this.receiver.set(destination, port)
    try {
      for (const socket of this.bindings.at(port)) {
        if (socket.isClosed || !takes(socket, this.receiver.address, this.sender.address, sourcePort, by)) continue
        if (many && !socket.memberships.wants(this.receiver.address, this.sender.address, link)) continue
        taken = true
        if (socket.holding) this.hold(socket, packet.copy(0, 0))
        else this.tell(socket, packet)
      }
    } finally {
      if (taken) packet.release()
      else this.boundary.drop(packet, 'noListener')
    }
  }

  private hold(socket: UdpSocket, packet: Packet): void {
    const payload = packet.length - header.HEADER_OCTETS
    if (!socket.hold(packet, payload, this.sender, this.receiver)) this.boundary.drop(packet, 'receiveBufferFull')
  }

  /** Shows the datagram to the handler; who sent it and where to are in the scratch. */
  private tell(socket: UdpSocket, packet: Packet): void {
    const { octets, start, end } = packet
    const payload = start + header.HEADER_OCTETS
    this.env.touched()
    socket.handler.message?.(socket, octets, payload, end - payload, this.sender, this.receiver)
  }

  resume(socket: UdpSocket): void {
    this.resumed.push(socket)
    if (!this.timer.armed) this.timers.arm(this.timer, this.env.clock.now())
  }

  /** The later turn for what waited has come. Not to be called by others. */
  expire(): void {
    const { resumed } = this
    try {
      for (let socket = resumed.at(-1); socket !== undefined; socket = resumed.at(-1)) {
        if (socket.paused || !this.tellNext(socket)) resumed.pop()
      }
    } finally {
      if (resumed.length > 0) this.timers.arm(this.timer, this.env.clock.now()) // a handler threw
    }
  }

  /** Shows the oldest datagram that waits. @returns whether there was one. */
  private tellNext(socket: UdpSocket): boolean {
    const held = socket.unhold(header.HEADER_OCTETS)
    if (held === undefined) return false
    this.sender.set(held.from.address, held.from.port, held.from.zone)
    this.receiver.set(held.to.address, held.to.port)
    try {
      this.tell(socket, held.packet)
    } finally {
      held.packet.release()
    }
    return true
  }

  ready(): void {
    const { blocked } = this
    if (blocked.length === 0) return
    this.blocked = []
    for (const socket of blocked) {
      socket.blocked = false
      if (socket.isClosed || socket.handler.writable === undefined) continue
      this.env.touched()
      socket.handler.writable(socket)
    }
  }

  /** An ICMP error about a datagram of ours: the quote has at least its ports (RFC 1122 §4.1.3.3). */
  private networkError(report: ErrorReport): void {
    report.foreign = true
    if (report.quoteEnd - report.quoteStart < header.HEADER_OCTETS) return
    const { view } = slab()
    const port = header.sourcePort(view, report.quoteStart)
    const remotePort = header.destinationPort(view, report.quoteStart)
    const { source, destination } = report
    const by = destination.isScoped ? report.link || ANY_LINK : ANY_LINK
    const socket = this.bindings.find(source, port, destination, remotePort, by)
    if (socket === undefined) return
    report.foreign = false
    const tell = report.hard ? socket.handler.error : socket.handler.softError
    if (tell === undefined) return
    this.concerned.set(destination, remotePort)
    const error = new NetError(report.code, `${report.from} says ${report.reason}`, {
      syscall: 'recvmsg',
      address: destination.toString(),
      port: remotePort,
      layer: 'udp',
      reason: report.reason,
      rfc: 'RFC 1122 §4.1.3.3',
    })
    this.env.touched()
    tell.call(socket.handler, socket, error, this.concerned, report.from)
  }

  // ── interception

  declareLocal(address: IpAddress, length: number): () => void {
    this.touched()
    return this.network.declareLocal(address, length)
  }

  accept(
    { source, destination }: PendingRequest,
    packet: Packet,
    handler: DatagramHandler,
    options: Partial<DatagramOptions> | undefined,
  ): DatagramSocket {
    let socket: UdpSocket | undefined
    try {
      const bound = { address: destination.address, ipv6Only: false }
      socket = this.open(bound, destination.port, 0, true, withOptions(options), handler)
      socket.connect(source.address, source.port, source.zone || undefined)
    } catch (error) {
      socket?.close()
      this.boundary.drop(packet, 'intercepted')
      throw error
    }
    this.sender.set(source.address, source.port, source.zone)
    this.receiver.set(destination.address, destination.port)
    this.hold(socket, packet)
    socket.resume()
    return socket
  }

  refuse(request: PendingRequest, packet: Packet, why: 'portUnreachable' | 'hostUnreachable'): void {
    const from = new NetworkAddressing()
    from.source.set(request.source.address)
    from.destination.set(request.destination.address)
    from.protocol = PROTOCOL.udp
    from.ttl = request.ttl
    from.trafficClass = request.trafficClass
    from.link = request.link
    this.network.refuse(packet, from, why)
  }

  drop(packet: Packet, reason: DropReason): void {
    this.boundary.drop(packet, reason)
  }

  zoneOf(address: IpAddress, link: number): string {
    return address.isScoped ? this.network.linkName(link) : ''
  }

  linkIndex(name: string): number {
    return linkBy(this.network, name)
  }
}

/** Is it an address that datagrams reach us by? */
const mayBind = (network: NetworkService, address: IpAddress): boolean =>
  address.isUnspecified || network.isLocal(address) || network.isBroadcast(address) || network.isMulticast(address)
