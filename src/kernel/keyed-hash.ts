/**
 * SipHash-2-4 (Aumasson and Bernstein 2012): a keyed hash whose results an outsider cannot predict. Used where a peer
 * must not be able to guess: initial sequence numbers, ephemeral ports, seeds of look-up tables.
 *
 * 64-bit words are kept as two int32 halves.
 */

/** 16 octets as four little-endian words. */
export type HashKey = readonly [number, number, number, number]

/** @param octets 16 octets. */
export function hashKey(octets: Uint8Array): HashKey {
  const view = new DataView(octets.buffer, octets.byteOffset, 16)
  return [view.getInt32(0, true), view.getInt32(4, true), view.getInt32(8, true), view.getInt32(12, true)]
}

let v0l = 0
let v0h = 0
let v1l = 0
let v1h = 0
let v2l = 0
let v2h = 0
let v3l = 0
let v3h = 0

/**
 * The low 32 bits of SipHash-2-4 over `words` little-endian 32-bit words.
 * @param words an even or odd number of int32; their count is part of the hash.
 * @returns int32
 */
export function keyedHash(key: HashKey, words: Int32Array): number {
  hash(key, words)
  return v0l ^ v1l ^ v2l ^ v3l
}

/** Both halves: [low, high], int32 each. */
export function keyedHash64(key: HashKey, words: Int32Array): [number, number] {
  hash(key, words)
  return [v0l ^ v1l ^ v2l ^ v3l, v0h ^ v1h ^ v2h ^ v3h]
}

function hash(key: HashKey, words: Int32Array): void {
  v0l = key[0] ^ 0x70736575
  v0h = key[1] ^ 0x736f6d65
  v1l = key[2] ^ 0x6e646f6d
  v1h = key[3] ^ 0x646f7261
  v2l = key[0] ^ 0x6e657261
  v2h = key[1] ^ 0x6c796765
  v3l = key[2] ^ 0x79746573
  v3h = key[3] ^ 0x74656462
  const count = words.length
  for (let i = 0; i + 1 < count; i += 2) absorb(words[i] as number, words[i + 1] as number)
  const last = count & 1 ? (words[count - 1] as number) : 0
  absorb(last, ((count * 4) & 0xff) << 24)
  v2l ^= 0xff
  round()
  round()
  round()
  round()
}

function absorb(low: number, high: number): void {
  v3l ^= low
  v3h ^= high
  round()
  round()
  v0l ^= low
  v0h ^= high
}

/** One SipRound. Additions carry from the low half: unsigned overflow shows in the comparison. */
function round(): void {
  let l = (v0l + v1l) | 0
  v0h = (v0h + v1h + (l >>> 0 < v0l >>> 0 ? 1 : 0)) | 0
  v0l = l
  let t = (v1l << 13) | (v1h >>> 19)
  v1h = (v1h << 13) | (v1l >>> 19)
  v1l = t
  v1l ^= v0l
  v1h ^= v0h
  t = v0l
  v0l = v0h
  v0h = t

  l = (v2l + v3l) | 0
  v2h = (v2h + v3h + (l >>> 0 < v2l >>> 0 ? 1 : 0)) | 0
  v2l = l
  t = (v3l << 16) | (v3h >>> 16)
  v3h = (v3h << 16) | (v3l >>> 16)
  v3l = t
  v3l ^= v2l
  v3h ^= v2h

  l = (v0l + v3l) | 0
  v0h = (v0h + v3h + (l >>> 0 < v0l >>> 0 ? 1 : 0)) | 0
  v0l = l
  t = (v3l << 21) | (v3h >>> 11)
  v3h = (v3h << 21) | (v3l >>> 11)
  v3l = t
  v3l ^= v0l
  v3h ^= v0h

  l = (v2l + v1l) | 0
  v2h = (v2h + v1h + (l >>> 0 < v2l >>> 0 ? 1 : 0)) | 0
  v2l = l
  t = (v1l << 17) | (v1h >>> 15)
  v1h = (v1h << 17) | (v1l >>> 15)
  v1l = t
  v1l ^= v2l
  v1h ^= v2h
  t = v2l
  v2l = v2h
  v2h = t
}
