/** What a translation remembers: mappings, the sessions that keep them alive, and the order in which these end. */
import type { Duration, Instant } from '../../../src/kernel/clock.ts'
import { PROTOCOL } from '../service.ts'
import { Connection } from './connection.ts'

/**
 * A host's port inside and the port outside that stands for it, whoever it talks to (endpoint-independent, RFC 4787 REQ-1).
 * For echo requests, identifiers take the place of ports.
 */
export class Mapping {
  readonly protocol: number
  /** int32 */
  readonly insideAddress: number
  readonly insidePort: number
  readonly outsidePort: number
  /** Configured: it needs no session, and everyone may use it. */
  permanent: boolean
  /** Other settings want its sessions to end. */
  doomed = false
  /** How many there are; when there is none, the mapping goes. */
  sessions = 0
  /** The next in the same bucket. */
  next: Mapping | null = null

  constructor(protocol: number, insideAddress: number, insidePort: number, outsidePort: number, permanent: boolean) {
    this.protocol = protocol
    this.insideAddress = insideAddress
    this.insidePort = insidePort
    this.outsidePort = outsidePort
    this.permanent = permanent
  }
}

/** An address that a mapping has sent to. It goes with the last of its sessions. */
export class Remote {
  readonly mapping: Mapping
  /** int32 */
  readonly address: number
  sessions = 0
  /** The next in the same bucket. */
  next: Remote | null = null

  constructor(mapping: Mapping, address: number) {
    this.mapping = mapping
    this.address = address
  }
}

/** A mapping's packets to and from one remote port. */
export class Session {
  readonly remote: Remote
  readonly remotePort: number
  /** TCP's only. */
  connection: Connection | null
  /** When it was used last. */
  used: Instant = 0
  /** The list whose time it has, and its place there. */
  list: IdleList | null = null
  before: Session | null = null
  after: Session | null = null
  /** The next in the same bucket. */
  next: Session | null = null

  constructor(remote: Remote, remotePort: number) {
    this.remote = remote
    this.remotePort = remotePort
    this.connection = remote.mapping.protocol === PROTOCOL.tcp ? new Connection() : null
  }
}

/** Sessions that end when they have been idle for the same time: the first to end is always the first in the list. */
export class IdleList {
  /** How long that is. */
  time: Duration = 0
  private first: Session | null = null
  private last: Session | null = null

  /** When the next one ends; Infinity when there is none. */
  get deadline(): Instant {
    return this.first === null ? Number.POSITIVE_INFINITY : this.first.used + this.time
  }

  /** The session that has been idle for longest. */
  get oldest(): Session | null {
    return this.first
  }

  /** The session that was used last. */
  get newest(): Session | null {
    return this.last
  }

  /** Begins a session's time anew, in this list. */
  refresh(session: Session, now: Instant): void {
    session.list?.remove(session)
    session.list = this
    session.used = now
    session.before = this.last
    if (this.last === null) this.first = session
    else this.last.after = session
    this.last = session
  }

  remove(session: Session): void {
    const { before, after } = session
    if (before === null) this.first = after
    else before.after = after
    if (after === null) this.last = before
    else after.before = before
    session.before = null
    session.after = null
    session.list = null
  }
}
