/**
 * In which order sessions end: each when it has been idle for its time, and some before, where there is no room for another.
 *
 * What may end before its time is nobody's any more, or not yet: a connection that both sides have closed and acknowledged
 * (in TIME-WAIT, of which RFC 5382 §5 asks nothing), at once; and one that is not open, or was reset, when nothing was heard of
 * it for longer than an answer takes. There we depart from RFC 5382 REQ-5 ("MUST NOT be less than 4 minutes"), as the same
 * section has it for a table that runs full. The others keep the least time that their RFC gives them, and open connections all
 * of theirs.
 */
import { type Duration, type Instant, seconds } from '../../../src/kernel/clock.ts'
import { PROTOCOL } from '../service.ts'
import type { NatSettings } from './options.ts'
import type { Session } from './session.ts'

/** A SYN is sent again, and begins anew; an open connection that was reset wrongly has objected (RFC 5961 §3.2). */
const ANSWERS_WITHIN: Duration = seconds(10)
/** RFC 5508 REQ-2. */
const LEAST_ICMP: Duration = seconds(60)
/** RFC 5382 REQ-5. */
const LEAST_CLOSING: Duration = seconds(240)
/** RFC 4787 REQ-5. */
const LEAST_UDP: Duration = seconds(120)

/** Sessions that end when they have been idle for the same time: the first to end is always the first in the list. */
export class IdleList {
  /** How long that is. */
  time: Duration = 0
  /** After how long they may end for others that need their room. */
  private readonly least: Duration
  private first: Session | null = null
  private last: Session | null = null

  /** @param least after how long its sessions may end for others that need their room; Infinity: they do not. */
  constructor(least: Duration) {
    this.least = least
  }

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

  /** The session that has been idle for longest, if it may end for others. */
  sparable(now: Instant): Session | null {
    const { first } = this
    return first !== null && now - first.used >= this.least ? first : null
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

/** The lists of a table. */
export class IdleLists {
  /** Connections that are over. */
  readonly closed: IdleList = new IdleList(0)
  private readonly doubtful = new IdleList(ANSWERS_WITHIN)
  private readonly icmp = new IdleList(LEAST_ICMP)
  private readonly closing = new IdleList(LEAST_CLOSING)
  private readonly udp = new IdleList(LEAST_UDP)
  private readonly tcp = new IdleList(Number.POSITIVE_INFINITY)
  /** In the order in which they make room. */
  readonly all: readonly IdleList[] = [this.closed, this.doubtful, this.icmp, this.closing, this.udp, this.tcp]
  private readonly ofTcp: readonly IdleList[] = [this.closed, this.doubtful, this.closing]
  private readonly ofUdp: readonly IdleList[] = [this.udp]
  private readonly ofIcmp: readonly IdleList[] = [this.icmp]

  setTimes({ udp, tcp, tcpTransitory, icmp }: NatSettings['timeouts']): void {
    this.udp.time = udp
    this.tcp.time = tcp
    this.icmp.time = icmp
    for (const list of this.ofTcp) list.time = tcpTransitory
  }

  /** The list whose time a session has. */
  of({ remote, connection }: Session): IdleList {
    if (connection === null) return remote.mapping.protocol === PROTOCOL.udp ? this.udp : this.icmp
    switch (connection.phase) {
      case 'open':
        return this.tcp
      case 'closing':
        return this.closing
      case 'closed':
        return this.closed
      default:
        return this.doubtful
    }
  }

  /** When the next session ends; Infinity when there is none. */
  get deadline(): Instant {
    let first = Number.POSITIVE_INFINITY
    for (const list of this.all) {
      const { deadline } = list
      if (deadline < first) first = deadline
    }
    return first
  }

  /**
   * A session that may end before its time, since others need its room: in so many steps as there are lists.
   * @param protocol whose ports are needed; null: any will do.
   */
  sparable(protocol: number | null, now: Instant): Session | null {
    for (const list of this.listsOf(protocol)) {
      const session = list.sparable(now)
      if (session !== null) return session
    }
    return null
  }

  private listsOf(protocol: number | null): readonly IdleList[] {
    if (protocol === null) return this.all
    if (protocol === PROTOCOL.tcp) return this.ofTcp
    return protocol === PROTOCOL.udp ? this.ofUdp : this.ofIcmp
  }
}
