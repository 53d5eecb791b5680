/**
 * How much may be in flight. Loss is found elsewhere, and what follows from it for the time of a recovery too
 * (`reduction.ts`); an algorithm says how far to go down, and how to go up again. All quantities are octets.
 */
import type { CongestionControl } from '../../../src/api/sockets.ts'
import type { Duration, Instant } from '../../../src/kernel/clock.ts'
import { Cubic } from './cubic.ts'
import { Reno } from './reno.ts'

/** No window is ever larger. */
export const UNLIMITED = 0x3fff_ffff

/** What an algorithm works on. */
export interface CongestionWindow {
  cwnd: number
  /** `UNLIMITED` until something was lost. */
  ssthresh: number
  mss: number
}

export interface Congestion {
  readonly name: CongestionControl
  /** Something was lost, or marked by a router. @returns the new ssthresh. */
  reduce(window: CongestionWindow): number
  /** Octets were delivered, cwnd was in the way, and nothing is being recovered: opens the window. */
  grow(window: CongestionWindow, delivered: number, srtt: Duration, now: Instant): void
  /** A round trip was measured. @param una, nxt SND.UNA and SND.NXT, which tell the rounds apart. */
  measured(window: CongestionWindow, rtt: Duration, una: number, nxt: number): void
  /** Sending goes on after nothing had been in flight for so long. */
  resumed(idle: Duration, now: Instant): void
  /** The retransmission timer ran out. */
  timedOut(): void
  /** What `reduce` was told was wrong. */
  undone(): void
}

/** For benches: but for the repair of losses, what is sent is limited by the windows of the peers alone. */
class NoControl implements Congestion {
  readonly name = 'none'

  reduce(): number {
    return UNLIMITED
  }

  grow(window: CongestionWindow, delivered: number): void {
    slowStart(window, delivered)
  }

  measured(): void {}
  resumed(): void {}
  timedOut(): void {}
  undone(): void {}
}

const NONE = new NoControl()

export function congestion(name: CongestionControl): Congestion {
  if (name === 'none') return NONE
  return name === 'reno' ? new Reno() : new Cubic()
}

/** Slow start (RFC 5681 §3.1): opens the window by what was delivered, up to ssthresh. @returns what is left of it. */
export function slowStart(window: CongestionWindow, delivered: number): number {
  // All octets count, for receivers that acknowledge whole bursts at once; RFC 3465 §2.2 would stop at two segments.
  const cwnd = Math.min(window.cwnd + delivered, Math.max(window.ssthresh, window.cwnd))
  const used = cwnd - window.cwnd
  window.cwnd = cwnd
  return delivered - used
}

/** A share of the window, in whole segments, and never less than two (RFC 5681 equation 4). */
export function share({ cwnd, mss }: CongestionWindow, factor: number): number {
  const octets = Math.round(cwnd * factor)
  return Math.max(octets - (octets % mss), 2 * mss)
}
