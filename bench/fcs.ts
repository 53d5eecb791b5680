/**
 * Ten million frames for each FCS, sent by the framing, damaged by noise, and received by it: how many it takes for
 * whole. None with 32 bits; with 16 bits one in 65,536, which is what theory says of damage longer than the FCS; and
 * none that is damaged in one bit, or in a burst no longer than the FCS. Between flags the damage may also make flags
 * and escapes, or end them.
 */
import { type FcsKind, type Framing, framing } from '../layers/datalink/framing/framing.ts'
import { NO_OFFLOAD, type PhysicalService } from '../layers/physical/service.ts'
import { Packet } from '../src/kernel/packet.ts'
import { Simulation } from '../src/runtime/simulation.ts'
import { type Bench, figure } from './harness.ts'

const FRAMES = 10_000_000
const OCTETS = 64
/** Damage of single bits and short bursts, of which none may pass; the rest is long. */
const SHORT_EVERY = 4
const SHORT_BITS = 16

/**
 * What was taken for whole, of frames whose damage was short, and of those with long damage; and how many there were of
 * these.
 */
export interface Undetected {
  readonly short: number
  readonly long: number
  readonly longDamaged: number
}

export const fcs: Bench = async (effort, tell) => {
  const gate = { bench: 'fcs', unit: 'frames', atMost: true } as const
  const once = { ...effort, runs: 1 }
  const none = { ...gate, target: 0, peer: 'one frame' }
  const with32 = await undetected('fcs32', 'frames', FRAMES)
  tell(figure({ ...none, metric: 'undetected in 10^7, FCS-32' }, with32.short + with32.long, 1, once))
  const stuffed = await undetected('fcs32', 'octets', FRAMES)
  const between = 'undetected in 10^7, FCS-32 between flags'
  tell(figure({ ...none, metric: between }, stuffed.short + stuffed.long, 1, once))
  const { short, long, longDamaged } = await undetected('fcs16', 'frames', FRAMES)
  tell(figure({ ...none, metric: 'short damage undetected in 10^7, FCS-16' }, short, 1, once))
  const metric = 'long damage undetected in 10^7, FCS-16'
  tell(figure({ ...gate, target: 1.3, metric, peer: '2^-16' }, long, longDamaged / 65_536, once))
}

/** Damages so many frames. @param medium whole frames, or their octets between flags. */
export async function undetected(
  kind: Extract<FcsKind, 'fcs16' | 'fcs32'>,
  medium: 'frames' | 'octets',
  frames: number,
): Promise<Undetected> {
  const noise = new Noise()
  const line = new Line(kind, medium)
  const counts = { short: 0, long: 0, longDamaged: 0 }
  for (let n = 0; n < frames; n++) {
    const isShort = n % SHORT_EVERY === 0
    if (!isShort) counts.longDamaged++
    const passed = line.passes(noise, isShort)
    if (isShort) counts.short += passed
    else counts.long += passed
  }
  await line.simulation.close()
  return counts
}

/** A line that damages what is sent, and leads back. */
class Line {
  readonly simulation = new Simulation()
  private readonly framing: Framing
  private readonly frame = new Uint8Array(OCTETS)
  private readonly view = new DataView(this.frame.buffer)
  private readonly sent: Packet[] = []
  private below: PhysicalService<'frames' | 'octets'> | undefined
  private wrong = 0

  constructor(fcs: FcsKind, medium: 'frames' | 'octets') {
    this.framing = this.simulation.boot('bench', (env) => {
      const boundary = env.boundary<undefined, 'never'>('line', 'octets', { never: '' })
      const send = (packet: Packet): boolean => {
        this.sent.push(packet)
        return true
      }
      const room = { mtu: 65_000, headroom: 0, tailroom: 0, offload: NO_OFFLOAD }
      this.below = { tier: 'physical', medium, ...room, boundary, send }
      return framing(this.below, env, { longest: OCTETS, fcs })
    }).top
    this.framing.boundary.attach({
      receive: (packet) => {
        this.framing.removeFcs(packet)
        if (!this.isSent(packet)) this.wrong++
        packet.release()
      },
    })
  }

  /** Sends a frame and damages it. @returns how many frames came that were not sent. */
  passes(noise: Noise, isShort: boolean): number {
    for (let at = 0; at < OCTETS; at += 4) this.view.setInt32(at, noise.next())
    const packet = Packet.take(0, OCTETS + this.framing.tailroom)
    packet.append(this.frame)
    this.framing.send(packet, undefined)
    this.wrong = 0
    for (let run = this.sent.shift(); run !== undefined; run = this.sent.shift()) {
      damage(run, noise, isShort)
      this.below?.boundary.up(run, undefined, 0)
    }
    return this.wrong
  }

  private isSent({ length, octets, start }: Packet): boolean {
    if (length !== OCTETS) return false
    for (let i = 0; i < OCTETS; i++) if (octets[start + i] !== this.frame[i]) return false
    return true
  }
}

/** A burst: its first bit is wrong, and each of the others by half a chance. */
function damage({ length, octets, start }: Packet, noise: Noise, isShort: boolean): void {
  const bits = isShort ? 1 + (noise.next() & (SHORT_BITS - 1)) : 40 + (noise.next() & 63)
  const first = (noise.next() >>> 1) % (length * 8 - bits)
  flip(octets, start, first)
  for (let bit = first + 1; bit < first + bits; bit++) if (noise.next() < 0) flip(octets, start, bit)
}

function flip(octets: Uint8Array, start: number, bit: number): void {
  const at = start + (bit >> 3)
  octets[at] = (octets[at] as number) ^ (1 << (bit & 7))
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
