/**
 * The engine that works everywhere: `node:dgram`.
 *
 * Node keeps the memory of a datagram until it has left, so a packet is lent to it as a view and released afterwards.
 * Nearly always it has left when `send` returns, and Node says so on the next tick, once for each datagram. Its
 * callbacks do not name the datagram, but libuv sends in order: what has not left are the newest ones, as many as its
 * queue counts. So the first callback of a tick releases all that left in the turn, and the others find nothing to do.
 */

import { createSocket, type Socket } from 'node:dgram'
import type { Env } from '../../../src/kernel/env.ts'
import { onHost } from '../../../src/kernel/on-host.ts'
import type { Packet } from '../../../src/kernel/packet.ts'
import { Queue } from '../../../src/kernel/queue.ts'
import { bindDynamic, bindError, outletOf, RECEIVE_HEADROOM } from './binding.ts'
import type { Endpoint } from './endpoint.ts'
import type { Engine, EngineOptions, EngineUser } from './engine.ts'

/** An engine on `node:dgram`; nothing is bound before `start`. */
export function dgramEngine(env: Env, options: EngineOptions, user: EngineUser): Engine {
  return new DgramEngine(env, options, user)
}

/** One socket, and the packets that Node still reads from. */
class Outlet {
  readonly socket: Socket
  readonly lent: Queue<Packet>
  private readonly queueLength: number
  private readonly user: EngineUser
  private closed = false

  constructor(socket: Socket, queueLength: number, user: EngineUser) {
    this.socket = socket
    this.queueLength = queueLength
    this.lent = new Queue(queueLength)
    this.user = user
  }

  send(packet: Packet, to: Endpoint): boolean {
    // Only what has really not left counts as waiting.
    if (this.lent.length + 1 >= this.queueLength) this.reap()
    if (!this.lent.push(packet)) {
      this.user.overflowed(packet)
      return false
    }
    const view = packet.octets.subarray(packet.start, packet.end)
    this.socket.send(view, to.port, to.host, this.sent)
    return this.lent.open
  }

  close(): Promise<void> {
    this.closed = true
    return new Promise((resolve) => {
      this.socket.close(() => {
        this.releaseTo(0)
        resolve()
      })
    })
  }

  private readonly sent = (error: Error | null): void => {
    if (this.closed) return
    if (error !== null) this.user.refused()
    if (this.lent.length > 0) this.reap()
    if (this.lent.drained()) this.user.ready()
  }

  private reap(): void {
    this.releaseTo(this.socket.getSendQueueCount())
  }

  private releaseTo(left: number): void {
    while (this.lent.length > left) this.lent.shift()?.release()
  }
}

class DgramEngine implements Engine {
  readonly kind = 'dgram'
  readonly batches = false
  local: Endpoint
  open = false
  private readonly env: Env
  private readonly options: EngineOptions
  private readonly user: EngineUser
  /** The local port first, then the ports that flows are spread over. */
  private readonly outlets: Outlet[] = []
  private starting: Promise<void> = Promise.resolve()
  private closing = false

  constructor(env: Env, options: EngineOptions, user: EngineUser) {
    this.env = env
    this.options = options
    this.user = user
    this.local = options.local
  }

  start(): Promise<void> {
    this.starting = this.bindAll()
    return this.starting
  }

  send(packet: Packet, to: Endpoint, flow: number): boolean {
    const { outlets } = this
    return (outlets[outletOf(flow, outlets.length)] as Outlet).send(packet, to)
  }

  async close(): Promise<void> {
    this.open = false
    this.closing = true
    // A node may be closed while it boots.
    await this.starting.catch(() => {})
    await Promise.all(this.outlets.splice(0).map((outlet) => outlet.close()))
  }

  private async bindAll(): Promise<void> {
    const { local, sourcePorts } = this.options
    try {
      const { address, port } = (await this.bindSocket(local)).address()
      this.local = { host: address, port }
      for (let i = 0; i < sourcePorts && !this.closing; i++) {
        // It does not keep the process alive: the local port does.
        const socket = await bindDynamic(this.local.host, (at) => this.bindSocket(at))
        socket.unref()
      }
      this.open = !this.closing
    } catch (error) {
      await Promise.all(this.outlets.splice(0).map((outlet) => outlet.close()))
      throw error
    }
  }

  private arrived(octets: Uint8Array, host: string, port: number): void {
    const packet = this.env.packet(RECEIVE_HEADROOM, octets.length)
    packet.append(octets)
    this.user.datagram(packet, host, port, this.env.clock.now())
  }

  private async bindSocket(at: Endpoint): Promise<Socket> {
    const { bufferOctets, family, queueLength } = this.options
    const socket = createSocket({
      ...onHost,
      type: family === 6 ? 'udp6' : 'udp4',
      ipv6Only: family === 6,
      recvBufferSize: bufferOctets,
      sendBufferSize: bufferOctets,
      lookup: numeric,
    })
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject)
      socket.bind(at.port, at.host, () => {
        socket.off('error', reject)
        resolve()
      })
    }).catch(async (cause) => {
      await new Promise<void>((resolve) => socket.close(() => resolve()))
      throw bindError(cause.code ?? 'EIO', at, cause)
    })
    // An error that comes back to an open socket is trouble on the way to a peer, not a reason to stop.
    socket.on('error', () => this.user.refused())
    socket.on('message', (octets, { address, port }) => this.arrived(octets, address, port))
    this.outlets.push(new Outlet(socket, queueLength, this.user))
    return socket
  }
}

/** Addresses are numeric already: nothing to look up, and nothing to wait for, with every datagram. */
function numeric(
  host: string,
  options: unknown,
  callback: (error: NodeJS.ErrnoException | null, address: string, family: number) => void,
): void {
  // Node's dgram passes the family as a number, its types say options; either way it is that of the address.
  void options
  callback(null, host, host.includes(':') ? 6 : 4)
}
