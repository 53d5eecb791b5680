/** Round-trip time and retransmission timeout (RFC 6298). */
import { type Duration, ms, seconds } from '../../../src/kernel/clock.ts'

/** RTO before the first measurement (RFC 6298 §2.1). */
export const INITIAL_RTO: Duration = seconds(1)
/**
 * Least allowance for variance. RFC 6298 §2.4 says the RTO SHOULD be at least 1 s; like Linux we take
 * `srtt + max(4 rttvar, 200 ms)`: delayed acknowledgments stay below it, and a lost tail costs a fifth.
 */
const MIN_VARIANCE: Duration = ms(200)
/** RFC 6298 §2.5 wants at least 60 s. */
export const MAX_RTO: Duration = seconds(120)

export class RoundTrip {
  srtt: Duration = 0
  rttvar: Duration = 0
  /** Without backoff. */
  rto: Duration = INITIAL_RTO

  /** Takes in a measurement of a segment that was sent once (Karn). @param r microseconds. */
  sample(r: Duration): void {
    if (this.srtt === 0) {
      this.srtt = Math.max(r, 1)
      this.rttvar = r >> 1
    } else {
      // (RFC 6298 §2.3) with beta = 1/4 and alpha = 1/8
      this.rttvar += (Math.abs(this.srtt - r) - this.rttvar) / 4
      this.srtt += (r - this.srtt) / 8
    }
    this.rto = Math.min(Math.round(this.srtt + Math.max(4 * this.rttvar, MIN_VARIANCE)), MAX_RTO)
  }

  /** The RTO after `n` timeouts in a row (RFC 6298 §5.5). */
  backedOff(n: number): Duration {
    return n === 0 ? this.rto : Math.min(this.rto * 2 ** n, MAX_RTO)
  }
}
