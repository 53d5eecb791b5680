/**
 * The claim to one address of a link, as a machine (RFC 5227): probe for others who use it, announce it, defend it.
 *
 *               0…1 s        1…2 s        1…2 s        2 s                 2 s
 *     claimed ────────► probe ─────► probe ─────► probe ────► announce ────────► announce ──► (held)
 *                         conflict: lost                        conflict: defend, at most every 10 s
 *
 * Without the check for conflicts it begins with the first announcement.
 */
import { type Duration, type Instant, seconds } from '../../../src/kernel/clock.ts'
import type { Timed } from '../../../src/kernel/machine.ts'
import { below, type Random } from '../../../src/kernel/random.ts'

/** The constants of RFC 5227 §1.1. */
const PROBE_WAIT: Duration = seconds(1)
const PROBE_NUM = 3
const PROBE_MIN: Duration = seconds(1)
const PROBE_MAX: Duration = seconds(2)
const ANNOUNCE_WAIT: Duration = seconds(2)
const ANNOUNCE_NUM = 2
const ANNOUNCE_INTERVAL: Duration = seconds(2)
const DEFEND_INTERVAL: Duration = seconds(10)

export type ClaimState = 'probing' | 'held' | 'lost'

/** What to do about a packet that shows that somebody else uses the address. */
export type ClaimConflict = 'lost' | 'defend' | 'bear'

export class AddressClaim implements Timed {
  /** The address, as int32, and the length of its prefix. */
  readonly address: number
  readonly length: number
  state: ClaimState
  deadline: Instant
  private readonly random: Random
  private probes = 0
  private announcements = 0
  private due: 'probe' | 'announcement' | undefined
  private untold: boolean
  private defended: Instant = Number.NEGATIVE_INFINITY

  /** @param detect probe before the address is used. */
  constructor(address: number, length: number, detect: boolean, random: Random, now: Instant) {
    this.address = address
    this.length = length
    this.random = random
    this.state = detect ? 'probing' : 'held'
    this.untold = detect
    // RFC 5227 §2.1.1: stations that are switched on together must not probe together.
    this.deadline = detect ? now + below(random, PROBE_WAIT) : now
  }

  expire(now: Instant): void {
    if (this.state === 'lost') {
      this.deadline = Number.POSITIVE_INFINITY
    } else if (this.state === 'probing' && this.probes < PROBE_NUM) {
      this.probes++
      this.due = 'probe'
      const last = this.probes === PROBE_NUM
      this.deadline = now + (last ? ANNOUNCE_WAIT : PROBE_MIN + below(this.random, PROBE_MAX - PROBE_MIN))
    } else {
      this.state = 'held'
      this.announcements++
      this.due = 'announcement'
      this.deadline = this.announcements < ANNOUNCE_NUM ? now + ANNOUNCE_INTERVAL : Number.POSITIVE_INFINITY
    }
  }

  /** What to send now, or undefined. */
  output(): 'probe' | 'announcement' | undefined {
    const { due } = this
    this.due = undefined
    return due
  }

  /** True once, when probing has found nobody and the address may be used. */
  takeClaimed(): boolean {
    const claimed = this.untold && this.state === 'held'
    if (claimed) this.untold = false
    return claimed
  }

  /** The link came up: announces the address again, as others may have learnt it elsewhere. */
  announce(now: Instant): void {
    if (this.state !== 'held') return
    this.announcements = 0
    this.deadline = now
  }

  /** Somebody else uses the address, or probes for it while we do. */
  conflict(now: Instant): ClaimConflict {
    if (this.state !== 'held') {
      this.state = 'lost'
      this.deadline = Number.POSITIVE_INFINITY
      return 'lost'
    }
    // RFC 5227 §2.4 (c): a configured address is kept; two such stations must not answer each other for ever.
    if (now - this.defended < DEFEND_INTERVAL) return 'bear'
    this.defended = now
    return 'defend'
  }
}
