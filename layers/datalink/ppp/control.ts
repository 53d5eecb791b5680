/**
 * Control packets of PPP: what LCP, the network control protocols and CHAP have in common (RFC 1661 §5).
 *
 *   octets   0      1            2        4
 *            ├──────┼────────────┼────────┼──────────────────────┤      option:  type, length, data
 *            │ code │ identifier │ length │ options, or data     │
 *            └──────┴────────────┴────────┴──────────────────────┘
 *
 * They are few and small: here they are plain arrays of octets, not packets of the slab.
 */

/** Values of PPP's protocol field (RFC 1661 §2, IANA). */
export const PROTOCOL = {
  ipv4: 0x0021,
  ipv6: 0x0057,
  ipcp: 0x8021,
  ipv6cp: 0x8057,
  lcp: 0xc021,
  pap: 0xc023,
  chap: 0xc223,
} as const

/** Codes of control packets (RFC 1661 §5). */
export const CODE = {
  configureRequest: 1,
  configureAck: 2,
  configureNak: 3,
  configureReject: 4,
  terminateRequest: 5,
  terminateAck: 6,
  codeReject: 7,
  protocolReject: 8,
  echoRequest: 9,
  echoReply: 10,
  discardRequest: 11,
} as const

export const CONTROL_HEADER_OCTETS = 4
const OPTION_HEADER_OCTETS = 2

/** An option of a Configure packet. */
export interface Option {
  readonly type: number
  readonly data: Uint8Array
}

/** A control packet, taken apart. `data` is what follows the header. */
export interface ControlPacket {
  readonly code: number
  readonly id: number
  readonly data: Uint8Array
}

export function encodeControl(code: number, id: number, data: Uint8Array): Uint8Array {
  const length = CONTROL_HEADER_OCTETS + data.length
  return Uint8Array.of(code, id, length >> 8, length & 0xff, ...data)
}

/** @returns undefined when it is no control packet; octets beyond its length are padding (RFC 1661 §5). */
export function decodeControl(octets: Uint8Array): ControlPacket | undefined {
  if (octets.length < CONTROL_HEADER_OCTETS) return undefined
  const [code = 0, id = 0, high = 0, low = 0] = octets
  const length = (high << 8) | low
  if (length < CONTROL_HEADER_OCTETS || length > octets.length) return undefined
  return { code, id, data: octets.slice(CONTROL_HEADER_OCTETS, length) }
}

export const encodeOptions = (options: readonly Option[]): Uint8Array =>
  Uint8Array.from(options.flatMap(({ type, data }) => [type, data.length + OPTION_HEADER_OCTETS, ...data]))

/** @returns undefined when the lengths do not work out. */
export function decodeOptions(octets: Uint8Array): Option[] | undefined {
  const options: Option[] = []
  for (let at = 0; at < octets.length; ) {
    const length = octets[at + 1] ?? 0
    if (length < OPTION_HEADER_OCTETS || at + length > octets.length) return undefined
    options.push({ type: octets[at] as number, data: octets.subarray(at + OPTION_HEADER_OCTETS, at + length) })
    at += length
  }
  return options
}

/** Of an option whose data is one number; 0 for one of any other length. */
export function numberOf({ data }: Option, octets: 1 | 2 | 4): number {
  if (data.length !== octets) return 0
  return data.reduce((value, octet) => (value << 8) | octet, 0) | 0
}

/** @param octets how many octets of data it gets. */
export function option(type: number, value: number, octets: 0 | 2 | 4): Option {
  const all = [value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff]
  return { type, data: Uint8Array.from(all.slice(4 - octets)) }
}

export function sameOctets(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((octet, i) => octet === b[i])
}
