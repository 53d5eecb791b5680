/** A window that is not used says nothing about the path: it is not kept (RFC 7661; RFC 5681 §4.1, as Linux decays it). */
import type { Instant } from '../../../src/kernel/clock.ts'
import { currentSsthresh } from './reduction.ts'
import type { Sender } from './sender.ts'
import type { Tcb } from './tcb.ts'

/** Sending begins again after nothing was in flight: the window is halved for each timeout of silence. */
export function restartAfterIdle(tcb: Tcb, s: Sender, now: Instant): void {
  const idle = now - tcb.lastSentAt
  s.algorithm.resumed(idle, now)
  if (!tcb.settings.slowStartAfterIdle || s.uncontrolled || idle <= tcb.rtt.rto) return
  const least = Math.min(tcb.initialWindow, s.cwnd)
  s.ssthresh = currentSsthresh(s)
  let { cwnd } = s
  for (let left = idle - tcb.rtt.rto; left > 0 && cwnd > least; left -= tcb.rtt.rto) cwnd = Math.floor(cwnd / 2)
  s.setCwnd(Math.max(cwnd, least))
}

/** After a transmission, with so much in flight: half of what was not used for a timeout is given up (RFC 2861 §2). */
export function validateWindow(tcb: Tcb, s: Sender, flight: number, now: Instant): void {
  s.noteFlight(flight, tcb.snd.una, tcb.snd.nxt)
  if (s.limited) {
    s.used = 0
    s.usedAt = now
    return
  }
  if (flight > s.used) s.used = flight
  if (!tcb.settings.slowStartAfterIdle || s.uncontrolled || s.state !== 'open' || now - s.usedAt < tcb.rtt.rto) return
  const used = Math.max(s.used, tcb.initialWindow)
  if (used < s.cwnd) {
    s.ssthresh = currentSsthresh(s)
    s.setCwnd(Math.floor((s.cwnd + used) / 2))
  }
  s.used = 0
  s.usedAt = now
}
