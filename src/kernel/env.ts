/** Everything a layer may want that is not a packet of its neighbour: the only door to time, chance and memory. */
import type { Boundary, Encapsulation, Reasons } from './boundary.ts'
import type { Clock } from './clock.ts'
import type { Packet } from './packet.ts'
import type { Random } from './random.ts'
import type { Timers } from './timers.ts'
import type { Wire } from './wire.ts'

export interface Env {
  /** The node's name. */
  readonly node: string
  /** Where in the node this part stands: '' or the link's name; part of the names of boundaries and random streams. */
  readonly scope: string
  readonly clock: Clock
  readonly timers: Timers
  /**
   * The stream of chance of one layer. Cryptographic in real time; in a simulation derived from seed, node, scope and
   * `layer`, so that one more node, layer or tap changes no other stream.
   */
  random(layer: string): Random
  /** An empty packet with `headroom` octets in front and `room` octets for data and trailers. @throws NetError ENOMEM */
  packet(headroom: number, room: number): Packet
  /** A boundary called `node/scope/layer`; a second one of that name gets a number. */
  boundary<Address, Reason extends string>(
    layer: string,
    encapsulation: Encapsulation,
    reasons: Reasons<Reason>,
  ): Boundary<Address, Reason>
  /** What made the boundary has gone while the node stays: it is listed, captured and counted no more. */
  forget(boundary: { readonly name: string }): void
  /** Something that booting waits for; its rejection fails the boot and unwinds what was started. */
  starting(promise: Promise<unknown>): void
  /** Run when the node closes, newest first; a promise is awaited, within the node's deadline. */
  defer(cleanup: () => void | Promise<void>): void
  /**
   * Said by the API whenever it is called by, or calls, the application. A simulation then lets the application run
   * before virtual time moves on; in real time, the turn ends so that the application gets its own.
   */
  touched(): void
  /** Keeps the process alive until the returned function is called; protocol timers alone do not. */
  hold(): () => void
  /**
   * Says that this node is at an end of `wire`, so that a simulation can cut it; in real time nobody does. Call it once
   * per end, after `wire.nodes` names this node. The wire is forgotten when all the nodes that said so are closed.
   */
  wire(wire: Wire): void
}

/** The same env, one name deeper. */
export function scoped(env: Env, name: string): Env {
  return {
    ...env,
    scope: env.scope === '' ? name : `${env.scope}/${name}`,
    random: (layer) => env.random(`${name}/${layer}`),
    boundary: (layer, encapsulation, reasons) => env.boundary(`${name}/${layer}`, encapsulation, reasons),
  }
}
