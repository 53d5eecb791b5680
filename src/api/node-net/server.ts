/** The `net.Server` of a node. */
import type { AsyncResource } from 'node:async_hooks'
import { EventEmitter } from 'node:events'
import type net from 'node:net'
import { NetError } from '../../kernel/errors.ts'
import type { Connection, Listener, ListenHandler } from '../sockets.ts'
import {
  type ConnectExtras,
  type ListenPlan,
  listenPlan,
  type ServerOptions,
  type SocketOptions,
  splitArguments,
} from './arguments.ts'
import { scopeOf, tell, throwLater } from './async-scope.ts'
import { isBlocked, requireBlockList } from './block-list.ts'
import type { Context, NetStreams } from './context.ts'
import { NET_EVENTS, NODE_EVENTS } from './diagnostics.ts'
import { asCall, coded, invalidArgType, requireNumber, requireSignal } from './errors.ts'
import { type Found, textOf } from './names.ts'
import { placeOf } from './place.ts'
import type { Socket } from './socket.ts'
import { connectionOptions } from './tuning.ts'

/** What `listen` takes: Node's options, and ours. */
export type ListenOptions = net.ListenOptions & ConnectExtras

/** What Node makes of `maxConnections = 0`, which has changed. */
const NONE_IS_A_LIMIT = Number.parseInt(process.versions.node, 10) >= 21

/** Makes the sockets of a node; what `node.net.Socket` is. */
export type SocketClass = new (options?: SocketOptions) => Socket

/**
 * A TCP server in the shape of Node's. What `net.Server`'s documentation says holds, except for local sockets, handles and
 * clusters; without a host it listens on all addresses.
 */
export class Server extends EventEmitter implements net.Server {
  /** More connections than this are closed at once, with 'drop'. 0 is no limit on Node 20, and none to take from 21 on, as there. */
  declare maxConnections: number
  /** Close what exceeds `maxConnections`; always so here, since there are no cluster workers to hand it to. */
  declare dropMaxConnection: boolean
  readonly allowHalfOpen: boolean
  readonly pauseOnConnect: boolean
  readonly noDelay: boolean
  readonly keepAlive: boolean
  /** Milliseconds. */
  readonly keepAliveInitialDelay: number
  readonly highWaterMark: number | undefined
  readonly blockList: net.BlockList | undefined
  readonly #context: Context<NetStreams>
  readonly #SocketClass: SocketClass
  readonly #socketOptions: SocketOptions
  readonly #ears: ListenHandler = {
    acceptable: (listener) => tell(this.#scope, this.#accept, this, listener),
    closed: (_listener, error) => tell(this.#scope, this.#lost, this, error),
  }
  /** Of the call of `listen`. */
  #scope: AsyncResource = scopeOf('SERVER')
  #listener: Listener | undefined
  #forget: (() => void) | undefined
  /** The newest call of `listen`, while its host is resolved. */
  #plan: ListenPlan | undefined
  #connections = 0
  #wantsHold = true
  #held = false

  /** Applications use `node.net.createServer(options, listener)`. */
  constructor(
    context: Context<NetStreams>,
    SocketClass: SocketClass,
    options?: ServerOptions | ((socket: Socket) => void),
    listener?: (socket: Socket) => void,
  ) {
    super()
    this.#context = context
    this.#SocketClass = SocketClass
    const settings = serverOptions(options)
    const onConnection = typeof options === 'function' ? options : listener
    if (typeof onConnection === 'function') this.on('connection', onConnection)
    this.allowHalfOpen = settings.allowHalfOpen ?? false
    this.pauseOnConnect = Boolean(settings.pauseOnConnect)
    this.noDelay = Boolean(settings.noDelay)
    this.keepAlive = Boolean(settings.keepAlive)
    this.keepAliveInitialDelay = Math.max(0, settings.keepAliveInitialDelay ?? 0)
    this.highWaterMark = settings.highWaterMark
    this.blockList = settings.blockList
    this.#socketOptions = {
      allowHalfOpen: this.allowHalfOpen,
      noDelay: this.noDelay,
      keepAlive: this.keepAlive,
      keepAliveInitialDelay: this.keepAliveInitialDelay,
      highWaterMark: this.highWaterMark,
    }
  }

  get listening(): boolean {
    return this.#listener !== undefined
  }

  /** @deprecated as in Node: use `getConnections`. */
  get connections(): number {
    return this.#connections
  }

  /**
   * Starts to listen; 'listening' or 'error' follows.
   * @throws Error ERR_SERVER_ALREADY_LISTEN. TypeError ERR_INVALID_ARG_VALUE. RangeError ERR_SOCKET_BAD_PORT
   */
  listen(port?: number, hostname?: string, backlog?: number, listeningListener?: () => void): this
  listen(port?: number, hostname?: string, listeningListener?: () => void): this
  listen(port?: number, backlog?: number, listeningListener?: () => void): this
  listen(port?: number, listeningListener?: () => void): this
  listen(listeningListener: () => void): this
  listen(path: string, backlog?: number, listeningListener?: () => void): this
  listen(path: string, listeningListener?: () => void): this
  listen(options: ListenOptions, listeningListener?: () => void): this
  listen(...args: unknown[]): this {
    if (this.listening) {
      throw coded(
        new Error('Listen method has been called more than once without closing.'),
        'ERR_SERVER_ALREADY_LISTEN',
      )
    }
    const { asyncStart } = NODE_EVENTS.listen
    if (asyncStart.hasSubscribers) asyncStart.publish({ server: this, options: splitArguments(args)[0] })
    const [plan, listener] = listenPlan(args)
    if (plan.signal !== undefined) this.#closeWith(plan.signal)
    this.#context.host.touched()
    if (listener !== undefined) this.once('listening', listener)
    this.#scope = scopeOf('SERVER')
    this.#plan = undefined
    if (plan.host === undefined) {
      this.#open(plan, undefined)
    } else {
      this.#plan = plan
      process.nextTick(() => this.#resolve(plan, plan.host ?? ''))
    }
    return this
  }

  /** Stops listening; 'close', and the callback, follow when the last connection has closed. */
  close(callback?: (error?: Error) => void): this {
    this.#context.host.touched()
    if (typeof callback === 'function') {
      if (this.listening) this.once('close', callback)
      else this.once('close', () => callback(coded(new Error('Server is not running.'), 'ERR_SERVER_NOT_RUNNING')))
    }
    this.#plan = undefined
    this.#listener?.close()
    this.#stopped()
    this.#closeIfDrained()
    return this
  }

  /** @returns where it listens, or null when it does not. */
  address(): net.AddressInfo | null {
    return this.#listener === undefined ? null : placeOf(this.#listener.local)
  }

  getConnections(callback: (error: Error | null, count: number) => void): this {
    process.nextTick(callback, null, this.#connections)
    return this
  }

  ref(): this {
    this.#wantsHold = true
    if (this.listening) this.#hold()
    return this
  }

  unref(): this {
    this.#wantsHold = false
    this.#letGo()
    return this
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.listening) return
    await new Promise<void>((resolve, reject) => {
      this.close((error) => (error === undefined ? resolve() : reject(error)))
    })
  }

  #resolve(plan: ListenPlan, host: string): void {
    // It was closed, or told to listen elsewhere.
    if (this.#plan !== plan) return
    this.#plan = undefined
    this.#context.host.touched()
    const found = this.#context.names.resolve(host, 0)
    if (NetError.is(found)) this.emit('error', found)
    else this.#open(plan, found)
  }

  #open(plan: ListenPlan, found: Found | undefined): void {
    const { port, backlog, ipv6Only } = plan
    const link = plan.link ?? (found?.zone || undefined)
    const address = found?.address
    try {
      const options = connectionOptions(
        { noDelay: this.noDelay, keepAlive: this.keepAlive, keepAliveDelay: this.keepAliveInitialDelay },
        plan.tcp,
      )
      this.#listener = this.#context.below.stream.listen(
        { address, ipv6Only, port, backlog, link, options },
        this.#ears,
      )
    } catch (error) {
      const every = this.#context.below.ipv6 === true ? '::' : '0.0.0.0'
      const failure = asCall(error, 'listen', { address: found === undefined ? every : textOf(found), port })
      const { error: failed } = NODE_EVENTS.listen
      if (failed.hasSubscribers) failed.publish({ server: this, error: failure })
      process.nextTick(emitError, this, failure)
      return
    }
    this.#hold()
    this.#forget = this.#context.opened(() => this.close())
    process.nextTick(emitListening, this)
  }

  #accept(listener: Listener): void {
    this.#context.host.touched()
    for (let connection = listener.accept(); connection !== undefined; connection = listener.accept()) {
      const mapped = !listener.local.address.isIpv4
      if (this.#isFull) this.#drop(connection, mapped)
      else if (isBlocked(this.blockList, placeOf(connection.remote, mapped))) connection.close()
      else this.#welcome(connection, mapped)
      // A listener of 'connection' may have closed the server.
      if (this.#listener !== listener) return
    }
  }

  get #isFull(): boolean {
    const { maxConnections: limit } = this
    return (limit > 0 || (limit === 0 && NONE_IS_A_LIMIT)) && this.#connections >= limit
  }

  #welcome(connection: Connection, mapped: boolean): void {
    const socket = new this.#SocketClass(this.#socketOptions)
    socket.adopt(connection, this.pauseOnConnect, mapped, this.#left)
    this.#connections++
    socket.server = this
    if (NET_EVENTS.accept.hasSubscribers) NET_EVENTS.accept.publish({ socket, server: this })
    try {
      this.emit('connection', socket)
    } catch (error) {
      // The next connection is another event.
      throwLater(error)
    }
    if (NODE_EVENTS.serverSocket.hasSubscribers) NODE_EVENTS.serverSocket.publish({ socket })
    socket.begin()
  }

  #drop(connection: Connection, mapped: boolean): void {
    const local = placeOf(connection.local, mapped)
    const remote = placeOf(connection.remote, mapped)
    connection.close()
    const data: net.DropArgument = {
      localAddress: local.address,
      localPort: local.port,
      localFamily: local.family,
      remoteAddress: remote.address,
      remotePort: remote.port,
      remoteFamily: remote.family,
    }
    this.emit('drop', data)
  }

  /** The address it listened on was taken away. */
  #lost(error: NetError): void {
    this.#context.host.touched()
    this.#stopped()
    this.emit('error', asCall(error, 'listen'))
    this.#closeIfDrained()
  }

  readonly #left = (): void => {
    this.#connections--
    this.#closeIfDrained()
  }

  #closeIfDrained(): void {
    if (!this.listening && this.#connections === 0) process.nextTick(emitServerClose, this)
  }

  #closeWith(signal: AbortSignal): void {
    requireSignal(signal, 'options.signal')
    if (signal.aborted) {
      process.nextTick(() => this.close())
      return
    }
    const close = (): void => {
      this.close()
    }
    signal.addEventListener('abort', close, { once: true })
    this.once('close', () => signal.removeEventListener('abort', close))
  }

  #stopped(): void {
    this.#listener = undefined
    this.#forget?.()
    this.#forget = undefined
    this.#letGo()
  }

  #hold(): void {
    if (this.#held || !this.#wantsHold) return
    this.#held = true
    this.#context.hold()
  }

  #letGo(): void {
    if (!this.#held) return
    this.#held = false
    this.#context.release()
  }
}

function serverOptions(options: ServerOptions | ((socket: Socket) => void) | undefined | null): ServerOptions {
  if (typeof options === 'function' || options === undefined || options === null) return {}
  if (typeof options !== 'object') throw invalidArgType('options', 'of type object', options)
  for (const name of ['keepAliveInitialDelay', 'highWaterMark'] as const) {
    if (options[name] !== undefined) requireNumber(options[name], `options.${name}`)
  }
  requireBlockList(options.blockList, 'options.blockList')
  return options
}

function emitListening(server: Server): void {
  // It may have been closed in the same tick.
  if (!server.listening) return
  const { asyncEnd } = NODE_EVENTS.listen
  if (asyncEnd.hasSubscribers) asyncEnd.publish({ server })
  server.emit('listening')
}

function emitError(server: Server, error: Error): void {
  server.emit('error', error)
}

function emitServerClose(server: Server): void {
  server.emit('close')
}
