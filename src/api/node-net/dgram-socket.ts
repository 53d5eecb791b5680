/** The `dgram.Socket` of a node. */

import type { AsyncResource } from 'node:async_hooks'
import { Buffer } from 'node:buffer'
import type dgram from 'node:dgram'
import { EventEmitter } from 'node:events'
import type net from 'node:net'
import { NetError } from '../../kernel/errors.ts'
import type { DatagramHandler, DatagramOptions, DatagramSocket, Endpoint } from '../sockets.ts'
import { scopeOf, tell, throwLater } from './async-scope.ts'
import { isBlocked, refusal } from './block-list.ts'
import type { Context } from './context.ts'
import {
  bindPlan,
  bufferSize,
  type DatagramSocketOptions,
  hops,
  type Message,
  type SendCallback,
  sendPlan,
} from './dgram-arguments.ts'
import { notBound, notConnected } from './dgram-errors.ts'
import { attempt, DgramMemberships } from './dgram-memberships.ts'
import { DgramSender, type NetDatagrams } from './dgram-sender.ts'
import { asCall, coded, invalidArgType, requireFunction, validPort } from './errors.ts'
import { type Found, familyOf, reachable, textOf } from './names.ts'
import { PeerText, type Place, placeOf } from './place.ts'

/** What `bind` takes: Node's options. */
export type BindOptions = dgram.BindOptions

/**
 * A UDP socket in the shape of Node's. What `dgram.Socket`'s documentation says holds, except for: descriptors; and
 * the size of the send buffer, which is kept but without effect, since datagrams wait in the network's queue, not in the socket.
 * It also emits 'icmp' (error) for every ICMP error about something it sent; 'error' comes with one on a connected socket alone,
 * unless it may pass (no way there for now, too many hops), as on Linux.
 */
export class DgramSocket extends EventEmitter implements dgram.Socket {
  readonly type: 'udp4' | 'udp6'
  readonly #context: Context<NetDatagrams>
  readonly #options: DatagramSocketOptions
  #below: DatagramSocket | undefined
  #state: 'unbound' | 'binding' | 'bound' | 'closed' = 'unbound'
  #connection: 'none' | 'connecting' | 'connected' = 'none'
  /** Calls made before it was bound. */
  #early: (() => void)[] = []
  /** `close` was called while calls wait for it to be bound. */
  #closing = false
  readonly #sender: DgramSender
  #sendBuffer: number
  #forget: (() => void) | undefined
  readonly #scope: AsyncResource = scopeOf('DATAGRAMS')
  readonly #memberships = new DgramMemberships()
  #wantsHold = true
  #held = false
  readonly #from = new PeerText()

  /** Applications use `node.dgram.createSocket(options, listener)`. */
  constructor(context: Context<NetDatagrams>, options: DatagramSocketOptions) {
    super()
    this.type = options.type
    this.#context = context
    this.#options = options
    this.#sender = new DgramSender(context, options, (error) => process.nextTick(emitError, this, error))
    this.#sendBuffer = options.sendBufferSize ?? 262_144
    const { signal } = options
    if (signal === undefined) return
    const close = (): void => {
      if (this.#state !== 'closed') this.close()
    }
    if (signal.aborted) {
      process.nextTick(close)
    } else {
      signal.addEventListener('abort', close, { once: true })
      this.once('close', () => signal.removeEventListener('abort', close))
    }
  }

  /**
   * Starts to receive; 'listening' or 'error' follows.
   * @throws Error ERR_SOCKET_ALREADY_BOUND, ERR_SOCKET_DGRAM_NOT_RUNNING. RangeError ERR_SOCKET_BAD_PORT
   */
  bind(port?: number, address?: string, callback?: () => void): this
  bind(port?: number, callback?: () => void): this
  bind(callback?: () => void): this
  bind(options: BindOptions, callback?: () => void): this
  bind(...args: unknown[]): this {
    this.#running()
    if (this.#state !== 'unbound') throw coded(new Error('Socket is already bound'), 'ERR_SOCKET_ALREADY_BOUND')
    const [port, address, callback] = bindPlan(args)
    this.#context.host.touched()
    this.#state = 'binding'
    if (callback !== undefined) this.#onceListening(callback)
    process.nextTick(() => this.#bind(port, address))
    return this
  }

  /** @throws RangeError ERR_SOCKET_BAD_PORT. Error ERR_SOCKET_DGRAM_IS_CONNECTED, ERR_SOCKET_DGRAM_NOT_RUNNING */
  connect(port: number, address?: string, callback?: () => void): void
  connect(port: number, callback: () => void): void
  connect(port: number, address?: string | (() => void), callback?: () => void): void {
    this.#running()
    const checked = validPort(port, 'Port', false)
    if (address !== undefined && address !== '' && typeof address !== 'string' && typeof address !== 'function') {
      throw invalidArgType('address', 'of type string', address)
    }
    if (this.#connection !== 'none') throw coded(new Error('Already connected'), 'ERR_SOCKET_DGRAM_IS_CONNECTED')
    const host = typeof address === 'string' ? address : undefined
    const listener = typeof address === 'function' ? address : callback
    this.#context.host.touched()
    this.#connection = 'connecting'
    this.#whenBound(() => {
      this.#sender.resolve(host, (error, to) => this.#connect(error, to, checked, listener))
    })
  }

  /** @throws Error ERR_SOCKET_DGRAM_NOT_CONNECTED */
  disconnect(): void {
    if (this.#connection !== 'connected') throw notConnected()
    this.#context.host.touched()
    this.#connection = 'none'
    this.#below?.disconnect()
  }

  /**
   * Sends one datagram; an unbound socket is bound first. Without a callback, errors of the network tier are ignored, as
   * in Node; those of names are emitted.
   * @throws TypeError ERR_INVALID_ARG_TYPE. RangeError ERR_SOCKET_BAD_PORT, ERR_BUFFER_OUT_OF_BOUNDS.
   *   Error ERR_SOCKET_DGRAM_IS_CONNECTED, ERR_SOCKET_DGRAM_NOT_RUNNING
   */
  send(msg: Message | readonly Message[], port?: number, address?: string, callback?: SendCallback): void
  send(msg: Message | readonly Message[], port?: number, callback?: SendCallback): void
  send(msg: Message | readonly Message[], callback?: SendCallback): void
  send(msg: Message, offset: number, length: number, port?: number, address?: string, callback?: SendCallback): void
  send(msg: Message, offset: number, length: number, port?: number, callback?: SendCallback): void
  send(msg: Message, offset: number, length: number, callback?: SendCallback): void
  send(...args: unknown[]): void {
    const plan = sendPlan(args, this.#connection === 'connected')
    this.#running()
    this.#context.host.touched()
    // What is sent now is what the buffer holds now, wherever it has to wait.
    if (this.#state !== 'bound') {
      const kept = { ...plan, octets: Buffer.from(plan.octets) }
      this.#whenBound(() => this.#sender.send(kept))
    } else {
      this.#sender.send(plan)
    }
  }

  /** @throws Error ERR_SOCKET_DGRAM_NOT_RUNNING */
  close(callback?: () => void): this {
    this.#running()
    if (typeof callback === 'function') this.on('close', callback)
    this.#context.host.touched()
    // What is to be sent once it is bound, is sent first.
    if (this.#early.length > 0) this.#closing = true
    else this.#finish()
    return this
  }

  /** @throws NetError EBADF — not bound. Error ERR_SOCKET_DGRAM_NOT_RUNNING */
  address(): net.AddressInfo {
    return this.#place(this.#bound('getsockname').local)
  }

  /** @throws Error ERR_SOCKET_DGRAM_NOT_CONNECTED, ERR_SOCKET_DGRAM_NOT_RUNNING */
  remoteAddress(): net.AddressInfo {
    this.#running()
    const remote = this.#below?.remote
    if (this.#connection !== 'connected' || remote === undefined) throw notConnected()
    return this.#place(remote)
  }

  setBroadcast(flag: boolean): void {
    this.#set('setBroadcast', 'broadcast', Boolean(flag))
  }

  /** @param ttl 1 to 255. @throws NetError EINVAL — out of range; EBADF — not bound. TypeError ERR_INVALID_ARG_TYPE */
  setTTL(ttl: number): number {
    this.#set('setTTL', 'ttl', hops(ttl, 'setTTL', 1))
    return ttl
  }

  /** @param ttl 0 to 255. @throws NetError EINVAL — out of range; EBADF — not bound. TypeError ERR_INVALID_ARG_TYPE */
  setMulticastTTL(ttl: number): number {
    this.#set('setMulticastTTL', 'multicastTtl', hops(ttl, 'setMulticastTTL', 0))
    return ttl
  }

  setMulticastLoopback(flag: boolean): boolean {
    this.#set('setMulticastLoopback', 'multicastLoopback', Boolean(flag))
    return flag
  }

  /** @param multicastInterface an address of ours on the link; for udp6 `::%eth0`. @throws Error EINVAL, ENODEV, EBADF */
  setMulticastInterface(multicastInterface: string): void {
    this.#memberships.via(this.#bound('setMulticastInterface'), multicastInterface)
  }

  /** This, and the three below, bind an unbound socket first, as Node does; what fails only then is emitted. */
  addMembership(multicastAddress: string, multicastInterface?: string): void {
    this.#join(this.#memberships.add(multicastAddress, multicastInterface))
  }

  dropMembership(multicastAddress: string, multicastInterface?: string): void {
    this.#join(this.#memberships.drop(multicastAddress, multicastInterface))
  }

  addSourceSpecificMembership(source: string, group: string, multicastInterface?: string): void {
    this.#join(this.#memberships.addSource(source, group, multicastInterface))
  }

  dropSourceSpecificMembership(source: string, group: string, multicastInterface?: string): void {
    this.#join(this.#memberships.dropSource(source, group, multicastInterface))
  }

  /** @throws NetError EBADF — not bound. */
  getRecvBufferSize(): number {
    return this.#bound('uv_recv_buffer_size').get('receiveBuffer')
  }

  /** @throws NetError EBADF — not bound. TypeError ERR_INVALID_ARG_TYPE. RangeError ERR_OUT_OF_RANGE */
  setRecvBufferSize(size: number): void {
    this.#set('uv_recv_buffer_size', 'receiveBuffer', bufferSize(size))
  }

  getSendBufferSize(): number {
    this.#bound('uv_send_buffer_size')
    return this.#sendBuffer
  }

  setSendBufferSize(size: number): void {
    this.#bound('uv_send_buffer_size')
    this.#sendBuffer = bufferSize(size)
  }

  /** Octets sent that the network below has yet to take in earnest. */
  getSendQueueSize(): number {
    return this.#sender.outbox.octets
  }

  getSendQueueCount(): number {
    return this.#sender.outbox.count
  }

  ref(): this {
    this.#wantsHold = true
    if (this.#state === 'bound') this.#hold()
    return this
  }

  unref(): this {
    this.#wantsHold = false
    this.#letGo()
    return this
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#state === 'closed') return
    await new Promise<void>((resolve) => this.close(resolve))
  }

  #bind(port: number, host: string | undefined): void {
    if (this.#state !== 'binding') return
    this.#context.host.touched()
    this.#sender.resolve(host ?? (this.type === 'udp6' ? '::' : '0.0.0.0'), (error, found) => {
      if (this.#state !== 'binding') return
      if (found === undefined) this.#failBind(error)
      else this.#open(port, found)
    })
  }

  #open(port: number, found: Found): void {
    const { ipv6Only, reuseAddr, reusePort, recvBufferSize } = this.#options
    const { address } = found
    const link = this.#options.link ?? (found.zone || undefined)
    try {
      if (familyOf(found) !== this.#sender.family) throw new NetError('EINVAL', 'an address of the other family')
      const options: Partial<DatagramOptions> | undefined =
        recvBufferSize === undefined ? undefined : { receiveBuffer: recvBufferSize }
      const reuse = reuseAddr === true || reusePort === true
      this.#below = this.#context.below.datagram.bind({ address, ipv6Only, port, link, reuse, options }, this.#ears)
    } catch (error) {
      this.#failBind(asCall(error, 'bind', { address: textOf(found), port }))
      return
    }
    this.#sender.use(this.#below)
    this.#state = 'bound'
    if (this.#wantsHold) this.#hold()
    this.#forget = this.#context.opened(() => this.#finish())
    this.emit('listening')
    for (const call of this.#early.splice(0)) call()
    if (this.#closing) this.#finish()
  }

  /** What was to happen once it is bound, does not. */
  #failBind(error: Error | null): void {
    this.#state = 'unbound'
    this.#early = []
    this.#connection = 'none'
    if (this.#closing) this.#finish()
    this.emit('error', error)
  }

  #finish(): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#below?.close()
    this.#forget?.()
    this.#letGo()
    this.#sender.use(undefined)
    process.nextTick(emitClose, this)
  }

  #connect(error: Error | null, to: Found | undefined, port: number, listener: (() => void) | undefined): void {
    if (this.#state !== 'bound' || this.#below === undefined) return
    let failure = error
    if (to !== undefined) {
      try {
        const refused = refusal(this.#options.sendBlockList, to)
        if (refused !== undefined) throw refused
        if (familyOf(to) !== this.#sender.family) throw new NetError('EINVAL', 'an address of the other family')
        this.#below.connect(reachable(to.address), port, to.zone || undefined)
      } catch (thrown) {
        failure = asCall(thrown, 'connect', { address: textOf(to), port })
      }
    }
    if (failure !== null) {
      this.#connection = 'none'
      process.nextTick(listener ?? emitError.bind(undefined, this), failure)
      return
    }
    this.#connection = 'connected'
    if (listener !== undefined) this.once('connect', listener)
    process.nextTick(() => this.#state !== 'closed' && this.emit('connect'))
  }

  #whenBound(call: () => void): void {
    if (this.#state === 'bound') {
      call()
      return
    }
    this.#early.push(call)
    if (this.#state === 'unbound') this.bind(0)
  }

  #onceListening(callback: () => void): void {
    requireFunction(callback, 'callback')
    const failed = (): void => {
      this.off('listening', listening)
    }
    const listening = (): void => {
      this.off('error', failed)
      callback.call(this)
    }
    this.once('listening', listening)
    this.prependOnceListener('error', failed)
  }

  readonly #ears: DatagramHandler = {
    message: (_socket, octets, start, length, from) => {
      try {
        this.#scope.runInAsyncScope(this.#arrived, this, octets, start, length, from)
      } catch (error) {
        throwLater(error)
      }
    },
    writable: () => {
      this.#context.host.touched()
      this.#sender.outbox.empty()
    },
    error: (_socket, error, remote) => tell(this.#scope, this.#failed, this, error, remote),
    softError: (_socket, error, remote) => tell(this.#scope, this.#told, this, error, remote),
  }

  #arrived(octets: Uint8Array, start: number, length: number, from: Endpoint): void {
    this.#context.host.touched()
    const address = this.#from.of(from, this.type === 'udp6')
    const family = this.type === 'udp4' ? 'IPv4' : 'IPv6'
    if (isBlocked(this.#options.receiveBlockList, { address, family })) return
    const message = Buffer.allocUnsafe(length)
    message.set(octets.subarray(start, start + length))
    this.emit('message', message, { address, family, port: from.port, size: length })
  }

  #failed(error: NetError, remote: Endpoint): void {
    const told = this.#told(error, remote)
    if (this.#connection === 'connected') this.emit('error', told)
  }

  #told(error: NetError, remote: Endpoint): Error {
    this.#context.host.touched()
    const told = asCall(error, error.syscall ?? 'recvmsg', this.#place(remote))
    this.emit('icmp', told)
    return told
  }

  /** As a socket of this type shows it. */
  #place(endpoint: Endpoint): Place {
    return placeOf(endpoint, this.type === 'udp6')
  }

  #set<Name extends keyof DatagramOptions>(call: string, name: Name, value: DatagramOptions[Name]): void {
    this.#bound(call).set(name, value)
  }

  #bound(call: string): DatagramSocket {
    this.#running()
    if (this.#below === undefined) throw notBound(call)
    return this.#below
  }

  #join(change: (below: DatagramSocket) => void): void {
    this.#running()
    if (this.#below !== undefined) change(this.#below)
    else this.#whenBound(() => attempt(change, this.#below, (error) => this.emit('error', error)))
  }

  #running(): void {
    if (this.#state === 'closed') throw coded(new Error('Not running'), 'ERR_SOCKET_DGRAM_NOT_RUNNING')
  }

  #hold(): void {
    if (this.#held) return
    this.#held = true
    this.#context.hold()
  }

  #letGo(): void {
    if (!this.#held) return
    this.#held = false
    this.#context.release()
  }
}

function emitClose(socket: DgramSocket): void {
  socket.emit('close')
}

function emitError(socket: DgramSocket, error: Error | null): void {
  socket.emit('error', error)
}
