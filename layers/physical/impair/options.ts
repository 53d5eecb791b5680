/** What an impairing link does to packets, in one direction: the options, their ranges, and how they are changed. */
import type { Duration } from '../../../src/kernel/clock.ts'
import { inRange, integer, invalidType } from '../../../src/kernel/errors.ts'
import type { Packet } from '../../../src/kernel/packet.ts'
import { checkLine } from '../line.ts'

/**
 * Loss in bursts, by a chain of two states (Gilbert 1960, Elliott 1963), which moves once per packet:
 *
 *            ┌───── p ─────►┐
 *       good │              │ bad          in each state packets are lost with its own probability
 *            └◄──── r ──────┘
 */
export interface GilbertElliott {
  /** Probability of going from good to bad, 0 to 1. */
  readonly p: number
  /** Probability of going from bad to good, 0 to 1; the mean stay in the bad state is 1 / r packets. */
  readonly r: number
  /** Probability of loss in the good state; default 0. */
  readonly good?: number
  /** Probability of loss in the bad state; default 1. */
  readonly bad?: number
}

/** The same by what is seen of it: the state is good, or everything is lost. */
export interface Bursts {
  /** Share of packets lost in the long run, 0 up to, not including, 1. */
  readonly loss: number
  /** Mean number of packets lost in a row: at least 1, and at least loss / (1 - loss). */
  readonly length: number
}

/** What happens to the packets of one direction. Everything is off by default; probabilities are from 0 to 1. */
export interface Impairment {
  /** Probability that a packet is lost, independently of others. */
  readonly loss?: number
  /** Loss in bursts, besides `loss`; null for none. */
  readonly burstLoss?: GilbertElliott | Bursts | null
  /**
   * Loses the packets for which it says so, before everything else. `index` counts the packets of this direction
   * from 0, per node. It may read the packet only during the call, and must not change it. null for none.
   */
  readonly dropIf?: ((index: number, packet: Packet) => boolean) | null
  /** Probability that bits of a packet are flipped. */
  readonly corruption?: number
  /** How many bits of a corrupted packet are flipped, 1 to 64; each at a random place, so a place may come twice. Default 1. */
  readonly corruptBits?: number
  /** Probability that a packet comes twice. */
  readonly duplication?: number
  /** Probability that a packet is held back until `reorderBy` others have passed it. */
  readonly reordering?: number
  /** How many packets pass one that is held back, 1 to 64; default 3. */
  readonly reorderBy?: number
  /** How long it is held at most when too few come by; default 20 ms. */
  readonly reorderWait?: Duration
  /** Microseconds that every packet takes longer: 0 to 10 minutes. */
  readonly delay?: Duration
  /** Microseconds of further delay at most, uniformly chosen for each packet from 0: 0 to 10 minutes. */
  readonly jitter?: Duration
  /** Packets do not overtake each other by jitter; default false. */
  readonly keepOrder?: boolean
  /** Bits per second, over the octets of the packet at this boundary: at least 1; default Infinity. */
  readonly rate?: number
  /** Packets that may wait for the rate, 1 to 16384; default 256; see `LineOptions`. */
  readonly queue?: number
}

/** What happens in both directions, and what differs in one: `down` is what the node sends, `up` what it receives. */
export interface ImpairOptions extends Impairment {
  readonly down?: Impairment
  readonly up?: Impairment
}

const LONGEST: Duration = 600_000_000

/** The settings of one direction as they stand: every option with its value, bursts as a chain. */
export class Settings {
  loss = 0
  /** The chain: probabilities of moving, and of loss in each state. Off while p is 0 and the state is good. */
  p = 0
  r = 1
  good = 0
  bad = 1
  dropIf: ((index: number, packet: Packet) => boolean) | null = null
  corruption = 0
  corruptBits = 1
  duplication = 0
  reordering = 0
  reorderBy = 3
  reorderWait: Duration = 20_000
  delay: Duration = 0
  jitter: Duration = 0
  keepOrder = false
  rate: number = Number.POSITIVE_INFINITY
  queue = 256

  /** Changes what is given. The options must have passed `checkImpairment`. */
  apply(options: Impairment): void {
    const { burstLoss, ...rest } = options
    for (const [name, value] of Object.entries(rest)) {
      // Only names of our own: `down` and `up` stand beside them, and undefined means "as it was".
      if (value !== undefined && Object.hasOwn(this, name)) Object.assign(this, { [name]: value })
    }
    if (burstLoss === undefined) return
    const { p, r, good = 0, bad = 1 } = burstLoss === null ? { p: 0, r: 1 } : chainOf(burstLoss)
    this.p = p
    this.r = r
    this.good = good
    this.bad = bad
  }
}

/**
 * @throws RangeError ERR_OUT_OF_RANGE — a number outside its range.
 * @throws TypeError ERR_INVALID_ARG_TYPE — not a number, or `dropIf` not a function.
 */
export function checkImpairment(options: Impairment): void {
  for (const name of ['loss', 'corruption', 'duplication', 'reordering'] as const) {
    probability(name, options[name])
  }
  if (options.burstLoss) checkBursts(options.burstLoss)
  const { corruptBits, reorderBy, delay, jitter, reorderWait, dropIf } = options
  if (corruptBits !== undefined) integer('corruptBits', corruptBits, 1, 64)
  if (reorderBy !== undefined) integer('reorderBy', reorderBy, 1, 64)
  for (const [name, value] of Object.entries({ delay, jitter, reorderWait })) {
    if (value !== undefined) integer(name, value, 0, LONGEST)
  }
  if (dropIf !== undefined && dropIf !== null && typeof dropIf !== 'function') {
    throw invalidType('dropIf', 'of type function', dropIf)
  }
  checkLine({
    ...(options.rate === undefined ? {} : { rate: options.rate }),
    ...(options.queue === undefined ? {} : { queue: options.queue }),
  })
}

function checkBursts(bursts: GilbertElliott | Bursts): void {
  if ('length' in bursts) {
    inRange('burstLoss.loss', bursts.loss, 0, 1 - Number.EPSILON)
    // Good runs last at least one packet, so short bursts cannot make up a large share.
    inRange('burstLoss.length', bursts.length, Math.max(1, bursts.loss / (1 - bursts.loss)), Number.MAX_SAFE_INTEGER)
    return
  }
  inRange('burstLoss.p', bursts.p, 0, 1)
  inRange('burstLoss.r', bursts.r, 0, 1)
  probability('burstLoss.good', bursts.good)
  probability('burstLoss.bad', bursts.bad)
}

/** The share of the bad state is p / (p + r), and a stay in it lasts 1 / r. */
function chainOf(bursts: GilbertElliott | Bursts): GilbertElliott {
  if (!('length' in bursts)) return bursts
  const r = 1 / bursts.length
  return { p: (bursts.loss * r) / (1 - bursts.loss), r }
}

function probability(name: string, value: number | undefined): void {
  if (value !== undefined) inRange(name, value, 0, 1)
}
