/** Fills messages: regular and triggered updates, requests, and answers. */
import type { IpAddress, Prefix } from '../../../../src/kernel/address.ts'
import type { Filter } from '../service.ts'
import { type Codec, ENTRY_OCTETS, HEADER_OCTETS, INFINITY, REQUEST, RESPONSE } from './pdu.ts'
import type { Destination, Interface } from './route.ts'

/** A message to be sent. */
export interface Outgoing {
  readonly interface: Interface
  /** Who asked; null: the group of all routers, and the protocol's port. */
  readonly to: Asker | null
  readonly octets: Uint8Array
  readonly length: number
}

export interface Asker {
  readonly address: IpAddress
  readonly port: number
}

export class Sayer {
  private readonly codec: Codec
  private filter: Filter
  private readonly queue: Outgoing[] = []
  private on!: Interface
  private to: Asker | null = null
  private octets!: Uint8Array
  private view!: DataView
  private length = 0

  /** @param filter what is said of what is known. */
  constructor(codec: Codec, filter: Filter) {
    this.codec = codec
    this.filter = filter
  }

  output(): Outgoing | undefined {
    return this.queue.shift()
  }

  /** Asks all routers of a link for everything. */
  request(on: Interface): void {
    this.begin(on, null)
    this.open(REQUEST)
    this.codec.writeEverything(this.view, HEADER_OCTETS)
    this.length += ENTRY_OCTETS
    this.end()
  }

  /**
   * Says what is known: all, what has changed, or that nothing leads over us. What was learnt on a link leads nowhere for those
   * who hear us there: split horizon with poisoned reverse (RFC 2453 §3.4.3).
   */
  say(on: Interface, all: Iterable<Destination>, what: 'all' | 'changed' | 'nothing', to: Asker | null): void {
    const { passive, name } = on.settings
    if (passive) return
    this.begin(on, to)
    for (const destination of all) {
      if (what === 'changed' && !destination.changed) continue
      const { metric, tag } = destination
      const permitted = this.filter(destination, Math.min(metric, INFINITY - 1), name)
      if (permitted === INFINITY && metric < INFINITY) continue
      const poisoned = what === 'nothing' || destination.interface === on || metric === INFINITY
      this.put(destination, poisoned ? INFINITY : permitted, tag)
    }
    this.end()
  }

  /** Goes on by another filter: says what links are to hear of others than before, and takes back what they are to hear no more. */
  refilter(filter: Filter, links: readonly Interface[], all: Iterable<Destination>): void {
    const before = this.filter
    this.filter = filter
    const known = [...all].filter(({ metric }) => metric < INFINITY)
    for (const on of links) {
      const { passive, name } = on.settings
      if (passive) continue
      this.begin(on, null)
      for (const destination of known) {
        if (destination.interface === on) continue
        const metric = filter(destination, destination.metric, name)
        if (metric !== before(destination, destination.metric, name)) this.put(destination, metric, destination.tag)
      }
      this.end()
    }
  }

  /** Begins a response. */
  begin(on: Interface, to: Asker | null): void {
    this.on = on
    this.to = to
    this.length = 0
  }

  put(prefix: Prefix, metric: number, tag: number): void {
    if (this.length === 0) this.open(RESPONSE)
    this.codec.write(this.view, this.length, prefix.address, prefix.length, tag, metric)
    this.length += ENTRY_OCTETS
    if (this.length + ENTRY_OCTETS > this.octets.length) this.end()
  }

  /** Hands over what has been filled, if anything. */
  end(): void {
    if (this.length === 0) return
    this.queue.push({ interface: this.on, to: this.to, octets: this.octets, length: this.length })
    this.length = 0
  }

  private open(command: number): void {
    const fit = Math.floor((this.on.settings.maxOctets - HEADER_OCTETS) / ENTRY_OCTETS)
    this.octets = new Uint8Array(HEADER_OCTETS + Math.min(fit, this.codec.mostEntries) * ENTRY_OCTETS)
    this.view = new DataView(this.octets.buffer)
    this.view.setUint8(0, command)
    this.view.setUint8(1, this.codec.version)
    this.length = HEADER_OCTETS
  }
}
