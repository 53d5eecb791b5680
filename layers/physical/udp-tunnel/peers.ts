/**
 * The peers of a tunnel: those configured, and, where the tunnel learns peers, those heard from. Each has a number that
 * stays, which is what the MAC table keeps.
 */
import type { Duration, Instant } from '../../../src/kernel/clock.ts'
import type { Endpoint } from './endpoint.ts'

export interface Peer extends Endpoint {
  /** Its place in `slots`. */
  readonly index: number
  /** From the configuration, so not to be forgotten. */
  readonly permanent: boolean
  heard: Instant
}

export class Peers {
  /** Peers by number; null where one has left. */
  readonly slots: (Peer | null)[] = []
  /** All peers, for flooding. */
  all: readonly Peer[] = []
  private readonly limit: number
  private readonly lifetime: Duration
  /** By port too; where source ports say nothing, as with VXLAN, by host alone. */
  private readonly byPort: boolean
  private readonly known = new Map<string, Peer>()
  /** The last one found: rarely does the next datagram come from another. */
  private lastHost = ''
  private lastPort = -1
  private last: Peer | null = null

  /** @param limit peers at the most. @param lifetime after which a learned peer that was not heard may be replaced. */
  constructor(limit: number, lifetime: Duration, byPort: boolean) {
    this.limit = limit
    this.lifetime = lifetime
    this.byPort = byPort
  }

  /** The peer a datagram came from, or null. */
  find(host: string, port: number): Peer | null {
    if (host === this.lastHost && (port === this.lastPort || !this.byPort) && this.last !== null) return this.last
    const peer = this.known.get(this.keyOf(host, port)) ?? null
    if (peer !== null) {
      this.lastHost = host
      this.lastPort = port
      this.last = peer
    }
    return peer
  }

  /** @returns the peer, the one already known if it is; or null when there is no room. */
  add(to: Endpoint, permanent: boolean, now: Instant): Peer | null {
    const key = this.keyOf(to.host, to.port)
    const known = this.known.get(key)
    if (known !== undefined && (known.permanent || !permanent)) return known
    if (known === undefined && this.known.size >= this.limit && !this.makeRoom(now)) return null
    // One that becomes permanent keeps its number: stations are known behind it.
    const free = known?.index ?? this.slots.indexOf(null)
    const index = free < 0 ? this.slots.length : free
    const peer: Peer = { host: to.host, port: to.port, index, permanent, heard: now }
    this.slots[index] = peer
    this.known.set(key, peer)
    this.changed()
    return peer
  }

  /** @returns the peer that was removed, or null. */
  removeAt(to: Endpoint): Peer | null {
    const peer = this.known.get(this.keyOf(to.host, to.port)) ?? null
    if (peer !== null) this.remove(peer)
    return peer
  }

  private makeRoom(now: Instant): boolean {
    let oldest: Peer | null = null
    for (const peer of this.all) if (!peer.permanent && (oldest === null || peer.heard < oldest.heard)) oldest = peer
    if (oldest === null || now - oldest.heard < this.lifetime) return false
    this.remove(oldest)
    return true
  }

  private remove(peer: Peer): void {
    this.slots[peer.index] = null
    this.known.delete(this.keyOf(peer.host, peer.port))
    this.changed()
  }

  private changed(): void {
    this.all = this.slots.filter((peer) => peer !== null)
    this.last = null
  }

  private keyOf(host: string, port: number): string {
    return this.byPort ? `${host} ${port}` : host
  }
}
