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
 * The remainder of view[start, end) for FCS-16, not yet complemented: a sender appends its complement, low octet first; a
 * receiver compares that of the whole frame with `FCS16_GOOD`.
 */
export function fcs16(view: DataView, start: number, end: number): number {
  return remainder(X25, view, start, end, FCS16_INITIAL)
}

/** CRC-16/ARC of view[start, end); over a frame with its CRC behind it, low octet first, it is 0. */
export function crc16Arc(view: DataView, start: number, end: number): number {
  return remainder(ARC, view, start, end, 0)
}

function remainder(table: Uint16Array, view: DataView, start: number, end: number, initial: number): number {
  let crc = initial
  let i = start
  for (const whole = end - ((end - start) % SLICES); i < whole; i += SLICES) {
    const low = view.getInt32(i, true) ^ crc
    const high = view.getInt32(i + 4, true)
    crc =
      word(table, 0x700 | (low & 0xff)) ^
      word(table, 0x600 | ((low >> 8) & 0xff)) ^
      word(table, 0x500 | ((low >> 16) & 0xff)) ^
      word(table, 0x400 | (low >>> 24)) ^
      word(table, 0x300 | (high & 0xff)) ^
      word(table, 0x200 | ((high >> 8) & 0xff)) ^
      word(table, 0x100 | ((high >> 16) & 0xff)) ^
      word(table, high >>> 24)
  }
  for (; i < end; i++) crc = (crc >> 8) ^ word(table, (crc ^ view.getUint8(i)) & 0xff)
  return crc
}

// Called within bounds only, which the type checker cannot see.
const word = (table: Uint16Array, i: number): number => table[i] as number

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
