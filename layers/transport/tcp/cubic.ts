/**
 * CUBIC (RFC 9438): the window follows a cubic of the time since it was last reduced, flat around the size at which
 * something was lost, and steep before and after. Sizes are segments here, times seconds, as in the standard's equations.
 *
 *   W_cubic(t) = C (t - K)³ + W_max
 */
import { type Duration, type Instant, seconds } from '../../../src/kernel/clock.ts'
import { type Congestion, type CongestionWindow, share, slowStart, UNLIMITED } from './congestion.ts'
import { HyStart } from './hystart.ts'

/** (RFC 9438 §4.6, §5.1) */
const BETA = 0.7
const C = 0.4
/** Makes the window of the Reno-friendly region as large as Reno's on average (RFC 9438 §4.3). */
const ALPHA = (3 * (1 - BETA)) / (1 + BETA)
/** Per round trip, at the most (RFC 9438 §4.2). */
const MOST_GROWTH = 1.5
const NONE = -1

/** What the curve follows from. */
interface Before {
  readonly wMax: number
  readonly k: number
  readonly epochAt: Instant
  readonly wEst: number
  readonly cwndPrior: number
}

export class Cubic implements Congestion {
  readonly name = 'cubic'
  private wMax = 0
  private k = 0
  /** When this epoch of congestion avoidance began; -1: it has not. */
  private epochAt: Instant = NONE
  /** What Reno would have by now, and where it catches up with what was before the reduction. */
  private wEst = 0
  private cwndPrior = 0
  /** Parts of a segment that the window is to grow by. */
  private credit = 0
  /** What these were before the last reduction, should it have been wrong. */
  private before: Before = { wMax: 0, k: 0, epochAt: NONE, wEst: 0, cwndPrior: 0 }
  private hystart: HyStart | null = new HyStart()

  reduce(window: CongestionWindow): number {
    const cwnd = window.cwnd / window.mss
    const { wMax, k, epochAt, wEst, cwndPrior } = this
    this.before = { wMax, k, epochAt, wEst, cwndPrior }
    // Fast convergence (RFC 9438 §4.7): a flow that did not get back to where it was makes room for others.
    this.wMax = cwnd < this.wMax ? (cwnd * (1 + BETA)) / 2 : cwnd
    this.cwndPrior = cwnd
    this.endEpoch()
    return share(window, BETA)
  }

  grow(window: CongestionWindow, delivered: number, srtt: Duration, now: Instant): void {
    let rest = delivered
    if (window.cwnd < window.ssthresh) {
      const slow = window.ssthresh === UNLIMITED && this.hystart !== null
      rest = slowStart(window, slow ? Math.floor((this.hystart as HyStart).allows(delivered)) : delivered)
      if (rest === 0) return
    }
    const { mss } = window
    const cwnd = window.cwnd / mss
    if (this.epochAt === NONE) this.beginEpoch(cwnd, now)
    const acked = rest / mss
    this.credit += this.increase(cwnd, acked, (now - this.epochAt) / seconds(1), srtt / seconds(1))
    const whole = Math.floor(this.credit)
    this.credit -= whole
    window.cwnd += whole * mss
  }

  /** By how much the window grows for so many segments. (RFC 9438 §4.2 to §4.5) */
  private increase(cwnd: number, acked: number, t: number, rtt: number): number {
    this.wEst += ((this.wEst >= this.cwndPrior ? 1 : ALPHA) * acked) / cwnd
    if (this.at(t) < this.wEst) return Math.max(this.wEst - cwnd - this.credit, 0)
    const target = Math.min(Math.max(this.at(t + rtt), cwnd), MOST_GROWTH * cwnd)
    return ((target - cwnd) / cwnd) * acked
  }

  private at(t: number): number {
    return C * (t - this.k) ** 3 + this.wMax
  }

  private beginEpoch(cwnd: number, now: Instant): void {
    this.epochAt = now
    this.wEst = cwnd
    this.credit = 0
    if (cwnd < this.wMax) {
      this.k = Math.cbrt((this.wMax - cwnd) / C)
    } else {
      this.k = 0
      this.wMax = cwnd
    }
  }

  private endEpoch(): void {
    this.epochAt = NONE
    this.hystart = null
  }

  measured(window: CongestionWindow, rtt: Duration, una: number, nxt: number): void {
    // For the first slow start: later ones know where to end (RFC 9406 §4.3).
    if (this.hystart === null || window.ssthresh !== UNLIMITED) return
    if (!this.hystart.measured(rtt, una, nxt)) return
    window.ssthresh = window.cwnd
    this.hystart = null
  }

  /** Time in which nothing was sent does not count (RFC 9438 §5.8). */
  resumed(idle: Duration, now: Instant): void {
    if (this.epochAt !== NONE) this.epochAt = Math.min(this.epochAt + idle, now)
  }

  timedOut(): void {
    this.endEpoch()
  }

  /** The curve goes on as if nothing had happened (RFC 9438 §4.9). */
  undone(): void {
    const { wMax, k, epochAt, wEst, cwndPrior } = this.before
    this.wMax = wMax
    this.k = k
    this.epochAt = epochAt
    this.wEst = wEst
    this.cwndPrior = cwndPrior
  }
}
