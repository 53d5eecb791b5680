/** A bounded first-in first-out queue with water marks: the backpressure of every layer that must wait. */

const FIRST_CAPACITY = 16

export class Queue<T> {
  /** A ring of a power of two slots, grown up to the limit. */
  private items: (T | undefined)[] = new Array<T | undefined>(FIRST_CAPACITY).fill(undefined)
  private head = 0
  private count = 0
  private wasFull = false
  private readonly high: number
  private readonly limit: number

  /** @param high length from which `open` is false. @param limit length from which `push` refuses. */
  constructor(high: number, limit: number = 2 * high) {
    this.high = high
    this.limit = limit
  }

  get length(): number {
    return this.count
  }

  /** The sender may go on. */
  get open(): boolean {
    return this.count < this.high
  }

  /** @returns false when the queue is at its limit: the item was not taken. */
  push(item: T): boolean {
    if (this.count >= this.limit) return false
    if (this.count === this.items.length) this.grow()
    this.items[(this.head + this.count) & (this.items.length - 1)] = item
    this.count++
    if (this.count >= this.high) this.wasFull = true
    return true
  }

  /** The oldest item, left in place. */
  peek(): T | undefined {
    return this.count === 0 ? undefined : this.items[this.head]
  }

  /** The item behind `index` others, left in place. */
  at(index: number): T | undefined {
    return index < this.count ? this.items[(this.head + index) & (this.items.length - 1)] : undefined
  }

  /** The oldest item, taken out. */
  shift(): T | undefined {
    if (this.count === 0) return undefined
    const item = this.items[this.head]
    this.items[this.head] = undefined
    this.head = (this.head + 1) & (this.items.length - 1)
    this.count--
    return item
  }

  /** True once, each time the queue has fallen to half its high mark after having been full. */
  drained(): boolean {
    if (!this.wasFull || this.count * 2 > this.high) return false
    this.wasFull = false
    return true
  }

  private grow(): void {
    const old = this.items
    const items = new Array<T | undefined>(old.length * 2).fill(undefined)
    for (let i = 0; i < this.count; i++) items[i] = old[(this.head + i) & (old.length - 1)]
    this.items = items
    this.head = 0
  }
}
