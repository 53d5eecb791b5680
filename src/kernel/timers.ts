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
const SLOTS = 64
/** 64^5 ticks of 1024 us are 12 days; timers beyond wait in the last slot they can and are sorted again then. */
const LEVELS = 5
const TICK_US = 1 << TICK_BITS
/** Ticks of a slot of each level. */
const WIDTHS: readonly number[] = Array.from({ length: LEVELS }, (_, level) => SLOTS ** level)
const TOP_WIDTH = SLOTS ** (LEVELS - 1)
/** The farthest a slot can lie ahead without meeting the current one from behind. */
const HORIZON = (SLOTS - 1) * TOP_WIDTH - 1
const IDLE = -1
const IN_HEAP = -2
const PUT_OFF = -3

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
  /** The wheel's slot it is in, or IDLE, IN_HEAP or PUT_OFF. */
  slot: number = IDLE
  /** Its place in the heap, or among those put off. */
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
  /** Within `advance`: due, but left for another turn. */
  private readonly putOff: Timer[] = []
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
    if (timer.slot === IDLE) this.count++
    else this.remove(timer)
    timer.deadline = deadline
    timer.age = this.ages++
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
    try {
      for (;;) {
        while (this.heap.length === 0) {
          const tick = this.nextTick()
          if (tick > target) {
            this.tick = Math.max(this.tick, target)
            return this.putOff.length > 0
          }
          this.turnTo(tick)
        }
        const first = this.heap[0] as Timer
        if (first.deadline > now) return this.putOff.length > 0
        if (first.age < untilAge) this.fire(first, now)
        else this.setAside(first)
      }
    } finally {
      while (this.putOff.length > 0) this.heapPush(this.putOff.pop() as Timer)
    }
  }

  private setAside(timer: Timer): void {
    this.heapRemove(timer)
    timer.slot = PUT_OFF
    timer.place = this.putOff.length
    this.putOff.push(timer)
  }

  private fire(timer: Timer, now: Instant): void {
    this.remove(timer)
    this.count--
    timer.deadline = Number.POSITIVE_INFINITY
    timer.target.expire(now)
  }

  private insert(timer: Timer): void {
    const at = Math.floor(timer.deadline / TICK_US)
    const delta = at - this.tick
    if (delta <= 0) {
      this.heapPush(timer)
      return
    }
    let level = 0
    while (level < LEVELS - 1 && delta >= (WIDTHS[level + 1] as number)) level++
    const tick = delta > HORIZON ? this.tick + HORIZON : at
    const index = level === 0 ? tick % SLOTS : Math.floor(tick / (WIDTHS[level] as number)) % SLOTS
    const slot = level * SLOTS + index
    const head = this.heads[slot] as Timer | null
    timer.slot = slot
    timer.prev = null
    timer.next = head
    if (head !== null) head.prev = timer
    this.heads[slot] = timer
    const word = slot >> 5
    this.occupied[word] = (this.occupied[word] as number) | (1 << (index & 31))
  }

  private remove(timer: Timer): void {
    const { slot } = timer
    timer.slot = IDLE
    if (slot === IN_HEAP) {
      this.heapRemove(timer)
    } else if (slot === PUT_OFF) {
      const last = this.putOff.pop() as Timer
      if (last !== timer) {
        this.putOff[timer.place] = last
        last.place = timer.place
      }
    } else {
      if (timer.prev !== null) timer.prev.next = timer.next
      else this.heads[slot] = timer.next
      if (timer.next !== null) timer.next.prev = timer.prev
      timer.prev = timer.next = null
      if (this.heads[slot] === null) this.vacate(slot)
    }
  }

  private vacate(slot: number): void {
    const word = slot >> 5
    this.occupied[word] = (this.occupied[word] as number) & ~(1 << (slot & 31))
  }

  /** The first tick after the current one at which a slot of some level comes due. */
  private nextTick(): number {
    let best = Number.POSITIVE_INFINITY
    for (let level = 0; level < LEVELS; level++) {
      const low = this.occupied[2 * level] as number
      const high = this.occupied[2 * level + 1] as number
      if ((low | high) === 0) continue
      const width = WIDTHS[level] as number
      const current = Math.floor(this.tick / width)
      best = Math.min(best, (current + slotsAhead(low, high, current % SLOTS)) * width)
    }
    return best
  }

  /** Makes `tick` the current one and sorts the slots that come due with it. */
  private turnTo(tick: number): void {
    this.tick = tick
    // A slot of a level comes due when all levels below it are at their slot 0.
    let level = 0
    while (level < LEVELS - 1 && tick % (WIDTHS[level + 1] as number) === 0) level++
    for (; level >= 0; level--) {
      const slot = level * SLOTS + (Math.floor(tick / (WIDTHS[level] as number)) % SLOTS)
      const newest = this.heads[slot] as Timer | null
      if (newest === null) continue
      this.heads[slot] = null
      this.vacate(slot)
      // From the oldest on: timers of one deadline then enter the heap in its order.
      let timer: Timer | null = newest
      while (timer.next !== null) timer = timer.next
      while (timer !== null) {
        const { prev }: Timer = timer
        timer.prev = timer.next = null
        this.insert(timer)
        timer = prev
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

/**
 * Slots from `index` (exclusive, going round, itself last) to the next occupied one of a level.
 * @param low and @param high which of the 64 slots are occupied; not both 0.
 */
function slotsAhead(low: number, high: number, index: number): number {
  const from = (index + 1) % SLOTS
  const near = from < 32 ? low : high
  const far = from < 32 ? high : low
  const ahead = near & (-1 << (from & 31))
  const first = from & 32
  const at =
    ahead !== 0 ? first + lowestBit(ahead) : far !== 0 ? (first ^ 32) + lowestBit(far) : first + lowestBit(near)
  return ((at - from + SLOTS) % SLOTS) + 1
}

const lowestBit = (word: number): number => 31 - Math.clz32(word & -word)

function earlier(a: Timer, b: Timer): boolean {
  return a.deadline < b.deadline || (a.deadline === b.deadline && a.age < b.age)
}
