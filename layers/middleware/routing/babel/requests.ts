/**
 * Requests for newer sequence numbers (RFC 8966 §3.8): what frees a router whose neighbours' routes are all unfeasible.
 * There is at most one a destination, sent again a few times, and it also keeps the same request of others from being
 * passed on twice (§3.2.7).
 */
import { type Instant, ms } from '../../../../src/kernel/clock.ts'
import { Timer, type Timers } from '../../../../src/kernel/timers.ts'
import type { Neighbour } from './neighbour.ts'
import type { SeqnoRequest } from './pdu.ts'
import type { RouteTable } from './route-table.ts'
import type { Destination, Route } from './tables.ts'
import { INFINITY, seqnoDifference } from './tlv.ts'

/** Hops a request of ours may go. */
const HOPS = 255
/** Times it is sent, and how long the first waits for an answer; the others twice as long each. */
const ATTEMPTS = 4
const FIRST_WAIT = ms(500)

export class PendingRequest {
  readonly destination: Destination
  readonly routerHigh: number
  readonly routerLow: number
  readonly seqno: number
  readonly hops: number
  /** Whom it was sent to. */
  readonly to: Neighbour
  attempts = 0
  readonly timer: Timer

  constructor(
    destination: Destination,
    of: { readonly routerHigh: number; readonly routerLow: number },
    seqno: number,
    hops: number,
    to: Neighbour,
    expire: (request: PendingRequest, now: Instant) => void,
  ) {
    this.destination = destination
    this.routerHigh = of.routerHigh
    this.routerLow = of.routerLow
    this.seqno = seqno
    this.hops = hops
    this.to = to
    this.timer = new Timer({ expire: (now) => expire(this, now) })
  }
}

/** What requests ask of the router they belong to. */
export interface Requester {
  readonly timers: Timers
  readonly table: RouteTable
  /** Nothing holds the destination any more, perhaps. */
  released(destination: Destination): void
}

export class Requests {
  private readonly router: Requester
  private readonly limit: number
  private count = 0
  private readonly expire = (request: PendingRequest, now: Instant): void => this.again(request, now)

  /** @param limit requests pending at the most; further ones are not made. */
  constructor(router: Requester, limit: number) {
    this.router = router
    this.limit = limit
  }

  get size(): number {
    return this.count
  }

  /** All feasible routes are gone: asks along the best of the others, if there is one (§3.8.2.1). */
  starving(destination: Destination, now: Instant): void {
    const best = bestOf(destination, null)
    if (best !== null) this.ask(best, now)
  }

  /** Asks for what would make a route feasible (§3.8.2.2). */
  ask(route: Route, now: Instant): void {
    const { destination, source, neighbour } = route
    // Where the way is short enough and only behind, the number that we know is all it needs: a newer one would have it
    // run after the others for ever.
    const behind = seqnoDifference(source.seqno, route.seqno) > 0 && route.refmetric < source.metric
    this.send(destination, source, behind ? source.seqno : (source.seqno + 1) & 0xffff, HOPS, neighbour, now)
  }

  /** Passes on a request that we cannot answer (§3.8.1.2), as long as there is room for more of our own. */
  forward(destination: Destination, request: SeqnoRequest, from: Neighbour, now: Instant): void {
    const { selected } = destination
    // The one in use, if it can be: an equal one would learn the number, and we go on to announce the old one.
    const route = selected !== null && selected.neighbour !== from ? selected : bestOf(destination, from)
    if (route !== null && request.hopCount > 1 && (destination.request !== null || this.count < this.limit >> 1)) {
      this.send(destination, request, request.seqno, request.hopCount - 1, route.neighbour, now)
    }
  }

  /** @returns whether the word answers what was asked for; the request is over then. */
  answered(destination: Destination, routerHigh: number, routerLow: number, seqno: number): boolean {
    const { request } = destination
    if (request === null || request.routerLow !== routerLow || request.routerHigh !== routerHigh) return false
    if (seqnoDifference(seqno, request.seqno) < 0) return false
    this.end(request)
    return true
  }

  clear(): void {
    for (const { request } of this.router.table.destinations.all) if (request !== null) this.end(request)
  }

  private send(
    destination: Destination,
    of: { readonly routerHigh: number; readonly routerLow: number },
    seqno: number,
    hops: number,
    to: Neighbour,
    now: Instant,
  ): void {
    const pending = destination.request
    if (pending !== null) {
      const same = pending.routerLow === of.routerLow && pending.routerHigh === of.routerHigh
      if (same && seqnoDifference(seqno, pending.seqno) <= 0) return
      this.end(pending)
    } else if (this.count >= this.limit) return
    const request = new PendingRequest(destination, of, seqno, hops, to, this.expire)
    destination.request = request
    this.count++
    this.transmit(request, to, now)
  }

  private transmit(request: PendingRequest, to: Neighbour, now: Instant): void {
    const { destination, seqno, hops, routerHigh, routerLow } = request
    to.interface.seqnoRequest(to, destination, seqno, hops, routerHigh, routerLow)
    this.router.timers.arm(request.timer, now + FIRST_WAIT * 2 ** request.attempts++)
  }

  private again(request: PendingRequest, now: Instant): void {
    const { destination, to } = request
    const route = destination.routeBy(to)
    const still = route !== null && route.metric !== INFINITY ? route : bestOf(destination, null)
    if (request.attempts < ATTEMPTS && still !== null) {
      this.transmit(request, still.neighbour, now)
      return
    }
    this.end(request)
    this.router.released(destination)
  }

  private end(request: PendingRequest): void {
    this.router.timers.cancel(request.timer)
    request.destination.request = null
    this.count--
  }
}

/** The best way to a destination that does not lead to `except`: a feasible one, or else any. */
function bestOf(destination: Destination, except: Neighbour | null): Route | null {
  let best: Route | null = null
  let bestFeasible = false
  for (let route = destination.routes; route !== null; route = route.following) {
    if (route.neighbour === except || route.metric === INFINITY) continue
    const { feasible } = route
    if (best === null || (feasible && !bestFeasible) || (feasible === bestFeasible && route.metric < best.metric)) {
      best = route
      bestFeasible = feasible
    }
  }
  return best
}
