/**
 * The one timer of what is outstanding (RFC 6298 §5). It runs for the retransmission timeout, or earlier for a tail loss
 * probe (RFC 8985 §7) or for segments that may only have been overtaken (§6.3).
 */
import { type Duration, type Instant, ms, seconds } from '../../../src/kernel/clock.ts'
import { records } from './records.ts'
import type { Sender } from './sender.ts'
import { NEVER, type Tcb } from './tcb.ts'

/** How long a peer may keep an ACK of a single segment (RFC 8985 §7.2, WCDelAckT). */
const WORST_DELAYED_ACK: Duration = ms(200)
const PROBE_SLACK: Duration = ms(2)
const FIRST_PROBE: Duration = seconds(1)
/** What is overdue is still given a moment. */
const SOON: Duration = ms(1)

/** (RFC 6298 §5.1) */
export function startRetransmit(tcb: Tcb, now: Instant): void {
  if (tcb.deadlines.retransmit === NEVER) restartRetransmit(tcb, now)
}

/** (RFC 6298 §5.3) */
export function restartRetransmit(tcb: Tcb, now: Instant): void {
  tcb.timer = 'rto'
  tcb.deadlines.retransmit = withinUserTimeout(tcb, now, tcb.rtt.backedOff(tcb.backoff))
}

/** No later than the user timeout, so that it is kept to. */
export function withinUserTimeout(tcb: Tcb, now: Instant, wait: Duration): Instant {
  const { userTimeout } = tcb
  return userTimeout > 0 ? Math.min(now + wait, Math.max(tcb.unackedSince + userTimeout, now)) : now + wait
}

export function armReorder(tcb: Tcb, wait: Duration, now: Instant): void {
  tcb.timer = 'reorder'
  tcb.deadlines.retransmit = now + Math.min(wait, tcb.rtt.backedOff(tcb.backoff))
}

/** After an ACK of something: for a probe, else for the timeout. */
export function armAfterAck(tcb: Tcb, s: Sender, now: Instant): void {
  if (tcb.outstanding === 0) {
    tcb.deadlines.retransmit = NEVER
  } else if (!armProbe(tcb, s, tcb.rtt.backedOff(tcb.backoff), now)) {
    if (tcb.timer === 'rto' || tcb.deadlines.retransmit === NEVER) restartRetransmit(tcb, now)
    else armForHead(tcb, s, now)
  }
}

/** Another timer has had its time: the timeout counts from when the first segment was sent. */
export function armForHead(tcb: Tcb, s: Sender, now: Instant): void {
  tcb.timer = 'rto'
  tcb.deadlines.retransmit = withinUserTimeout(tcb, now, Math.max(untilTimeout(tcb, s, now), SOON))
}

/** After new data was sent. */
export function armAfterSending(tcb: Tcb, s: Sender, now: Instant): void {
  startRetransmit(tcb, now)
  if (tcb.timer !== 'reorder') armProbe(tcb, s, untilTimeout(tcb, s, now), now)
}

function untilTimeout(tcb: Tcb, s: Sender, now: Instant): Duration {
  const { head } = s.board
  const sentAt = head === 0 ? now : (records.sentAt[head] as number)
  return sentAt + tcb.rtt.backedOff(tcb.backoff) - now
}

/** Arms the timer for a tail loss probe, if one is due before the timeout (RFC 8985 §7.2). */
function armProbe(tcb: Tcb, s: Sender, timeout: Duration, now: Instant): boolean {
  // Until the handshake is complete, it is the SYN-ACK that goes again (RFC 7413 §4.2.2).
  if (tcb.state === 'SYN-RECEIVED') return false
  if (!tcb.settings.tailLossProbe || !tcb.sack || s.probing || (s.state !== 'open' && s.state !== 'cwr')) return false
  const { srtt } = tcb.rtt
  const wait = tcb.outstanding <= tcb.mss ? WORST_DELAYED_ACK : PROBE_SLACK
  const pto = srtt === 0 ? FIRST_PROBE : Math.ceil(2 * srtt) + wait
  tcb.timer = 'probe'
  tcb.deadlines.retransmit = withinUserTimeout(tcb, now, timeout > 0 ? Math.min(pto, timeout) : pto)
  return true
}
