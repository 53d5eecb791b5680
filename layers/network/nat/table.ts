/**
 * The table of a translation (RFC 4787, RFC 5382, RFC 5508) as a machine: ports in, ports out, no packets.
 *
 *   inside 192.168.0.2:5000 ──┐ mapping ┌── outside port 5000
 *                             └────┬────┘
 *                    sessions: 198.51.100.1:80, 203.0.113.9:443, …
 *
 * A mapping is that of a host's port, whoever it talks to; it lives as long as one of its sessions, or for ever when it was
 * configured. Sessions begin and are kept alive by what is sent from inside (RFC 4787 REQ-6), except that TCP's are by both
 * sides, and they decide who may answer. All is bounded, for all hosts and for each.
 */
import type { NatFiltering } from '../../../src/api/rules.ts'
import type { Instant } from '../../../src/kernel/clock.ts'
import type { Timed } from '../../../src/kernel/machine.ts'
import type { Random } from '../../../src/kernel/random.ts'
import { mix } from '../flow.ts'
import { PROTOCOL } from '../service.ts'
import type { NatSettings } from './options.ts'
import { FreePorts, NO_PORT } from './ports.ts'
import type { Segment } from './segment.ts'
import { IdleList, Mapping, Remote, Session } from './session.ts'

/** Buckets of each hash table at the least; a power of two. */
const FEWEST_BUCKETS = 256
/** Sessions to a bucket when there are as many as may be. */
const PER_BUCKET = 4
/** There is no room, or no port. */
export const FULL = -1

export class NatTable implements Timed {
  private readonly filtering: NatFiltering
  private readonly maxSessions: number
  private readonly maxPerHost: number
  private readonly random: Random
  private readonly seed: number
  private readonly udp: IdleList
  private readonly tcp: IdleList
  private readonly transitory: IdleList
  private readonly icmp: IdleList
  private readonly lists: readonly IdleList[]
  private readonly mappings: (Mapping | null)[]
  private readonly sessions: (Session | null)[]
  private readonly remotes: (Remote | null)[]
  private readonly udpPorts = new FreePorts()
  private readonly tcpPorts = new FreePorts()
  private readonly identifiers = new FreePorts()
  /** By protocol and port. */
  private readonly outside = new Map<number, Mapping>()
  /** Sessions of each host inside. */
  private readonly perHost = new Map<number, number>()
  private count = 0

  constructor(settings: NatSettings, random: Random) {
    const { timeouts } = settings
    this.filtering = settings.filtering
    this.maxSessions = settings.maxSessions
    this.maxPerHost = settings.maxSessionsPerHost
    this.random = random
    this.seed = random.uint32() | 0
    this.udp = new IdleList(timeouts.udp)
    this.tcp = new IdleList(timeouts.tcp)
    this.transitory = new IdleList(timeouts.tcpTransitory)
    this.icmp = new IdleList(timeouts.icmp)
    this.lists = [this.udp, this.tcp, this.transitory, this.icmp]
    const bits = Math.ceil(Math.log2(settings.maxSessions / PER_BUCKET))
    const buckets = Math.max(FEWEST_BUCKETS, 2 ** bits)
    this.mappings = new Array<Mapping | null>(buckets).fill(null)
    this.sessions = new Array<Session | null>(buckets).fill(null)
    this.remotes = new Array<Remote | null>(buckets).fill(null)
    for (const ports of [this.udpPorts, this.tcpPorts]) {
      ports.take(0)
      for (const port of settings.reserved) ports.take(port)
    }
    for (const forward of settings.forwards) {
      const { protocol, port, insideAddress, insidePort } = forward
      this.portsOf(protocol).take(port)
      this.enter(new Mapping(protocol, insideAddress, insidePort, port, true))
    }
  }

  /** Sessions there are. */
  get size(): number {
    return this.count
  }

  get deadline(): Instant {
    let first = Number.POSITIVE_INFINITY
    for (const list of this.lists) if (list.deadline < first) first = list.deadline
    return first
  }

  expire(now: Instant): void {
    for (const list of this.lists) {
      for (let session = list.oldest; session !== null && session.until <= now; session = list.oldest) this.end(session)
    }
  }

  /** Ends everything but what is configured: the address outside is another one. */
  clear(): void {
    for (const list of this.lists)
      for (let session = list.oldest; session !== null; session = list.oldest) this.end(session)
  }

  /**
   * Takes over the sessions of another table as far as the settings of this one, which is new, allow: with the port outside that
   * they have, or not at all. Where there is no room for all, those go on that would last longest, and were used last.
   * @param isInside whether an address that was inside still is.
   */
  adopt(old: NatTable, isInside: (address: number) => boolean): void {
    for (const [to, from] of [
      [this.tcp, old.tcp],
      [this.udp, old.udp],
      [this.transitory, old.transitory],
      [this.icmp, old.icmp],
    ] as const) {
      const kept: Session[] = []
      for (let was = from.newest; was !== null; was = was.before) {
        if (!isInside(was.remote.mapping.insideAddress)) continue
        const session = this.resume(was)
        if (session === null) continue
        session.until = was.until - from.time
        kept.push(session)
      }
      for (const session of kept.reverse()) to.refresh(session, session.until)
    }
  }

  /**
   * A packet from inside to a remote port.
   * @param segment what it says of its connection; of TCP alone. @returns the port outside that it gets, or FULL.
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
      if (session.connection?.pass(segment, true) ?? true) this.listOf(session).refresh(session, now)
      return session.remote.mapping.outsidePort
    }
    const mapping = this.mappingInside(protocol, address, port)
    // The reset of what came in unasked is no beginning.
    if (mapping !== null && protocol === PROTOCOL.tcp && segment.isReset) return mapping.outsidePort
    const begun = this.begin(mapping, protocol, address, port, remoteAddress, remotePort)
    // What is configured needs no session, so it works when there is no room for any.
    if (begun === null) return mapping?.permanent ? mapping.outsidePort : FULL
    begun.connection?.pass(segment, true)
    this.listOf(begun).refresh(begun, now)
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
      if (session.connection?.pass(segment, false)) this.listOf(session).refresh(session, now)
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
    for (const list of this.lists)
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
    known: Mapping | null,
    protocol: number,
    address: number,
    port: number,
    remoteAddress: number,
    remotePort: number,
  ): Session | null {
    if (!this.hasRoom(address)) return null
    const mapping = known ?? this.map(protocol, address, port)
    if (mapping === null) return null
    const remote = this.remote(mapping, remoteAddress) ?? this.meet(mapping, remoteAddress)
    const session = new Session(remote, remotePort)
    const bucket = this.bucket(protocol, address, port, remoteAddress, remotePort)
    session.next = this.sessions[bucket] as Session | null
    this.sessions[bucket] = session
    remote.sessions++
    mapping.sessions++
    this.count++
    this.perHost.set(address, this.sessionsOf(address) + 1)
    return session
  }

  private hasRoom(address: number): boolean {
    return this.count < this.maxSessions && this.sessionsOf(address) < this.maxPerHost
  }

  private sessionsOf(address: number): number {
    return this.perHost.get(address) ?? 0
  }

  /** Begins what was a session of another table, with its port outside; null where that cannot be. */
  private resume({ remote, remotePort, connection }: Session): Session | null {
    const { protocol, insideAddress, insidePort, outsidePort } = remote.mapping
    if (!this.hasRoom(insideAddress)) return null
    let mapping = this.mappingInside(protocol, insideAddress, insidePort)
    if (mapping === null) {
      if (!this.portsOf(protocol).take(outsidePort)) return null
      mapping = this.enter(new Mapping(protocol, insideAddress, insidePort, outsidePort, false))
    }
    if (mapping.outsidePort !== outsidePort) return null
    const session = this.begin(mapping, protocol, insideAddress, insidePort, remote.address, remotePort)
    if (session !== null) session.connection = connection
    return session
  }

  private meet(mapping: Mapping, address: number): Remote {
    const remote = new Remote(mapping, address)
    const bucket = this.bucketOf(mapping, address)
    remote.next = this.remotes[bucket] as Remote | null
    this.remotes[bucket] = remote
    return remote
  }

  private end(session: Session): void {
    const { remote } = session
    const { mapping } = remote
    const { protocol, insideAddress, insidePort } = mapping
    session.list?.remove(session)
    const bucket = this.bucket(protocol, insideAddress, insidePort, remote.address, session.remotePort)
    this.sessions[bucket] = without(this.sessions[bucket] as Session, session)
    if (--remote.sessions === 0) {
      const met = this.bucketOf(mapping, remote.address)
      this.remotes[met] = without(this.remotes[met] as Remote, remote)
    }
    this.count--
    const ofHost = this.sessionsOf(insideAddress) - 1
    if (ofHost === 0) this.perHost.delete(insideAddress)
    else this.perHost.set(insideAddress, ofHost)
    if (--mapping.sessions > 0 || mapping.permanent) return
    const place = this.bucket(protocol, insideAddress, insidePort)
    this.mappings[place] = without(this.mappings[place] as Mapping, mapping)
    this.outside.delete((protocol << 16) | mapping.outsidePort)
    this.portsOf(protocol).give(mapping.outsidePort)
  }

  /** The same port outside as inside if it is free, else another one; null when there is none. */
  private map(protocol: number, address: number, port: number): Mapping | null {
    const outside = this.portsOf(protocol).assign(port, this.random)
    return outside === NO_PORT ? null : this.enter(new Mapping(protocol, address, port, outside, false))
  }

  private portsOf(protocol: number): FreePorts {
    if (protocol === PROTOCOL.tcp) return this.tcpPorts
    return protocol === PROTOCOL.udp ? this.udpPorts : this.identifiers
  }

  private enter(mapping: Mapping): Mapping {
    const bucket = this.bucket(mapping.protocol, mapping.insideAddress, mapping.insidePort)
    mapping.next = this.mappings[bucket] as Mapping | null
    this.mappings[bucket] = mapping
    this.outside.set((mapping.protocol << 16) | mapping.outsidePort, mapping)
    return mapping
  }

  private listOf({ remote, connection }: Session): IdleList {
    if (connection !== null) return connection.isOpen ? this.tcp : this.transitory
    return remote.mapping.protocol === PROTOCOL.udp ? this.udp : this.icmp
  }

  /** Remote ports count, too: a scan of them from one port inside is not one long chain. */
  private bucket(protocol: number, address: number, port: number, remote = 0, remotePort = 0): number {
    const inside = mix(mix(this.seed ^ address) ^ ((protocol << 16) | port))
    return mix(mix(inside ^ remote) ^ remotePort) & (this.sessions.length - 1)
  }

  private bucketOf({ protocol, insideAddress, insidePort }: Mapping, remote: number): number {
    return this.bucket(protocol, insideAddress, insidePort, remote)
  }
}

const isOf = (mapping: Mapping, protocol: number, address: number, port: number): boolean =>
  mapping.insideAddress === address && mapping.insidePort === port && mapping.protocol === protocol

/** A bucket's chain without one of its links. @returns its new head. */
function without<Link extends { next: Link | null }>(head: Link, gone: Link): Link | null {
  if (head === gone) return gone.next
  let link = head
  while (link.next !== null && link.next !== gone) link = link.next
  if (link.next === gone) link.next = gone.next
  return head
}
