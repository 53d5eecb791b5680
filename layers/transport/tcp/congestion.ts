/**
 * How much may be in flight. Loss is found elsewhere (`ack.ts`, `timers.ts`); an algorithm decides what follows from it.
 * All quantities are octets.
 */
import type { Instant } from '../../../src/kernel/clock.ts'

export interface Congestion {
  readonly cwnd: number
  readonly ssthresh: number
  /** The handshake is complete. @param lostSyns SYNs or SYN-ACKs that had to be sent again. */
  start(mss: number, lostSyns: number): void
  /** New data was acknowledged, outside of loss recovery by duplicate ACKs. @param limited cwnd was in the way. */
  onAck(acked: number, limited: boolean, now: Instant): void
  /** The third duplicate ACK. @param flightSize before the retransmission. */
  onFastRetransmit(flightSize: number): void
  /** One more duplicate ACK during fast recovery. */
  onDuplicate(): void
  /** An ACK of some but not all of what was outstanding at the loss. */
  onPartialAck(acked: number): void
  /** An ACK of all of it. */
  onRecovered(flightSize: number): void
  /** The retransmission timer ran out. @param again the same segment timed out before. */
  onTimeout(flightSize: number, again: boolean): void
  /** Nothing was sent for a retransmission timeout (RFC 5681 §4.1). */
  onIdle(): void
  /** The effective segment size changed. */
  onMss(mss: number): void
}

/** Initial window in segments (RFC 6928). */
const INITIAL_WINDOW = 10

/** NewReno: RFC 5681 with the recovery of RFC 6582, and growth by octets acknowledged (RFC 3465). */
export class NewReno implements Congestion {
  cwnd = 0
  ssthresh: number = Number.MAX_SAFE_INTEGER
  private mss = 536
  private restartWindow = 0
  /** Octets acknowledged since the last increase in congestion avoidance. */
  private counted = 0

  start(mss: number, lostSyns: number): void {
    this.mss = mss
    // One lost SYN may be a timeout of 1 s that was too short; from the second on the path is to blame (RFC 6928 §2).
    this.cwnd = this.restartWindow = (lostSyns > 1 ? 1 : INITIAL_WINDOW) * mss
  }

  onAck(acked: number, limited: boolean): void {
    // A window that was not used says nothing about the path (RFC 9293 §3.8.2, RFC 7661).
    if (!limited) return
    if (this.cwnd < this.ssthresh) {
      // All octets count, for receivers that acknowledge whole bursts at once; RFC 3465 §2.2 would stop at two segments.
      this.cwnd = Math.min(this.cwnd + acked, Math.max(this.ssthresh, this.cwnd + this.mss))
      return
    }
    // One segment per window (RFC 5681 §3.1)
    this.counted += acked
    if (this.counted >= this.cwnd) {
      this.counted -= this.cwnd
      this.cwnd += this.mss
    }
  }

  onFastRetransmit(flightSize: number): void {
    this.ssthresh = this.half(flightSize)
    this.cwnd = this.ssthresh + 3 * this.mss
    this.counted = 0
  }

  onDuplicate(): void {
    this.cwnd += this.mss
  }

  onPartialAck(acked: number): void {
    this.cwnd = Math.max(this.cwnd - acked, 0) + (acked >= this.mss ? this.mss : 0)
    if (this.cwnd < this.mss) this.cwnd = this.mss
  }

  onRecovered(flightSize: number): void {
    // The variant that does not release a burst (RFC 6582 §3.2 step 3 (1))
    this.cwnd = Math.min(this.ssthresh, Math.max(flightSize, this.mss) + this.mss)
  }

  onTimeout(flightSize: number, again: boolean): void {
    if (!again) this.ssthresh = this.half(flightSize)
    this.cwnd = this.mss
    this.counted = 0
  }

  onIdle(): void {
    this.cwnd = Math.min(this.cwnd, this.restartWindow)
  }

  onMss(mss: number): void {
    this.mss = mss
    if (this.cwnd < mss) this.cwnd = mss
  }

  /** (RFC 5681 equation 4) */
  private half(flightSize: number): number {
    return Math.max(Math.floor(flightSize / 2), 2 * this.mss)
  }
}
