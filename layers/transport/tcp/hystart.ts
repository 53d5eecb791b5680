/**
 * HyStart++ (RFC 9406): leaves slow start when round trips grow longer, before the queue of the bottleneck overflows. It
 * first slows down (conservative slow start) and goes back to full speed should the round trips grow shorter again.
 */
import { type Duration, ms } from '../../../src/kernel/clock.ts'
import { before } from '../../../src/kernel/sequence.ts'

// (RFC 9406 §4.3)
const MIN_RTT_THRESH: Duration = ms(4)
const MAX_RTT_THRESH: Duration = ms(16)
const MIN_RTT_DIVISOR = 8
const N_RTT_SAMPLE = 8
const CSS_GROWTH_DIVISOR = 4
const CSS_ROUNDS = 5

export class HyStart {
  /** In conservative slow start. */
  private css = false
  private cssBaselineMinRtt: Duration = Number.POSITIVE_INFINITY
  private cssRounds = 0
  private lastRoundMinRtt: Duration = Number.POSITIVE_INFINITY
  private currentRoundMinRtt: Duration = Number.POSITIVE_INFINITY
  private rttSampleCount = 0
  private windowEnd = 0
  private begun = false

  /** What slow start may count of the octets delivered. RFC 9406's limit L is for pacers; like them we do without it. */
  allows(delivered: number): number {
    return this.css ? delivered / CSS_GROWTH_DIVISOR : delivered
  }

  /** A round trip was measured in slow start. @returns whether slow start is over. */
  measured(rtt: Duration, una: number, nxt: number): boolean {
    if (!this.begun || !before(una, this.windowEnd)) {
      if (this.css && this.begun && ++this.cssRounds >= CSS_ROUNDS) return true
      this.begin(nxt)
    }
    if (rtt < this.currentRoundMinRtt) this.currentRoundMinRtt = rtt
    this.rttSampleCount++
    if (this.rttSampleCount < N_RTT_SAMPLE) return false
    if (this.css) this.resumeIfShorter()
    else this.slowDownIfLonger()
    return false
  }

  private begin(nxt: number): void {
    this.begun = true
    this.lastRoundMinRtt = this.currentRoundMinRtt
    this.currentRoundMinRtt = Number.POSITIVE_INFINITY
    this.rttSampleCount = 0
    this.windowEnd = nxt
  }

  private slowDownIfLonger(): void {
    const last = this.lastRoundMinRtt
    if (last === Number.POSITIVE_INFINITY) return
    const threshold = Math.max(MIN_RTT_THRESH, Math.min(last / MIN_RTT_DIVISOR, MAX_RTT_THRESH))
    if (this.currentRoundMinRtt < last + threshold) return
    this.css = true
    this.cssBaselineMinRtt = this.currentRoundMinRtt
    this.cssRounds = 0
  }

  private resumeIfShorter(): void {
    if (this.currentRoundMinRtt >= this.cssBaselineMinRtt) return
    this.css = false
    this.cssBaselineMinRtt = Number.POSITIVE_INFINITY
  }
}
