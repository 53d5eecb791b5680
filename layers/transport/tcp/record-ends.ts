/** Where the application's records end: no segment holds octets of both sides (Linux's MSG_EOR). */
import { beforeOrAt } from '../../../src/kernel/sequence.ts'

/** Ends that are kept of one connection; of who has more in flight and in the queue, the newest are forgotten. */
const MOST_ENDS = 1024

export class RecordEnds {
  /** Sequence numbers behind the last octets of records, in order; before `next`, all have been sent. */
  private readonly ends: number[] = []
  private next = 0

  add(end: number): void {
    if (this.ends.length < MOST_ENDS && this.ends.at(-1) !== end) this.ends.push(end)
  }

  /** How many of `octets` from SND.NXT on belong to the record it stands in. */
  within(nxt: number, octets: number): number {
    const { ends } = this
    while (this.next < ends.length && beforeOrAt(ends[this.next] as number, nxt)) this.next++
    return this.next < ends.length ? Math.min(octets, ((ends[this.next] as number) - nxt) | 0) : octets
  }

  /** Does one that is not acknowledged end there? */
  has(end: number): boolean {
    return this.ends.includes(end)
  }

  /** @returns whether all records that end have been acknowledged. */
  acknowledged(una: number): boolean {
    const last = this.ends.at(-1)
    return last === undefined || beforeOrAt(last, una)
  }
}
