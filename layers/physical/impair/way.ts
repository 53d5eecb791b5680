/**
 * One direction of an impairing link. Packets pass these stages in this order; one that is off costs nothing:
 *
 *   chosen ─ bursts ─ loss ─ corruption ─ duplication ─ reordering ─► rate and queue ─► delay and jitter ─► out
 */
import type { Boundary } from '../../../src/kernel/boundary.ts'
import type { Clock, Instant } from '../../../src/kernel/clock.ts'
import type { Env } from '../../../src/kernel/env.ts'
import type { Packet } from '../../../src/kernel/packet.ts'
import { below, fraction, type Random } from '../../../src/kernel/random.ts'
import { type Expiring, Timer, type Timers } from '../../../src/kernel/timers.ts'
import { LINE_LIMIT, Line, type LineOwner } from '../line.ts'
import type { Settings } from './options.ts'
import { PacketHeap } from './packet-heap.ts'

/** Why an impairing link drops packets. */
export type ImpairDrop =
  | 'chosen'
  | 'burstLoss'
  | 'loss'
  | 'queueFull'
  | 'badOffload'
  | 'tooLong'
  | 'linkDown'
  | 'noUser'

/** Packets to which something happened other than being lost. */
export interface ImpairCounts {
  corrupted: number
  duplicated: number
  reordered: number
}

/** Packets that are held back at a time, at most; what else would be goes on in order. */
const MOST_HELD = 64
/** Packets let out of the delay per turn. */
const BATCH = 64

/** Where a way leads. */
export interface WayOwner {
  /** A packet came through. Takes ownership. */
  through(packet: Packet): void
  /** The way takes packets again, once after `open` was false. */
  opened(): void
}

export class Way implements LineOwner, Expiring {
  private readonly owner: WayOwner
  private readonly boundary: Boundary<undefined, ImpairDrop>
  private readonly settings: Settings
  private readonly counts: ImpairCounts
  private readonly random: Random
  private readonly clock: Clock
  private readonly timers: Timers
  /** Of what is held back or delayed, whichever is due first. */
  private readonly timer: Timer = new Timer(this)
  private readonly line: Line
  private readonly delayed = new PacketHeap()
  private lastDue: Instant = 0
  /** So many packets are delayed that the sender should stop. */
  private crowded = false
  /** Held back, oldest first: how many are still to pass each, and until when it waits. */
  private readonly held: Packet[] = []
  private readonly passes: number[] = []
  private readonly waits: Instant[] = []
  private index = 0
  private inBurst = false

  constructor(
    owner: WayOwner,
    boundary: Boundary<undefined, ImpairDrop>,
    settings: Settings,
    counts: ImpairCounts,
    random: Random,
    env: Env,
  ) {
    this.owner = owner
    this.boundary = boundary
    this.settings = settings
    this.counts = counts
    this.random = random
    this.clock = env.clock
    this.timers = env.timers
    this.line = new Line(env.timers, env.clock, this, { rate: settings.rate, queue: settings.queue })
  }

  /** False while the queue before the rate, or what is delayed, is above its high-water mark. */
  get open(): boolean {
    return this.line.open && !this.crowded
  }

  /** Takes ownership. */
  enter(packet: Packet): void {
    const { settings } = this
    const lost = this.fate(packet)
    if (lost !== undefined) {
      this.boundary.drop(packet, lost)
      return
    }
    if (this.happens(settings.corruption)) this.corrupt(packet)
    const twin = this.happens(settings.duplication) ? this.duplicate(packet) : null
    this.order(packet)
    if (twin !== null) this.order(twin)
  }

  /** The settings have changed. */
  changed(): void {
    this.line.set({ rate: this.settings.rate, queue: this.settings.queue })
  }

  /** The rate let a packet go. */
  arrive(packet: Packet): void {
    const { delay, jitter } = this.settings
    if (delay === 0 && jitter === 0 && this.delayed.length === 0) this.owner.through(packet)
    else this.postpone(packet, delay, jitter)
  }

  drained(): void {
    if (this.open) this.owner.opened()
  }

  expire(now: Instant): void {
    try {
      for (let i = 0; i < this.held.length; ) {
        if ((this.waits[i] as Instant) <= now) this.letGo(i)
        else i++
      }
      for (let left = BATCH; left > 0 && this.delayed.due <= now; left--) {
        this.owner.through(this.delayed.shift() as Packet)
      }
    } finally {
      this.goOn(now) // also when a handler of the application throws: the way carries other packets too
    }
  }

  private goOn(now: Instant): void {
    this.arm(now)
    if (this.crowded && this.delayed.length * 4 <= LINE_LIMIT) {
      this.crowded = false
      if (this.open) this.owner.opened()
    }
  }

  /** Loses all that is held. */
  close(): void {
    const lose = (packet: Packet) => this.boundary.drop(packet, 'linkDown')
    this.held.splice(0).forEach(lose)
    for (let packet = this.delayed.shift(); packet !== undefined; packet = this.delayed.shift()) lose(packet)
    this.line.empty(lose)
    this.timers.cancel(this.timer)
  }

  /** Whether, and why, a packet is lost. Moves the chain of bursts for every packet. */
  private fate(packet: Packet): ImpairDrop | undefined {
    const { settings } = this
    const index = this.index++
    if (settings.dropIf?.(index, packet) === true) return 'chosen'
    if (settings.p > 0 || this.inBurst) {
      this.inBurst = this.inBurst ? !this.happens(settings.r) : this.happens(settings.p)
    }
    if (this.happens(this.inBurst ? settings.bad : settings.good)) return 'burstLoss'
    return this.happens(settings.loss) ? 'loss' : undefined
  }

  /** Draws only for what may and may not be, so that a setting that is off leaves the stream of chance alone. */
  private happens(probability: number): boolean {
    return probability > 0 && (probability >= 1 || fraction(this.random) < probability)
  }

  private corrupt(packet: Packet): void {
    if (packet.length === 0) return
    for (let bits = this.settings.corruptBits; bits > 0; bits--) {
      const bit = below(this.random, packet.length * 8)
      const at = packet.start + (bit >> 3)
      packet.octets[at] = (packet.octets[at] as number) ^ (1 << (bit & 7))
    }
    this.counts.corrupted++
    this.boundary.note(packet, 'corrupted', 'impair', '')
  }

  private duplicate(packet: Packet): Packet {
    this.counts.duplicated++
    this.boundary.note(packet, 'duplicated', 'impair', '')
    return packet.copy(packet.start - packet.base, packet.limit - packet.end)
  }

  private order(packet: Packet): void {
    const { settings } = this
    if (this.held.length < MOST_HELD && this.happens(settings.reordering)) {
      this.counts.reordered++
      this.boundary.note(packet, 'reordered', 'impair', '')
      this.held.push(packet)
      this.passes.push(settings.reorderBy)
      this.waits.push(this.clock.now() + settings.reorderWait)
      this.arm(this.clock.now())
      return
    }
    this.shape(packet)
    if (this.held.length > 0) this.passHeld()
  }

  /** A packet has passed all that are held back. */
  private passHeld(): void {
    for (let i = 0; i < this.held.length; ) {
      const passes = (this.passes[i] as number) - 1
      this.passes[i] = passes
      if (passes <= 0) this.letGo(i)
      else i++
    }
  }

  private letGo(i: number): void {
    const [packet] = this.held.splice(i, 1)
    this.passes.splice(i, 1)
    this.waits.splice(i, 1)
    this.shape(packet as Packet)
  }

  private shape(packet: Packet): void {
    if (this.settings.rate === Number.POSITIVE_INFINITY && this.line.length === 0) this.arrive(packet)
    else if (!this.line.push(packet)) this.boundary.drop(packet, 'queueFull')
  }

  private postpone(packet: Packet, delay: number, jitter: number): void {
    if (this.delayed.length >= LINE_LIMIT) {
      this.boundary.drop(packet, 'queueFull')
      return
    }
    const now = this.clock.now()
    let due = now + delay + (jitter === 0 ? 0 : below(this.random, jitter + 1))
    // A constant delay is a longer wire: on it nothing overtakes, not even after the delay was lowered.
    if (jitter === 0 || this.settings.keepOrder) due = Math.max(due, this.lastDue)
    this.lastDue = Math.max(due, this.lastDue)
    this.delayed.push(packet, due)
    if (this.delayed.length * 2 >= LINE_LIMIT) this.crowded = true
    this.arm(now)
  }

  private arm(now: Instant): void {
    let deadline = this.delayed.due
    for (const wait of this.waits) deadline = Math.min(deadline, wait)
    if (deadline === Number.POSITIVE_INFINITY) return
    deadline = Math.max(deadline, now)
    if (deadline !== this.timer.deadline) this.timers.arm(this.timer, deadline)
  }
}
