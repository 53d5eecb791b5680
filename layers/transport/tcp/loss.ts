/**
 * Loss recovery: what the state of a sender follows from an ACK. SACK with RACK as RFC 8985 has it, on the frame of
 * RFC 6675; without SACK, duplicate ACKs as of RFC 5681 and RFC 6582; and F-RTO (RFC 5682) after timeouts.
 *
 *   open ⇄ disorder → recovery        cwr: the window only
 *     └──── timeout ───→ loss
 */
import { type Instant, ms } from '../../../src/kernel/clock.ts'
import { after, afterOrAt, before } from '../../../src/kernel/sequence.ts'
import { armReorder } from './loss-timer.ts'
import { blackHoleDisproved, giveProbeUp, isProbeLost } from './mtu-probe.ts'
import type { MtuSearch } from './mtu-search.ts'
import { Progress } from './progress.ts'
import { records } from './records.ts'
import {
  beginReduction,
  beginUndo,
  countDuplicate,
  currentSsthresh,
  endReduction,
  mayUndo,
  reduceWindow,
  undoReduction,
  wasDelayed,
} from './reduction.ts'
import type { Sender } from './sender.ts'
import type { SegmentNote, Tcb } from './tcb.ts'

const NOTE_TOO_LARGE: SegmentNote = { event: 'retransmit', reason: 'pathMtu', rfc: 'RFC 1191 §6.4' }
const NOTE_PROBE_LOST: SegmentNote = { event: 'retransmit', reason: 'pathMtuProbe', rfc: 'RFC 4821 §7.6.2' }

/** What the timer of reordering has to tell: nothing but what is lost. */
const NOTHING = new Progress()

// ── SACK blocks

/** Takes in the blocks of an ACK. @param edges left and right of each in turn. */
export function takeBlocks(tcb: Tcb, s: Sender, ack: number, edges: Int32Array, count: number, told: Progress): void {
  const first = isDuplicateReport(ack, edges, count) ? duplicateReported(tcb, s, edges, told) : 0
  for (let i = first; i < count; i++) {
    const start = edges[2 * i] as number
    const end = edges[2 * i + 1] as number
    // Only what is outstanding, or was when the ACK left; anything else is wrong or forged.
    if (!before(start, end) || before(start, told.una) || after(end, tcb.snd.nxt)) continue
    s.board.sack(start, end, told)
  }
}

/** The first block tells of something received twice (RFC 2883 §4): it is acknowledged, or part of the second. */
function isDuplicateReport(ack: number, edges: Int32Array, count: number): boolean {
  const start = edges[0] as number
  const end = edges[1] as number
  if (!before(start, end)) return false
  if (before(start, ack)) return true
  return count > 1 && !before(start, edges[2] as number) && !after(end, edges[3] as number)
}

/** @returns 1: the first block is done with. */
function duplicateReported(tcb: Tcb, s: Sender, edges: Int32Array, told: Progress): 1 {
  const start = edges[0] as number
  const end = edges[1] as number
  if (((end - start) | 0) > tcb.snd.maxWnd || after(end, tcb.snd.nxt) || tcb.retransmitted === 0) return 1
  told.dsack = true
  told.dsackOfProbe = s.probing && s.probeResent && end === s.probeEnd
  if (!told.dsackOfProbe) s.rack.sawDsack()
  countDuplicate(s, start, end)
  return 1
}

// ── ACKs that are not what one expects

/** The state after an ACK that tells of trouble, or comes in its course. */
export function assess(tcb: Tcb, s: Sender, told: Progress): void {
  if (told.congested) s.priorSsthresh = 0
  if (reneged(tcb, s, told)) return
  if (afterOrAt(tcb.snd.una, s.recover) && finished(tcb, s)) return
  switch (s.state) {
    case 'recovery':
      inRecovery(tcb, s, told)
      return
    case 'loss':
      inLoss(tcb, s, told)
      return
    default:
      inOrder(tcb, s, told)
  }
}

/** The peer has sacked what it does not acknowledge now that its turn has come: it threw it away (RFC 2018 §8). */
function reneged(tcb: Tcb, s: Sender, told: Progress): boolean {
  if (!told.advanced || !tcb.sack || !s.board.isHeadSacked) return false
  // An ACK on its way may still say otherwise; the timer then forgets what was sacked.
  tcb.deadlines.retransmit = told.now + Math.max(tcb.rtt.srtt / 2, ms(10))
  tcb.timer = 'rto'
  return true
}

/** Everything is acknowledged that was outstanding when it began. @returns whether this ACK means nothing else. */
function finished(tcb: Tcb, s: Sender): boolean {
  if (s.state === 'cwr') {
    if (tcb.snd.una === s.recover) return false
    endReduction(s)
    s.state = 'open'
  } else if (s.state === 'recovery') {
    if (!tcb.sack) s.board.sacked = 0
    if (undoRecovery(tcb, s)) return true
    endReduction(s)
  }
  return false
}

/** Back to open. @returns true when duplicates of old ACKs could still start it anew: without SACK nobody can tell. */
function undoRecovery(tcb: Tcb, s: Sender): boolean {
  const undo = mayUndo(tcb, s)
  if (undo) undoReduction(s, false)
  s.rack.recovered(undo)
  if (!tcb.sack && tcb.snd.una === s.recover) {
    // (RFC 6582 §4.1, avoiding multiple fast retransmits)
    if (s.board.resent === 0) s.hasResentStamp = false
    endReduction(s)
    return true
  }
  s.state = 'open'
  return false
}

function inRecovery(tcb: Tcb, s: Sender, told: Progress): void {
  if (!told.advanced) {
    if (!tcb.sack) countDuplicateAck(tcb, s, told)
  } else if (undoPartial(tcb, s, told)) {
    return
  }
  if (undoByDsack(s)) keepOpen(tcb, s)
  identify(tcb, s, told, told.advanced)
  if (s.state !== 'recovery' && s.board.lost > 0) enterRecovery(tcb, s, told)
}

/** A hole was filled by an original that was late. @returns whether to wait for more of them. */
function undoPartial(tcb: Tcb, s: Sender, told: Progress): boolean {
  if (!s.undoable || !wasDelayed(tcb, s)) return false
  if (tcb.sack && s.board.sacked > 0) s.rack.sawReordering((s.board.fack - told.una) | 0, s.mss)
  if (s.board.resent > 0) return true
  s.hasResentStamp = false
  undoReduction(s, true)
  keepOpen(tcb, s)
  return false
}

function undoByDsack(s: Sender): boolean {
  if (!s.undoable || s.undoOctets !== 0) return false
  s.rack.recovered(true)
  undoReduction(s, false)
  return true
}

function inOrder(tcb: Tcb, s: Sender, told: Progress): void {
  if (!tcb.sack) {
    if (told.advanced) s.board.sacked = 0
    countDuplicateAck(tcb, s, told)
  }
  if (s.state !== 'cwr') undoByDsack(s)
  identify(tcb, s, told, false)
  if (s.board.lost === 0) open(tcb, s, told)
  else if (s.state === 'cwr' || told.congested || !repairProbe(tcb, s, told.now)) enterRecovery(tcb, s, told)
}

function open(tcb: Tcb, s: Sender, told: Progress): void {
  if (s.board.resent === 0) s.hasResentStamp = false
  if (told.congested) enterReduction(tcb, s)
  if (s.state !== 'cwr') keepOpen(tcb, s)
}

function keepOpen(tcb: Tcb, s: Sender): void {
  const state = s.board.sacked > 0 || s.board.lost > 0 ? 'disorder' : 'open'
  if (s.state === state) return
  s.state = state
  s.recover = tcb.snd.nxt
}

// ── what is lost

function identify(tcb: Tcb, s: Sender, told: Progress, partial: boolean): void {
  if (s.board.isEmpty) return
  if (!tcb.sack) {
    // What was too large has been seen to; the duplicates that follow tell of it alone.
    if (s.state !== 'loss' || !s.tooLarge) loseFirst(s, told, partial)
    return
  }
  const wait = s.rack.detect(s, told)
  if (wait > 0) armReorder(tcb, wait, told.now)
}

/** Without SACK: the third duplicate says that the first is missing, a partial ACK that the next one is (RFC 6582). */
function loseFirst(s: Sender, told: Progress, partial: boolean): void {
  const { board, mss } = s
  if (s.state === 'recovery' ? !partial : board.sacked < s.rack.reordering * mss) return
  const { head } = board
  if (board.octets(head) > mss) board.split(head, ((records.seq[head] as number) + mss) | 0)
  told.lost += board.markLost(head)
}

/** A duplicate ACK of a peer without SACK: some segment or other has arrived (RFC 5681 §3.2). */
function countDuplicateAck(tcb: Tcb, s: Sender, told: Progress): void {
  if (!told.duplicate) return
  const { board } = s
  const most = tcb.outstanding - Math.max(board.lost, s.mss)
  const more = Math.min(s.mss, most - board.sacked)
  if (more <= 0) return
  board.sacked += more
  told.octets += more
}

/** New data was acknowledged by a peer without SACK: one segment was the hole, the others its duplicates told of. */
export function forgetDuplicates(tcb: Tcb, s: Sender, told: Progress): void {
  const { board, mss } = s
  if (board.sacked === 0) return
  const known = Math.min(Math.max(told.octets - mss, 0), board.sacked)
  told.octets -= known
  // They may have been fewer than it seemed.
  board.sacked = Math.min(board.sacked - known, Math.max(tcb.outstanding - board.lost, 0))
  if (told.ambiguous) told.original = false
}

// ── entering a recovery

/** A router has marked a packet, or a lost tail was repaired by its probe: the window is reduced, nothing else. */
export function enterReduction(tcb: Tcb, s: Sender): void {
  s.priorSsthresh = 0
  if (s.state === 'cwr' || s.state === 'recovery' || s.state === 'loss') return
  s.undoable = false
  beginReduction(tcb, s)
  s.state = 'cwr'
}

function enterRecovery(tcb: Tcb, s: Sender, told: Progress): void {
  s.priorSsthresh = 0
  beginUndo(tcb, s)
  if (!s.reducing) {
    if (!told.congested) s.priorSsthresh = currentSsthresh(s)
    beginReduction(tcb, s)
  }
  s.recover = tcb.snd.nxt
  s.state = 'recovery'
}

/** RACK's timer ran out (RFC 8985 §6.3): what had time to arrive is lost. */
export function reorderTimeout(tcb: Tcb, s: Sender, now: Instant): void {
  NOTHING.begin(tcb.snd.una, s.board, tcb.sack, s.recover, 0, -1, now)
  s.rack.advanced = true
  const wait = s.rack.detect(s, NOTHING)
  if (wait > 0) armReorder(tcb, wait, now)
  if (NOTHING.lost === 0) return
  if (s.state !== 'recovery' && s.state !== 'loss') {
    if (s.state !== 'cwr' && repairProbe(tcb, s, now)) return
    enterRecovery(tcb, s, NOTHING)
    NOTHING.octets = s.mss
    reduceWindow(tcb, s, NOTHING)
  }
}

// ── after a timeout

/** The retransmission timer ran out (RFC 6298 §5.4 to §5.6, RFC 5681 §3.1). */
export function enterLoss(tcb: Tcb, s: Sender, now: Instant): void {
  const { board } = s
  const { snd } = tcb
  const again = tcb.retransmits > 0
  loseAll(s, now)
  const fresh = s.state === 'open' || s.state === 'disorder' || !after(s.recover, snd.una)
  if (fresh || (s.state === 'loss' && !again)) {
    s.priorSsthresh = currentSsthresh(s)
    s.priorCwnd = s.cwnd
    s.ssthresh = s.algorithm.reduce(s)
    s.algorithm.timedOut()
    beginUndo(tcb, s)
  }
  if (!tcb.sack) board.sacked = 0
  s.setCwnd(board.pipe(tcb.outstanding) + s.mss)
  s.frto = tcb.settings.forwardRto && (s.state !== 'loss' && s.state !== 'recovery' ? true : again)
  s.frtoTrial = s.probing = tcb.tailProbeDue = false
  s.lossNote = null
  s.tooLarge = false
  s.state = 'loss'
  s.recover = snd.nxt
  tcb.cwrDue = tcb.ecn
}

/** Everything is lost but what was sent too recently to say; the first in any case, even if it was sacked. */
function loseAll(s: Sender, now: Instant): void {
  const { board } = s
  const r = records
  const first = board.head
  if (board.isHeadSacked) board.unmarkSacked()
  let newer = 0
  for (let i = board.oldest; i !== 0; i = newer) {
    newer = r.newer[i] as number
    if (i !== first && s.rack.rtt > 0 && (r.sentAt[i] as number) + s.rack.rtt > now) continue
    board.markLost(i)
  }
}

/** What is outstanding is too large for the path: all of it goes again, and the window stays (RFC 1191 §6.4). */
export function loseAllToPath(tcb: Tcb, s: Sender): void {
  const { board } = s
  board.unmarkSacked()
  while (board.oldest !== 0) board.markLost(board.oldest)
  enterRepair(tcb, s, NOTE_TOO_LARGE)
}

/** A probe of the path's MTU is missing, and nothing else: it goes again in segments of the usual size (RFC 4821 §7.6.2). */
function repairProbe(tcb: Tcb, s: Sender, now: Instant): boolean {
  const { search } = tcb
  if (search === null || !isProbeLost(search, s)) return false
  giveProbeUp(search, s)
  search.failed(now)
  enterRepair(tcb, s, NOTE_PROBE_LOST)
  return true
}

/** A router says that the probe is too large. */
export function loseProbeToPath(tcb: Tcb, s: Sender, search: MtuSearch): void {
  giveProbeUp(search, s)
  // While something else is being repaired, this is so with it.
  if (s.state === 'open' || s.state === 'disorder') enterRepair(tcb, s, NOTE_PROBE_LOST)
}

/** What is taken as lost goes again, and cwnd stays. */
function enterRepair(tcb: Tcb, s: Sender, note: SegmentNote): void {
  s.lossNote = note
  s.tooLarge = true
  s.ssthresh = currentSsthresh(s)
  s.priorSsthresh = 0
  s.undoable = s.frto = s.frtoTrial = false
  s.recover = tcb.snd.nxt
  s.state = 'loss'
}

function inLoss(tcb: Tcb, s: Sender, told: Progress): void {
  s.frtoTrial = false
  processLoss(tcb, s, told)
  identify(tcb, s, told, false)
  if (s.state === 'open' || told.lostAgain || (s.tooLarge && told.lost > 0)) inOrderAfterLoss(tcb, s, told)
}

/** The timeout was undone, or a retransmission was lost in its turn, or something besides what was too large. */
function inOrderAfterLoss(tcb: Tcb, s: Sender, told: Progress): void {
  if (s.board.lost > 0) enterRecovery(tcb, s, told)
  else open(tcb, s, told)
}

/** F-RTO (RFC 5682 §3.1): was the timeout one at all? */
function processLoss(tcb: Tcb, s: Sender, told: Progress): void {
  const recovered = afterOrAt(tcb.snd.una, s.recover)
  if (told.advanced && mayUndo(tcb, s)) {
    undoLoss(tcb, s)
    return
  }
  if (s.frto && forwardRto(tcb, s, told, recovered)) return
  if (recovered) {
    undoRecovery(tcb, s)
    return
  }
  if (tcb.sack) return
  if (after(tcb.snd.nxt, s.recover) && told.duplicate) countDuplicateAck(tcb, s, told)
  else if (told.advanced) s.board.sacked = 0
}

/** @returns whether nothing else is to be done. */
function forwardRto(tcb: Tcb, s: Sender, told: Progress, recovered: boolean): boolean {
  if (told.original) {
    // Step 3 b: something arrived that was sent before the timeout only.
    undoLoss(tcb, s)
    return true
  }
  if (after(tcb.snd.nxt, s.recover)) {
    // Step 3 a: what was sent since has arrived, and what was sent before has not.
    if (told.sacked || told.duplicate) s.frto = false
    return false
  }
  if (!told.advanced || recovered) return false
  // Step 2 b: new data shows which it is, if there is any.
  s.recover = tcb.snd.nxt
  s.frto = s.frtoTrial = tcb.hasUnsent && after((tcb.snd.una + tcb.snd.wnd) | 0, tcb.snd.nxt)
  return s.frtoTrial
}

function undoLoss(tcb: Tcb, s: Sender): void {
  undoReduction(s, true)
  tcb.retransmits = 0
  s.frto = false
  s.state = 'open'
  tcb.spuriousTimeouts++
  if (tcb.search !== null) blackHoleDisproved(tcb, tcb.search)
}

// ── tail loss probes

/** Did the probe repair a loss that nothing else has shown? (RFC 8985 §7.4) */
export function assessProbe(tcb: Tcb, s: Sender, ack: number, told: Progress): void {
  if (!s.probing || before(ack, s.probeEnd)) return
  if (!s.probeResent || told.dsackOfProbe) {
    s.probing = false
  } else if (after(ack, s.probeEnd)) {
    s.probing = false
    beginReduction(tcb, s)
    s.state = 'cwr'
    endReduction(s)
    keepOpen(tcb, s)
  } else if (!told.advanced && told.duplicate && !told.sacked) {
    s.probing = false
  }
}
