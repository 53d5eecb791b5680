/**
 * The memory of all packets and rings of a thread: one block, reserved whole at first use and never grown,
 * seen through one Uint8Array and one DataView. It is a WebAssembly memory so that checksums run in place.
 *
 *   octets 0                64 Ki               128 Ki
 *          ├── page 0 ───────┼── page 1 ─────────┼── … ──┤
 *            slots of 2 KB     slots of 10 KB      chunks of a ring, …
 *
 * Pages that were never touched cost no physical memory. A run of pages, once carved into packet slots, stays with its
 * size class (the pool's high-water mark); ring chunks are given back and taken again, and take half of it at the most:
 * packets go on, whatever waits to be sent.
 */
import { NetError, outOfRange } from './errors.ts'

/** Octets of a page, the unit in which the slab is handed out. */
export const PAGE_OCTETS = 65_536

/** Octets of a chunk, the unit in which rings take memory. */
export const CHUNK_OCTETS = 16_384

const DEFAULT_OCTETS = 1_073_741_824
const MINIMUM_OCTETS = 16 * PAGE_OCTETS

interface Memory {
  readonly buffer: ArrayBuffer
}
// Kernel code is compiled without the DOM's types; this is all that is used of the global.
declare const WebAssembly:
  | { readonly Memory: new (options: { initial: number; maximum: number }) => Memory }
  | undefined

export class Slab {
  /** The WebAssembly memory behind the views; undefined where there is no WebAssembly (`node --jitless`). */
  readonly memory: Memory | undefined
  /** All of the slab. Index with the offsets a packet or chunk holds. */
  readonly octets: Uint8Array
  /** All of the slab, for multi-octet fields. */
  readonly view: DataView
  /** Chunks now held by rings; part of the leak check. */
  chunksInUse = 0
  private nextPage = 0
  private chunkPages = 0
  private readonly pages: number
  private readonly freeChunks: number[] = []

  constructor(octets: number) {
    this.pages = Math.ceil(octets / PAGE_OCTETS)
    const size = { initial: this.pages, maximum: this.pages }
    this.memory = typeof WebAssembly === 'undefined' ? undefined : new WebAssembly.Memory(size)
    const buffer = this.memory?.buffer ?? new ArrayBuffer(this.pages * PAGE_OCTETS)
    this.octets = new Uint8Array(buffer)
    this.view = new DataView(buffer)
  }

  /** Octets handed out so far, in whole pages; what the process has paid for at the most. */
  get reservedOctets(): number {
    return this.nextPage * PAGE_OCTETS
  }

  /**
   * Takes `count` adjacent pages, for good.
   * @returns the offset of the first.
   * @throws NetError ENOMEM — the slab is used up; see `reserveSlab`.
   */
  takePages(count: number): number {
    if (this.nextPage + count > this.pages) throw exhausted('packet', this.pages)
    const at = this.nextPage * PAGE_OCTETS
    this.nextPage += count
    return at
  }

  /** Can a chunk be taken? */
  get hasChunk(): boolean {
    return this.freeChunks.length > 0 || (this.chunkPages < this.pages >> 1 && this.nextPage < this.pages)
  }

  /** Takes a chunk of CHUNK_OCTETS for a ring; contents are undefined. @returns its offset. @throws NetError ENOMEM */
  takeChunk(): number {
    if (this.freeChunks.length === 0) {
      if (!this.hasChunk) throw exhausted('queue', this.pages >> 1)
      const page = this.takePages(1)
      this.chunkPages++
      for (let at = page + PAGE_OCTETS - CHUNK_OCTETS; at >= page; at -= CHUNK_OCTETS) this.freeChunks.push(at)
    }
    this.chunksInUse++
    return this.freeChunks.pop() as number
  }

  /** Gives a chunk back. Its owner must not touch it again. */
  giveChunk(at: number): void {
    this.chunksInUse--
    this.freeChunks.push(at)
  }
}

function exhausted(what: string, pages: number): NetError {
  const message = `the ${what} memory of this process (${pages * PAGE_OCTETS} octets) is used up: see reserveSlab()`
  return new NetError('ENOMEM', message, { reason: 'slabExhausted' })
}

let size = DEFAULT_OCTETS
let only: Slab | undefined

/** The slab of this thread, reserved at the first call. */
export function slab(): Slab {
  only ??= new Slab(size)
  return only
}

/**
 * Sets how much memory the slab reserves; call before the first node is booted.
 * @param octets 1 MiB to 4 GiB less a page; rounded up to pages of 64 KiB. Default 1 GiB.
 * @throws RangeError ERR_OUT_OF_RANGE — outside that range.
 * @throws NetError EALREADY — the slab is in use already.
 */
export function reserveSlab(octets: number): void {
  const maximum = 65_535 * PAGE_OCTETS
  if (!(octets >= MINIMUM_OCTETS && octets <= maximum))
    throw outOfRange('octets', `>= ${MINIMUM_OCTETS} && <= ${maximum}`, octets)
  if (only !== undefined) throw new NetError('EALREADY', 'the slab is in use: call reserveSlab before booting a node')
  size = octets
}
