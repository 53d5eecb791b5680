/**
 * The control field of the HDLC family (ISO 13239 §5.3; X.25 §2.3.2; IEEE 802.2 §5.2; AX.25 v2.2 §4.2), read and written
 * in place.
 *
 *   modulo 8        7   5  4  3   1  0        modulo 128     octet 0         octet 1
 *   I             │ N(R) │P│ N(S) │ 0 │                   │  N(S)   │ 0 │   │ N(R) │ P   │
 *   S             │ N(R) │P/F│ s s │ 0 1 │                │ 0 0 0 0 s s │ 0 1 │ │ N(R) │ P/F │
 *   U             │ m m m│P/F│ m m │ 1 1 │                as in modulo 8
 */
import type { Packet } from '../../../../src/kernel/packet.ts'

export type Modulus = 8 | 128

/** Supervisory frames: they tell N(R), and how the receiver is. */
export type SupervisoryType = 'RR' | 'RNR' | 'REJ' | 'SREJ'

/** Unnumbered frames. */
export type UnnumberedType = 'SABM' | 'SABME' | 'DISC' | 'UA' | 'DM' | 'FRMR' | 'XID' | 'TEST' | 'UI'

export type FrameType = 'I' | SupervisoryType | UnnumberedType

/** One frame but for its address and information field. Scratch: owned by the caller, read at once, never kept. */
export class Frame {
  type: FrameType = 'RR'
  /** A command, else a response; the address says it. */
  command = true
  /** P of a command, F of a response. */
  pf = false
  ns = 0
  nr = 0
  /** The control field as it came, for a frame reject; in modulo 128 its first octet is the higher one. */
  control = 0
}

/** Why a control field cannot be read. */
export type ControlFault = 'truncated' | 'badControl'

const PF = 0x10
const SUPERVISORY: readonly SupervisoryType[] = ['RR', 'RNR', 'REJ', 'SREJ']
const CODES: Readonly<Record<UnnumberedType, number>> = {
  SABM: 0x2f,
  SABME: 0x6f,
  DISC: 0x43,
  UA: 0x63,
  DM: 0x0f,
  FRMR: 0x87,
  XID: 0xaf,
  TEST: 0xe3,
  UI: 0x03,
}
const UNNUMBERED: readonly (UnnumberedType | undefined)[] = Array.from({ length: 256 }, (_, code) =>
  (Object.keys(CODES) as UnnumberedType[]).find((type) => CODES[type] === code),
)

/** Octets of the control field of a frame of `type`. */
export function controlOctets(type: FrameType, modulus: Modulus): number {
  return modulus === 8 || type in CODES ? 1 : 2
}

/**
 * Takes the control field off the front of `packet`.
 * @returns why it cannot be read; `frame.control` then holds what can be quoted of it.
 */
export function pullControl(packet: Packet, modulus: Modulus, frame: Frame): ControlFault | undefined {
  if (packet.length < 1) return 'truncated'
  const first = packet.octets[packet.start] as number
  frame.control = first
  if ((first & 3) === 3) {
    packet.pull(1)
    return readUnnumbered(first, frame)
  }
  if (modulus === 8) {
    packet.pull(1)
    readNumbered(first & 0x0f, first >> 5, (first & PF) !== 0, (first >> 1) & 7, frame)
    return undefined
  }
  if (packet.length < 2) return 'truncated'
  const second = packet.octets[packet.pull(2) + 1] as number
  frame.control = (first << 8) | second
  readNumbered(first, second >> 1, (second & 1) !== 0, first >> 1, frame)
  // The four bits beside the code are reserved.
  return (first & 1) === 1 && first > 0x0d ? 'badControl' : undefined
}

function readUnnumbered(octet: number, frame: Frame): ControlFault | undefined {
  const type = UNNUMBERED[octet & ~PF]
  frame.pf = (octet & PF) !== 0
  if (type === undefined) return 'badControl'
  frame.type = type
  return undefined
}

function readNumbered(code: number, nr: number, pf: boolean, ns: number, frame: Frame): void {
  frame.nr = nr
  frame.pf = pf
  if ((code & 1) === 0) {
    frame.type = 'I'
    frame.ns = ns
  } else {
    frame.type = SUPERVISORY[(code >> 2) & 3] as SupervisoryType
  }
}

/** Puts the control field of `frame` in front of `packet`. Needs `controlOctets` of headroom. */
export function pushControl(packet: Packet, modulus: Modulus, frame: Frame): void {
  const { type, pf, ns, nr } = frame
  if (type !== 'I' && !isSupervisory(type)) {
    packet.octets[packet.push(1)] = CODES[type] | (pf ? PF : 0)
    return
  }
  const low = type === 'I' ? ns << 1 : (SUPERVISORY.indexOf(type) << 2) | 1
  if (modulus === 8) {
    packet.octets[packet.push(1)] = (nr << 5) | (pf ? PF : 0) | low
  } else {
    const at = packet.push(2)
    packet.octets[at] = low
    packet.octets[at + 1] = (nr << 1) | (pf ? 1 : 0)
  }
}

export function isSupervisory(type: FrameType): type is SupervisoryType {
  return type === 'RR' || type === 'RNR' || type === 'REJ' || type === 'SREJ'
}
