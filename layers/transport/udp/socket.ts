/** One datagram socket: what it is bound and connected to, its options, and what waits while it is paused. */
import { setOption } from '../../../src/api/datagram-options.ts'
import type {
  DatagramHandler,
  DatagramOptions,
  DatagramSocket,
  Endpoint,
  SourceFilter,
} from '../../../src/api/sockets.ts'
import { IpAddress } from '../../../src/kernel/address.ts'
import { integer, invalidType, NetError, outOfRange } from '../../../src/kernel/errors.ts'
import type { Packet } from '../../../src/kernel/packet.ts'
import { Queue } from '../../../src/kernel/queue.ts'
import { type NetworkService, Path } from '../../network/service.ts'
import { MutableEndpoint } from './endpoint.ts'
import { HEADER_OCTETS, LARGEST_PAYLOAD } from './header.ts'
import { Memberships } from './memberships.ts'

const IPV4_HEADER_OCTETS = 20
const IPV6_HEADER_OCTETS = 40

/** What a waiting datagram counts for at the least, so that empty ones are bounded too. */
const LEAST_CHARGE = 512
const ANY: IpAddress = new IpAddress()

/** What a socket needs of its layer. */
export interface SocketOwner {
  readonly network: NetworkService
  touched(): void
  /**
   * Fills `route` anew if what it rests on has changed.
   * @param source unspecified: chosen by the network.
   * @param link index of the link to leave by, or 0.
   * @throws NetError ENETUNREACH, EHOSTUNREACH, EACCES, EADDRNOTAVAIL — no way there.
   */
  route(socket: UdpSocket, route: Route, destination: IpAddress, source: IpAddress, link: number): void
  /** The index of a link by its name, or by one of our addresses on it. @throws NetError ENODEV */
  linkIndex(name: string): number
  /** @returns as `DatagramSocket.send`. @throws NetError EMSGSIZE, EACCES */
  transmit(socket: UdpSocket, route: Route, octets: Uint8Array, start: number, length: number, port: number): boolean
  /** Changes what the socket is connected to, by `change`. */
  refile(socket: UdpSocket, change: () => void): void
  /** Hands over what waits, on a later turn. */
  resume(socket: UdpSocket): void
  closed(socket: UdpSocket): void
}

/** The way to the destination that was used last. */
export class Route {
  readonly destination: IpAddress = new IpAddress()
  /** Index of the link it was asked for on, or 0. */
  link = 0
  readonly path: Path = new Path()
  /** Of the network when it was found; 0: never. */
  generation = 0
  broadcast = false
  multicast = false
}

/** A datagram that waits. */
export interface Waiting {
  readonly packet: Packet
  readonly from: MutableEndpoint
  readonly to: MutableEndpoint
}

export class UdpSocket implements DatagramSocket {
  handler: DatagramHandler
  /** What it was bound to; `local` is the same, or while connected the address chosen for that. */
  readonly bound: Endpoint
  readonly local: MutableEndpoint = new MutableEndpoint()
  remote: MutableEndpoint | undefined
  /** Index of the link that a link-local `remote` is on, as another link may have one of the same address; else 0. */
  scope = 0
  queuedOctets = 0
  /** The link it is bound to, or 0. */
  readonly link: number
  /** Of one that is bound to ::, that it takes nothing of IPv4. */
  readonly ipv6Only: boolean
  readonly reuse: boolean
  readonly options: DatagramOptions
  /** The next connected socket of the same hash. */
  chained: UdpSocket | null = null
  /** A `send` returned false, and `writable` has not been told yet. */
  blocked = false
  paused = false
  isClosed = false
  readonly memberships: Memberships
  private readonly owner: SocketOwner
  /** The link by which groups are sent to, where neither address nor binding says; 0: by the routes. */
  private groupLink = 0
  private readonly lastRoute = new Route()
  /** While connected: the way to the peer, whoever else is sent to. */
  private peerRoute: Route | undefined
  private queue: Queue<Waiting> | null = null
  private charged = 0

  constructor(
    bound: Endpoint,
    ipv6Only: boolean,
    link: number,
    reuse: boolean,
    options: DatagramOptions,
    handler: DatagramHandler,
    owner: SocketOwner,
  ) {
    this.bound = bound
    this.local.set(bound.address, bound.port)
    this.ipv6Only = ipv6Only
    this.link = link
    this.reuse = reuse
    this.options = options
    this.handler = handler
    this.owner = owner
    this.memberships = new Memberships(owner.network)
  }

  send(octets: Uint8Array, start: number, length: number, address?: IpAddress, port?: number, link?: string): boolean {
    const { remote, owner } = this
    if (this.isClosed) throw this.failure('EBADF', 'send', 'the socket is closed')
    if (start < 0 || length < 0 || !(start + length <= octets.length)) {
      throw outOfRange('length', `within the ${octets.length} octets given`, length)
    }
    owner.touched()
    if (length > LARGEST_PAYLOAD) throw this.tooLong(length, LARGEST_PAYLOAD)
    if (address !== undefined) {
      const to = integer('port', port ?? 0, 1, 65_535)
      owner.route(this, this.lastRoute, address, this.local.address, this.linkTo(address, link))
      return owner.transmit(this, this.lastRoute, octets, start, length, to)
    }
    if (remote === undefined || this.peerRoute === undefined) {
      throw this.failure('EDESTADDRREQ', 'send', 'the socket is not connected: say where to')
    }
    owner.route(this, this.peerRoute, remote.address, this.local.address, this.peerRoute.link)
    return owner.transmit(this, this.peerRoute, octets, start, length, remote.port)
  }

  connect(address: IpAddress, port: number, link?: string): void {
    if (!(address instanceof IpAddress)) throw invalidType('address', 'an IpAddress', address)
    integer('port', port, 1, 65_535)
    if (this.isClosed) throw this.failure('EBADF', 'connect', 'the socket is closed')
    this.owner.touched()
    const route = new Route()
    this.owner.route(this, route, address, this.bound.address, this.linkTo(address, link))
    const scope = address.isScoped ? route.path.link : 0
    // Other links may come, on which the address is another station's.
    if (scope !== 0) route.link = scope
    this.owner.refile(this, () => {
      this.scope = scope
      this.remote = new MutableEndpoint().set(address, port, scope === 0 ? '' : this.owner.network.linkName(scope))
      if (this.bound.address.isUnspecified) this.local.address.set(route.path.source)
    })
    this.peerRoute = route
    this.lastRoute.generation = 0
  }

  disconnect(): void {
    if (this.remote === undefined || this.isClosed) return
    this.owner.touched()
    this.owner.refile(this, () => {
      this.remote = undefined
      this.scope = 0
      this.local.address.set(this.bound.address)
    })
    this.peerRoute = undefined
    this.lastRoute.generation = 0
  }

  join(group: IpAddress, link?: string, filter?: SourceFilter): void {
    if (!(group instanceof IpAddress)) throw invalidType('group', 'an IpAddress', group)
    if (this.isClosed) throw this.failure('EBADF', 'setsockopt', 'the socket is closed')
    this.owner.touched()
    this.memberships.join(group, link, this.link, filter)
  }

  leave(group: IpAddress, link?: string): void {
    this.owner.touched()
    this.memberships.leave(group, link, this.link)
  }

  sendGroupsBy(link: string | undefined): void {
    this.groupLink = link === undefined ? 0 : this.owner.linkIndex(link)
    this.lastRoute.generation = 0
  }

  pause(): void {
    this.owner.touched()
    this.paused = true
  }

  resume(): void {
    this.owner.touched()
    this.paused = false
    if (this.queue !== null) this.owner.resume(this)
  }

  set<Name extends keyof DatagramOptions>(name: Name, value: DatagramOptions[Name]): void {
    setOption(this.options, name, value)
  }

  get<Name extends keyof DatagramOptions>(name: Name): DatagramOptions[Name] {
    return this.options[name]
  }

  close(): void {
    if (this.isClosed) return
    this.owner.touched()
    this.memberships.leaveAll()
    this.owner.closed(this)
    this.isClosed = true
  }

  /** Datagrams that arrive must queue up: it is paused, or older ones still wait. */
  get holding(): boolean {
    return this.paused || this.queue !== null
  }

  /** Takes ownership of the packet, unless there is no room. @returns whether there was. */
  hold(packet: Packet, payload: number, from: MutableEndpoint, to: MutableEndpoint): boolean {
    const charge = Math.max(payload, LEAST_CHARGE)
    // One always fits, else a small buffer would take nothing.
    if (this.charged > 0 && this.charged + charge > this.options.receiveBuffer) return false
    this.queue ??= new Queue(Number.POSITIVE_INFINITY)
    this.queue.push({
      packet,
      from: new MutableEndpoint().set(from.address, from.port, from.zone),
      to: new MutableEndpoint().set(to.address, to.port, to.zone),
    })
    this.charged += charge
    this.queuedOctets += payload
    return true
  }

  /** The oldest datagram that waits, or undefined. @param headerOctets that are no payload. */
  unhold(headerOctets: number): Waiting | undefined {
    const waiting = this.queue?.shift()
    if (this.queue?.length === 0) this.queue = null
    if (waiting === undefined) return undefined
    const payload = waiting.packet.length - headerOctets
    this.charged -= Math.max(payload, LEAST_CHARGE)
    this.queuedOctets -= payload
    return waiting
  }

  /** The link to leave by, or 0. One that is bound to a link knows no other. */
  private linkTo(address: IpAddress, name: string | undefined): number {
    if (this.link !== 0) return this.link
    if (name !== undefined && address.isScoped) return this.owner.linkIndex(name)
    return this.groupLink !== 0 && this.owner.network.isMulticast(address) ? this.groupLink : 0
  }

  /** @throws NetError EMSGSIZE — the datagram would have to be fragmented. */
  checkFits({ path, destination }: Route, length: number): void {
    const headers = (destination.isIpv4 ? IPV4_HEADER_OCTETS : IPV6_HEADER_OCTETS) + HEADER_OCTETS
    if (length + headers > path.mtu) throw this.tooLong(length, path.mtu - headers)
  }

  private tooLong(length: number, largest: number): NetError {
    return this.failure('EMSGSIZE', 'send', `${length} octets do not fit: ${largest} do`)
  }

  failure(code: string, syscall: string, why: string, address: IpAddress = ANY, port?: number): NetError {
    const place = address === ANY ? {} : { address: address.toString(), port }
    return new NetError(code, why, { syscall, layer: 'udp', ...place })
  }
}
