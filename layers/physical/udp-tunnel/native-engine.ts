/**
 * The engine of Linux's own calls, through `koffi`: many datagrams with each, in place in the slab.
 *
 *   send ──► waiting ──► sendmmsg, UDP_SEGMENT     at the end of the turn, or when there are enough for a call
 *                └────── EAGAIN: a bounded queue, tried again each RETRY
 *   datagram ◄── recvmmsg, UDP_GRO, until there are no more, or enough for a turn ◄── woken by libuv
 *
 * Where the system knows neither UDP_SEGMENT nor UDP_GRO (before Linux 4.18 and 5.0) each datagram is a message.
 */
import { type Duration, type Instant, ms } from '../../../src/kernel/clock.ts'
import type { Env } from '../../../src/kernel/env.ts'
import type { Packet } from '../../../src/kernel/packet.ts'
import { Queue } from '../../../src/kernel/queue.ts'
import { type Expiring, Timer } from '../../../src/kernel/timers.ts'
import { type DatagramCalls, datagramCalls, ERRNO } from '../libc.ts'
import { type Readable, type Reader, readable } from '../readable.ts'
import { bindDynamic, outletOf, RECEIVE_HEADROOM } from './binding.ts'
import type { Endpoint } from './endpoint.ts'
import type { Engine, EngineOptions, EngineUser } from './engine.ts'
import { ReceiveBatch, SendBatch } from './messages.ts'
import { boundEndpoint, interfaceIndex, openSocket } from './native-socket.ts'
import { type SocketAddress, socketAddress } from './socket-address.ts'

/** Datagrams that are sent without waiting for the end of the turn. */
const ENOUGH = 256
/**
 * After so many, receiving lets the event loop go round, so that what they bring is acknowledged before the sender's window
 * is used up.
 */
const TURN_DATAGRAMS = 64
const RETRY: Duration = ms(1)

/** What all engines of a thread share, since no call outlasts a function of ours. */
interface Shared {
  readonly calls: DatagramCalls
  readonly sending: SendBatch
  readonly receiving: ReceiveBatch
}
let shared: Shared | undefined

function share(calls: DatagramCalls): Shared {
  if (shared?.calls !== calls) {
    shared = { calls, sending: new SendBatch(calls), receiving: new ReceiveBatch(calls) }
  }
  return shared
}

/**
 * An engine on Linux's calls; nothing is bound before `start`.
 * @param calls exchanged by tests.
 * @throws NetError ENOTSUP — not on Linux, or koffi is not installed.
 */
export function nativeEngine(
  env: Env,
  options: EngineOptions,
  user: EngineUser,
  calls: DatagramCalls = datagramCalls('Native UDP tunnels'),
): Engine {
  return new NativeEngine(env, options, user, share(calls))
}

class NativeEngine implements Engine {
  readonly kind = 'native'
  readonly batches = true
  local: Endpoint
  open = false
  private readonly env: Env
  private readonly options: EngineOptions
  private readonly user: EngineUser
  private readonly shared: Shared
  /** The local port first, then the ports that flows are spread over. */
  private readonly outlets: Outlet[] = []
  private closing = false
  /** Peers as the system takes them, for as long as somebody knows them. */
  private readonly addresses = new WeakMap<Endpoint, SocketAddress>()
  private lastTo: Endpoint | null = null
  private lastAddress: SocketAddress | null = null

  constructor(env: Env, options: EngineOptions, user: EngineUser, shared: Shared) {
    this.env = env
    this.options = options
    this.user = user
    this.shared = shared
    this.local = options.local
  }

  async start(): Promise<void> {
    const { local, sourcePorts } = this.options
    try {
      this.local = boundEndpoint(this.shared.calls, this.bind(local, true), local)
      for (let i = 0; i < sourcePorts && !this.closing; i++)
        await bindDynamic(this.local.host, async (at) => this.bind(at, false))
      this.open = !this.closing
    } catch (error) {
      await this.unbind()
      throw error
    }
    if (this.closing) await this.unbind()
  }

  send(packet: Packet, to: Endpoint, flow: number): boolean {
    const { outlets } = this
    return (outlets[outletOf(flow, outlets.length)] as Outlet).send(packet, this.addressOf(to))
  }

  close(): Promise<void> {
    this.open = false
    this.closing = true
    return this.unbind()
  }

  /** @returns the descriptor. */
  private bind(at: Endpoint, holds: boolean): number {
    const fd = openSocket(this.shared.calls, at, this.options)
    this.outlets.push(new Outlet(this.env, this.shared, fd, holds, this.options.queueLength, this.user))
    return fd
  }

  private async unbind(): Promise<void> {
    await Promise.all(this.outlets.splice(0).map((outlet) => outlet.close()))
  }

  private addressOf(to: Endpoint): SocketAddress {
    if (to === this.lastTo) return this.lastAddress as SocketAddress
    let address = this.addresses.get(to)
    if (address === undefined) {
      address = socketAddress(to, (zone) => interfaceIndex(this.shared.calls, zone))
      this.addresses.set(to, address)
    }
    this.lastTo = to
    this.lastAddress = address
    return address
  }
}

/** One socket: what waits to leave from it, and what arrives at it. */
class Outlet implements Reader, Expiring {
  private readonly env: Env
  private readonly calls: DatagramCalls
  private readonly sending: SendBatch
  private readonly receiving: ReceiveBatch
  private readonly fd: number
  private readonly user: EngineUser
  private readonly waiting: Queue<Packet>
  /** Where those go, at the same places. */
  private readonly to: Queue<SocketAddress>
  private readonly enough: number
  private readonly timer: Timer
  private readonly readable: Readable
  /** The system takes no more for now. */
  private full = false
  private closed = false
  /** Octets of datagrams that can be sent many at a time: longer ones the system would not cut. */
  private longest = Number.POSITIVE_INFINITY

  constructor(env: Env, shared: Shared, fd: number, holds: boolean, queueLength: number, user: EngineUser) {
    this.env = env
    this.calls = shared.calls
    this.sending = shared.sending
    this.receiving = shared.receiving
    this.fd = fd
    this.user = user
    this.waiting = new Queue(queueLength)
    this.to = new Queue(queueLength)
    this.enough = Math.min(ENOUGH, queueLength)
    this.timer = new Timer(this)
    this.readable = readable(shared.calls, fd, this, holds)
  }

  send(packet: Packet, to: SocketAddress): boolean {
    const { waiting } = this
    if (!waiting.push(packet)) {
      this.user.overflowed(packet)
      return false
    }
    this.to.push(to)
    if (this.full) return waiting.open
    if (waiting.length < this.enough) {
      if (waiting.length === 1) this.env.timers.arm(this.timer, this.env.clock.now())
      return true
    }
    this.flush()
    // Nobody was told to wait, so that there is nobody to be told that it is over.
    if (!this.full) waiting.drained()
    return waiting.open
  }

  /** The turn is over, or it is time to try again. */
  expire(): void {
    this.flush()
    if (this.waiting.drained()) this.user.ready()
  }

  woken(): void {
    let left = TURN_DATAGRAMS
    while (left > 0 && !this.closed) {
      const received = this.receive()
      if (received < 0) break
      left -= received
    }
  }

  async close(): Promise<void> {
    if (!this.full) this.flush()
    this.closed = true
    this.env.timers.cancel(this.timer)
    while (this.waiting.length > 0) this.retire(1)
    await this.readable.close()
  }

  /** Hands what waits to the system, as far as that takes it. */
  private flush(): void {
    const { waiting, sending } = this
    this.full = false
    while (waiting.length > 0 && !this.full) {
      const count = sending.fill(waiting, this.to, this.longest)
      const sent = sending.send(this.fd, count)
      for (let i = 0; i < sent; i++) this.retire(sending.datagrams(i))
      if (sent <= 0) this.refused(this.calls.errno(), sending.datagrams(0))
    }
    if (this.full) this.env.timers.arm(this.timer, this.env.clock.now() + RETRY)
    else this.env.timers.cancel(this.timer)
  }

  /** The system did not take the first message. @param datagrams it was made of. */
  private refused(errno: number, datagrams: number): void {
    switch (errno) {
      case ERRNO.EINTR:
        return
      case ERRNO.EAGAIN:
      case ERRNO.ENOBUFS:
        this.full = true
        return
      case ERRNO.EINVAL:
      case ERRNO.EMSGSIZE:
      case ERRNO.EIO:
        // Too long for the path to be cut by the system, or a device that cannot: then each by itself.
        if (datagrams > 1) {
          this.longest = (this.waiting.peek() as Packet).length - 1
          return
        }
    }
    for (let i = 0; i < datagrams; i++) this.user.refused()
    this.retire(datagrams)
  }

  private retire(datagrams: number): void {
    for (let i = 0; i < datagrams; i++) {
      this.waiting.shift()?.release()
      this.to.shift()
    }
  }

  /** @returns how many datagrams arrived; -1 when none waits. */
  private receive(): number {
    const { receiving } = this
    const count = receiving.receive(this.fd)
    if (count < 0) {
      const errno = this.calls.errno()
      if (errno === ERRNO.EAGAIN) return -1
      // What came back of something sent before is told once, and is no reason to stop.
      if (errno !== ERRNO.EINTR) this.user.refused()
      return 1
    }
    const now = this.env.clock.now()
    let datagrams = 0
    for (let i = 0; i < count && !this.closed; i++) datagrams += this.arrived(i, now)
    return datagrams
  }

  /** @returns how many datagrams the message was. */
  private arrived(message: number, at: Instant): number {
    const { receiving } = this
    receiving.look(message)
    const { host, port } = receiving.from
    const size = receiving.size(message)
    let next = receiving.start(message)
    const end = next + receiving.length(message)
    let datagrams = 0
    do {
      datagrams++
      const length = Math.min(size, end - next)
      const packet = this.env.packet(RECEIVE_HEADROOM, length)
      packet.octets.copyWithin(packet.put(length), next, next + length)
      next += length
      this.user.datagram(packet, host, port, at)
    } while (next < end && !this.closed)
    return datagrams
  }
}
