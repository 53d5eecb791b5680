/**
 * The user timeout option (RFC 5482): each side may tell the other for how long it will keep a connection whose data is not
 * acknowledged, and a side that says so itself follows the other.
 *
 *   │ kind 28 │ length 4 │ G │ 15 bits: seconds, or minutes when G │
 *
 * ENABLED of the RFC is an option `advertisedTimeout` other than 0, which is ADV_UTO; CHANGEABLE is a `userTimeout` of 0.
 */
import { type Duration, seconds } from '../../../src/kernel/clock.ts'
import type { Tcb } from './tcb.ts'

const MINUTES_BIT = 0x8000
const MOST = 0x7fff
const MINUTE: Duration = seconds(60)

/** What our option says now; -1: there is none. */
export function advertisement(tcb: Tcb): number {
  const { advertisedTimeout } = tcb.options
  if (advertisedTimeout === 0) return -1
  const whole = Math.ceil(advertisedTimeout / seconds(1))
  return whole <= MOST ? whole : MINUTES_BIT | Math.min(Math.ceil(advertisedTimeout / MINUTE), MOST)
}

/** The time that an option says; 0 is none (RFC 5482 §3). */
export function timeoutOf(word: number): Duration {
  return (word & MOST) * ((word & MINUTES_BIT) === 0 ? seconds(1) : MINUTE)
}

/** The peer's option arrived in a segment that is acceptable (RFC 5482 §3.1). */
export function heedUserTimeout(tcb: Tcb, word: number): void {
  const { options, settings } = tcb
  const told = timeoutOf(word)
  if (options.advertisedTimeout === 0 || told === 0) return
  const wanted = Math.max(options.advertisedTimeout, told, settings.leastUserTimeout)
  tcb.adoptedTimeout = Math.min(wanted, settings.mostUserTimeout)
}
