/**
 * Timers with exact deadlines over a hierarchical timing wheel (Varghese and Lauck 1987, scheme 7).
 *
 * The wheel sorts timers coarsely, by ticks of 1024 us: arm and cancel are O(1). What is due within the current tick
 * waits in a heap ordered by (deadline, age), so the order of firing does not depend on the size of the tick, and the
 * same wheel serves as the event queue of a simulation.
 *
 *   level 4 … level 1   level 0            heap
 *   64 slots a level ─► 64 slots, 1 tick ─► (deadline, age) ─► expire
 */
import type { Instant } from './clock.ts'

const TICK_BITS = 10
const SLOT_BITS = 6
const SLOTS = 1 << SLOT_BITS
const SLOT_MASK = SLOTS - 1
/** 64^5 ticks of 1024 us are 12 days; timers beyond wait in the last slot they can and are sorted again then. */
const LEVELS = 5
const TICK_US = 1 << TICK_BITS
const HORIZON = SLOTS ** LEVELS
const IN_HEAP = -2
const IDLE = -1

/** What a timer calls when it fires. */
export interface Expiring {
  expire(now: Instant): void
}

/** A timer; made once, armed as often as needed. Its fields belong to the wheel. */
export class Timer {
  /** When it fires; Infinity while it is not armed. */
  deadline: Instant = Number.POSITIVE_INFINITY
  age = 0
  prev: Timer | null = null
  next: Timer | null = null
  /** The wheel's slot it is in, or IDLE, or IN_HEAP. */
  slot: number = IDLE
  /** Its place in the heap. */
  place = 0
  readonly target: Expiring

  constructor(target: Expiring) {
    this.target = target
  }

  get armed(): boolean {
    return this.slot !== IDLE
  }
}

export class Timers {
  private readonly heads: (Timer | null)[] = new Array<Timer | null>(LEVELS * SLOTS).fill(null)
  /** Which slots of a level are occupied: two 32-bit words a level. */
  private readonly occupied = new Int32Array(LEVELS * 2)
  /** Timers of the current tick and before, as a binary heap. */
  private readonly heap: Timer[] = []
  /** All timers whose tick is at or before this one are in the heap. */
  private tick = 0
  private count = 0
  private ages = 0
  private readonly onArm: ((deadline: Instant) => void) | undefined

  /** @param onArm told of every deadline armed, so that a runtime can wake up in time. */
  constructor(onArm?: (deadline: Instant) => void) {
    this.onArm = onArm
  }

  /** Timers armed. */
  get size(): number {
    return this.count
  }

  /** The age that the next timer armed will get; see `advance`. */
  get nextAge(): number {
    return this.ages
  }

  /** Arms, or moves, a timer. A deadline in the past fires at the next `advance`. */
  arm(timer: Timer, deadline: Instant): void {
    if (timer.slot !== IDLE) this.remove(timer)
    timer.deadline = deadline
    timer.age = this.ages++
    this.count++
    this.insert(timer)
    this.onArm?.(deadline)
  }

  cancel(timer: Timer): void {
    if (timer.slot === IDLE) return
    this.remove(timer)
    this.count--
    timer.deadline = Number.POSITIVE_INFINITY
  }

  /** The earliest deadline, or Infinity. For a simulation: it turns the wheel to it. */
  next(): Instant {
    while (this.heap.length === 0) {
      if (this.count === 0) return Number.POSITIVE_INFINITY
      this.turnTo(this.nextTick())
    }
    return (this.heap[0] as Timer).deadline
  }

  /** When to look again at the latest: at or before the earliest deadline, or Infinity. For real time. */
  wakeAt(): Instant {
    return this.heap.length > 0 ? (this.heap[0] as Timer).deadline : this.nextTick() * TICK_US
  }

  /**
   * Fires what is due at or before `now`, in (deadline, age) order.
   * @param untilAge fire only timers older than this: those armed meanwhile wait for another turn. Default: all.
   * @returns true when something due was left for another turn.
   */
  advance(now: Instant, untilAge: number = Number.POSITIVE_INFINITY): boolean {
    const target = Math.floor(now / TICK_US)
    for (;;) {
      while (this.heap.length === 0) {
        const tick = this.nextTick()
        if (tick > target) {
          this.tick = Math.max(this.tick, target)
          return false
        }
        this.turnTo(tick)
      }
      const first = this.heap[0] as Timer
      if (first.deadline > now) return false
      if (first.age >= untilAge) return this.fireOlder(now, untilAge)
      this.fire(first, now)
    }
  }

  /** The rare case that a timer armed meanwhile stands before older ones: pick the older ones out. */
  private fireOlder(now: Instant, untilAge: number): boolean {
    for (;;) {
      let first: Timer | null = null
      for (const timer of this.heap) {
        if (timer.deadline <= now && timer.age < untilAge && (first === null || earlier(timer, first))) first = timer
      }
      if (first === null) return true
      this.fire(first, now)
    }
  }

  private fire(timer: Timer, now: Instant): void {
    this.remove(timer)
    this.count--
    timer.deadline = Number.POSITIVE_INFINITY
    timer.target.expire(now)
  }

  private insert(timer: Timer): void {
    const at = Math.floor(timer.deadline / TICK_US)
    if (at <= this.tick) {
      this.heapPush(timer)
      return
    }
    const delta = at - this.tick
    let level = 0
    for (let span = SLOTS; level < LEVELS - 1 && delta >= span; span *= SLOTS) level++
    const tick = delta >= HORIZON - HORIZON / SLOTS ? this.tick + HORIZON - HORIZON / SLOTS - 1 : at
    const index = Math.floor(tick / SLOTS ** level) & SLOT_MASK
    const slot = level * SLOTS + index
    timer.slot = slot
    timer.prev = null
    const head = this.heads[slot] as Timer | null
    timer.next = head
    if (head !== null) head.prev = timer
    this.heads[slot] = timer
    const word = level * 2 + (index >> 5)
    this.occupied[word] = (this.occupied[word] as number) | (1 << (index & 31))
  }

  private remove(timer: Timer): void {
    if (timer.slot === IN_HEAP) {
      this.heapRemove(timer)
    } else {
      const { slot } = timer
      if (timer.prev !== null) timer.prev.next = timer.next
      else this.heads[slot] = timer.next
      if (timer.next !== null) timer.next.prev = timer.prev
      timer.prev = timer.next = null
      if (this.heads[slot] === null) this.vacate(slot)
    }
    timer.slot = IDLE
  }

  private vacate(slot: number): void {
    const word = (slot >> SLOT_BITS) * 2 + ((slot & SLOT_MASK) >> 5)
    this.occupied[word] = (this.occupied[word] as number) & ~(1 << (slot & 31))
  }

  /** The first tick after the current one at which a slot of some level comes due. */
  private nextTick(): number {
    let best = Number.POSITIVE_INFINITY
    for (let level = 0, width = 1; level < LEVELS; level++, width *= SLOTS) {
      const current = Math.floor(this.tick / width)
      const ahead = this.slotsAhead(level, current & SLOT_MASK)
      if (ahead > 0) best = Math.min(best, (current + ahead) * width)
    }
    return best
  }

  /** Slots from `index` (exclusive, going round) to the next occupied one of the level; 0 when there is none. */
  private slotsAhead(level: number, index: number): number {
    const low = this.occupied[level * 2] as number
    const high = this.occupied[level * 2 + 1] as number
    if ((low | high) === 0) return 0
    for (let ahead = 1; ahead <= SLOTS; ahead++) {
      const at = (index + ahead) & SLOT_MASK
      const word = at < 32 ? low : high
      if (word === 0) {
        ahead += 31 - (at & 31)
        continue
      }
      if ((word >>> (at & 31)) & 1) return ahead
    }
    return 0
  }

  /** Makes `tick` the current one and sorts the slots that come due with it. */
  private turnTo(tick: number): void {
    this.tick = tick
    for (let level = LEVELS - 1, width = SLOTS ** (LEVELS - 1); level >= 0; level--, width /= SLOTS) {
      if (tick % width !== 0) continue
      const slot = level * SLOTS + (Math.floor(tick / width) & SLOT_MASK)
      let timer = this.heads[slot] as Timer | null
      if (timer === null) continue
      this.heads[slot] = null
      this.vacate(slot)
      while (timer !== null) {
        const { next }: Timer = timer
        timer.prev = timer.next = null
        this.insert(timer)
        timer = next
      }
    }
  }

  private heapPush(timer: Timer): void {
    timer.slot = IN_HEAP
    this.heap.push(timer)
    this.siftUp(timer, this.heap.length - 1)
  }

  private heapRemove(timer: Timer): void {
    const last = this.heap.pop() as Timer
    if (last === timer) return
    this.siftUp(last, timer.place)
    this.siftDown(last, last.place)
  }

  private siftUp(timer: Timer, from: number): void {
    let at = from
    while (at > 0) {
      const up = (at - 1) >> 1
      const parent = this.heap[up] as Timer
      if (!earlier(timer, parent)) break
      this.heap[at] = parent
      parent.place = at
      at = up
    }
    this.heap[at] = timer
    timer.place = at
  }

  private siftDown(timer: Timer, from: number): void {
    let at = from
    for (;;) {
      let child = 2 * at + 1
      if (child >= this.heap.length) break
      const right = child + 1
      if (right < this.heap.length && earlier(this.heap[right] as Timer, this.heap[child] as Timer)) child = right
      const next = this.heap[child] as Timer
      if (!earlier(next, timer)) break
      this.heap[at] = next
      next.place = at
      at = child
    }
    this.heap[at] = timer
    timer.place = at
  }
}

function earlier(a: Timer, b: Timer): boolean {
  return a.deadline < b.deadline || (a.deadline === b.deadline && a.age < b.age)
}
