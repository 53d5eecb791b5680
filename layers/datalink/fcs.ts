/**
 * Frame check sequences of 16 bits: the remainders by which a receiver knows a damaged frame. That of 32 bits is `#crc32`.
 *
 *   FCS-16 of HDLC, PPP, LAPB, AX.25    x^16 + x^12 + x^5 + 1   reflected 0x8408   ISO 13239 §4.2.5.2, RFC 1662 §C.2
 *   CRC-16/ARC of SMACK                 x^16 + x^15 + x^2 + 1   reflected 0xa001
 *
 * By tables, eight octets per step ("slicing-by-8", Kounavis and Berry 2005): table 0 advances the remainder by one
 * octet; table k gives what an octet contributes k octets later.
 */

const SLICES = 8

const X25 = tables(0x8408)
const ARC = tables(0xa001)

/** What the FCS-16 of a whole frame, its own two octets included, leaves when nothing was damaged (RFC 1662 §C.2). */
export const FCS16_GOOD = 0xf0b8

/** What a frame's remainder starts from. */
const FCS16_INITIAL = 0xffff

/**
 * The remainder of octets[start, end) for FCS-16, not yet complemented: a sender appends its complement, low octet first; a
 * receiver compares that of the whole frame with `FCS16_GOOD`.
 */
export function fcs16(octets: Uint8Array, start: number, end: number): number {
  return remainder(X25, octets, start, end, FCS16_INITIAL)
}

/** CRC-16/ARC of octets[start, end); over a frame with its CRC behind it, low octet first, it is 0. */
export function crc16Arc(octets: Uint8Array, start: number, end: number): number {
  return remainder(ARC, octets, start, end, 0)
}

function remainder(table: Uint16Array, octets: Uint8Array, start: number, end: number, initial: number): number {
  let crc = initial
  let i = start
  for (const whole = end - ((end - start) % SLICES); i < whole; i += SLICES) {
    crc =
      at(table, 0x700 | ((crc ^ at(octets, i)) & 0xff)) ^
      at(table, 0x600 | ((crc >> 8) ^ at(octets, i + 1))) ^
      at(table, 0x500 | at(octets, i + 2)) ^
      at(table, 0x400 | at(octets, i + 3)) ^
      at(table, 0x300 | at(octets, i + 4)) ^
      at(table, 0x200 | at(octets, i + 5)) ^
      at(table, 0x100 | at(octets, i + 6)) ^
      at(table, at(octets, i + 7))
  }
  for (; i < end; i++) crc = (crc >> 8) ^ at(table, (crc ^ at(octets, i)) & 0xff)
  return crc
}

// Called within bounds only, which the type checker cannot see.
const at = (array: Uint8Array | Uint16Array, i: number): number => array[i] as number

function tables(polynomial: number): Uint16Array {
  const words = new Uint16Array(SLICES * 256)
  for (let octet = 0; octet < 256; octet++) {
    let crc = octet
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >> 1) ^ polynomial : crc >> 1
    words[octet] = crc
  }
  for (let i = 256; i < words.length; i++) {
    const before = words[i - 256] as number
    words[i] = (before >> 8) ^ (words[before & 0xff] as number)
  }
  return words
}
