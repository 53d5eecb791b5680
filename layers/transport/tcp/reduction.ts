/**
 * Reducing the window: down to ssthresh in the course of a round trip, in proportion to what is delivered (PRR, RFC 6937),
 * and back to what it was when it turns out that nothing had been lost (RFC 3522, RFC 4015, RFC 3708).
 */
import { after } from '../../../src/kernel/sequence.ts'
import { UNLIMITED } from './congestion.ts'
import type { Progress } from './progress.ts'
import type { Sender } from './sender.ts'
import type { Tcb } from './tcb.ts'

/** A congestion event: ssthresh at once, cwnd bit by bit. */
export function beginReduction(tcb: Tcb, s: Sender): void {
  s.recover = tcb.snd.nxt
  s.probing = false
  s.priorCwnd = s.cwnd
  s.prrDelivered = s.prrOut = 0
  s.ssthresh = s.algorithm.reduce(s)
  tcb.cwrDue = tcb.ecn
}

/** An ACK came while the window is being reduced (RFC 6937 §3 with the bound of its successor, PRR-SSRB made safe). */
export function reduceWindow(tcb: Tcb, s: Sender, told: Progress): void {
  if (told.octets === 0 || s.priorCwnd === 0) return
  const { mss, ssthresh } = s
  const pipe = s.board.pipe(tcb.outstanding)
  const delta = ssthresh - pipe
  s.prrDelivered += told.octets
  let sndcnt: number
  if (delta < 0) {
    sndcnt = Math.ceil((s.prrDelivered * ssthresh) / s.priorCwnd / mss) * mss - s.prrOut
  } else {
    sndcnt = Math.max(s.prrDelivered - s.prrOut, told.octets)
    // Slow start only while repair goes on. That RACK finds more of what had been sent before lost is no news; that a
    // retransmission was lost is.
    if (told.advanced && !told.lostAgain) sndcnt += mss
    sndcnt = Math.min(delta, sndcnt)
  }
  // The first retransmission goes at once, and without SACK so does that of each hole (RFC 6582 §3.2 step 5).
  const atOnce = s.prrOut === 0 || (!tcb.sack && told.advanced && told.lost > 0)
  sndcnt = Math.max(sndcnt, atOnce ? mss : 0)
  s.setCwnd(pipe + sndcnt)
}

export function endReduction(s: Sender): void {
  if (s.ssthresh < UNLIMITED && (s.state === 'cwr' || s.undoable)) s.setCwnd(s.ssthresh)
}

/** What ssthresh is worth remembering as. */
export function currentSsthresh(s: Sender): number {
  return s.reducing ? s.ssthresh : Math.max(s.ssthresh, Math.floor((s.cwnd * 3) / 4))
}

// ── undoing

/** From here on it is watched whether what is sent again was needed. */
export function beginUndo(tcb: Tcb, s: Sender): void {
  s.undoable = true
  s.undoMarker = tcb.snd.una
  // What is under way again may be reported as well; 0 would mean that all of it has been.
  const probe = s.probing && s.probeResent ? s.mss : 0
  s.undoOctets = s.board.resent + probe || -1
}

/** [start, end) was received twice. */
export function countDuplicate(s: Sender, start: number, end: number): void {
  if (!s.undoable || s.undoOctets <= 0 || !after(end, s.undoMarker)) return
  s.undoOctets = Math.max(s.undoOctets - ((end - start) | 0), 0)
}

/** Every retransmission was one too many (RFC 3708), or the ACK is of an original (RFC 3522). */
export function mayUndo(tcb: Tcb, s: Sender): boolean {
  return s.undoable && (s.undoOctets === 0 || wasDelayed(tcb, s))
}

/** The timestamp echoed is older than the first retransmission (RFC 3522 §3.2). */
export function wasDelayed(tcb: Tcb, s: Sender): boolean {
  return s.hasResentStamp && tcb.echoes && ((tcb.lastEcho - s.resentStamp) | 0) < 0
}

/** @param unmark nothing is lost. */
export function undoReduction(s: Sender, unmark: boolean): void {
  if (unmark) s.board.unmarkLost()
  if (s.priorSsthresh > 0) {
    s.setCwnd(Math.max(s.cwnd, s.priorCwnd))
    if (s.priorSsthresh > s.ssthresh) s.ssthresh = s.priorSsthresh
    s.algorithm.undone()
  }
  s.undoable = false
  s.rack.advanced = true
}
