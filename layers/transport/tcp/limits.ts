/**
 * What keeps the sender from sending, and for how long each did: for information, as TCP_INFO has it.
 *
 *   idle ──data── busy ── the peer's window (window) ── nothing more written while the queue was full (buffer)
 */
import type { Duration, Instant } from '../../../src/kernel/clock.ts'
import type { Sender } from './sender.ts'
import type { Tcb } from './tcb.ts'

type Limit = 'idle' | 'busy' | 'window' | 'buffer'

export class Limits {
  private limit: Limit = 'idle'
  private since: Instant = 0
  private busyFor: Duration = 0
  private windowFor: Duration = 0
  private bufferFor: Duration = 0

  note(limit: Limit, now: Instant): void {
    if (limit === this.limit) return
    this.account(now)
    this.limit = limit
  }

  /** How long something was queued or in flight. */
  busy(now: Instant): Duration {
    this.account(now)
    return this.busyFor
  }

  /** Of this, how long the peer's window was in the way. */
  window(now: Instant): Duration {
    this.account(now)
    return this.windowFor
  }

  /** Of this, how long all was in flight that the queue held, and the application had more. */
  buffer(now: Instant): Duration {
    this.account(now)
    return this.bufferFor
  }

  private account(now: Instant): void {
    const passed = now - this.since
    this.since = now
    if (this.limit === 'idle') return
    this.busyFor += passed
    if (this.limit === 'window') this.windowFor += passed
    else if (this.limit === 'buffer') this.bufferFor += passed
  }
}

/** All that may be sent now has been: what is in the way? */
export function allSent(tcb: Tcb, now: Instant): void {
  const { sender } = tcb
  if (sender !== null) sender.limits.note(limitOf(tcb, sender), now)
}

function limitOf(tcb: Tcb, s: Sender): Limit {
  const { snd } = tcb
  const flight = (snd.nxt - snd.una) | 0
  if (!tcb.hasUnsent) return flight === 0 ? 'idle' : tcb.wantsWritable ? 'buffer' : 'busy'
  const next = Math.min((snd.end - snd.nxt) | 0, tcb.mss)
  return snd.wnd - flight < next && s.cwnd - s.board.pipe(flight) >= next ? 'window' : 'busy'
}
