/** What a router of RIP keeps: links, and one way to each destination. */
import type { IpAddress, Prefix } from '../../../../src/kernel/address.ts'
import type { Duration, Instant } from '../../../../src/kernel/clock.ts'
import { Timer } from '../../../../src/kernel/timers.ts'
import { TokenBucket } from '../../../../src/kernel/token-bucket.ts'
import { INFINITY } from './pdu.ts'

/** How a link is used. */
export interface InterfaceSettings {
  readonly name: string
  /** What one hop costs: 1 to 15. */
  readonly cost: number
  /** Only listen. */
  readonly passive: boolean
  /** Octets of the largest message: at least a header and one entry. */
  readonly maxOctets: number
  /** Our addresses on the link; their prefixes are what is on it. */
  readonly prefixes: readonly Prefix[]
}

/** Routers remembered on a link. */
const NEIGHBOURS = 256

/** A router that was heard on a link. */
export interface Neighbour {
  readonly address: IpAddress
  heardAt: Instant
}

/** Answers a second to requests, and how many at once: an answer may be far larger than its request. */
const ANSWERS = 10

/** A link that RIP speaks on. */
export class Interface {
  settings: InterfaceSettings
  readonly answers: TokenBucket = new TokenBucket(ANSWERS, ANSWERS)
  /** Those that were heard last, in no order. */
  readonly neighbours: Neighbour[] = []

  constructor(settings: InterfaceSettings) {
    this.settings = settings
  }

  /** A router has spoken. Where there are too many of them, one not heard for `patience` gives way, or this one is not noted. */
  heard(from: IpAddress, now: Instant, patience: Duration): void {
    const known = this.neighbours.find(({ address }) => address.equals(from))
    if (known !== undefined) {
      known.heardAt = now
      return
    }
    const silent = this.neighbours.findIndex(({ heardAt }) => now - heardAt > patience)
    if (silent < 0 && this.neighbours.length >= NEIGHBOURS) return
    this.neighbours.splice(silent < 0 ? this.neighbours.length : silent, 1, { address: from.clone(), heardAt: now })
  }
}

/** A destination, and the way to it, if there is one; its timer ends the way, and then what is remembered of it. */
export class Destination {
  readonly address: IpAddress
  readonly length: number
  readonly timer: Timer
  /** 1 to 16, our own hop included. */
  metric: number = INFINITY
  /** As the router has it that says it, 1 to 16. */
  said: number = INFINITY
  /** Our own announcement: 1 to 15; 16: there is none. */
  own: number = INFINITY
  tag = 0
  /** The link, the router that says it, and where packets go; null for what is our own. */
  interface: Interface | null = null
  from: IpAddress | null = null
  nextHop: IpAddress | null = null
  heardAt: Instant = 0
  /** It has changed since the last update, and since it was last taken. */
  changed = false
  untold = false

  constructor(prefix: Prefix, expire: (destination: Destination, now: Instant) => void) {
    this.address = prefix.address.clone()
    this.length = prefix.length
    this.timer = new Timer({ expire: (now) => expire(this, now) })
  }
}

/** How long things last. In µs. */
export interface Times {
  /** Between regular updates. */
  readonly update: Duration
  /** Without a word on a route, it leads nowhere. */
  readonly timeout: Duration
  /** And is forgotten so much later. */
  readonly garbage: Duration
}
