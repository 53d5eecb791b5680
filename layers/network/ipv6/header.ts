/**
 * The IPv6 header (RFC 8200 §3) and the fragment header (§4.5) on the slab.
 *
 *    0                   1                   2                   3
 *    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *   +-------+---------------+---------------------------------------+
 *   |version| traffic class |              flow label               |  w0
 *   +-------+---------------+-------+---------------+---------------+
 *   |        payload length         |  next header  |   hop limit   |  w1
 *   +-------------------------------+---------------+---------------+
 *   |                 source address, four words                    |
 *   |               destination address, four words                 |
 *   +---------------+---------------+-------------------------+---+-+
 *   |  next header  |       0       |     fragment offset     | 0 |M|  the fragment header
 *   +---------------+---------------+-------------------------+---+-+
 *   |                        identification                         |
 */
import type { IpAddress } from '../../../src/kernel/address.ts'

/** Octets of the header itself, and the only ones of ours unless we fragment. */
export const HEADER_OCTETS: 40 = 40
export const FRAGMENT_OCTETS: 8 = 8
/** Octets behind the header, at the most: no jumbograms (RFC 2675). */
export const LONGEST_PAYLOAD_OCTETS: 65_535 = 65_535
/** Every link carries at least this much (RFC 8200 §5), and no report of less is believed (RFC 8201 §4). */
export const SMALLEST_MTU: 1280 = 1280

/** Values of a next header field (IANA); those of transports are in `PROTOCOL`. */
export const NEXT: {
  readonly hopByHop: 0
  readonly routing: 43
  readonly fragment: 44
  readonly none: 59
  readonly destination: 60
} = { hopByHop: 0, routing: 43, fragment: 44, none: 59, destination: 60 }

/** Where fields stand in the header, for pointers to them. */
export const PAYLOAD_LENGTH_AT = 4
export const NEXT_AT = 6
export const HOP_LIMIT_AT = 7
export const SOURCE_AT = 8
export const DESTINATION_AT = 24

/** M, in the half-word it shares with the fragment offset. */
export const MORE: 1 = 1

export const version = (view: DataView, at: number): number => view.getUint8(at) >>> 4
export const trafficClass = (view: DataView, at: number): number => (view.getUint16(at) >>> 4) & 0xff
export const payloadLength = (view: DataView, at: number): number => view.getUint16(at + PAYLOAD_LENGTH_AT)
export const next = (view: DataView, at: number): number => view.getUint8(at + NEXT_AT)
export const hopLimit = (view: DataView, at: number): number => view.getUint8(at + HOP_LIMIT_AT)

/** Of a fragment header: its offset, in octets. */
export const fragmentOffset = (view: DataView, at: number): number => view.getUint16(at + 2) & 0xfff8
export const moreFragments = (view: DataView, at: number): boolean => (view.getUint16(at + 2) & MORE) !== 0
/** int32 */
export const identification = (view: DataView, at: number): number => view.getInt32(at + 4)

export function readAddress(view: DataView, at: number, into: IpAddress): IpAddress {
  into.w0 = view.getInt32(at)
  into.w1 = view.getInt32(at + 4)
  into.w2 = view.getInt32(at + 8)
  into.w3 = view.getInt32(at + 12)
  return into
}

export function writeAddress(view: DataView, at: number, { w0, w1, w2, w3 }: IpAddress): void {
  view.setInt32(at, w0)
  view.setInt32(at + 4, w1)
  view.setInt32(at + 8, w2)
  view.setInt32(at + 12, w3)
}

export const readSource = (view: DataView, at: number, into: IpAddress): IpAddress =>
  readAddress(view, at + SOURCE_AT, into)
export const readDestination = (view: DataView, at: number, into: IpAddress): IpAddress =>
  readAddress(view, at + DESTINATION_AT, into)

/** Writes a header. @param flow 0 to 0xfffff. @param length of what is behind it, in octets. */
export function write(
  view: DataView,
  at: number,
  trafficClass: number,
  flow: number,
  length: number,
  nextHeader: number,
  hops: number,
  source: IpAddress,
  destination: IpAddress,
): void {
  view.setInt32(at, (6 << 28) | (trafficClass << 20) | flow)
  view.setInt32(at + PAYLOAD_LENGTH_AT, (length << 16) | (nextHeader << 8) | hops)
  writeAddress(view, at + SOURCE_AT, source)
  writeAddress(view, at + DESTINATION_AT, destination)
}

/** Writes a fragment header. @param offset in octets, a multiple of 8, with M. */
export function writeFragment(view: DataView, at: number, nextHeader: number, offset: number, id: number): void {
  view.setInt32(at, (nextHeader << 24) | offset)
  view.setInt32(at + 4, id)
}
