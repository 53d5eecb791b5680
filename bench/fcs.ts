/**
 * Ten million frames damaged by noise, and how many of them each FCS takes for whole: none with 32 bits; with 16 bits one in
 * 65,536, which is what theory says of damage longer than the FCS. Damaged in one bit, or in a burst no longer than the FCS,
 * none can pass either.
 */
import { crc32 } from '#crc32'
import { FCS16_GOOD, fcs16 } from '../layers/datalink/fcs.ts'
import { type Bench, figure } from './harness.ts'

const FRAMES = 10_000_000
const OCTETS = 64
const FCS_OCTETS = 4
/** A good CRC-32 leaves this (RFC 1662 §C.3), complemented. */
const GOOD32 = 0x2144df1c
/** Damage of single bits and short bursts, of which none may pass; the rest is long. */
const SHORT_EVERY = 4
const SHORT_BITS = 16

export const fcs: Bench = async (effort, tell) => {
  const noise = new Noise()
  let [passed16, passed32, long, short] = [0, 0, 0, 0]
  const frame = new Uint8Array(OCTETS + FCS_OCTETS)
  const view = new DataView(frame.buffer)
  for (let n = 0; n < FRAMES; n++) {
    const isShort = n % SHORT_EVERY === 0
    const passes16 = passes(frame, view, noise, isShort, 2)
    if (passes(frame, view, noise, isShort, 4)) passed32++
    if (!passes16) continue
    if (isShort) short++
    else passed16++
  }
  long = FRAMES - FRAMES / SHORT_EVERY
  const gate = { bench: 'fcs', unit: 'frames', atMost: true } as const
  const once = { ...effort, runs: 1 }
  tell(figure({ ...gate, target: 0, metric: 'undetected in 10^7, FCS-32', peer: 'one frame' }, passed32, 1, once))
  tell(figure({ ...gate, target: 0, metric: 'short damage undetected, FCS-16', peer: 'one frame' }, short, 1, once))
  tell(figure({ ...gate, target: 1.3, metric: 'undetected, FCS-16', peer: '2^-16' }, passed16, long / 65_536, once))
}

/** Makes a frame, damages it, and checks it. */
function passes(frame: Uint8Array, view: DataView, noise: Noise, isShort: boolean, octets: 2 | 4): boolean {
  for (let at = 0; at < OCTETS; at += 4) view.setInt32(at, noise.next())
  const end = OCTETS + octets
  if (octets === 2) view.setUint16(OCTETS, fcs16(view, 0, OCTETS) ^ 0xffff, true)
  else view.setUint32(OCTETS, crc32(frame.subarray(0, OCTETS)), true)
  const bits = isShort ? 1 + (noise.next() & (SHORT_BITS - 1)) : 40 + (noise.next() & 63)
  const first = (noise.next() >>> 1) % (end * 8 - bits)
  flip(frame, first)
  for (let bit = first + 1; bit < first + bits; bit++) if (noise.next() < 0) flip(frame, bit)
  return octets === 2 ? fcs16(view, 0, end) === FCS16_GOOD : crc32(frame.subarray(0, end)) === GOOD32
}

function flip(frame: Uint8Array, bit: number): void {
  frame[bit >> 3] = (frame[bit >> 3] as number) ^ (1 << (bit & 7))
}

/** xorshift32 (Marsaglia 2003): fast, and the same in every run. */
class Noise {
  private state = 0x1234_5678

  next(): number {
    let { state } = this
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    this.state = state
    return state
  }
}
