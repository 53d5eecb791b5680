/**
 * How much goes in one piece. What a connection may send now is cut into units of about a millisecond at the rate it sends
 * at, so that a slow path gets no long bursts, and a fast one gives the link super-segments as long as it takes. The last
 * segment of a unit of several carries PSH: the receiver need not wait for more (RFC 9293 §3.9.1 leaves that to us).
 */
import { type Duration, ms } from '../../../src/kernel/clock.ts'
import { pacingRate, windowRate } from './pacing.ts'
import type { Sender } from './sender.ts'
import type { Tcb } from './tcb.ts'

/** A unit is what is sent in so long, at the least two segments. */
const UNIT_TIME: Duration = ms(1)
/** Largest unit, and what a round trip of no time adds to the smallest: it halves with every so many microseconds. */
const MOST_OCTETS = 65_536
const RTT_HALVING: Duration = 512

/** @param room octets that may be sent now, at least a segment. @returns octets of the next unit, in whole segments. */
export function unitOctets(tcb: Tcb, s: Sender, room: number): number {
  const { mss, cwnd } = s
  // Two units at least in a window, so that there is something to acknowledge while the other is on its way.
  const most = Math.max(Math.min(room, cwnd / 2), mss)
  const wanted = Math.max(rateOctets(tcb, s), tcb.settings.minTsoSegments * mss)
  const octets = Math.min(wanted, most)
  return octets - (octets % mss)
}

function rateOctets(tcb: Tcb, s: Sender): number {
  if (tcb.options.maxPacingRate > 0) return Math.min(pacingRate(tcb, s) * UNIT_TIME, MOST_OCTETS)
  const paced = windowRate(s) * UNIT_TIME
  const near = MOST_OCTETS / 2 ** Math.min(s.minRtt.value / RTT_HALVING, 30)
  return Math.min(paced + near, MOST_OCTETS)
}
