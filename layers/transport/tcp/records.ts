/**
 * Transmissions that have not been acknowledged, of all connections of a thread: arrays side by side and a list of what is
 * free, so that nothing is allocated per segment and a connection that has nothing in flight holds nothing.
 *
 * A record is a run of sequence numbers that left together and whose fate is the same. Index 0 is no record.
 */

/** The receiver has it (SACK). */
export const SACKED = 1
/** Taken as lost. */
export const LOST = 2
/** Sent again, and that has neither been acknowledged nor taken as lost. */
export const RESENT = 4
/** Has been sent more than once. */
export const REPEATED = 8
/** Sent while the application had nothing more to send: says little about the path. */
export const LIMITED = 16

const FIRST_CAPACITY = 256

export class Records {
  /** Sequence numbers [seq, end). */
  seq: Int32Array = new Int32Array(FIRST_CAPACITY)
  end: Int32Array = new Int32Array(FIRST_CAPACITY)
  flags: Uint8Array = new Uint8Array(FIRST_CAPACITY)
  /** Payload of its full segments. */
  mss: Uint16Array = new Uint16Array(FIRST_CAPACITY)
  /** Neighbours in the order of sequence numbers; `next` also links what is free. */
  next: Int32Array = new Int32Array(FIRST_CAPACITY)
  prev: Int32Array = new Int32Array(FIRST_CAPACITY)
  /** Neighbours in the order of the last transmission. */
  newer: Int32Array = new Int32Array(FIRST_CAPACITY)
  older: Int32Array = new Int32Array(FIRST_CAPACITY)
  /** When it was last sent. */
  sentAt: Float64Array = new Float64Array(FIRST_CAPACITY)
  /** Octets delivered by then, when that was, and when the flight began that delivered them (see `rate.ts`). */
  delivered: Float64Array = new Float64Array(FIRST_CAPACITY)
  deliveredAt: Float64Array = new Float64Array(FIRST_CAPACITY)
  flightAt: Float64Array = new Float64Array(FIRST_CAPACITY)
  /** Records in use. */
  used = 0
  private free = 0
  private fresh = 1

  take(): number {
    this.used++
    const i = this.free
    if (i !== 0) {
      this.free = this.next[i] as number
      return i
    }
    if (this.fresh === this.seq.length) this.grow()
    return this.fresh++
  }

  give(i: number): void {
    this.used--
    this.next[i] = this.free
    this.free = i
  }

  /** What a transmission of `from` says, for another: everything but its links. */
  copy(from: number, to: number): void {
    this.seq[to] = this.seq[from] as number
    this.end[to] = this.end[from] as number
    this.flags[to] = this.flags[from] as number
    this.mss[to] = this.mss[from] as number
    this.sentAt[to] = this.sentAt[from] as number
    this.delivered[to] = this.delivered[from] as number
    this.deliveredAt[to] = this.deliveredAt[from] as number
    this.flightAt[to] = this.flightAt[from] as number
  }

  private grow(): void {
    const capacity = this.seq.length * 2
    this.seq = larger(this.seq, new Int32Array(capacity))
    this.end = larger(this.end, new Int32Array(capacity))
    this.flags = larger(this.flags, new Uint8Array(capacity))
    this.mss = larger(this.mss, new Uint16Array(capacity))
    this.next = larger(this.next, new Int32Array(capacity))
    this.prev = larger(this.prev, new Int32Array(capacity))
    this.newer = larger(this.newer, new Int32Array(capacity))
    this.older = larger(this.older, new Int32Array(capacity))
    this.sentAt = larger(this.sentAt, new Float64Array(capacity))
    this.delivered = larger(this.delivered, new Float64Array(capacity))
    this.deliveredAt = larger(this.deliveredAt, new Float64Array(capacity))
    this.flightAt = larger(this.flightAt, new Float64Array(capacity))
  }
}

function larger<Numbers extends Int32Array | Uint16Array | Uint8Array | Float64Array>(
  from: Numbers,
  to: Numbers,
): Numbers {
  to.set(from)
  return to
}

/** The records of this thread. */
export const records: Records = new Records()
