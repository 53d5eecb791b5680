/** What one ACK has told about what was in flight. One object is reused for all: valid until the next `begin`. */
import type { Duration, Instant } from '../../../src/kernel/clock.ts'
import { after, before } from '../../../src/kernel/sequence.ts'
import { LIMITED, REPEATED, records } from './records.ts'
import type { Scoreboard } from './scoreboard.ts'

const UNKNOWN = -1

export class Progress {
  now: Instant = 0
  /** SND.UNA before. */
  una = 0
  /** SND.UNA has moved. */
  advanced = false
  /** It looks like a duplicate ACK (RFC 5681 §2). */
  duplicate = false
  /** ECE was set. */
  congested = false
  /** Octets that the receiver has and was not known to have; octets newly taken as lost. */
  octets = 0
  lost = 0
  /** Something was newly sacked. */
  sacked = false
  /** Something was acknowledged that was sent once only, and before the last loss was found (RFC 5682 §3.1). */
  original = false
  /** Something was acknowledged cumulatively that was sent more than once: it cannot be timed (Karn). */
  ambiguous = false
  /** A retransmission was taken as lost. */
  lostAgain = false
  /** Something was reported as received twice (RFC 2883); and it was a tail loss probe. */
  dsack = false
  dsackOfProbe = false
  /** Lowest octet that arrived after ones behind it, sent once; only while `reordered`. */
  reordered = false
  reorderedAt = 0
  /** When the first and the last were sent of what was acknowledged, and the first of what was sacked; or -1. */
  firstSentAt: Instant = UNKNOWN
  lastSentAt: Instant = UNKNOWN
  firstSackedAt: Instant = UNKNOWN
  /** Of what was delivered, what was sent last (RFC 8985 §6.2 step 2), and what was known then. */
  newestAt: Instant = UNKNOWN
  newestEnd = 0
  newestFlags = 0
  /** The same, but rather of what was sent once only: RACK measures by it, and a retransmission may be taken for another. */
  rackAt: Instant = UNKNOWN
  rackEnd = 0
  private rackOnce = false
  priorDelivered = 0
  priorDeliveredAt: Instant = 0
  priorFlightAt: Instant = 0
  /** `recover` of the sender, its least round trip, and the instant that a timestamp echoed says the latest, or -1. */
  private recover = 0
  /** What had been sacked before: what arrives below it, sent once, was overtaken. */
  private hadSacked = false
  private fack = 0
  private minRtt: Duration = 0
  private echoedAt: Instant = UNKNOWN

  /** @param echoedAt instant at or after which the segment was sent that the ACK echoes; -1: it echoes none. */
  begin(
    una: number,
    board: Scoreboard,
    sack: boolean,
    recover: number,
    minRtt: Duration,
    echoedAt: Instant,
    now: Instant,
  ): void {
    this.now = now
    // Where duplicate ACKs are counted instead, nobody knows which segments they are for.
    this.hadSacked = sack && board.sacked > 0
    this.fack = board.fack
    this.una = una
    this.recover = recover
    this.minRtt = minRtt
    this.echoedAt = echoedAt
    this.advanced = this.duplicate = this.congested = this.sacked = false
    this.original = this.ambiguous = this.lostAgain = false
    this.dsack = this.dsackOfProbe = this.reordered = false
    this.octets = this.lost = 0
    this.firstSentAt = this.lastSentAt = this.firstSackedAt = this.newestAt = this.rackAt = UNKNOWN
  }

  /** A record has been received, as the scoreboard tells. */
  delivered(i: number, octets: number, bySack: boolean): void {
    const r = records
    const flags = r.flags[i] as number
    const sentAt = r.sentAt[i] as number
    const end = r.end[i] as number
    this.octets += octets
    if (bySack) this.sacked = true
    if ((flags & REPEATED) === 0) {
      this.once(r.seq[i] as number, end, sentAt, bySack)
    } else {
      if (!bySack) this.ambiguous = true
      if (this.isSpurious(sentAt, bySack)) return
    }
    this.measureBy((flags & REPEATED) === 0, sentAt, end)
    if (!sentAfter(sentAt, end, this.newestAt, this.newestEnd)) return
    this.newestAt = sentAt
    this.newestEnd = end
    this.newestFlags = flags
    this.priorDelivered = r.delivered[i] as number
    this.priorDeliveredAt = r.deliveredAt[i] as number
    this.priorFlightAt = r.flightAt[i] as number
  }

  private measureBy(once: boolean, sentAt: Instant, end: number): void {
    const better = once === this.rackOnce ? sentAfter(sentAt, end, this.rackAt, this.rackEnd) : once
    if (this.rackAt !== UNKNOWN && !better) return
    this.rackOnce = once
    this.rackAt = sentAt
    this.rackEnd = end
  }

  private once(seq: number, end: number, sentAt: Instant, bySack: boolean): void {
    if (!after(end, this.recover)) this.original = true
    if (bySack) {
      if (this.firstSackedAt === UNKNOWN) this.firstSackedAt = sentAt
    } else {
      if (this.firstSentAt === UNKNOWN) this.firstSentAt = sentAt
      this.lastSentAt = sentAt
    }
    if (!this.hadSacked || !before(seq, this.fack)) return
    if (!this.reordered || before(seq, this.reorderedAt)) this.reorderedAt = seq
    this.reordered = true
  }

  /** Was it rather an earlier transmission that arrived? (RFC 8985 §6.2 step 2) */
  private isSpurious(sentAt: Instant, bySack: boolean): boolean {
    // What is out of order is not what the timestamp echoes (RFC 7323 §4.3).
    if (!bySack && this.echoedAt !== UNKNOWN && this.echoedAt < sentAt) return true
    return this.now - sentAt < this.minRtt
  }

  /** Was the newest of what was delivered sent while the application had no more? */
  get limited(): boolean {
    return (this.newestFlags & LIMITED) !== 0
  }
}

/** (RFC 8985 §6.1): in order of time, and of sequence numbers for what left together. */
export function sentAfter(at: Instant, end: number, otherAt: Instant, otherEnd: number): boolean {
  return at > otherAt || (at === otherAt && after(end, otherEnd))
}
