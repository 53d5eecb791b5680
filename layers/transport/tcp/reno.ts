/** Reno's growth (RFC 5681 §3.1), by octets delivered (RFC 3465): for comparison, and where CUBIC is not wanted. */
import { type Congestion, type CongestionWindow, share, slowStart } from './congestion.ts'

const BETA = 0.5

export class Reno implements Congestion {
  readonly name = 'reno'
  /** Octets delivered since the last increase in congestion avoidance. */
  private counted = 0

  reduce(window: CongestionWindow): number {
    this.counted = 0
    return share(window, BETA)
  }

  grow(window: CongestionWindow, delivered: number): void {
    const rest = window.cwnd < window.ssthresh ? slowStart(window, delivered) : delivered
    if (rest === 0) return
    this.counted += rest
    while (this.counted >= window.cwnd) {
      this.counted -= window.cwnd
      window.cwnd += window.mss
    }
  }

  measured(): void {}
  resumed(): void {}

  timedOut(): void {
    this.counted = 0
  }

  undone(): void {}
}
