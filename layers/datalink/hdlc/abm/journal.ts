/** What a machine of the family tells of its decisions, as they are taken. */
import type { Packet } from '../../../../src/kernel/packet.ts'
import type { ControlFault } from './control.ts'

/** Why the machine drops what arrives, or what was to be sent. */
export type AbmDrop =
  | ControlFault
  /** A frame that has no meaning in this phase. */
  | 'unexpected'
  /** N(R) of a frame never sent. */
  | 'invalidNr'
  /** An information field longer than N1. */
  | 'tooLong'
  /** An information field where none may be. */
  | 'unwantedInformation'
  | 'duplicate'
  | 'outOfSequence'
  /** The user above is slow, and the peer has been told so. */
  | 'busy'
  /** A REJ or SREJ for what has been sent again already. */
  | 'repeatedReject'
  /** Sent, not acknowledged, and the link was set up anew. */
  | 'reset'
  /** To be sent, and longer than the peer takes. */
  | 'tooLongToSend'
  /** To be sent, and the link went down. */
  | 'linkDown'
  /** More was sent than the queue takes, after `send` had returned false. */
  | 'queueFull'

/** Every reason with its section, by those of X.25; the others of the family have the same under other numbers. */
export const ABM_REASONS: Readonly<Record<AbmDrop, string>> = Object.freeze({
  truncated: 'X.25 §2.3.5.3',
  badControl: 'X.25 §2.4.7.3',
  unexpected: 'X.25 §2.4.4',
  invalidNr: 'X.25 §2.4.7.3',
  tooLong: 'X.25 §2.4.7.3',
  unwantedInformation: 'X.25 §2.4.7.3',
  duplicate: 'X.25 §2.4.5.4',
  outOfSequence: 'X.25 §2.4.5.6',
  busy: 'X.25 §2.4.5.8',
  repeatedReject: 'X.25 §2.4.5.6',
  reset: 'X.25 §2.4.7.1',
  tooLongToSend: '',
  linkDown: '',
  queueFull: '',
})

/** Told at once; must not call the machine back. */
export interface Journal {
  /** The packet has come to its end: count, and release it. */
  drop(packet: Packet, reason: AbmDrop): void
  /** Something that is gone already. */
  count(reason: AbmDrop): void
  /** A retransmission and the like. @param packet its information, if it has any. */
  note(packet: Packet | null, event: string, reason: string, section: string): void
}
