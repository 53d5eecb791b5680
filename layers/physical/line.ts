/**
 * One direction of a medium in memory: a transmitter with a queue, then a length of wire. First in, first out.
 *
 *            ┌─ waiting ──────┐            ┌─ in flight ───────┐
 *   push ──► │ p5   p4   p3   │ ── rate ──►│ p2         p1     │ ──► arrive(packet), on a later turn
 *            └────────────────┘            └───── delay ───────┘
 *
 * Both are one ring: a packet's departure and arrival are known when it is pushed, so that one timer is enough, and
 * virtual time is exact to the microsecond. `push` never calls `arrive`: what is due at once waits for another turn.
 */
import type { Clock, Duration, Instant } from '../../src/kernel/clock.ts'
import { inRange, integer } from '../../src/kernel/errors.ts'
import type { Packet } from '../../src/kernel/packet.ts'
import { type Expiring, Timer, type Timers } from '../../src/kernel/timers.ts'

/** How a line carries packets. */
export interface LineOptions {
  /** From the last bit sent to the last bit received, in microseconds: 0 (default) to 10 minutes. */
  readonly delay?: Duration
  /** Bits per second, over the octets of the packet at this boundary: at least 1; default Infinity. */
  readonly rate?: number
  /**
   * Packets that may wait, the one in transmission included, 1 to 16384; default 256. Half of it is the high-water mark: from there
   * `send` returns false, until a quarter is left. A packet that finds the queue full is dropped.
   */
  readonly queue?: number
  /** Packets delivered per turn at most, 1 to 16384; default 64. What is left is due at once on the next turn. */
  readonly batch?: number
}

/** Packets a line holds in all, however long its delay: 32 MB of frames of 1500 octets. */
export const LINE_LIMIT = 16_384

const LONGEST_DELAY = 600_000_000
const DEFAULT_QUEUE = 256
const DEFAULT_BATCH = 64
const FIRST_CAPACITY = 64

/** Where a line leads, and who fills it. */
export interface LineOwner {
  /** `packet` has reached the far end. Takes ownership. */
  arrive(packet: Packet): void
  /** Once, after `open` was false: the line takes packets again. */
  drained(): void
}

export class Line implements Expiring {
  private readonly timers: Timers
  private readonly clock: Clock
  private readonly owner: LineOwner
  private readonly timer: Timer = new Timer(this)

  private delay: Duration = 0
  /** Microseconds an octet takes; 0 without a rate. */
  private octetUs = 0
  private limit: number = DEFAULT_QUEUE
  private batch: number = DEFAULT_BATCH

  /**
   * A ring of a power of two slots: packets with the instants at which they have left, and may arrive. They arrive in
   * the order of the ring, so one that may do so earlier than its predecessor (the delay was lowered) waits for it.
   */
  private packets: (Packet | undefined)[] = new Array<Packet | undefined>(FIRST_CAPACITY).fill(undefined)
  private departures = new Float64Array(FIRST_CAPACITY)
  private arrivals = new Float64Array(FIRST_CAPACITY)
  private head = 0
  private count = 0
  /** How many of them, from the head, the transmitter was done with when last looked. */
  private departed = 0
  /** When the transmitter is done with all; fractions of a microsecond add up here. */
  private free = 0
  /** Neither rate nor delay, and nothing under way that had one: the clock need not be asked per packet. */
  private immediate = true
  private blocked = false

  /** @throws RangeError ERR_OUT_OF_RANGE — see `LineOptions`. */
  constructor(timers: Timers, clock: Clock, owner: LineOwner, options: LineOptions) {
    this.timers = timers
    this.clock = clock
    this.owner = owner
    this.set(options)
  }

  /** Packets waiting or in flight. */
  get length(): number {
    return this.count
  }

  /** False from the high-water mark until `drained`. */
  get open(): boolean {
    return !this.blocked
  }

  /**
   * Takes ownership, unless it refuses.
   * @returns false when the queue, or the wire, is full: the packet still is the caller's.
   */
  push(packet: Packet): boolean {
    if (!this.immediate) return this.pushTimed(packet)
    if (this.count >= this.limit) return false
    this.append(packet, 0, 0)
    if (this.count * 2 >= this.limit) this.blocked = true
    if (!this.timer.armed) this.timers.arm(this.timer, this.clock.now())
    return true
  }

  /**
   * Changes what is given and leaves the rest. A new rate or delay holds for what still waits, but not for the packet
   * being transmitted, nor for what is in flight: packets never overtake.
   * @throws RangeError ERR_OUT_OF_RANGE — see `LineOptions`; nothing has changed then.
   */
  set(options: LineOptions): void {
    checkLine(options)
    if (options.queue !== undefined) this.limit = options.queue
    if (options.batch !== undefined) this.batch = options.batch
    if (options.rate === undefined && options.delay === undefined) return
    const now = this.clock.now()
    this.settle(now)
    if (options.delay !== undefined) this.delay = options.delay
    if (options.rate !== undefined) this.octetUs = options.rate === Number.POSITIVE_INFINITY ? 0 : 8e6 / options.rate
    this.retime()
    this.immediate = this.octetUs === 0 && this.delay === 0 && this.count === 0
    if (this.count > 0) this.arm(now)
  }

  /** Loses all that waits or is in flight, and forgets what the transmitter was busy with. @param lose ends their lives. */
  empty(lose: (packet: Packet) => void): void {
    for (let packet = this.shift(); packet !== undefined; packet = this.shift()) lose(packet)
    this.reset()
  }

  private shift(): Packet | undefined {
    if (this.count === 0) return undefined
    const packet = this.packets[this.head]
    this.packets[this.head] = undefined
    this.head = (this.head + 1) & (this.packets.length - 1)
    this.count--
    if (this.departed > 0) this.departed--
    return packet
  }

  private reset(): void {
    this.timers.cancel(this.timer)
    this.free = 0
    this.immediate = this.octetUs === 0 && this.delay === 0
    if (this.blocked) {
      this.blocked = false
      this.owner.drained()
    }
  }

  /** Delivers a batch of what has arrived. Called by the timer. */
  expire(now: Instant): void {
    try {
      // What is pushed meanwhile, by those who answer at once, waits for another turn.
      for (let left = Math.min(this.batch, this.count); left > 0 && this.count > 0; left--) {
        if ((this.arrivals[this.head] as number) > now) break
        this.owner.arrive(this.shift() as Packet)
      }
    } finally {
      this.goOn(now) // also when a handler of the application throws: the line carries other packets too
    }
  }

  /** After a batch: sees to what is left, and says that there is room again. */
  private goOn(now: Instant): void {
    if (!this.immediate) {
      this.settle(now)
      this.immediate = this.octetUs === 0 && this.delay === 0 && this.count === 0
    }
    const drained = this.blocked && this.hasDrained()
    if (drained) this.blocked = false
    if (this.count > 0) this.arm(now)
    if (drained) this.owner.drained()
  }

  private pushTimed(packet: Packet): boolean {
    const now = this.clock.now()
    this.settle(now)
    if (this.count - this.departed >= this.limit || this.count >= LINE_LIMIT) return false
    this.free = Math.max(this.free, now) + packet.length * this.octetUs
    this.append(packet, this.free, Math.round(this.free) + this.delay)
    if (!this.blocked && ((this.count - this.departed) * 2 >= this.limit || this.count * 2 >= LINE_LIMIT)) {
      this.blocked = true
      this.arm(now)
    } else if (!this.timer.armed) {
      this.arm(now)
    }
    return true
  }

  /** Half of what blocks is gone. */
  private hasDrained(): boolean {
    const waiting = this.immediate ? this.count : this.count - this.departed
    return waiting * 4 <= this.limit && this.count * 4 <= LINE_LIMIT
  }

  /** Moves the mark over what the transmitter is done with. */
  private settle(now: Instant): void {
    const mask = this.packets.length - 1
    while (this.departed < this.count && (this.departures[(this.head + this.departed) & mask] as number) <= now) {
      this.departed++
    }
  }

  /** Recomputes the instants of what waits behind the packet in transmission. */
  private retime(): void {
    const mask = this.packets.length - 1
    for (let i = this.departed; i < this.count; i++) {
      const at = (this.head + i) & mask
      if (i === this.departed) this.free = this.departures[at] as number
      else this.free += (this.packets[at] as Packet).length * this.octetUs
      this.departures[at] = this.free
      this.arrivals[at] = Math.round(this.free) + this.delay
    }
  }

  /** Sees to it that the timer fires for the next arrival, and for the departure that opens a blocked line. */
  private arm(now: Instant): void {
    let deadline = Math.max(this.arrivals[this.head] as number, now)
    const keep = this.limit >> 2
    if (this.blocked && this.count - this.departed > keep) {
      const opens = this.departures[(this.head + this.count - keep - 1) & (this.packets.length - 1)] as number
      deadline = Math.min(deadline, Math.max(Math.ceil(opens), now))
    }
    if (this.timer.deadline !== deadline) this.timers.arm(this.timer, deadline)
  }

  private append(packet: Packet, departure: number, arrival: Instant): void {
    if (this.count === this.packets.length) this.grow()
    const at = (this.head + this.count) & (this.packets.length - 1)
    this.packets[at] = packet
    this.departures[at] = departure
    this.arrivals[at] = arrival
    this.count++
  }

  private grow(): void {
    const { packets, departures, arrivals, head, count } = this
    const capacity = packets.length * 2
    this.packets = new Array<Packet | undefined>(capacity).fill(undefined)
    this.departures = new Float64Array(capacity)
    this.arrivals = new Float64Array(capacity)
    for (let i = 0; i < count; i++) {
      const at = (head + i) & (count - 1)
      this.packets[i] = packets[at]
      this.departures[i] = departures[at] as number
      this.arrivals[i] = arrivals[at] as number
    }
    this.head = 0
  }
}

/** @throws RangeError ERR_OUT_OF_RANGE — see `LineOptions`. */
export function checkLine(options: LineOptions): void {
  if (options.delay !== undefined) integer('delay', options.delay, 0, LONGEST_DELAY)
  if (options.rate !== undefined) inRange('rate', options.rate, 1, Number.POSITIVE_INFINITY)
  if (options.queue !== undefined) integer('queue', options.queue, 1, LINE_LIMIT)
  if (options.batch !== undefined) integer('batch', options.batch, 1, LINE_LIMIT)
}

/** Of an object with more options: those of a line, as far as given. */
export function lineOptions({ delay, rate, queue, batch }: LineOptions): LineOptions {
  return {
    ...(delay === undefined ? {} : { delay }),
    ...(rate === undefined ? {} : { rate }),
    ...(queue === undefined ? {} : { queue }),
    ...(batch === undefined ? {} : { batch }),
  }
}
