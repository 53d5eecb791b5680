/**
 * What the protocols of the family do differently, as data: the machine asks this, and knows none of them by name.
 */
import { type Duration, type Instant, ms, seconds } from '../../../../src/kernel/clock.ts'
import { integer, invalidValue } from '../../../../src/kernel/errors.ts'
import type { Modulus } from './control.ts'

/**
 * How a receiver asks for what is missing: everything from there on (REJ), one frame (SREJ), or a list of frames in one
 * SREJ (ISO 13239 §5.5.3.2, AX.25 v2.2 §4.3.2.4).
 */
export type Recovery = 'rej' | 'srej' | 'multi-srej'

/** One protocol of the family. */
export interface Variant {
  /** In notes: whose sections they cite. */
  readonly standard: string
  readonly moduli: readonly Modulus[]
  readonly recoveries: readonly Recovery[]
  /** A frame that must not be is answered with FRMR, and the peer resets; else we reset at once. */
  readonly sendsFrmr: boolean
  /** A refused SABME is followed by a SABM (AX.25 v2.2 §6.3.1). */
  readonly fallsBack: boolean
  /**
   * Which frames may bear an N(R) that has been overtaken; of others it is invalid. Linux's LLC sends an I frame again
   * as it was, with the N(R) of then; Linux's AX.25 writes the newest into I frames that still wait to be sent, so that
   * a supervisory frame behind them has an older one.
   */
  readonly oldNr: 'none' | 'information' | 'all'
}

/** LAPB: ISO 7776, ITU-T X.25 §2. */
export const LAPB: Variant = Object.freeze({
  standard: 'X.25 §2.4',
  moduli: [8, 128],
  recoveries: ['rej'],
  sendsFrmr: true,
  fallsBack: false,
  oldNr: 'none',
} as const)

/** LLC type 2: IEEE 802.2 §7. */
export const LLC2: Variant = Object.freeze({
  standard: 'IEEE 802.2 §7',
  moduli: [128],
  recoveries: ['rej'],
  sendsFrmr: true,
  fallsBack: false,
  oldNr: 'information',
} as const)

/** AX.25 v2.2, which since then resets where v2.0 sent FRMR (§6.5). */
export const AX25: Variant = Object.freeze({
  standard: 'AX.25 v2.2 §6',
  moduli: [8, 128],
  recoveries: ['rej', 'srej', 'multi-srej'],
  sendsFrmr: false,
  fallsBack: true,
  oldNr: 'all',
} as const)

/** The parameters of one link. Times in microseconds, lengths in octets of the information field. */
export interface AbmOptions {
  /** Default: the variant's largest. */
  readonly modulus?: Modulus
  /** Default: the variant's first. Both ends must agree. */
  readonly recovery?: Recovery
  /**
   * k: frames that may be outstanding; 1 to modulus - 1. Default 7 of 8, 32 of 128. More than half the modulus together
   * with SREJ is safe only where the line neither duplicates nor delays beyond T1, since old numbers come round again.
   */
  readonly k?: number
  /** N1: the longest information field sent and taken. Default 1500. */
  readonly n1?: number
  /** N2: how often a frame is sent again before the link is given up. Default 10. */
  readonly n2?: number
  /** T1: when an answer is overdue. Default 1 s, where it starts before the round trip has been measured. */
  readonly t1?: Duration
  /** Whether T1 follows the measured round trip. Default true. */
  readonly adaptive?: boolean
  /** T2: how long an acknowledgement may wait for a frame to ride on. Default 10 ms. */
  readonly t2?: Duration
  /** T3: how long the link may be idle before the peer is asked whether it is there. Default 30 s. */
  readonly t3?: Duration
  /** Packets that wait for the window before `offer` refuses. Default 128. */
  readonly queue?: number
  /** Packets that wait for the user above before the peer is told RNR. Default 64. */
  readonly receiveQueue?: number
}

export type AbmParameters = Required<AbmOptions>

/**
 * What two stations may agree on by XID: a modulus and a recovery that both know, and numbers in the range of theirs. A
 * `k` of 0: no I frame goes until there is more to hold to.
 */
export type AbmAgreement = Partial<Pick<AbmParameters, 'modulus' | 'recovery' | 'k' | 'n1' | 't1' | 'n2'>>

const MAX_T: Duration = seconds(3600)

/**
 * Fills in what was left open.
 * @throws RangeError ERR_OUT_OF_RANGE — a number outside its range.
 * @throws TypeError ERR_INVALID_ARG_VALUE — a modulus or recovery the variant does not have.
 */
export function parametersOf(variant: Variant, options: AbmOptions): AbmParameters {
  const modulus = options.modulus ?? (Math.max(...variant.moduli) as Modulus)
  const recovery = options.recovery ?? (variant.recoveries[0] as Recovery)
  if (!variant.moduli.includes(modulus)) throw invalidValue('modulus', variant.moduli.join(' or '), modulus)
  if (!variant.recoveries.includes(recovery)) throw invalidValue('recovery', variant.recoveries.join(' or '), recovery)
  return {
    modulus,
    recovery,
    k: integer('k', options.k ?? (modulus === 8 ? 7 : 32), 1, modulus - 1),
    n1: integer('n1', options.n1 ?? 1500, 1, 32_000),
    n2: integer('n2', options.n2 ?? 10, 1, 255),
    t1: integer('t1', options.t1 ?? seconds(1), 1, MAX_T),
    adaptive: options.adaptive ?? true,
    t2: integer('t2', options.t2 ?? ms(10), 0, MAX_T),
    t3: integer('t3', options.t3 ?? seconds(30), 1, MAX_T),
    queue: integer('queue', options.queue ?? 128, 1, 65_536),
    receiveQueue: integer('receiveQueue', options.receiveQueue ?? 64, 1, 65_536),
  }
}

/** No timer. */
export const NEVER: Instant = Number.POSITIVE_INFINITY
