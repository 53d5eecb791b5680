/** What a translation remembers: mappings, and the sessions that keep them alive. */
import type { Instant } from '../../../src/kernel/clock.ts'
import { PROTOCOL } from '../service.ts'
import { Connection } from './connection.ts'
import type { IdleList } from './idle.ts'

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
