/**
 * The routing table: longest prefix match for both families.
 *
 * Among the routes of one prefix those over links that are up come first, then the lower metric, then the older one. A
 * prefix whose links are all down still owns its destinations: what was meant for a link does not leak to the default
 * gateway because somebody pulled the plug.
 *
 * Routes of one prefix, metric and origin that lead different ways are used together (equal-cost multipath): each flow
 * takes one of them, see `flow.ts`. What comes with addresses ('link') is not: the same network on two links has its stations on one.
 * What routers tell hosts ('ra') is by one link alone: the routers of another do not know the addresses that this one's gave.
 */
import { IpAddress } from '../../src/kernel/address.ts'
import { spreadOf, type Way } from './flow.ts'
import { maskOf, PrefixTrie } from './prefix-trie.ts'

/** What becomes of packets that take a route. */
export type RouteAction = 'forward' | 'blackhole' | 'unreachable' | 'prohibit'

/** Bits of an address before those of an IPv4 address. */
export const IPV4_BITS_BEFORE = 96

/** A route. Immutable once it is in a table, except for what the table keeps in it. */
export class Route implements Way {
  readonly prefix: IpAddress
  /** Bits of the four words that count: 0 to 128; for IPv4 96 to 128. */
  readonly length: number
  /** The next hop; null when the destination is on the link itself, or the route leads to none. */
  readonly via: IpAddress | null
  /** Index of the link; 0 for routes that lead to none. */
  readonly link: number
  readonly metric: number
  /** 'link', 'static', or the name of a routing protocol. */
  readonly origin: string
  readonly action: RouteAction
  readonly spread: number
  /** The table's: all routes of this prefix, when there are several. */
  siblings: Siblings | null = null

  /** @param prefix its bits beyond `length` are ignored. */
  constructor(
    prefix: IpAddress,
    length: number,
    via: IpAddress | null,
    link: number,
    metric: number,
    origin: string,
    action: RouteAction,
  ) {
    this.prefix = masked(prefix, length)
    this.length = length
    this.via = via === null ? null : via.clone()
    this.link = link
    this.metric = metric
    this.origin = origin
    this.action = action
    this.spread = spreadOf(link, via)
  }

  /** The routes among which a flow that takes this one, the best of its prefix, is to choose; itself included. */
  get equals(): readonly Route[] {
    return this.siblings?.equals ?? [this]
  }

  /** Do both lead the same way, said by the same? */
  same(other: Route): boolean {
    return (
      this.metric === other.metric &&
      this.origin === other.origin &&
      this.action === other.action &&
      this.link === other.link &&
      (this.via === null ? other.via === null : other.via !== null && this.via.equals(other.via))
    )
  }
}

/** The routes of one prefix that has several. */
export class Siblings {
  /** In order of preference while all links are up. */
  readonly all: Route[]
  /** Those in use: see the head of this file. */
  equals: readonly Route[] = []

  constructor(all: Route[]) {
    this.all = all
  }

  /** @returns the best one, now that links or routes have changed. */
  choose(down: ReadonlySet<number>): Route {
    const usable = this.all.filter(({ link }) => !down.has(link))
    const best = (usable[0] ?? this.all[0]) as Route
    const shares = best.action === 'forward' && best.origin !== 'link' && usable.length > 1
    this.equals = shares ? usable.filter((other) => sharesWith(best, other)) : [best]
    return best
  }
}

const sharesWith = (best: Route, other: Route): boolean =>
  other.metric === best.metric &&
  other.origin === best.origin &&
  other.action === 'forward' &&
  (best.origin !== 'ra' || other.link === best.link)

/** The table itself: addresses in, routes out; no text, no neighbours. */
export class RouteTable {
  /** Unlike that of other nodes, so that routers in a row do not all choose alike. Any int32. */
  seed = 0
  private readonly ipv4: PrefixTrie
  private readonly ipv6: PrefixTrie
  /** The best route of each prefix, by the number that the trie has for it; from 1. */
  private readonly best: (Route | null)[] = [null]
  /** Numbers that are free again. */
  private readonly unused: number[] = []
  /** Prefixes with several routes, which are all that a link concerns. */
  private readonly shared = new Map<Siblings, number>()
  private readonly down = new Set<number>()
  private readonly way: number[] = []
  private count = 0
  /** How many routes lead by a link. */
  private readonly byLink = new Map<number, number>()
  private watchers: readonly ((route: Route) => void)[] = []

  /** @param indexFrom for tests: see `PrefixTrie`. */
  constructor(indexFrom?: number) {
    this.ipv4 = new PrefixTrie(1, indexFrom)
    this.ipv6 = new PrefixTrie(4, indexFrom)
  }

  /** Routes in the table. */
  get size(): number {
    return this.count
  }

  /** Octets of the tries, without the routes themselves. */
  get octets(): number {
    return this.ipv4.octets + this.ipv6.octets
  }

  /** The route to an IPv4 address, or null. @param word the address as int32. */
  lookupIpv4(word: number): Route | null {
    return this.best[this.ipv4.lookupWord(word)] as Route | null
  }

  /** The route to an address of either family, or null. */
  lookup(address: IpAddress): Route | null {
    return address.isIpv4 ? this.lookupIpv4(address.w3) : (this.best[this.ipv6.lookup(address)] as Route | null)
  }

  /** The best route to an address over one link, or null. */
  lookupOn(address: IpAddress, link: number): Route | null {
    for (let i = this.trie(address).path(address, this.way) - 1; i >= 0; i--) {
      const best = this.best[this.way[i] as number] as Route
      const found = best.siblings === null ? best : best.siblings.all.find((route) => route.link === link)
      if (found?.link === link) return found
    }
    return null
  }

  /** All routes to an address, those of the longest prefix first, and among these the best. */
  matching(address: IpAddress): Route[] {
    const found = this.trie(address).path(address, this.way)
    return this.way
      .slice(0, found)
      .reverse()
      .flatMap((value) => this.routesOf(value))
  }

  /** Is the link of a route down? */
  isDown(route: Route): boolean {
    return this.down.has(route.link)
  }

  /** @returns false when the same prefix, metric and origin leads the same way already. */
  add(route: Route): boolean {
    const { prefix } = route
    const trie = this.trie(prefix)
    const length = bitsOf(route)
    const value = trie.get(prefix, length)
    if (value === 0) {
      const number = this.unused.pop() ?? this.best.length
      this.best[number] = route
      trie.set(prefix, length, number)
    } else {
      const routes = this.routesOf(value)
      if (routes.some((other) => other.same(route))) return false
      const at = routes.findIndex((other) => other.metric > route.metric)
      this.replace(value, at < 0 ? [...routes, route] : routes.toSpliced(at, 0, route))
    }
    this.counted(route, 1)
    for (const watcher of this.watchers) watcher(route)
    return true
  }

  /** Removes those routes of exactly this prefix that `matches` says yes to. @param length as a route has it. @returns how many. */
  removeAt(prefix: IpAddress, length: number, matches: (route: Route) => boolean): number {
    const doomed = this.at(prefix, length).filter(matches)
    for (const route of doomed) this.remove(route)
    return doomed.length
  }

  /** Removes all routes by a link. What came last, as links that come and go do, is looked at first. */
  removeLink(link: number): void {
    for (let value = this.best.length - 1; (this.byLink.get(link) ?? 0) > 0; value--) {
      for (const route of this.routesOf(value)) if (route.link === link) this.remove(route)
    }
  }

  /** Removes this very route. @returns whether it was there. */
  remove(route: Route): boolean {
    const { prefix } = route
    const trie = this.trie(prefix)
    const value = trie.get(prefix, bitsOf(route))
    const routes = this.routesOf(value)
    if (!routes.includes(route)) return false
    const left = routes.filter((other) => other !== route)
    this.replace(value, left)
    route.siblings = null
    if (left.length === 0) {
      trie.delete(prefix, bitsOf(route))
      this.unused.push(value)
    }
    this.counted(route, -1)
    for (const watcher of this.watchers) watcher(route)
    return true
  }

  /** @param watcher told of each route that has come or gone. @returns a function that stops it. */
  watch(watcher: (route: Route) => void): () => void {
    this.watchers = [...this.watchers, watcher]
    return () => {
      this.watchers = this.watchers.filter((other) => other !== watcher)
    }
  }

  /** The routes of exactly this prefix, best first while all links are up. @param length as a route has it. */
  at(prefix: IpAddress, length: number): readonly Route[] {
    return this.routesOf(this.trie(prefix).get(prefix, prefix.isIpv4 ? length - IPV4_BITS_BEFORE : length))
  }

  /** Tells the state of a link: routes over links that are down are used only where there is no other. */
  setLink(link: number, up: boolean): void {
    if (this.down.has(link) === !up) return
    if (up) this.down.delete(link)
    else this.down.add(link)
    for (const [siblings, value] of this.shared) this.best[value] = siblings.choose(this.down)
  }

  /** All routes: IPv4 first, each family in the order of prefixes. */
  *routes(): IterableIterator<Route> {
    for (const trie of [this.ipv4, this.ipv6]) for (const value of trie.values()) yield* this.routesOf(value)
  }

  private trie(address: IpAddress): PrefixTrie {
    return address.isIpv4 ? this.ipv4 : this.ipv6
  }

  private routesOf(value: number): Route[] {
    const best = this.best[value] as Route | null
    return best === null ? [] : (best.siblings?.all ?? [best])
  }

  private counted({ link }: Route, change: 1 | -1): void {
    this.count += change
    const left = (this.byLink.get(link) ?? 0) + change
    if (left === 0) this.byLink.delete(link)
    else this.byLink.set(link, left)
  }

  /** Gives a prefix other routes than it has. */
  private replace(value: number, routes: Route[]): void {
    const before = (this.best[value] as Route).siblings
    if (before !== null) this.shared.delete(before)
    const siblings = routes.length > 1 ? new Siblings(routes) : null
    for (const route of routes) route.siblings = siblings
    this.best[value] = siblings?.choose(this.down) ?? routes[0] ?? null
    if (siblings !== null) this.shared.set(siblings, value)
  }
}

/** A route's length as its family counts it. */
const bitsOf = ({ prefix, length }: Route): number => (prefix.isIpv4 ? length - IPV4_BITS_BEFORE : length)

function masked(address: IpAddress, length: number): IpAddress {
  return new IpAddress(
    address.w0 & maskOf(length, 0),
    address.w1 & maskOf(length, 1),
    address.w2 & maskOf(length, 2),
    address.w3 & maskOf(length, 3),
  )
}
