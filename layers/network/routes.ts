/**
 * The routing table: longest prefix match for both families in a path-compressed binary trie (Morrison 1968).
 *
 * A node stands for a prefix; below it hang at most two, by the bit that follows the prefix. Look-up walks down while
 * the prefixes match and remembers the last node that holds routes. Bits are counted over the four words of an address,
 * so IPv4's /n is 96 + n; each family has a root of its own, and IPv4's walk compares the last word alone.
 *
 *              0.0.0.0/0
 *             /         \
 *      10.0.0.0/8     192.168.0.0/16
 *        /      \
 *   10.0.0.0/24  10.128.0.0/9
 *
 * Among the routes of one prefix those over links that are up come first, then the lower metric, then the older one. A
 * prefix whose links are all down still owns its destinations: what was meant for a link does not leak to the default
 * gateway because somebody pulled the plug.
 */
import { IpAddress } from '../../src/kernel/address.ts'

/** What becomes of packets that take a route. */
export type RouteAction = 'forward' | 'blackhole' | 'unreachable' | 'prohibit'

/** Bits of an address before those of an IPv4 address. */
export const IPV4_BITS_BEFORE = 96

/** A route. Immutable once it is in a table. */
export class Route {
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
  }
}

class TrieNode {
  readonly prefix: IpAddress
  readonly length: number
  readonly m0: number
  readonly m1: number
  readonly m2: number
  readonly m3: number
  /** The bit that chooses a child, in the word of number `word`; 0 when the prefix is a whole address. */
  readonly word: number
  readonly bit: number
  zero: TrieNode | null = null
  one: TrieNode | null = null
  /** In order of preference while all links are up. */
  routes: Route[] = []
  /** The one in use: see the head of this file. */
  best: Route | null = null

  constructor(prefix: IpAddress, length: number) {
    this.prefix = masked(prefix, length)
    this.length = length
    this.m0 = maskOf(length, 0)
    this.m1 = maskOf(length, 1)
    this.m2 = maskOf(length, 2)
    this.m3 = maskOf(length, 3)
    this.word = length >> 5
    this.bit = length === 128 ? 0 : 1 << (31 - (length & 31))
  }

  child(address: IpAddress): TrieNode | null {
    return (wordOf(address, this.word) & this.bit) !== 0 ? this.one : this.zero
  }

  setChild(address: IpAddress, child: TrieNode | null): void {
    if ((wordOf(address, this.word) & this.bit) !== 0) this.one = child
    else this.zero = child
  }

  matches(address: IpAddress): boolean {
    const { prefix } = this
    return (
      ((address.w3 ^ prefix.w3) & this.m3) === 0 &&
      ((address.w2 ^ prefix.w2) & this.m2) === 0 &&
      ((address.w1 ^ prefix.w1) & this.m1) === 0 &&
      ((address.w0 ^ prefix.w0) & this.m0) === 0
    )
  }
}

/** The table itself: addresses in, routes out; no text, no neighbours. */
export class RouteTable {
  private readonly root4 = new TrieNode(new IpAddress(), IPV4_BITS_BEFORE)
  private readonly root6 = new TrieNode(new IpAddress(0, 0, 0, 0), 0)
  private readonly down = new Set<number>()
  private count = 0

  /** Routes in the table. */
  get size(): number {
    return this.count
  }

  /** The route to an IPv4 address, or null. @param word the address as int32. */
  lookupIpv4(word: number): Route | null {
    let best: Route | null = null
    let node: TrieNode | null = this.root4
    while (node !== null && ((word ^ node.prefix.w3) & node.m3) === 0) {
      if (node.best !== null) best = node.best
      node = (word & node.bit) !== 0 ? node.one : node.zero
    }
    return best
  }

  /** The route to an address of either family, or null. */
  lookup(address: IpAddress): Route | null {
    if (address.isIpv4) return this.lookupIpv4(address.w3)
    let best: Route | null = null
    let node: TrieNode | null = this.root6
    while (node?.matches(address)) {
      if (node.best !== null) best = node.best
      node = node.child(address)
    }
    return best
  }

  /** The best route to an address over one link, or null. */
  lookupOn(address: IpAddress, link: number): Route | null {
    let best: Route | null = null
    let node: TrieNode | null = this.root(address)
    while (node?.matches(address)) {
      best = node.routes.find((route) => route.link === link) ?? best
      node = node.child(address)
    }
    return best
  }

  /** @returns false when the same prefix, metric and origin is there already. */
  add(route: Route): boolean {
    const node = this.place(route)
    const same = (other: Route) => other.metric === route.metric && other.origin === route.origin
    if (node.routes.some(same)) {
      this.prune(route.prefix, route.length)
      return false
    }
    const at = node.routes.findIndex((other) => other.metric > route.metric)
    node.routes.splice(at < 0 ? node.routes.length : at, 0, route)
    this.choose(node)
    this.count++
    return true
  }

  /** Removes the routes `matches` says yes to. @returns how many. */
  removeWhere(matches: (route: Route) => boolean): number {
    const doomed: Route[] = []
    for (const route of this.routes()) if (matches(route)) doomed.push(route)
    for (const route of doomed) this.remove(route)
    return doomed.length
  }

  /** Removes this very route. @returns whether it was there. */
  remove(route: Route): boolean {
    const node = this.find(route.prefix, route.length)
    const at = node?.routes.indexOf(route) ?? -1
    if (node === null || at < 0) return false
    node.routes.splice(at, 1)
    this.choose(node)
    this.count--
    this.prune(route.prefix, route.length)
    return true
  }

  /** The routes of exactly this prefix, best first. */
  at(prefix: IpAddress, length: number): readonly Route[] {
    return this.find(prefix, length)?.routes ?? []
  }

  /** Tells the state of a link: routes over links that are down are used only where there is no other. */
  setLink(link: number, up: boolean): void {
    if (this.down.has(link) === !up) return
    if (up) this.down.delete(link)
    else this.down.add(link)
    for (const node of this.nodes()) this.choose(node)
  }

  /** All routes: IPv4 first, each family in the order of prefixes. */
  *routes(): IterableIterator<Route> {
    for (const node of this.nodes()) yield* node.routes
  }

  private *nodes(): IterableIterator<TrieNode> {
    const waiting: TrieNode[] = [this.root6, this.root4]
    for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
      yield node
      if (node.one !== null) waiting.push(node.one)
      if (node.zero !== null) waiting.push(node.zero)
    }
  }

  private root(address: IpAddress): TrieNode {
    return address.isIpv4 ? this.root4 : this.root6
  }

  private choose(node: TrieNode): void {
    const { routes } = node
    node.best = routes.find((route) => !this.down.has(route.link)) ?? routes[0] ?? null
  }

  private find(prefix: IpAddress, length: number): TrieNode | null {
    let node: TrieNode | null = this.root(prefix)
    while (node !== null && node.length < length && node.matches(prefix)) node = node.child(prefix)
    return node !== null && node.length === length && node.matches(prefix) ? node : null
  }

  /** The node of a route's prefix, made if necessary. */
  private place({ prefix, length }: Route): TrieNode {
    let node = this.root(prefix)
    while (node.length < length) {
      const child = node.child(prefix)
      const common = child === null ? length : Math.min(commonBits(prefix, child.prefix), child.length, length)
      if (child !== null && common === child.length) {
        node = child
        continue
      }
      const made = new TrieNode(prefix, common)
      if (child !== null) made.setChild(child.prefix, child)
      node.setChild(prefix, made)
      node = made
    }
    return node
  }

  /** Takes out the node of a prefix, and its fork above, where they hold nothing any more. */
  private prune(prefix: IpAddress, length: number): void {
    const path: TrieNode[] = []
    let node: TrieNode | null = this.root(prefix)
    while (node !== null && node.length <= length && node.matches(prefix)) {
      path.push(node)
      node = node.child(prefix)
    }
    for (let i = path.length - 1; i > 0; i--) {
      const idle = path[i] as TrieNode
      if (idle.routes.length > 0 || (idle.zero !== null && idle.one !== null)) return
      path[i - 1]?.setChild(prefix, idle.zero ?? idle.one)
    }
  }
}

function wordOf(address: IpAddress, word: number): number {
  return word === 0 ? address.w0 : word === 1 ? address.w1 : word === 2 ? address.w2 : address.w3
}

/** The mask that a prefix of `length` bits has in one of the four words. */
function maskOf(length: number, word: number): number {
  const bits = length - 32 * word
  return bits <= 0 ? 0 : bits >= 32 ? -1 : -1 << (32 - bits)
}

function masked(address: IpAddress, length: number): IpAddress {
  return new IpAddress(
    address.w0 & maskOf(length, 0),
    address.w1 & maskOf(length, 1),
    address.w2 & maskOf(length, 2),
    address.w3 & maskOf(length, 3),
  )
}

/** How many leading bits two addresses share. */
function commonBits(a: IpAddress, b: IpAddress): number {
  for (let word = 0; word < 4; word++) {
    const difference = wordOf(a, word) ^ wordOf(b, word)
    if (difference !== 0) return 32 * word + Math.clz32(difference)
  }
  return 128
}
