/**
 * The IPv4 header (RFC 791 §3.1) on the slab: fields by accessor, the faults it can have, its options.
 *
 *    0                   1                   2                   3
 *    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *   +-------+-------+---------------+-------------------------------+
 *   |version|  IHL  |type of service|         total length          |  w0
 *   +-------+-------+---------------+-----+-------------------------+
 *   |        identification         |flags|     fragment offset     |  w1
 *   +---------------+---------------+-----+-------------------------+
 *   |      TTL      |   protocol    |        header checksum        |  w2
 *   +---------------+---------------+-------------------------------+
 *   |                         source address                        |  w3
 *   +---------------------------------------------------------------+
 *   |                       destination address                     |  w4
 *   +---------------------------------------------------------------+
 *   |                options, padded to a multiple of 4             |
 *
 * The data path reads and writes whole words; accessors are for everything else.
 */
import { checksum, fold, sum } from '../../../src/kernel/checksum.ts'

/** Octets of a header without options; what we send. */
export const HEADER_OCTETS: 20 = 20
/** Octets of the longest header. */
export const LONGEST_HEADER_OCTETS: 60 = 60
/** Largest datagram, header included. */
export const LONGEST_DATAGRAM_OCTETS: 65_535 = 65_535
/** Every link carries at least this much (RFC 791 §3.2). */
export const SMALLEST_MTU: 68 = 68
/** The narrowest path that errors can make us adapt to. */
export const NARROWEST_PATH: 552 = 552
/** Version 4 and five words of header, as the first octet. */
export const VERSION_IHL: 0x45 = 0x45

/** Flags, in the half-word they share with the fragment offset. */
export const DF: 0x4000 = 0x4000
export const MF: 0x2000 = 0x2000
/** The fragment offset, in units of 8 octets. */
export const OFFSET_MASK: 0x1fff = 0x1fff

export const headerOctets = (view: DataView, at: number): number => (view.getUint8(at) & 15) * 4
export const trafficClass = (view: DataView, at: number): number => view.getUint8(at + 1)
export const totalLength = (view: DataView, at: number): number => view.getUint16(at + 2)
export const identification = (view: DataView, at: number): number => view.getUint16(at + 4)
export const flagsAndOffset = (view: DataView, at: number): number => view.getUint16(at + 6)
/** In octets. */
export const fragmentOffset = (view: DataView, at: number): number => (flagsAndOffset(view, at) & OFFSET_MASK) * 8
export const moreFragments = (view: DataView, at: number): boolean => (flagsAndOffset(view, at) & MF) !== 0
export const ttl = (view: DataView, at: number): number => view.getUint8(at + 8)
export const protocol = (view: DataView, at: number): number => view.getUint8(at + 9)
/** int32 */
export const source = (view: DataView, at: number): number => view.getInt32(at + 12)
/** int32 */
export const destination = (view: DataView, at: number): number => view.getInt32(at + 16)

/** Writes a header of 20 octets with its checksum. @param flags with the fragment offset. */
export function write(
  view: DataView,
  at: number,
  tos: number,
  length: number,
  id: number,
  flags: number,
  timeToLive: number,
  proto: number,
  from: number,
  to: number,
): void {
  const w0 = (VERSION_IHL << 24) | (tos << 16) | length
  const w1 = (id << 16) | flags
  const w2 = (timeToLive << 24) | (proto << 16)
  const sum = sumOf(w0, w1, w2, from, to)
  view.setInt32(at, w0)
  view.setInt32(at + 4, w1)
  view.setInt32(at + 8, w2 | (~sum & 0xffff))
  view.setInt32(at + 12, from)
  view.setInt32(at + 16, to)
}

/** The ones' complement sum of a header of five words; 0xffff when its checksum is right. */
export function sumOf(w0: number, w1: number, w2: number, w3: number, w4: number): number {
  let sum =
    (w0 >>> 16) +
    (w0 & 0xffff) +
    (w1 >>> 16) +
    (w1 & 0xffff) +
    (w2 >>> 16) +
    (w2 & 0xffff) +
    (w3 >>> 16) +
    (w3 & 0xffff) +
    (w4 >>> 16) +
    (w4 & 0xffff)
  sum = (sum & 0xffff) + (sum >>> 16)
  return (sum & 0xffff) + (sum >>> 16)
}

/** The same of a header with options. */
export function sumOfAll(view: DataView, at: number): number {
  return fold(sum(at, headerOctets(view, at), 0))
}

/** Changes total length and fragment fields, and computes the checksum anew over all of the header. */
export function rewrite(view: DataView, at: number, length: number, flags: number): void {
  view.setUint16(at + 2, length)
  view.setUint16(at + 6, flags)
  view.setUint16(at + 10, 0)
  view.setUint16(at + 10, checksum(at, headerOctets(view, at)))
}

/** Word w2 with the TTL one lower and the checksum adjusted (RFC 1624 eqn. 3; ~m + m' is 0xfeff for every TTL). */
export function decrementTtl(w2: number): number {
  let sum = (~w2 & 0xffff) + 0xfeff
  sum = (sum & 0xffff) + (sum >>> 16)
  return ((w2 - 0x0100_0000) & 0xffff_0000) | (~sum & 0xffff)
}

const OPTION_END = 0
const OPTION_NOP = 1
const OPTION_LOOSE_SOURCE_ROUTE = 131
const OPTION_STRICT_SOURCE_ROUTE = 137
/** In the option's type: it goes into every fragment (RFC 791 §3.1). */
const OPTION_COPIED = 0x80

export type OptionsFault = 'badOption' | 'sourceRoute'

/**
 * Walks the options of a header whose length is checked. They are tolerated, not acted upon (RFC 7126 §4), except that
 * a source route is refused (RFC 7126 §4.3, §4.4).
 */
export function optionsFault(view: DataView, at: number): OptionsFault | undefined {
  const end = at + headerOctets(view, at)
  for (let option = at + HEADER_OCTETS; option < end; ) {
    const type = view.getUint8(option)
    if (type === OPTION_END) return undefined
    const length = type === OPTION_NOP ? 1 : option + 1 < end ? view.getUint8(option + 1) : 0
    if (length < (type === OPTION_NOP ? 1 : 2) || option + length > end) return 'badOption'
    if (type === OPTION_LOOSE_SOURCE_ROUTE || type === OPTION_STRICT_SOURCE_ROUTE) return 'sourceRoute'
    option += length
  }
  return undefined
}

/**
 * Writes the header of a later fragment: the first one's with only those options that are to be copied.
 * @param from a header whose options have no fault. @param to room for as many octets.
 * @returns the octets of the new header, IHL set.
 */
export function copyHeader(octets: Uint8Array, view: DataView, from: number, to: number): number {
  octets.copyWithin(to, from, from + HEADER_OCTETS)
  const end = from + headerOctets(view, from)
  let at = to + HEADER_OCTETS
  for (let option = from + HEADER_OCTETS; option < end; ) {
    const type = view.getUint8(option)
    if (type === OPTION_END) break
    const length = type === OPTION_NOP ? 1 : view.getUint8(option + 1)
    if ((type & OPTION_COPIED) !== 0) {
      octets.copyWithin(at, option, option + length)
      at += length
    }
    option += length
  }
  while ((at - to) % 4 !== 0) view.setUint8(at++, OPTION_END)
  view.setUint8(to, (4 << 4) | ((at - to) / 4))
  return at - to
}
