/**
 * Stateless address autoconfiguration, as a machine (RFC 4862 §5.5): an address of ours under each prefix that routers let
 * hosts use, with an identifier of RFC 7217, for as long as they say.
 *
 *                      preferred lifetime            valid lifetime
 *      learn ──► preferred ──────────► deprecated ──────────► expired
 */
import type { IpAddress } from '../../../../src/kernel/address.ts'
import { type Duration, type Instant, seconds } from '../../../../src/kernel/clock.ts'
import type { HashKey } from '../../../../src/kernel/keyed-hash.ts'
import type { Timed } from '../../../../src/kernel/machine.ts'
import type { LinkAddress } from '../../../datalink/service.ts'
import { IDENTIFIER_RETRIES, stableAddress } from './identifier.ts'
import { endOf, type Learnt } from './learnt.ts'

/** Prefixes of which we take an address. */
const MOST_ADDRESSES = 16
/** Identifiers have 64 bits, so prefixes have too (RFC 4291 §2.5.1). */
const PREFIX_BITS = 64
/** Who advertises a short lifetime cannot take an address away sooner than this (RFC 4862 §5.5.3 e). */
const LEAST_LEFT: Duration = seconds(7200)

interface Own {
  address: IpAddress
  /** Addresses of this prefix that others had. */
  duplicates: number
  preferredUntil: Instant
  validUntil: Instant
  deprecated: boolean
}

export class Autoconfiguration implements Timed {
  private own: Own[] = []
  private readonly key: HashKey
  private readonly link: LinkAddress
  private readonly learnt: Learnt[]

  /** @param link our address on it. @param learnt where changes are put. */
  constructor(key: HashKey, link: LinkAddress, learnt: Learnt[]) {
    this.key = key
    this.link = link
    this.learnt = learnt
  }

  get deadline(): Instant {
    let next = Number.POSITIVE_INFINITY
    for (const { deprecated, preferredUntil, validUntil } of this.own) {
      next = Math.min(next, deprecated ? validUntil : Math.min(preferredUntil, validUntil))
    }
    return next
  }

  /**
   * A router tells of a prefix for hosts to use.
   * @param valid seconds. @param preferred seconds, not more than `valid`.
   */
  learn(prefix: IpAddress, valid: number, preferred: number, now: Instant): void {
    const own = this.own.find(({ address }) => address.w0 === prefix.w0 && address.w1 === prefix.w1)
    if (own === undefined) {
      this.create(prefix, valid, preferred, now)
      return
    }
    own.preferredUntil = endOf(preferred, now)
    const until = endOf(valid, now)
    if (until > own.validUntil || until - now > LEAST_LEFT) own.validUntil = until
    else if (own.validUntil - now > LEAST_LEFT) own.validUntil = now + LEAST_LEFT
    this.expire(now)
  }

  /** Somebody else has this address. @returns whether it was one of these; then another follows, unless too many were taken. */
  duplicate(address: IpAddress): boolean {
    const own = this.own.find((other) => other.address.equals(address))
    if (own === undefined) return false
    own.duplicates++
    // After the last try the prefix is kept without an address, so that the next advertisement does not begin anew.
    if (own.duplicates > IDENTIFIER_RETRIES) return true
    own.address = stableAddress(this.key, address, this.link, own.duplicates)
    this.tell(own)
    return true
  }

  expire(now: Instant): void {
    for (const own of this.own) {
      const held = own.duplicates <= IDENTIFIER_RETRIES
      const deprecated = own.preferredUntil <= now
      if (own.validUntil <= now) {
        if (held) this.learnt.push({ kind: 'expired', address: own.address })
      } else if (deprecated !== own.deprecated) {
        own.deprecated = deprecated
        if (held) this.learnt.push({ kind: 'deprecated', address: own.address, deprecated })
      }
    }
    this.own = this.own.filter(({ validUntil }) => validUntil > now)
  }

  private create(prefix: IpAddress, valid: number, preferred: number, now: Instant): void {
    if (valid === 0 || this.own.length >= MOST_ADDRESSES) return
    const own: Own = {
      address: stableAddress(this.key, prefix, this.link, 0),
      duplicates: 0,
      preferredUntil: endOf(preferred, now),
      validUntil: endOf(valid, now),
      deprecated: preferred === 0,
    }
    this.own.push(own)
    this.tell(own)
  }

  private tell({ address, deprecated }: Own): void {
    this.learnt.push({ kind: 'address', address, length: PREFIX_BITS })
    if (deprecated) this.learnt.push({ kind: 'deprecated', address, deprecated })
  }
}
