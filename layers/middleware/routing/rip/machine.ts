/**
 * A router of RIP (RFC 2453 §3, RFC 2080 §2): distance vectors that count to 16. It owns neither clock nor socket, and speaks
 * one of the two protocols, as its codec says.
 *
 *      input(message) │       ▲ output()           messages, by link
 *                     ▼       │
 *            ┌─────────────────────────┐
 *            │  routes ► changes ► say │ ◄── expire(now), once now >= deadline
 *            └─────────────────────────┘
 *                     │       ▲
 *              take() ▼       │ announce/withdraw  destinations whose way has changed
 *
 * There may be loops for a while, which counting to 16 ends; split horizon with poisoned reverse prevents those of two
 * routers. What is heard is bounded by the number of destinations.
 */
import { type IpAddress, type Prefix, parsePrefix } from '../../../../src/kernel/address.ts'
import { type Instant, seconds } from '../../../../src/kernel/clock.ts'
import type { Timed } from '../../../../src/kernel/machine.ts'
import { below, type Random } from '../../../../src/kernel/random.ts'
import { Timer, Timers } from '../../../../src/kernel/timers.ts'
import { covers, EVERYTHING, type SaidFilters } from '../service.ts'
import { type Codec, ENTRY_OCTETS, Entry, type EntryFault, HEADER_OCTETS, INFINITY, REQUEST, RESPONSE } from './pdu.ts'
import { Destination, Interface, type InterfaceSettings, type Neighbour, type Times } from './route.ts'
import { type Outgoing, Sayer } from './sayer.ts'

/**
 * Why a message, or an entry of one, came to nothing. 'badLength': not a header and whole entries. 'badPort': a response that is
 * none of a router's. 'notNeighbour': not from the link. 'tooManyRequests': not answered. 'tooMany': destinations.
 */
export type DropReason =
  | EntryFault
  | 'badLength'
  | 'badVersion'
  | 'badCommand'
  | 'badPort'
  | 'notNeighbour'
  | 'own'
  | 'tooManyRequests'
  | 'tooMany'

export interface RipSettings {
  readonly codec: Codec
  readonly random: Random
  readonly times?: Times | undefined
  /** Default: everything. */
  readonly filters?: Partial<SaidFilters> | undefined
  /** Default 10,000. */
  readonly destinations?: number | undefined
}

const TIMES: Times = { update: seconds(30), timeout: seconds(180), garbage: seconds(120) }
const DESTINATIONS = 10_000

export class Rip implements Timed {
  readonly codec: Codec
  readonly interfaces: Interface[] = []
  /** How often each reason occurred. */
  readonly drops: Map<DropReason, number> = new Map()
  private readonly settings: RipSettings
  private times: Times
  private filters: SaidFilters
  private readonly timers = new Timers()
  private readonly table = new Map<string, Destination>()
  private readonly taken: Destination[] = []
  private readonly sayer: Sayer
  private readonly regular: Timer
  /** Runs while triggered updates have to wait, and then says what has changed meanwhile (RFC 2453 §3.10.1). */
  private readonly rest: Timer
  private changes = false
  private readonly entry = new Entry()

  constructor(settings: RipSettings) {
    const { codec, times = TIMES } = settings
    this.settings = settings
    this.codec = codec
    this.times = times
    this.filters = { ...EVERYTHING, ...settings.filters }
    this.sayer = new Sayer(codec, this.filters.announce)
    this.regular = new Timer({ expire: (now) => this.sayAll(now) })
    this.rest = new Timer({ expire: (now) => this.trigger(now) })
  }

  get deadline(): Instant {
    return this.timers.next()
  }

  /** All that is known, unreachable ones and our own included, in no order. */
  get destinations(): Iterable<Destination> {
    return this.table.values()
  }

  find(prefix: Prefix): Destination | undefined {
    return this.table.get(keyOf(prefix.address, prefix.length))
  }

  /** Routers of a link that were heard within the time in which their routes end. */
  neighbours(on: Interface, now: Instant): Neighbour[] {
    return on.neighbours.filter(({ heardAt }) => now - heardAt <= this.times.timeout)
  }

  expire(now: Instant): void {
    this.timers.advance(now)
  }

  /** Begins to speak on a link: asks its routers for what they know, and tells them what we do. */
  attach(settings: InterfaceSettings, now: Instant): Interface {
    const added = new Interface(settings)
    this.interfaces.push(added)
    this.greet(added)
    if (!this.regular.armed) this.timers.arm(this.regular, now + below(this.settings.random, this.times.update))
    return added
  }

  /** Asks the routers of a link for what they know, and tells them what we do; also where that could not be said before. */
  greet(on: Interface): void {
    if (on.settings.passive) return
    this.sayer.request(on)
    this.sayer.say(on, this.table.values(), 'all', null)
  }

  /** A link is gone, and so are the ways over it. */
  detach(removed: Interface, now: Instant): void {
    const at = this.interfaces.indexOf(removed)
    if (at < 0) return
    this.interfaces.splice(at, 1)
    for (const destination of this.table.values()) {
      if (destination.interface === removed && destination.metric < INFINITY) this.lose(destination, now)
    }
    this.flush(now)
  }

  /** Takes leave of the routers of one link, which goes on to be there. */
  retire(on: Interface): void {
    this.sayer.say(on, this.table.values(), 'nothing', null)
  }

  /**
   * Goes on by other filters and times, and with other uses of links.
   * @param filters those that are others now. @param uses of the links that have others.
   */
  reconfigure(
    filters: Partial<SaidFilters>,
    times: Times,
    uses: ReadonlyMap<Interface, InterfaceSettings>,
    now: Instant,
  ): void {
    this.filters = { ...this.filters, ...filters }
    this.times = times
    if (now + times.update < this.regular.deadline) this.timers.arm(this.regular, now + times.update)
    const begun: Interface[] = []
    for (const [on, settings] of uses) {
      const { passive } = on.settings
      if (settings.passive && !passive) this.retire(on)
      on.settings = settings
      if (passive && !settings.passive) begun.push(on)
    }
    if (filters.accept !== undefined || uses.size > 0) this.judge(now)
    if (filters.announce !== undefined) this.sayer.refilter(filters.announce, this.interfaces, this.table.values())
    for (const on of begun) this.greet(on)
    // What was refused is not remembered: it has to be said again.
    if (filters.accept !== undefined) for (const on of this.interfaces) if (!on.settings.passive) this.sayer.request(on)
    this.flush(now)
  }

  /** A message of the protocol's port. @param from the address and port it came from. */
  input(
    on: Interface,
    octets: Uint8Array,
    start: number,
    length: number,
    from: IpAddress,
    port: number,
    now: Instant,
  ): void {
    const view = new DataView(octets.buffer, octets.byteOffset + start, length)
    const refused = this.unwanted(on, view, from, port)
    if (refused !== null) this.drop(refused)
    else if (view.getUint8(0) === RESPONSE) this.heard(on, view, from, now)
    else if (on.answers.take(now)) this.asked(on, view, from, port)
    else this.drop('tooManyRequests')
  }

  /** The next message to send. */
  output(): Outgoing | undefined {
    return this.sayer.output()
  }

  /** A destination whose way may have changed since it was last taken; undefined: no more. */
  take(): Destination | undefined {
    const destination = this.taken.pop()
    if (destination !== undefined) destination.untold = false
    return destination
  }

  /** Announces a destination as our own. @param metric 1 to 15. @returns false when there are too many. */
  announce(prefix: Prefix, metric: number, now: Instant): boolean {
    const destination = this.find(prefix) ?? this.add(prefix)
    if (destination === undefined) return false
    this.timers.cancel(destination.timer)
    destination.own = metric
    this.change(destination, metric, null, null, null, 0)
    this.flush(now)
    return true
  }

  /** Takes an announcement back. @returns whether it was one. */
  withdraw(prefix: Prefix, now: Instant): boolean {
    const destination = this.find(prefix)
    if (destination === undefined || destination.own === INFINITY) return false
    destination.own = INFINITY
    this.lose(destination, now)
    this.flush(now)
    return true
  }

  /** Takes leave: nothing leads over us. Nothing is timed from now on. */
  close(): void {
    for (const on of this.interfaces) this.retire(on)
    this.timers.cancel(this.regular)
    this.timers.cancel(this.rest)
    for (const { timer } of this.table.values()) this.timers.cancel(timer)
  }

  private unwanted(on: Interface, view: DataView, from: IpAddress, port: number): DropReason | null {
    const { byteLength } = view
    if (byteLength < HEADER_OCTETS || (byteLength - HEADER_OCTETS) % ENTRY_OCTETS !== 0) return 'badLength'
    const [command, version] = [view.getUint8(0), view.getUint8(1)]
    const { codec } = this
    // (RFC 2453 §4.6) Later versions of it will be read by this one.
    if (codec.isIpv4 ? version < codec.version : version !== codec.version) return 'badVersion'
    if (isOurs(on, from)) return 'own'
    if (!isOn(on, from)) return 'notNeighbour'
    if (command === REQUEST) return null
    if (command !== RESPONSE) return 'badCommand'
    return port === codec.port ? null : 'badPort'
  }

  private asked(on: Interface, view: DataView, from: IpAddress, port: number): void {
    if (on.settings.passive) return
    const to = { address: from.clone(), port }
    if (view.byteLength === HEADER_OCTETS + ENTRY_OCTETS) {
      if (this.codec.read(view, HEADER_OCTETS, REQUEST, this.entry) === 'everything') {
        this.sayer.say(on, this.table.values(), 'all', to)
        return
      }
    }
    // (RFC 2453 §3.9.1) Whoever asks for single routes wants to know, not to be routed: no split horizon.
    this.sayer.begin(on, to)
    for (let at = HEADER_OCTETS; at < view.byteLength; at += ENTRY_OCTETS) {
      const { entry } = this
      const kind = this.codec.read(view, at, REQUEST, entry)
      if (kind === 'route') this.sayer.put(entry, this.find(entry)?.metric ?? INFINITY, 0)
      else if (kind !== 'nextHop' && kind !== 'everything') this.drop(kind)
    }
    this.sayer.end()
  }

  private heard(on: Interface, view: DataView, from: IpAddress, now: Instant): void {
    const { codec, entry } = this
    on.heard(from, now, this.times.timeout)
    entry.nextHop.set(UNSPECIFIED)
    for (let at = HEADER_OCTETS; at < view.byteLength; at += ENTRY_OCTETS) {
      const kind = codec.read(view, at, RESPONSE, entry)
      if (kind === 'route') this.learn(on, entry, from, now)
      else if (kind !== 'nextHop' && kind !== 'everything') {
        this.drop(kind)
        // (RFC 2453 §4.1) We have no keys: what is authenticated is left alone as a whole.
        if (kind === 'authenticated') break
      }
    }
    this.flush(now)
  }

  private learn(on: Interface, entry: Entry, from: IpAddress, now: Instant): void {
    const { name, cost } = on.settings
    const accepted = this.filters.accept(entry, entry.metric, name)
    const metric = Math.min(INFINITY, accepted + cost)
    const known = this.find(entry)
    if (known === undefined && metric === INFINITY) return
    const destination = known ?? this.add(entry)
    if (destination === undefined) this.drop('tooMany')
    else if (destination.own === INFINITY) this.consider(destination, metric, on, entry, from, now)
  }

  private consider(
    destination: Destination,
    metric: number,
    on: Interface,
    { nextHop, tag, metric: said }: Entry,
    from: IpAddress,
    now: Instant,
  ): void {
    const same = destination.interface === on && destination.from?.equals(from) === true
    if (same && metric === INFINITY) {
      if (destination.metric < INFINITY) this.lose(destination, now)
      return
    }
    if (!same && metric >= destination.metric && !(metric === destination.metric && this.stale(destination, now)))
      return
    const hop = isOn(on, nextHop) && !isOurs(on, nextHop) ? nextHop : from
    this.change(destination, metric, on, from, hop, tag)
    destination.said = said
    destination.heardAt = now
    this.timers.arm(destination.timer, now + this.times.timeout)
  }

  /** Holds what routers have said against rules and costs that are others now. */
  private judge(now: Instant): void {
    for (const destination of this.table.values()) {
      const { interface: on, from, nextHop, tag, said } = destination
      if (on === null || destination.metric === INFINITY) continue
      const metric = Math.min(INFINITY, this.filters.accept(destination, said, on.settings.name) + on.settings.cost)
      if (metric === INFINITY) this.lose(destination, now)
      else this.change(destination, metric, on, from, nextHop, tag)
    }
  }

  /** An equally good way may take the place of one not heard of for half its life (RFC 2453 §3.9.2). */
  private stale({ metric, heardAt }: Destination, now: Instant): boolean {
    return metric < INFINITY && now - heardAt > this.times.timeout / 2
  }

  private change(
    destination: Destination,
    metric: number,
    on: Interface | null,
    from: IpAddress | null,
    hop: IpAddress | null,
    tag: number,
  ): void {
    const before = destination.nextHop
    const sameHop = before === hop || (before !== null && hop !== null && before.equals(hop))
    const told = destination.metric === metric && destination.tag === tag && destination.interface === on
    if (!told) this.changes = destination.changed = true
    if (destination.from === null || from === null || !destination.from.equals(from))
      destination.from = from?.clone() ?? null
    if (!sameHop) destination.nextHop = hop?.clone() ?? null
    if (!(told && sameHop)) this.tell(destination)
    destination.metric = metric
    destination.tag = tag
    destination.interface = on
  }

  /** The way is gone; neighbours hear of that until all of them know (RFC 2453 §3.8). */
  private lose(destination: Destination, now: Instant): void {
    destination.metric = INFINITY
    this.changes = destination.changed = true
    this.tell(destination)
    this.timers.arm(destination.timer, now + this.times.garbage)
  }

  private tell(destination: Destination): void {
    if (destination.untold) return
    destination.untold = true
    this.taken.push(destination)
  }

  private timedOut(destination: Destination, now: Instant): void {
    if (destination.metric < INFINITY) {
      this.lose(destination, now)
      this.flush(now)
    } else {
      this.table.delete(keyOf(destination.address, destination.length))
    }
  }

  private add(prefix: Prefix): Destination | undefined {
    if (this.table.size >= (this.settings.destinations ?? DESTINATIONS)) return undefined
    const added = new Destination(prefix, (destination, now) => this.timedOut(destination, now))
    this.table.set(keyOf(prefix.address, prefix.length), added)
    return added
  }

  /** Says what has changed, or sees that it is said as soon as may be. */
  private flush(now: Instant): void {
    if (this.changes && !this.rest.armed) this.trigger(now)
  }

  private trigger(now: Instant): void {
    if (!this.changes) return
    for (const on of this.interfaces) this.sayer.say(on, this.table.values(), 'changed', null)
    this.told()
    this.timers.arm(this.rest, now + seconds(1) + below(this.settings.random, seconds(4)))
  }

  private sayAll(now: Instant): void {
    for (const on of this.interfaces) this.sayer.say(on, this.table.values(), 'all', null)
    this.told()
    // Routers that began together are not to go on together (RFC 2453 §3.8).
    const { update } = this.times
    const sixth = Math.floor(update / 6)
    this.timers.arm(this.regular, now + update - sixth + below(this.settings.random, 2 * sixth + 1))
  }

  private told(): void {
    if (!this.changes) return
    this.changes = false
    for (const destination of this.table.values()) destination.changed = false
  }

  private drop(reason: DropReason): void {
    this.drops.set(reason, (this.drops.get(reason) ?? 0) + 1)
  }
}

/** fe80::/10. */
const LINK_LOCAL_BITS = 0xfe800000 >>> 22
const UNSPECIFIED = parsePrefix('::').address

/** A key costs a string: a router of RIP hears some tens of entries a second. */
const keyOf = ({ w0, w1, w2, w3 }: IpAddress, length: number): string => `${w0},${w1},${w2},${w3}/${length}`

/** A neighbour: within a prefix of the link, or an address that is the link's own. */
const isOn = ({ settings: { prefixes } }: Interface, address: IpAddress): boolean =>
  address.isIpv4
    ? prefixes.some((own) => covers(own.address, own.length, address))
    : address.w0 >>> 22 === LINK_LOCAL_BITS

const isOurs = ({ settings: { prefixes } }: Interface, address: IpAddress): boolean =>
  prefixes.some((own) => own.address.equals(address))
