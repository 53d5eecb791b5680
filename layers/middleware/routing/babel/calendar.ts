/**
 * What ends in a minute or so, in great numbers: routes and sources. A ring of one list a second; a date that moves later
 * leaves its entry where it is, and is looked at again when the old one comes. So an update that only confirms a route
 * costs one assignment.
 */
import type { Instant } from '../../../../src/kernel/clock.ts'

const TICK_BITS = 20
/** Seconds, near enough: 1.05 s. */
export const TICK_US: number = 1 << TICK_BITS
const SLOTS = 128

/** Something with a date. Its fields belong to the calendar, but for `due`, which may move later at any time. */
export interface Dated {
  /** Tick at which it is due; see `tickOf`. */
  due: number
  /** Those beside it in the calendar, in a circle; null: it is in none. */
  previous: Dated | null
  next: Dated | null
}

/** The first tick that begins at or after an instant. */
export const tickOf = (at: Instant): number => Math.ceil(at / TICK_US)

/** Where the circle of a slot begins and ends. */
class Head implements Dated {
  due = 0
  previous: Dated = this
  next: Dated = this
}

export class Calendar<Entry extends Dated> {
  private readonly heads: readonly Head[] = Array.from({ length: SLOTS }, () => new Head())
  private readonly arrive: (entry: Entry, now: Instant) => void
  private tick = 0
  private count = 0

  /** @param arrive an entry is due. It is in the calendar no more. */
  constructor(arrive: (entry: Entry, now: Instant) => void) {
    this.arrive = arrive
  }

  get size(): number {
    return this.count
  }

  /** Enters it, or moves it, also to an earlier date. */
  enter(entry: Entry, due: number): void {
    this.remove(entry)
    entry.due = due
    // What is further off than the ring is long goes round with it.
    const slot = Math.min(Math.max(due, this.tick + 1), this.tick + SLOTS - 1) % SLOTS
    const head = this.heads[slot] as Head
    entry.previous = head
    entry.next = head.next
    head.next.previous = entry
    head.next = entry
    this.count++
  }

  /** Moves one that it has: to a later date at the cost of an assignment. */
  move(entry: Entry, due: number): void {
    if (due < entry.due) this.enter(entry, due)
    else entry.due = due
  }

  remove(entry: Entry): void {
    const { previous, next } = entry
    if (previous === null || next === null) return
    previous.next = next
    next.previous = previous
    entry.previous = entry.next = null
    this.count--
  }

  /** Looks at all slots up to now. */
  advance(now: Instant): void {
    const target = Math.floor(now / TICK_US)
    // After a long sleep, once round is enough: every slot has been seen then.
    this.tick = Math.max(this.tick, target - SLOTS)
    while (this.tick < target) {
      this.tick++
      const head = this.heads[this.tick % SLOTS] as Head
      // Nothing is entered for the current tick, so the list only gets shorter, whatever arriving may bring about.
      while (head.next !== head) {
        const entry = head.next as Entry
        this.remove(entry)
        if (entry.due > this.tick) this.enter(entry, entry.due)
        else this.arrive(entry, now)
      }
    }
  }
}
