/**
 * What routers told us of the MTU of paths (RFC 1191, RFC 8201), as a machine: bounded, and forgotten after ten minutes
 * so that a path which became wider is noticed (RFC 1191 §6.3, RFC 8201 §5.3). A destination is a number: an IPv4 address
 * as int32, or a hash of an IPv6 address that nobody can aim at another's.
 */
import { type Duration, type Instant, seconds } from '../../src/kernel/clock.ts'
import type { Timed } from '../../src/kernel/machine.ts'

/** How long a report is believed (RFC 1191 §6.3). */
export const PATH_MTU_LIFE: Duration = seconds(600)
const ENTRIES = 4096

/** MTUs of common links, for reports that do not say (RFC 1191 §7.1). */
const PLATEAUS = [32_000, 17_914, 8166, 4352, 2002, 1492, 1006, 508, 296] as const

export interface KnownPath {
  readonly mtu: number
  /** It is narrower still; then routers are to fragment (RFC 1191 §3). */
  readonly mayFragment: boolean
  readonly until: Instant
}

export class PathMtu implements Timed {
  /** In the order of expiry: all live equally long, and a new report goes to the end. */
  private readonly paths = new Map<number, KnownPath>()
  private readonly narrowest: number
  private readonly limit: number

  /**
   * @param narrowest path we adapt to: forged reports cost us no more than this (RFC 5927 §7).
   * @param limit how many destinations are remembered.
   */
  constructor(narrowest: number, limit: number = ENTRIES) {
    this.narrowest = narrowest
    this.limit = limit
  }

  get deadline(): Instant {
    for (const { until } of this.paths.values()) return until
    return Number.POSITIVE_INFINITY
  }

  get size(): number {
    return this.paths.size
  }

  get(destination: number): KnownPath | undefined {
    return this.paths.size === 0 ? undefined : this.paths.get(destination)
  }

  /**
   * What a router's report, that a packet of `length` octets was too big for the next hop, would make of a path.
   * @param reported the MTU it gives; 0 when it does not.
   * @param current what we took the path for.
   * @returns the MTU to use from now on, or 0 when the report changes nothing.
   */
  assess(destination: number, reported: number, length: number, current: number): number {
    const next = nextHopMtu(reported, length)
    // It cannot have been too big for an MTU it fits into (RFC 5927 §7.2); and a report never widens a path.
    if (next >= length || next >= current) return 0
    const mtu = Math.max(next, this.narrowest)
    if (mtu >= current && !(next < this.narrowest && this.get(destination)?.mayFragment !== true)) return 0
    return Math.min(mtu, current)
  }

  /** Takes such a report for true. @returns as `assess`. */
  report(destination: number, reported: number, length: number, current: number, now: Instant): number {
    const believed = this.assess(destination, reported, length, current)
    if (believed === 0) return 0
    const next = nextHopMtu(reported, length)
    this.paths.delete(destination)
    if (this.paths.size >= this.limit) this.forgetOldest()
    const mtu = Math.max(next, this.narrowest)
    this.paths.set(destination, { mtu, mayFragment: next < this.narrowest, until: now + PATH_MTU_LIFE })
    return believed
  }

  expire(now: Instant): void {
    for (const [destination, { until }] of this.paths) {
      if (until > now) return
      this.paths.delete(destination)
    }
  }

  private forgetOldest(): void {
    for (const destination of this.paths.keys()) {
      this.paths.delete(destination)
      return
    }
  }
}

/** What the next hop takes: as reported, else the next common MTU below what it did not take. */
function nextHopMtu(reported: number, length: number): number {
  return reported !== 0 ? reported : (PLATEAUS.find((mtu) => mtu < length) ?? 0)
}
