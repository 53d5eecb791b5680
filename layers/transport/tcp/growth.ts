/** Octets that a connection may hold beyond what it began with, out of what all connections of a node may together. */

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
