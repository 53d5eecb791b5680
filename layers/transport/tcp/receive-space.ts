/**
 * How large the receive window may be. It begins at `receiveBuffer` and doubles whenever the application has read half of
 * it within a round trip: then the window may be what holds the sender back. So it follows the throughput of the path
 * times its round trip, as far as the bounds of the connection and of the node allow, and memory goes to those who use it.
 * It never shrinks (RFC 9293 §3.8.6 SHLD-14).
 *
 * Who only receives measures round trips as data shows them: from a timestamp of ours to the first data that echoes it, or
 * without timestamps, from the offer of a window to the data behind it. What the handshake measured may be long out of date.
 *
 * A connection that was told its `receiveBuffer` keeps to that.
 */
import type { Duration, Instant } from '../../../src/kernel/clock.ts'
import { before } from '../../../src/kernel/sequence.ts'
import { Growth, type GrowthBudget } from './growth.ts'

/** The first data begins to measure. */
const NEVER_OFFERED: Instant = -1

export class ReceiveSpace extends Growth {
  /** Octets that the application had read when the round began, and when that was. */
  private mark: number
  private since: Instant
  /** The round trip that arriving data shows; 0: it has not yet. */
  roundTrip: Duration = 0
  /** The last of our timestamps that was echoed. */
  private echoed = 0
  /** The end of the window that was offered at `offeredAt`. */
  private offered = 0
  private offeredAt: Instant = NEVER_OFFERED

  constructor(budget: GrowthBudget, read: number, now: Instant) {
    super(budget)
    this.mark = read
    this.since = now
  }

  /** Data has arrived that echoes our timestamp `echo`, which is from so long ago. */
  echoes(echo: number, age: Duration): void {
    if (echo === this.echoed) return
    this.echoed = echo
    this.sample(age)
  }

  /** Data has arrived, without timestamps: how long ago was it offered the room? */
  arrives(rcvNxt: number, wnd: number, now: Instant): void {
    if (this.offeredAt !== NEVER_OFFERED) {
      if (before(rcvNxt, this.offered)) return
      this.sample(now - this.offeredAt)
    }
    this.offered = (rcvNxt + wnd) | 0
    this.offeredAt = now
  }

  /** Pauses of the sender make it longer, nothing makes it shorter: it falls at once and rises slowly. */
  private sample(duration: Duration): void {
    if (duration <= 0) return
    const { roundTrip } = this
    this.roundTrip = roundTrip === 0 || duration < roundTrip ? duration : roundTrip + (duration - roundTrip) / 8
  }

  /** Half of the window has been read in this round. @param read octets in all. @param limit of the window. */
  isDue(read: number, limit: number): boolean {
    return read - this.mark >= limit >> 1
  }

  /** Ends the round: the window grows if that took no longer than `roundTrip`. @param most it may become. */
  advance(read: number, limit: number, most: number, roundTrip: Duration, now: Instant): void {
    if (now - this.since <= roundTrip) this.grow(Math.min(limit, most - limit))
    this.mark = read
    this.since = now
  }
}
