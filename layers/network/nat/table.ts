/**
 * The table of a translation (RFC 4787, RFC 5382, RFC 5508) as a machine: ports in, ports out, no packets.
 *
 *   inside 192.168.0.2:5000 ──┐ mapping ┌── outside port 5000
 *                             └────┬────┘
 *                    sessions: 198.51.100.1:80, 203.0.113.9:443, …
 *
 * A mapping is that of a host's port, whoever it talks to; it lives as long as one of its sessions, or for ever when it was
 * configured. Sessions begin and are kept alive by what is sent from inside (RFC 4787 REQ-6), except that TCP's are by both
 * sides, and they decide who may answer. All is bounded, for all hosts and for each; where there is no room for another session,
 * one ends that may (`idle.ts`), or the other is refused. Connections that are over are not counted to their host: they make room
 * for whoever needs it.
 */
import type { NatFiltering } from '../../../src/api/rules.ts'
import type { Instant } from '../../../src/kernel/clock.ts'
import type { Timed } from '../../../src/kernel/machine.ts'
import type { Random } from '../../../src/kernel/random.ts'
import { mix } from '../flow.ts'
import { PROTOCOL } from '../service.ts'
import { put, without } from './buckets.ts'
import { Connection } from './connection.ts'
import { IdleLists } from './idle.ts'
import type { NatSettings } from './options.ts'
import { FreePorts, NO_PORT } from './ports.ts'
import { type Segment, SYN } from './segment.ts'
import { Mapping, Remote, Session } from './session.ts'

/** Buckets of each hash table at the least; a power of two. */
const FEWEST_BUCKETS = 256
/** Sessions to a bucket when there are as many as may be. */
const PER_BUCKET = 4
/** Sessions that end at the most for a port outside, with one packet: another one of the mapping may keep it. */
const ENDS_PER_PORT = 8
/** Refusals: there is no room, or no port; or the host has as many sessions as it may. */
export const FULL = -1
export const HOST_FULL = -2

/** Is what `outbound` returned no port? */
export const isRefusal = (outside: number): boolean => outside < 0

export class NatTable implements Timed {
  private readonly random: Random
  private readonly seed: number
  private filtering: NatFiltering
  private maxSessions: number
  private maxPerHost: number
  private readonly idle = new IdleLists()
  private mappings: (Mapping | null)[] = []
  private sessions: (Session | null)[] = []
  private remotes: (Remote | null)[] = []
  private udpPorts = new FreePorts()
  private tcpPorts = new FreePorts()
  private identifiers = new FreePorts()
  /** By protocol and port. */
  private readonly outside = new Map<number, Mapping>()
  /** Sessions of all hosts inside, and of each, without connections that are over. */
  private living = 0
  private readonly perHost = new Map<number, number>()
  private count = 0
  /** Sessions that have ended to make room. */
  endedEarly = 0

  constructor(settings: NatSettings, random: Random) {
    this.random = random
    this.seed = random.uint32() | 0
    this.filtering = settings.filtering
    this.maxSessions = settings.maxSessions
    this.maxPerHost = settings.maxSessionsPerHost
    this.become(settings, () => true)
  }

  /** Sessions there are. */
  get size(): number {
    return this.count
  }

  get deadline(): Instant {
    return this.idle.deadline
  }

  expire(now: Instant): void {
    for (const list of this.idle.all) {
      while (list.oldest !== null && list.deadline <= now) this.end(list.oldest)
    }
  }

  /** Ends everything but what is configured: the address outside is another one. */
  clear(): void {
    for (const list of this.idle.all)
      for (let session = list.oldest; session !== null; session = list.oldest) this.end(session)
  }

  /**
   * Takes other settings. Sessions go on as far as these allow them: with the port outside that they have, or not at all. Where there is
   * no room for all, those go on that last longest, and were used last. Unless some have to end, or there may be more of them
   * than before, the work is that of the ports, however many sessions there are.
   * @param isInside whether an address inside is still one.
   */
  become(settings: NatSettings, isInside: (address: number) => boolean): void {
    const { filtering, maxSessions, maxSessionsPerHost, timeouts, forwards } = settings
    this.filtering = filtering
    this.maxSessions = maxSessions
    this.maxPerHost = maxSessionsPerHost
    this.idle.setTimes(timeouts)
    this.widen(Math.max(FEWEST_BUCKETS, 2 ** Math.ceil(Math.log2(maxSessions / PER_BUCKET))))
    this.judge(settings, isInside)
    let ending = false
    for (const mapping of this.outside.values()) {
      if (mapping.sessions > 0) ending ||= mapping.doomed
      else if (!mapping.permanent) this.forget(mapping)
    }
    if (ending) this.endWhere(({ remote }) => remote.mapping.doomed)
    for (const { protocol, port, insideAddress, insidePort } of forwards) {
      if (this.mappingInside(protocol, insideAddress, insidePort) === null) {
        this.enter(new Mapping(protocol, insideAddress, insidePort, port, true))
      }
    }
    this.recount(settings.reserved)
    this.makeRoom()
  }

  /**
   * A packet from inside to a remote port.
   * @param segment what it says of its connection; of TCP alone. @returns the port outside that it gets, or a refusal.
   */
  outbound(
    protocol: number,
    address: number,
    port: number,
    remoteAddress: number,
    remotePort: number,
    segment: Segment,
    now: Instant,
  ): number {
    const session = this.session(protocol, address, port, remoteAddress, remotePort)
    if (session !== null) {
      const { permanent, outsidePort } = session.remote.mapping
      if (session.list === this.idle.closed && (segment.flags & SYN) !== 0) {
        if (this.sessionsOf(address) >= this.maxPerHost) return permanent ? outsidePort : HOST_FULL
        session.connection = new Connection()
      }
      if (session.connection?.pass(segment, true) ?? true) this.keep(session, now)
      return outsidePort
    }
    const mapping = this.mappingInside(protocol, address, port)
    // The reset of what came in unasked is no beginning.
    if (mapping !== null && protocol === PROTOCOL.tcp && segment.isReset) return mapping.outsidePort
    // What is configured needs no session, so it works when there is no room for any.
    if (mapping?.permanent && this.isHalfTaken(address)) return mapping.outsidePort
    const begun = this.begin(protocol, address, port, remoteAddress, remotePort, now)
    if (typeof begun === 'number') return mapping?.permanent ? mapping.outsidePort : begun
    begun.connection?.pass(segment, true)
    this.keep(begun, now)
    return begun.remote.mapping.outsidePort
  }

  /** The mapping that a port outside stands for, or null; `admits` says who may use it. */
  mappingOutside(protocol: number, port: number): Mapping | null {
    return this.outside.get((protocol << 16) | port) ?? null
  }

  /** The mapping of a host's port inside, or null. */
  mappingInside(protocol: number, address: number, port: number): Mapping | null {
    let mapping = this.mappings[this.bucket(protocol, address, port)] as Mapping | null
    while (mapping !== null && !isOf(mapping, protocol, address, port)) mapping = mapping.next
    return mapping
  }

  /** May this remote port send to a mapping? What TCP sends keeps the session. */
  admits(mapping: Mapping, remoteAddress: number, remotePort: number, segment: Segment, now: Instant): boolean {
    const { protocol, insideAddress, insidePort } = mapping
    const session = this.session(protocol, insideAddress, insidePort, remoteAddress, remotePort)
    if (session !== null) {
      // One that is over begins anew with what is answered from inside, if there is room.
      const begins = session.list === this.idle.closed && segment.isFirst
      if (!begins && session.connection?.pass(segment, false)) this.keep(session, now)
      return true
    }
    if (mapping.permanent || this.filtering === 'endpointIndependent') return true
    if (this.filtering === 'addressAndPort') return false
    return this.remote(mapping, remoteAddress) !== null
  }

  /** Has a mapping a session with this remote port? For errors about its packets (RFC 5508 REQ-4). */
  hasSession({ protocol, insideAddress, insidePort }: Mapping, remoteAddress: number, remotePort: number): boolean {
    return this.session(protocol, insideAddress, insidePort, remoteAddress, remotePort) !== null
  }

  /** Every session, for those who look from outside: of each idle time first those that were used last. */
  *all(): IterableIterator<Session> {
    for (const list of this.idle.all.toReversed())
      for (let session = list.newest; session !== null; session = session.before) yield session
  }

  /** Every mapping, for those who look from outside. */
  *entries(): IterableIterator<Mapping> {
    yield* this.outside.values()
  }

  private session(
    protocol: number,
    address: number,
    port: number,
    remoteAddress: number,
    remotePort: number,
  ): Session | null {
    let session = this.sessions[this.bucket(protocol, address, port, remoteAddress, remotePort)] as Session | null
    while (session !== null) {
      const { remote } = session
      const fits = session.remotePort === remotePort && remote.address === remoteAddress
      if (fits && isOf(remote.mapping, protocol, address, port)) return session
      session = session.next
    }
    return null
  }

  private remote(mapping: Mapping, address: number): Remote | null {
    let remote = this.remotes[this.bucketOf(mapping, address)] as Remote | null
    while (remote !== null && (remote.address !== address || remote.mapping !== mapping)) remote = remote.next
    return remote
  }

  private begin(
    protocol: number,
    address: number,
    port: number,
    remoteAddress: number,
    remotePort: number,
    now: Instant,
  ): Session | number {
    if (this.sessionsOf(address) >= this.maxPerHost) return HOST_FULL
    if (this.count >= this.maxSessions && !this.makesRoom(null, now)) return FULL
    // Not before: it may have been the one that went.
    const mapping = this.mappingInside(protocol, address, port) ?? this.map(protocol, address, port, now)
    if (mapping === null) return FULL
    const remote = this.remote(mapping, remoteAddress) ?? this.meet(mapping, remoteAddress)
    const session = new Session(remote, remotePort)
    put(this.sessions, this.bucketOfSession(session), session)
    remote.sessions++
    mapping.sessions++
    this.count++
    return session
  }

  /**
   * Is half of the room taken, or half of the host's? The other half is for those inside: to a forward everyone outside may send,
   * as whoever he likes, and what is answered would be a session each.
   */
  private isHalfTaken(address: number): boolean {
    return this.sessionsOf(address) * 2 >= this.maxPerHost || this.living * 2 >= this.maxSessions
  }

  /** Ends a session before its time, if one may. @param protocol whose ports are needed; null: any will do. */
  private makesRoom(protocol: number | null, now: Instant): boolean {
    const session = this.idle.sparable(protocol, now)
    if (session === null) return false
    this.end(session)
    this.endedEarly++
    return true
  }

  /** Begins a session's time anew, by what has become of its connection. */
  private keep(session: Session, now: Instant): void {
    const { closed } = this.idle
    const { list: before, remote } = session
    const list = this.idle.of(session)
    if (list !== before) {
      const { insideAddress } = remote.mapping
      if (before !== null && before !== closed) this.countOf(insideAddress, -1)
      if (list !== closed) this.countOf(insideAddress, 1)
    }
    list.refresh(session, now)
  }

  private countOf(address: number, more: number): void {
    this.living += more
    const count = this.sessionsOf(address) + more
    if (count === 0) this.perHost.delete(address)
    else this.perHost.set(address, count)
  }

  private sessionsOf(address: number): number {
    return this.perHost.get(address) ?? 0
  }

  /** Finds the mappings that stay for ever, and those whose sessions have to end. */
  private judge({ forwards, reserved }: NatSettings, isInside: (address: number) => boolean): void {
    for (const mapping of this.outside.values()) {
      mapping.permanent = false
      mapping.doomed = !isInside(mapping.insideAddress)
    }
    for (const { protocol, port, insideAddress, insidePort } of forwards) {
      const own = this.mappingInside(protocol, insideAddress, insidePort)
      const there = this.mappingOutside(protocol, port)
      if (own !== null && own === there) own.permanent = true
      else {
        if (own !== null) own.doomed = true
        if (there !== null) there.doomed = true
      }
    }
    for (const port of reserved) {
      for (const protocol of [PROTOCOL.udp, PROTOCOL.tcp]) {
        const mapping = this.mappingOutside(protocol, port)
        if (mapping?.permanent === false) mapping.doomed = true
      }
    }
  }

  /** Finds anew which ports are free. */
  private recount(reserved: ReadonlySet<number>): void {
    this.udpPorts = new FreePorts()
    this.tcpPorts = new FreePorts()
    this.identifiers = new FreePorts()
    for (const ports of [this.udpPorts, this.tcpPorts]) {
      ports.take(0)
      for (const port of reserved) ports.take(port)
    }
    for (const { protocol, outsidePort } of this.outside.values()) this.portsOf(protocol).take(outsidePort)
  }

  private makeRoom(): void {
    for (const sessions of this.perHost.values()) {
      if (sessions <= this.maxPerHost) continue
      this.endWhere(
        ({ remote, list }) =>
          list !== this.idle.closed && this.sessionsOf(remote.mapping.insideAddress) > this.maxPerHost,
      )
      break
    }
    for (const list of this.idle.all) {
      while (this.count > this.maxSessions && list.oldest !== null) this.end(list.oldest)
    }
  }

  /** @param goes asked about one session after the other, those first that are the first to go. */
  private endWhere(goes: (session: Session) => boolean): void {
    for (const list of this.idle.all) {
      for (let session = list.oldest; session !== null; ) {
        const { after } = session
        if (goes(session)) this.end(session)
        session = after
      }
    }
  }

  /** Gives the hash tables as many buckets, if that is more than they have. */
  private widen(buckets: number): void {
    if (buckets <= this.sessions.length) return
    const met = this.remotes
    this.mappings = new Array<Mapping | null>(buckets).fill(null)
    this.sessions = new Array<Session | null>(buckets).fill(null)
    this.remotes = new Array<Remote | null>(buckets).fill(null)
    for (const mapping of this.outside.values()) {
      const { protocol, insideAddress, insidePort } = mapping
      put(this.mappings, this.bucket(protocol, insideAddress, insidePort), mapping)
    }
    for (const head of met) {
      for (let remote = head; remote !== null; ) {
        const { next } = remote
        put(this.remotes, this.bucketOf(remote.mapping, remote.address), remote)
        remote = next
      }
    }
    for (const session of this.all()) put(this.sessions, this.bucketOfSession(session), session)
  }

  private meet(mapping: Mapping, address: number): Remote {
    const remote = new Remote(mapping, address)
    put(this.remotes, this.bucketOf(mapping, address), remote)
    return remote
  }

  private end(session: Session): void {
    const { remote } = session
    const { mapping } = remote
    if (session.list !== this.idle.closed) this.countOf(mapping.insideAddress, -1)
    session.list?.remove(session)
    const bucket = this.bucketOfSession(session)
    this.sessions[bucket] = without(this.sessions[bucket] as Session, session)
    if (--remote.sessions === 0) {
      const met = this.bucketOf(mapping, remote.address)
      this.remotes[met] = without(this.remotes[met] as Remote, remote)
    }
    this.count--
    if (--mapping.sessions === 0 && !mapping.permanent) this.forget(mapping)
  }

  private forget(mapping: Mapping): void {
    const { protocol, insideAddress, insidePort } = mapping
    const place = this.bucket(protocol, insideAddress, insidePort)
    this.mappings[place] = without(this.mappings[place] as Mapping, mapping)
    this.outside.delete((protocol << 16) | mapping.outsidePort)
    this.portsOf(protocol).give(mapping.outsidePort)
  }

  /** The same port outside as inside if it is free, else another one; null when there is none. */
  private map(protocol: number, address: number, port: number, now: Instant): Mapping | null {
    const ports = this.portsOf(protocol)
    let outside = ports.assign(port, this.random)
    for (let ends = 0; outside === NO_PORT && ends < ENDS_PER_PORT && this.makesRoom(protocol, now); ends++) {
      outside = ports.assign(port, this.random)
    }
    return outside === NO_PORT ? null : this.enter(new Mapping(protocol, address, port, outside, false))
  }

  private portsOf(protocol: number): FreePorts {
    if (protocol === PROTOCOL.tcp) return this.tcpPorts
    return protocol === PROTOCOL.udp ? this.udpPorts : this.identifiers
  }

  private enter(mapping: Mapping): Mapping {
    put(this.mappings, this.bucket(mapping.protocol, mapping.insideAddress, mapping.insidePort), mapping)
    this.outside.set((mapping.protocol << 16) | mapping.outsidePort, mapping)
    return mapping
  }

  /** Remote ports count, too: a scan of them from one port inside is not one long chain. */
  private bucket(protocol: number, address: number, port: number, remote = 0, remotePort = 0): number {
    const inside = mix(mix(this.seed ^ address) ^ ((protocol << 16) | port))
    return mix(mix(inside ^ remote) ^ remotePort) & (this.sessions.length - 1)
  }

  private bucketOfSession({ remote, remotePort }: Session): number {
    const { protocol, insideAddress, insidePort } = remote.mapping
    return this.bucket(protocol, insideAddress, insidePort, remote.address, remotePort)
  }

  private bucketOf({ protocol, insideAddress, insidePort }: Mapping, remote: number): number {
    return this.bucket(protocol, insideAddress, insidePort, remote)
  }
}

const isOf = (mapping: Mapping, protocol: number, address: number, port: number): boolean =>
  mapping.insideAddress === address && mapping.insidePort === port && mapping.protocol === protocol
