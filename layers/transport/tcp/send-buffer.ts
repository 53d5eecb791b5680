/**
 * Octets written and not yet acknowledged, in chunks of the slab that are taken as they are needed and given back as
 * they are acknowledged. An idle connection holds none.
 *
 *   chunks   ├─────────────┼─────────────┼─────────────┤
 *                 ▲ head                      ▲ head + length
 *                 first unacknowledged octet  where `write` goes on
 */
import { copyAndSum, fold } from '../../../src/kernel/checksum.ts'
import { CHUNK_OCTETS, slab } from '../../../src/kernel/slab.ts'
import { FEW_OCTETS, Spares } from './spares.ts'

const CHUNK_BITS = 31 - Math.clz32(CHUNK_OCTETS)

const spares = new Spares<SendBuffer>()

export class SendBuffer {
  /** Octets held. */
  length = 0
  /** Offsets of the chunks in the slab, in order. */
  private readonly chunks: number[] = []
  /** Offset of the first octet held in the first chunk. */
  private head = 0

  /** An empty one. */
  static take(): SendBuffer {
    return spares.take() ?? new SendBuffer()
  }

  /**
   * Copies octets in, behind those that are there. The caller sees to the limit.
   * @returns how many: fewer when there is no more memory, and the buffer holds something that will give it back.
   * @throws NetError ENOMEM — it holds nothing.
   */
  write(octets: Uint8Array, start: number, length: number): number {
    const target = slab().octets
    let from = start
    let left = length
    while (left > 0) {
      const at = this.head + this.length
      const index = at >> CHUNK_BITS
      if (index === this.chunks.length) {
        if (this.length > 0 && !slab().hasChunk) break
        this.chunks.push(slab().takeChunk())
      }
      const offset = at & (CHUNK_OCTETS - 1)
      const n = Math.min(left, CHUNK_OCTETS - offset)
      const to = (this.chunks[index] as number) + offset
      if (n <= FEW_OCTETS) for (let k = 0; k < n; k++) target[to + k] = octets[from + k] as number
      else target.set(from === 0 && n === octets.length ? octets : octets.subarray(from, from + n), to)
      this.length += n
      from += n
      left -= n
    }
    return length - left
  }

  /** Copies `length` octets from `offset` on (0: the first held) to `to` in the slab. */
  copy(offset: number, length: number, to: number): void {
    const { octets } = slab()
    let at = this.head + offset
    let target = to
    for (let left = length; left > 0; ) {
      const inChunk = at & (CHUNK_OCTETS - 1)
      const from = (this.chunks[at >> CHUNK_BITS] as number) + inChunk
      const n = Math.min(left, CHUNK_OCTETS - inChunk)
      octets.copyWithin(target, from, from + n)
      at += n
      target += n
      left -= n
    }
  }

  /** The same, and sums what it copies. @returns the partial sum of the octets copied. */
  copyAndSum(offset: number, length: number, to: number): number {
    const at = this.head + offset
    const inChunk = at & (CHUNK_OCTETS - 1)
    const from = (this.chunks[at >> CHUNK_BITS] as number) + inChunk
    const first = Math.min(length, CHUNK_OCTETS - inChunk)
    const partial = copyAndSum(from, to, first, 0)
    if (first === length) return partial
    const rest = fold(this.copyAndSum(offset + first, length - first, to + first))
    // A run that starts at an odd offset has its octets in the other half of each word (RFC 1071 §2 B).
    return partial + ((first & 1) === 0 ? rest : ((rest & 0xff) << 8) | (rest >> 8))
  }

  /** Forgets the first `n` octets and gives back the chunks they filled. */
  release(n: number): void {
    this.length -= n
    this.head += n
    while (this.head >= CHUNK_OCTETS) {
      slab().giveChunk(this.chunks.shift() as number)
      this.head -= CHUNK_OCTETS
    }
    if (this.length === 0) this.clear()
  }

  /** Ends its life, with what it holds. @returns what takes its place. */
  end(): null {
    this.clear()
    spares.give(this)
    return null
  }

  private clear(): void {
    // One by one: to set the length of an array is a call into the engine.
    while (this.chunks.length > 0) slab().giveChunk(this.chunks.pop() as number)
    this.length = 0
    this.head = 0
  }
}
