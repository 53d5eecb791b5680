/**
 * Spreads a window over its round trip instead of sending it as one burst, which a short queue on the way would lose: the
 * units of `unit.ts` leave at the rate at which the window goes round.
 *
 *   ACK ─► unit ── 1 ms ── unit ── 1 ms ── unit …    gain × cwnd / srtt, at most `maxPacingRate`
 *
 * Up to an initial window may be in flight without waiting (RFC 6928 lets it go at once), so that short answers are never
 * late. Paths shorter than a few of the event loop's timers are left to their ACKs.
 */
import { type Duration, type Instant, ms } from '../../../src/kernel/clock.ts'
import type { Sender } from './sender.ts'
import type { Tcb } from './tcb.ts'

/** The rate at which a window is sent, while it doubles each round trip, and afterwards. */
const SLOW_START_GAIN = 2
const AVOIDANCE_GAIN = 1.2
/** Round trips from which on it is worth a timer. */
const LONG_PATH: Duration = ms(4)
/** How much later than asked for timers may come without loss of rate. */
const LATENESS: Duration = ms(2)

/** Octets per microsecond at which the window goes round; Infinity: nothing was measured. */
export function windowRate(s: Sender): number {
  const gain = s.cwnd < s.ssthresh / 2 ? SLOW_START_GAIN : AVOIDANCE_GAIN
  return s.srtt === 0 ? Number.POSITIVE_INFINITY : (gain * s.cwnd) / s.srtt
}

/** Octets per microsecond at which units leave; Infinity: one right behind the other. */
export function pacingRate(tcb: Tcb, s: Sender): number {
  const { maxPacingRate } = tcb.options
  if (maxPacingRate > 0) return Math.min(windowRate(s), maxPacingRate / 1_000_000)
  return tcb.settings.pacing && s.minRtt.value >= LONG_PATH ? windowRate(s) : Number.POSITIVE_INFINITY
}

/** Must the next unit wait? Then `deadlines.pacing` says until when. */
export function heldBack(tcb: Tcb, s: Sender, now: Instant): boolean {
  if (s.nextUnitAt <= now || s.unitLeft > 0 || tcb.tailProbeDue) return false
  if (tcb.options.maxPacingRate === 0 && tcb.flightSize < tcb.initialWindow) return false
  tcb.deadlines.pacing = Math.ceil(s.nextUnitAt)
  return true
}

/** So much has left. */
export function charge(tcb: Tcb, s: Sender, octets: number, now: Instant): void {
  const rate = pacingRate(tcb, s)
  s.nextUnitAt = rate === Number.POSITIVE_INFINITY ? 0 : Math.max(s.nextUnitAt, now - LATENESS) + octets / rate
}
