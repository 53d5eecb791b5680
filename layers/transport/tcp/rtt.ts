/** Round-trip time and retransmission timeout (RFC 6298). */
import { type Duration, ms, seconds } from '../../../src/kernel/clock.ts'
import { after } from '../../../src/kernel/sequence.ts'

/** RTO before the first measurement (RFC 6298 §2.1). */
export const INITIAL_RTO: Duration = seconds(1)
/**
 * Least allowance for variance. RFC 6298 §2.4 says the RTO SHOULD be at least 1 s; like Linux we take
 * `srtt + max(4 rttvar, 200 ms)`: delayed acknowledgments stay below it, and a lost tail costs a fifth.
 */
const MIN_VARIANCE: Duration = ms(200)
/** By default; RFC 6298 §2.5 wants at least 60 s. */
export const MAX_RTO: Duration = seconds(120)
/** After a SYN that had to go again, until round trips have been measured (RFC 6298 §5.7). */
const RTO_AFTER_LOST_SYN: Duration = seconds(3)

export class RoundTrip {
  srtt: Duration = 0
  rttvar: Duration = 0
  /** Without backoff. */
  rto: Duration
  /**
   * The largest variance of this round trip, and of those before, which fades. RFC 6298 is about one measurement a round
   * trip; every ACK measures here, and many that are alike must not make a late one look like a loss.
   */
  private largest: Duration = 0
  private lasting: Duration = 0
  /** Behind what was sent when this round trip began. */
  private roundEnd = 0
  private readonly most: Duration

  /** @param most of the RTO, with backoff or without. */
  constructor(most: Duration) {
    this.most = most
    this.rto = Math.min(INITIAL_RTO, most)
  }

  /** Takes in a measurement of something that was sent once (Karn). @param una, nxt SND.UNA and SND.NXT. */
  sample(r: Duration, una: number, nxt: number): void {
    if (this.srtt === 0) {
      this.srtt = Math.max(r, 1)
      this.rttvar = this.largest = this.lasting = r / 2
      this.roundEnd = nxt
    } else {
      this.follow(r)
      if (after(una, this.roundEnd)) this.beginRound(nxt)
    }
    this.rto = Math.min(Math.round(this.srtt + Math.max(4 * this.lasting, MIN_VARIANCE)), this.most)
  }

  /** The handshake was slow, and nothing has been measured yet: data is given more time. */
  handshakeWasSlow(): void {
    this.rto = Math.min(RTO_AFTER_LOST_SYN, this.most)
  }

  /** (RFC 6298 §2.3) with beta = 1/4 and alpha = 1/8 */
  private follow(r: Duration): void {
    const more = Math.abs(this.srtt - r) - this.rttvar
    // Round trips that grow shorter do not mean that the next may be longer.
    this.rttvar += r < this.srtt && more > 0 ? more / 32 : more / 4
    this.srtt += (r - this.srtt) / 8
    if (this.rttvar > this.largest) this.largest = this.rttvar
    if (this.largest > this.lasting) this.lasting = this.largest
  }

  private beginRound(nxt: number): void {
    if (this.largest < this.lasting) this.lasting -= (this.lasting - this.largest) / 4
    this.largest = 0
    this.roundEnd = nxt
  }

  /** The RTO after `n` timeouts in a row (RFC 6298 §5.5). */
  backedOff(n: number): Duration {
    return n === 0 ? this.rto : Math.min(this.rto * 2 ** n, this.most)
  }
}
