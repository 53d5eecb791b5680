/**
 * What IGMPv3 and MLDv2 have in common on the wire: group records, and codes of times that grow by powers of two. Addresses are
 * of four octets in the one and of sixteen in the other.
 *
 *   ├ type 1 ┼ aux length 1 ┼ sources 2 ┼ group 4|16 ┼ source 4|16 … ┤
 */
import { IpAddress } from '../../../src/kernel/address.ts'
import { type Duration, ms } from '../../../src/kernel/clock.ts'
import type { GroupRecord } from './reporter.ts'

export type AddressOctets = 4 | 16

const RECORD_OCTETS = 4

/** Puts records into as few payloads as fit; a record with more sources than that is told in parts (RFC 3376 §4.2.16). */
export function payloads(records: readonly GroupRecord[], octets: AddressOctets, most: number): Uint8Array[] {
  const done: Uint8Array[] = []
  let parts: GroupRecord[] = []
  let size = 0
  const finish = (): void => {
    if (parts.length > 0) done.push(written(parts, octets))
    parts = []
    size = 0
  }
  const sourcesThatFit = Math.max(1, Math.floor((most - RECORD_OCTETS - octets) / octets))
  for (const record of records) {
    for (let at = 0; at === 0 || at < record.sources.length; at += sourcesThatFit) {
      const part = { ...record, sources: record.sources.slice(at, at + sourcesThatFit) }
      const length = RECORD_OCTETS + octets * (1 + part.sources.length)
      if (size + length > most) finish()
      parts.push(part)
      size += length
    }
  }
  finish()
  return done
}

/** How many records a payload of `payloads` has is in front of it, in two octets that are not counted in `most`. */
function written(records: readonly GroupRecord[], octets: AddressOctets): Uint8Array {
  const size = records.reduce((sum, { sources }) => sum + RECORD_OCTETS + octets * (1 + sources.length), 2)
  const bytes = new Uint8Array(size)
  const view = new DataView(bytes.buffer)
  view.setUint16(0, records.length)
  let at = 2
  for (const { type, group, sources } of records) {
    view.setUint8(at, type)
    view.setUint16(at + 2, sources.length)
    at += RECORD_OCTETS
    for (const address of [group, ...sources]) {
      writeAddress(view, at, address, octets)
      at += octets
    }
  }
  return bytes
}

export function writeAddress(view: DataView, at: number, { w0, w1, w2, w3 }: IpAddress, octets: AddressOctets): void {
  if (octets === 4) {
    view.setInt32(at, w3)
    return
  }
  for (const [i, word] of [w0, w1, w2, w3].entries()) view.setInt32(at + 4 * i, word)
}

export function readAddress(view: DataView, at: number, octets: AddressOctets): IpAddress {
  if (octets === 4) return IpAddress.ipv4(view.getInt32(at))
  return new IpAddress(view.getInt32(at), view.getInt32(at + 4), view.getInt32(at + 8), view.getInt32(at + 12))
}

/** @returns the sources, or undefined when they reach beyond `end`. */
export function readSources(
  view: DataView,
  at: number,
  end: number,
  count: number,
  octets: AddressOctets,
): IpAddress[] | undefined {
  if (at + count * octets > end) return undefined
  return Array.from({ length: count }, (_, i) => readAddress(view, at + i * octets, octets))
}

/** Bits of the mantissa of a code: 4 in an octet (RFC 3376 §4.1.1), 12 in two (RFC 3810 §5.1.3). */
export function codeValue(code: number, mantissaBits: 4 | 12): number {
  const limit = 1 << (mantissaBits + 3)
  if (code < limit) return code
  const exponent = (code >> mantissaBits) & 7
  return ((code & ((1 << mantissaBits) - 1)) | (1 << mantissaBits)) << (exponent + 3)
}

/** Tenths of a second. */
export const tenths = (value: number): Duration => ms(value * 100)
