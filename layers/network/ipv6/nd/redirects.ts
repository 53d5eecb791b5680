/**
 * What routers told of better first hops (RFC 4861 §8.3), as a machine: for one destination each, a neighbour that is nearer
 * to it, or the destination itself, which is on the link. A redirect lasts until that neighbour does not answer, or for its time:
 * the RFC sets none, and the router says it again.
 */
import type { IpAddress } from '../../../../src/kernel/address.ts'
import { type Duration, type Instant, seconds } from '../../../../src/kernel/clock.ts'
import type { Timed } from '../../../../src/kernel/machine.ts'
import type { Learnt } from './learnt.ts'

/** Redirects that are kept; then the oldest gives way, and its packets take the way by the router again. */
const MOST_REDIRECTS = 64
const LIFE: Duration = seconds(600)
const WHOLE = 128

interface Redirect {
  readonly destination: IpAddress
  readonly target: IpAddress
  readonly until: Instant
}

export class Redirects implements Timed {
  /** The oldest first: all last equally long. */
  private redirects: Redirect[] = []
  private readonly learnt: Learnt[]

  /** @param learnt where changes are put. */
  constructor(learnt: Learnt[]) {
    this.learnt = learnt
  }

  get deadline(): Instant {
    return this.redirects[0]?.until ?? Number.POSITIVE_INFINITY
  }

  /** The current first hop of `destination` says that `target` is a better one. */
  learn(destination: IpAddress, target: IpAddress, now: Instant): void {
    this.forget((one) => one.destination.equals(destination))
    if (this.redirects.length >= MOST_REDIRECTS) this.forget((one) => one === this.redirects[0])
    const redirect = { destination: destination.clone(), target: target.clone(), until: now + LIFE }
    this.redirects.push(redirect)
    this.learnt.push({ kind: 'route', ...wayOf(redirect), preference: 'medium' })
  }

  /** A neighbour does not answer, or is no router any more. */
  leave(neighbour: IpAddress): void {
    this.forget(({ target }) => target.equals(neighbour))
  }

  expire(now: Instant): void {
    this.forget(({ until }) => until <= now)
  }

  private forget(isIt: (redirect: Redirect) => boolean): void {
    for (const redirect of this.redirects) if (isIt(redirect)) this.learnt.push({ kind: 'noRoute', ...wayOf(redirect) })
    this.redirects = this.redirects.filter((redirect) => !isIt(redirect))
  }
}

function wayOf({ destination, target }: Redirect): { prefix: IpAddress; length: number; via: IpAddress | null } {
  return { prefix: destination, length: WHOLE, via: target.equals(destination) ? null : target }
}
