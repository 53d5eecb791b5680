/**
 * What the sending side of a connection knows of its path and of what it has in flight. It is made with the first data:
 * a connection that sends nothing does without.
 */
import type { Duration, Instant } from '../../../src/kernel/clock.ts'
import { seconds } from '../../../src/kernel/clock.ts'
import { before } from '../../../src/kernel/sequence.ts'
import { type Congestion, type CongestionWindow, UNLIMITED } from './congestion.ts'
import { Limits } from './limits.ts'
import { Rack } from './rack.ts'
import { DeliveryRate } from './rate.ts'
import { RecordEnds } from './record-ends.ts'
import { Scoreboard } from './scoreboard.ts'
import type { SegmentNote } from './tcb.ts'

/** What loss recovery is doing, as Linux names it. */
export type LossState =
  | 'open'
  /** Something arrived out of order, or twice; nothing is taken as lost. */
  | 'disorder'
  /** The window is being reduced because a router or a lost tail said so; nothing is sent again. */
  | 'cwr'
  /** What was lost is sent again, and the window reduced meanwhile (RFC 6675, RFC 6937). */
  | 'recovery'
  /** The same after the retransmission timer ran out: from slow start (RFC 5681 §3.1). */
  | 'loss'

/** How long a least round trip is believed. */
const MIN_RTT_LIFE: Duration = seconds(300)

/** The least round trip of the last minutes. */
export class LeastRoundTrip {
  /** Infinity before the first. */
  value: Duration = Number.POSITIVE_INFINITY
  private at: Instant = 0
  /** The least since then: takes over when the other is too old. */
  private next: Duration = Number.POSITIVE_INFINITY

  sample(rtt: Duration, now: Instant): void {
    if (rtt <= this.value) {
      this.value = rtt
      this.at = now
      this.next = Number.POSITIVE_INFINITY
    } else {
      if (rtt < this.next) this.next = rtt
      if (now - this.at <= MIN_RTT_LIFE) return
      this.value = this.next
      this.at = now
      this.next = Number.POSITIVE_INFINITY
    }
  }
}

export class Sender implements CongestionWindow {
  readonly board: Scoreboard = new Scoreboard()
  readonly rack: Rack = new Rack()
  readonly rate: DeliveryRate = new DeliveryRate()
  readonly minRtt: LeastRoundTrip = new LeastRoundTrip()
  readonly limits: Limits = new Limits()
  algorithm: Congestion
  cwnd: number
  ssthresh: number = UNLIMITED
  mss: number
  /** The smoothed round trip, as RACK bounds its window by it. */
  srtt: Duration = 0

  state: LossState = 'open'
  /** What had been sent when the loss was found: recovery lasts until all of it is acknowledged (RecoveryPoint). */
  recover: number

  // The reduction of the window under way (RFC 6937)
  /** cwnd before it. */
  priorCwnd = 0
  prrDelivered = 0
  prrOut = 0

  // What it takes to undo it
  /** SND.UNA when it began; only while `undoable`. */
  undoMarker = 0
  undoable = false
  /** Octets sent again that no DSACK has reported; -1: none were, but something else may have been. */
  undoOctets = 0
  /** ssthresh before; 0: the reduction stands. */
  priorSsthresh = 0
  /** Our timestamp when something was first sent again; only while `hasResentStamp`. */
  resentStamp = 0
  hasResentStamp = false

  // What was lost, and is sent again in state 'loss', when no timeout says so or a timeout is not all there is to say
  /** Told to taps in place of the timeout. */
  lossNote: SegmentNote | null = null
  /** It was too large for the path, and nothing says that the network is congested: another loss still would. */
  tooLarge = false

  // The tail loss probe under way (RFC 8985 §7)
  probing = false
  probeEnd = 0
  probeResent = false

  // F-RTO (RFC 5682)
  frto = false
  /** New data goes before what is lost, to see which of it arrives. */
  frtoTrial = false

  /** Most in flight at a transmission since `windowMark` was sent: did we use the window? */
  maxFlight = 0
  windowMark: number
  /** Most in flight since cwnd was last in the way, and when that was, or was last given up. */
  used = 0
  usedAt: Instant = 0
  /** Octets of the current unit that are still to be sent, and whether it is more than one segment (`unit.ts`). */
  unitLeft = 0
  unitIsLong = false
  /** When the next unit may go (`pacing.ts`). */
  nextUnitAt: Instant = 0

  /** Ends of records that are not acknowledged; null: there are none. */
  recordEnds: RecordEnds | null = null

  constructor(algorithm: Congestion, mss: number, cwnd: number, una: number) {
    this.algorithm = algorithm
    this.mss = mss
    this.cwnd = algorithm.name === 'none' ? UNLIMITED : cwnd
    this.recover = this.windowMark = this.undoMarker = una
  }

  /** The window is being reduced. */
  get reducing(): boolean {
    return this.state === 'recovery' || this.state === 'cwr'
  }

  /** Sets cwnd, which is never less than a segment. */
  setCwnd(octets: number): void {
    this.cwnd = Math.max(octets, this.mss)
  }

  /** No congestion control is wanted. Repair is clocked by ACKs all the same, or each could set off a flight. */
  get uncontrolled(): boolean {
    return this.algorithm.name === 'none'
  }

  setMss(mss: number): void {
    this.mss = mss
    this.setCwnd(this.cwnd)
  }

  /** @param initialWindow where a window begins that had no limit. */
  setAlgorithm(algorithm: Congestion, initialWindow: number): void {
    if (algorithm.name === this.algorithm.name) return
    if (algorithm.name === 'none') this.cwnd = this.ssthresh = UNLIMITED
    else if (this.algorithm.name === 'none') this.cwnd = initialWindow
    this.algorithm = algorithm
  }

  /** The record that the application has written up to `end` is complete. */
  endRecord(end: number): void {
    this.recordEnds ??= new RecordEnds()
    this.recordEnds.add(end)
  }

  /** Segments that so many octets are, at the least. */
  segments(octets: number): number {
    return Math.ceil(octets / this.mss)
  }

  /** Is cwnd what limits us? In slow start a window that is half used is: it doubles within the round trip. */
  get limited(): boolean {
    const used = this.cwnd < this.ssthresh ? 2 * this.maxFlight : this.maxFlight + this.mss
    return this.cwnd < used
  }

  /** So much is in flight after a transmission. */
  noteFlight(flight: number, una: number, nxt: number): void {
    if (flight <= this.maxFlight && before(una, this.windowMark)) return
    this.maxFlight = flight
    this.windowMark = nxt
  }
}
