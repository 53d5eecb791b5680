/** The `net.Socket` of a node: a Duplex whose octets go through our stack. */
import type net from 'node:net'
import { addAbortSignal, Duplex, type DuplexOptions } from 'node:stream'
import { outOfRange } from '../../kernel/errors.ts'
import type { Connection, ConnectionHandler, ConnectionInfo } from '../sockets.ts'
import { type ConnectExtras, type ConnectPlan, connectPlan, type SocketOptions, splitArguments } from './arguments.ts'
import { ScopedHandler } from './async-scope.ts'
import { requireBlockList } from './block-list.ts'
import { Channel, type Chunk } from './channel.ts'
import type { Context, NetStreams } from './context.ts'
import { NET_EVENTS } from './diagnostics.ts'
import { type Dialling, dial, refuse, repeat } from './dial.ts'
import { coded, invalidArgValue, requireFunction, requireNumber, requireSignal } from './errors.ts'

/** What `connect` takes: Node's options, and ours. */
export type ConnectOptions = net.SocketConnectOpts & ConnectExtras

/** Longer timeouts are cut to this, as Node does: 24.8 days. */
const LONGEST_TIMEOUT_MS = 0x7fff_ffff

/**
 * A TCP socket in the shape of Node's. What `net.Socket`'s documentation says holds, except for what only the host has:
 * descriptors, handles and local sockets. It also emits 'icmp' (error) when a router or host reports a problem that does
 * not end the connection.
 */
export class Socket extends Duplex implements net.Socket {
  /** Milliseconds, after `setTimeout`. */
  declare timeout?: number
  /** The server that accepted it. Assigned by servers, Node's HTTP server included. */
  server: unknown = null
  /** 'address:port' of each attempt of `connect`, once a name had several addresses. */
  declare autoSelectFamilyAttemptedAddresses: string[]
  /** Where it does not connect to. */
  readonly blockList: net.BlockList | undefined
  readonly #context: Context<NetStreams>
  readonly #channel: Channel
  /** Of the newest connection. */
  #handler: ScopedHandler | undefined
  /** Of the server that accepted it. */
  #left: (() => void) | undefined

  /** Applications use `new node.net.Socket(options)`, which knows its node. */
  constructor(context: Context<NetStreams>, given?: SocketOptions | null) {
    requireNoHandle(given)
    const options = given ?? {}
    super(duplexOptions(options))
    this.#context = context
    this.#channel = new Channel(context, this)
    requireBlockList(options.blockList, 'options.blockList')
    this.blockList = options.blockList
    this.on('end', refuseWritesAfterEnd)
    if (options.noDelay === true) this.#channel.tuning.noDelay = true
    if (options.keepAlive === true) this.#channel.tuning.keepAlive = true
    if (options.keepAliveInitialDelay !== undefined) {
      requireNumber(options.keepAliveInitialDelay, 'options.keepAliveInitialDelay')
      this.#channel.tuning.keepAliveDelay = Math.max(0, options.keepAliveInitialDelay)
    }
    if (isOnRead(options.onread)) {
      const { buffer, callback } = options.onread
      this.#channel.onread = { buffer, callback: callback.bind(this) }
    }
    // Last, as a signal that has been given already destroys what is made here.
    if (options.signal !== undefined) {
      requireSignal(options.signal, 'signal')
      addAbortSignal(options.signal, this)
    }
  }

  /** The connection of the small API below, for its options and figures; undefined while there is none. */
  get connection(): Connection | undefined {
    return this.#channel.below
  }

  /** Figures of the connection: round trips, windows, losses (a part of Linux's TCP_INFO); undefined while there is none. */
  info(): ConnectionInfo | undefined {
    return this.#channel.below?.info()
  }

  get connecting(): boolean {
    return this.#channel.connecting
  }

  /** Not connected yet, or no longer. */
  get pending(): boolean {
    return this.#channel.pending
  }

  get readyState(): net.SocketReadyState {
    if (this.connecting) return 'opening'
    if (this.readable) return this.writable ? 'open' : 'readOnly'
    return this.writable ? 'writeOnly' : 'closed'
  }

  get bytesRead(): number {
    return this.#channel.bytesRead
  }

  /** Octets written, those that still wait here included. */
  get bytesWritten(): number {
    return this.#channel.bytesTaken - this.#channel.bytesUnderWay + this.writableLength
  }

  /** @deprecated as in Node: use `writableLength`. Undefined without a connection. */
  get bufferSize(): number {
    return (this.#isUsed ? this.writableLength : undefined) as number
  }

  get localAddress(): string {
    return this.#channel.local?.address as string
  }

  get localPort(): number {
    return this.#channel.local?.port as number
  }

  get localFamily(): string {
    return this.#channel.local?.family as string
  }

  get remoteAddress(): string | undefined {
    return this.#channel.remote?.address
  }

  get remotePort(): number | undefined {
    return this.#channel.remote?.port
  }

  get remoteFamily(): string | undefined {
    return this.#channel.remote?.family
  }

  address(): net.AddressInfo | Record<string, never> {
    return this.#channel.local ?? {}
  }

  /**
   * Starts to connect; 'connect' or 'error' follows.
   * @throws TypeError ERR_MISSING_ARGS, ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE (a path), ERR_INVALID_IP_ADDRESS
   * @throws RangeError ERR_SOCKET_BAD_PORT
   */
  connect(options: ConnectOptions, connectionListener?: () => void): this
  connect(port: number, host: string, connectionListener?: () => void): this
  connect(port: number, connectionListener?: () => void): this
  connect(path: string, connectionListener?: () => void): this
  connect(...args: unknown[]): this {
    const [options, listener] = splitArguments(args)
    const plan = connectPlan(options)
    this.#context.host.touched()
    if (listener !== undefined) this.once('connect', listener)
    if (this.#isUsed) {
      process.nextTick(this.connecting ? refuse : repeat, this.#call(plan, this.#handler as ScopedHandler))
      return this
    }
    if (Object.hasOwn(this, 'write')) Reflect.deleteProperty(this, 'write')
    if (this.destroyed) revive(this)
    this.#channel.begin()
    process.nextTick(dial, this.#call(plan, this.#listen()))
    return this
  }

  setNoDelay(noDelay = true): this {
    this.#channel.setNoDelay(Boolean(noDelay))
    return this
  }

  /** @param initialDelay milliseconds without traffic before the first probe; 0 leaves it as it is. */
  setKeepAlive(enable = false, initialDelay = 0): this {
    this.#channel.setKeepAlive(Boolean(enable), Math.max(0, Number(initialDelay) || 0))
    return this
  }

  /**
   * 'timeout' after so many milliseconds (of the node's clock) without traffic; the socket stays open. 0 turns it off.
   * @throws TypeError ERR_INVALID_ARG_TYPE. RangeError ERR_OUT_OF_RANGE
   */
  setTimeout(timeout: number, callback?: () => void): this {
    if (this.destroyed) return this
    requireNumber(timeout, 'msecs')
    if (!(timeout >= 0 && timeout < Number.POSITIVE_INFINITY)) {
      throw outOfRange('msecs', 'a non-negative finite number', timeout)
    }
    if (callback !== undefined) requireFunction(callback, 'callback')
    this.timeout = timeout
    this.#channel.setTimeout(Math.min(timeout, LONGEST_TIMEOUT_MS))
    if (callback !== undefined) {
      if (timeout === 0) this.removeListener('timeout', callback)
      else this.once('timeout', callback)
    }
    return this
  }

  ref(): this {
    this.#channel.ref()
    return this
  }

  unref(): this {
    this.#channel.unref()
    return this
  }

  /** Ends, and destroys when all has been written. */
  destroySoon(): void {
    if (this.writable) this.end()
    if (this.writableFinished) this.destroy()
    else this.once('finish', this.destroy)
  }

  /** Resets the connection: what the peer has not read yet is lost to it. */
  resetAndDestroy(): this {
    if (this.#channel.pending && !this.connecting) {
      this.destroy(coded(new Error('Socket is closed'), 'ERR_SOCKET_CLOSED'))
    } else if (this.connecting) {
      this.once('connect', () => this.resetAndDestroy())
    } else {
      this.#channel.resetting = true
      this.destroy()
    }
    return this
  }

  override pause(): this {
    if (this.#channel.onread !== null) this.#channel.stopReading()
    return super.pause()
  }

  override resume(): this {
    if (this.#channel.onread !== null) this.#channel.read()
    return super.resume()
  }

  /**
   * For a server: the connection it accepted. Reads from it once `connection` listeners have run; see `Channel.read`.
   * @param mapped it listens on an IPv6 address, and so shows all addresses as such.
   * @param left told when it closes, whatever becomes of the listeners.
   */
  adopt(connection: Connection, paused: boolean, mapped: boolean, left: () => void): this {
    this.#left = left
    this.#channel.mapped = mapped
    this.#channel.reading = !paused
    this.#channel.attach(connection)
    connection.handler = this.#listen()
    if (paused) super.pause()
    return this
  }

  /** For TLS, which takes twice what waits before it has begun, on the next tick. */
  holdBack(): void {
    this.#channel.holdBack()
  }

  /** For a server: takes what has arrived already. */
  begin(): void {
    if (!this.isPaused()) this.#channel.read()
  }

  /** For an interception: the handler of a connection to be, whose handshake is under way. */
  expect(take: (handler: ConnectionHandler, channel: Channel) => Connection): this {
    this.#channel.begin()
    this.#channel.attach(take(this.#listen(), this.#channel))
    return this
  }

  override _read(): void {
    this.#channel.read()
  }

  override _write(chunk: Uint8Array, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    this.#channel.write(chunk, callback)
  }

  override _writev(chunks: Chunk[], callback: (error?: Error | null) => void): void {
    this.#channel.writev(chunks, callback)
  }

  override _final(callback: (error?: Error | null) => void): void {
    if (this.connecting) this.once('connect', () => this.#channel.shutdown(callback))
    else this.#channel.shutdown(callback)
  }

  /** What is heard of a connection is told in the async context of now. */
  #listen(): ScopedHandler {
    this.#handler = new ScopedHandler(this.#channel)
    return this.#handler
  }

  #call(plan: ConnectPlan, handler: ScopedHandler): Dialling {
    return { channel: this.#channel, socket: this, context: this.#context, plan, handler }
  }

  /** There is a connection, or one under way. */
  get #isUsed(): boolean {
    return this.connecting || !this.pending
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    const isUsed = this.#isUsed
    this.#channel.destroy(error)
    if (error && NET_EVENTS.error.hasSubscribers) NET_EVENTS.error.publish({ socket: this, error })
    callback(error)
    this.#left?.()
    this.#left = undefined
    // When what the error sets off has been dealt with, as Node does once the descriptor is closed.
    if (isUsed && this.#handler !== undefined) setImmediate(emitCloseIn, this.#handler, this, Boolean(error))
    else process.nextTick(emitClose, this, undefined)
  }
}

type StreamOptions = DuplexOptions & { readable?: boolean; writable?: boolean }

function duplexOptions(options: SocketOptions): StreamOptions {
  for (const name of ['objectMode', 'readableObjectMode', 'writableObjectMode'] as const) {
    if (options[name]) throw invalidArgValue(`options.${name}`, 'is not supported', options[name])
  }
  // 'close' carries hadError, so the socket emits it itself.
  const made: StreamOptions = { allowHalfOpen: Boolean(options.allowHalfOpen), emitClose: false }
  if (options.readable === false) made.readable = false
  if (options.writable === false) made.writable = false
  if (options.highWaterMark !== undefined) made.highWaterMark = options.highWaterMark
  if (options.readableHighWaterMark !== undefined) made.readableHighWaterMark = options.readableHighWaterMark
  if (options.writableHighWaterMark !== undefined) made.writableHighWaterMark = options.writableHighWaterMark
  return made
}

/** Node's checks of a descriptor; and one that is none of ours to use. */
function requireNoHandle(given: unknown): void {
  const { fd, handle } = (typeof given === 'number' ? { fd: given } : (given ?? {})) as {
    fd?: unknown
    handle?: unknown
  }
  if (fd !== undefined) {
    requireNumber(fd, 'fd')
    if (!Number.isInteger(fd)) throw outOfRange('fd', 'an integer', fd)
    if (fd < 0 || fd > 0x7fff_ffff) throw outOfRange('fd', '>= 0 && <= 2147483647', fd)
  }
  if (fd === undefined && !handle) return
  const name = fd === undefined ? 'handle' : 'fd'
  throw invalidArgValue(`options.${name}`, 'is not supported: descriptors and handles belong to the host', fd ?? 'one')
}

function isOnRead(onread: net.OnReadOpts | undefined): onread is net.OnReadOpts {
  if (typeof onread !== 'object' || onread === null || typeof onread.callback !== 'function') return false
  return onread.buffer instanceof Uint8Array || typeof onread.buffer === 'function'
}

function refuseWritesAfterEnd(this: Socket): void {
  if (!this.allowHalfOpen) this.write = writeAfterEnd
}

/** Node's own answer to a write on a socket whose peer has ended: EPIPE, and the socket is destroyed. */
function writeAfterEnd(this: Socket, chunk: unknown, encoding?: unknown, callback?: unknown): boolean {
  const done = typeof encoding === 'function' ? encoding : callback
  if (!this.writableEnded)
    return Socket.prototype.write.call(this, chunk, encoding as BufferEncoding, done as () => void)
  const error = coded(new Error('This socket has been ended by the other party'), 'EPIPE')
  if (typeof done === 'function') process.nextTick(done as (error: Error) => void, error)
  this.destroy(error)
  return false
}

function emitCloseIn(handler: ScopedHandler, socket: Socket, hadError: boolean): void {
  handler.run(emitClose, socket, hadError)
}

/** @param hadError undefined where there was nothing to close: Node says nothing then. */
function emitClose(socket: Socket, hadError: boolean | undefined): void {
  if (NET_EVENTS.close.hasSubscribers) NET_EVENTS.close.publish({ socket })
  if (hadError === undefined) socket.emit('close')
  else socket.emit('close', hadError)
}

/** A destroyed stream as good as new: Node allows `connect` again after 'close', by this undocumented method of streams. */
function revive(socket: Duplex): void {
  const { _undestroy: undestroy } = socket as Duplex & { _undestroy(): void }
  undestroy.call(socket)
}
