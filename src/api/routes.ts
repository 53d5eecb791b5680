/** How a node's links, addresses, routes and neighbours are seen and changed from outside the network tier. */

/** A route as text. */
export interface RouteEntry {
  /** '10.0.0.0/24' */
  readonly prefix: string
  /** The next hop, or undefined when the destination is on the link itself. */
  readonly via: string | undefined
  /** The link's name; undefined for routes that lead to no link. */
  readonly link: string | undefined
  /** The lower one wins among equal prefixes. */
  readonly metric: number
  /** 'link' comes with an address, 'static' was configured; routing protocols name themselves. */
  readonly origin: string
  /** What happens to packets that take it. */
  readonly action: 'forward' | 'blackhole' | 'unreachable' | 'prohibit'
}

/** What `add` takes; `prefix` is required, and `via` or `link` for routes that forward. */
export type NewRoute = Pick<RouteEntry, 'prefix'> & Partial<RouteEntry>

export interface Routes {
  /**
   * @throws TypeError ERR_INVALID_ARG_VALUE — not a prefix, or an unknown link.
   * @throws NetError EEXIST — the same prefix, metric and origin is there. NetError ENETUNREACH — `via` is on no link.
   */
  add(route: NewRoute): void
  /** Removes what matches all fields given. @returns how many. */
  remove(route: NewRoute): number
  list(): RouteEntry[]
  /** The route a destination takes, or undefined. @throws TypeError ERR_INVALID_ARG_VALUE */
  lookup(destination: string): RouteEntry | undefined
}

/** A neighbour on a link, as text. */
export interface NeighbourEntry {
  readonly address: string
  readonly link: string
  readonly linkAddress: string | undefined
  readonly state: 'incomplete' | 'reachable' | 'stale' | 'delay' | 'probe' | 'failed' | 'permanent'
}

export interface LinkEntry {
  readonly name: string
  readonly state: 'up' | 'down'
  readonly mtu: number
  readonly linkAddress: string | undefined
  /** With prefix lengths: '10.0.0.1/24'. */
  readonly addresses: readonly string[]
}

/** The handle on a node's network tier. */
export interface NetworkControl {
  readonly routes: Routes
  neighbours(): NeighbourEntry[]
  links(): LinkEntry[]
  /** @throws TypeError ERR_INVALID_ARG_VALUE — not an address with length, or no such link. NetError EEXIST, EADDRINUSE */
  addAddress(link: string, address: string): void
  /** Connections bound to the address fail with EADDRNOTAVAIL. @returns whether it was there. */
  removeAddress(link: string, address: string): boolean
  /** The node's addresses of every link, without lengths. */
  addresses(): string[]
}
