/** The idle timeout of a socket (`setTimeout`): on the node's clock, and free of work while the socket is busy. */
import type { AsyncResource } from 'node:async_hooks'
import type { Duration, Instant } from '../../kernel/clock.ts'
import { type Expiring, Timer } from '../../kernel/timers.ts'
import { scopeOf, tell } from './async-scope.ts'
import type { ApiHost } from './context.ts'

/**
 * Activity moves the deadline only; the timer that fires early arms itself again. Turning the timeout off leaves the
 * timer where it is, too: HTTP does that twice a request.
 */
export class IdleTimer implements Expiring {
  private readonly host: ApiHost
  private readonly idle: () => void
  private readonly timer: Timer = new Timer(this)
  /** Of the call that turned it on. */
  private scope: AsyncResource | undefined
  private period: Duration = 0
  private deadline: Instant = Number.POSITIVE_INFINITY

  /** @param idle called when nothing happened for the period. */
  constructor(host: ApiHost, idle: () => void) {
    this.host = host
    this.idle = idle
  }

  /** @param period 0: off. */
  start(period: Duration): void {
    this.period = period
    if (period > 0) this.scope = scopeOf('TIMEOUT')
    this.refresh()
  }

  /** Something happened. */
  refresh(): void {
    if (this.period === 0) {
      this.deadline = Number.POSITIVE_INFINITY
      return
    }
    this.deadline = this.host.clock.now() + this.period
    if (this.deadline < this.timer.deadline) this.host.timers.arm(this.timer, this.deadline)
  }

  stop(): void {
    this.period = 0
    this.deadline = Number.POSITIVE_INFINITY
    this.host.timers.cancel(this.timer)
  }

  expire(now: Instant): void {
    if (this.deadline <= now) {
      this.deadline = Number.POSITIVE_INFINITY
      if (this.scope !== undefined) tell(this.scope, this.idle, undefined)
    } else if (this.deadline !== Number.POSITIVE_INFINITY) {
      this.host.timers.arm(this.timer, this.deadline)
    }
  }
}
