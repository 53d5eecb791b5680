/**
 * A router of Babel (RFC 8966): loop-free distance vectors. It owns neither clock nor socket.
 *
 *      input(packet) │       ▲ output()             packets of Babel, by link
 *                    ▼       │
 *     ┌─────────────────────────────────────┐
 *     │ reader ► neighbours ► routes ► announcer │ ◄── expire(now), once now >= deadline
 *     └─────────────────────────────────────┘
 *                    ▲       │
 *  announce/withdraw │       ▼ take()               destinations whose way has changed
 *
 * What it hears is bounded: neighbours of a link, routes of a neighbour, destinations, sources, requests. A neighbour that
 * says too much, or nonsense, costs what its packets cost to read, and is counted.
 */
import type { IpAddress } from '../../../../src/kernel/address.ts'
import { type Duration, type Instant, ms } from '../../../../src/kernel/clock.ts'
import type { Timed } from '../../../../src/kernel/machine.ts'
import { below, type Random } from '../../../../src/kernel/random.ts'
import { Timer, Timers } from '../../../../src/kernel/timers.ts'
import { EVERYTHING, type Filter, type SaidFilters } from '../service.ts'
import { Announcer, type Manners, type Speaker } from './announcer.ts'
import type { Refused } from './authenticator.ts'
import { TICK_US } from './calendar.ts'
import { Interface, type InterfaceSettings, type Outbox, type Outgoing } from './interface.ts'
import type { Neighbour } from './neighbour.ts'
import { Neighbourhood } from './neighbourhood.ts'
import {
  type Hello,
  type Ihu,
  isMartian,
  type RouteRequest,
  type SeqnoRequest,
  type TlvSink,
  type Update,
  type WirePrefix,
} from './pdu.ts'
import { type Fault, Reader } from './reader.ts'
import { Requests } from './requests.ts'
import { type Refusal, RouteTable } from './route-table.ts'
import type { Destination, Route } from './tables.ts'
import { centiseconds, INFINITY, seqnoDifference } from './tlv.ts'

/** Why a packet, or something in it, came to nothing. */
export type DropReason =
  | Fault
  | Refusal
  | Refused
  | 'notLinkLocal'
  | 'own'
  | 'stranger'
  | 'martian'
  | 'tooManyNeighbours'

export interface BabelSettings {
  /** The router-id: two int32 words, neither both 0 nor both -1 (RFC 8966 §4.1.3). */
  readonly routerHigh: number
  readonly routerLow: number
  readonly random: Random
  /** Default: everything. */
  readonly filters?: Partial<SaidFilters> | undefined
  /** Default 100,000. */
  readonly destinations?: number | undefined
  /** Default 20,000. */
  readonly routesPerNeighbour?: number | undefined
  /** Of one link. Default 256. */
  readonly neighbours?: number | undefined
}

/** Seqnos asked of us are given out this far apart. */
const SEQNO_GAP: Duration = ms(50)
const REQUESTS = 1024
const NEIGHBOURS = 256

export class Babel implements Timed, TlvSink, Speaker {
  readonly interfaces: Interface[] = []
  readonly timers: Timers = new Timers()
  readonly table: RouteTable
  readonly random: Random
  readonly routerHigh: number
  readonly routerLow: number
  seqno: number
  /** How often each reason occurred. */
  readonly drops: Map<DropReason, number> = new Map()

  private filters: SaidFilters
  private readonly announcer: Announcer
  private readonly requests: Requests
  private readonly neighbourhood: Neighbourhood
  private readonly reader: Reader
  private readonly ticker: Timer
  private nextSeqno: Instant = 0

  private readonly queue: Outgoing[] = []
  private sent: Outgoing | undefined
  private readonly begunOn: Interface[] = []
  private readonly spare: Uint8Array[] = []
  private readonly changes: Destination[] = []

  /** Of the packet that is being read. */
  private from: Neighbour | undefined
  private on: Interface | undefined
  private source: IpAddress | undefined
  private now: Instant = 0

  private readonly outbox: Outbox = {
    take: (octets) => {
      const spare = this.spare.pop()
      return spare !== undefined && spare.length >= octets ? spare : new Uint8Array(octets)
    },
    put: (packet) => this.queue.push(packet),
    begun: (owner) => {
      if (owner.begun) return
      owner.begun = true
      this.begunOn.push(owner)
    },
  }

  constructor(settings: BabelSettings) {
    this.filters = { ...EVERYTHING, ...settings.filters }
    this.random = settings.random
    this.routerHigh = settings.routerHigh
    this.routerLow = settings.routerLow
    this.seqno = below(this.random, 0x1_0000)
    const limits = {
      routesPerNeighbour: settings.routesPerNeighbour ?? 20_000,
      destinations: settings.destinations ?? 100_000,
    }
    this.table = new RouteTable(this, limits, this.random.uint32())
    this.announcer = new Announcer(this)
    this.requests = new Requests(this, REQUESTS)
    this.neighbourhood = new Neighbourhood(this, settings.neighbours ?? NEIGHBOURS)
    this.reader = new Reader((fault) => this.drop(fault))
    this.ticker = new Timer({ expire: (now) => this.tick(now) })
  }

  get announceFilter(): Filter {
    return this.filters.announce
  }

  get deadline(): Instant {
    return this.timers.next()
  }

  expire(now: Instant): void {
    this.timers.advance(now)
  }

  /** Begins to speak on a link. */
  attach(settings: InterfaceSettings, now: Instant): Interface {
    const added = new Interface(settings, this.outbox, below(this.random, 0x1_0000), (on, what, at) => {
      if (what === 'hello') this.neighbourhood.sayHello(on, at)
      else this.sayAll(on, at)
    })
    this.interfaces.push(added)
    this.timers.arm(added.helloTimer, now + below(this.random, Math.max(1, settings.helloInterval >> 3)))
    this.timers.arm(added.updateTimer, now + settings.updateInterval)
    return added
  }

  /** A link is gone: so are its neighbours, and what they had to say. */
  detach(removed: Interface, now: Instant): void {
    const at = this.interfaces.indexOf(removed)
    if (at < 0) return
    this.interfaces.splice(at, 1)
    this.timers.cancel(removed.helloTimer)
    this.timers.cancel(removed.updateTimer)
    for (const neighbour of [...removed.neighbours]) this.neighbourhood.remove(neighbour, now)
  }

  /**
   * Goes on by other filters, and with other uses of links. What is known stays, but for what is not to be known any more; and so
   * does what was ever announced, which keeps all ways free of loops (§3.5.1).
   * @param filters those that are others now. @param uses of the links that have others.
   */
  reconfigure(filters: Partial<SaidFilters>, uses: ReadonlyMap<Interface, InterfaceSettings>, now: Instant): void {
    const { announceFilter } = this
    const before = this.interfaces.map(({ settings: { splitHorizon } }) => ({ announceFilter, splitHorizon }))
    this.filters = { ...this.filters, ...filters }
    for (const [on, settings] of uses) {
      on.use(settings)
      const next = now + settings.updateInterval
      if (next < on.updateTimer.deadline) this.timers.arm(on.updateTimer, next)
      this.neighbourhood.reconfigured(on, now)
    }
    for (const on of filters.accept === undefined ? [] : this.interfaces) {
      for (const neighbour of on.neighbours) this.table.judge(neighbour, now)
      // What was refused is not remembered: it has to be said again (§3.8.1.1).
      if (on.neighbours.length > 0) on.routeRequest(null, null)
    }
    for (const [i, on] of this.interfaces.entries()) this.announcer.review(on, before[i] as Manners, now)
    this.keepTicking(now)
  }

  /** Takes leave of the neighbours of one link, which goes on to be there. */
  retire(on: Interface): void {
    on.retractAll(centiseconds(on.settings.updateInterval))
  }

  /** A packet of port 6696. @param to our address that it came to, or null: the group. */
  input(
    on: Interface,
    octets: Uint8Array,
    start: number,
    length: number,
    from: IpAddress,
    to: IpAddress | null,
    now: Instant,
  ): void {
    const refused = this.unwanted(on, octets, start, length, from, to, now)
    if (refused !== null) {
      this.drop(refused)
      return
    }
    this.now = now
    this.on = on
    this.source = from
    this.from = on.neighbour(from)
    this.reader.read(octets, start, length, this)
    this.from = this.on = this.source = undefined
    this.keepTicking(now)
  }

  /** The next packet to send, valid until the next call. */
  output(): Outgoing | undefined {
    if (this.sent !== undefined && this.spare.length < SPARE_PACKETS) this.spare.push(this.sent.octets)
    if (this.queue.length === 0) {
      for (const on of this.begunOn) {
        on.begun = false
        on.flush()
      }
      this.begunOn.length = 0
      this.queue.reverse() // taken from the end, sent in order
    }
    this.sent = this.queue.pop()
    return this.sent
  }

  /** Announces a destination as our own. @param metric 0 to 65534. @returns false when there are too many. */
  announce(prefix: WirePrefix, metric: number, now: Instant): boolean {
    return this.table.own(prefix, metric, now) !== null
  }

  /** Takes an announcement back. @returns whether it was one. */
  withdraw(prefix: WirePrefix, now: Instant): boolean {
    return this.table.disown(prefix, now)
  }

  /** A destination whose way, metric or reachability may have changed since it was last taken; undefined: no more. */
  take(): Destination | undefined {
    const destination = this.changes.pop()
    if (destination !== undefined) destination.changed = false
    return destination
  }

  /** Takes leave of all neighbours; `output` has what is to be said. Nothing is timed from now on. */
  close(): void {
    for (const on of this.interfaces) {
      this.retire(on)
      this.timers.cancel(on.helloTimer)
      this.timers.cancel(on.updateTimer)
      for (const neighbour of on.neighbours) this.neighbourhood.silence(neighbour)
    }
    this.announcer.stop()
    this.requests.clear()
    this.timers.cancel(this.ticker)
  }

  // What the reader finds in a packet.

  hello(hello: Hello): void {
    const { on, source, now } = this
    if (on === undefined || source === undefined) return
    this.from ??= this.neighbourhood.meet(on, source, now)
    if (this.from === undefined) this.drop('tooManyNeighbours')
    else this.neighbourhood.hello(this.from, hello, now)
  }

  ihu(ihu: Ihu): void {
    if (this.from === undefined) this.drop('stranger')
    else this.neighbourhood.ihu(this.from, ihu, this.now)
  }

  update(update: Update): void {
    const { from, now } = this
    if (from === undefined) {
      this.drop('stranger')
      return
    }
    if (update.wildcard) {
      this.table.retractAll(from, now)
      return
    }
    if (isMartian(update.prefix)) {
      this.drop('martian')
      return
    }
    const own = update.routerLow === this.routerLow && update.routerHigh === this.routerHigh
    const destination = this.table.update(from, update, own, now)
    if (destination === null || destination.request === null) return
    if (this.requests.answered(destination, update.routerHigh, update.routerLow, update.seqno)) {
      // Whoever asked is waiting for it.
      if (destination.selected !== null) this.announcer.trigger(destination, 2, now)
    }
  }

  routeRequest({ prefix }: RouteRequest): void {
    const { from, on, now } = this
    if (from === undefined || on === undefined) {
      this.drop('stranger')
      return
    }
    if (prefix === null) {
      // All neighbours get it, and it comes no more often than this.
      const at = Math.max(now + below(this.random, ms(50)), on.lastUpdate + (on.settings.updateInterval >> 3))
      if (at < on.updateTimer.deadline) this.timers.arm(on.updateTimer, at)
      return
    }
    const destination = this.table.destinations.find(prefix)
    if (destination !== null) this.announcer.say(destination, on, from, false, now)
    else this.announcer.takeBack(prefix, on, from)
  }

  seqnoRequest(request: SeqnoRequest): void {
    const { from, on, now } = this
    if (from === undefined || on === undefined) {
      this.drop('stranger')
      return
    }
    const destination = this.table.destinations.find(request.prefix)
    if (destination === null || destination.metric === INFINITY) return
    const { selected } = destination
    const same =
      request.routerLow === (selected?.source.routerLow ?? this.routerLow) &&
      request.routerHigh === (selected?.source.routerHigh ?? this.routerHigh)
    const newer = seqnoDifference(request.seqno, selected?.seqno ?? this.seqno) > 0
    if (!same || !newer) this.announcer.say(destination, on, from, false, now)
    else if (selected !== null) this.requests.forward(destination, request, from, now)
    else this.renew(destination, now)
  }

  ackRequest(opaque: number): void {
    if (this.from === undefined) this.drop('stranger')
    else this.from.interface.ack(this.from, opaque)
  }

  /** We ask for none. */
  ack(): void {}

  // What the tables ask.

  selected(destination: Destination, router: boolean, now: Instant): void {
    if (!destination.changed) {
      destination.changed = true
      this.changes.push(destination)
    }
    this.announcer.changed(destination, router, now)
  }

  starving(destination: Destination, now: Instant): void {
    this.requests.starving(destination, now)
  }

  unfeasible(route: Route, now: Instant): void {
    this.requests.ask(route, now)
  }

  ageing({ destination, neighbour }: Route): void {
    neighbour.interface.routeRequest(neighbour, destination)
  }

  accept(prefix: WirePrefix, metric: number, from: Neighbour): number {
    return this.filters.accept(prefix, metric, from.interface.settings.name)
  }

  costChanged(neighbour: Neighbour, now: Instant): void {
    this.table.costChanged(neighbour, now)
  }

  lost(neighbour: Neighbour, now: Instant): void {
    this.table.removeNeighbour(neighbour, now)
  }

  refused(why: Refusal): void {
    this.drop(why)
  }

  released(destination: Destination): void {
    this.table.release(destination)
  }

  private unwanted(
    on: Interface,
    octets: Uint8Array,
    start: number,
    length: number,
    from: IpAddress,
    to: IpAddress | null,
    now: Instant,
  ): DropReason | null {
    const { address, authenticator } = on.settings
    if (from.w0 >>> 22 !== LINK_LOCAL_BITS) return 'notLinkLocal'
    if (from.equals(address)) return 'own'
    if (authenticator === null) return null
    return authenticator.verify(octets, start, length, from, to, now, (peer, type, nonce) =>
      on.challenge(peer, type, nonce),
    )
  }

  private drop(reason: DropReason): void {
    this.drops.set(reason, (this.drops.get(reason) ?? 0) + 1)
  }

  private tick(now: Instant): void {
    this.table.advance(now)
    this.keepTicking(now)
  }

  /** Sees that the tables' calendars go on. */
  keepTicking(now: Instant): void {
    if (!this.ticker.armed && this.table.dated) this.timers.arm(this.ticker, (Math.floor(now / TICK_US) + 1) * TICK_US)
  }

  private sayAll(on: Interface, now: Instant): void {
    const { updateInterval } = on.settings
    if (on.neighbours.length > 0) this.announcer.sayAll(on, now)
    this.timers.arm(on.updateTimer, now + updateInterval - below(this.random, (updateInterval >> 4) + 1))
  }

  /** A neighbour needs a newer word from us (§3.8.1.2). */
  private renew(destination: Destination, now: Instant): void {
    if (now >= this.nextSeqno) {
      this.nextSeqno = now + SEQNO_GAP
      this.seqno = (this.seqno + 1) & 0xffff
    }
    this.announcer.trigger(destination, 2, now)
  }
}

const SPARE_PACKETS = 64
/** fe80::/10. */
const LINK_LOCAL_BITS = 0xfe800000 >>> 22
