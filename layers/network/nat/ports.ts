/** The ports outside that no mapping has, of one protocol. Identifiers of echo requests are assigned likewise. */
import { below, type Random } from '../../../src/kernel/random.ts'

/** Ports below are given to hosts that use such themselves (RFC 4787 REQ-3a). */
const WELL_KNOWN = 1024
const PORTS = 65_536

/** There is none. */
export const NO_PORT = -1

/** Ports of one range and parity: a bit for each that is free. */
class PortSet {
  private readonly low: number
  private readonly words: Int32Array
  private free: number

  /** @param low the first. @param high beyond the last; there is a multiple of 32 in between. */
  constructor(low: number, high: number) {
    this.low = low
    this.words = new Int32Array((high - low) >>> 6).fill(-1)
    this.free = this.words.length * 32
  }

  /** @returns whether it was free. */
  take(port: number): boolean {
    const bit = (port - this.low) >>> 1
    const word = this.words[bit >>> 5] as number
    const mask = 1 << (bit & 31)
    if ((word & mask) === 0) return false
    this.words[bit >>> 5] = word & ~mask
    this.free--
    return true
  }

  /** @param port one that is not free. */
  give(port: number): void {
    const bit = (port - this.low) >>> 1
    this.words[bit >>> 5] = (this.words[bit >>> 5] as number) | (1 << (bit & 31))
    this.free++
  }

  /** Takes one, looked for from a place drawn by lot, so that nobody guesses the next; else NO_PORT. */
  takeAny(random: Random): number {
    const { words } = this
    if (this.free === 0) return NO_PORT
    const from = below(random, words.length * 32)
    let at = from >>> 5
    let bits = (words[at] as number) & (-1 << (from & 31))
    while (bits === 0) {
      at = at + 1 === words.length ? 0 : at + 1
      bits = words[at] as number
    }
    const port = this.low + (at * 32 + 31 - Math.clz32(bits & -bits)) * 2
    this.take(port)
    return port
  }
}

export class FreePorts {
  /** By range, then by parity. */
  private readonly sets: readonly PortSet[] = [
    new PortSet(0, WELL_KNOWN),
    new PortSet(1, WELL_KNOWN + 1),
    new PortSet(WELL_KNOWN, PORTS),
    new PortSet(WELL_KNOWN + 1, PORTS + 1),
  ]

  /** @returns whether it was free; it no longer is. */
  take(port: number): boolean {
    return this.set(indexOf(port)).take(port)
  }

  /** @param port one that is not free. */
  give(port: number): void {
    this.set(indexOf(port)).give(port)
  }

  /**
   * Takes the port that is wanted, else one of its range and parity (RFC 4787 REQ-3a, REQ-4), else one of its range. Where
   * no well-known port is left, one of the others will do; the reverse would make a privileged port of any.
   * @returns NO_PORT when there is none.
   */
  assign(wanted: number, random: Random): number {
    if (this.take(wanted)) return wanted
    const like = indexOf(wanted)
    let port = this.set(like).takeAny(random)
    if (port === NO_PORT) port = this.set(like ^ 1).takeAny(random)
    if (port === NO_PORT && wanted < WELL_KNOWN) port = this.set(like | 2).takeAny(random)
    if (port === NO_PORT && wanted < WELL_KNOWN) port = this.set((like | 2) ^ 1).takeAny(random)
    return port
  }

  private set(index: number): PortSet {
    return this.sets[index] as PortSet
  }
}

const indexOf = (port: number): number => (port < WELL_KNOWN ? 0 : 2) | (port & 1)
