/**
 * The balanced mode of HDLC over a noisy line on virtual time: what arrives, against what the error rate permits. A frame
 * of n octets passes with (1 - BER)^8n, and whatever the protocol does, each must pass once: the bound is the rate of the
 * line, times the share of information in a frame, times the probability that a frame passes.
 */
import { Frame } from '../layers/datalink/hdlc/abm/control.ts'
import { Abm } from '../layers/datalink/hdlc/abm/machine.ts'
import { type AbmOptions, AX25, LAPB, type Variant } from '../layers/datalink/hdlc/abm/variant.ts'
import { type Duration, type Instant, ms, seconds } from '../src/kernel/clock.ts'
import { Packet } from '../src/kernel/packet.ts'
import { fraction, SeededRandom } from '../src/kernel/random.ts'
import { type Bench, figure } from './harness.ts'

/** Bits per second of the line, one way. */
const RATE = 1_000_000
const DELAY: Duration = ms(50)
/** A flag, the address, the FCS; the control field is counted with its frame. */
const OVERHEAD_OCTETS = 1 + 1 + 2
const CONTROL_OCTETS = 2
const TIME: Duration = seconds(200)
/** The line starts empty: what is sent before is not counted. */
const WARM_UP: Duration = seconds(5)

export interface Noise {
  readonly variant: Variant
  readonly options: AbmOptions
  /** Probability that a bit is wrong. */
  readonly ber: number
  /** Octets of information in a frame. */
  readonly octets: number
  readonly seed?: number
  /** Virtual time. */
  readonly time?: Duration
}

/** What came of it. */
export interface Outcome {
  /** Bits of information per second that arrived, and the most that could. */
  readonly goodput: number
  readonly bound: number
  readonly arrived: number
  /** Everything arrived once, in order, and the link was up all the time. */
  readonly exact: boolean
}

interface OnLine {
  readonly at: Instant
  readonly frame: Frame
  readonly packet: Packet
}

/** One end: a machine, and the line that leaves it. */
class End {
  readonly abm: Abm
  readonly line: OnLine[] = []
  private free: Instant = 0
  private readonly random: SeededRandom
  private readonly ber: number

  constructor({ variant, options, ber, seed = 1 }: Noise, index: number) {
    const journal = { drop: (packet: Packet) => packet.release(), count: () => {}, note: () => {} }
    this.abm = new Abm(variant, options, true, journal)
    this.random = new SeededRandom([seed, index + 1, 3, 4])
    this.ber = ber
  }

  /** When the line takes another frame: one waits while one is sent. */
  get takesAt(): Instant {
    return this.free
  }

  /** Sends while the line takes frames. */
  send(now: Instant): void {
    while (this.free <= now) {
      const frame = new Frame()
      if (!this.abm.output(now, frame)) break
      const { sdu, info } = this.abm
      const packet = sdu?.copy(0, 0) ?? Packet.take(0, info?.length ?? 0)
      if (info !== null) packet.append(info)
      const bits = (packet.length + CONTROL_OCTETS + OVERHEAD_OCTETS) * 8
      this.free = Math.max(this.free, now) + Math.round((bits * 1e6) / RATE)
      if (fraction(this.random) < (1 - this.ber) ** bits) this.line.push({ at: this.free + DELAY, frame, packet })
      else packet.release()
    }
  }
}

/** Sends one way for a while, as fast as it goes. */
export function overNoise(noise: Noise): Outcome {
  const { octets, time = TIME } = noise
  const [near, far] = [new End(noise, 0), new End(noise, 1)]
  near.abm.connect(0)
  let offered = 0
  let arrived = 0
  let counted = 0
  let exact = true
  for (let now = 0; now < time; ) {
    while (near.abm.open) {
      const packet = Packet.take(0, octets)
      packet.view.setUint32(packet.put(octets), offered++)
      near.abm.offer(packet)
    }
    near.send(now)
    far.send(now)
    for (let packet = far.abm.take(); packet !== undefined; packet = far.abm.take()) {
      if (packet.view.getUint32(packet.start) !== arrived) exact = false
      arrived++
      if (now >= WARM_UP) counted++
      packet.release()
    }
    for (const { abm } of [near, far]) {
      for (let event = abm.event(); event !== undefined; event = abm.event()) if (event.state !== 'up') exact = false
    }
    now = next(near, far, now)
    for (const [end, other] of [
      [near, far],
      [far, near],
    ] as const) {
      if (end.abm.deadline <= now) end.abm.expire(now)
      while ((end.line[0]?.at ?? Number.POSITIVE_INFINITY) <= now) {
        const { frame, packet } = end.line.shift() as OnLine
        other.abm.input(frame, packet, now)
      }
    }
  }
  for (const { abm, line } of [near, far]) {
    abm.clear()
    for (const { packet } of line) packet.release()
  }
  const length = octets + CONTROL_OCTETS + OVERHEAD_OCTETS
  const bound = ((RATE * octets) / length) * (1 - noise.ber) ** (length * 8)
  return { goodput: (counted * octets * 8 * 1e6) / (time - WARM_UP), bound, arrived, exact }
}

function next(near: End, far: End, now: Instant): Instant {
  let at = Number.POSITIVE_INFINITY
  for (const end of [near, far]) {
    at = Math.min(at, end.abm.deadline, end.line[0]?.at ?? Number.POSITIVE_INFINITY)
    if (end.takesAt > now) at = Math.min(at, end.takesAt)
  }
  return Math.max(now + 1, at)
}

const COMMON: AbmOptions = { modulus: 128, k: 127, n2: 20, t1: ms(300), queue: 256, receiveQueue: 256 }

const SUBJECTS: readonly (readonly [name: string, noise: Noise, target: number])[] = [
  [
    'multi-SREJ, 1,000 octets, 1e-5',
    { variant: AX25, options: { ...COMMON, recovery: 'multi-srej' }, ber: 1e-5, octets: 1000 },
    0.85,
  ],
  ['LAPB (REJ), 1,000 octets, 1e-5', { variant: LAPB, options: COMMON, ber: 1e-5, octets: 1000 }, 0],
  [
    'multi-SREJ, 128 octets, 1e-4',
    { variant: AX25, options: { ...COMMON, recovery: 'multi-srej' }, ber: 1e-4, octets: 128 },
    0,
  ],
  ['LAPB (REJ), 128 octets, 1e-4', { variant: LAPB, options: COMMON, ber: 1e-4, octets: 128 }, 0],
]

/** The figures of all subjects; those with target 0 stand beside. */
export const arq: Bench = async (effort, tell) => {
  for (const [metric, noise, target] of SUBJECTS) {
    const { goodput, bound, exact } = overNoise(noise)
    if (!exact) throw new Error(`${metric}: the link went down, or something was lost, repeated or out of order`)
    const gate = { bench: 'arq', metric, unit: 'Mbit/s', peer: 'what the error rate permits', target }
    tell(figure(gate, goodput / 1e6, bound / 1e6, { ...effort, runs: 1 }))
  }
}
