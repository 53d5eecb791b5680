/**
 * Memory for what is handed to streams. A stream's chunk is the reader's for as long as it likes, so each is new memory;
 * but memory fresh from the system costs more than what is copied into it. So large chunks are cut from blocks, four at a
 * time, as Node itself cuts small ones: the collector then finds a quarter of the buffers, and frees blocks of a size
 * that the allocator soon gives out again (measured: 6 µs for 64 KB with its copy, against 11).
 *
 * V8 frees many blocks together, and glibc gives what is free in one piece at its end back to the system, 128 KB of it
 * being enough: the pages of the next blocks then fault one by one (3 to 6 for 64 KB were counted). Both of its
 * thresholds grow with the largest piece that was mapped on its own and freed, up to 32 MB. So one is freed for that,
 * once blocks are in demand; it is never touched, and takes no memory. Other allocators do not mind.
 *
 * And V8 collects everything, not the young alone, when old objects and what was allocated outside of the heap since the
 * last time exceed a limit. A young collection waits for 32 MB of buffers. The limit is a multiple of the old objects, and
 * follows from how fast those are made: a program that does nothing but receive makes none, and up to some 160 MB of heap the
 * limit is within reach then. Each second collection is a full one, at 1.6 times the time for all that is received, for as
 * long as it goes on. So once blocks are in demand, a heap that is not large gets heavier by some numbers that the collector
 * need not look into, and they are replaced, one piece at a time: full collections become one in a few seconds (measured:
 * 2 to 22 of them in a bench where there had been 100 to 139).
 */
import { Buffer } from 'node:buffer'
import { getHeapStatistics } from 'node:v8'

const BLOCK_OCTETS = 262_144
/** Smaller ones must not keep a block alive. */
const LARGE_OCTETS = 16_384

/** Blocks after which there is a bulk transfer going on: 4 MB. */
const MANY_BLOCKS = 16
/** The largest piece that glibc learns from, with room for its own header. */
const LESSON_OCTETS = 32 * 1024 * 1024 - 65_536

/** Beyond it the collector needs no help. */
const LARGE_HEAP_OCTETS = 160 * 1024 * 1024
/** Pieces put on the heap, one with each further block, and blocks after which one is replaced. 1 MB each. */
const BALLAST_PIECES = 8
const TURNOVER_BLOCKS = 512
const PIECE_NUMBERS = 131_072

let block: Buffer | undefined
let used = 0
let blocks = 0
const ballast: number[][] = []

/** @returns a buffer of `length` octets with undefined contents. */
export function cutChunk(length: number): Buffer {
  if (length < LARGE_OCTETS || length > BLOCK_OCTETS) return Buffer.allocUnsafe(length)
  if (block === undefined || used + length > BLOCK_OCTETS) {
    block = Buffer.allocUnsafeSlow(BLOCK_OCTETS)
    used = 0
    if (++blocks >= MANY_BLOCKS) tune(blocks - MANY_BLOCKS)
  }
  const chunk = block.subarray(used, used + length)
  // The next one begins at a multiple of 8, for those who read it as words.
  used = (used + length + 7) & ~7
  return chunk
}

/** A bulk transfer is going on. @param further blocks since it was noticed. */
function tune(further: number): void {
  if (further === 0) Buffer.allocUnsafeSlow(LESSON_OCTETS)
  if (further >= BALLAST_PIECES && further % TURNOVER_BLOCKS !== 0) return
  if (getHeapStatistics().used_heap_size >= LARGE_HEAP_OCTETS) return
  const place = further < BALLAST_PIECES ? further : (further / TURNOVER_BLOCKS) % BALLAST_PIECES
  ballast[place] = new Array<number>(PIECE_NUMBERS).fill(0.5)
}
