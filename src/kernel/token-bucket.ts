/** A token bucket: so many at once, so many a second on average. For what anyone may provoke, as RFC 1812 §4.3.2.8 asks for. */
import type { Instant } from './clock.ts'

const SECOND_US = 1_000_000

export class TokenBucket {
  private readonly rate: number
  private readonly burst: number
  private tokens: number
  private filledAt: Instant = 0

  /** @param rate tokens a second; 0 gives none. @param burst tokens it holds. */
  constructor(rate: number, burst: number) {
    this.rate = rate
    this.burst = burst
    this.tokens = rate === 0 ? 0 : burst
  }

  /** @returns whether there was a token to take. */
  take(now: Instant): boolean {
    this.tokens = Math.min(this.burst, this.tokens + ((now - this.filledAt) * this.rate) / SECOND_US)
    this.filledAt = now
    if (this.tokens < 1) return false
    this.tokens--
    return true
  }
}
