/**
 * The Internet checksum (RFC 1071) over the slab, in three steps: `sum` any number of runs, `fold`, complement.
 *
 * A partial sum is a number below 2^32 in units of big-endian 16-bit words; it may be carried on over several runs as
 * long as every run but the last has an even length.
 */
import { slab } from './slab.ts'

/** Adds the octets [start, start + length) of the slab to a partial sum. */
export function sum(start: number, length: number, partial: number): number {
  return sumOctets(slab().octets, start, length, partial)
}

/** Copies `length` octets within the slab and adds them to a partial sum, in one pass. The runs do not overlap. */
export function copyAndSum(from: number, to: number, length: number, partial: number): number {
  slab().octets.copyWithin(to, from, from + length)
  return sum(to, length, partial)
}

/** The same over any octets: the portable form, and the judge of the fast one. */
export function sumOctets(octets: Uint8Array, start: number, length: number, partial: number): number {
  let total = partial
  const end = start + length
  let at = start
  for (; at + 1 < end; at += 2) total += ((octets[at] as number) << 8) | (octets[at + 1] as number)
  if (at < end) total += (octets[at] as number) << 8
  return fold(total)
}

/** Reduces a partial sum to 16 bits. */
export function fold(partial: number): number {
  let total = partial
  while (total > 0xffff) total = (total % 0x1_0000) + Math.floor(total / 0x1_0000)
  return total
}

/** The checksum field that makes the sum come out right: 0 to 0xffff. */
export function checksum(start: number, length: number, partial = 0): number {
  return ~fold(sum(start, length, partial)) & 0xffff
}

/** The pseudo-header's share of a transport checksum (RFC 9293 §3.1, RFC 768): addresses, protocol, length. */
export function pseudoHeaderIpv4(source: number, destination: number, protocol: number, length: number): number {
  return (source >>> 16) + (source & 0xffff) + (destination >>> 16) + (destination & 0xffff) + protocol + length
}

/** The checksum after one 16-bit word changed (RFC 1624 eqn. 3). */
export function adjust(old: number, from: number, to: number): number {
  return ~fold((~old & 0xffff) + (~from & 0xffff) + to) & 0xffff
}
