/**
 * CRC-32 by tables, for runtimes without `node:zlib`: eight octets per step ("slicing-by-8", Kounavis and Berry 2005).
 * Table 0 advances the remainder by one octet; table k gives what an octet contributes k octets later.
 */

/** The polynomial of IEEE 802.3 §3.2.9, 0x04c11db7, with its bits reflected: the first bit sent is the lowest. */
const POLYNOMIAL = 0xedb88320
const SLICES = 8

/** SLICES tables of 256 int32 words, one after the other. */
const table = tables()

/**
 * The CRC-32 of Ethernet's FCS and of many others (IEEE 802.3 §3.2.9): polynomial 0x04c11db7, reflected, complemented.
 * @param octets what to check; read only during the call.
 * @param value the CRC of what came before, to go on from; default 0, for nothing.
 * @returns an unsigned 32-bit number.
 */
export function crc32(octets: Uint8Array, value = 0): number {
  let crc = ~value
  let i = 0
  for (const whole = octets.length - (octets.length % SLICES); i < whole; i += SLICES) {
    crc ^= at(octets, i) | (at(octets, i + 1) << 8) | (at(octets, i + 2) << 16) | (at(octets, i + 3) << 24)
    crc =
      word(7, crc & 255) ^
      word(6, (crc >>> 8) & 255) ^
      word(5, (crc >>> 16) & 255) ^
      word(4, crc >>> 24) ^
      word(3, at(octets, i + 4)) ^
      word(2, at(octets, i + 5)) ^
      word(1, at(octets, i + 6)) ^
      word(0, at(octets, i + 7))
  }
  for (; i < octets.length; i++) crc = (crc >>> 8) ^ word(0, (crc ^ at(octets, i)) & 255)
  return ~crc >>> 0
}

// Both are called within bounds only, which the type checker cannot see.
const at = (octets: Uint8Array, i: number): number => octets[i] as number
const word = (slice: number, octet: number): number => table[slice * 256 + octet] as number

function tables(): Int32Array {
  const words = new Int32Array(SLICES * 256)
  for (let octet = 0; octet < 256; octet++) {
    let crc = octet
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1
    words[octet] = crc
  }
  for (let i = 256; i < words.length; i++) {
    const before = words[i - 256] as number
    words[i] = (before >>> 8) ^ (words[before & 255] as number)
  }
  return words
}
