/**
 * The search for the largest packet that a path takes, by packets of growing size (RFC 4821 §7): a range, and what the fate of a
 * probe makes of it. It knows neither sequence numbers nor windows but those of the probe under way.
 *
 *   low ├────────────────┼─────────────────┤ high            all sizes are octets of the whole network packet
 *       gets through     │ probed next     │ the largest that has not failed
 */
import { type Duration, type Instant, seconds } from '../../../src/kernel/clock.ts'

/** The search is over when the range is narrower (RFC 4821 §7.3). */
export const GRANULARITY = 8
/** Then it is seen whether the path has become wider, every so often (PMTU_RAISE_TIMER of RFC 8899 §5.1.1). */
export const RAISE_INTERVAL: Duration = seconds(600)
/** A size is given up when so many probes of it were lost: one may have been lost for another reason. */
const LOSSES = 2

export class MtuSearch {
  /** Packets of this size get through, or are hoped to (search_low and eff_pmtu of RFC 4821 §7.1). */
  low: number
  private high: number = Number.POSITIVE_INFINITY
  /** `high` itself is worth a probe: it is what a router said, or what used to get through. */
  private promising = true
  /** Size of the probe under way and its sequence numbers [seq, end); 0: there is none. */
  size = 0
  seq = 0
  end = 0
  /** The size probed last, and how often it was lost. */
  private tried = 0
  private losses = 0
  private raiseAt: Instant = 0
  /** `low` before the timeouts at hand made it smaller; 0: they have not. */
  private trusted = 0

  constructor(low: number) {
    this.low = low
  }

  /** @param most of any use: what the link and the peer take. @returns the size to probe now, or 0. */
  next(most: number, now: Instant): number {
    if (this.size > 0) return 0
    const high = Math.min(this.high, most)
    if (high - this.low >= GRANULARITY) return this.promising ? high : (this.low + high + 1) >> 1
    // What failed last is the first that gets through when the path has become wider.
    return this.high < most && now >= this.raiseAt ? this.high + 1 : 0
  }

  /** A probe has been sent. */
  begin(size: number, seq: number, end: number): void {
    this.size = size
    this.seq = seq
    this.end = end
  }

  /** The probe has arrived (RFC 4821 §7.6.1). */
  passed(now: Instant): void {
    const { size } = this
    if (size > this.high) {
      this.high = Number.POSITIVE_INFINITY
      this.promising = true
    }
    this.low = Math.max(this.low, size)
    this.raiseAt = now + RAISE_INTERVAL
    this.size = 0
  }

  /** The probe, and it alone, was lost (RFC 4821 §7.6.2). */
  failed(now: Instant): void {
    const { size } = this
    this.losses = size === this.tried ? this.losses + 1 : 1
    this.tried = size
    if (this.losses >= LOSSES) {
      this.high = size - 1
      this.promising = false
      this.losses = 0
      this.raiseAt = now + RAISE_INTERVAL
    }
    this.size = 0
  }

  /** Nobody can tell any more what became of the probe (RFC 4821 §7.6.4). */
  inconclusive(): void {
    this.size = 0
  }

  /** A router says that no more than `mtu` gets through. */
  narrow(mtu: number): void {
    this.low = Math.min(this.low, mtu)
    this.high = Math.min(this.high, mtu)
    this.promising = true
    this.size = 0
  }

  /** Not even `low` seems to get through (RFC 4821 §7.7). @param low what is hoped to. */
  fall(low: number): void {
    if (this.trusted === 0) this.trusted = this.low
    // Most silences are no black holes: then what used to get through does so again.
    this.high = Math.min(this.high, this.trusted)
    this.promising = true
    this.low = low
  }

  /** A timeout, the first of its kind: what was made smaller before has got through since. */
  settle(): void {
    this.trusted = 0
  }

  /** The timeouts were none: what was sent had only been late. */
  restore(): void {
    if (this.trusted === 0) return
    this.low = this.trusted
    this.trusted = 0
  }
}
