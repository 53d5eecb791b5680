/**
 * T1, by the measured round trip where it may adapt: SRTT + 4 RTTVAR, as RFC 6298 §2 has it for TCP, doubled with each
 * expiry. A line of HDLC has one sender, so there is less to be careful of than in a network, and more jitter in what the
 * peer's T2 adds.
 */
import { type Duration, type Instant, ms, seconds } from '../../../../src/kernel/clock.ts'

const MIN_T1: Duration = ms(20)
const MAX_T1: Duration = seconds(60)
/** Doublings at the most: what is late on a line is lost, there is nobody to make way for. */
const MAX_BACKOFF = 2
const NONE = -1

export class AcknowledgementTimer {
  /** Until a round trip has been measured, and for ever where it does not adapt. */
  initial: Duration
  private readonly adaptive: boolean
  private srtt = 0
  private rttvar = 0
  /** When the exchange that is being timed began; NONE while there is none. */
  private began: Instant = NONE
  /** The N(S) whose acknowledgement ends it; NONE for a poll. */
  private ns = NONE

  constructor(initial: Duration, adaptive: boolean) {
    this.initial = initial
    this.adaptive = adaptive
  }

  /** How long to wait for an answer. @param retries how often it has been waited for in vain. */
  interval(retries: number): Duration {
    if (!this.adaptive) return this.initial
    const once =
      this.srtt === 0 ? this.initial : Math.max(MIN_T1, this.srtt + Math.max(4 * this.rttvar, this.srtt >> 1))
    return Math.min(Math.max(MAX_T1, this.initial), once * 2 ** Math.min(retries, MAX_BACKOFF))
  }

  /** A frame goes out for the first time; it is timed when none else is. */
  sent(ns: number, now: Instant): void {
    if (this.began !== NONE) return
    this.began = now
    this.ns = ns
  }

  /** An enquiry goes out, and not for the second time. */
  polled(now: Instant): void {
    this.began = now
    this.ns = NONE
  }

  /** The answer to the enquiry is here. */
  answered(now: Instant): void {
    if (this.began !== NONE && this.ns === NONE) this.measure(now)
  }

  /** V(A) has moved to `nr`: was the timed frame among what that acknowledges? @param count frames acknowledged. */
  acknowledged(nr: number, count: number, modulus: number, now: Instant): void {
    if (this.began === NONE || this.ns === NONE) return
    const before = (nr - this.ns) & (modulus - 1)
    if (before > 0 && before <= count) this.measure(now)
  }

  /** A frame goes out again: its acknowledgement tells nothing. */
  repeated(ns: number): void {
    if (this.ns === ns) this.forget()
  }

  /** Nothing that was sent before tells the round trip any more (Karn). */
  forget(): void {
    this.began = this.ns = NONE
  }

  private measure(now: Instant): void {
    const rtt = Math.max(1, now - this.began)
    this.began = NONE
    if (this.srtt === 0) {
      this.srtt = rtt
      this.rttvar = rtt >> 1
      return
    }
    this.rttvar = Math.round(0.75 * this.rttvar + 0.25 * Math.abs(this.srtt - rtt))
    this.srtt = Math.round(0.875 * this.srtt + 0.125 * rtt)
  }
}
