/** Sending again what was lost, as far as the windows allow. */
import type { Instant } from '../../../src/kernel/clock.ts'
import type { Packet } from '../../../src/kernel/packet.ts'
import { after } from '../../../src/kernel/sequence.ts'
import { dataSegment } from './build.ts'
import { restartRetransmit, startRetransmit } from './loss-timer.ts'
import { sentAgain } from './mtu-probe.ts'
import { wholeSegments } from './output.ts'
import { charge } from './pacing.ts'
import { records, SACKED } from './records.ts'
import { FIN, PSH } from './segment.ts'
import type { Sender } from './sender.ts'
import type { SegmentNote, Tcb } from './tcb.ts'

const NOTE_TIMEOUT: SegmentNote = { event: 'retransmit', reason: 'rto', rfc: 'RFC 6298 §5.4' }
const NOTE_FAST: SegmentNote = { event: 'retransmit', reason: 'fastRetransmit', rfc: 'RFC 5681 §3.2' }
const NOTE_PARTIAL: SegmentNote = { event: 'retransmit', reason: 'partialAck', rfc: 'RFC 6582 §3.2' }
const NOTE_RACK: SegmentNote = { event: 'retransmit', reason: 'rack', rfc: 'RFC 8985 §6.2' }

/** The first of what is lost and has not been sent again. @returns null when the windows do not let it go. */
export function resendLost(tcb: Tcb, s: Sender, now: Instant): Packet | null {
  const { snd, mss } = tcb
  const i = s.board.nextDue()
  if (i === 0) return null
  const seq = records.seq[i] as number
  if (s.recordEnds === null) s.board.fill(i, mss)
  const octets = s.board.octets(i)
  const ahead = (seq - snd.una) | 0
  // The first segment goes even into a window that has shrunk to nothing (RFC 9293 §3.8.6 SHLD-16, MAY-7).
  const usable = ahead === 0 ? Math.max(snd.wnd, mss) : snd.wnd - ahead
  const limit = Math.min(s.cwnd - s.board.pipe(tcb.outstanding), usable)
  if (limit < Math.min(mss, octets)) return null
  const part = wholeSegments(tcb, Math.min(octets, limit))
  if (part < octets) s.board.split(i, (seq + part) | 0)
  else if (tcb.finQueued && ((seq + octets) | 0) === snd.end && snd.nxt === snd.end) {
    s.board.extendByFin(i)
    snd.nxt = (snd.nxt + 1) | 0
  }
  // What went in one unit goes in one again.
  if (s.unitLeft === 0) {
    s.unitLeft = Math.min(octets, Math.max(limit - (limit % mss), mss))
    s.unitIsLong = s.unitLeft > mss
  }
  s.unitLeft = Math.max(s.unitLeft - part, 0)
  const note = noteOf(tcb, s, seq)
  const packet = resend(tcb, s, i, now)
  tcb.note = note
  return packet
}

/** The last segment again, to make the receiver say what it has (RFC 8985 §7.3). */
export function resendTail(tcb: Tcb, s: Sender, now: Instant): Packet | null {
  const { tail } = s.board
  if (tail === 0 || ((records.flags[tail] as number) & SACKED) !== 0 || tcb.outstanding > tcb.snd.wnd) return null
  s.unitLeft = 0
  s.unitIsLong = false
  const octets = s.board.octets(tail)
  const last = octets % tcb.mss === 0 ? tcb.mss : octets % tcb.mss
  const i = octets <= tcb.mss ? tail : s.board.split(tail, ((records.end[tail] as number) - last) | 0)
  return resend(tcb, s, i, now)
}

function noteOf(tcb: Tcb, s: Sender, seq: number): SegmentNote {
  if (s.state === 'loss') return s.lossNote ?? NOTE_TIMEOUT
  if (tcb.sack) return NOTE_RACK
  return seq === s.undoMarker ? NOTE_FAST : NOTE_PARTIAL
}

function resend(tcb: Tcb, s: Sender, i: number, now: Instant): Packet {
  const { snd } = tcb
  const { board } = s
  const seq = records.seq[i] as number
  const end = records.end[i] as number
  const octets = (end - seq) | 0
  if (tcb.search !== null) sentAgain(tcb.search, seq, end)
  board.repeated(i, tcb.mss, now)
  s.rate.sent(i, false, now)
  const fin = after(end, snd.end)
  const pushed = (s.unitLeft === 0 && s.unitIsLong) || s.recordEnds?.has(end) === true
  const push = pushed ? PSH : 0
  const data = fin ? octets - 1 : octets
  const packet = dataSegment(tcb, seq, data, (fin ? FIN : 0) | (data > 0 ? push : 0), now)
  charge(tcb, s, octets, now)
  tcb.lastSentAt = now
  tcb.retransmitted += s.segments(octets)
  if (s.reducing) s.prrOut += octets
  if (!s.hasResentStamp) {
    s.hasResentStamp = true
    s.resentStamp = tcb.tsval(now)
  }
  s.undoOctets = Math.max(s.undoOctets, 0) + octets
  if (i === board.head && tcb.timer === 'rto') restartRetransmit(tcb, now)
  else startRetransmit(tcb, now)
  return packet
}
