/**
 * How large the receive window may be. It begins at `receiveBuffer` and doubles whenever the application has read half of
 * it within a round trip: then the window may be what holds the sender back. So it follows the throughput of the path
 * times its round trip, as far as the bounds of the connection and of the node allow, and memory goes to those who use it.
 * It never shrinks (RFC 9293 §3.8.6 SHLD-14).
 *
 * A connection that was told its `receiveBuffer` keeps to that.
 */
import type { Duration, Instant } from '../../../src/kernel/clock.ts'
import { Growth, type GrowthBudget } from './growth.ts'

export class ReceiveSpace extends Growth {
  /** Octets that the application had read when the round began, and when that was. */
  private mark: number
  private since: Instant

  constructor(budget: GrowthBudget, read: number, now: Instant) {
    super(budget)
    this.mark = read
    this.since = now
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
