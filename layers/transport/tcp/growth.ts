/** Octets that a connection may hold beyond what it began with, out of what all connections of a node may together. */
import { type Duration, ms } from '../../../src/kernel/clock.ts'
import type { Sender } from './sender.ts'

/** Below it no queue is too short: 1 MiB in 1 ms is 8 Gbit/s. A longer one only lies where no cache holds it. */
const SHORT_PATH: Duration = ms(1)

/**
 * Octets that a send queue has a use for, `most` at the most: two congestion windows, so that there is always one to send
 * while another waits to be acknowledged. 0: whatever it has is enough.
 */
export function sendQueueFor({ cwnd, minRtt }: Sender, most: number): number {
  return minRtt.value < SHORT_PATH ? 0 : Math.min(2 * cwnd, most)
}

export interface GrowthBudget {
  used: number
  readonly limit: number
}

export class Growth {
  /** Octets granted so far. */
  grown = 0
  private readonly budget: GrowthBudget

  constructor(budget: GrowthBudget) {
    this.budget = budget
  }

  /** Asks for so many more. @returns whether any were granted. */
  grow(octets: number): boolean {
    const granted = Math.max(Math.min(octets, this.budget.limit - this.budget.used), 0)
    this.budget.used += granted
    this.grown += granted
    return granted > 0
  }

  /** The connection is over. */
  release(): void {
    this.budget.used -= this.grown
    this.grown = 0
  }
}
