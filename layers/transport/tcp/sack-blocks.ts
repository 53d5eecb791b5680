/**
 * What the receiver reports beyond RCV.NXT: the blocks of a SACK option (RFC 2018 §3, §4), most recent first, and in
 * front of them what arrived twice (DSACK, RFC 2883).
 *
 *   NOP │ NOP │ kind 5 │ length 2 + 8n │ left edge │ right edge │ …
 */
import { afterOrAt, before, beforeOrAt, earliest, latest } from '../../../src/kernel/sequence.ts'

/** Octets of the option's head with the two NOPs that align it. */
export const SACK_HEAD_OCTETS = 4
export const SACK_BLOCK_OCTETS = 8
/** Blocks that fit the options of a segment: 4 alone, 3 beside timestamps (RFC 2018 §3). */
const MOST_BLOCKS = 4
/** NOP, NOP, kind 5; the length follows. */
const HEAD = 0x0101_0500

export class SackBlocks {
  /** Blocks of data that wait for what is missing in front of them. */
  private count = 0
  /** Left and right edge of each in turn. */
  private readonly edges = new Int32Array(2 * MOST_BLOCKS)
  private hasDuplicate = false
  private duplicateStart = 0
  private duplicateEnd = 0

  /** Blocks that the next acknowledgment has to report. */
  get due(): number {
    return this.count + (this.hasDuplicate ? 1 : 0)
  }

  /** [seq, end) was kept out of order: its block becomes the first, joined with those that it touches (RFC 2018 §4). */
  add(seq: number, end: number): void {
    const { edges } = this
    let start = seq
    let stop = end
    let kept = 0
    for (let i = 0; i < this.count; i++) {
      const left = edges[2 * i] as number
      const right = edges[2 * i + 1] as number
      if (beforeOrAt(left, stop) && afterOrAt(right, start)) {
        start = earliest(start, left)
        stop = latest(stop, right)
      } else {
        edges[2 * kept] = left
        edges[2 * kept + 1] = right
        kept++
      }
    }
    if (kept === MOST_BLOCKS) kept--
    edges.copyWithin(2, 0, 2 * kept)
    edges[0] = start
    edges[1] = stop
    this.count = kept + 1
  }

  /** Is that right behind the last of them? */
  endsAt(seq: number): boolean {
    let ends = false
    for (let i = 0; i < this.count; i++) {
      const right = this.edges[2 * i + 1] as number
      if (before(seq, right)) return false
      if (right === seq) ends = true
    }
    return ends
  }

  /** RCV.NXT has moved: blocks that begin at or before it have been received in order. */
  advance(rcvNxt: number): void {
    const { edges } = this
    let kept = 0
    for (let i = 0; i < this.count; i++) {
      if (beforeOrAt(edges[2 * i] as number, rcvNxt)) continue
      edges[2 * kept] = edges[2 * i] as number
      edges[2 * kept + 1] = edges[2 * i + 1] as number
      kept++
    }
    this.count = kept
  }

  /** [seq, end) arrived once more: the next acknowledgment says so, once (RFC 2883 §4). */
  duplicate(seq: number, end: number): void {
    this.hasDuplicate = true
    this.duplicateStart = seq
    this.duplicateEnd = end
  }

  /** [seq, end) has arrived: the first part of it that waited already is a duplicate (RFC 2883 §4.2.2). */
  overlap(seq: number, end: number): void {
    if (this.hasDuplicate) return
    const { edges } = this
    for (let i = 0; i < this.count; i++) {
      const start = latest(edges[2 * i] as number, seq)
      const stop = earliest(edges[2 * i + 1] as number, end)
      if (before(start, stop) && (!this.hasDuplicate || before(start, this.duplicateStart))) this.duplicate(start, stop)
    }
  }

  /** Writes the option with as many blocks as `room` octets hold. @returns its octets, 0 when nothing is due. */
  write(view: DataView, at: number, room: number): number {
    const n = Math.min(this.due, Math.floor((room - SACK_HEAD_OCTETS) / SACK_BLOCK_OCTETS))
    if (n <= 0) return 0
    const octets = SACK_BLOCK_OCTETS * n
    view.setInt32(at, HEAD | (octets + 2))
    let to = at + SACK_HEAD_OCTETS
    let blocks = n
    if (this.hasDuplicate) {
      this.hasDuplicate = false
      view.setInt32(to, this.duplicateStart)
      view.setInt32(to + 4, this.duplicateEnd)
      to += SACK_BLOCK_OCTETS
      blocks--
    }
    for (let i = 0; i < 2 * blocks; i++) view.setInt32(to + 4 * i, this.edges[i] as number)
    return SACK_HEAD_OCTETS + octets
  }
}
