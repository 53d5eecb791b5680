/**
 * Looks for routers, as a machine (RFC 4861 §6.3.7, with the back-off of RFC 7559): at once but for a random delay, then
 * after about 4, 8, 16 … s, up to an hour, until a router says that it is one.
 */
import { type Duration, type Instant, seconds } from '../../../../src/kernel/clock.ts'
import type { Timed } from '../../../../src/kernel/machine.ts'
import { below, type Random } from '../../../../src/kernel/random.ts'

const MOST_DELAY: Duration = seconds(1)
/** IRT and MRT of RFC 7559 §2. */
const FIRST_INTERVAL: Duration = seconds(4)
const LONGEST_INTERVAL: Duration = seconds(3600)

export class RouterSolicitor implements Timed {
  deadline: Instant = Number.POSITIVE_INFINITY
  private readonly random: Random
  private interval: Duration = 0
  private due = false

  constructor(random: Random) {
    this.random = random
  }

  /** The link is there, and we have an address to ask with. */
  start(now: Instant): void {
    this.interval = 0
    this.deadline = now + below(this.random, MOST_DELAY)
  }

  /** A router has been heard, or the link went down. */
  stop(): void {
    this.deadline = Number.POSITIVE_INFINITY
    this.due = false
  }

  expire(now: Instant): void {
    this.due = true
    const next = this.interval === 0 ? FIRST_INTERVAL : Math.min(2 * this.interval, LONGEST_INTERVAL)
    // A tenth more or less (RFC 8415 §15).
    const spread = Math.floor(next / 10)
    this.interval = next
    this.deadline = now + next - spread + below(this.random, 2 * spread)
  }

  /** Is a solicitation to be sent now? True once each time. */
  output(): boolean {
    const { due } = this
    this.due = false
    return due
  }
}
