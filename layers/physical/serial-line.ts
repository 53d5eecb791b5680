/**
 * A serial line in memory: a cable of octets whose noise is that of a line, not of packets. Bits are flipped, alone or in
 * bursts, and octets are lost or come twice (slips), each by a seeded stream of chance; what carries frames over it has to
 * find their limits again.
 *
 *   node A  ── rate, delay ── bit errors, slips ──►  node B      and the same back
 */
import type { Boundary, Reasons } from '../../src/kernel/boundary.ts'
import type { Env } from '../../src/kernel/env.ts'
import { inRange, integer } from '../../src/kernel/errors.ts'
import type { Blueprint, LinkState, User } from '../../src/kernel/layer.ts'
import type { Packet } from '../../src/kernel/packet.ts'
import { fraction, type Random } from '../../src/kernel/random.ts'
import { type CableControl, type CableOptions, cable } from './cable.ts'
import { NO_OFFLOAD, type Offload, type PhysicalService } from './service.ts'

/** What a line does to the octets of each direction. Probabilities are from 0 to 1; everything is off by default. */
export interface LineNoise {
  /** Probability that a bit is flipped, or that a burst begins with it. */
  readonly bitErrors?: number
  /** Mean length of a burst in bits, each of which is then flipped with probability 1/2: 1 (default), bits on their own, to 10^6. */
  readonly burstBits?: number
  /** Probability for each octet that it is lost, or, as often, that it comes twice. */
  readonly slips?: number
}

export interface SerialLineOptions extends LineNoise {
  /** Bits per second; an octet takes `octetBits` of them. Default: no limit. */
  readonly baudRate?: number
  /** Bits an octet takes on the line, with start and stop: 8 (a synchronous line) to 12; default 10. */
  readonly octetBits?: number
  /** From the last bit sent to the last bit received, in microseconds; default 0. */
  readonly delay?: number
  /** Packets that may wait to be sent; default 256; see `LineOptions`. */
  readonly queue?: number
}

/** What the noise has done so far, in both directions. */
export interface LineCounts {
  flippedBits: number
  lostOctets: number
  doubledOctets: number
}

/** Changes a line while it runs. */
export interface SerialLineControl extends Pick<CableControl, 'cut' | 'unplug' | 'plug'> {
  readonly counts: Readonly<LineCounts>
  /** Changes the noise that is given and leaves the rest. @throws RangeError ERR_OUT_OF_RANGE — see `LineNoise`. */
  set(noise: LineNoise): void
}

export type SerialLineEnd = Blueprint<PhysicalService<'octets'>>

/** The two ends, each of which boots one node, and the handle to change what is between them. */
export type SerialLine = readonly [a: SerialLineEnd, b: SerialLineEnd] & { readonly link: SerialLineControl }

/** Why a line drops packets; further reasons are those of the cable below it. */
export type SerialLineDrop = 'tooLong' | 'noUser'

const REASONS: Reasons<SerialLineDrop> = { tooLong: '', noUser: '' }

/** The longest run that is sent at a time: small enough that two ends can share a slow line. */
const RUN_OCTETS = 65_535
const MOST_BURST = 1_000_000
/** A doubled octet needs room. */
const SLIP_ROOM = 4096

/**
 * A serial line: `const [a, b] = serialLine({ baudRate: 115_200, bitErrors: 1e-5 })`. On virtual or real time, as a cable.
 * @throws RangeError ERR_OUT_OF_RANGE — an option outside its range.
 */
export function serialLine(options: SerialLineOptions = {}): SerialLine {
  const { baudRate, octetBits = 10, delay, queue, ...noise } = options
  if (baudRate !== undefined) inRange('baudRate', baudRate, 1, Number.POSITIVE_INFINITY)
  integer('octetBits', octetBits, 8, 12)
  const control = new Noise(noise)
  const wire: CableOptions<'octets'> = {
    medium: 'octets',
    mtu: RUN_OCTETS,
    // A cable counts eight bits an octet.
    ...(baudRate === undefined ? {} : { rate: (baudRate * 8) / octetBits }),
    ...(delay === undefined ? {} : { delay }),
    ...(queue === undefined ? {} : { queue }),
  }
  const { 0: a, 1: b, link } = cable(wire)
  const noisy =
    (end: SerialLineEnd): SerialLineEnd =>
    (env) =>
      new NoisyEnd(end(env), env, control)
  const { counts } = control
  return Object.assign([noisy(a), noisy(b)] as const, {
    link: {
      counts,
      set: (changed: LineNoise) => control.set(changed),
      cut: link.cut.bind(link),
      unplug: link.unplug.bind(link),
      plug: link.plug.bind(link),
    },
  })
}

/** The settings, which both directions share. */
class Noise {
  readonly counts: LineCounts = { flippedBits: 0, lostOctets: 0, doubledOctets: 0 }
  bitErrors = 0
  burstBits = 1
  slips = 0

  constructor(noise: LineNoise) {
    this.set(noise)
  }

  set({ bitErrors = this.bitErrors, burstBits = this.burstBits, slips = this.slips }: LineNoise): void {
    inRange('bitErrors', bitErrors, 0, 1)
    inRange('burstBits', burstBits, 1, MOST_BURST)
    inRange('slips', slips, 0, 1)
    this.bitErrors = bitErrors
    this.burstBits = burstBits
    this.slips = slips
  }
}

/** One end: its noise is that of what it receives. */
class NoisyEnd implements PhysicalService<'octets'>, User<undefined> {
  readonly tier = 'physical'
  readonly medium = 'octets'
  readonly offload: Offload = NO_OFFLOAD
  readonly boundary: Boundary<undefined, SerialLineDrop>
  private readonly below: PhysicalService<'octets'>
  private readonly env: Env
  private readonly noise: Noise
  private readonly random: Random
  /** Bits until the next error, and octets until the next slip, by the probabilities they were drawn for. */
  private bitsLeft = 0
  private drawnFor = -1
  private octetsLeft = 0
  private slipsFor = -1
  /** Bits of the current burst that are still to come. */
  private burst = 0

  constructor(below: PhysicalService<'octets'>, env: Env, noise: Noise) {
    this.below = below
    this.env = env
    this.noise = noise
    this.random = env.random('serial-line')
    this.boundary = env.boundary('serial-line', 'octets', REASONS)
    env.defer(below.boundary.attach(this))
  }

  get mtu(): number {
    return this.below.mtu
  }

  get headroom(): number {
    return this.below.headroom
  }

  get tailroom(): number {
    return this.below.tailroom
  }

  send(packet: Packet): boolean {
    this.boundary.down(packet, undefined)
    if (packet.length <= this.below.mtu) return this.below.send(packet, undefined)
    this.boundary.drop(packet, 'tooLong')
    return true
  }

  receive(packet: Packet): void {
    const { noise } = this
    if (noise.bitErrors > 0) this.flip(packet)
    const slipped = noise.slips > 0 ? this.slip(packet) : packet
    if (!this.boundary.up(slipped, undefined, 0)) this.boundary.drop(slipped, 'noUser')
  }

  ready(): void {
    this.boundary.ready()
  }

  linkChanged(state: LinkState, reason: string): void {
    this.boundary.linkChanged(state, reason)
  }

  private flip({ octets, start, end }: Packet): void {
    const { noise, random } = this
    if (this.drawnFor !== noise.bitErrors) {
      this.drawnFor = noise.bitErrors
      this.bitsLeft = geometric(noise.bitErrors, random)
    }
    const bits = (end - start) * 8
    let at = 0
    while (at < bits) {
      if (this.burst > 0) {
        this.burst--
        if ((random.uint32() & 1) === 1) this.flipBit(octets, start, at)
        at++
        continue
      }
      if (this.bitsLeft >= bits - at) {
        this.bitsLeft -= bits - at
        return
      }
      at += this.bitsLeft
      this.bitsLeft = geometric(noise.bitErrors, random)
      this.flipBit(octets, start, at)
      at++
      // The first bit of a burst is always flipped: it is where it begins.
      if (noise.burstBits > 1) this.burst = geometric(1 / noise.burstBits, random)
    }
  }

  private flipBit(octets: Uint8Array, start: number, bit: number): void {
    const at = start + (bit >> 3)
    octets[at] = (octets[at] as number) ^ (1 << (bit & 7))
    this.noise.counts.flippedBits++
  }

  /** The packet itself when nothing slipped, else another. */
  private slip(packet: Packet): Packet {
    const { noise, random, env } = this
    if (this.slipsFor !== noise.slips) {
      this.slipsFor = noise.slips
      this.octetsLeft = geometric(noise.slips, random)
    }
    if (this.octetsLeft >= packet.length) {
      this.octetsLeft -= packet.length
      return packet
    }
    const slipped = env.packet(0, Math.min(packet.length * 2, packet.length + SLIP_ROOM))
    const { octets } = packet
    for (let i = packet.start; i < packet.end; i++) {
      const slips = this.octetsLeft-- === 0
      if (slips) this.octetsLeft = geometric(noise.slips, random)
      const lost = slips && (random.uint32() & 1) === 1
      if (lost) noise.counts.lostOctets++
      else octets[slipped.put(1)] = octets[i] as number
      // What is still to come must fit.
      if (!slips || lost || slipped.limit - slipped.end < packet.end - i) continue
      noise.counts.doubledOctets++
      octets[slipped.put(1)] = octets[i] as number
    }
    slipped.id = packet.id
    packet.release()
    return slipped
  }
}

/** How many times something of probability `p` does not happen before it does. */
function geometric(p: number, random: Random): number {
  return p >= 1 ? 0 : Math.floor(Math.log1p(-fraction(random)) / Math.log1p(-p))
}
