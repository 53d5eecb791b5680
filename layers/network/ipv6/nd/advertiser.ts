/**
 * When a router speaks, as a machine (RFC 4861 §6.2.4 to §6.2.6): on its own at random intervals, the first few times
 * sooner; soon after a host asks, but to all, and not more often than every 3 s.
 */
import { type Duration, type Instant, ms, seconds } from '../../../../src/kernel/clock.ts'
import type { Timed } from '../../../../src/kernel/machine.ts'
import { below, type Random } from '../../../../src/kernel/random.ts'

/** The constants of RFC 4861 §10. */
const INITIAL_INTERVAL: Duration = seconds(16)
const INITIAL_ADVERTISEMENTS = 3
const LEAST_BETWEEN: Duration = seconds(3)
const MOST_ANSWER_DELAY: Duration = ms(500)

export class Advertiser implements Timed {
  deadline: Instant = Number.POSITIVE_INFINITY
  private readonly minInterval: Duration
  private readonly maxInterval: Duration
  private readonly random: Random
  private sentAt: Instant = Number.NEGATIVE_INFINITY
  private initial = 0
  private due = false

  /** Silent until `start`. */
  constructor(minInterval: Duration, maxInterval: Duration, random: Random) {
    this.minInterval = minInterval
    this.maxInterval = maxInterval
    this.random = random
  }

  get speaking(): boolean {
    return this.deadline !== Number.POSITIVE_INFINITY
  }

  /** The link is there, and we have an address to speak from; or what we say has changed. */
  start(now: Instant): void {
    this.initial = 0
    this.answer(now)
  }

  stop(): void {
    this.deadline = Number.POSITIVE_INFINITY
    this.due = false
  }

  /** A host asks. */
  solicited(now: Instant): void {
    if (this.speaking) this.answer(now)
  }

  expire(now: Instant): void {
    this.due = true
    this.sentAt = now
    const interval = this.minInterval + below(this.random, this.maxInterval - this.minInterval + 1)
    this.initial++
    this.deadline = now + (this.initial < INITIAL_ADVERTISEMENTS ? Math.min(interval, INITIAL_INTERVAL) : interval)
  }

  /** Is an advertisement to be sent now? True once each time. */
  output(): boolean {
    const { due } = this
    this.due = false
    return due
  }

  /** Those who ask together are answered together (§6.2.6). */
  private answer(now: Instant): void {
    const earliest = Math.max(now, this.sentAt + LEAST_BETWEEN)
    this.deadline = Math.min(this.deadline, earliest + below(this.random, MOST_ANSWER_DELAY))
  }
}
