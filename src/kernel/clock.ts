/** Time as the stack sees it: integer microseconds from an arbitrary origin, real or virtual. */

/** Microseconds since an arbitrary origin; an integer. */
export type Instant = number

/** Microseconds; an integer. */
export type Duration = number

export interface Clock {
  /** The current instant. Never goes back; within one turn of a node it may stand still. */
  now(): Instant
}

/** @param n milliseconds, also fractional. @returns the same as a Duration. */
export const ms = (n: number): Duration => Math.round(n * 1000)

/** @param n seconds, also fractional. @returns the same as a Duration. */
export const seconds = (n: number): Duration => Math.round(n * 1_000_000)
