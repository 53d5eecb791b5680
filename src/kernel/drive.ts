/**
 * Runs a machine on a node's clock: the only code that arms protocol timers.
 *
 * Arming is lazy: a deadline that moves later leaves the timer where it is, and the timer re-arms itself when it fires
 * early. So a machine may move its deadline with every packet at no cost.
 */
import type { Instant } from './clock.ts'
import type { Timed } from './machine.ts'
import { Timer, type Timers } from './timers.ts'

/** The owner of a machine: moves everything between it and its neighbours that can move. */
export interface Pump {
  pump(now: Instant): void
}

export class Drive {
  private readonly machine: Timed
  private readonly timers: Timers
  private readonly owner: Pump
  private readonly timer: Timer
  private running = false

  /** @param owner asked to move what the machine has to say, after each expiry and each `run`. */
  constructor(machine: Timed, timers: Timers, owner: Pump) {
    this.machine = machine
    this.timers = timers
    this.owner = owner
    this.timer = new Timer(this)
  }

  /** Pumps, then sees to the timer. Re-entrant calls (a user that answers at once) fold into the outer one. */
  run(now: Instant): void {
    if (this.running) return
    this.running = true
    try {
      this.owner.pump(now)
    } finally {
      this.running = false // also when a handler of the application throws: the machine's life goes on
      this.arm()
    }
  }

  /** Sees to the timer alone, for a deadline that changed without anything to move. */
  arm(): void {
    const { deadline } = this.machine
    if (deadline < this.timer.deadline) this.timers.arm(this.timer, deadline)
  }

  /** Stops the timer. The machine's life is over. */
  stop(): void {
    this.timers.cancel(this.timer)
  }

  /** The timer fired. Not to be called by others. */
  expire(now: Instant): void {
    if (this.machine.deadline <= now) {
      this.machine.expire(now)
      this.run(now)
    } else {
      this.arm()
    }
  }
}
