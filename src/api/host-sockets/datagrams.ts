/** Datagrams of the host. */
import dgram from 'node:dgram'
import { formatScoped, type IpAddress } from '../../kernel/address.ts'
import { NetError } from '../../kernel/errors.ts'
import { onHost } from '../../kernel/on-host.ts'
import { setOption, withOptions } from '../datagram-options.ts'
import type {
  BindRequest,
  DatagramEntry,
  DatagramHandler,
  DatagramOptions,
  DatagramSocket,
  Endpoint,
  SourceFilter,
} from '../sockets.ts'
import { HostEndpoint, hostError, requireScoped } from './host.ts'

const LARGEST_PAYLOAD = 65_507
/** Octets that may wait in Node before `send` says so. */
const SEND_QUEUE = 262_144
/** What a waiting datagram counts for besides its octets, so that empty ones are bounded too. */
const OVERHEAD = 512

export class HostDatagrams {
  private readonly sockets: Set<HostDatagramSocket> = new Set()

  bind(request: BindRequest, handler: DatagramHandler): DatagramSocket {
    requireScoped(request.address, request.link, 'bind')
    const socket = new HostDatagramSocket(request, handler, () => this.sockets.delete(socket))
    this.sockets.add(socket)
    return socket
  }

  list(): Iterable<DatagramEntry> {
    return this.sockets
  }

  closeAll(): void {
    for (const socket of this.sockets) socket.close()
  }
}

interface Waiting {
  readonly octets: Uint8Array
  readonly address: string
  readonly port: number
}

class HostDatagramSocket implements DatagramSocket {
  handler: DatagramHandler
  readonly local: HostEndpoint = new HostEndpoint()
  remote: HostEndpoint | undefined
  queuedOctets = 0
  private readonly socket: dgram.Socket
  private readonly options: DatagramOptions
  private readonly from: HostEndpoint = new HostEndpoint()
  private readonly waiting: Waiting[] = []
  private readonly onClose: () => void
  private readonly ipv6: boolean
  /** Of groups that were joined for some sources alone: these. */
  private readonly sources = new Map<string, readonly string[]>()
  private paused = false
  private full = false
  private closed = false

  constructor(request: BindRequest, handler: DatagramHandler, onClose: () => void) {
    this.handler = handler
    this.onClose = onClose
    this.options = withOptions(request.options)
    const ipv6 = request.address !== undefined && !request.address.isIpv4
    this.ipv6 = ipv6
    this.socket = dgram.createSocket({
      ...onHost,
      type: ipv6 ? 'udp6' : 'udp4',
      reuseAddr: request.reuse ?? false,
      ipv6Only: request.ipv6Only ?? false,
      // Addresses come as numbers; answered at once, binding and connecting are done when the call returns.
      lookup: (host, _options, callback) => callback(null, host, ipv6 ? 6 : 4),
    })
    this.open(request)
    this.socket.unref()
    this.socket.on('message', (octets, from) => this.arrived(octets, from.address, from.port))
    this.socket.on('error', (error) => this.handler.error?.(this, hostError(error), this.remote ?? this.local))
  }

  send(octets: Uint8Array, start: number, length: number, address?: IpAddress, port?: number, link?: string): boolean {
    if (length > LARGEST_PAYLOAD) throw this.refused('EMSGSIZE', `${length} octets exceed ${LARGEST_PAYLOAD}`)
    const copy = Buffer.from(octets.subarray(start, start + length))
    if (this.remote !== undefined) {
      this.socket.send(copy, (error) => this.sent(error, this.remote ?? this.local))
    } else {
      if (address === undefined || port === undefined) throw this.refused('EDESTADDRREQ', 'not connected')
      const host = this.textOf(address, link)
      const to = new HostEndpoint().assign(host, port)
      this.socket.send(copy, port, host, (error) => this.sent(error, to))
    }
    this.full = this.socket.getSendQueueSize() >= SEND_QUEUE
    return !this.full
  }

  connect(address: IpAddress, port: number, link?: string): void {
    if (this.remote !== undefined) this.disconnect()
    let failed: Error | undefined
    const fail = (error?: Error): void => {
      failed = error
    }
    this.socket.once('error', fail)
    const host = this.textOf(address, link)
    this.socket.connect(port, host)
    this.socket.off('error', fail)
    if (failed !== undefined) throw hostError(failed)
    this.remote = new HostEndpoint().assign(host, port)
    this.placed()
  }

  disconnect(): void {
    if (this.remote === undefined) return
    this.remote = undefined
    this.socket.disconnect()
  }

  join(group: IpAddress, link?: string, filter?: SourceFilter): void {
    const before = this.sources.get(group.toString()) ?? []
    if (filter === undefined || (filter.mode === 'exclude' && filter.sources.length === 0)) {
      this.socket.addMembership(group.toString(), link)
      return
    }
    if (filter.mode === 'exclude') throw this.refused('ENOTSUP', 'Node excludes no sources')
    const wanted = filter.sources.map(String)
    for (const source of wanted) {
      if (!before.includes(source)) this.socket.addSourceSpecificMembership(source, group.toString(), link)
    }
    for (const source of before) {
      if (!wanted.includes(source)) this.socket.dropSourceSpecificMembership(source, group.toString(), link)
    }
    this.sources.set(group.toString(), wanted)
  }

  leave(group: IpAddress, link?: string): void {
    const sources = this.sources.get(group.toString())
    this.sources.delete(group.toString())
    if (sources === undefined) this.socket.dropMembership(group.toString(), link)
    else for (const source of sources) this.socket.dropSourceSpecificMembership(source, group.toString(), link)
  }

  sendGroupsBy(link: string | undefined): void {
    this.socket.setMulticastInterface(link ?? (this.ipv6 ? '::' : '0.0.0.0'))
  }

  pause(): void {
    this.paused = true
  }

  resume(): void {
    this.paused = false
    for (let next = this.waiting.shift(); next !== undefined; next = this.waiting.shift()) {
      this.queuedOctets -= next.octets.length
      this.deliver(next.octets, next.address, next.port)
      if (this.paused) return
    }
  }

  set<Name extends keyof DatagramOptions>(name: Name, value: DatagramOptions[Name]): void {
    setOption(this.options, name, value)
    const { socket, options } = this
    if (name === 'broadcast') socket.setBroadcast(options.broadcast)
    else if (name === 'ttl') socket.setTTL(options.ttl)
    else if (name === 'multicastTtl') socket.setMulticastTTL(options.multicastTtl)
    else if (name === 'multicastLoopback') socket.setMulticastLoopback(options.multicastLoopback)
  }

  get<Name extends keyof DatagramOptions>(name: Name): DatagramOptions[Name] {
    return this.options[name]
  }

  close(): void {
    if (this.closed) return
    this.closed = true
    this.waiting.length = this.queuedOctets = 0
    this.onClose()
    this.socket.close()
  }

  private open(request: BindRequest): void {
    let failed: Error | undefined
    const fail = (error: Error): void => {
      failed = error
    }
    this.socket.once('error', fail)
    this.socket.bind({
      port: request.port ?? 0,
      exclusive: true,
      ...(request.address === undefined ? {} : { address: formatScoped(request.address, request.link ?? '') }),
    })
    this.socket.off('error', fail)
    if (failed !== undefined) throw hostError(failed)
    this.placed()
    for (const name of Object.keys(request.options ?? {}) as (keyof DatagramOptions)[]) {
      this.set(name, this.options[name])
    }
  }

  /** As the socket has to be told: one of IPv6 knows IPv4 addresses by their mapped form. */
  private textOf(address: IpAddress, link = ''): string {
    return this.ipv6 && address.isIpv4 ? `::ffff:${address}` : formatScoped(address, link)
  }

  private placed(): void {
    const { address, port } = this.socket.address()
    this.local.assign(address, port)
  }

  private arrived(octets: Uint8Array, address: string, port: number): void {
    if (!this.paused) {
      this.deliver(octets, address, port)
    } else if (this.queuedOctets + octets.length + this.waiting.length * OVERHEAD <= this.options.receiveBuffer) {
      this.waiting.push({ octets, address, port })
      this.queuedOctets += octets.length
    }
  }

  private deliver(octets: Uint8Array, address: string, port: number): void {
    this.handler.message?.(this, octets, 0, octets.length, this.from.assign(address, port), this.local)
  }

  private sent(error: Error | null, to: Endpoint): void {
    if (this.closed) return
    if (error !== null) this.handler.error?.(this, hostError(error), to)
    if (this.full && this.socket.getSendQueueSize() * 2 < SEND_QUEUE) {
      this.full = false
      this.handler.writable?.(this)
    }
  }

  private refused(code: string, why: string): NetError {
    return new NetError(code, `send ${code}: ${why}`, { syscall: 'send', layer: 'host' })
  }
}
