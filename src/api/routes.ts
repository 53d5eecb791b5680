/** How a node's links, addresses, routes and neighbours are seen and changed from outside the network tier. */
import type { Duration } from '../kernel/clock.ts'
import type { NetworkRules } from './rules.ts'

/** A route as text. */
export interface RouteEntry {
  /** '10.0.0.0/24' */
  readonly prefix: string
  /** The next hop, or undefined when the destination is on the link itself. That of IPv4 may be an IPv6 address. */
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

/** A flow, as far as a choice among equal ways depends on it. What is left out counts as 0. */
export interface Flow {
  readonly source?: string | undefined
  /** 0 to 255: 6 is TCP, 17 UDP. */
  readonly protocol?: number | undefined
  readonly sourcePort?: number | undefined
  readonly destinationPort?: number | undefined
}

/** A route whose prefix holds a destination, and why it is taken or not. */
export interface RouteCandidate {
  readonly route: RouteEntry
  readonly chosen: boolean
  /**
   * Why it was not chosen: another has a longer prefix, its link is down and that of another is not, the metric of another is
   * lower, another came first, or the hash of the flow took another of equal ways. Of the chosen one, what set it
   * apart from the next.
   */
  readonly rule: 'longestPrefix' | 'linkDown' | 'metric' | 'older' | 'flowHash' | 'only'
}

/** What `explain` found. */
export interface RouteExplanation {
  readonly destination: string
  /** The destination is the node itself; packets to it take no route. */
  readonly local: boolean
  readonly chosen: RouteEntry | undefined
  /** Those of the longest prefix first. */
  readonly candidates: readonly RouteCandidate[]
}

export interface Routes {
  /**
   * Routes of the same prefix, metric and origin that lead different ways share the traffic, flow by flow.
   * @throws TypeError ERR_INVALID_ARG_VALUE — not a prefix, or an unknown link.
   * @throws NetError EEXIST — the same route is there. NetError ENETUNREACH — `via` is on no link.
   */
  add(route: NewRoute): void
  /** Removes what matches all fields given. @returns how many. */
  remove(route: NewRoute): number
  /** All of them, or those of exactly this prefix. @throws TypeError ERR_INVALID_ARG_VALUE */
  list(prefix?: string): RouteEntry[]
  /**
   * Tells of each route that has come or gone, whoever did it, by its prefix as `list` writes it. Called while the table changes:
   * what there is now is asked for later. So a large table need not be listed again to see what is new.
   * @returns a function that stops it.
   */
  follow(listener: (prefix: string) => void): () => void
  /** The route a destination takes, or undefined; the first of equal ones. @throws TypeError ERR_INVALID_ARG_VALUE */
  lookup(destination: string): RouteEntry | undefined
  /** Which routes there are to a destination, and why a packet of `flow` takes one of them. @throws TypeError ERR_INVALID_ARG_VALUE */
  explain(destination: string, flow?: Flow): RouteExplanation
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
  /** Another number each time that a link of the name comes: what was joined or learnt on the one before has gone with it. */
  readonly attachment: number
  readonly state: 'up' | 'down'
  readonly mtu: number
  readonly linkAddress: string | undefined
  /** With prefix lengths: '10.0.0.1/24'. */
  readonly addresses: readonly string[]
  /** What routers of the link tell of name servers, and domains to search (RFC 8106). */
  readonly nameServers: readonly string[]
  readonly searchDomains: readonly string[]
  /** Addresses of ours that other stations of the link use, as far as it is known and not long ago; 32 at the most. */
  readonly conflicts: readonly AddressConflict[]
}

/** An address of ours that another station has shown to be its own (RFC 4862 §5.4, RFC 5227). */
export interface AddressConflict {
  readonly address: string
  /** Of the station, where it has told. */
  readonly linkAddress: string | undefined
  /** We do not use it, as somebody had it before us; otherwise we keep it. */
  readonly lost: boolean
  /** How often the station has shown it, and for how long it has not, in microseconds. */
  readonly times: number
  readonly age: Duration
}

/** Told of a conflict and of the link it is on, by name. It must not throw. */
export type ConflictListener = (link: string, conflict: AddressConflict) => void

/** How often a rule of a policy matched, in the order of the rules; the last is the default. */
export interface PolicyCount {
  /** Each family counts its own packets. */
  readonly family: 'ipv4' | 'ipv6'
  readonly name: string
  readonly action: 'allow' | 'deny' | 'reject' | 'rewrite'
  readonly packets: number
}

/** How much came for a static route of groups. */
export interface GroupCount {
  /** '239.1.2.3', or a prefix of groups. */
  readonly group: string
  /** The sources it is for; undefined: all. */
  readonly source: string | undefined
  /** Names of the link it comes in by, and of those it goes on by. */
  readonly from: string
  readonly to: readonly string[]
  readonly packets: number
}

/** A port outside that stands for one inside (NAT). Of ICMP echo, ports are identifiers. */
export interface TranslationEntry {
  readonly protocol: 'tcp' | 'udp' | 'icmp'
  /** '192.168.0.2:5000' */
  readonly inside: string
  readonly outsidePort: number
  /** Remote ports it talks to. */
  readonly sessions: number
  /** It was configured, and stays. */
  readonly forward: boolean
}

/** A session of translation: it keeps a port outside, and says who may answer. Of ICMP echo, ports are identifiers. */
export interface TranslationSession {
  readonly protocol: TranslationEntry['protocol']
  /** '192.168.0.2:5000' */
  readonly inside: string
  readonly outsidePort: number
  /** '198.51.100.1:80', of ICMP '198.51.100.1' */
  readonly remote: string
  /** Microseconds until it ends, unless it is used. */
  readonly endsIn: number
}

/** What translation does, in figures. */
export interface TranslationStatus {
  /** The link to the outside, and its address there; undefined while it has none. */
  readonly link: string
  readonly address: string | undefined
  /** Ports given out, forwards included. */
  readonly ports: number
  readonly sessions: Readonly<Record<TranslationEntry['protocol'], number>>
  /** Sessions there can be. */
  readonly maxSessions: number
  /** Sessions that have ended before their time, since others needed their room. */
  readonly endedEarly: number
}

/** The handle on a node's network tier. */
export interface NetworkControl extends NetworkRules {
  readonly routes: Routes
  neighbours(): NeighbourEntry[]
  links(): LinkEntry[]
  /** @throws TypeError ERR_INVALID_ARG_VALUE — not an address with length, or no such link. NetError EEXIST, EADDRINUSE */
  addAddress(link: string, address: string): void
  /** Connections bound to the address fail with EADDRNOTAVAIL. @returns whether it was there. */
  removeAddress(link: string, address: string): boolean
  /** What the rules have met; empty without a policy. */
  policy(): PolicyCount[]
  /** The ports that translation has given out; empty without. */
  translations(): TranslationEntry[]
  /** Its figures; undefined without. */
  translation(): TranslationStatus | undefined
  /**
   * Its sessions, `limit` at the most; of each idle time first those that were used last.
   * @param host those alone whose inside or remote address this is. @throws TypeError ERR_INVALID_ARG_VALUE — no address.
   */
  translationSessions(limit: number, host?: string): TranslationSession[]
  /** The static routes of groups. */
  groups(): GroupCount[]
  /** The node's addresses of every link, without lengths. */
  addresses(): string[]
  /** Told after addresses, links, routes or what is known of paths have changed, by whomever. @returns a function that stops it. */
  onChange(listener: () => void): () => void
  /** Told when another station turns out to use an address of ours, once until that is over. @returns a function that stops it. */
  onConflict(listener: ConflictListener): () => void
}
