/**
 * Takes in what neighbours say of destinations and selects the ways to go (RFC 8966 §3.5, §3.6).
 *
 * Work is bounded by what an event concerns: an update, its destination; a link's cost, the routes by it. Nothing looks at
 * the whole table.
 */
import type { IpAddress } from '../../../../src/kernel/address.ts'
import { type Instant, seconds } from '../../../../src/kernel/clock.ts'
import { Calendar, tickOf } from './calendar.ts'
import type { Neighbour } from './neighbour.ts'
import type { Update, WirePrefix } from './pdu.ts'
import { type Destination, Destinations, Route, Source, samePrefix } from './tables.ts'
import { INFINITY } from './tlv.ts'

/** How long a source is remembered after it was last announced (§3.7.3). */
const SOURCE_LIFE = seconds(180)
/** Routes live this many update intervals; those in use are asked about then. */
const UPDATES_OF_LIFE = 3.5
/** Time after which half of a change of metric is believed (appendix A.3), milliseconds. */
const HALF_LIFE_MS = 4000
/** Sources of one destination: more is a lie. */
const SOURCES_EACH = 16

/** Why an update came to nothing. */
export type Refusal = 'filtered' | 'tooManyRoutes' | 'tooManyDestinations' | 'tooManySources'

export interface Limits {
  /** Routes one neighbour may have with us. */
  readonly routesPerNeighbour: number
  readonly destinations: number
}

/** What is asked of, and told to, the router the table belongs to. */
export interface RouteEvents {
  /** What is announced of a destination may have changed. @param router its router is another one. */
  selected(destination: Destination, router: boolean, now: Instant): void
  /** The last feasible route is gone. */
  starving(destination: Destination, now: Instant): void
  /** A route that would be used is not feasible. */
  unfeasible(route: Route, now: Instant): void
  /** A selected route will expire soon. */
  ageing(route: Route): void
  /** @returns the metric to take it at; INFINITY: not at all. */
  accept(prefix: WirePrefix, metric: number, from: Neighbour): number
  refused(why: Refusal): void
}

export class RouteTable {
  readonly destinations: Destinations
  private readonly events: RouteEvents
  private readonly limits: Limits
  private readonly routes: Calendar<Route> = new Calendar((route, now) => this.expired(route, now))
  private readonly sources: Calendar<Source> = new Calendar((source, now) => this.forget(source, now))
  /** Destinations for which a better way waits to be believed. */
  private readonly unsettled: Calendar<Destination> = new Calendar((destination, now) => this.select(destination, now))

  constructor(events: RouteEvents, limits: Limits, secret: number) {
    this.events = events
    this.limits = limits
    this.destinations = new Destinations(secret)
  }

  /** Anything in a calendar? */
  get dated(): boolean {
    return this.routes.size + this.sources.size + this.unsettled.size > 0
  }

  /** Routes, sources and destinations whose time has come. */
  advance(now: Instant): void {
    this.routes.advance(now)
    this.sources.advance(now)
    this.unsettled.advance(now)
  }

  /** Announces a destination as our own, or again with another metric. @returns null when there are too many. */
  own(prefix: WirePrefix, metric: number, now: Instant): Destination | null {
    const destination = this.destinations.find(prefix) ?? this.create(prefix)
    if (destination === null) return null
    const first = destination.own < 0
    destination.own = metric
    destination.selected = null
    this.events.selected(destination, first, now)
    return destination
  }

  /** @returns whether it was ours. */
  disown(prefix: WirePrefix, now: Instant): boolean {
    const destination = this.destinations.find(prefix)
    if (destination === null || destination.own < 0) return false
    destination.own = -1
    this.reselect(destination, null, true, now)
    return true
  }

  /** An update by a neighbour (§3.5.3). @param own the router-id is ours: our own words come back. */
  update(from: Neighbour, update: Update, own: boolean, now: Instant): Destination | null {
    const guess = from.expected
    const guessed = guess !== null && samePrefix(guess.destination, update.prefix)
    let destination = guessed ? guess.destination : this.destinations.find(update.prefix)
    const route = guessed ? guess : (destination?.routeBy(from) ?? null)
    if (route !== null) from.expected = route.previousOfNeighbour
    let accepted = update.metric
    if (accepted !== INFINITY && !own) {
      accepted = this.events.accept(update.prefix, accepted, from)
      if (accepted === INFINITY) this.events.refused('filtered')
    }
    if (accepted === INFINITY || own) {
      if (route !== null) this.retract(route, now)
      return null
    }
    if (destination === null) {
      destination = from.routeCount < this.limits.routesPerNeighbour ? this.create(update.prefix) : null
      if (destination === null) {
        this.events.refused(from.routeCount < this.limits.routesPerNeighbour ? 'tooManyDestinations' : 'tooManyRoutes')
        return null
      }
    }
    if (route === null) this.learn(destination, from, update, accepted, now)
    else this.relearn(route, update, accepted, now)
    return destination
  }

  /** A neighbour takes back all it has announced. */
  retractAll(from: Neighbour, now: Instant): void {
    for (let route = from.routes; route !== null; route = route.nextOfNeighbour) this.retract(route, now)
  }

  /** The cost of the link to a neighbour has changed. */
  costChanged(neighbour: Neighbour, now: Instant): void {
    for (let route = neighbour.routes; route !== null; route = route.nextOfNeighbour) {
      if (route.refmetric !== INFINITY) this.revalue(route, now)
    }
  }

  /** The rules for what neighbours say have changed: what one has said is held against them. What they refuse is as if retracted. */
  judge(neighbour: Neighbour, now: Instant): void {
    for (let route = neighbour.routes; route !== null; route = route.nextOfNeighbour) {
      if (route.refmetric === INFINITY) continue
      const accepted = this.events.accept(route.destination, route.refmetric, neighbour)
      if (accepted === route.accepted) continue
      route.accepted = accepted
      if (accepted === INFINITY) this.retract(route, now)
      else this.revalue(route, now)
    }
  }

  /** A neighbour is no more. */
  removeNeighbour(neighbour: Neighbour, now: Instant): void {
    let route = neighbour.routes
    while (route !== null) {
      const following: Route | null = route.nextOfNeighbour
      this.remove(route, now)
      route = following
    }
  }

  /** Frees a destination of which nothing is known any more. */
  release(destination: Destination): void {
    if (!destination.idle || destination.index < 0) return
    this.unsettled.remove(destination)
    this.destinations.remove(destination)
  }

  /** This is being announced: what is worse is not feasible from now on. */
  announced(route: Route, metric: number, now: Instant): void {
    const { source } = route
    source.announced(route.seqno, metric)
    source.due = tickOf(now + SOURCE_LIFE)
  }

  clear(): void {
    for (const destination of this.destinations.all) {
      this.unsettled.remove(destination)
      for (let source = destination.sources; source !== null; source = source.following) this.sources.remove(source)
      for (let route = destination.routes; route !== null; route = route.following) this.routes.remove(route)
    }
  }

  private create(prefix: WirePrefix): Destination | null {
    return this.destinations.all.length < this.limits.destinations ? this.destinations.add(prefix) : null
  }

  private learn(destination: Destination, from: Neighbour, update: Update, accepted: number, now: Instant): void {
    if (from.routeCount >= this.limits.routesPerNeighbour) {
      this.events.refused('tooManyRoutes')
      return
    }
    const source = this.source(destination, update, now)
    if (source === null) return
    const route = new Route(destination, from, source, nextHopOf(from, update))
    source.users++
    route.following = destination.routes
    destination.routes = route
    route.nextOfNeighbour = from.routes
    if (from.routes !== null) from.routes.previousOfNeighbour = route
    from.routes = route
    from.routeCount++
    this.routes.enter(route, dueOf(update, now))
    this.assign(route, source, update, accepted, now)
    this.select(destination, now)
    if (destination.selected !== route && !route.feasible && this.wanted(route)) this.events.unfeasible(route, now)
  }

  private relearn(route: Route, update: Update, accepted: number, now: Instant): void {
    const { destination } = route
    const source =
      route.source.routerLow === update.routerLow && route.source.routerHigh === update.routerHigh
        ? route.source
        : this.source(destination, update, now)
    if (source === null) return
    if (
      source === route.source &&
      update.seqno === route.seqno &&
      update.metric === route.refmetric &&
      sameHop(route, update)
    ) {
      this.routes.move(route, dueOf(update, now))
      route.asked = 0
      if (this.wanted(route) && !route.feasible) this.events.unfeasible(route, now)
      return
    }
    const feasible = source.feasible(update.seqno, update.metric)
    if (route === destination.selected && !feasible && source === route.source) {
      // It may be ignored, and a newer sequence number asked for: the way is free of loops as it was (§3.5.3, §3.8.2.2).
      this.events.unfeasible(route, now)
      return
    }
    const selected = route === destination.selected
    const router = selected && source !== route.source
    const hop = route.nextHop
    route.nextHop = nextHopOf(route.neighbour, update)
    this.routes.move(route, dueOf(update, now))
    this.assign(route, source, update, accepted, now)
    this.reselect(destination, destination.selected, router || (selected && hop !== route.nextHop), now)
    if (destination.selected !== route && !feasible && this.wanted(route)) this.events.unfeasible(route, now)
  }

  private assign(route: Route, source: Source, update: Update, accepted: number, now: Instant): void {
    if (source !== route.source) {
      const old = route.source
      route.source = source
      source.users++
      this.unuse(old)
    }
    route.seqno = update.seqno
    route.refmetric = update.metric
    route.accepted = accepted
    route.asked = 0
    this.weigh(route, now)
  }

  /** What it costs may have changed, and with it which way is the best. */
  private revalue(route: Route, now: Instant): void {
    this.weigh(route, now)
    const { selected } = route.destination
    if (selected === route || selected === null || route.metric < selected.metric) this.select(route.destination, now)
  }

  private weigh(route: Route, now: Instant): void {
    smooth(route, now)
    const before = route.metric
    route.metric = sum(route.accepted, route.neighbour.cost)
    if (before === INFINITY || route.metric === INFINITY) route.smoothed = route.metric
  }

  private source(destination: Destination, { routerHigh, routerLow }: Update, now: Instant): Source | null {
    const known = destination.sourceOf(routerHigh, routerLow)
    if (known !== null) return known
    let count = 0
    for (let source = destination.sources; source !== null; source = source.following) count++
    if (count >= SOURCES_EACH) {
      this.events.refused('tooManySources')
      return null
    }
    const source = new Source(destination, routerHigh, routerLow)
    source.following = destination.sources
    destination.sources = source
    this.sources.enter(source, tickOf(now + SOURCE_LIFE))
    return source
  }

  private unuse(source: Source): void {
    source.users--
    if (source.users === 0 && source.metric < 0) this.dropSource(source)
  }

  private dropSource(source: Source): void {
    this.sources.remove(source)
    source.destination.dropSource(source)
  }

  private forget(source: Source, now: Instant): void {
    if (source.users > 0) {
      this.sources.enter(source, tickOf(now + SOURCE_LIFE))
      return
    }
    source.destination.dropSource(source)
    this.release(source.destination)
  }

  private retract(route: Route, now: Instant): void {
    if (route.refmetric === INFINITY) return
    route.refmetric = route.accepted = route.metric = route.smoothed = INFINITY
    if (route.destination.selected === route) this.select(route.destination, now)
  }

  /** Life has several ends: first the neighbour is asked, then the route is as good as retracted, then it is forgotten. */
  private expired(route: Route, now: Instant): void {
    if (route.refmetric === INFINITY) {
      this.remove(route, now)
      return
    }
    if (route.asked < QUESTIONS && route.destination.selected === route) {
      route.asked++
      this.routes.enter(route, tickOf(now) + 1)
      this.events.ageing(route)
      return
    }
    this.routes.enter(route, tickOf(now) + HOLD_TICKS)
    this.retract(route, now)
  }

  private remove(route: Route, now: Instant): void {
    const { destination, neighbour, source } = route
    this.routes.remove(route)
    destination.dropRoute(route)
    if (route.previousOfNeighbour !== null) route.previousOfNeighbour.nextOfNeighbour = route.nextOfNeighbour
    else neighbour.routes = route.nextOfNeighbour
    if (route.nextOfNeighbour !== null) route.nextOfNeighbour.previousOfNeighbour = route.previousOfNeighbour
    if (neighbour.expected === route) neighbour.expected = null
    neighbour.routeCount--
    const selected = destination.selected === route
    if (selected) {
      route.metric = INFINITY
      this.select(destination, now)
    } else if (destination.routes === null) {
      this.events.selected(destination, false, now) // what was unreachable is unknown now
    }
    this.unuse(source)
    this.release(destination)
  }

  private wanted(route: Route): boolean {
    const { selected, own } = route.destination
    return own < 0 && (selected === null || route.metric < selected.metric)
  }

  private select(destination: Destination, now: Instant): void {
    this.reselect(destination, destination.selected, false, now)
  }

  /** @param old the one in use until now. @param router what it says has changed its router, or its next hop. */
  private reselect(destination: Destination, old: Route | null, router: boolean, now: Instant): void {
    if (destination.own >= 0) return
    let best: Route | null = null
    let least = INFINITY
    for (let route = destination.routes; route !== null; route = route.following) {
      if (route.metric === INFINITY || !route.feasible) continue
      smooth(route, now)
      least = Math.min(least, route.metric)
      if (best === null || route.smoothed < best.smoothed) best = route
    }
    if (old !== null && best !== null && best !== old && old.metric !== INFINITY && old.feasible) {
      // Only what is better now and has been so for a while replaces what works (appendix A.3).
      if (best.metric >= old.metric || best.smoothed >= old.smoothed) best = old
    }
    destination.selected = best
    if (best !== null && least < best.metric) this.unsettled.enter(destination, tickOf(now) + 1)
    this.events.selected(destination, router || best?.source !== old?.source, now)
    if (best === null && old !== null) this.events.starving(destination, now)
  }
}

/** Times, a tick apart, that the neighbour is asked; questions and answers may be lost. */
const QUESTIONS = 3
const HOLD_TICKS = 60

const sum = (refmetric: number, cost: number): number =>
  cost === INFINITY ? INFINITY : Math.min(INFINITY, refmetric + cost)

/** When a route that an update speaks of expires; its interval is in centiseconds. */
const dueOf = ({ interval }: Update, now: Instant): number => tickOf(now + interval * 10_000 * UPDATES_OF_LIFE)

/** Brings the smoothed metric to now: it nears the metric by half in each half-life. */
function smooth(route: Route, now: Instant): void {
  const at = (now / 1000) | 0
  if (route.smoothed !== route.metric) {
    const elapsed = (at - route.smoothedAt) | 0
    const rest = (route.smoothed - route.metric) * 2 ** (-elapsed / HALF_LIFE_MS)
    route.smoothed = route.metric + (Math.abs(rest) < 1 ? 0 : Math.trunc(rest))
  }
  route.smoothedAt = at
}

/** The next hop as an object that lasts: the neighbour's own, where it is the same. */
function nextHopOf(neighbour: Neighbour, { nextHop }: Update): IpAddress {
  if (nextHop === null || nextHop.equals(neighbour.address)) return neighbour.address
  if (neighbour.nextHop4?.equals(nextHop)) return neighbour.nextHop4
  const copy = nextHop.clone()
  if (copy.isIpv4) neighbour.nextHop4 = copy
  return copy
}

function sameHop({ nextHop, neighbour }: Route, update: Update): boolean {
  return nextHop.equals(update.nextHop ?? neighbour.address)
}
