/**
 * Path MTU discovery by what gets through, for paths that drop large packets and say nothing (RFC 4821; RFC 8899's terms where
 * it has better ones). Nothing is spent on it until segments get lost that may have been too large:
 *
 *   timeouts in a row ──► segments become small (§7.7) ──► one larger than the others goes now and then (§7.3 to §7.5)
 *                               ▲                            │ arrives: all become as large (§7.6.1)
 *                               └──────── timeouts ──────────┤ is lost alone: sent again small, cwnd stays (§7.6.2)
 */
import type { Instant } from '../../../src/kernel/clock.ts'
import { afterOrAt, before } from '../../../src/kernel/sequence.ts'
import { optionOctets } from './build.ts'
import { MtuSearch } from './mtu-search.ts'
import { currentMtu, headerOctets, mostMtu, updateMss } from './path-mtu.ts'
import { LOST, records, SACKED } from './records.ts'
import type { Sender } from './sender.ts'
import type { SegmentNote, Tcb } from './tcb.ts'

const NOTE_BLACK_HOLE: SegmentNote = { event: 'retransmit', reason: 'blackHole', rfc: 'RFC 4821 §7.7' }

/**
 * The timeout in a row that segments become smaller with. The first may be a delay, and the second a loss; Linux waits for the
 * fourth.
 */
const TIMEOUTS = 3
/** The same while that is hard to believe: they are no larger than nearly every path takes, or others of the size have arrived. */
const TIMEOUTS_OF_DOUBT = 5
/** Segments that follow a probe: enough to show without a timeout that it was lost (RFC 4821 §7.4). */
const FOLLOWERS = 4
/** Every path takes as much (RFC 791 §3.2, RFC 8200 §5). */
const LEAST_MTU_IPV4 = 68
const LEAST_MTU_IPV6 = 1280

// ── sending

/** @returns octets of data that a probe is to carry now; 0: none is due; -1: the window must open a little further for it. */
export function probeOctets(tcb: Tcb, s: Sender, search: MtuSearch, now: Instant): number {
  if (search.size > 0 || s.state !== 'open' || s.unitLeft > 0 || s.board.sacked > 0 || s.probing) return 0
  // A probe would hold octets of several records.
  if (!tcb.options.pathMtuDiscovery || tcb.cwrDue || s.recordEnds !== null) return 0
  const { snd, mss } = tcb
  const octets = search.next(mostMtu(tcb), now) - headerOctets(tcb) - optionOctets(tcb)
  if (octets <= mss) return 0
  const needed = octets + FOLLOWERS * mss
  const flight = tcb.outstanding
  // Not the first of a flight, whose loss nothing that is acknowledged before it would set off from others.
  if (flight === 0 || ((snd.end - snd.nxt) | 0) < needed || snd.wnd - flight < needed || s.cwnd < needed) return 0
  const pipe = s.board.pipe(flight)
  if (s.cwnd - pipe >= octets) return octets
  // What arrives opens it (RFC 4821 §7.4 lets other data wait).
  return pipe > 0 ? -1 : 0
}

/** [seq, seq + octets) has been sent as a probe. */
export function probeSent(tcb: Tcb, search: MtuSearch, seq: number, octets: number): void {
  search.begin(octets + optionOctets(tcb) + headerOctets(tcb), seq, (seq + octets) | 0)
  tcb.mtuProbes++
}

/** [seq, end) has been sent again: if the probe was in it, an ACK will not tell which of both has arrived. */
export function sentAgain(search: MtuSearch, seq: number, end: number): void {
  if (search.size > 0 && before(seq, search.end) && before(search.seq, end)) search.inconclusive()
}

// ── what became of it

/** SND.UNA has moved. */
export function probeAcked(tcb: Tcb, search: MtuSearch, now: Instant): void {
  if (search.size === 0 || before(tcb.snd.una, search.end)) return
  search.passed(now)
  // All that the path could ever give: nothing is left to do.
  if (search.low >= mostMtu(tcb) && tcb.settings.mtuProbing !== 'always') tcb.search = null
  updateMss(tcb)
}

/** The first that is outstanding is the probe, and nothing else is lost: that says nothing of congestion (RFC 4821 §7.6.2). */
export function isProbeLost(search: MtuSearch, { board }: Sender): boolean {
  const { head } = board
  return (
    search.size > 0 &&
    head !== 0 &&
    records.seq[head] === search.seq &&
    ((records.flags[head] as number) & LOST) !== 0 &&
    board.lost <= ((search.end - search.seq) | 0)
  )
}

/** The probe is taken as lost, all of it: without SACK no more than a segment of it has been. */
export function giveProbeUp(search: MtuSearch, { board }: Sender): void {
  const r = records
  for (let i = board.head; i !== 0 && before(r.seq[i] as number, search.end); i = r.next[i] as number) {
    if (afterOrAt(r.seq[i] as number, search.seq)) board.markLost(i)
  }
}

// ── timeouts

/**
 * The retransmission timer has run out; before anything is taken as lost.
 * @returns what is to be said of what is sent again if it goes in smaller segments from now on; else null.
 */
export function pathTimedOut(tcb: Tcb, s: Sender, now: Instant): SegmentNote | null {
  const { search } = tcb
  if (search !== null) {
    if (tcb.retransmits === 0) search.settle()
    // Only the probe is missing, or nobody knows (RFC 4821 §7.6.3, §7.6.4).
    if (search.size > 0 && search.seq === tcb.snd.una) search.failed(now)
    else search.inconclusive()
  }
  return tcb.retransmits + 1 >= TIMEOUTS && maybeBlackHole(tcb) && shrink(tcb, s) ? NOTE_BLACK_HOLE : null
}

/** Is there no better reason for the silence? */
function maybeBlackHole({ settings, options, softFailure, snd }: Tcb): boolean {
  return settings.mtuProbing !== 'off' && options.pathMtuDiscovery && softFailure === null && snd.wnd > 0
}

/** Down to the base, then by halves (RFC 4821 §7.7). @returns false when that would not make smaller what is lost. */
function shrink(tcb: Tcb, s: Sender): boolean {
  const { head } = s.board
  if (head === 0) return false
  const headers = headerOctets(tcb)
  const { baseSegment, leastSegment } = tcb.settings
  const least = Math.max(leastSegment + headers, tcb.remote.address.isIpv4 ? LEAST_MTU_IPV4 : LEAST_MTU_IPV6)
  const base = Math.max(baseSegment + headers, least)
  const mtu = tcb.mss + optionOctets(tcb) + headers
  const low = mtu > base ? base : Math.max(((mtu - headers) >> 1) + headers, least)
  const doubtful = (mtu <= base && tcb.search === null) || hasArrived(s, low - headers)
  if (doubtful && tcb.retransmits + 1 < TIMEOUTS_OF_DOUBT) return false
  const lost = Math.min(s.board.octets(head), records.mss[head] as number) + optionOctets(tcb) + headers
  if (lost <= low) return false
  tcb.search ??= new MtuSearch(Math.min(currentMtu(tcb), mtu))
  tcb.search.fall(low)
  updateMss(tcb)
  return true
}

/** Of what is outstanding, has the peer any segment of more than `octets`? */
function hasArrived({ board }: Sender, octets: number): boolean {
  const r = records
  for (let i = board.head; i !== 0; i = r.next[i] as number) {
    if (((r.flags[i] as number) & SACKED) !== 0 && (r.mss[i] as number) > octets) return true
  }
  return false
}

/** The timeouts were none: what was large has arrived, only late. */
export function blackHoleDisproved(tcb: Tcb, search: MtuSearch): void {
  search.restore()
  if (search.low >= mostMtu(tcb) && tcb.settings.mtuProbing !== 'always') tcb.search = null
  updateMss(tcb)
}
