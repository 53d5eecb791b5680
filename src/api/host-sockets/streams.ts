/** Connecting and listening on the host's network. */
import net from 'node:net'
import { formatScoped } from '../../kernel/address.ts'
import { onHost } from '../../kernel/on-host.ts'
import type {
  ConnectionHandler,
  ConnectRequest,
  Listener,
  ListenHandler,
  ListenRequest,
  StreamEntry,
} from '../sockets.ts'
import { HostConnection } from './connection.ts'
import { failure, HostEndpoint, hostError, hostFailure, requireScoped } from './host.ts'

const DEFAULT_BACKLOG = 511
const UV_TCP_IPV6ONLY = 1
const UNHEARD: ConnectionHandler = {}

/**
 * Binds synchronously, which `Server.listen` with a host does not: the small API says at once whether a port is taken.
 * Node has exported this function for its cluster module since 0.x, and `Server.listen` takes what it returns.
 */
const { _createServerHandle: bindHandle } = net as unknown as {
  _createServerHandle(address: string, port: number, family: 4 | 6, fd: -1, flags: number): object | number
}

export class HostStreams {
  private readonly connections: Set<HostConnection> = new Set()
  private readonly listeners: Set<HostListener> = new Set()

  connect(request: ConnectRequest, handler: ConnectionHandler): HostConnection {
    const { address, port, localAddress, localPort, link, options } = request
    requireScoped(address, link, 'connect')
    const host = formatScoped(address, link ?? '')
    const socket = net.connect({
      ...onHost,
      host,
      port,
      allowHalfOpen: true,
      ...(localAddress === undefined ? {} : { localAddress: localAddress.toString() }),
      ...(localPort === undefined ? {} : { localPort }),
    })
    const connection = this.track(socket, handler, options)
    connection.remote.assign(host, port)
    return connection
  }

  listen(request: ListenRequest, handler: ListenHandler): Listener {
    requireScoped(request.address, request.link, 'listen')
    const listener = new HostListener(request, handler, this)
    this.listeners.add(listener)
    return listener
  }

  *list(): Iterable<StreamEntry> {
    for (const { local } of this.listeners) {
      yield { state: 'LISTEN', local, remote: undefined, info: () => undefined }
    }
    yield* this.connections
  }

  /** For the listeners: watches a socket until it has closed. */
  track(socket: net.Socket, handler: ConnectionHandler, options: ConnectRequest['options']): HostConnection {
    const connection = new HostConnection(socket, handler, options ?? {})
    this.connections.add(connection)
    socket.once('close', () => this.connections.delete(connection))
    return connection
  }

  forget(listener: HostListener): void {
    this.listeners.delete(listener)
  }

  closeAll(): void {
    for (const listener of this.listeners) listener.close()
    for (const connection of this.connections) connection.abort()
  }
}

class HostListener implements Listener {
  readonly local: HostEndpoint = new HostEndpoint()
  private readonly server: net.Server
  private readonly waiting: HostConnection[] = []
  private readonly streams: HostStreams

  constructor(request: ListenRequest, handler: ListenHandler, streams: HostStreams) {
    this.streams = streams
    const backlog = request.backlog ?? DEFAULT_BACKLOG
    this.server = net.createServer({ allowHalfOpen: true }, (socket) => {
      if (this.waiting.length >= backlog) {
        socket.resetAndDestroy()
        return
      }
      this.waiting.push(streams.track(socket, UNHEARD, request.options))
      if (this.waiting.length === 1) handler.acceptable(this)
    })
    this.open(request, backlog)
    this.server.on('error', (error) => {
      this.close()
      handler.closed?.(this, hostError(error))
    })
    this.server.unref()
  }

  accept(): HostConnection | undefined {
    return this.waiting.shift()
  }

  close(): void {
    this.server.close()
    this.streams.forget(this)
    for (const connection of this.waiting.splice(0)) connection.abort()
  }

  private open(request: ListenRequest, backlog: number): void {
    const { address: given, ipv6Only, link = '' } = request
    const wanted = new HostEndpoint().assign(given === undefined ? '::' : formatScoped(given, link), request.port)
    const bind = (text: string, family: 4 | 6) =>
      bindHandle(text, request.port, family, -1, ipv6Only === true ? UV_TCP_IPV6ONLY : 0)
    let handle = bind(formatScoped(wanted.address, wanted.zone), wanted.address.isIpv4 ? 4 : 6)
    // As Node, where the host has no IPv6.
    if (given === undefined && typeof handle === 'number') handle = bind('0.0.0.0', 4)
    if (typeof handle === 'number') throw hostFailure(handle, 'listen', wanted)
    const ignore = (): void => {}
    this.server.once('error', ignore)
    this.server.listen(handle, backlog)
    // libuv keeps EADDRINUSE, and only that, back until it listens; Node tells the error itself later.
    if (!this.server.listening) throw failure('EADDRINUSE', 'listen', wanted.address, wanted.port)
    this.server.off('error', ignore)
    const { address, port } = this.server.address() as net.AddressInfo
    this.local.assign(address, port)
  }
}
