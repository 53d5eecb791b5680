/** What happens when a deadline of a connection passes. One timer drives them all: the earliest counts. */
import type { Instant } from '../../../src/kernel/clock.ts'
import { ackOverdue } from './ack-policy.ts'
import { enterLoss, reorderTimeout } from './loss.ts'
import { armForHead, restartRetransmit, withinUserTimeout } from './loss-timer.ts'
import { pathTimedOut } from './mtu-probe.ts'
import type { Sender } from './sender.ts'
import { type Failure, NEVER, type Tcb, UNANSWERED } from './tcb.ts'

const GIVEN_UP: Failure = {
  code: 'ETIMEDOUT',
  message: 'the peer did not acknowledge',
  reason: 'retransmissionTimeout',
  rfc: 'RFC 9293 §3.8.3',
}
const USER_TIMEOUT: Failure = {
  code: 'ETIMEDOUT',
  message: 'the peer did not acknowledge within the user timeout',
  reason: 'userTimeout',
  rfc: 'RFC 5482',
}
const SILENT: Failure = {
  code: 'ETIMEDOUT',
  message: 'the peer did not answer keepalive probes',
  reason: 'keepAliveTimeout',
  rfc: 'RFC 9293 §3.8.4',
}
const LINGERED: Failure = {
  code: 'ETIMEDOUT',
  message: 'the peer did not take the data within the linger time',
  reason: 'lingerTimeout',
  rfc: 'RFC 9293 §3.10.4',
}

/** How often a connection without an application is tried again, or probed, before it is given up. */
const ORPHAN_BACKOFF = 8

/** What the owner must do about an expiry besides sending. */
export type Expiry =
  | undefined
  /** Reset the peer and end the connection. */
  | { readonly reset: boolean; readonly failure: Failure | null }

export function nextDeadline(tcb: Tcb): Instant {
  const { retransmit, delayedAck, keepAlive, closing, pacing } = tcb.deadlines
  return Math.min(retransmit, delayedAck, keepAlive, closing, pacing)
}

/**
 * Sees to every deadline that has passed.
 * @param full the link takes no packets now. That is nobody's silence: nothing is counted, nor sent, until it does.
 * @returns how the connection ends, if it does.
 */
export function expireTimers(tcb: Tcb, full: boolean, now: Instant): Expiry {
  const { deadlines } = tcb
  if (deadlines.pacing <= now) deadlines.pacing = NEVER
  if (deadlines.delayedAck <= now) ackOverdue(tcb)
  if (deadlines.closing <= now) {
    deadlines.closing = NEVER
    // An orphan in FIN-WAIT-2 has nothing to lose; anything else is a linger time that was not enough.
    return tcb.state === 'FIN-WAIT-2' ? { reset: false, failure: null } : { reset: true, failure: LINGERED }
  }
  const patient = full && !tcb.orphan && !userTimedOut(tcb, now)
  if (deadlines.keepAlive <= now) {
    const expiry = expireKeepAlive(tcb, patient, now)
    if (expiry !== undefined) return expiry
  }
  if (deadlines.retransmit > now) return undefined
  deadlines.retransmit = NEVER
  if (patient) {
    deadlines.retransmit = withinUserTimeout(tcb, now, tcb.rtt.rto)
    return undefined
  }
  if (tcb.persisting) return expirePersist(tcb, now)
  const { sender, timer } = tcb
  if (sender === null || timer === 'rto') return expireRetransmit(tcb, now)
  expireEarly(tcb, sender, now)
  return undefined
}

/** The timer ran for less than the timeout: for a probe, or for RACK. */
function expireEarly(tcb: Tcb, sender: Sender, now: Instant): void {
  if (tcb.timer === 'probe') {
    tcb.tailProbeDue = true
    restartRetransmit(tcb, now)
    return
  }
  armForHead(tcb, sender, now)
  reorderTimeout(tcb, sender, now)
}

function expireRetransmit(tcb: Tcb, now: Instant): Expiry {
  const handshake = tcb.state === 'SYN-SENT' || tcb.state === 'SYN-RECEIVED'
  if (gaveUp(tcb, tcb.retransmits, retriesOf(tcb), now)) return { reset: !handshake, failure: blame(tcb, now) }
  if (handshake) {
    tcb.synDue = true
    tcb.timedAt = -1
    tcb.lostSyns++
  } else if (tcb.sender !== null) {
    const { sender } = tcb
    const note = pathTimedOut(tcb, sender, now)
    enterLoss(tcb, sender, now)
    sender.lossNote = note
  }
  tcb.retransmits++
  tcb.backoff++
  // R1 (RFC 9293 §3.8.3 MUST-20): the network and the application hear of it
  if (tcb.retransmits === tcb.settings.reportRetries) tcb.events |= UNANSWERED
  tcb.fastOpen?.timedOut(tcb, now)
  restartRetransmit(tcb, now)
  return undefined
}

function retriesOf(tcb: Tcb): number {
  if (tcb.state === 'SYN-SENT') return tcb.options.synRetries
  if (tcb.state === 'SYN-RECEIVED') return tcb.settings.synAckRetries
  // Nobody waits any more; still longer than the 100 s of RFC 9293 §3.8.3 SHLD-11.
  return tcb.orphan ? Math.min(tcb.settings.retries, ORPHAN_BACKOFF) : tcb.settings.retries
}

/** The user timeout, where there is one, takes the place of counting (RFC 5482; RFC 9293 §3.8.3 MUST-20, MUST-21). */
function gaveUp(tcb: Tcb, attempts: number, limit: number, now: Instant): boolean {
  return tcb.userTimeout > 0 ? userTimedOut(tcb, now) : attempts >= limit
}

/** A timeout is blamed on the ICMP error that announced it, if any (RFC 1122 §4.2.3.9). */
function blame(tcb: Tcb, now: Instant): Failure {
  if (tcb.softFailure !== null) return tcb.softFailure
  return userTimedOut(tcb, now) ? USER_TIMEOUT : GIVEN_UP
}

function userTimedOut({ userTimeout, unackedSince }: Tcb, now: Instant): boolean {
  return userTimeout > 0 && now - unackedSince >= userTimeout
}

/** (RFC 9293 §3.8.6.1): probe for ever as long as the peer answers (MUST-37), at growing intervals (SHLD-30). */
function expirePersist(tcb: Tcb, now: Instant): Expiry {
  // Whoever sets a user timeout, or has closed the connection, does not want to wait for a peer that never reads.
  const timedOut = userTimedOut(tcb, now) || (tcb.orphan && tcb.backoff >= ORPHAN_BACKOFF)
  if (timedOut || tcb.probes >= tcb.settings.retries) return { reset: true, failure: blame(tcb, now) }
  if (tcb.snd.wnd > 0) {
    tcb.override = true
    tcb.pushEnd = tcb.snd.end
  } else tcb.probeDue = true
  tcb.probes++
  tcb.backoff++
  tcb.deadlines.retransmit = withinUserTimeout(tcb, now, tcb.rtt.backedOff(tcb.backoff))
  return undefined
}

/** When the keepalive timer next needs a look; call when the option changes and when the connection is established. */
export function startKeepAlive(tcb: Tcb, now: Instant): void {
  tcb.deadlines.keepAlive = tcb.options.keepAlive ? now + tcb.options.keepAliveIdle : NEVER
}

/** (RFC 9293 §3.8.4): lazily, from when something was last received. */
function expireKeepAlive(tcb: Tcb, patient: boolean, now: Instant): Expiry {
  const { options, deadlines, snd } = tcb
  deadlines.keepAlive = NEVER
  if (!options.keepAlive) return undefined
  const idle = now - tcb.lastReceivedAt
  if (patient) {
    deadlines.keepAlive = now + options.keepAliveInterval
    return undefined
  }
  // Only when nothing is outstanding, which would be probing already (MUST-26)
  if (idle < options.keepAliveIdle || snd.una !== snd.nxt || tcb.persisting) {
    deadlines.keepAlive = Math.max(tcb.lastReceivedAt + options.keepAliveIdle, now + 1)
    if (idle >= options.keepAliveIdle) deadlines.keepAlive = now + options.keepAliveIdle
    return undefined
  }
  const gone = tcb.userTimeout > 0 ? idle >= tcb.userTimeout && tcb.probes > 0 : tcb.probes >= options.keepAliveCount
  if (gone) return { reset: true, failure: tcb.softFailure ?? SILENT }
  tcb.probes++
  tcb.probeDue = true
  deadlines.keepAlive = now + options.keepAliveInterval
  return undefined
}
