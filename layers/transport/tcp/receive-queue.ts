/**
 * Octets received in order and not yet read. Segments stay in the packets they came in until they are read; small ones
 * are moved into the tailroom of the packet before, so that a stream of single octets does not take a slot for each.
 */
import type { Packet } from '../../../src/kernel/packet.ts'
import { slab } from '../../../src/kernel/slab.ts'
import { FEW_OCTETS, Spares } from './spares.ts'

/** Octets of slots that the queues of this thread hold. */
let held = 0
/** Beyond so many, only who has nothing to read yet gets something; and beyond so many more nobody does. 0: not known yet. */
let most = 0
let mostOfAll = 0

/** Is there room for a packet behind `queue`? The rest of the slab is for packets on their way. @param queue null: an empty one. */
export function mayQueue(queue: ReceiveQueue | null): boolean {
  if (most === 0) {
    most = (slab().octets.length * 3) / 8
    mostOfAll = (slab().octets.length * 7) / 16
  }
  return held < (queue === null ? mostOfAll : most)
}

/** A queue of packets is compacted when this many at its front are gone. */
const COMPACT_AT = 64

const spares = new Spares<ReceiveQueue>()

export class ReceiveQueue {
  /** Octets that can be read. */
  length = 0
  private readonly packets: Packet[] = []
  private first = 0

  /** An empty one. */
  static take(): ReceiveQueue {
    return spares.take() ?? new ReceiveQueue()
  }

  /** Appends the data of `packet`. Takes ownership. */
  append(packet: Packet): void {
    const n = packet.end - packet.start
    this.length += n
    const last = this.packets.length > this.first ? (this.packets[this.packets.length - 1] as Packet) : undefined
    if (last !== undefined && last.limit - last.end >= n) {
      last.octets.copyWithin(last.put(n), packet.start, packet.end)
      packet.release()
    } else {
      this.packets.push(packet)
      held += packet.limit - packet.base
    }
  }

  /** Copies up to `length` octets out, into `into` from `start` on. @returns how many. */
  read(into: Uint8Array, start: number, length: number): number {
    let done = 0
    while (done < length && this.first < this.packets.length) {
      const packet = this.packets[this.first] as Packet
      const n = Math.min(packet.end - packet.start, length - done)
      const whole = n === packet.end - packet.start
      const { octets, start: from } = packet
      if (n <= FEW_OCTETS) for (let i = 0; i < n; i++) into[start + done + i] = octets[from + i] as number
      else into.set(whole ? packet.bytes() : octets.subarray(from, from + n), start + done)
      done += n
      if (whole) this.shift()
      else packet.pull(n)
    }
    this.length -= done
    return done
  }

  /** Ends its life, with what it holds. @returns what takes its place. */
  end(): null {
    while (this.first < this.packets.length) this.shift()
    this.length = 0
    spares.give(this)
    return null
  }

  private shift(): void {
    const packet = this.packets[this.first] as Packet
    held -= packet.limit - packet.base
    packet.release()
    this.first++
    if (this.first === this.packets.length) {
      // One by one: to set the length of an array is a call into the engine.
      while (this.packets.length > 0) this.packets.pop()
      this.first = 0
    } else if (this.first >= COMPACT_AT && this.first * 2 >= this.packets.length) {
      this.packets.splice(0, this.first)
      this.first = 0
    }
  }
}
