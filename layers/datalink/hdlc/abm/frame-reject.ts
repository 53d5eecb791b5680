/**
 * The information field of FRMR: what was wrong with a frame that sending again would not mend (X.25 §2.3.4.9;
 * IEEE 802.2 §5.4.2.3.5).
 *
 *   modulo 8     rejected control │ V(R) │C/R│ V(S) │ 0 │        0 0 0 0 Z Y X W
 *   modulo 128   rejected control, 2 octets │ V(S) │ 0 │  V(R) │C/R│  0 0 0 0 Z Y X W
 */
import type { FrameType, Modulus } from './control.ts'

/**
 * W: a control field nobody knows. X: an information field where none may be. Y: one that is too long. Z: an N(R) of a
 * frame never sent.
 */
export type RejectCause = 'W' | 'X' | 'Y' | 'Z'

const CAUSE_BITS: Readonly<Record<RejectCause, number>> = { W: 1, X: 3, Y: 4, Z: 8 }

/** What a FRMR says. */
export interface FrameReject {
  /** The control field of the rejected frame, in modulo 128 with the first octet on top. */
  readonly control: number
  /** The rejected frame was a response. */
  readonly response: boolean
  readonly vs: number
  readonly vr: number
  readonly cause: RejectCause
}

/** The information field, newly allocated. */
export function encodeFrameReject({ control, response, vs, vr, cause }: FrameReject, modulus: Modulus): Uint8Array {
  const cr = response ? 1 : 0
  const bits = CAUSE_BITS[cause]
  if (modulus === 8) return Uint8Array.of(control, (vr << 5) | (cr << 4) | (vs << 1), bits)
  // An unnumbered control field has one octet, and stands in the first (X.25 §2.3.4.9, table 2-10).
  const [high, low] =
    control > 0xff ? [control >> 8, control & 0xff] : (control & 3) === 3 ? [control, 0] : [0, control]
  return Uint8Array.of(high, low, vs << 1, (vr << 1) | cr, bits)
}

/** Which causes the last octet names, in the order WXYZ: 'WX'; '' when the field is too short. */
export function rejectCauses(info: Uint8Array, modulus: Modulus): string {
  const bits = info[modulus === 8 ? 2 : 4]
  if (bits === undefined) return ''
  return ['W', 'X', 'Y', 'Z'].filter((_, bit) => (bits & (1 << bit)) !== 0).join('')
}

/** What is wrong with an information field of `octets` octets: too long, or where none may be. @param n1 the longest. */
export function informationFault(type: FrameType, octets: number, n1: number): 'X' | 'Y' | undefined {
  if (type === 'I') return octets > n1 ? 'Y' : undefined
  if (type === 'FRMR' || type === 'SREJ' || octets === 0) return undefined
  return 'X'
}
