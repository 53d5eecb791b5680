/**
 * Addresses of the network and of links. They are text only at the API; inside, an IP address is four int32 words, so
 * that one shape serves both families: IPv4 is the mapped address ::ffff:a.b.c.d (RFC 4291 §2.5.5.2), and its last word
 * is the address itself.
 */
import { invalidValue } from './errors.ts'

const MAPPED = 0xffff

/** An IP address of either family; mutable, so that one object can serve as scratch. Words are int32. */
export class IpAddress {
  w0: number
  w1: number
  w2: number
  w3: number

  /** The unspecified IPv4 address unless told otherwise. */
  constructor(w0 = 0, w1 = 0, w2: number = MAPPED, w3 = 0) {
    this.w0 = w0 | 0
    this.w1 = w1 | 0
    this.w2 = w2 | 0
    this.w3 = w3 | 0
  }

  static ipv4(word: number): IpAddress {
    return new IpAddress(0, 0, MAPPED, word)
  }

  get isIpv4(): boolean {
    return this.w0 === 0 && this.w1 === 0 && this.w2 === MAPPED
  }

  /** 0.0.0.0 or ::. */
  get isUnspecified(): boolean {
    return this.w0 === 0 && this.w1 === 0 && (this.w2 === MAPPED || this.w2 === 0) && this.w3 === 0
  }

  /** It is link-local, a station's or a group's (RFC 4291 §2.5.6, §2.7), and means nothing without its link. */
  get isScoped(): boolean {
    const high = this.w0 >>> 16
    return (high & 0xffc0) === 0xfe80 || (high & 0xff0f) === 0xff02
  }

  setIpv4(word: number): this {
    this.w0 = 0
    this.w1 = 0
    this.w2 = MAPPED
    this.w3 = word | 0
    return this
  }

  set(other: IpAddress): this {
    this.w0 = other.w0
    this.w1 = other.w1
    this.w2 = other.w2
    this.w3 = other.w3
    return this
  }

  equals(other: IpAddress): boolean {
    return this.w3 === other.w3 && this.w2 === other.w2 && this.w1 === other.w1 && this.w0 === other.w0
  }

  clone(): IpAddress {
    return new IpAddress(this.w0, this.w1, this.w2, this.w3)
  }

  /** '10.0.0.1' or 'fd00::1' (RFC 5952). */
  toString(): string {
    return this.isIpv4 ? formatIpv4(this.w3) : formatIpv6(this)
  }
}

/** A prefix: an address and how many of its leading bits count; for IPv4, `length` is 0 to 32. */
export interface Prefix {
  readonly address: IpAddress
  readonly length: number
}

/** @param word int32 or uint32. @returns '10.0.0.1' */
export function formatIpv4(word: number): string {
  return `${word >>> 24}.${(word >>> 16) & 255}.${(word >>> 8) & 255}.${word & 255}`
}

/** @returns the address as int32, or undefined unless `text` is four decimal numbers of 0 to 255 without leading zeros. */
export function tryParseIpv4(text: string): number | undefined {
  const match = /^(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})$/.exec(text)
  if (match === null) return undefined
  let word = 0
  for (let i = 1; i <= 4; i++) {
    const octet = Number(match[i])
    if (octet > 255) return undefined
    word = (word << 8) | octet
  }
  return word
}

/** @returns the address, or undefined when `text` is neither an IPv4 nor an IPv6 address. */
export function tryParseAddress(text: string): IpAddress | undefined {
  const word = tryParseIpv4(text)
  return word === undefined ? tryParseIpv6(text) : IpAddress.ipv4(word)
}

/** @throws TypeError ERR_INVALID_ARG_VALUE — not an IPv4 or IPv6 address. */
export function parseAddress(text: string, name = 'address'): IpAddress {
  const address = typeof text === 'string' ? tryParseAddress(text) : undefined
  if (address === undefined) throw invalidValue(name, "an IP address such as '10.0.0.1'", text)
  return address
}

/**
 * Splits 'fe80::1%eth0' into the address and its zone, which is the name of a link (RFC 4007 §11).
 * @returns '' for the zone of a text without one.
 */
export function splitZone(text: string): [address: string, zone: string] {
  const at = text.indexOf('%')
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)]
}

/** 'fe80::1%eth0'. @param zone '' for none; only of use with an address that `isScoped`. */
export function formatScoped(address: IpAddress, zone: string): string {
  return zone === '' || !address.isScoped ? address.toString() : `${address}%${zone}`
}

/** '10.0.0.1/24'; without a length, the whole address counts. @throws TypeError ERR_INVALID_ARG_VALUE */
export function parsePrefix(text: string, name = 'prefix'): Prefix {
  const [host = '', length, extra] = typeof text === 'string' ? text.split('/') : []
  const address = tryParseAddress(host)
  const longest = address?.isIpv4 ? 32 : 128
  const bits = length === undefined ? longest : /^\d{1,3}$/.test(length) ? Number(length) : Number.NaN
  if (address === undefined || extra !== undefined || !(bits <= longest)) {
    throw invalidValue(name, "an address with a prefix length such as '10.0.0.1/24'", text)
  }
  return { address, length: bits }
}

/** The 32-bit mask of an IPv4 prefix length, as int32. */
export const maskIpv4 = (length: number): number => (length === 0 ? 0 : -1 << (32 - length))

function tryParseIpv6(text: string): IpAddress | undefined {
  const halves = text.split('::')
  if (halves.length > 2 || !/^[0-9a-f:.]+$/i.test(text)) return undefined
  const head = groupsOf(halves[0] as string, halves.length === 1)
  const tail = halves.length === 2 ? groupsOf(halves[1] as string, true) : []
  if (head === undefined || tail === undefined) return undefined
  const missing = 8 - head.length - tail.length
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined
  const groups = [...head, ...new Array<number>(missing).fill(0), ...tail]
  const word = (i: number) => ((groups[i] as number) << 16) | (groups[i + 1] as number)
  return new IpAddress(word(0), word(2), word(4), word(6))
}

/** @param last the text ends the address, so its last 32 bits may be written as an IPv4 address (RFC 4291 §2.2). */
function groupsOf(text: string, last: boolean): number[] | undefined {
  if (text === '') return []
  const groups: number[] = []
  const parts = text.split(':')
  for (const [i, part] of parts.entries()) {
    if (last && i === parts.length - 1 && part.includes('.')) {
      const word = tryParseIpv4(part)
      if (word === undefined) return undefined
      groups.push(word >>> 16, word & 0xffff)
    } else {
      if (!/^[0-9a-f]{1,4}$/i.test(part)) return undefined
      groups.push(Number.parseInt(part, 16))
    }
  }
  return groups
}

/** The longest run of at least two zero groups is left out (RFC 5952 §4.2). */
function formatIpv6(address: IpAddress): string {
  const groups = [address.w0, address.w1, address.w2, address.w3].flatMap((word) => [word >>> 16, word & 0xffff])
  let best = 0
  let from = -1
  for (let i = 0; i < 8; i++) {
    let length = 0
    while (i + length < 8 && groups[i + length] === 0) length++
    if (length > best) {
      best = length
      from = i
    }
  }
  const hex = groups.map((group) => group.toString(16))
  if (best < 2) return hex.join(':')
  return `${hex.slice(0, from).join(':')}::${hex.slice(from + best).join(':')}`
}

/** An EUI-48 (MAC) address as one number: compares with ===, fits a double. */
export type MacAddress = number

/** '02:00:00:00:00:2a' */
export function formatMac(address: MacAddress): string {
  return address
    .toString(16)
    .padStart(12, '0')
    .replace(/..(?!$)/g, '$&:')
}

/** @throws TypeError ERR_INVALID_ARG_VALUE — not six two-digit hexadecimal groups. */
export function parseMac(text: string, name = 'address'): MacAddress {
  if (typeof text !== 'string' || !/^[0-9a-f]{2}([:-][0-9a-f]{2}){5}$/i.test(text)) {
    throw invalidValue(name, "a MAC address such as '02:00:00:00:00:2a'", text)
  }
  return Number.parseInt(text.replace(/[:-]/g, ''), 16)
}
