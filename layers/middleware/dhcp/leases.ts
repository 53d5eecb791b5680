/**
 * Whose the addresses of a pool are: a table of fixed size, from the first address to the last.
 *
 * A client keeps the place it had for as long as nobody needs it. A new one starts looking at a place that follows from who it is,
 * so that it gets the same address after the server has forgotten everything (as far as others left it), and the look-up of a free
 * one does not always begin with the same crowd.
 */
import type { MacAddress } from '../../../src/kernel/address.ts'
import type { Instant } from '../../../src/kernel/clock.ts'

/** Whom a lease is for: what a client calls itself, or else its hardware, as text. */
export type ClientKey = string

export interface Binding {
  readonly address: number
  key: ClientKey
  chaddr: MacAddress
  hostName: string
  /** 'free' has a former holder; 'declined' is in use by somebody unknown. */
  state: 'free' | 'offered' | 'leased' | 'declined'
  /** When that ends. */
  until: Instant
}

export class Leases {
  private readonly first: number
  private readonly size: number
  private readonly reserved: ReadonlySet<number>
  /** By place; undefined where nobody ever was. */
  private readonly places: (Binding | undefined)[]
  private readonly byKey = new Map<ClientKey, Binding>()

  /** @param first address of the pool, and how many. @param reserved those that are for certain clients, in the pool or not. */
  constructor(first: number, size: number, reserved: ReadonlySet<number>) {
    this.first = first
    this.size = size
    this.reserved = reserved
    this.places = new Array(size)
  }

  /** The place a client has or had; undefined when somebody else has it now. */
  of(key: ClientKey): Binding | undefined {
    return this.byKey.get(key)
  }

  *[Symbol.iterator](): Iterator<Binding> {
    yield* this.byKey.values()
    for (const binding of this.places) if (binding?.key === '') yield binding
  }

  /** Is it free for `key`, or its own? @param address any. */
  isFree(address: number, key: ClientKey, now: Instant): boolean {
    const place = this.placeOf(address)
    if (place < 0 || this.reserved.has(address)) return false
    const binding = this.places[place]
    return binding === undefined || binding.key === key || binding.state === 'free' || binding.until <= now
  }

  /** Gives a place: `address`, which has to be free or the client's own by reservation. What it had before is given up. */
  take(address: number, key: ClientKey): Binding {
    const before = this.byKey.get(key)
    const same = before?.address === address ? before : undefined
    if (before !== undefined && same === undefined) this.vacate(before)
    const place = this.placeOf(address)
    const there = place < 0 ? same : this.places[place]
    const binding = there ?? { address, key, chaddr: 0, hostName: '', state: 'free', until: 0 }
    if (binding.key !== key) this.byKey.delete(binding.key)
    binding.key = key
    if (place >= 0) this.places[place] = binding
    this.byKey.set(key, binding)
    return binding
  }

  /** Nobody may have the address for a while: it is in use. */
  decline(binding: Binding, until: Instant): void {
    this.byKey.delete(binding.key)
    binding.key = ''
    binding.state = 'declined'
    binding.until = until
  }

  /**
   * An address for a new client: one that nobody had, else the one that has been free the longest; and when there is none, one that was
   * offered and not asked for. @returns undefined: there is none at all.
   */
  findFree(key: ClientKey, now: Instant): number | undefined {
    const start = hash(key) % this.size
    let oldest: Binding | undefined
    let offered: Binding | undefined
    for (let i = 0; i < this.size; i++) {
      const place = (start + i) % this.size
      if (this.reserved.has((this.first + place) | 0)) continue
      const binding = this.places[place]
      if (binding === undefined) return (this.first + place) | 0
      if (binding.state === 'free' || binding.until <= now) {
        if (oldest === undefined || binding.until < oldest.until) oldest = binding
      } else if (binding.state === 'offered' && (offered === undefined || binding.until < offered.until)) {
        offered = binding
      }
    }
    return (oldest ?? offered)?.address
  }

  /** Takes back what an earlier run knew. Addresses that are no longer to be given are passed over. */
  restore(binding: Binding): void {
    const { address, key } = binding
    const place = this.placeOf(address)
    if (place < 0 ? !this.reserved.has(address) : this.reserved.has(address) && key === '') return
    // Nobody has a declined address, so several of them have no key.
    if (key !== '') Object.assign(this.take(address, key), binding)
    else if (place >= 0) this.places[place] = { ...binding }
  }

  private vacate(binding: Binding): void {
    this.byKey.delete(binding.key)
    const place = this.placeOf(binding.address)
    if (place >= 0) this.places[place] = undefined
  }

  private placeOf(address: number): number {
    const place = (address - this.first) | 0
    return place >= 0 && place < this.size ? place : -1
  }
}

/** FNV-1a: spreads, and need not withstand anybody, since a client chooses what it is called. */
function hash(key: string): number {
  let h = 0x811c_9dc5
  for (let i = 0; i < key.length; i++) h = Math.imul(h ^ key.charCodeAt(i), 0x0100_0193)
  return h >>> 0
}
