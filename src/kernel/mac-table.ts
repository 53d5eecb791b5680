/**
 * Which station is behind which peer of a tunnel or port of a bridge, learned from source addresses (RFC 7348 §4.1;
 * IEEE 802.1Q §8.7): a table of fixed size, in sets of eight entries.
 *
 * A set takes the place of chains and of deletion: an address is only looked for in its set, a new one takes the free,
 * expired or least recently heard entry there. So memory and time are bounded whatever a peer sends, and ageing needs
 * no timer. Which set an address belongs to is keyed, so that a peer cannot aim at one.
 */
import type { MacAddress } from './address.ts'
import type { Duration, Instant } from './clock.ts'

const WAYS = 8

/** What happened to entries since the table was made. */
export interface MacTableCounts {
  /** Addresses not known before. */
  learned: number
  /** Addresses that appeared behind another peer. */
  moved: number
  /** Entries that had to make room while they were still fresh. */
  evicted: number
}

/** A station that is known. */
export interface KnownStation {
  readonly address: MacAddress
  readonly peer: number
  /** Time since it was last heard. */
  readonly age: Duration
}

export class MacTable {
  readonly counts: MacTableCounts = { learned: 0, moved: 0, evicted: 0 }
  private readonly high: Int32Array
  private readonly low: Int32Array
  private readonly peers: Int32Array
  private readonly heard: Float64Array
  private readonly setMask: number
  private readonly lifetime: Duration
  private readonly key: number

  /**
   * @param capacity entries, rounded up to a power of two of at least eight.
   * @param lifetime how long an address is known after it was last heard.
   * @param key 32 random bits.
   */
  constructor(capacity: number, lifetime: Duration, key: number) {
    const sets = 1 << Math.max(0, Math.ceil(Math.log2(capacity / WAYS)))
    this.setMask = sets - 1
    this.lifetime = lifetime
    this.key = key | 0
    this.high = new Int32Array(sets * WAYS)
    this.low = new Int32Array(sets * WAYS)
    this.peers = new Int32Array(sets * WAYS)
    this.heard = new Float64Array(sets * WAYS).fill(Number.NEGATIVE_INFINITY)
  }

  /** Entries the table has room for. */
  get capacity(): number {
    return this.heard.length
  }

  /** Addresses known at `now`. */
  size(now: Instant): number {
    let count = 0
    for (const heard of this.heard) if (now - heard < this.lifetime) count++
    return count
  }

  /** Every station known at `now`, for listings. */
  list(now: Instant): KnownStation[] {
    const stations: KnownStation[] = []
    for (const [at, heard] of this.heard.entries()) {
      if (now - heard >= this.lifetime) continue
      const address = (this.high[at] as number) * 0x1_0000_0000 + ((this.low[at] as number) >>> 0)
      stations.push({ address, peer: this.peers[at] as number, age: now - heard })
    }
    return stations
  }

  /** The station `high`:`low` (the first two and the last four octets) was heard from `peer`, a number >= 0. */
  learn(high: number, low: number, peer: number, now: Instant): void {
    const found = this.find(high, low)
    if (found >= 0) {
      const fresh = now - (this.heard[found] as number) < this.lifetime
      if (!fresh) this.counts.learned++
      else if (this.peers[found] !== peer) this.counts.moved++
      this.peers[found] = peer
      this.heard[found] = now
      return
    }
    const at = this.oldest(high, low)
    if (now - (this.heard[at] as number) < this.lifetime) this.counts.evicted++
    this.counts.learned++
    this.high[at] = high
    this.low[at] = low
    this.peers[at] = peer
    this.heard[at] = now
  }

  /** @returns the peer a station was last heard from, or -1 when it is not known (any more). */
  lookUp(high: number, low: number, now: Instant): number {
    const at = this.find(high, low)
    return at < 0 || now - (this.heard[at] as number) >= this.lifetime ? -1 : (this.peers[at] as number)
  }

  /** Forgets all stations behind a peer. */
  forget(peer: number): void {
    for (const [at, known] of this.peers.entries()) if (known === peer) this.heard[at] = Number.NEGATIVE_INFINITY
  }

  private find(high: number, low: number): number {
    const from = this.firstOfSet(high, low)
    for (let at = from; at < from + WAYS; at++) {
      if (this.low[at] === low && this.high[at] === high && this.heard[at] !== Number.NEGATIVE_INFINITY) return at
    }
    return -1
  }

  private oldest(high: number, low: number): number {
    const from = this.firstOfSet(high, low)
    let oldest = from
    for (let at = from + 1; at < from + WAYS; at++) {
      if ((this.heard[at] as number) < (this.heard[oldest] as number)) oldest = at
    }
    return oldest
  }

  /** A multiplicative mix; the key makes it differ from node to node. */
  private firstOfSet(high: number, low: number): number {
    let h = Math.imul(low ^ this.key, 0x85eb_ca6b)
    h = Math.imul((h ^ (h >>> 15)) + (high ^ (this.key >>> 16)), 0xc2b2_ae35)
    return ((h ^ (h >>> 13)) & this.setMask) * WAYS
  }
}
