/**
 * The error queue of a socket, read by recvmsg() with MSG_ERRQUEUE. With SO_ZEROCOPY it tells which calls' data is no longer
 * needed, with SO_TIMESTAMPING when the last octet of a call was sent, and acknowledged. Both follow from what the connection
 * says of its send queue.
 */
import type { Connection, Instant } from '../../../src/index.ts'
import { TIMESTAMPING } from './constants.ts'

export type Notice =
  | { readonly kind: 'zeroCopy'; readonly first: number; last: number }
  | { readonly kind: 'timestamp'; readonly what: number; readonly octet: number; readonly at: Instant }

/** SCM_TSTAMP_SND, SCM_TSTAMP_SCHED and SCM_TSTAMP_ACK. */
const SENT = 0
const SCHEDULED = 1
const ACKNOWLEDGED = 2

interface Write {
  /** Octets written up to its end, on the whole connection. */
  readonly end: number
  /** Of those without copying, counted from 0; -1: it is none. */
  readonly zeroCopy: number
  /** Bits of SO_TIMESTAMPING when it was made, and what its octets are counted from. */
  readonly timestamping: number
  readonly from: number
  sent: boolean
}

export class ErrorQueue {
  /** SO_ZEROCOPY */
  tellsZeroCopy = false
  readonly notices: Notice[] = []
  /** How often something came in: an edge each time. */
  told = 0
  private timestamping = 0
  private from = 0
  private written = 0
  private zeroCopies = 0
  private writes: Write[] = []

  /** SO_TIMESTAMPING: octets are counted from what is written next. */
  setTimestamping(bits: number): void {
    this.timestamping = bits
    this.from = this.written
  }

  get timestampingBits(): number {
    return this.timestamping
  }

  /** A call has written `octets`. @param zeroCopy with MSG_ZEROCOPY. */
  wrote(octets: number, zeroCopy: boolean): void {
    this.written += octets
    const tells = zeroCopy && this.tellsZeroCopy
    if (!tells && (this.timestamping & (TIMESTAMPING.SENT | TIMESTAMPING.ACK | TIMESTAMPING.SCHEDULED)) === 0) return
    const { timestamping, from, written } = this
    this.writes.push({ end: written, zeroCopy: tells ? this.zeroCopies++ : -1, timestamping, from, sent: false })
  }

  /** Looks what has become of the writes. Call after everything that happens. */
  settle(connection: Connection, at: Instant): void {
    if (this.writes.length === 0) return
    const { sendQueue, outstanding, state } = connection.info()
    const acknowledged = state === 'CLOSED' ? this.written : this.written - sendQueue
    const sent = Math.min(acknowledged + outstanding, this.written)
    for (const write of this.writes) if (!write.sent && write.end <= sent) this.tellSent(write, at)
    for (let first = this.writes[0]; first !== undefined && first.end <= acknowledged; first = this.writes[0]) {
      this.writes.shift()
      if (first.zeroCopy >= 0) this.tellReleased(first.zeroCopy)
      if ((first.timestamping & TIMESTAMPING.ACK) !== 0) this.tellTime(ACKNOWLEDGED, first, at)
    }
  }

  private tellSent(write: Write, at: Instant): void {
    write.sent = true
    if ((write.timestamping & TIMESTAMPING.SCHEDULED) !== 0) this.tellTime(SCHEDULED, write, at)
    if ((write.timestamping & TIMESTAMPING.SENT) !== 0) this.tellTime(SENT, write, at)
  }

  private tellTime(what: number, { end, from, timestamping }: Write, at: Instant): void {
    const octet = (timestamping & TIMESTAMPING.NUMBERED) !== 0 ? end - from - 1 : 0
    this.notices.push({ kind: 'timestamp', what, octet, at })
    this.told++
  }

  /** Those that follow one another are one notice. */
  private tellReleased(id: number): void {
    const last = this.notices.at(-1)
    if (last?.kind === 'zeroCopy' && last.last === id - 1) last.last = id
    else this.notices.push({ kind: 'zeroCopy', first: id, last: id })
    this.told++
  }
}
