/**
 * An ICMP error about a segment we sent (RFC 9293 §3.9.2.2, RFC 5927). It counts only when the sequence number it quotes
 * is one that is outstanding, which a blind attacker does not know; and even then it never ends a connection that has
 * been established.
 */
import { before, beforeOrAt } from '../../../src/kernel/sequence.ts'
import type { ErrorReport } from '../../network/service.ts'
import { loseAllToPath, loseProbeToPath } from './loss.ts'
import { toldMtu, updateMss } from './path-mtu.ts'
import { records } from './records.ts'
import { type Failure, SOFT_ERROR, type Tcb } from './tcb.ts'

/** Smallest MTU that IPv4 allows a link (RFC 791); a report of less is not believed. */
const MIN_MTU = 68

/** What this node itself finds, so that it does not seem to be a stranger's word. */
const NO_NEIGHBOUR = 'on the link nobody answers to this address, or to that of the router on the way'

/**
 * @param report `foreign` is cleared when the segment is one of ours.
 * @param seq the sequence number of the quoted segment.
 * @param own it comes from this node: the next hop does not answer.
 * @returns why the connection fails, or undefined when it goes on.
 */
export function errorArrives(tcb: Tcb, report: ErrorReport, seq: number, own: boolean): Failure | undefined {
  const { snd } = tcb
  // (RFC 5927 §4.1); a probe repeats the number before the first that is outstanding, and so does, with Fast Open, a SYN-ACK.
  const behind = tcb.probes > 0 || (tcb.early && tcb.state === 'SYN-RECEIVED')
  const first = behind ? (snd.una - 1) | 0 : snd.una
  if (before(seq, first) || !before(seq, snd.nxt)) return undefined
  report.foreign = false
  if (report.code === 'EMSGSIZE') {
    packetTooBig(tcb, report.mtu, seq)
    return undefined
  }
  const failure: Failure = {
    code: report.code,
    message: own && report.reason === 'hostUnreachable' ? NO_NEIGHBOUR : `${report.from} says ${report.reason}`,
    reason: report.reason,
    rfc: 'RFC 9293 §3.9.2.2',
  }
  const opening = tcb.state === 'SYN-SENT' || tcb.state === 'SYN-RECEIVED'
  // An open does not wait for a neighbour that this node has found absent, as on Linux (RFC 5461 §4.1): no stranger says so.
  if (opening && (report.hard || own)) return failure
  // Remembered, and told: a timeout that follows is blamed on it (MUST-56, SHLD-25; RFC 5927 §5.2 for hard ones).
  tcb.softFailure = failure
  tcb.events |= SOFT_ERROR
  return undefined
}

/** The path is narrower than we thought: send what is outstanding again in smaller segments (RFC 1191 §6.4). */
function packetTooBig(tcb: Tcb, mtu: number, seq: number): void {
  const { snd, sender, search } = tcb
  const told = mtu >= MIN_MTU && mtu < toldMtu(tcb)
  if (told) tcb.pathMtu = mtu
  const refused = told && search !== null && search.size > mtu && search.seq === seq
  if (told) search?.narrow(mtu)
  updateMss(tcb)
  if (told && tcb.state === 'SYN-SENT' && tcb.fastOpen !== null && tcb.fastOpen.sent > 0) {
    // The data did not fit: the SYN goes again without it (RFC 7413 §4.1.3.1).
    tcb.synDue = true
    tcb.timedAt = -1
    return
  }
  if (refused && sender !== null) {
    // What is smaller than the probe is on its way, unless another report says otherwise.
    loseProbeToPath(tcb, sender, search)
    return
  }
  if (!beforeOrAt(snd.una, seq) || sender === null || sender.board.head === 0) return
  // Sent in segments that fit by now.
  if ((records.mss[sender.board.head] as number) <= tcb.mss) return
  // Nothing says that the network is congested: cwnd stays (RFC 1191 §6.4).
  loseAllToPath(tcb, sender)
}
