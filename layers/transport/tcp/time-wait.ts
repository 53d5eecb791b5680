/**
 * Connections in TIME-WAIT (RFC 9293 §3.6, MUST-13): small records, bounded in number, oldest first out.
 *
 * They all wait equally long, so a list in order of arrival is a list in order of expiry, and one timer serves it.
 */
import type { Endpoint } from '../../../src/api/sockets.ts'
import type { IpAddress } from '../../../src/kernel/address.ts'
import type { Duration, Instant } from '../../../src/kernel/clock.ts'
import type { HashKey } from '../../../src/kernel/keyed-hash.ts'
import { after, before } from '../../../src/kernel/sequence.ts'
import { Timer, type Timers } from '../../../src/kernel/timers.ts'
import { type Challenger, mayChallenge } from './challenge.ts'
import { ACK, FIN, RST, type Segment, SYN } from './segment.ts'
import { type Flow, FlowTable, scopeOf } from './table.ts'
import type { Tcb } from './tcb.ts'

/** Between the timestamps of two connections with the same ends, before the second may begin (RFC 6191 §2). */
const REUSE_AFTER_MS = 1000

/** What is left of a connection. */
export class TimeWaitRecord implements Flow, Challenger {
  readonly local: Endpoint
  readonly remote: Endpoint
  readonly scope: number
  readonly sndNxt: number
  readonly rcvNxt: number
  readonly rcvWnd: number
  readonly timestamps: boolean
  readonly tsOffset: number
  readonly tsRecent: number
  readonly ttl: number
  readonly trafficClass: number
  challengeAt: Instant = 0
  challenges = 0
  expiresAt: Instant = 0
  prev: TimeWaitRecord | null = null
  next: TimeWaitRecord | null = null

  constructor(tcb: Tcb) {
    this.local = tcb.local
    this.remote = tcb.remote
    this.scope = scopeOf(tcb.remote, tcb.link)
    this.sndNxt = tcb.snd.nxt
    this.rcvNxt = tcb.rcv.nxt
    this.rcvWnd = Math.min(tcb.rcv.wnd >> Math.max(tcb.rcv.shift, 0), 0xffff)
    this.timestamps = tcb.timestamps
    this.tsOffset = tcb.tsOffset
    this.tsRecent = tcb.tsRecent
    this.ttl = tcb.options.ttl
    this.trafficClass = tcb.options.trafficClass
  }

  /** May we begin a new connection with the same ends ourselves? Only when timestamps keep the two apart. */
  mayReuse(now: Instant, life: Duration): boolean {
    return this.timestamps && now - (this.expiresAt - life) >= REUSE_AFTER_MS * 1000
  }
}

/** What a segment for such a connection calls for (RFC 9293 §3.10.7.4, RFC 1337, RFC 6191). */
export type TimeWaitVerdict = 'ignore' | 'ignoreReset' | 'acknowledge' | 'restart' | 'reopen'

/**
 * Decides; changes nothing.
 * @param wanted somebody would accept a new connection. Else a SYN is answered as any that is not expected, and the peer
 * finds out by itself whether it is old; so is one with a FIN, which listeners do not take.
 */
export function inTimeWait(record: TimeWaitRecord, seg: Segment, wanted: boolean): TimeWaitVerdict {
  // A RST must not end TIME-WAIT early (RFC 1337 §3 fix F1)
  if ((seg.flags & RST) !== 0) return 'ignoreReset'
  if ((seg.flags & SYN) !== 0) {
    const newer = record.timestamps && seg.hasTimestamps && after(seg.tsval, record.tsRecent)
    const older = record.timestamps && seg.hasTimestamps && before(seg.tsval, record.tsRecent)
    const opens = wanted && (seg.flags & (ACK | FIN)) === 0 && (newer || (!older && after(seg.seq, record.rcvNxt)))
    return opens ? 'reopen' : 'acknowledge'
  }
  if (record.timestamps && seg.hasTimestamps && before(seg.tsval, record.tsRecent)) return 'acknowledge'
  if ((seg.flags & FIN) !== 0) {
    // The peer's FIN again: our ACK was lost, so wait 2 MSL from here on.
    return ((seg.seq + seg.len) | 0) === record.rcvNxt ? 'restart' : 'acknowledge'
  }
  const expected = seg.length === 0 && seg.seq === record.rcvNxt && (seg.flags & ACK) !== 0 && seg.ack === record.sndNxt
  return expected ? 'ignore' : 'acknowledge'
}

/** Is it answered? What has neither data nor FIN may be part of a loop of ACKs, and is answered so often only (RFC 5961 §7). */
export function isAnswered(record: TimeWaitRecord, verdict: TimeWaitVerdict, seg: Segment, now: Instant): boolean {
  if (verdict === 'restart') return true
  return verdict === 'acknowledge' && (seg.length > 0 || (seg.flags & FIN) !== 0 || mayChallenge(record, now))
}

export class TimeWait {
  private readonly table: FlowTable<TimeWaitRecord>
  private readonly timers: Timers
  private readonly timer: Timer
  private readonly life: Duration
  private readonly limit: number
  private oldest: TimeWaitRecord | null = null
  private newest: TimeWaitRecord | null = null

  /** @param life 2 MSL. @param limit records at the most. */
  constructor(key: HashKey, timers: Timers, life: Duration, limit: number) {
    this.table = new FlowTable(key)
    this.timers = timers
    this.timer = new Timer(this)
    this.life = life
    this.limit = limit
  }

  get size(): number {
    return this.table.size
  }

  /** As `FlowTable.find`. */
  find(
    local: IpAddress,
    localPort: number,
    remote: IpAddress,
    remotePort: number,
    link: number,
  ): TimeWaitRecord | undefined {
    return this.table.size === 0 ? undefined : this.table.find(local, localPort, remote, remotePort, link)
  }

  /** @returns whether the oldest had to go for it before its time. */
  add(tcb: Tcb, now: Instant): boolean {
    if (this.limit === 0 || this.life === 0) return false
    const { oldest } = this
    const full = oldest !== null && this.table.size >= this.limit
    if (full) this.delete(oldest)
    const record = new TimeWaitRecord(tcb)
    this.table.add(record)
    this.append(record, now)
    return full
  }

  /** Waits 2 MSL again. */
  restart(record: TimeWaitRecord, now: Instant): void {
    this.cut(record)
    this.append(record, now)
  }

  delete(record: TimeWaitRecord): void {
    if (!this.table.delete(record)) return
    this.cut(record)
    if (this.oldest === null) this.timers.cancel(this.timer)
  }

  mayReuse(record: TimeWaitRecord, now: Instant): boolean {
    return record.mayReuse(now, this.life)
  }

  clear(): void {
    while (this.oldest !== null) this.delete(this.oldest)
  }

  [Symbol.iterator](): IterableIterator<TimeWaitRecord> {
    return this.table[Symbol.iterator]()
  }

  /** The timer fired. Not to be called by others. */
  expire(now: Instant): void {
    while (this.oldest !== null && this.oldest.expiresAt <= now) this.delete(this.oldest)
    if (this.oldest !== null) this.timers.arm(this.timer, this.oldest.expiresAt)
  }

  private append(record: TimeWaitRecord, now: Instant): void {
    record.expiresAt = now + this.life
    record.prev = this.newest
    if (this.newest === null) this.oldest = record
    else this.newest.next = record
    this.newest = record
    if (!this.timer.armed) this.timers.arm(this.timer, record.expiresAt)
  }

  private cut(record: TimeWaitRecord): void {
    const { prev, next } = record
    if (prev === null) this.oldest = next
    else prev.next = next
    if (next === null) this.newest = prev
    else next.prev = prev
    record.prev = record.next = null
  }
}
