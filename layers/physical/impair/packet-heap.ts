/** Packets that wait for instants of their own, earliest first; of those due at the same instant, the first pushed. */
import type { Instant } from '../../../src/kernel/clock.ts'
import type { Packet } from '../../../src/kernel/packet.ts'

const FIRST_CAPACITY = 64

/** A binary heap in three arrays, so that a packet costs no object. */
export class PacketHeap {
  private packets: (Packet | undefined)[] = new Array<Packet | undefined>(FIRST_CAPACITY).fill(undefined)
  private dues = new Float64Array(FIRST_CAPACITY)
  private ages = new Float64Array(FIRST_CAPACITY)
  private count = 0
  private age = 0

  get length(): number {
    return this.count
  }

  /** The earliest instant, or Infinity. */
  get due(): Instant {
    return this.count === 0 ? Number.POSITIVE_INFINITY : (this.dues[0] as number)
  }

  push(packet: Packet, due: Instant): void {
    if (this.count === this.packets.length) this.grow()
    const age = this.age++
    let at = this.count++
    while (at > 0) {
      const up = (at - 1) >> 1
      if (!this.before(due, age, up)) break
      this.move(up, at)
      at = up
    }
    this.put(at, packet, due, age)
  }

  /** Takes out the earliest packet. */
  shift(): Packet | undefined {
    if (this.count === 0) return undefined
    const packet = this.packets[0]
    const last = --this.count
    const moved = this.packets[last] as Packet
    this.packets[last] = undefined
    if (last > 0) this.siftDown(moved, this.dues[last] as number, this.ages[last] as number)
    return packet
  }

  private siftDown(packet: Packet, due: Instant, age: number): void {
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= this.count) break
      const right = child + 1
      if (right < this.count && this.before(this.dues[right] as number, this.ages[right] as number, child))
        child = right
      if (this.before(due, age, child)) break
      this.move(child, at)
      at = child
    }
    this.put(at, packet, due, age)
  }

  private before(due: Instant, age: number, at: number): boolean {
    const other = this.dues[at] as number
    return due < other || (due === other && age < (this.ages[at] as number))
  }

  private move(from: number, to: number): void {
    this.put(to, this.packets[from] as Packet, this.dues[from] as number, this.ages[from] as number)
  }

  private put(at: number, packet: Packet, due: Instant, age: number): void {
    this.packets[at] = packet
    this.dues[at] = due
    this.ages[at] = age
  }

  private grow(): void {
    const { packets, dues, ages } = this
    this.packets = packets.concat(new Array<Packet | undefined>(packets.length).fill(undefined))
    this.dues = new Float64Array(2 * dues.length)
    this.ages = new Float64Array(2 * ages.length)
    this.dues.set(dues)
    this.ages.set(ages)
  }
}
