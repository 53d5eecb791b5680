/**
 * Packets between the slab and the descriptor of a TAP or TUN device: one system call a packet, in place, without a
 * view or a copy.
 *
 *   send ──► [vnet header] ──► write(2) ──► kernel           EAGAIN: a bounded queue, tried again each RETRY
 *   receive ◄── [vnet header] ◄── read(2) until EAGAIN, at most 64 packets or 1 ms a turn ◄── woken by libuv
 */
import { closeSync } from 'node:fs'
import type { Boundary, Reasons } from '../../src/kernel/boundary.ts'
import { type Instant, ms } from '../../src/kernel/clock.ts'
import type { Env } from '../../src/kernel/env.ts'
import type { Packet } from '../../src/kernel/packet.ts'
import { Queue } from '../../src/kernel/queue.ts'
import { Timer } from '../../src/kernel/timers.ts'
import { ERRNO, type Libc } from './libc.ts'
import { type Readable, type Reader, readable } from './readable.ts'
import { BURSTS, type Offload, type PhysicalService } from './service.ts'
import { type OpenTun, readMtu, readUp } from './tun-open.ts'
import { pullVnetHeader, pushVnetHeader, VNET_HEADER_OCTETS } from './tun-vnet-header.ts'

/** Why a TAP or TUN device drops packets. */
export type TunDropReason =
  /** Sending: shorter than an Ethernet header, or empty. */
  | 'runt'
  /** Sending: longer than the MTU, and no super-segment the device takes. */
  | 'tooLong'
  /** Sending: offload fields that the device cannot honour. */
  | 'badOffload'
  /** The kernel takes no more for now, and the queue is full. */
  | 'queueFull'
  /** The device is down, or gone. */
  | 'linkDown'
  /** The kernel refused the packet. */
  | 'writeFailed'
  /** Receiving: longer than the MTU of the device as we know it. */
  | 'truncated'
  /** Receiving: a virtio_net_hdr that contradicts its packet. */
  | 'badVnetHeader'
  /** Nobody is attached above. */
  | 'noUser'

const REASONS: Reasons<TunDropReason> = {
  runt: '',
  tooLong: '',
  badOffload: '',
  queueFull: '',
  linkDown: '',
  writeFailed: '',
  truncated: '',
  badVnetHeader: 'virtio 1.2 §5.1.6',
  noUser: '',
}

/** Limits of one device, all optional. */
export interface TunLimits {
  /** Packets that wait when the kernel takes no more, before `send` returns false; twice as many are kept. Default 64. */
  readonly queueLength: number
  /** Packets delivered in one turn of the event loop at the most. Default 64. */
  readonly turnPackets: number
  /** Microseconds of work in one turn, after which no further packet is read. Default 1000. */
  readonly turnUs: number
}

const ETHERNET_OCTETS = 14
/** An 802.1Q tag, which the MTU of a device does not count. */
const TAG_OCTETS = 4
const MAX_IP_OCTETS = 65_535
/** In front of received packets, so that they can be forwarded in place. */
const FORWARDING_ROOM = 64
/** Received Ethernet frames start two octets into a word, so that what follows their 14-octet header is aligned. */
const ALIGNMENT_OCTETS = 2
const RETRY = ms(1)
const MONITOR = ms(250)
/** What fits a slot of the smallest size class, with headroom. */
const SMALL_OCTETS = 1900

export class TunPort<M extends 'ethernet' | 'ip'> implements PhysicalService<M>, Reader {
  readonly tier = 'physical'
  readonly medium: M
  mtu: number
  readonly headroom: number
  readonly tailroom = 0
  readonly offload: Offload
  readonly boundary: Boundary<undefined, TunDropReason>
  /** The device's name; differs from the one asked for if that was a pattern such as 'tap%d'. */
  readonly name: string
  private readonly env: Env
  private readonly libc: Libc
  private readonly device: OpenTun
  private readonly limits: TunLimits
  private readonly slabAddress: number
  private readonly queue: Queue<Packet>
  private readonly retry: Timer
  private readonly monitor: Timer
  private readonly readable: Readable
  private readonly linkOctets: number
  /** Room of a packet to read into: one octet more than any packet can have, so that a longer one shows. */
  private room = 0
  /** A packet to read into, kept between the reads of one turn. */
  private spare: Packet | null = null
  /** Its state can be asked for; otherwise it is taken to be up as long as the descriptor works. */
  private readonly visible: boolean
  private up = true
  private gone = false

  constructor(env: Env, libc: Libc, device: OpenTun, medium: M, limits: TunLimits) {
    this.env = env
    this.libc = libc
    this.device = device
    this.medium = medium
    this.limits = limits
    this.name = device.name
    this.linkOctets = medium === 'ethernet' ? ETHERNET_OCTETS : 0
    this.headroom = device.vnetHdr ? VNET_HEADER_OCTETS : 0
    this.offload = device.vnetHdr ? { segment: MAX_IP_OCTETS + this.linkOctets, checksum: true } : BURSTS
    const encapsulation = medium === 'ethernet' ? 'ethernet' : 'ip'
    this.boundary = env.boundary(medium === 'ethernet' ? 'tap' : 'tun', encapsulation, REASONS)
    this.mtu = 0
    const ipMtu = readMtu(libc, device)
    this.visible = readUp(libc, device) !== undefined
    this.learnMtu(ipMtu > 0 ? ipMtu : device.assumedMtu)
    this.slabAddress = libc.slabAddress()
    this.queue = new Queue(limits.queueLength)
    this.retry = new Timer({ expire: () => this.drain() })
    this.monitor = new Timer({ expire: (now) => this.look(now) })
    this.readable = readable(libc, device.fd, this, true)
    env.defer(() => this.close())
    // The state at boot is told on a later turn, when those above are attached.
    env.timers.arm(this.monitor, env.clock.now())
  }

  send(packet: Packet, to: undefined): boolean {
    this.boundary.down(packet, to)
    const reason = this.refusal(packet)
    if (reason !== undefined) {
      this.boundary.drop(packet, reason)
      return this.queue.open
    }
    if (this.queue.length > 0) return this.wait(packet)
    return this.write(packet) || this.wait(packet)
  }

  woken(): void {
    const { limits } = this
    let left = limits.turnPackets
    // Woken by the event loop, so outside of the node's turns: the clock moves on while we work.
    const until = this.env.clock.now() + limits.turnUs
    while (left-- > 0 && !this.gone && this.readOne()) if (this.env.clock.now() >= until) break
    this.spare?.release()
    this.spare = null
  }

  /** The device will never be readable again. */
  private failed(): void {
    this.gone = true
    this.readable.stop()
    this.env.timers.arm(this.monitor, this.env.clock.now())
  }

  private refusal(packet: Packet): TunDropReason | undefined {
    if (!this.up || this.gone) return 'linkDown'
    if (packet.length < Math.max(this.linkOctets, 1)) return 'runt'
    if (this.device.vnetHdr) {
      const superSegment = packet.segments > 1
      if (packet.length > (superSegment ? this.offload.segment : this.mtu)) return 'tooLong'
      return pushVnetHeader(packet, this.medium) ? undefined : 'badOffload'
    }
    if (packet.length > this.mtu) return 'tooLong'
    return packet.segments > 1 || packet.checksum === 'partial' ? 'badOffload' : undefined
  }

  /** @returns false when the kernel takes no more for now; otherwise the packet's life has ended. */
  private write(packet: Packet): boolean {
    const { libc } = this
    if (libc.write(this.device.fd, this.slabAddress + packet.start, packet.length) >= 0) {
      packet.release()
      return true
    }
    switch (libc.errno()) {
      case ERRNO.EAGAIN:
      case ERRNO.ENOBUFS:
        return false
      case ERRNO.EIO: // the device is down
      case ERRNO.EBADFD: // the device is gone
        this.fail(packet, 'linkDown')
        // Those above are told on a later turn: `send` must not call them.
        this.env.timers.arm(this.monitor, this.env.clock.now())
        return true
      default:
        this.fail(packet, 'writeFailed')
        return true
    }
  }

  private wait(packet: Packet): boolean {
    if (!this.queue.push(packet)) this.fail(packet, 'queueFull')
    if (!this.retry.armed) this.env.timers.arm(this.retry, this.env.clock.now() + RETRY)
    return this.queue.open
  }

  /** Taps see what was sent, without the header we pushed. */
  private fail(packet: Packet, reason: TunDropReason): void {
    packet.pull(this.headroom)
    this.boundary.drop(packet, reason)
  }

  private drain(): void {
    for (let packet = this.queue.peek(); packet !== undefined; packet = this.queue.peek()) {
      if (!this.write(packet)) {
        this.env.timers.arm(this.retry, this.env.clock.now() + RETRY)
        break
      }
      this.queue.shift()
    }
    if (this.queue.drained()) this.boundary.ready()
  }

  private learnMtu(ipMtu: number): void {
    this.mtu = ipMtu + this.linkOctets
    const longest = this.device.vnetHdr ? MAX_IP_OCTETS : ipMtu
    this.room = this.headroom + this.linkOctets + TAG_OCTETS + longest + 1
  }

  private get receiveHeadroom(): number {
    return FORWARDING_ROOM + (this.medium === 'ethernet' && !this.device.vnetHdr ? ALIGNMENT_OCTETS : 0)
  }

  /** @returns false when nothing waits. */
  private readOne(): boolean {
    const packet = this.spare ?? this.env.packet(this.receiveHeadroom, this.room)
    this.spare = packet
    const octets = this.libc.read(this.device.fd, this.slabAddress + packet.start, this.room)
    if (octets < 0 && this.libc.errno() !== ERRNO.EAGAIN) this.failed()
    if (octets <= 0) return false
    if (octets >= this.room) {
      this.boundary.count('truncated')
    } else if (this.room > SMALL_OCTETS && octets <= SMALL_OCTETS) {
      // A slot for 64 KB is not handed up for an acknowledgement, which might then wait in some queue.
      const small = this.env.packet(this.receiveHeadroom, octets)
      small.octets.copyWithin(small.put(octets), packet.start, packet.start + octets)
      this.deliver(small)
    } else {
      this.spare = null
      packet.put(octets)
      this.deliver(packet)
    }
    return true
  }

  private deliver(packet: Packet): void {
    if (this.device.vnetHdr && !pullVnetHeader(packet, this.medium)) this.boundary.drop(packet, 'badVnetHeader')
    else if (!this.boundary.up(packet, undefined, 0)) this.boundary.drop(packet, 'noUser')
  }

  /** Compares the device with what those above know of it. */
  private look(now: Instant): void {
    const up = !this.gone && (!this.visible || (readUp(this.libc, this.device) ?? false))
    const changed = up !== this.up
    const ipMtu = readMtu(this.libc, this.device)
    const resized = ipMtu > 0 && ipMtu + this.linkOctets !== this.mtu
    if (resized) this.learnMtu(ipMtu)
    this.up = up
    if (changed)
      this.boundary.linkChanged(up ? 'up' : 'down', `${this.name} ${this.gone ? 'is gone' : up ? 'is up' : 'is down'}`)
    else if (resized && up) this.boundary.linkChanged('up', `the MTU of ${this.name} is now ${ipMtu}`)
    if (!this.gone && this.visible) this.env.timers.arm(this.monitor, now + MONITOR)
  }

  private async close(): Promise<void> {
    this.gone = true
    this.up = false
    this.env.timers.cancel(this.monitor)
    this.env.timers.cancel(this.retry)
    for (let packet = this.queue.shift(); packet !== undefined; packet = this.queue.shift()) {
      this.fail(packet, 'linkDown')
    }
    closeSync(this.device.control)
    await this.readable.close()
  }
}
