/**
 * What is in flight (RFC 6675 §1's scoreboard, kept as RFC 8985 §5.2 wants it): a list of transmissions in the order of
 * their sequence numbers, and one in the order in which those still under way were sent. Octets are counted as they
 * change, so no ACK costs more than what it says something new about.
 *
 *   una ├── sacked ──┼── lost ──┼── resent ──┼── under way ──┤ nxt         pipe = outstanding - sacked - lost + resent
 *
 * Records are cut only between full segments, so a peer cannot make more of them than there are segments, and there are only
 * so many; nor can it make us search for long (CVE-2019-11478 of Linux): blocks may be passed over, they are only hints.
 */
import type { Instant } from '../../../src/kernel/clock.ts'
import { after, afterOrAt, before, beforeOrAt } from '../../../src/kernel/sequence.ts'
import type { Progress } from './progress.ts'
import { LIMITED, LOST, REPEATED, RESENT, records, SACKED } from './records.ts'

/** Beyond so many records, new transmissions join the last one, and none is cut for a block: nothing can make the list longer. */
const MOST_RECORDS = 16_384
/** A block is passed over when its place is further away than so many records. */
const MOST_STEPS = 1024

export class Scoreboard {
  /** First and last by sequence number. */
  head = 0
  tail = 0
  /** First and last by time of transmission; neither sacked nor lost ones. */
  oldest = 0
  newest = 0
  /** Octets that are sacked; of a peer without SACK, what its duplicate ACKs stand for. */
  sacked = 0
  /** Octets taken as lost, and of these the ones not sent again yet. */
  lost = 0
  due = 0
  /** Octets sent again and under way. */
  resent = 0
  /** Behind the highest octet sacked; only while something is. */
  fack = 0
  private count = 0
  /** Where the search for something to send again, and for the place of a block, begins; 0: at the head. */
  private dueHint = 0
  private sackHint = 0

  get isEmpty(): boolean {
    return this.head === 0
  }

  /** What is first outstanding has been sacked. */
  get isHeadSacked(): boolean {
    return this.head !== 0 && ((records.flags[this.head] as number) & SACKED) !== 0
  }

  /** When that was last sent; Infinity when nothing is outstanding. */
  get headSentAt(): Instant {
    return this.head === 0 ? Number.POSITIVE_INFINITY : (records.sentAt[this.head] as number)
  }

  /** Octets that are believed to be in the network, of those outstanding. */
  pipe(outstanding: number): number {
    return outstanding - this.sacked - this.lost + this.resent
  }

  // ── sending

  /**
   * [seq, end) has been sent for the first time.
   * @param more it is part of the same unit as what was sent before.
   * @returns its record when it is a new one, else 0.
   */
  append(seq: number, end: number, mss: number, more: boolean, limited: boolean, now: Instant): number {
    const r = records
    const { tail } = this
    if (tail !== 0 && this.isFresh(tail) && (more ? r.sentAt[tail] === now : this.count >= MOST_RECORDS)) {
      r.end[tail] = end
      r.sentAt[tail] = now
      if (limited) r.flags[tail] = (r.flags[tail] as number) | LIMITED
      return 0
    }
    const i = r.take()
    r.seq[i] = seq
    r.end[i] = end
    r.mss[i] = mss
    r.flags[i] = limited ? LIMITED : 0
    r.sentAt[i] = now
    r.next[i] = 0
    r.prev[i] = tail
    if (tail === 0) this.head = i
    else r.next[tail] = i
    this.tail = i
    this.count++
    this.addNewest(i)
    return i
  }

  /** More of the unit has been sent for the first time, right behind the last record and together with it: up to `end`. */
  extend(end: number): void {
    records.end[this.tail] = end
  }

  /** Nothing has been sent after it, nor is anything known of it. */
  private isFresh(i: number): boolean {
    return this.newest === i && ((records.flags[i] as number) & ~LIMITED) === 0
  }

  /** The first record that is lost and has not been sent again, or 0. */
  nextDue(): number {
    if (this.due === 0) return 0
    const r = records
    let i = this.dueHint === 0 ? this.head : this.dueHint
    while (i !== 0 && ((r.flags[i] as number) & (LOST | RESENT)) !== LOST) i = r.next[i] as number
    this.dueHint = i
    return i
  }

  /** The record has been sent again, all of it. */
  repeated(i: number, mss: number, now: Instant): void {
    const r = records
    const octets = this.octets(i)
    const flags = r.flags[i] as number
    if ((flags & (LOST | RESENT)) === LOST) this.due -= octets
    if ((flags & RESENT) === 0) this.resent += octets
    if (underWay(flags)) this.removeByTime(i)
    r.flags[i] = (flags & LOST) | RESENT | REPEATED
    r.mss[i] = mss
    r.sentAt[i] = now
    this.addNewest(i)
  }

  /** Joins what is to be sent again with what follows, until it fills a segment. */
  fill(i: number, mss: number): void {
    const r = records
    for (let next = r.next[i] as number; next !== 0 && this.octets(i) < mss; next = r.next[i] as number) {
      const flags = r.flags[next] as number
      if ((flags & (LOST | RESENT)) !== LOST) return
      r.end[i] = r.end[next] as number
      this.remove(next)
    }
  }

  /** A FIN that was not sent with the last record goes with it now that it is sent again. */
  extendByFin(i: number): void {
    records.end[i] = ((records.end[i] as number) + 1) | 0
    this.lost++
    this.due++
  }

  /** Cuts a record in two at `at`, which lies within it. @returns the second. */
  split(i: number, at: number): number {
    const r = records
    const j = r.take()
    r.copy(i, j)
    r.seq[j] = at
    r.end[i] = at
    const next = r.next[i] as number
    r.next[j] = next
    r.prev[j] = i
    r.next[i] = j
    if (next === 0) this.tail = j
    else r.prev[next] = j
    this.count++
    if (!underWay(r.flags[i] as number)) return j
    const newer = r.newer[i] as number
    r.newer[j] = newer
    r.older[j] = i
    r.newer[i] = j
    if (newer === 0) this.newest = j
    else r.older[newer] = j
    return j
  }

  // ── acknowledgments

  /** Everything before `ack` has been received. */
  acknowledge(ack: number, told: Progress): void {
    const r = records
    while (this.head !== 0 && before(r.seq[this.head] as number, ack)) {
      const i = this.head
      if (after(r.end[i] as number, ack)) this.split(i, ack)
      const flags = r.flags[i] as number
      const octets = this.octets(i)
      if ((flags & SACKED) !== 0) this.sacked -= octets
      else told.delivered(i, octets, false)
      if ((flags & LOST) !== 0) this.forgive(octets, flags)
      if ((flags & RESENT) !== 0) this.resent -= octets
      this.remove(i)
    }
  }

  /** The receiver has the octets [start, end): valid, and above SND.UNA. */
  sack(start: number, end: number, told: Progress): void {
    const r = records
    for (let i = this.find(start); i !== 0 && before(r.seq[i] as number, end); i = r.next[i] as number) {
      if (((r.flags[i] as number) & SACKED) !== 0) continue
      i = this.within(i, start, end)
      if (i === 0) break
      if (beforeOrAt(start, r.seq[i] as number) && afterOrAt(end, r.end[i] as number)) i = this.markSacked(i, told)
      this.sackHint = i
    }
  }

  /** Cuts the whole segments of a record that [start, end) covers out of it. @returns them, or the record if none. */
  private within(i: number, start: number, end: number): number {
    const r = records
    const mss = r.mss[i] as number
    const seq = r.seq[i] as number
    const last = r.end[i] as number
    const front = (start - seq) | 0
    const from = front > 0 ? (seq + Math.ceil(front / mss) * mss) | 0 : seq
    const to = afterOrAt(end, last) ? last : (from + Math.floor(((end - from) | 0) / mss) * mss) | 0
    if (!before(from, to) || ((from !== seq || to !== last) && this.count >= MOST_RECORDS)) return i
    const part = from === seq ? i : this.split(i, from)
    if (before(to, last)) this.split(part, to)
    return part
  }

  /** @returns the record that it is part of now. */
  private markSacked(i: number, told: Progress): number {
    const r = records
    const flags = r.flags[i] as number
    const octets = this.octets(i)
    told.delivered(i, octets, true)
    if ((flags & LOST) !== 0) this.forgive(octets, flags)
    if ((flags & RESENT) !== 0) this.resent -= octets
    if (underWay(flags)) this.removeByTime(i)
    const end = r.end[i] as number
    if (this.sacked === 0 || after(end, this.fack)) this.fack = end
    this.sacked += octets
    r.flags[i] = SACKED | (flags & REPEATED)
    return this.join(i)
  }

  /** Joins a record that is sacked with its neighbours that are. */
  private join(i: number): number {
    const r = records
    const next = r.next[i] as number
    if (next !== 0 && ((r.flags[next] as number) & SACKED) !== 0) {
      r.end[i] = r.end[next] as number
      this.remove(next)
    }
    const prev = r.prev[i] as number
    if (prev === 0 || ((r.flags[prev] as number) & SACKED) === 0) return i
    r.end[prev] = r.end[i] as number
    this.remove(i)
    return prev
  }

  /** The record that holds `seq`, or the first one behind it; 0: there is none, or it is too far away. */
  private find(seq: number): number {
    const r = records
    let i = this.nearest(seq)
    let steps = 0
    while (i !== 0 && after(r.seq[i] as number, seq) && r.prev[i] !== 0 && steps++ < MOST_STEPS) i = r.prev[i] as number
    while (i !== 0 && beforeOrAt(r.end[i] as number, seq) && steps++ < MOST_STEPS) i = r.next[i] as number
    return steps > MOST_STEPS ? 0 : i
  }

  /** Where to begin the search: at the head, at the tail, or where the last block was. */
  private nearest(seq: number): number {
    const { head, tail, sackHint } = this
    if (head === 0) return 0
    const r = records
    const ahead = (seq - (r.seq[head] as number)) | 0
    const behind = ((r.end[tail] as number) - seq) | 0
    const away = sackHint === 0 ? ahead : Math.abs((seq - (r.seq[sackHint] as number)) | 0)
    if (away < ahead && away < behind) return sackHint
    return ahead < behind ? head : tail
  }

  // ── losses

  /** Takes a record as lost, or its retransmission once more. @returns octets that are so newly. */
  markLost(i: number): number {
    const r = records
    const flags = r.flags[i] as number
    if (!underWay(flags)) return 0
    this.removeByTime(i)
    const octets = this.octets(i)
    if ((flags & LOST) === 0) this.lost += octets
    if ((flags & RESENT) !== 0) this.resent -= octets
    this.due += octets
    r.flags[i] = LOST | (flags & REPEATED)
    const hint = this.dueHint
    if (hint === 0 || before(r.seq[i] as number, r.seq[hint] as number)) this.dueHint = i
    return octets
  }

  /** Nothing is lost after all. */
  unmarkLost(): void {
    const r = records
    for (let i = this.head; i !== 0 && this.lost > 0; i = r.next[i] as number) {
      const flags = r.flags[i] as number
      if ((flags & LOST) === 0) continue
      this.forgive(this.octets(i), flags)
      r.flags[i] = flags & ~LOST
      if ((flags & RESENT) === 0) this.addNewest(i)
    }
    this.dueHint = 0
  }

  /** The receiver may have thrown away what it had sacked (RFC 2018 §8). */
  unmarkSacked(): void {
    const r = records
    for (let i = this.head; i !== 0; i = r.next[i] as number) {
      if (((r.flags[i] as number) & SACKED) === 0) continue
      r.flags[i] = REPEATED
      this.addNewest(i)
    }
    this.sacked = 0
  }

  clear(): void {
    while (this.head !== 0) this.remove(this.head)
    this.sacked = this.lost = this.due = this.resent = 0
  }

  octets(i: number): number {
    return ((records.end[i] as number) - (records.seq[i] as number)) | 0
  }

  private forgive(octets: number, flags: number): void {
    this.lost -= octets
    if ((flags & RESENT) === 0) this.due -= octets
  }

  // ── the two lists

  private remove(i: number): void {
    const r = records
    if (underWay(r.flags[i] as number)) this.removeByTime(i)
    const next = r.next[i] as number
    const prev = r.prev[i] as number
    if (prev === 0) this.head = next
    else r.next[prev] = next
    if (next === 0) this.tail = prev
    else r.prev[next] = prev
    if (this.dueHint === i) this.dueHint = next
    if (this.sackHint === i) this.sackHint = prev === 0 ? next : prev
    this.count--
    r.give(i)
  }

  private addNewest(i: number): void {
    const r = records
    const { newest } = this
    r.older[i] = newest
    r.newer[i] = 0
    if (newest === 0) this.oldest = i
    else r.newer[newest] = i
    this.newest = i
  }

  private removeByTime(i: number): void {
    const r = records
    const newer = r.newer[i] as number
    const older = r.older[i] as number
    if (older === 0) this.oldest = newer
    else r.newer[older] = newer
    if (newer === 0) this.newest = older
    else r.older[newer] = older
  }
}

/** Is it in the list by time: neither received, nor lost and not sent again? */
function underWay(flags: number): boolean {
  return (flags & SACKED) === 0 && (flags & (LOST | RESENT)) !== LOST
}
