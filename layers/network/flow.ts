/**
 * Which of several equal ways a flow takes: by rendezvous hashing (Thaler and Ravishankar 1998) over addresses, protocol and
 * ports. Each way draws a lot for each flow, and the highest wins; so packets of a flow stay in order (RFC 2992), and a way
 * that goes or comes moves no flow but its own.
 */
import type { IpAddress } from '../../src/kernel/address.ts'

/** What can be chosen. */
export interface Way {
  /** Unlike that of the other ways: see `spreadOf`. */
  readonly spread: number
}

/**
 * The hash of a flow.
 * @param seed the node's own, so that routers in a row choose differently.
 * @param source as int32; of IPv6, by `folded`. So the destination.
 * @param ports both as they stand in the header, source first; 0 for protocols without, and for fragments, which do not all have them.
 * @returns int32
 */
export function flowHash(seed: number, source: number, destination: number, protocol: number, ports: number): number {
  return mix(mix(mix(mix(seed ^ protocol) ^ source) ^ destination) ^ ports)
}

/** An IPv6 address as one int32, for `flowHash`. */
export const folded = ({ w0, w1, w2, w3 }: IpAddress): number => mix(mix(mix(w0) ^ w1) ^ w2) ^ w3

/** What tells a way by a link and a next hop from others. */
export function spreadOf(link: number, via: IpAddress | null): number {
  return via === null ? mix(link) : mix(mix(link) ^ folded(via))
}

/** The way of a flow. @param ways at least one. */
export function chosenWay<W extends Way>(hash: number, ways: readonly W[]): W {
  let best = ways[0] as W
  let highest = mix(hash ^ best.spread)
  for (let i = 1; i < ways.length; i++) {
    const way = ways[i] as W
    const lot = mix(hash ^ way.spread)
    if (lot > highest) {
      best = way
      highest = lot
    }
  }
  return best
}

/** Spreads 32 bits so that each depends on all (the finalizer of MurmurHash3, Appleby 2011). */
export function mix(word: number): number {
  let h = word | 0
  h = Math.imul(h ^ (h >>> 16), 0x85eb_ca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2_ae35)
  return h ^ (h >>> 16)
}
