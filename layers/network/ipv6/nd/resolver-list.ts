/** The name servers and search domains that routers tell of, as a machine (RFC 8106 §6): each for its time, and not too many. */
import type { IpAddress } from '../../../../src/kernel/address.ts'
import type { Instant } from '../../../../src/kernel/clock.ts'
import type { Timed } from '../../../../src/kernel/machine.ts'
import { earliest, endOf, type Learnt } from './learnt.ts'

/** Servers, and domains, that are kept. */
export const MOST_NAMES = 8

interface Kept<T> {
  readonly value: T
  until: Instant
}

export class ResolverList implements Timed {
  private servers: Kept<IpAddress>[] = []
  private domains: Kept<string>[] = []
  private changed = false
  private readonly learnt: Learnt[]

  /** @param learnt where changes are put. */
  constructor(learnt: Learnt[]) {
    this.learnt = learnt
  }

  get deadline(): Instant {
    return Math.min(earliest(this.servers), earliest(this.domains))
  }

  /** @param lifetime seconds; 0 takes it back. Call `expire` after the last of an advertisement. */
  learnServer(address: IpAddress, lifetime: number, now: Instant): void {
    const kept = this.servers.find(({ value }) => value.equals(address))
    if (kept !== undefined) kept.until = endOf(lifetime, now)
    else if (lifetime > 0) this.add(this.servers, address.clone(), endOf(lifetime, now))
  }

  /** As `learnServer`. */
  learnDomain(domain: string, lifetime: number, now: Instant): void {
    const kept = this.domains.find(({ value }) => value === domain)
    if (kept !== undefined) kept.until = endOf(lifetime, now)
    else if (lifetime > 0) this.add(this.domains, domain, endOf(lifetime, now))
  }

  expire(now: Instant): void {
    const before = this.servers.length + this.domains.length
    this.servers = this.servers.filter(({ until }) => until > now)
    this.domains = this.domains.filter(({ until }) => until > now)
    if (!this.changed && before === this.servers.length + this.domains.length) return
    this.changed = false
    const servers = this.servers.map(({ value }) => value)
    this.learnt.push({ kind: 'names', servers, domains: this.domains.map(({ value }) => value) })
  }

  /** In a full list, what ends first gives way (RFC 8106 §6.2). */
  private add<T>(list: Kept<T>[], value: T, until: Instant): void {
    if (list.length >= MOST_NAMES) {
      const end = earliest(list)
      if (until <= end) return
      list.splice(
        list.findIndex((kept) => kept.until === end),
        1,
      )
    }
    list.push({ value, until })
    this.changed = true
  }
}
