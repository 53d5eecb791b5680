/** How fast the network delivers (draft-ietf-ccwg-bbr §4.1): for information; no algorithm here paces by it. */
import type { Duration, Instant } from '../../../src/kernel/clock.ts'
import type { Progress } from './progress.ts'
import { records } from './records.ts'

export class DeliveryRate {
  /** Octets delivered in all, and when that was last more. */
  delivered = 0
  private deliveredAt: Instant = 0
  /** When the first was sent of the flight that is being delivered. */
  private flightAt: Instant = 0
  /** Octets and microseconds of the last sample that says something; no octets: there is none. */
  private octets = 0
  private interval: Duration = 1

  /** Octets per second; 0 before the first measurement. */
  get perSecond(): number {
    return Math.round((this.octets * 1_000_000) / this.interval)
  }

  /** The record is sent now. @param idle nothing was in flight. */
  sent(i: number, idle: boolean, now: Instant): void {
    if (idle) this.flightAt = this.deliveredAt = now
    records.delivered[i] = this.delivered
    records.deliveredAt[i] = this.deliveredAt
    records.flightAt[i] = this.flightAt
  }

  /** Takes in what an ACK has delivered. @param minRtt shorter intervals are bursts of ACKs, and say nothing. */
  sample(told: Progress, minRtt: Duration): void {
    if (told.octets === 0) return
    this.delivered += told.octets
    this.deliveredAt = told.now
    if (told.newestAt < 0) return
    this.flightAt = told.newestAt
    const octets = this.delivered - told.priorDelivered
    const interval = Math.max(told.newestAt - told.priorFlightAt, told.now - told.priorDeliveredAt)
    if (interval < minRtt || interval <= 0) return
    if (told.limited && octets * this.interval < this.octets * interval) return
    this.octets = octets
    this.interval = interval
  }
}
