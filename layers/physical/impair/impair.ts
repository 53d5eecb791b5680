/**
 * A worse medium: the same kind, with less luck. It stands on any physical medium and offers the same one, which loses,
 * corrupts, duplicates, delays and reorders packets, in each direction on its own, by a seeded stream of chance.
 *
 *        send │        ▲ up
 *        ┌────▼────────┴────┐
 *        │  down   │   up   │  two ways of the same stages
 *        └────┬────────▲────┘
 *        send ▼        │ receive
 */
import type { Boundary, Reasons } from '../../../src/kernel/boundary.ts'
import type { Env } from '../../../src/kernel/env.ts'
import type { LinkState, User } from '../../../src/kernel/layer.ts'
import type { Packet } from '../../../src/kernel/packet.ts'
import { complete } from '../../offload/complete.ts'
import { Segmenter } from '../../offload/segment.ts'
import { type Medium, NO_OFFLOAD, type Offload, type PhysicalService } from '../service.ts'
import { checkImpairment, type ImpairOptions, Settings } from './options.ts'
import { type ImpairCounts, type ImpairDrop, Way, type WayOwner } from './way.ts'

export type { Bursts, GilbertElliott, Impairment, ImpairOptions } from './options.ts'
export type { ImpairCounts, ImpairDrop } from './way.ts'

/** Changes an impairing link while it runs, in every node that has it. */
export interface ImpairControl {
  /** What happened in each direction so far besides drops, which the boundary counts; over all nodes. */
  readonly down: Readonly<ImpairCounts>
  readonly up: Readonly<ImpairCounts>
  /**
   * Changes what is given and leaves the rest; packets under way keep their fate.
   * @throws RangeError ERR_OUT_OF_RANGE, TypeError ERR_INVALID_ARG_TYPE — see `Impairment`; nothing has changed then.
   */
  set(options: ImpairOptions): void
}

/** The layer, which may be stacked in many nodes, and the handle to change it. */
export interface ImpairLayer {
  <M extends Medium>(below: PhysicalService<M>, env: Env): PhysicalService<M>
  readonly link: ImpairControl
}

const REASONS: Reasons<ImpairDrop> = {
  chosen: '',
  burstLoss: '',
  loss: '',
  queueFull: '',
  badOffload: '',
  tooLong: '',
  linkDown: '',
  noUser: '',
}

/**
 * An impairing link: `stack(end, impair({ loss: 0.02, delay: ms(25), up: { reordering: 0.1 } }), ethernet(), …)`.
 * It offers no offload, so every loss is that of one packet of the wire.
 * @throws RangeError ERR_OUT_OF_RANGE — a number outside its range.
 * @throws TypeError ERR_INVALID_ARG_TYPE — not a number, or `dropIf` not a function.
 */
export function impair(options: ImpairOptions = {}): ImpairLayer {
  const link = new Control(options)
  const layer = <M extends Medium>(below: PhysicalService<M>, env: Env): PhysicalService<M> =>
    new Impaired(below, env, link)
  return Object.assign(layer, { link })
}

class Control implements ImpairControl {
  readonly down: ImpairCounts = { corrupted: 0, duplicated: 0, reordered: 0 }
  readonly up: ImpairCounts = { corrupted: 0, duplicated: 0, reordered: 0 }
  readonly settings: { readonly down: Settings; readonly up: Settings } = { down: new Settings(), up: new Settings() }
  /** The ways of all nodes that have the link. */
  readonly ways: Set<Way> = new Set()

  constructor(options: ImpairOptions) {
    this.set(options)
  }

  set(options: ImpairOptions): void {
    const { down = {}, up = {}, ...both } = options
    for (const given of [both, down, up]) checkImpairment(given)
    this.settings.down.apply({ ...both, ...down })
    this.settings.up.apply({ ...both, ...up })
    for (const way of this.ways) way.changed()
  }
}

class Impaired<M extends Medium> implements PhysicalService<M>, User<undefined> {
  readonly tier = 'physical'
  readonly medium: M
  readonly offload: Offload = NO_OFFLOAD
  readonly boundary: Boundary<undefined, ImpairDrop>
  private readonly below: PhysicalService<M>
  private readonly down: Way
  private readonly up: Way
  private readonly segmenter = new Segmenter()
  /** The link below takes no packets for now. */
  private blocked = false
  /** `send` has returned false, and `ready` is still owed. */
  private owing = false
  private closed = false

  constructor(below: PhysicalService<M>, env: Env, control: Control) {
    this.below = below
    this.medium = below.medium
    this.boundary = env.boundary('impair', below.boundary.encapsulation, REASONS)
    const { settings } = control
    const towardsWire: WayOwner = { through: (packet) => this.sendBelow(packet), opened: () => this.recover() }
    const fromWire: WayOwner = { through: (packet) => this.deliver(packet), opened: () => {} }
    this.down = new Way(towardsWire, this.boundary, settings.down, control.down, env.random('impair/down'), env)
    this.up = new Way(fromWire, this.boundary, settings.up, control.up, env.random('impair/up'), env)
    const detach = below.boundary.attach(this)
    for (const way of [this.down, this.up]) control.ways.add(way)
    env.defer(() => {
      this.closed = true
      detach()
      for (const way of [this.down, this.up]) {
        control.ways.delete(way)
        way.close()
      }
    })
  }

  get mtu(): number {
    return this.below.mtu
  }

  get headroom(): number {
    return this.below.headroom
  }

  get tailroom(): number {
    return this.below.tailroom
  }

  send(packet: Packet): boolean {
    this.boundary.down(packet, undefined)
    if (packet.length > this.below.mtu) this.boundary.drop(packet, 'tooLong')
    else if (this.closed) this.boundary.drop(packet, 'linkDown')
    else {
      // An earlier medium may have vouched for it; the one below must not pass that on after what may happen here.
      packet.checksum = 'none'
      this.down.enter(packet)
    }
    const open = this.down.open && !this.blocked
    if (!open) this.owing = true
    return open
  }

  receive(packet: Packet): void {
    if (packet.segments > 1) {
      this.receiveSegments(packet)
    } else {
      complete(packet)
      this.receiveOne(packet)
    }
  }

  ready(): void {
    this.blocked = false
    this.recover()
  }

  linkChanged(state: LinkState, reason: string): void {
    this.boundary.linkChanged(state, reason)
  }

  /** A medium with offload below hands up several packets of the wire at once: each has a fate of its own. */
  private receiveSegments(packet: Packet): void {
    this.segmenter.start(packet, packet.start - packet.base, 0)
    for (let segment = this.segmenter.next(); segment !== undefined; segment = this.segmenter.next()) {
      if (segment.length > this.below.mtu) this.boundary.drop(segment, 'badOffload')
      else this.receiveOne(segment)
    }
    packet.release()
  }

  /** The medium below may have vouched for the packet; after what may happen here, nobody can. */
  private receiveOne(packet: Packet): void {
    packet.checksum = 'none'
    packet.segmentOctets = 0
    this.up.enter(packet)
  }

  private sendBelow(packet: Packet): void {
    if (!this.below.send(packet, undefined)) this.blocked = true
  }

  private deliver(packet: Packet): void {
    if (!this.boundary.up(packet, undefined, 0)) this.boundary.drop(packet, 'noUser')
  }

  /** Says `ready`, once, when nothing stands in the way any more. */
  private recover(): void {
    if (!this.owing || this.blocked || !this.down.open) return
    this.owing = false
    this.boundary.ready()
  }
}
