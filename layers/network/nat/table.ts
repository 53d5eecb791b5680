/**
 * The table of a translation (RFC 4787, RFC 5382, RFC 5508) as a machine: ports in, ports out, no packets.
 *
 *   inside 192.168.0.2:5000 ──┐ mapping ┌── outside port 5000
 *                             └────┬────┘
 *                    sessions: 198.51.100.1:80, 203.0.113.9:443, …
 *
 * A mapping is that of a host's port, whoever it talks to; it lives as long as one of its sessions, or for ever when it was
 * configured. Sessions begin and are kept alive by what is sent from inside (RFC 4787 §4.3), except that TCP's are by both
 * sides, and they decide who may answer. All is bounded, for all hosts and for each.
 */
import type { Instant } from '../../../src/kernel/clock.ts'
import type { Timed } from '../../../src/kernel/machine.ts'
import { below, type Random } from '../../../src/kernel/random.ts'
import { mix } from '../flow.ts'
import { PROTOCOL } from '../service.ts'
import type { Forward, NatFiltering, NatSettings } from './options.ts'
import { IdleList, Mapping, Remote, SEEN, Session } from './session.ts'

/** Buckets of each hash table at the least; a power of two. */
const FEWEST_BUCKETS = 256
/** Sessions to a bucket when there are as many as may be. */
const PER_BUCKET = 4
/** Of TCP's flags. */
const FIN = 0x01
const SYN = 0x02
const RST = 0x04
const ACK = 0x10
/** Ports below are given to hosts that use such themselves (RFC 4787 §4.2.1). */
const WELL_KNOWN = 1024
const PORTS = 65_536

/** There is no room, or no port. */
export const FULL = -1

export class NatTable implements Timed {
  private readonly filtering: NatFiltering
  private readonly maxSessions: number
  private readonly maxPerHost: number
  private readonly reserved: ReadonlySet<number>
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
  /** By protocol and port. */
  private readonly outside = new Map<number, Mapping>()
  /** Sessions of each host inside. */
  private readonly perHost = new Map<number, number>()
  private readonly forwards: readonly Forward[]
  private count = 0

  constructor(settings: NatSettings, random: Random) {
    const { timeouts } = settings
    this.filtering = settings.filtering
    this.maxSessions = settings.maxSessions
    this.maxPerHost = settings.maxSessionsPerHost
    this.reserved = settings.reserved
    this.random = random
    this.seed = random.uint32() | 0
    this.udp = new IdleList(timeouts.udp)
    this.tcp = new IdleList(timeouts.tcp)
    this.transitory = new IdleList(timeouts.tcpTransitory)
    this.icmp = new IdleList(timeouts.icmp)
    this.lists = [this.udp, this.tcp, this.transitory, this.icmp]
    this.forwards = settings.forwards
    const bits = Math.ceil(Math.log2(settings.maxSessions / PER_BUCKET))
    const buckets = Math.max(FEWEST_BUCKETS, 2 ** bits)
    this.mappings = new Array<Mapping | null>(buckets).fill(null)
    this.sessions = new Array<Session | null>(buckets).fill(null)
    this.remotes = new Array<Remote | null>(buckets).fill(null)
    this.configure()
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
   * A packet from inside to a remote port.
   * @param flags of TCP; 0 for others. @returns the port outside that it gets, or FULL.
   */
  outbound(
    protocol: number,
    address: number,
    port: number,
    remoteAddress: number,
    remotePort: number,
    flags: number,
    now: Instant,
  ): number {
    let session = this.session(protocol, address, port, remoteAddress, remotePort)
    if (session === null) {
      session = this.begin(protocol, address, port, remoteAddress, remotePort)
      if (session === null) return FULL
    }
    if (protocol === PROTOCOL.tcp) this.watch(session, flags, SEEN.out, SEEN.finOut)
    this.listOf(session).refresh(session, now)
    return session.remote.mapping.outsidePort
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
  admits(mapping: Mapping, remoteAddress: number, remotePort: number, flags: number, now: Instant): boolean {
    const { protocol, insideAddress, insidePort } = mapping
    const session = this.session(protocol, insideAddress, insidePort, remoteAddress, remotePort)
    if (session !== null) {
      if (protocol === PROTOCOL.tcp) {
        this.watch(session, flags, SEEN.in, SEEN.finIn)
        this.listOf(session).refresh(session, now)
      }
      return true
    }
    if (mapping.permanent || this.filtering === 'endpointIndependent') return true
    if (this.filtering === 'addressAndPort') return false
    return this.remote(mapping, remoteAddress) !== null
  }

  /** Has a mapping a session with this remote port? For errors about its packets (RFC 5508 §4.2). */
  hasSession({ protocol, insideAddress, insidePort }: Mapping, remoteAddress: number, remotePort: number): boolean {
    return this.session(protocol, insideAddress, insidePort, remoteAddress, remotePort) !== null
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
  ): Session | null {
    const ofHost = this.perHost.get(address) ?? 0
    if (this.count >= this.maxSessions || ofHost >= this.maxPerHost) return null
    const mapping = this.mappingInside(protocol, address, port) ?? this.map(protocol, address, port)
    if (mapping === null) return null
    const remote = this.remote(mapping, remoteAddress) ?? this.meet(mapping, remoteAddress)
    const session = new Session(remote, remotePort)
    const bucket = this.bucket(protocol, address, port, remoteAddress, remotePort)
    session.next = this.sessions[bucket] as Session | null
    this.sessions[bucket] = session
    remote.sessions++
    mapping.sessions++
    this.count++
    this.perHost.set(address, ofHost + 1)
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
    const ofHost = (this.perHost.get(insideAddress) ?? 1) - 1
    if (ofHost === 0) this.perHost.delete(insideAddress)
    else this.perHost.set(insideAddress, ofHost)
    if (--mapping.sessions > 0 || mapping.permanent) return
    const place = this.bucket(protocol, insideAddress, insidePort)
    this.mappings[place] = without(this.mappings[place] as Mapping, mapping)
    this.outside.delete((protocol << 16) | mapping.outsidePort)
  }

  private map(protocol: number, address: number, port: number): Mapping | null {
    const outside = this.portFor(protocol, port)
    return outside < 0 ? null : this.enter(new Mapping(protocol, address, port, outside, false))
  }

  private configure(): void {
    for (const { protocol, port, insideAddress, insidePort } of this.forwards) {
      this.enter(new Mapping(protocol, insideAddress, insidePort, port, true))
    }
  }

  private enter(mapping: Mapping): Mapping {
    const bucket = this.bucket(mapping.protocol, mapping.insideAddress, mapping.insidePort)
    mapping.next = this.mappings[bucket] as Mapping | null
    this.mappings[bucket] = mapping
    this.outside.set((mapping.protocol << 16) | mapping.outsidePort, mapping)
    return mapping
  }

  /** The same port outside as inside if it is free, else one of the same range and parity (RFC 4787 §4.2). */
  private portFor(protocol: number, wanted: number): number {
    if (this.isFree(protocol, wanted)) return wanted
    if (protocol === PROTOCOL.icmp) return this.search(protocol, 0, PORTS, 1)
    const parity = wanted & 1
    if (wanted < WELL_KNOWN) return this.search(protocol, 2 - parity, WELL_KNOWN, 2)
    return this.search(protocol, WELL_KNOWN + parity, PORTS, 2)
  }

  /** A free one from `low` up to `high`, begun at random so that nobody guesses the next. */
  private search(protocol: number, low: number, high: number, step: number): number {
    const count = Math.floor((high - low + step - 1) / step)
    const first = below(this.random, count)
    for (let i = 0; i < count; i++) {
      const port = low + ((first + i) % count) * step
      if (this.isFree(protocol, port)) return port
    }
    return FULL
  }

  private isFree(protocol: number, port: number): boolean {
    if (protocol !== PROTOCOL.icmp && (port === 0 || this.reserved.has(port))) return false
    return !this.outside.has((protocol << 16) | port)
  }

  /** Takes note of what a segment says of its connection (RFC 5382 §5). */
  private watch(session: Session, flags: number, direction: number, fin: number): void {
    const over = (session.seen & SEEN.reset) !== 0 || isClosed(session.seen)
    // The ports are used anew.
    if (over && (flags & (SYN | ACK)) === SYN) session.seen = 0
    session.seen |= direction
    if ((flags & RST) !== 0) session.seen |= SEEN.reset
    if ((flags & FIN) !== 0) session.seen |= fin
  }

  private listOf({ remote, seen }: Session): IdleList {
    const { protocol } = remote.mapping
    if (protocol === PROTOCOL.udp) return this.udp
    if (protocol === PROTOCOL.icmp) return this.icmp
    const both = SEEN.out | SEEN.in
    const open = (seen & both) === both && (seen & SEEN.reset) === 0 && !isClosed(seen)
    return open ? this.tcp : this.transitory
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

const isClosed = (seen: number): boolean => (seen & SEEN.finOut) !== 0 && (seen & SEEN.finIn) !== 0

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
