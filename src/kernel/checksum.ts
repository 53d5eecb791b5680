/**
 * The Internet checksum (RFC 1071) over the slab, in three steps: `sum` any number of runs, `fold`, complement.
 *
 * A partial sum is a number below 2^32 in units of big-endian 16-bit words; it may be carried on over several runs as
 * long as every run but the last has an even length.
 *
 * Three ways lead to the same sum. Headers are summed here, word by word: a call into WebAssembly would cost more than
 * it saves. Longer runs go to the module in checksum.wat, which sums 64 octets at a time in the slab itself. Where
 * WebAssembly or its SIMD is missing, the loop of `sumView` takes its place.
 */
import type { IpAddress } from './address.ts'
import { CHECKSUM_WASM } from './checksum-wasm.ts'
import { type Slab, slab } from './slab.ts'

/** Runs up to here are faster without a call into WebAssembly. */
const SHORT_OCTETS = 64

/** Runs up to here cannot overflow 31 bits: 16,384 words of 65,535, carried on from two folded ones. */
const BLOCK_OCTETS = 32_768

/** What is behind `sum` and `copyAndSum` for all but short runs; both are folded. */
export interface Engine {
  sum(start: number, length: number, partial: number): number
  copyAndSum(from: number, to: number, length: number, partial: number): number
}

// Kernel code is compiled without the DOM's types; this is all that is used of the global.
declare const WebAssembly:
  | {
      readonly Module: new (octets: Uint8Array) => object
      readonly Instance: new (module: object, imports: object) => { readonly exports: unknown }
      validate(octets: Uint8Array): boolean
    }
  | undefined

let memory: Slab | undefined
let engine: Engine | undefined

/** The slab's views, and with the first call the engine over them. */
function start(): Slab {
  memory = slab()
  engine = simdEngine(memory) ?? portableEngine(memory)
  return memory
}

/** Adds the octets [at, at + length) of the slab to a partial sum. @returns a partial sum. */
export function sum(at: number, length: number, partial: number): number {
  const { view } = memory ?? start()
  if (length <= SHORT_OCTETS) return sumShort(view, at, length, partial)
  return (engine as Engine).sum(at, length, partial)
}

/**
 * Copies `length` octets within the slab and adds them to a partial sum, in one pass. The runs do not overlap.
 * @returns a partial sum.
 */
export function copyAndSum(from: number, to: number, length: number, partial: number): number {
  if (memory === undefined) start()
  return (engine as Engine).copyAndSum(from, to, length, partial)
}

/** The same over any octets, one by one: for those outside the data path, and the judge of the fast ways. */
export function sumOctets(octets: Uint8Array, start: number, length: number, partial: number): number {
  let total = fold(partial)
  const end = start + length
  let at = start
  for (; at + 1 < end; at += 2) total = fold(total + (((octets[at] as number) << 8) | (octets[at + 1] as number)))
  return at < end ? fold(total + ((octets[at] as number) << 8)) : total
}

/** Reduces a partial sum to 16 bits. */
export function fold(partial: number): number {
  const once = (partial >>> 16) + (partial & 0xffff)
  return (once >>> 16) + (once & 0xffff)
}

/** The checksum field that makes the sum come out right: 0 to 0xffff. */
export function checksum(start: number, length: number, partial = 0): number {
  return ~fold(sum(start, length, partial)) & 0xffff
}

/** The pseudo-header's share of a transport checksum (RFC 9293 §3.1, RFC 768): addresses, protocol, length. */
export function pseudoHeaderIpv4(source: number, destination: number, protocol: number, length: number): number {
  return (source >>> 16) + (source & 0xffff) + (destination >>> 16) + (destination & 0xffff) + protocol + length
}

/**
 * The same for IPv6 (RFC 8200 §8.1). A partial sum.
 * @param protocol of the upper layer, not of an extension header. @param length of the upper layer's packet.
 */
export function pseudoHeaderIpv6(source: IpAddress, destination: IpAddress, protocol: number, length: number): number {
  const low = (length & 0xffff) + (length >>> 16) + protocol
  return sumAddress(source) + sumAddress(destination) + low
}

/** Eight 16-bit words: below 2^19. */
function sumAddress({ w0, w1, w2, w3 }: IpAddress): number {
  return (
    (w0 >>> 16) +
    (w0 & 0xffff) +
    (w1 >>> 16) +
    (w1 & 0xffff) +
    (w2 >>> 16) +
    (w2 & 0xffff) +
    (w3 >>> 16) +
    (w3 & 0xffff)
  )
}

/** The checksum after one 16-bit word changed (RFC 1624 eqn. 3). */
export function adjust(old: number, from: number, to: number): number {
  return ~fold((~old & 0xffff) + (~from & 0xffff) + to) & 0xffff
}

/** A run of a few octets, most often a header: 16 or 32 bits at a time. */
function sumShort(view: DataView, start: number, length: number, partial: number): number {
  const end = start + length
  let total = (partial >>> 16) + (partial & 0xffff)
  let at = start
  for (; at + 4 <= end; at += 4) {
    const word = view.getInt32(at)
    total = (total + (word >>> 16) + (word & 0xffff)) | 0
  }
  if (length & 2) {
    total += view.getUint16(at)
    at += 2
  }
  return length & 1 ? total + (view.getUint8(at) << 8) : total
}

/**
 * A run of any length in plain JavaScript: 16 octets a step, as little-endian words that are swapped once at the end
 * (RFC 1071 §2B), since most machines load those faster.
 * @returns a partial sum.
 */
export function sumView(view: DataView, start: number, length: number, partial: number): number {
  let total = fold(partial)
  let at = start
  for (let left = length; left > 0; left -= BLOCK_OCTETS) {
    const block = Math.min(left, BLOCK_OCTETS)
    total = fold(total + swap(fold(sumBlock(view, at, block))))
    at += block
  }
  return total
}

function sumBlock(view: DataView, start: number, length: number): number {
  const end = start + length
  let total = 0
  let at = start
  for (; at + 16 <= end; at += 16) {
    const a = view.getInt32(at, true)
    const b = view.getInt32(at + 4, true)
    const c = view.getInt32(at + 8, true)
    const d = view.getInt32(at + 12, true)
    total =
      (total +
        (a >>> 16) +
        (a & 0xffff) +
        (b >>> 16) +
        (b & 0xffff) +
        (c >>> 16) +
        (c & 0xffff) +
        (d >>> 16) +
        (d & 0xffff)) |
      0
  }
  for (; at + 2 <= end; at += 2) total = (total + view.getUint16(at, true)) | 0
  return at < end ? total + view.getUint8(at) : total
}

const swap = (word: number): number => ((word & 0xff) << 8) | (word >>> 8)

/** Engine without WebAssembly. */
export function portableEngine({ octets, view }: Slab): Engine {
  return {
    sum: (start, length, partial) => sumView(view, start, length, partial),
    copyAndSum: (from, to, length, partial) => {
      octets.copyWithin(to, from, from + length)
      return sumView(view, to, length, partial)
    },
  }
}

/** Engine of checksum.wat, or undefined where WebAssembly or its SIMD is missing. */
export function simdEngine({ memory }: Slab): Engine | undefined {
  if (typeof WebAssembly === 'undefined' || memory === undefined) return undefined
  const octets = Uint8Array.from(CHECKSUM_WASM.match(/../g) ?? [], (hex) => Number.parseInt(hex, 16))
  if (!WebAssembly.validate(octets)) return undefined
  const instance = new WebAssembly.Instance(new WebAssembly.Module(octets), { slab: { memory } })
  const exports = instance.exports as Engine // what the module exports, by its source
  return { sum: exports.sum, copyAndSum: exports.copyAndSum } // a plain object: reading the exports' takes 20 ns
}
