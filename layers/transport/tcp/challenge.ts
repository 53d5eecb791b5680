/**
 * How often a peer is answered by an ACK that anyone could provoke (RFC 5961 §7): two ends that each find the other's ACKs
 * unacceptable would answer one another for ever.
 */
import { type Duration, type Instant, seconds } from '../../../src/kernel/clock.ts'

const PERIOD: Duration = seconds(1)
/** Challenge ACKs, and ACKs of segments without data that are not acceptable, in a period. */
const CHALLENGES = 10

/** Who answers: a connection, or what is left of one. */
export interface Challenger {
  /** When the period began. */
  challengeAt: Instant
  /** Answers since. */
  challenges: number
}

/** @returns whether one more may be given now; then it counts. */
export function mayChallenge(who: Challenger, now: Instant): boolean {
  if (now - who.challengeAt >= PERIOD) {
    who.challengeAt = now
    who.challenges = 0
  }
  if (who.challenges >= CHALLENGES) return false
  who.challenges++
  return true
}
