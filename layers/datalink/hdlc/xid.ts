/**
 * What two stations of the HDLC family agree on by XID: the information field (ISO 8885 §4, AX.25 v2.2 §4.3.3.7), and what
 * holds once both have told theirs (AX.25 v2.2 §6.3.2).
 *
 *   octets   0       1       2         4
 *            ├───────┼───────┼─────────┼────┬────┬──────────┬───┐
 *            │ FI 82 │ GI 80 │ GL      │ PI │ PL │ PV       │ … │   numbers: most significant octet first
 *            └───────┴───────┴─────────┴────┴────┴──────────┴───┘
 *   PI 2   classes of procedures: bits 0 (balanced), 5 (half duplex), 6 (full duplex)     bit n: octet n / 8, 1 << n % 8
 *   PI 3   optional functions: bits 1 REJ, 2 SREJ, 10 modulo 8, 11 modulo 128, 21 lists in SREJ, 22 segments, …
 *   PI 6   N1 of the receiver, in bits     PI 8   k of the receiver     PI 9   T1, in milliseconds     PI 10   N2
 */
import { type Duration, ms } from '../../../src/kernel/clock.ts'
import type { Modulus } from './abm/control.ts'
import type { AbmParameters, Recovery } from './abm/variant.ts'

/** What one station tells of itself; what it leaves out, it does not want to change. */
export interface XidParameters {
  readonly halfDuplex?: boolean
  /** The largest it numbers by. */
  readonly modulus?: Modulus
  /** The best it knows: 'multi-srej' is more than 'srej', which is more than 'rej'. */
  readonly recovery?: Recovery
  /** Whether it cuts what is longer than N1 into segments, and joins them (AX.25 v2.2 §6.6). */
  readonly segments?: boolean
  /** N1: octets of the longest information field it takes, 1 to 8191. */
  readonly n1?: number
  /** k: frames it takes without having acknowledged one, 1 to 127. */
  readonly k?: number
  /** T1, 1 ms to 65.535 s. */
  readonly t1?: Duration
  /** N2, 1 to 255. */
  readonly n2?: number
}

/** What holds for a link after an exchange of XID. `n1` and `k` limit what we send; what we take stays as we told it. */
export type XidAgreement = Required<XidParameters>

const FORMAT = 0x82
const PARAMETERS = 0x80
const USER_DATA = 0xff
const HEADER_OCTETS = 4
const GROUP_OCTETS = 3

const CLASSES = 2
const FUNCTIONS = 3
const N1_BITS = 6
const K = 8
const T1_MS = 9
const N2 = 10

const BALANCED = 0x0100
const HALF_DUPLEX = 0x2000
const FULL_DUPLEX = 0x4000
const REJ = 0x02_0000
const SREJ = 0x04_0000
const MODULO_8 = 0x00_0400
const MODULO_128 = 0x00_0800
const LISTS = 0x00_0020
const SEGMENTS = 0x00_0040
/** Extended addresses, FCS of 16 bits, TEST, synchronous transmission: what every station of AX.25 says it has. */
const ALWAYS = 0x80_a002

const RECOVERIES: readonly Recovery[] = ['rej', 'srej', 'multi-srej']
const OCTET_BITS = 8

/** The information field of an XID that tells `parameters`. Numbers too large for their field are cut to its largest. */
export function encodeXid({ halfDuplex, modulus, recovery, segments, n1, k, t1, n2 }: XidParameters): Uint8Array {
  const values: number[] = []
  const put = (identifier: number, octets: number, value: number): void => {
    values.push(identifier, octets)
    for (let shift = (octets - 1) * OCTET_BITS; shift >= 0; shift -= OCTET_BITS) values.push((value >>> shift) & 0xff)
  }
  if (halfDuplex !== undefined) put(CLASSES, 2, BALANCED | (halfDuplex ? HALF_DUPLEX : FULL_DUPLEX))
  if (modulus !== undefined || recovery !== undefined || segments !== undefined)
    put(FUNCTIONS, 3, functionsOf(modulus ?? 8, recovery ?? 'rej', segments ?? false))
  if (n1 !== undefined) put(N1_BITS, 2, Math.min(n1, 0x1fff) * OCTET_BITS)
  if (k !== undefined) put(K, 1, Math.min(k, 127))
  if (t1 !== undefined) put(T1_MS, 2, Math.min(Math.ceil(t1 / ms(1)), 0xffff))
  if (n2 !== undefined) put(N2, 1, Math.min(n2, 0xff))
  return Uint8Array.of(FORMAT, PARAMETERS, values.length >> OCTET_BITS, values.length & 0xff, ...values)
}

function functionsOf(modulus: Modulus, recovery: Recovery, segments: boolean): number {
  const rejects = REJ | (recovery === 'rej' ? 0 : SREJ) | (recovery === 'multi-srej' ? LISTS : 0)
  return ALWAYS | rejects | (modulus === 8 ? MODULO_8 : MODULO_128) | (segments ? SEGMENTS : 0)
}

/**
 * Reads the information field of an XID. Groups and parameters nobody here knows are passed over, and so is a value
 * without meaning, such as a window of 0.
 * @returns undefined when it has another format, or is not as long as it says.
 */
export function decodeXid(octets: Uint8Array): XidParameters | undefined {
  if (octets.length < HEADER_OCTETS || octets[0] !== FORMAT) return undefined
  let read: XidParameters = {}
  for (let at = 1; at < octets.length && octets[at] !== USER_DATA; ) {
    if (at + GROUP_OCTETS > octets.length) return undefined
    const end = at + GROUP_OCTETS + (((octets[at + 1] as number) << OCTET_BITS) | (octets[at + 2] as number))
    if (end > octets.length) return undefined
    if (octets[at] === PARAMETERS) {
      const group = decodeGroup(octets.subarray(at + GROUP_OCTETS, end))
      if (group === undefined) return undefined
      read = { ...read, ...group }
    }
    at = end
  }
  return read
}

function decodeGroup(group: Uint8Array): XidParameters | undefined {
  let read: XidParameters = {}
  for (let at = 0; at < group.length; ) {
    if (at + 2 > group.length) return undefined
    const end = at + 2 + (group[at + 1] as number)
    if (end > group.length) return undefined
    // A value is at most four octets long, of those that are known.
    const value = group.subarray(at + 2, Math.min(end, at + 6)).reduce((sum, octet) => sum * 256 + octet, 0)
    if (end > at + 2) read = { ...read, ...decodeParameter(group[at] as number, value) }
    at = end
  }
  return read
}

function decodeParameter(identifier: number, value: number): XidParameters {
  if (identifier === CLASSES)
    return (value & (HALF_DUPLEX | FULL_DUPLEX)) === 0 ? {} : { halfDuplex: (value & FULL_DUPLEX) === 0 }
  if (identifier === FUNCTIONS) return decodeFunctions(value)
  if (identifier === N1_BITS && value >= OCTET_BITS) return { n1: Math.floor(value / OCTET_BITS) }
  if (identifier === K && value >= 1 && value <= 127) return { k: value }
  if (identifier === T1_MS && value >= 1) return { t1: ms(value) }
  if (identifier === N2 && value >= 1 && value <= 0xff) return { n2: value }
  return {}
}

function decodeFunctions(value: number): XidParameters {
  return {
    modulus: (value & MODULO_128) === 0 ? 8 : 128,
    // Direwolf's names lists alone, without SREJ.
    recovery: (value & LISTS) !== 0 ? 'multi-srej' : (value & SREJ) !== 0 ? 'srej' : 'rej',
    segments: (value & SEGMENTS) !== 0,
  }
}

/** What a station tells of a link with these parameters. */
export function xidOf(parameters: AbmParameters, segments: boolean): XidAgreement {
  const { modulus, recovery, n1, k, t1, n2 } = parameters
  return { halfDuplex: false, modulus, recovery, segments, n1, k, t1, n2 }
}

/**
 * What holds once the peer has told its own: of procedures, functions, N1 and k the lesser, of T1 and N2 the greater
 * (AX.25 v2.2 §6.3.2). What the peer left out stays ours.
 */
export function agree(ours: XidAgreement, theirs: XidParameters): XidAgreement {
  const modulus = theirs.modulus === undefined || theirs.modulus > ours.modulus ? ours.modulus : theirs.modulus
  const rank = Math.min(RECOVERIES.indexOf(ours.recovery), RECOVERIES.indexOf(theirs.recovery ?? ours.recovery))
  return {
    halfDuplex: ours.halfDuplex || (theirs.halfDuplex ?? false),
    modulus,
    recovery: RECOVERIES[rank] as Recovery,
    segments: ours.segments && (theirs.segments ?? ours.segments),
    n1: Math.min(ours.n1, theirs.n1 ?? ours.n1),
    k: Math.min(ours.k, theirs.k ?? ours.k, modulus - 1),
    t1: Math.max(ours.t1, theirs.t1 ?? ours.t1),
    n2: Math.max(ours.n2, theirs.n2 ?? ours.n2),
  }
}
