/**
 * The ways that routers tell of: default routers (RFC 4861 §6.3.4), prefixes on the link, routes (RFC 4191). Each has a time,
 * and is told upward while it is good; a router that does not answer is passed over as long as there is another (§6.3.6).
 *
 * All is bounded, and what is there stays: who floods the link with advertisements keeps new ones out, but no old one.
 */
import type { IpAddress } from '../../../../src/kernel/address.ts'
import type { Instant } from '../../../../src/kernel/clock.ts'
import type { Timed } from '../../../../src/kernel/machine.ts'
import type { RouterPreference } from '../discovery.ts'
import { earliest, endOf, type Learnt } from './learnt.ts'

/** Default routers, prefixes and routes that are kept at most. */
const MOST_ROUTERS = 16
const MOST_PREFIXES = 32
const MOST_ROUTES = 32

interface Way {
  readonly prefix: IpAddress
  readonly length: number
  readonly via: IpAddress | null
  preference: RouterPreference
  until: Instant
  /** Its router does not answer. */
  suspect: boolean
  /** As what it has been told upward; undefined: not. */
  told: RouterPreference | undefined
}

export class Ways implements Timed {
  private ways: Way[] = []
  private readonly learnt: Learnt[]

  /** @param learnt where changes are put. */
  constructor(learnt: Learnt[]) {
    this.learnt = learnt
  }

  get deadline(): Instant {
    return earliest(this.ways)
  }

  /**
   * A router tells of a way, or takes it back.
   * @param prefix without bits beyond `length`; of length 0 for a default route.
   * @param via the router; null for a prefix on the link.
   * @param lifetime seconds; 0 takes it back.
   */
  learn(
    prefix: IpAddress,
    length: number,
    via: IpAddress | null,
    preference: RouterPreference,
    lifetime: number,
    now: Instant,
  ): void {
    let way = this.find(prefix, length, via)
    if (way === undefined && lifetime > 0 && this.hasRoom(length, via)) {
      way = {
        prefix: prefix.clone(),
        length,
        via: via?.clone() ?? null,
        preference,
        until: 0,
        suspect: false,
        told: undefined,
      }
      this.ways.push(way)
    }
    if (way === undefined) return
    way.preference = preference
    way.until = endOf(lifetime, now)
    way.suspect = false
    this.expire(now)
  }

  /** Is it one of the default routers? */
  isRouter(address: IpAddress): boolean {
    return this.ways.some(({ length, via }) => length === 0 && via?.equals(address) === true)
  }

  /** A neighbour says that it is no router, or no longer (RFC 4861 §7.2.5). */
  leave(router: IpAddress, now: Instant): void {
    for (const way of this.ways) if (way.via?.equals(router) === true) way.until = now
    this.expire(now)
  }

  /** A router does not answer, or does again. */
  doubt(router: IpAddress, suspect: boolean): void {
    let changed = false
    for (const way of this.ways) {
      if (way.suspect === suspect || way.via?.equals(router) !== true) continue
      way.suspect = suspect
      changed = true
    }
    if (changed) this.tell()
  }

  expire(now: Instant): void {
    for (const way of this.ways) if (way.until <= now) this.forget(way)
    this.ways = this.ways.filter(({ until }) => until > now)
    this.tell()
  }

  private tell(): void {
    for (const way of this.ways) {
      const good = !way.suspect || !this.ways.some((other) => !other.suspect && sameNetwork(way, other))
      if (!good) this.forget(way)
      else if (way.told !== way.preference) {
        way.told = way.preference
        const { prefix, length, via, preference } = way
        this.learnt.push({ kind: 'route', prefix, length, via, preference })
      }
    }
  }

  private forget(way: Way): void {
    if (way.told === undefined) return
    way.told = undefined
    this.learnt.push({ kind: 'noRoute', prefix: way.prefix, length: way.length, via: way.via })
  }

  private find(prefix: IpAddress, length: number, via: IpAddress | null): Way | undefined {
    return this.ways.find(
      (way) =>
        way.length === length &&
        way.prefix.equals(prefix) &&
        (via === null ? way.via === null : way.via?.equals(via) === true),
    )
  }

  private hasRoom(length: number, via: IpAddress | null): boolean {
    const kind = kindOf(length, via)
    const kept = this.ways.filter((way) => kindOf(way.length, way.via) === kind).length
    return kept < (kind === 'prefix' ? MOST_PREFIXES : kind === 'router' ? MOST_ROUTERS : MOST_ROUTES)
  }
}

const kindOf = (length: number, via: IpAddress | null): 'prefix' | 'router' | 'route' =>
  via === null ? 'prefix' : length === 0 ? 'router' : 'route'

const sameNetwork = (one: Way, other: Way): boolean =>
  one.length === other.length && one.via !== null && other.via !== null && one.prefix.equals(other.prefix)
