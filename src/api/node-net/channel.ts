/**
 * Between a stream (Duplex) and a connection: octets in both directions under backpressure, and what becomes of it.
 *
 *            push(chunk)                         callback of write
 *   Duplex  ◄────────────┐  ┌── write(chunk) ──►  ▲
 *                      ┌─┴──▼──┐                  │
 *                      │channel│──────────────────┘ when all of the chunk is in the send queue
 *                      └─▲──┬──┘
 *           readable     │  │ write             While the stream is full nothing is read, and TCP's window closes.
 *   Connection ──────────┘  └──────►            While the send queue is full no callback comes, and the stream fills up.
 */
import type { OnReadOpts } from 'node:net'
import type { Duplex } from 'node:stream'
import type { NetError } from '../../kernel/errors.ts'
import type { Connection, ConnectionHandler } from '../sockets.ts'
import { cutChunk } from './chunks.ts'
import type { Context, NetStreams } from './context.ts'
import { NET_EVENTS } from './diagnostics.ts'
import { asCall, brokenPipe, coded, neverConnected } from './errors.ts'
import { IdleTimer } from './idle.ts'
import { lingering, UNHEARD } from './lingering.ts'
import { type Dialled, type Place, placeOf } from './place.ts'
import { type Tuning, tellKeepAlive } from './tuning.ts'

/** Largest chunk handed to a stream at once, as in Node. */
const CHUNK_OCTETS = 65_536

type Callback = (error?: Error | null) => void

/** What `_writev` gets. */
export interface Chunk {
  readonly chunk: Uint8Array
}

export class Channel implements ConnectionHandler {
  /** From `connect` until the handshake is complete. */
  connecting = false
  bytesRead = 0
  /** Octets in the send queue or beyond; and those of them whose write is still under way. */
  bytesTaken = 0
  bytesUnderWay = 0
  /** The stream has room. */
  reading = false
  /** Reset instead of closing, at the end. */
  resetting = false
  readonly tuning: Tuning = { noDelay: false, keepAlive: false, keepAliveDelay: 0 }
  idle: IdleTimer | null = null
  onread: OnReadOpts | null = null
  /** Addresses are shown as those of IPv6, as the socket of a host would that is of IPv6. */
  mapped = false
  /** Where the newest `connect` leads, as its errors tell it. */
  dialled: Dialled | undefined
  private connection: Connection | null = null
  private readonly context: Context<NetStreams>
  private readonly socket: Duplex
  private over = false
  private pumping = false
  /** Nothing is given to the stream for now. */
  private quiet = false
  private sawEnd = false
  /** Keeps the process alive while there is something to wait for; and whether it does so now. */
  private wantsHold = true
  private held = false
  /** What a write could not get rid of yet. */
  private queue: readonly Uint8Array[] | null = null
  private queueAt = 0
  private offset = 0
  private callback: Callback | null = null
  /** The peer, kept for when the connection is gone. */
  private peer: Place | undefined
  private lastQueued = 0

  constructor(context: Context<NetStreams>, socket: Duplex) {
    this.context = context
    this.socket = socket
  }

  /** A connection is under this channel, or is about to be. */
  get pending(): boolean {
    return this.connection === null || this.connecting
  }

  get below(): Connection | undefined {
    return this.connection ?? undefined
  }

  get local(): Place | undefined {
    return this.connection === null ? undefined : placeOf(this.connection.local, this.mapped)
  }

  get remote(): Place | undefined {
    if (this.peer === undefined && this.connection !== null && !this.connecting) {
      this.peer = placeOf(this.connection.remote, this.mapped)
    }
    return this.peer
  }

  /** A `connect` has begun. The process does not wait for lookup functions: what those wait for does. */
  begin(): void {
    this.connecting = true
    this.over = this.sawEnd = this.resetting = this.mapped = false
    this.reading = false
    this.peer = undefined
    this.bytesRead = this.bytesTaken = this.bytesUnderWay = 0
  }

  /** The connection is there: connecting still, or accepted and complete. */
  attach(connection: Connection): void {
    this.connection = connection
    this.weigh()
    // With Fast Open, what was written before goes with the SYN as far as it fits.
    if (this.connecting && connection.get('fastOpen') > 0) this.flush()
  }

  setNoDelay(enable: boolean): void {
    this.tuning.noDelay = enable
    if (this.connection !== null && !this.over) this.connection.set('noDelay', enable)
  }

  setKeepAlive(enable: boolean, delayMs: number): void {
    this.tuning.keepAlive = enable
    this.tuning.keepAliveDelay = delayMs
    if (this.connection !== null && !this.over) tellKeepAlive(this.connection, this.tuning)
  }

  setTimeout(periodMs: number): void {
    if (periodMs === 0 && this.idle === null) return
    this.idle ??= new IdleTimer(this.context.host, () => this.wasIdle())
    this.idle.start(Math.round(periodMs * 1000))
  }

  ref(): void {
    this.wantsHold = true
    this.weigh()
  }

  unref(): void {
    this.wantsHold = false
    this.letGo()
  }

  /** The stream has room: everything there is goes into it. */
  read(): void {
    this.reading = true
    this.pump()
    // It was over, all read but the end.
    if (this.over && this.connection !== null) this.end()
    this.weigh()
  }

  /** The stream has none. */
  stopReading(): void {
    this.reading = false
    this.weigh()
  }

  write(octets: Uint8Array, callback: Callback): void {
    const { connection } = this
    if (connection === null || this.connecting || this.over) {
      this.writeUnconnected([octets], callback)
      return
    }
    this.idle?.refresh()
    this.context.host.touched()
    const taken = this.offer(connection, octets, 0, octets.length, callback)
    if (taken === octets.length) this.done(callback)
    else if (taken >= 0) this.wait([octets], taken, callback)
  }

  /** Several chunks at once. They share segments anyway: connections send when the turn is over. */
  writev(chunks: readonly Chunk[], callback: Callback): void {
    const { connection } = this
    if (connection === null || this.connecting || this.over) {
      this.writeUnconnected(chunks.map(octetsOf), callback)
      return
    }
    this.idle?.refresh()
    this.context.host.touched()
    for (let i = 0; i < chunks.length; i++) {
      const { chunk } = chunks[i] as Chunk
      const taken = this.offer(connection, chunk, 0, chunk.length, callback)
      if (taken === chunk.length) continue
      if (taken >= 0) this.wait(chunks.slice(i).map(octetsOf), taken, callback)
      return
    }
    this.done(callback)
  }

  /** FIN after all that was written. Not while connecting. */
  shutdown(callback: Callback): void {
    this.context.host.touched()
    if (this.connection !== null && !this.over) this.connection.shutdown('write')
    // On a turn of its own, as Node's: who destroys the stream until then did not see it finish.
    setImmediate(callback)
  }

  /** The stream is destroyed: lets the connection go, orderly unless it is to be reset. */
  destroy(error: Error | null): void {
    this.context.host.touched()
    const { connection, connecting, over } = this
    this.connecting = false
    this.idle?.stop()
    if (connection !== null && !over) {
      connection.handler = this.held && !this.resetting ? lingering(connection, this.context) : UNHEARD
      if (this.resetting) connection.abort()
      else connection.close()
    }
    this.letGo()
    this.connection = null
    this.over = true
    // As in Node: a write that is given up with its socket tells of no error, unless the connection had one, or never was.
    const callback = this.giveUpWrite()
    if (connecting && callback !== null) this.socket.once('close', () => callback(neverConnected()))
    else callback?.(over ? error : null)
  }

  established(): void {
    this.context.host.touched()
    this.connecting = false
    this.idle?.refresh()
    if (NET_EVENTS.connect.hasSubscribers) NET_EVENTS.connect.publish({ socket: this.socket })
    this.socket.emit('connect')
    this.socket.emit('ready')
    if (this.reading || !this.socket.isPaused()) this.read()
    else this.weigh()
  }

  readable(): void {
    this.context.host.touched()
    this.idle?.refresh()
    if (this.connecting) return
    this.pump()
    if (!this.reading || this.sawEnd) this.weigh()
  }

  writable(): void {
    this.context.host.touched()
    this.idle?.refresh()
    if (!this.connecting) this.flush()
  }

  drained(): void {
    this.weigh()
  }

  closed(connection: Connection, error: NetError | null): void {
    this.context.host.touched()
    if (error?.code === 'ECONNABORTED') {
      // Our own doing: the connection was aborted through `connection`, or the node was closed.
      this.over = true
      this.socket.destroy()
      return
    }
    // A reset takes nothing from who has had all that his peer sent: as in Node, he hears of it when he writes.
    if (error !== null && !(error.code === 'ECONNRESET' && connection.ended)) {
      const { family, ...remote } = placeOf(connection.remote, this.mapped)
      const place = this.connecting && this.dialled !== undefined ? this.dialled : remote
      const failure = asCall(error, this.connecting ? 'connect' : this.queue !== null ? 'write' : 'read', place)
      if (this.connecting) {
        this.socket.emit('connectionAttemptFailed', place.address, place.port, family === 'IPv4' ? 4 : 6, failure)
      }
      this.over = true
      this.socket.destroy(failure)
      return
    }
    if (this.reading) this.end()
    this.over = true
    this.letGo()
    this.giveUpWrite()?.(brokenPipe())
  }

  softError(_connection: Connection, error: NetError): void {
    this.context.host.touched()
    this.socket.emit('icmp', asCall(error, 'icmp'))
  }

  unanswered(): void {
    this.context.host.touched()
    if (NET_EVENTS.unanswered.hasSubscribers) NET_EVENTS.unanswered.publish({ socket: this.socket })
    this.socket.emit('unanswered')
  }

  /** Gives nothing to the stream until all that was to be done on the next tick is done. */
  holdBack(): void {
    this.quiet = true
    process.nextTick(() => {
      this.quiet = false
      this.pump()
    })
  }

  private pump(): void {
    const { connection } = this
    if (this.pumping || this.quiet || connection === null || this.over || this.connecting) return
    this.pumping = true
    try {
      while (this.reading && this.connection === connection && connection.readableOctets > 0) this.take(connection)
    } catch (error) {
      // A listener's. The next octets are another event.
      process.nextTick(() => this.pump())
      throw error
    } finally {
      this.pumping = false
    }
    if (this.reading && connection.ended && this.connection === connection) this.end()
  }

  private take(connection: Connection): void {
    if (this.onread !== null) {
      this.takeInto(connection, this.onread)
      return
    }
    const length = Math.min(connection.readableOctets, CHUNK_OCTETS)
    const chunk = cutChunk(length)
    const n = connection.read(chunk, 0, length)
    this.bytesRead += n
    if (!this.socket.push(n === length ? chunk : chunk.subarray(0, n))) this.reading = false
  }

  private takeInto(connection: Connection, onread: OnReadOpts): void {
    const buffer = typeof onread.buffer === 'function' ? onread.buffer() : onread.buffer
    const n = connection.read(buffer, 0, buffer.length)
    this.bytesRead += n
    if (onread.callback(n, buffer) === false) this.reading = false
  }

  /**
   * On a turn of its own, as Node's: what was read before has been dealt with then. An HTTP server has written its answer to a
   * client that ends with its request; the end would stop it.
   */
  private end(): void {
    if (this.sawEnd) return
    this.sawEnd = true
    this.context.host.touched()
    setImmediate(pushEnd, this)
  }

  /** Not for a connection that followed in the meantime. */
  tellEnd(): void {
    if (!this.sawEnd || this.socket.destroyed) return
    this.context.host.touched()
    this.socket.push(null)
    // Nobody may be reading; the end of an empty stream needs no reader.
    this.socket.read(0)
  }

  /** @returns octets taken, or -1 after a failure that was told to the callback. */
  private offer(c: Connection, octets: Uint8Array, start: number, length: number, callback: Callback): number {
    try {
      const taken = c.write(octets, start, length)
      this.bytesTaken += taken
      this.bytesUnderWay += taken
      return taken
    } catch (error) {
      callback(asCall(error, 'write'))
      return -1
    }
  }

  private writeUnconnected(queue: readonly Uint8Array[], callback: Callback): void {
    if (this.connecting) {
      // In line with what others want to do then, as Node does it: `end` and `resetAndDestroy` come behind it.
      this.socket.once('connect', () => this.flush())
      this.wait(queue, 0, callback)
    } else callback(this.connection === null ? coded(new Error('Socket is closed'), 'ERR_SOCKET_CLOSED') : brokenPipe())
  }

  private wait(queue: readonly Uint8Array[], offset: number, callback: Callback): void {
    this.queue = queue
    this.queueAt = 0
    this.offset = offset
    this.callback = callback
    this.weigh()
  }

  /** Goes on with a write that had to wait. */
  private flush(): void {
    const { connection, queue, callback } = this
    if (queue === null || connection === null || callback === null) return
    for (; this.queueAt < queue.length; this.queueAt++) {
      const octets = queue[this.queueAt] as Uint8Array
      const taken = this.offer(connection, octets, this.offset, octets.length - this.offset, callback)
      if (taken < 0) break
      this.offset += taken
      if (this.offset < octets.length) return
      this.offset = 0
    }
    const done = this.queueAt === queue.length
    this.queue = this.callback = null
    if (done) this.done(callback)
    this.weigh()
  }

  private done(callback: Callback): void {
    this.bytesUnderWay = 0
    callback()
  }

  /** @returns the callback of the write under way, to be told of its end; null: there is none. */
  private giveUpWrite(): Callback | null {
    const { callback } = this
    this.queue = this.callback = null
    return callback
  }

  /** The send queue moving is a sign of life, too. */
  private wasIdle(): void {
    const queued = this.connection === null || this.over ? 0 : this.connection.queuedOctets
    if (queued > 0 && queued !== this.lastQueued) {
      this.lastQueued = queued
      this.idle?.refresh()
      return
    }
    this.context.host.touched()
    this.socket.emit('timeout')
  }

  /** As a handle of the host's, it keeps the process alive to connect, to read, and until all is written. */
  private weigh(): void {
    const { connection } = this
    if (connection === null || this.over) return
    const reads = this.reading && !this.sawEnd
    if (reads || this.connecting || this.queue !== null || connection.notifyDrained()) this.hold()
    else this.letGo()
  }

  private hold(): void {
    if (this.held || !this.wantsHold) return
    this.held = true
    this.context.hold()
  }

  private letGo(): void {
    if (!this.held) return
    this.held = false
    this.context.release()
  }
}

const octetsOf = ({ chunk }: Chunk): Uint8Array => chunk

function pushEnd(channel: Channel): void {
  channel.tellEnd()
}
