/**
 * The one abstraction of this project.
 *
 * A *service* is what a layer offers to the layer above it: hand me packets, I carry them.
 * A *user* is what a layer is to the layer below it: packets that arrive are handed to me.
 * A *layer* takes the service below and returns the service it builds on top of it.
 *
 *        user.receive(packet, from)          service.send(packet, to)
 *                  ▲                                   │
 *   ───────────────┴────────── boundary ───────────────▼───────────────
 *
 * Everything else (queues, taps, routers, sockets) is made of these three types.
 *
 * An `Address` object is scratch: it belongs to the caller, is valid only during the call, and is never kept.
 */
import type { Boundary } from './boundary.ts'
import type { Env } from './env.ts'
import type { Packet } from './packet.ts'

export type LinkState = 'up' | 'down'

/** The lower side of a boundary. `Address` says where one packet goes to, or came from. */
export interface Service<Address> {
  /** Largest packet on the wire, in octets. `send` also takes super-segments where the link's `offload` says so. */
  readonly mtu: number
  /** Octets that must be free before and after a packet given to `send`, for ALL layers below. */
  readonly headroom: number
  readonly tailroom: number
  /** Users, counters and taps of this boundary. */
  readonly boundary: Boundary<Address>
  /**
   * Takes ownership of `packet`. Best effort: a packet may be lost below, never corrupted silently.
   * Never calls `receive` or `ready` before it returns.
   *
   * @returns false when the queue below is full: the packet was still taken, but stop until `ready()`.
   */
  send(packet: Packet, to: Address): boolean
}

/** The upper side of a boundary. */
export interface User<Address> {
  /** Takes ownership of `packet`. Never throws on malformed input: it counts a drop instead. */
  receive(packet: Packet, from: Address): void
  /** The service below can take packets again after a `send` that returned false. */
  ready?(): void
  /** The link below went up, went down for `reason`, or its `mtu` or `headroom` changed while up. */
  linkChanged?(state: LinkState, reason: string): void
}

/** A layer: given the service below, build the service above. Runs once per node, when it is stacked. */
export type Layer<Below, Above> = (below: Below, env: Env) => Above

/** A stack that has not been booted. It may boot many nodes, unless it says otherwise (a cable's end: one). */
export type Blueprint<Top> = (env: Env) => Top
