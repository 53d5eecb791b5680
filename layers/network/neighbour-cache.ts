/**
 * The neighbour cache behind ARP and Neighbour Discovery, as a machine (RFC 4861 §7.3, which Linux also follows for ARP).
 *
 *                  resolve()               answered
 *      (no entry) ──────────► incomplete ────────────► reachable ◄───────────────┐
 *          ▲                      │ no answer              │ not confirmed       │ answered,
 *          │ held 1 s             ▼                        ▼                     │ or confirmed
 *          └──────────────── failed                      stale ──► delay ──► probe ──► (no entry)
 *                                                           resolve()   5 s     no answer
 *
 * Every state but `stale` and `permanent` lasts equally long for all entries, so each state is a list in the order of
 * its deadlines: the next deadline is at the head of one of them, and nothing is searched or sorted. When the times change,
 * an entry may wait for those before it, once.
 */
import { IpAddress } from '../../src/kernel/address.ts'
import { type Duration, type Instant, ms, seconds } from '../../src/kernel/clock.ts'
import type { Timed } from '../../src/kernel/machine.ts'
import type { Packet } from '../../src/kernel/packet.ts'
import { Queue } from '../../src/kernel/queue.ts'
import { below, type Random } from '../../src/kernel/random.ts'
import type { LinkAddress } from '../datalink/service.ts'
import { type NeighbourOptions, type NeighbourSnapshot, type NeighbourState, UNRESOLVED } from './neighbours.ts'

/** One neighbour. Its fields belong to the cache; owners read `address`, `linkAddress` and `state`. */
export class Neighbour {
  readonly address: IpAddress
  linkAddress: LinkAddress = UNRESOLVED
  state: NeighbourState = 'incomplete'
  /** Packets may be sent to `linkAddress` without telling the cache. */
  usable = false
  deadline: Instant = Number.POSITIVE_INFINITY
  tries = 0
  /** Packets that wait for an answer, or to be reported as undeliverable. */
  waiting: Queue<Packet> | null = null
  /** It stands in the queue of those whose packets are to be reported. */
  reported = false
  /** The next entry of the same hash. */
  chained: Neighbour | null = null
  list: NeighbourList | null = null
  prev: Neighbour | null = null
  next: Neighbour | null = null

  constructor(address: IpAddress) {
    this.address = address
  }
}

/** The entries of one state, the one whose deadline is next first. */
class NeighbourList {
  head: Neighbour | null = null
  tail: Neighbour | null = null
  size = 0

  get deadline(): Instant {
    return this.head === null ? Number.POSITIVE_INFINITY : this.head.deadline
  }

  push(entry: Neighbour): void {
    entry.list = this
    entry.prev = this.tail
    entry.next = null
    if (this.tail === null) this.head = entry
    else this.tail.next = entry
    this.tail = entry
    this.size++
  }

  remove(entry: Neighbour): void {
    if (entry.prev === null) this.head = entry.next
    else entry.prev.next = entry.next
    if (entry.next === null) this.tail = entry.prev
    else entry.next.prev = entry.prev
    entry.list = entry.prev = entry.next = null
    this.size--
  }
}

/** The cache of one link. A machine: its owner sends what `output` gives and hands on what the `take…` methods give. */
export class NeighbourCache implements Timed {
  /** Where the packet last returned by `take` goes. */
  peer: LinkAddress = UNRESOLVED
  /** Whom the packet last returned by `takeUndeliverable` was for. */
  readonly nextHop: IpAddress = new IpAddress()
  private readonly limits: Required<{ [Name in keyof NeighbourOptions]: number }>
  /** RFC 4861 §6.3.2 spreads it so that nodes do not probe in step. */
  private reachableTime: Duration
  private retransmitTime: Duration
  private readonly random: Random
  private readonly salt: number
  private readonly table = new Map<number, Neighbour>()
  private readonly lists: Readonly<Record<NeighbourState, NeighbourList>> = {
    incomplete: new NeighbourList(),
    reachable: new NeighbourList(),
    stale: new NeighbourList(),
    delay: new NeighbourList(),
    probe: new NeighbourList(),
    failed: new NeighbourList(),
    permanent: new NeighbourList(),
  }
  private last: Neighbour = new Neighbour(new IpAddress())
  private size = 0
  private waitingInAll = 0
  private readonly soliciting: Queue<Neighbour>
  private readonly answered: Queue<Neighbour>
  private readonly unreachable: Queue<Neighbour>
  private readonly overflow: Queue<Packet>
  /** Since when `unreachable` holds something that the owner has not been asked to take. */
  private failedAt: Instant = Number.POSITIVE_INFINITY

  constructor(options: NeighbourOptions, random: Random) {
    const limits = {
      entries: options.entries ?? 1024,
      waiting: options.waiting ?? 64,
      waitingInAll: options.waitingInAll ?? 1024,
      reachable: options.reachable ?? seconds(30),
      retransmit: options.retransmit ?? seconds(1),
      tries: options.tries ?? 3,
      delay: options.delay ?? seconds(5),
      hold: options.hold ?? seconds(1),
    }
    this.limits = limits
    this.random = random
    this.reachableTime = this.spread(limits.reachable)
    this.retransmitTime = limits.retransmit
    this.salt = random.uint32() | 1
    // An entry stands in each at most once per packet that waits, or per solicitation that is due.
    const bound = limits.entries + limits.waitingInAll + 1
    this.soliciting = new Queue(bound)
    this.answered = new Queue(bound)
    this.unreachable = new Queue(bound)
    this.overflow = new Queue(2)
  }

  get deadline(): Instant {
    const { incomplete, reachable, delay, probe, failed } = this.lists
    return Math.min(
      incomplete.deadline,
      reachable.deadline,
      delay.deadline,
      probe.deadline,
      failed.deadline,
      this.failedAt,
    )
  }

  /** The fast path: the link address if it can be used without further thought, else UNRESOLVED. */
  usable(address: IpAddress): LinkAddress {
    let entry: Neighbour | undefined = this.last
    if (!entry.address.equals(address)) {
      entry = this.find(address)
      if (entry === undefined) return UNRESOLVED
      this.last = entry
    }
    return entry.usable ? entry.linkAddress : UNRESOLVED
  }

  /**
   * The slow path: starts whatever has to be started.
   * @returns the link address, or UNRESOLVED: the packet was taken. Then look at `takeOverflow` and `output`.
   */
  offer(address: IpAddress, packet: Packet, now: Instant): LinkAddress {
    const entry = this.find(address) ?? this.create(address, now)
    if (entry.state === 'stale') this.enter(entry, 'delay', now)
    if (entry.usable) return entry.linkAddress
    this.wait(entry, packet)
    if (entry.state === 'failed' && entry.waiting !== null) this.report(entry, now)
    return UNRESOLVED
  }

  /** The next neighbour to ask for now: at `linkAddress` while in `probe`, else all stations. Until undefined. */
  output(): Neighbour | undefined {
    for (let entry = this.soliciting.shift(); entry !== undefined; entry = this.soliciting.shift()) {
      if (entry.list !== null && (entry.state === 'incomplete' || entry.state === 'probe')) return entry
    }
    return undefined
  }

  /** The next packet whose neighbour answered; goes to `peer`. Until undefined. */
  take(): Packet | undefined {
    for (let entry = this.answered.peek(); entry !== undefined; entry = this.answered.peek()) {
      const packet = entry.usable ? this.unwait(entry) : undefined
      if (packet !== undefined) {
        this.peer = entry.linkAddress
        return packet
      }
      this.answered.shift()
    }
    return undefined
  }

  /** The next packet whose neighbour did not answer; it was for `nextHop`. Until undefined. */
  takeUndeliverable(): Packet | undefined {
    for (let entry = this.unreachable.peek(); entry !== undefined; entry = this.unreachable.peek()) {
      const packet = entry.list === null || entry.state === 'failed' ? this.unwait(entry) : undefined
      if (packet !== undefined) {
        this.nextHop.set(entry.address)
        return packet
      }
      entry.reported = false
      this.unreachable.shift()
    }
    this.failedAt = Number.POSITIVE_INFINITY
    return undefined
  }

  /** The next packet for which there was no room; to be dropped. Until undefined. */
  takeOverflow(): Packet | undefined {
    return this.overflow.shift()
  }

  /**
   * A neighbour told its link address.
   * @param solicited in answer to us, at our own address; if we are asking, proof that both directions work
   *   (RFC 4861 §7.2.5).
   * @param create enter it if it is not there.
   * @returns whether it is known now.
   */
  learn(address: IpAddress, linkAddress: LinkAddress, solicited: boolean, create: boolean, now: Instant): boolean {
    const entry = this.find(address) ?? (create ? this.create(address, now) : undefined)
    if (entry === undefined) return false
    if (entry.state === 'permanent') return true
    const changed = entry.linkAddress !== linkAddress
    entry.linkAddress = linkAddress
    const asked = entry.state === 'incomplete' || entry.state === 'probe'
    if (solicited && asked) this.enter(entry, 'reachable', now)
    else if (changed || !entry.usable) this.enter(entry, 'stale', now)
    if (entry.waiting !== null) {
      // Those that wait are a use of the address (RFC 4861 §7.3.3): a stale one is to be checked.
      if (entry.state === 'stale') this.enter(entry, 'delay', now)
      this.answered.push(entry)
    }
    return true
  }

  /**
   * A neighbour told of a link address that must not take another's place (RFC 4861 §7.2.5, without override).
   * @returns whether another one is known: it is kept, but has to be checked.
   */
  dispute(address: IpAddress, linkAddress: LinkAddress, now: Instant): boolean {
    const known = this.linkAddressOf(address)
    if (known === UNRESOLVED || known === linkAddress) return false
    const entry = this.find(address) as Neighbour
    if (entry.state === 'reachable') this.enter(entry, 'stale', now)
    return true
  }

  /** What is known of a neighbour, be it to be relied on or not; else UNRESOLVED. */
  linkAddressOf(address: IpAddress): LinkAddress {
    return this.find(address)?.linkAddress ?? UNRESOLVED
  }

  /** Time between solicitations. */
  get retransmit(): Duration {
    return this.retransmitTime
  }

  /** Other times than those of the options, for states that are entered from now on (RFC 4861 §6.3.4). 0 leaves one as it is. */
  setTimes(reachable: Duration, retransmit: Duration): void {
    if (reachable > 0) this.reachableTime = this.spread(reachable)
    if (retransmit > 0) this.retransmitTime = retransmit
  }

  /** A packet that we sent has certainly arrived (RFC 4861 §7.3.1). */
  confirm(address: IpAddress, now: Instant): void {
    const entry = this.last.address.equals(address) ? this.last : this.find(address)
    if (entry === undefined || entry.state === 'permanent' || (!entry.usable && entry.state !== 'stale')) return
    // Once in a while is enough: this is told as often as something is acknowledged.
    if (entry.state === 'reachable' && (entry.deadline - now) * 2 > this.reachableTime) return
    this.enter(entry, 'reachable', now)
  }

  /** Nothing that we send by this neighbour seems to arrive: it is asked now, if it is not being asked already. */
  doubt(address: IpAddress, now: Instant): void {
    const entry = this.find(address)
    if (entry === undefined) return
    if (entry.state === 'reachable' || entry.state === 'stale' || entry.state === 'delay')
      this.enter(entry, 'probe', now)
  }

  setPermanent(address: IpAddress, linkAddress: LinkAddress, now: Instant): void {
    const entry = this.find(address) ?? this.create(address, now)
    entry.linkAddress = linkAddress
    this.enter(entry, 'permanent', now)
    if (entry.waiting !== null) this.answered.push(entry)
  }

  /** @returns whether it was there. Packets that wait for it become undeliverable. */
  forget(address: IpAddress, now: Instant): boolean {
    const entry = this.find(address)
    if (entry !== undefined) this.remove(entry, now)
    return entry !== undefined
  }

  /** Forgets all but permanent entries: the link went down. */
  clear(now: Instant): void {
    for (const state of ['incomplete', 'reachable', 'stale', 'delay', 'probe', 'failed'] as const) {
      const list = this.lists[state]
      while (list.head !== null) this.remove(list.head, now)
    }
  }

  list(): NeighbourSnapshot[] {
    const all: NeighbourSnapshot[] = []
    for (const { head } of Object.values(this.lists)) {
      for (let entry = head; entry !== null; entry = entry.next) {
        const linkAddress = entry.linkAddress === UNRESOLVED ? undefined : entry.linkAddress
        all.push({ address: entry.address.clone(), linkAddress, state: entry.state })
      }
    }
    return all
  }

  expire(now: Instant): void {
    const { incomplete, reachable, delay, probe, failed } = this.lists
    while (incomplete.head !== null && incomplete.deadline <= now) this.askAgain(incomplete.head, now)
    while (probe.head !== null && probe.deadline <= now) this.askAgain(probe.head, now)
    while (reachable.head !== null && reachable.deadline <= now) this.enter(reachable.head, 'stale', now)
    while (delay.head !== null && delay.deadline <= now) this.enter(delay.head, 'probe', now)
    while (failed.head !== null && failed.deadline <= now) this.remove(failed.head, now)
  }

  /** A half to one and a half of a mean time. */
  private spread(mean: Duration): Duration {
    return Math.floor(mean / 2) + below(this.random, mean + ms(1))
  }

  private askAgain(entry: Neighbour, now: Instant): void {
    if (entry.tries < this.limits.tries) {
      entry.tries++
      this.schedule(entry, entry.state, now + this.retransmitTime)
      this.soliciting.push(entry)
    } else if (entry.state === 'probe') {
      this.remove(entry, now) // the next packet asks everybody (RFC 4861 §7.3.3)
    } else {
      this.enter(entry, 'failed', now)
      if (entry.waiting !== null) this.report(entry, now)
    }
  }

  private enter(entry: Neighbour, state: NeighbourState, now: Instant): void {
    entry.usable = state === 'reachable' || state === 'delay' || state === 'probe' || state === 'permanent'
    this.schedule(entry, state, now + this.duration(state))
    if (state === 'incomplete' || state === 'probe') {
      entry.tries = 1
      this.soliciting.push(entry)
    }
  }

  private duration(state: NeighbourState): Duration {
    if (state === 'reachable') return this.reachableTime
    if (state === 'delay') return this.limits.delay
    if (state === 'failed') return this.limits.hold
    if (state === 'incomplete' || state === 'probe') return this.retransmitTime
    return Number.POSITIVE_INFINITY
  }

  private schedule(entry: Neighbour, state: NeighbourState, deadline: Instant): void {
    entry.list?.remove(entry)
    entry.state = state
    entry.deadline = deadline
    this.lists[state].push(entry)
  }

  private wait(entry: Neighbour, packet: Packet): void {
    entry.waiting ??= new Queue(this.limits.waiting, this.limits.waiting)
    if (this.waitingInAll >= this.limits.waitingInAll && entry.waiting.length === 0) {
      this.overflow.push(packet)
      entry.waiting = null
      return
    }
    // The oldest gives way, as RFC 4861 §7.2.2 has it: what was sent last is what is still wanted.
    if (!entry.waiting.open || this.waitingInAll >= this.limits.waitingInAll) {
      const oldest = this.unwait(entry)
      if (oldest !== undefined) this.overflow.push(oldest)
      entry.waiting ??= new Queue(this.limits.waiting, this.limits.waiting)
    }
    entry.waiting.push(packet)
    this.waitingInAll++
  }

  private unwait(entry: Neighbour): Packet | undefined {
    const packet = entry.waiting?.shift()
    if (packet !== undefined) this.waitingInAll--
    if (entry.waiting?.length === 0) entry.waiting = null
    return packet
  }

  /** Has the packets that wait for an entry reported. The owner takes them on a turn of its own: see `deadline`. */
  private report(entry: Neighbour, now: Instant): void {
    this.failedAt = Math.min(this.failedAt, now)
    if (!entry.reported) entry.reported = this.unreachable.push(entry)
  }

  private find(address: IpAddress): Neighbour | undefined {
    let entry: Neighbour | null | undefined = this.table.get(this.hash(address))
    while (entry != null && !entry.address.equals(address)) entry = entry.chained
    return entry ?? undefined
  }

  /** Spread by a secret, so that nobody can choose addresses of one chain; for IPv4, a bijection of the last word. */
  private hash(address: IpAddress): number {
    const high = Math.imul(address.w0 ^ Math.imul(address.w1, this.salt), 0x9e3779b1) ^ address.w2
    return Math.imul(high, this.salt) ^ address.w3
  }

  private create(address: IpAddress, now: Instant): Neighbour {
    this.makeRoom(now)
    const entry = new Neighbour(address.clone())
    const hash = this.hash(address)
    entry.chained = this.table.get(hash) ?? null
    this.table.set(hash, entry)
    this.size++
    this.enter(entry, 'incomplete', now)
    return entry
  }

  /**
   * What is only sought may take half of the room (RFC 6583 §7.1: a scan of the prefix must not push out neighbours
   * that work); in a full cache, what is worth least goes first.
   */
  private makeRoom(now: Instant): void {
    const { failed, stale, incomplete, reachable, delay, probe } = this.lists
    if (incomplete.head !== null && incomplete.size * 2 >= this.limits.entries) this.remove(incomplete.head, now)
    if (this.size < this.limits.entries) return
    const victim = failed.head ?? stale.head ?? incomplete.head ?? reachable.head ?? delay.head ?? probe.head
    if (victim !== null) this.remove(victim, now)
  }

  private remove(entry: Neighbour, now: Instant): void {
    entry.list?.remove(entry)
    entry.usable = false
    const hash = this.hash(entry.address)
    const first = this.table.get(hash)
    if (first === entry) {
      if (entry.chained === null) this.table.delete(hash)
      else this.table.set(hash, entry.chained)
    } else {
      let before = first
      while (before != null && before.chained !== entry) before = before.chained ?? undefined
      if (before != null) before.chained = entry.chained
    }
    this.size--
    if (this.last === entry) this.last = new Neighbour(new IpAddress())
    if (entry.waiting !== null) this.report(entry, now)
  }
}
