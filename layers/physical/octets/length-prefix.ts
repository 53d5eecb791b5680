/**
 * Ethernet frames over a stream, each behind its length: how QEMU's `-netdev stream` and passt (four octets), and VDE's
 * plugs (two) carry them, in network byte order.
 *
 *     ├ length, 2 or 4 ┼ frame without FCS ────┤├ length ┼ frame …
 *
 * Nothing but the lengths says where a frame begins. So a length that cannot be one means that the two ends no longer agree:
 * the stream is ended, and the link is down until there is another.
 */
import type { Boundary, Reasons } from '../../../src/kernel/boundary.ts'
import type { Env } from '../../../src/kernel/env.ts'
import { integer, invalidValue, NetError } from '../../../src/kernel/errors.ts'
import type { Layer, LinkState, User } from '../../../src/kernel/layer.ts'
import type { Packet } from '../../../src/kernel/packet.ts'
import { MAX_MTU, wireMtu } from '../medium.ts'
import { NO_OFFLOAD, type Offload, type PhysicalService } from '../service.ts'

export interface LengthPrefixOptions {
  /** Octets of each length: 4, the default, or 2. */
  readonly octets?: 2 | 4
  /** Largest network packet in octets: 1 to 65517, what is left of a run of 65535; default 1500. */
  readonly mtu?: number
}

/** Why frames behind lengths are dropped. */
export type LengthPrefixDrop = 'empty' | 'tooLong' | 'cutShort' | 'lostFraming' | 'noUser'

const REASONS: Reasons<LengthPrefixDrop> = { empty: '', tooLong: '', cutShort: '', lostFraming: '', noUser: '' }

/** What is left of the longest run of a stream behind a length and an Ethernet header. */
const LONGEST_MTU = 65_535 - 4 - 14
/** What no frame exceeds: the largest network packet with a header and two VLAN tags. */
const LONGEST_FRAME_OCTETS = MAX_MTU + 22

/**
 * Frames out of a stream of octets: `stack(stream(() => connect('/run/passt.socket')), lengthPrefix(), ethernet(), …)`.
 *
 * Throws `NetError` EINVAL when it is stacked on a medium whose runs are too short for its frames.
 * @throws TypeError ERR_INVALID_ARG_VALUE — `octets` is neither 2 nor 4. RangeError ERR_OUT_OF_RANGE — an MTU outside its range.
 */
export function lengthPrefix(
  options: LengthPrefixOptions = {},
): Layer<PhysicalService<'octets'>, PhysicalService<'ethernet'>> {
  const { octets = 4 } = options
  if (octets !== 2 && octets !== 4) throw invalidValue('octets', '2 or 4', octets)
  const mtu = wireMtu('ethernet', integer('mtu', options.mtu ?? 1500, 1, LONGEST_MTU))
  return (below, env) => new LengthPrefix(below, env, octets, mtu)
}

class LengthPrefix implements PhysicalService<'ethernet'>, User<undefined> {
  readonly tier = 'physical'
  readonly medium = 'ethernet'
  readonly mtu: number
  readonly offload: Offload = NO_OFFLOAD
  readonly boundary: Boundary<undefined, LengthPrefixDrop>
  private readonly below: PhysicalService<'octets'>
  private readonly env: Env
  private readonly prefixOctets: 2 | 4
  /** The length that arrives, and how many octets of it are there. */
  private length = 0
  private lengthOctets = 0
  /** The frame that arrives; null between frames and where it is passed over. */
  private frame: Packet | null = null
  /** Octets of the frame that are still to come. */
  private missing = 0
  /** And the medium below cannot be ended. */
  private lost = false

  constructor(below: PhysicalService<'octets'>, env: Env, prefixOctets: 2 | 4, mtu: number) {
    if (mtu + prefixOctets > below.mtu) {
      throw new NetError('EINVAL', `frames of ${mtu} octets and their length exceed runs of ${below.mtu}`, {
        layer: 'lengthPrefix',
        reason: 'mtuTooLarge',
      })
    }
    this.below = below
    this.env = env
    this.prefixOctets = prefixOctets
    this.mtu = mtu
    this.boundary = env.boundary('frames', 'ethernet', REASONS)
    const detach = below.boundary.attach(this)
    env.defer(() => {
      detach()
      this.restart()
    })
  }

  get headroom(): number {
    return this.below.headroom + this.prefixOctets
  }

  get tailroom(): number {
    return this.below.tailroom
  }

  send(packet: Packet): boolean {
    this.boundary.down(packet, undefined)
    const { length } = packet
    if (length === 0 || length > this.mtu) {
      this.boundary.drop(packet, length === 0 ? 'empty' : 'tooLong')
      return true
    }
    const at = packet.push(this.prefixOctets)
    if (this.prefixOctets === 2) packet.view.setUint16(at, length)
    else packet.view.setUint32(at, length)
    return this.below.send(packet, undefined)
  }

  receive(run: Packet): void {
    while (run.length > 0 && !this.lost) {
      if (this.missing > 0) this.takeFrame(run)
      else this.takeLength(run)
    }
    run.release()
  }

  ready(): void {
    this.boundary.ready()
  }

  linkChanged(state: LinkState, reason: string): void {
    this.restart()
    this.boundary.linkChanged(state, reason)
  }

  private takeLength(run: Packet): void {
    while (run.length > 0 && this.lengthOctets < this.prefixOctets) {
      this.length = this.length * 256 + (run.octets[run.pull(1)] as number)
      this.lengthOctets++
    }
    if (this.lengthOctets < this.prefixOctets) return
    const { length } = this
    this.length = this.lengthOctets = 0
    if (length === 0) this.boundary.count('empty')
    else if (length > LONGEST_FRAME_OCTETS) this.loseFraming(length, run)
    else this.begin(length)
  }

  private begin(length: number): void {
    this.missing = length
    if (length > this.mtu) this.boundary.count('tooLong')
    else this.frame = this.env.packet(0, length)
  }

  private takeFrame(run: Packet): void {
    const n = Math.min(this.missing, run.length)
    const from = run.pull(n)
    this.missing -= n
    const { frame } = this
    if (frame === null) return
    frame.octets.copyWithin(frame.put(n), from, from + n)
    if (this.missing > 0) return
    this.frame = null
    if (!this.boundary.up(frame, undefined, 0)) this.boundary.drop(frame, 'noUser')
  }

  /** @param run what came after the length, which is of no use either. */
  private loseFraming(length: number, run: Packet): void {
    run.pull(run.length)
    this.boundary.count('lostFraming')
    const reason = `a frame of ${length} octets was announced: the other end does not put ${this.prefixOctets} octets of length before each`
    if (this.below.hangUp !== undefined) {
      this.below.hangUp(reason)
    } else {
      this.lost = true
      this.boundary.linkChanged('down', reason)
    }
  }

  /** Forgets what has arrived of a frame. */
  private restart(): void {
    this.length = this.lengthOctets = this.missing = 0
    this.lost = false
    if (this.frame !== null) this.boundary.drop(this.frame, 'cutShort')
    this.frame = null
  }
}
