/** An object in the shape of the module `node:net`, over the streams of one node. */
import { captureRejectionSymbol } from 'node:events'
import type { ServerHttp2Session } from 'node:http2'
import net from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { ConnectExtras, ServerOptions, SocketOptions } from './arguments.ts'
import { splitArguments } from './arguments.ts'
import { type ApiHost, Context, type NetStreams } from './context.ts'
import { NODE_EVENTS } from './diagnostics.ts'
import { requireSignal } from './errors.ts'
import { type Intercept, interceptor } from './intercept.ts'
import { asNames, type Hosts, type Names } from './names.ts'
import { introduce, isHttp2 } from './over-http2.ts'
import { isTls, join, leaveEnd } from './over-tls.ts'
import { settle } from './promises.ts'
import { type ListenOptions, Server } from './server.ts'
import { type ConnectOptions, Socket } from './socket.ts'

/** What `connect` and `createConnection` take: the options of the socket, and of its connection. */
export type NetConnectOptions = ConnectOptions &
  SocketOptions & { readonly timeout?: number | undefined } & ConnectExtras

/** A server of HTTP, TLS or the like, that takes connections by its 'connection' event. */
export interface ConnectionTaker {
  emit(event: 'connection', socket: Socket): boolean
  readonly allowHalfOpen?: boolean
  readonly pauseOnConnect?: boolean
  readonly noDelay?: boolean
  readonly keepAlive?: boolean
  /** Seconds, unlike the option of this name. */
  readonly keepAliveInitialDelay?: number
  readonly highWaterMark?: number
  closeIdleConnections?(): void
  listeners?(event: 'secureConnection'): readonly unknown[]
  prependListener?(event: 'secureConnection', listener: (socket: TLSSocket) => void): unknown
  prependListener?(event: 'session', listener: (session: ServerHttp2Session) => void): unknown
}

/** Settles instead of emitting; every wait can be given up by a signal. */
export interface NetPromises {
  /**
   * @returns a connected socket.
   * @throws NetError ECONNREFUSED, ETIMEDOUT, EHOSTUNREACH, …; AbortError when given up: nothing is left of it then.
   */
  connect(options: NetConnectOptions): Promise<Socket>
  connect(port: number, host?: string): Promise<Socket>
  /**
   * @returns a server that listens. The signal only concerns the wait.
   * @throws NetError EADDRINUSE, EADDRNOTAVAIL, …
   */
  listen(options: ListenOptions & ServerOptions, connectionListener?: (socket: Socket) => void): Promise<Server>
  listen(port: number, connectionListener?: (socket: Socket) => void): Promise<Server>
}

/** The shape of `node:net`; see Node's documentation, and `Socket` and `Server` for what differs. */
export interface Net {
  readonly Socket: new (options?: SocketOptions) => Socket
  /** The same class, by the name Node kept from its first days. */
  readonly Stream: new (
    options?: SocketOptions,
  ) => Socket
  readonly Server: new (
    options?: ServerOptions | ((socket: Socket) => void),
    connectionListener?: (socket: Socket) => void,
  ) => Server
  createServer(options?: ServerOptions, connectionListener?: (socket: Socket) => void): Server
  createServer(connectionListener: (socket: Socket) => void): Server
  connect(options: NetConnectOptions, connectionListener?: () => void): Socket
  connect(port: number, host?: string, connectionListener?: () => void): Socket
  connect(port: number, connectionListener?: () => void): Socket
  createConnection(options: NetConnectOptions, connectionListener?: () => void): Socket
  createConnection(port: number, host?: string, connectionListener?: () => void): Socket
  createConnection(port: number, connectionListener?: () => void): Socket
  readonly isIP: typeof net.isIP
  readonly isIPv4: typeof net.isIPv4
  readonly isIPv6: typeof net.isIPv6
  readonly BlockList: typeof net.BlockList
  readonly SocketAddress: typeof net.SocketAddress
  /** Node's own: what is set there counts here, and the other way round. */
  readonly getDefaultAutoSelectFamily: typeof net.getDefaultAutoSelectFamily
  readonly setDefaultAutoSelectFamily: typeof net.setDefaultAutoSelectFamily
  readonly getDefaultAutoSelectFamilyAttemptTimeout: typeof net.getDefaultAutoSelectFamilyAttemptTimeout
  readonly setDefaultAutoSelectFamilyAttemptTimeout: typeof net.setDefaultAutoSelectFamilyAttemptTimeout
  readonly promises: NetPromises
  /**
   * A server of ours that hands its connections to a server of Node's, which then needs no port of the host:
   *
   *   node.net.attach(http.createServer(handler)).listen(80)
   *
   * Also for https, http2 and tls servers. Closing it closes Node's idle connections, as `http.Server.close` does.
   */
  attach(server: ConnectionTaker): Server
  /**
   * Shows connections to every address of a prefix before they are answered; see `Interception`.
   * @returns undo.
   * @throws NetError ENOTSUP — the transport cannot (the host's).
   */
  intercept: Intercept
}

/**
 * @param below the streams to use.
 * @param host the clock, timers and holds of the node.
 * @param hosts names the node knows.
 */
export function createNet(below: NetStreams, host: ApiHost, hosts: Hosts | Names = {}): Net {
  const context = new Context(below, host, asNames(hosts, below))

  class NodeSocket extends Socket {
    constructor(options?: SocketOptions) {
      super(context, options)
    }
  }
  Object.defineProperty(NodeSocket, 'name', { value: 'Socket' })

  class NodeServer extends Server {
    constructor(options?: ServerOptions | ((socket: Socket) => void), listener?: (socket: Socket) => void) {
      super(context, NodeSocket, options, listener)
    }

    /** With `captureRejections`, an async listener of 'connection' that fails is the end of that connection only. */
    override [captureRejectionSymbol](error: Error, event: string | symbol, socket?: unknown): void {
      if (event === 'connection' && socket instanceof NodeSocket) socket.destroy(error)
      else this.emit('error', error)
    }
  }
  Object.defineProperty(NodeServer, 'name', { value: 'Server' })

  function createServer(
    options?: ServerOptions | ((socket: Socket) => void),
    listener?: (socket: Socket) => void,
  ): Server {
    return new NodeServer(options, listener)
  }

  function connect(...args: unknown[]): Socket {
    const [options, listener] = splitArguments(args)
    const { timeout, signal } = options as Partial<NetConnectOptions>
    const socket = new NodeSocket(options as SocketOptions)
    if (NODE_EVENTS.clientSocket.hasSubscribers) NODE_EVENTS.clientSocket.publish({ socket })
    if (timeout) socket.setTimeout(timeout)
    // Node connects all the same, after 'close'.
    if (signal?.aborted) return socket
    return socket.connect(options as unknown as ConnectOptions, listener)
  }

  const SocketFunction = callable(NodeSocket)
  return {
    Socket: SocketFunction,
    Stream: SocketFunction,
    Server: callable(NodeServer),
    createServer,
    connect,
    createConnection: connect,
    isIP: net.isIP,
    isIPv4: net.isIPv4,
    isIPv6: net.isIPv6,
    BlockList: net.BlockList,
    SocketAddress: net.SocketAddress,
    getDefaultAutoSelectFamily: net.getDefaultAutoSelectFamily,
    setDefaultAutoSelectFamily: net.setDefaultAutoSelectFamily,
    getDefaultAutoSelectFamilyAttemptTimeout: net.getDefaultAutoSelectFamilyAttemptTimeout,
    setDefaultAutoSelectFamilyAttemptTimeout: net.setDefaultAutoSelectFamilyAttemptTimeout,
    promises: {
      connect: (...args: unknown[]) => connected(NodeSocket, args),
      listen: (options: number | (ListenOptions & ServerOptions), listener?: (socket: Socket) => void) =>
        listening(createServer, typeof options === 'number' ? { port: options } : options, listener),
    },
    attach: (taker) => attach(createServer, taker),
    intercept: interceptor(context, NodeSocket),
  }
}

/** A class that can be called without `new`, as Node's older ones can. */
function callable<Class extends new (...args: never[]) => object>(Made: Class): Class {
  function Callable(...args: unknown[]): object {
    return Reflect.construct(Made, args, new.target ?? Callable)
  }
  Object.setPrototypeOf(Callable, Made)
  Callable.prototype = Made.prototype
  Object.defineProperty(Callable, 'name', { value: Made.name })
  Object.defineProperty(Made.prototype, 'constructor', { value: Callable })
  return Callable as unknown as Class
}

function attach(createServer: Net['createServer'], taker: ConnectionTaker): Server {
  const server = createServer(
    {
      allowHalfOpen: taker.allowHalfOpen,
      pauseOnConnect: taker.pauseOnConnect,
      noDelay: taker.noDelay || isHttp2(taker),
      keepAlive: taker.keepAlive,
      keepAliveInitialDelay: (taker.keepAliveInitialDelay ?? 0) * 1000,
      highWaterMark: taker.highWaterMark,
    },
    (socket) => {
      socket.server = taker
      taker.emit('connection', socket)
      // Only now: the TLS socket ends by itself, or not, as the socket it was made over did.
      if (!isTls(taker)) return
      leaveEnd(socket)
      socket.holdBack()
    },
  )
  if (!taker.listeners?.('secureConnection').includes(join)) {
    taker.prependListener?.('secureConnection', join)
    taker.prependListener?.('session', introduce)
  }
  const close = server.close.bind(server)
  server.close = (callback) => {
    close(callback)
    taker.closeIdleConnections?.()
    return server
  }
  return server
}

function connected(SocketClass: Net['Socket'], args: readonly unknown[]): Promise<Socket> {
  const [options] = splitArguments(args)
  const { signal, ...rest } = options as Partial<NetConnectOptions>
  if (signal !== undefined) requireSignal(signal, 'options.signal')
  return settle(signal, (resolve, reject) => {
    const socket = new SocketClass(rest)
    if (typeof rest.timeout === 'number' && rest.timeout > 0) socket.setTimeout(rest.timeout)
    const fail = (error: Error): void => reject(error)
    socket.once('error', fail)
    socket.connect(rest as ConnectOptions, () => {
      socket.off('error', fail)
      resolve(socket)
    })
    return () => {
      socket.off('error', fail)
      socket.destroy()
    }
  })
}

function listening(
  createServer: Net['createServer'],
  options: ListenOptions & ServerOptions,
  listener: ((socket: Socket) => void) | undefined,
): Promise<Server> {
  const { signal, ...rest } = options
  if (signal !== undefined) requireSignal(signal, 'options.signal')
  return settle(signal, (resolve, reject) => {
    const server = createServer(rest, listener)
    server.once('error', reject)
    server.listen(rest, () => {
      server.off('error', reject)
      resolve(server)
    })
    return () => {
      server.close()
    }
  })
}
