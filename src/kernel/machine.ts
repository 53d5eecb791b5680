/**
 * A protocol without input or output: no sockets, no timers, no clock of its own.
 *
 *          offer(sdu) │        ▲ take()            sdu: what the user above sends and gets
 *                     ▼        │
 *               ┌──────────────────────┐
 *               │       machine        │ ◄── expire(now), once now >= deadline
 *               └──────────────────────┘
 *                     │        ▲
 *            output() ▼        │ input(pdu)        pdu: what the peer's machine sends and gets
 *
 * Given the same calls it makes the same answers, so a test needs no network, and a
 * simulation of a year takes a second. A machine never calls out: its owner asks.
 */
import type { Instant } from './clock.ts'

/** What a `Drive` needs of a machine; the rest of its verbs depend on what it carries. */
export interface Timed {
  /** When `expire` must be called next; Infinity when nothing is pending. */
  readonly deadline: Instant
  /** A timer ran out: decide what to do about it. Sends nothing by itself; see `output`. */
  expire(now: Instant): void
}

/** The verbs by their usual signatures. A machine that fills packets in place has `output(now, packet)` instead. */
export interface Machine<Pdu, Sdu> extends Timed {
  /** A PDU arrived from the peer. Takes ownership. */
  input(pdu: Pdu, now: Instant): void
  /** The next PDU to send now, or undefined when there is none. Ask until undefined. */
  output(now: Instant): Pdu | undefined
  /** Accept an SDU from above. @returns false when full: the SDU was not taken, ask again later. */
  offer(sdu: Sdu, now: Instant): boolean
  /** The next SDU for the user above, in order, or undefined. */
  take(): Sdu | undefined
}
