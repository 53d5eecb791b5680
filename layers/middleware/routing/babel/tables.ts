/**
 * What a router knows (RFC 8966 §3.2): destinations, the routes to each by neighbour, and the sources each has had.
 *
 *    Destination ──► routes   one a neighbour: the neighbour's last word
 *         │     └──► sources  one a router-id: the best we have ever announced, which makes loops impossible
 *         └────────► selected
 *
 * There may be a million of these in a process: lists are linked through the objects, instants are small integers.
 */
import type { IpAddress } from '../../../../src/kernel/address.ts'
import type { Dated } from './calendar.ts'
import type { Neighbour } from './neighbour.ts'
import type { WirePrefix } from './pdu.ts'
import type { PendingRequest } from './requests.ts'
import { INFINITY, seqnoDifference } from './tlv.ts'

/** The best that was announced for a prefix of one router (§3.2.5): the feasibility distance. */
export class Source implements Dated {
  readonly destination: Destination
  readonly routerHigh: number
  readonly routerLow: number
  seqno = 0
  /** The distance; -1: nothing was announced, everything is feasible. */
  metric = -1
  /** Routes that have it. */
  users = 0
  /** Of its destination. */
  following: Source | null = null

  due = 0
  previous: Dated | null = null
  next: Dated | null = null

  constructor(destination: Destination, routerHigh: number, routerLow: number) {
    this.destination = destination
    this.routerHigh = routerHigh
    this.routerLow = routerLow
  }

  /** May a route with this word of a neighbour be used without fear of a loop (§3.5.1)? */
  feasible(seqno: number, metric: number): boolean {
    if (metric === INFINITY || this.metric < 0) return true
    const newer = seqnoDifference(seqno, this.seqno)
    return newer > 0 || (newer === 0 && metric < this.metric)
  }

  /** This is being announced (§3.7.3). */
  announced(seqno: number, metric: number): void {
    const newer = seqnoDifference(seqno, this.seqno)
    if (this.metric >= 0 && newer < 0) return
    if (this.metric < 0 || newer > 0 || metric < this.metric) {
      this.seqno = seqno
      this.metric = metric
    }
  }
}

/** A neighbour's last word on a destination (§3.2.6). */
export class Route implements Dated {
  readonly destination: Destination
  readonly neighbour: Neighbour
  source: Source
  seqno = 0
  /** What the neighbour has announced. */
  refmetric: number = INFINITY
  /** And what our rules make of that. */
  accepted: number = INFINITY
  /** With the cost of the link to it. */
  metric: number = INFINITY
  /** The metric as it has been of late (appendix A.3); `smoothedAt` in milliseconds. */
  smoothed: number = INFINITY
  smoothedAt = 0
  nextHop: IpAddress
  /** How often the neighbour was asked to say it again, as it is about to expire (§3.8.2.3). */
  asked = 0
  /** Of its destination. */
  following: Route | null = null
  /** Of its neighbour. */
  nextOfNeighbour: Route | null = null
  previousOfNeighbour: Route | null = null

  due = 0
  previous: Dated | null = null
  next: Dated | null = null

  constructor(destination: Destination, neighbour: Neighbour, source: Source, nextHop: IpAddress) {
    this.destination = destination
    this.neighbour = neighbour
    this.source = source
    this.nextHop = nextHop
  }

  get feasible(): boolean {
    return this.source.feasible(this.seqno, this.refmetric)
  }
}

export class Destination implements WirePrefix, Dated {
  readonly address: IpAddress
  readonly length: number
  routes: Route | null = null
  sources: Source | null = null
  selected: Route | null = null
  /** The metric we announce it with as our own; -1: it is not ours. */
  own = -1
  /** The metric others last heard of us; -1: they have heard nothing. */
  advertised = -1
  /** Waits to be announced: 0 no, 1 soon, 2 at once. */
  triggered = 0
  /** How often it is to be announced again, as a lost word would harm. */
  repeats = 0
  /** Waits to be told to the owner. */
  changed = false
  request: PendingRequest | null = null
  /** Place among all destinations. */
  index = -1

  due = 0
  previous: Dated | null = null
  next: Dated | null = null

  constructor({ address, length }: WirePrefix) {
    this.address = address.clone()
    this.length = length
  }

  get isIpv4(): boolean {
    return this.address.isIpv4
  }

  /** What we announce, unless a link has something to say against it. */
  get metric(): number {
    return this.own >= 0 ? this.own : (this.selected?.metric ?? INFINITY)
  }

  /** Nothing is known any more. */
  get idle(): boolean {
    return this.routes === null && this.sources === null && this.own < 0 && this.request === null
  }

  routeBy(neighbour: Neighbour): Route | null {
    let route = this.routes
    while (route !== null && route.neighbour !== neighbour) route = route.following
    return route
  }

  sourceOf(routerHigh: number, routerLow: number): Source | null {
    let source = this.sources
    while (source !== null && (source.routerLow !== routerLow || source.routerHigh !== routerHigh)) {
      source = source.following
    }
    return source
  }

  dropRoute(route: Route): void {
    if (this.routes === route) this.routes = route.following
    else {
      let before = this.routes as Route
      while (before.following !== route) before = before.following as Route
      before.following = route.following
    }
    route.following = null
  }

  dropSource(source: Source): void {
    if (this.sources === source) this.sources = source.following
    else {
      let before = this.sources as Source
      while (before.following !== source) before = before.following as Source
      before.following = source.following
    }
    source.following = null
  }
}

/** Are they one? Bits beyond the length must be 0 in both. */
export const samePrefix = (a: WirePrefix, b: WirePrefix): boolean =>
  a.length === b.length && a.address.equals(b.address)

/** All destinations, by prefix: open addressing, under a secret that no neighbour can aim at. */
export class Destinations {
  /** In no order; none is missing. */
  readonly all: Destination[] = []
  private slots: (Destination | null)[] = new Array<Destination | null>(16).fill(null)
  private readonly secret: number

  /** @param secret 32 bits of chance. */
  constructor(secret: number) {
    this.secret = secret | 1
  }

  find(prefix: WirePrefix): Destination | null {
    return this.slots[this.place(prefix)] as Destination | null
  }

  /** @param prefix one that is not there. */
  add(prefix: WirePrefix): Destination {
    if (this.all.length * 2 >= this.slots.length) this.grow()
    const destination = new Destination(prefix)
    this.slots[this.place(prefix)] = destination
    destination.index = this.all.length
    this.all.push(destination)
    return destination
  }

  remove(destination: Destination): void {
    const last = this.all.pop() as Destination
    if (last !== destination) {
      this.all[destination.index] = last
      last.index = destination.index
    }
    destination.index = -1
    const mask = this.slots.length - 1
    let hole = this.place(destination)
    this.slots[hole] = null
    // What was put off by the one that leaves moves up.
    for (let at = (hole + 1) & mask; this.slots[at]; at = (at + 1) & mask) {
      const other = this.slots[at] as Destination
      const home = this.hash(other) & mask
      if (((at - home) & mask) >= ((at - hole) & mask)) {
        this.slots[hole] = other
        this.slots[at] = null
        hole = at
      }
    }
  }

  private grow(): void {
    this.slots = new Array<Destination | null>(this.slots.length * 2).fill(null)
    for (const destination of this.all) this.slots[this.place(destination)] = destination
  }

  /** Where the prefix is, or would be. */
  private place(prefix: WirePrefix): number {
    const mask = this.slots.length - 1
    let at = this.hash(prefix) & mask
    for (;;) {
      const there = this.slots[at] as Destination | null
      if (there === null || samePrefix(there, prefix)) return at
      at = (at + 1) & mask
    }
  }

  private hash({ address, length }: WirePrefix): number {
    let hash = this.secret ^ length
    hash = mix(hash ^ address.w3)
    if (address.w0 !== 0) hash = mix(mix(mix(hash ^ address.w0) ^ address.w1) ^ address.w2)
    return hash
  }
}

function mix(word: number): number {
  const half = Math.imul(word ^ (word >>> 16), 0x7feb352d)
  const other = Math.imul(half ^ (half >>> 15), 0x846ca68b | 0)
  return other ^ (other >>> 16)
}
