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
  /** Its slot, or -1. */
  slot: number
  previous: Dated | null
  next: Dated | null
}

/** The first tick that begins at or after an instant. */
export const tickOf = (at: Instant): number => Math.ceil(at / TICK_US)

export class Calendar<Entry extends Dated> {
  private readonly heads: (Dated | null)[] = new Array<Dated | null>(SLOTS).fill(null)
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
    this.insert(entry)
    this.count++
  }

  remove(entry: Entry): void {
    if (entry.slot < 0) return
    if (entry.previous !== null) entry.previous.next = entry.next
    else this.heads[entry.slot] = entry.next
    if (entry.next !== null) entry.next.previous = entry.previous
    entry.slot = -1
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
      const slot = this.tick % SLOTS
      // Nothing is entered for the current tick, so the list only gets shorter, whatever arriving may bring about.
      for (let entry = this.heads[slot]; entry; entry = this.heads[slot]) {
        this.remove(entry as Entry)
        if (entry.due > this.tick) this.enter(entry as Entry, entry.due)
        else this.arrive(entry as Entry, now)
      }
    }
  }

  private insert(entry: Dated): void {
    const slot = Math.min(Math.max(entry.due, this.tick + 1), this.tick + SLOTS - 1) % SLOTS
    const head = this.heads[slot] as Dated | null
    entry.slot = slot
    entry.previous = null
    entry.next = head
    if (head !== null) head.previous = entry
    this.heads[slot] = entry
  }
}
