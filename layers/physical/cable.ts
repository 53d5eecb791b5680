/**
 * A cable in memory: two ends, each of which boots one node; both nodes are of the same simulation, or of the same
 * thread on real time. What one end sends arrives at the other on a later turn, in order; packets change hands, they
 * are not copied.
 *
 *     node A                                         node B
 *       a  ── aToB: queue, rate, delay ────────────►  b
 *          ◄──────────────── bToA: queue, rate, delay
 */
import type { Boundary, Reasons } from '../../src/kernel/boundary.ts'
import type { Env } from '../../src/kernel/env.ts'
import { invalidValue, NetError } from '../../src/kernel/errors.ts'
import type { Blueprint } from '../../src/kernel/layer.ts'
import type { Packet } from '../../src/kernel/packet.ts'
import type { Timers } from '../../src/kernel/timers.ts'
import type { Wire } from '../../src/kernel/wire.ts'
import { type Cut, cutOf } from './cut.ts'
import { checkLine, Line, type LineOptions, type LineOwner, lineOptions } from './line.ts'
import { checkWhole, encapsulationOf, type MediumOptions, mediumOf, wholePackets, wireMtu } from './medium.ts'
import type { Medium, Offload, PhysicalService } from './service.ts'

/** What the cable carries and how; both directions start alike. */
export interface CableOptions<M extends Medium = 'frames'> extends LineOptions, MediumOptions<M> {}

/** Which way: from the first end to the second, or back. */
export type CableDirection = 'aToB' | 'bToA' | 'both'

/** Changes a cable while it runs. */
export interface CableControl {
  /**
   * Changes what is given and leaves the rest.
   * @throws RangeError ERR_OUT_OF_RANGE — see `LineOptions`.
   * @throws TypeError ERR_INVALID_ARG_VALUE — delay or rate on a cable with offload.
   */
  set(options: LineOptions, direction?: CableDirection): void
  /** Changes the MTU of both ends, in octets of the network packet, and tells them. @throws RangeError ERR_OUT_OF_RANGE */
  setMtu(mtu: number): void
  /** Loses everything silently, what is under way included: neither end is told. Cuts overlap freely. */
  cut(direction?: CableDirection): Cut
  /** Takes the link down: both ends are told, and what is under way is lost. */
  unplug(reason?: string): void
  /** Takes it up again. */
  plug(): void
}

/** One end of a cable. Boots one node; again only after that node has closed. */
export type CableEnd<M extends Medium = 'frames'> = Blueprint<PhysicalService<M>>

/** The two ends, and the handle to change what is between them. */
export type Cable<M extends Medium = 'frames'> = readonly [a: CableEnd<M>, b: CableEnd<M>] & {
  readonly link: CableControl
}

/** Why a cable drops packets. */
export type CableDrop = 'queueFull' | 'cut' | 'linkDown' | 'tooLong' | 'noUser'

const REASONS: Reasons<CableDrop> = {
  queueFull: '',
  cut: '',
  linkDown: '',
  tooLong: 'IEEE 802.3 §4.2.4.2.1',
  noUser: '',
}

/**
 * A cable: `const [a, b] = cable({ delay: ms(10), rate: 10_000_000 })`. Both ends start alike; `link.set` makes them
 * differ.
 *
 * An end throws `NetError` EBUSY when it is booted a second time, and EINVAL when the other end's node has another
 * clock. It drops with `linkDown` what arrives while nobody has booted the other end.
 * @throws RangeError ERR_OUT_OF_RANGE — an option outside its range.
 * @throws TypeError ERR_INVALID_ARG_VALUE — `offload` together with what it excludes.
 */
export function cable<M extends Medium = 'frames'>(options: CableOptions<M> = {}): Cable<M> {
  const core = new Core<M>(options, mediumOf(options))
  const ends = [core.end(0), core.end(1)] as const
  return Object.assign(ends, { link: core })
}

/** What both ends share: the state of the link, and which ends are booted. */
class Core<M extends Medium> implements CableControl, Wire {
  readonly medium: M
  readonly offload: Offload
  mtu: number
  plugged = true
  readonly ends: [Plug<M> | null, Plug<M> | null] = [null, null]
  private readonly lines: [LineOptions, LineOptions]
  /** How many cuts stand in each direction. */
  readonly cuts: Int32Array = new Int32Array(2)
  /** The pairs of nodes a partition keeps apart, as 'from\0to'. */
  private readonly severed = new Set<string>()

  constructor(options: CableOptions<M>, medium: M) {
    checkLine(options)
    this.medium = medium
    this.mtu = wireMtu(medium, options.mtu)
    this.lines = [lineOptions(options), lineOptions(options)]
    this.offload = wholePackets(medium, options)
  }

  end(index: 0 | 1): CableEnd<M> {
    return (env) => {
      if (this.ends[index] !== null) {
        throw new NetError(
          'EBUSY',
          `this end of the cable is in node ${this.ends[index].node}: an end boots one node at a time`,
        )
      }
      return new Plug(this, index, env)
    }
  }

  optionsOf(index: 0 | 1): LineOptions {
    return this.lines[index]
  }

  get nodes(): string[] {
    return this.ends.filter((end) => end !== null).map((end) => end.node)
  }

  sever(from: string, to: string, cut: boolean): void {
    if (cut) this.severed.add(`${from}\0${to}`)
    else this.severed.delete(`${from}\0${to}`)
    for (const end of this.ends) end?.look()
  }

  isSevered(from: string, to: string): boolean {
    return this.severed.has(`${from}\0${to}`)
  }

  set(options: LineOptions, direction: CableDirection = 'both'): void {
    checkLine(options)
    if (this.offload.segment > 0) checkWhole(options)
    for (const index of indexes(direction)) {
      this.lines[index] = { ...this.lines[index], ...lineOptions(options) }
      this.ends[index]?.line.set(options)
    }
  }

  setMtu(mtu: number): void {
    this.mtu = wireMtu(this.medium, mtu)
    if (!this.plugged) return
    for (const end of this.ends) end?.boundary.linkChanged('up', 'mtu')
  }

  cut(direction: CableDirection = 'both'): Cut {
    return cutOf(this.cuts, indexes(direction))
  }

  unplug(reason = 'unplugged'): void {
    if (!this.plugged) return
    this.plugged = false
    for (const end of this.ends) end?.boundary.linkChanged('down', reason)
    for (const end of this.ends) end?.flush()
  }

  plug(): void {
    if (this.plugged) return
    this.plugged = true
    for (const end of this.ends) end?.boundary.linkChanged('up', 'plugged')
  }
}

class Plug<M extends Medium> implements PhysicalService<M>, LineOwner {
  readonly tier = 'physical'
  readonly medium: M
  readonly offload: Offload
  readonly headroom = 0
  readonly tailroom = 0
  readonly boundary: Boundary<undefined, CableDrop>
  readonly node: string
  readonly line: Line
  peer: Plug<M> | null = null
  /** A partition keeps what we send from the peer. */
  private severed = false
  private readonly core: Core<M>
  private readonly index: 0 | 1
  private readonly timers: Timers

  constructor(core: Core<M>, index: 0 | 1, env: Env) {
    this.core = core
    this.index = index
    this.medium = core.medium
    this.offload = core.offload
    this.node = env.node
    this.timers = env.timers
    const peer = core.ends[1 - index] ?? null
    if (peer !== null && peer.timers !== env.timers) {
      throw new NetError('EINVAL', `the other end of the cable is in node ${peer.node}, which has another clock`)
    }
    this.boundary = env.boundary('cable', encapsulationOf(core.medium), REASONS)
    this.line = new Line(env.timers, env.clock, this, core.optionsOf(index))
    core.ends[index] = this
    env.defer(() => this.close())
    if (peer !== null) this.join(peer)
    env.wire(core)
  }

  get mtu(): number {
    return this.core.mtu
  }

  send(packet: Packet): boolean {
    this.boundary.down(packet, undefined)
    const { core } = this
    if (packet.length > core.mtu && (packet.segmentOctets === 0 || packet.length > core.offload.segment)) {
      this.boundary.drop(packet, 'tooLong')
    } else if (!core.plugged || core.ends[this.index] !== this) {
      this.boundary.drop(packet, 'linkDown')
    } else if (this.severed || core.cuts[this.index] !== 0) {
      this.boundary.drop(packet, 'cut')
    } else {
      // Nobody may trust the word of an earlier medium once this one has carried the packet.
      if (!core.offload.checksum) packet.checksum = 'none'
      if (!this.line.push(packet)) this.boundary.drop(packet, 'queueFull')
    }
    return this.line.open
  }

  /** A packet of ours has reached the far end. */
  arrive(packet: Packet): void {
    const { peer } = this
    if (peer === null) this.boundary.drop(packet, 'linkDown')
    else if (this.severed || this.core.cuts[this.index] !== 0) this.boundary.drop(packet, 'cut')
    else if (!peer.boundary.up(packet, undefined, 0)) peer.boundary.drop(packet, 'noUser')
  }

  drained(): void {
    this.boundary.ready()
  }

  /** Loses what is under way. */
  flush(): void {
    this.line.empty((packet) => this.boundary.drop(packet, 'linkDown'))
  }

  /** Looks whether a partition stands in our way. */
  look(): void {
    this.severed = this.peer !== null && this.core.isSevered(this.node, this.peer.node)
  }

  private join(peer: Plug<M>): void {
    this.peer = peer
    peer.peer = this
    this.look()
    peer.look()
    if (this.core.plugged) peer.boundary.linkChanged('up', 'peerAttached')
  }

  private close(): void {
    const { peer } = this
    this.core.ends[this.index] = null
    this.peer = null
    this.flush()
    if (peer === null) return
    peer.peer = null
    peer.flush()
    if (this.core.plugged) peer.boundary.linkChanged('down', 'peerClosed')
  }
}

function indexes(direction: CableDirection): readonly (0 | 1)[] {
  switch (direction) {
    case 'aToB':
      return [0]
    case 'bToA':
      return [1]
    case 'both':
      return [0, 1]
    default:
      throw invalidValue('direction', "'aToB', 'bToA' or 'both'", direction)
  }
}
