/** One TCP connection of the host behind the small API: a paused net.Socket that is read from when asked. */
import type { Socket } from 'node:net'
import type { Duration } from '../../kernel/clock.ts'
import { NetError } from '../../kernel/errors.ts'
import type { Connection, ConnectionHandler, ConnectionInfo, ConnectionOptions, ConnectionState } from '../sockets.ts'
import { HostEndpoint, hostError } from './host.ts'

const DEFAULTS: Readonly<ConnectionOptions> = {
  noDelay: false,
  cork: false,
  maxSegment: 0,
  userTimeout: 0,
  advertisedTimeout: 0,
  fastOpen: 0,
  keepAlive: false,
  keepAliveIdle: 7_200_000_000,
  keepAliveInterval: 75_000_000,
  keepAliveCount: 9,
  synRetries: 6,
  sendBuffer: 262_144,
  receiveBuffer: 65_536,
  trafficClass: 0,
  ttl: 64,
  pathMtuDiscovery: true,
  linger: undefined,
  congestionControl: 'cubic',
  maxPacingRate: 0,
  notSentLowWater: 0,
}

/** `new` for each socket, whether it is connecting or was accepted. */
export class HostConnection implements Connection {
  handler: ConnectionHandler
  readonly local: HostEndpoint = new HostEndpoint()
  readonly remote: HostEndpoint = new HostEndpoint()
  ended = false
  private readonly socket: Socket
  /** Of our own, so that what the host cannot do is at least remembered. */
  private readonly options: ConnectionOptions
  private failed: NetError | null = null
  private finished = false
  private over = false
  private toldReadable = false
  private wantsWritable = false
  private wantsDrained = false
  private deaf = false

  constructor(socket: Socket, handler: ConnectionHandler, options: Partial<ConnectionOptions> = {}) {
    this.socket = socket
    this.handler = handler
    this.options = { ...DEFAULTS, ...options }
    socket.unref()
    socket.on('connect', () => this.connected())
    socket.on('readable', () => this.arrived())
    socket.on('end', () => this.end())
    socket.on('error', (error) => {
      this.failed ??= hostError(error)
    })
    socket.on('close', () => this.gone())
    if (!socket.connecting) this.placed()
  }

  get state(): ConnectionState {
    if (this.over) return 'CLOSED'
    if (this.socket.connecting) return 'SYN-SENT'
    if (this.finished) return this.ended ? 'LAST-ACK' : 'FIN-WAIT-2'
    return this.ended ? 'CLOSE-WAIT' : 'ESTABLISHED'
  }

  get readableOctets(): number {
    return this.socket.readableLength
  }

  get writableOctets(): number {
    if (this.over || this.finished || this.socket.connecting) return 0
    return Math.max(0, this.options.sendBuffer - this.socket.writableLength)
  }

  get queuedOctets(): number {
    return this.socket.writableLength
  }

  write(octets: Uint8Array, start = 0, length: number = octets.length - start): number {
    if (this.over || this.socket.connecting) throw this.refused('ENOTCONN')
    if (this.finished || !this.socket.writable) throw this.refused('EPIPE')
    const taken = Math.min(length, this.writableOctets)
    if (taken < length) this.wantsWritable = true
    if (taken > 0) this.socket.write(Buffer.from(octets.subarray(start, start + taken)), this.wrote)
    return taken
  }

  read(into: Uint8Array, start = 0, length: number = into.length - start): number {
    const n = Math.min(length, this.socket.readableLength)
    if (n > 0) into.set(this.socket.read(n) as Buffer, start)
    if (this.socket.readableLength === 0) {
      this.toldReadable = false
      // Lets the stream notice that it is at its end, or ask the host for more.
      this.socket.read(0)
    }
    return n
  }

  /** The host's segments are its own affair. */
  endRecord(): void {}

  notifyDrained(): boolean {
    this.wantsDrained = this.socket.writableLength > 0
    return this.wantsDrained
  }

  shutdown(direction: 'read' | 'write'): void {
    if (direction === 'read') {
      this.deaf = true
      this.discard()
    } else if (!this.finished) {
      this.finished = true
      this.socket.end()
    }
  }

  close(): void {
    if (this.over) return
    const { linger } = this.options
    this.finished = true
    if (this.socket.readableLength > 0 || linger === 0) this.reset()
    else this.socket.destroySoon()
    if (linger !== undefined && linger > 0) setTimeout(() => this.over || this.reset(), linger / 1000).unref()
  }

  abort(): void {
    if (this.over) return
    this.failed ??= new NetError('ECONNABORTED', 'the connection was reset by its owner', { layer: 'host' })
    this.reset()
  }

  set<Name extends keyof ConnectionOptions>(name: Name, value: ConnectionOptions[Name]): void {
    this.options[name] = value
    if (name === 'noDelay') this.socket.setNoDelay(this.options.noDelay)
    if (name === 'keepAlive' || name === 'keepAliveIdle') {
      this.socket.setKeepAlive(this.options.keepAlive, milliseconds(this.options.keepAliveIdle))
    }
  }

  get<Name extends keyof ConnectionOptions>(name: Name): ConnectionOptions[Name] {
    return this.options[name]
  }

  /** The host tells Node only how many octets there were; the rest is 0. */
  info(): ConnectionInfo {
    return {
      state: this.state,
      srtt: 0,
      rttvar: 0,
      rto: 0,
      cwnd: 0,
      ssthresh: 0,
      flightSize: 0,
      congestionControl: this.options.congestionControl,
      congestionState: 'open',
      outstanding: 0,
      sacked: 0,
      lost: 0,
      resent: 0,
      reordering: 0,
      minRtt: 0,
      delivered: 0,
      deliveryRate: 0,
      pacingRate: 0,
      timeouts: 0,
      backoff: 0,
      probes: 0,
      receivedSegment: 0,
      announcedSegment: 0,
      timestamps: false,
      selectiveAcks: false,
      windowScaling: false,
      ecn: false,
      synDataAccepted: false,
      userTimeout: 0,
      sndWnd: 0,
      rcvWnd: 0,
      maxSegment: 0,
      pathMtu: 0,
      mtuProbes: 0,
      retransmits: 0,
      octetsSent: this.socket.bytesWritten,
      octetsReceived: this.socket.bytesRead,
      segmentsSent: 0,
      segmentsReceived: 0,
      sendQueue: this.socket.writableLength,
      receiveQueue: this.socket.readableLength,
      sinceReceived: 0,
      receiverRoundTrip: 0,
      busyTime: 0,
      windowLimitedTime: 0,
      bufferLimitedTime: 0,
    }
  }

  private connected(): void {
    this.placed()
    this.handler.established?.(this)
  }

  /** Learns the endpoints, and applies the options that were chosen beforehand. */
  private placed(): void {
    const { socket, options } = this
    this.local.assign(socket.localAddress, socket.localPort)
    if (socket.remoteAddress !== undefined) this.remote.assign(socket.remoteAddress, socket.remotePort)
    if (options.noDelay) socket.setNoDelay(true)
    if (options.keepAlive) socket.setKeepAlive(true, milliseconds(options.keepAliveIdle))
  }

  private arrived(): void {
    if (this.deaf) this.discard()
    if (this.toldReadable || this.socket.readableLength === 0) return
    this.toldReadable = true
    this.handler.readable?.(this)
  }

  private discard(): void {
    this.socket.read()
  }

  private end(): void {
    this.ended = true
    this.handler.readable?.(this)
  }

  private readonly wrote = (): void => {
    if (this.over) return
    if (this.wantsWritable && this.socket.writableLength * 2 <= this.options.sendBuffer) {
      this.wantsWritable = false
      this.handler.writable?.(this)
    }
    if (this.wantsDrained && this.socket.writableLength === 0) {
      this.wantsDrained = false
      this.handler.drained?.(this)
    }
  }

  private gone(): void {
    this.over = true
    this.handler.closed?.(this, this.failed)
  }

  private reset(): void {
    // libuv refuses to reset after FIN, and Node would then never say 'close'.
    if (this.socket.connecting || this.socket.writableEnded) this.socket.destroy()
    else this.socket.resetAndDestroy()
  }

  private refused(code: 'EPIPE' | 'ENOTCONN'): NetError {
    const why = code === 'EPIPE' ? 'this direction is closed' : 'not connected'
    return new NetError(code, `write ${code}: ${why}`, { syscall: 'write', layer: 'host' })
  }
}

function milliseconds(duration: Duration): number {
  return Math.round(duration / 1000)
}
