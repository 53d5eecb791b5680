/**
 * TCP Fast Open (RFC 7413): data that goes with the SYN, to a server that has seen the client's address before.
 *
 *   client ── SYN, cookie? ──────────► server        client ── SYN, cookie, data ─► server: data is delivered
 *          ◄─ SYN-ACK, cookie ───────                       ◄─ SYN-ACK of both ────
 *          ── ACK ───────────────────►                      ◄─ data of the answer ─
 *                                                           ── ACK ───────────────►
 *
 * Here is what one connection knows of it, on either side. A SYN that comes twice, after the first connection is over, delivers
 * its data twice (§2.1): only for requests that may be made again.
 */
import type { Instant } from '../../../src/kernel/clock.ts'
import { before } from '../../../src/kernel/sequence.ts'
import { releaseData } from './ack.ts'
import type { FastOpenCache } from './fast-open-cache.ts'
import type { Segment } from './segment.ts'
import type { Tcb } from './tcb.ts'

/** Octets of a header that the options of a SYN, or of a middlebox, may come to: its data leaves them free. */
const OPTION_ROOM = 40

/** What a connection knows of Fast Open. */
export class FastOpen {
  /** What the option of our SYN or SYN-ACK says; empty: it asks for a cookie; null: there is none. */
  readonly cookie: Uint8Array | null
  /** In the format of the experiment that it was at first (RFC 7413 appendix A). */
  readonly experimental: boolean
  /** Of an active open: octets of data that the SYN may hold. */
  readonly room: number
  /** Of a passive open: data is delivered and sent before the handshake is complete. */
  readonly early: boolean
  /** Of an active open: octets of data that our SYN held. */
  sent = 0
  /** The SYN had data, and all of it was accepted, by the peer or by us. */
  accepted = false
  /** Where the outcome of an active open is remembered. */
  private readonly cache: FastOpenCache | null

  constructor(
    cookie: Uint8Array | null,
    experimental: boolean,
    room: number,
    early: boolean,
    cache: FastOpenCache | null,
  ) {
    this.cookie = cookie
    this.experimental = experimental
    this.room = room
    this.early = early
    this.cache = cache
  }

  /** The SYN may be filled still. */
  isOpen(tcb: Tcb): boolean {
    return this.room > 0 && tcb.state === 'SYN-SENT' && tcb.snd.nxt === tcb.snd.iss
  }

  /** The SYN of an active open held data, and more has been written: the rest of a request, which the answer follows. */
  goesOn({ snd }: Tcb): boolean {
    return this.sent > 0 && ((snd.end - snd.iss - 1) | 0) > this.sent
  }

  /**
   * The SYN-ACK, or in a simultaneous open the ACK: what it leaves of our SYN's data is as if it had not been sent. Call when
   * SND.UNA has moved.
   */
  answered(tcb: Tcb, seg: Segment, now: Instant): void {
    const { snd } = tcb
    if (this.cache === null) return
    const taken = (snd.una - snd.iss - 1) | 0
    this.accepted = this.sent > 0 && taken === this.sent
    snd.nxt = snd.una
    tcb.octetsSent += taken
    releaseData(tcb)
    this.cache.answered(tcb.remote.address, this, seg, taken, tcb.lostSyns > 0, now)
  }

  /**
   * A retransmission timeout. Nothing is learnt from a server that never answered, which may just be down; one that answered the
   * SYN, and then is never heard of again, may be so because of it.
   */
  timedOut(tcb: Tcb, now: Instant): void {
    if (tcb.established && tcb.octetsReceived === 0) this.cache?.timedOut(tcb.retransmits, now)
  }
}

/** Was what begins at `seq` in our SYN? Then it is as small as the SYN's options made it, and nothing waits for it (Nagle). */
export function goesAgain(fastOpen: FastOpen | null, { snd }: Tcb, seq: number): boolean {
  return fastOpen !== null && fastOpen.sent > 0 && before(seq, (snd.iss + 1 + fastOpen.sent) | 0)
}

/** Octets of data that a SYN may hold. @param mss the peer's, as it was last; 0: unknown. */
export function synRoom(tcb: Tcb, mss: number): number {
  const { maxSegment } = tcb.options
  let most = tcb.path.mtu - tcb.networkHeaderOctets - 20
  if (mss > 0) most = Math.min(most, mss)
  if (maxSegment > 0) most = Math.min(most, maxSegment)
  return Math.max(most - OPTION_ROOM, 0)
}
