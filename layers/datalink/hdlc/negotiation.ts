/**
 * Asking a peer what it knows and takes (AX.25 v2.2 §6.3.2): XID goes out again each T1 until it is answered, N2 times
 * more at the most. No I frame goes meanwhile, as it might be one that the peer cannot take. Without an answer our own
 * parameters hold.
 */
import type { Env } from '../../../src/kernel/env.ts'
import { Timer } from '../../../src/kernel/timers.ts'
import type { Abm } from './abm/machine.ts'
import type { AbmAgreement } from './abm/variant.ts'

export class Negotiation {
  private readonly env: Env
  private readonly abm: Abm
  private readonly ask: () => void
  private readonly over: () => void
  private readonly timer: Timer
  private tries = 0

  /** @param ask sends XID; @param over hears that nobody has answered. */
  constructor(env: Env, abm: Abm, ask: () => void, over: () => void) {
    this.env = env
    this.abm = abm
    this.ask = ask
    this.over = over
    this.timer = new Timer({ expire: () => this.repeat() })
  }

  begin(): void {
    this.stop()
    this.tries = 0
    this.abm.agree({ k: 0 })
    this.repeat()
  }

  /** The peer has told its parameters, also unasked. */
  agree(agreement: AbmAgreement): void {
    this.stop()
    this.abm.agree(agreement)
  }

  /** The connection has gone, or begun anew: whoever answers an XID with FRMR knows none. */
  abandon(): void {
    if (this.timer.armed) this.agree({})
  }

  stop(): void {
    this.env.timers.cancel(this.timer)
  }

  private repeat(): void {
    const { t1, n2 } = this.abm.parameters
    if (this.tries++ > n2) {
      this.agree({})
      this.over()
      return
    }
    this.ask()
    const { clock, timers } = this.env
    timers.arm(this.timer, clock.now() + t1)
  }
}
