/**
 * What the stack has to tell, for Node's own means of observing: diagnostics channels and NODE_DEBUG.
 *
 *   diagnostics_channel.subscribe('netstrata.tcp.drop', ({ boundary, reason, rfc, octets }) => …)
 *   diagnostics_channel.subscribe('netstrata.tcp.retransmission', …)      whatever a layer notes, by its own name
 *   diagnostics_channel.subscribe('netstrata.net.connect', ({ socket }) => …)      also accept, unanswered, error and close
 *   diagnostics_channel.subscribe('net.client.socket', …)      Node's own channels of sockets and servers, for tools that know those
 *   NODE_DEBUG=netstrata:tcp,netstrata:arp node …                          the same drops and notes as lines; or netstrata:*
 *
 * Drops and notes are rare events; a packet that passes costs nothing, and nothing is made for channels without subscribers.
 */
import { type Channel, channel, type TracingChannel, tracingChannel } from 'node:diagnostics_channel'
import { type DebugLogger, debuglog } from 'node:util'
import { setWitness, type Witness } from '../../kernel/boundary.ts'
import type { Packet } from '../../kernel/packet.ts'

/** The message of `netstrata.<layer>.drop` and `netstrata.<layer>.<event>`. */
export interface StackEvent {
  /** 'node/link/layer' */
  readonly boundary: string
  readonly reason: string
  /** The standard and section behind it; '' where it is our own decision. */
  readonly rfc: string
  /** Length of the packet concerned, as it is at this boundary; undefined when there is none. */
  readonly octets: number | undefined
  /** The packet itself: only during the call, and not to be changed. */
  readonly packet: Packet | null
}

/** The channels and the log of one layer. */
class LayerEvents {
  readonly log: DebugLogger
  private readonly layer: string
  private readonly channels: Map<string, Channel> = new Map()

  constructor(layer: string) {
    this.layer = layer
    this.log = debuglog(`netstrata:${layer}`)
  }

  tell(boundary: string, packet: Packet | null, event: string, reason: string, rfc: string): void {
    let subscribed = this.channels.get(event)
    if (subscribed === undefined) {
      subscribed = channel(`netstrata.${this.layer}.${event}`)
      this.channels.set(event, subscribed)
    }
    const octets = packet?.length
    if (subscribed.hasSubscribers) subscribed.publish({ boundary, reason, rfc, octets, packet } satisfies StackEvent)
    if (this.log.enabled) this.log('%s %s: %s%s', boundary, event, reason, rfc === '' ? '' : ` (${rfc})`)
  }
}

class Publisher implements Witness {
  private readonly layers: Map<string, LayerEvents> = new Map()
  private readonly byBoundary: WeakMap<object, LayerEvents> = new WeakMap()

  drop(boundary: { readonly name: string }, packet: Packet, reason: string, rfc: string): void {
    this.of(boundary).tell(boundary.name, packet, 'drop', reason, rfc)
  }

  note(boundary: { readonly name: string }, packet: Packet | null, event: string, reason: string, rfc: string): void {
    this.of(boundary).tell(boundary.name, packet, event, reason, rfc)
  }

  private of(boundary: { readonly name: string }): LayerEvents {
    const known = this.byBoundary.get(boundary)
    if (known !== undefined) return known
    // 'R/eth1/ethernet#2' is the layer 'ethernet'.
    const layer = boundary.name.slice(boundary.name.lastIndexOf('/') + 1).replace(/#\d+$/, '')
    const events = this.layers.get(layer) ?? new LayerEvents(layer)
    this.layers.set(layer, events)
    this.byBoundary.set(boundary, events)
    return events
  }
}

let publishing = false

/** Publishes what the boundaries of this thread tell, from now on. Further calls change nothing. */
export function publishStackEvents(): void {
  if (publishing) return
  publishing = true
  setWitness(new Publisher())
}

/**
 * Sockets of every node: { socket }; of a server also { server }; with what went wrong also { error }. `unanswered`: the same
 * segment has been sent again three times (RFC 9293 §3.8.3).
 */
export const NET_EVENTS: {
  readonly connect: Channel
  readonly accept: Channel
  readonly unanswered: Channel
  readonly error: Channel
  readonly close: Channel
} = {
  connect: channel('netstrata.net.connect'),
  accept: channel('netstrata.net.accept'),
  unanswered: channel('netstrata.net.unanswered'),
  error: channel('netstrata.net.error'),
  close: channel('netstrata.net.close'),
}

/** Node's own channels of `net`: { socket }; of a server's call of `listen` { server, options }, { server } or { server, error }. */
export const NODE_EVENTS: {
  readonly clientSocket: Channel
  readonly serverSocket: Channel
  readonly listen: Pick<TracingChannel, 'asyncStart' | 'asyncEnd' | 'error'>
} = {
  clientSocket: channel('net.client.socket'),
  serverSocket: channel('net.server.socket'),
  listen: tracingChannel('net.server.listen'),
}
