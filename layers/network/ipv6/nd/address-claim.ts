/**
 * The claim to one address of a link, as a machine: duplicate address detection (RFC 4862 §5.4, enhanced by RFC 7527).
 *
 *               0…1 s           retransmit      retransmit
 *     claimed ────────► solicit ─────► … solicit ─────► (held)
 *                  │ somebody answers, or asks for it too: lost
 *                  │ our own solicitation comes back: once more, until one does not
 *
 * Not optimistic (RFC 4429): an address is used once it is held.
 */
import type { IpAddress } from '../../../../src/kernel/address.ts'
import { type Duration, type Instant, seconds } from '../../../../src/kernel/clock.ts'
import type { Timed } from '../../../../src/kernel/machine.ts'
import { below, type Random } from '../../../../src/kernel/random.ts'

/** MAX_RTR_SOLICITATION_DELAY: stations that are switched on together, or hear of a prefix together, must not ask together. */
const MOST_DELAY: Duration = seconds(1)

/** How often a loop of the link is asked about at the usual pace, and the pace after that (ours). */
const LOOPS = 3
const LOOP_INTERVAL: Duration = seconds(60)

export type ClaimState = 'probing' | 'held' | 'lost'

export class AddressClaim implements Timed {
  readonly address: IpAddress
  /** Of its prefix, in bits. */
  readonly length: number
  state: ClaimState
  deadline: Instant
  /** Of the solicitation sent last: 16 and 32 bits. */
  nonceHigh = 0
  nonceLow = 0
  private readonly random: Random
  private readonly retransmit: Duration
  /** Solicitations still to be sent. */
  private left: number
  private due: boolean = false
  private untold: boolean
  private cameBack: boolean = false
  private loops = 0

  /**
   * @param address becomes the claim's.
   * @param transmits solicitations before it is held; 0: it is held at once.
   * @param retransmit time between them.
   */
  constructor(
    address: IpAddress,
    length: number,
    transmits: number,
    retransmit: Duration,
    random: Random,
    now: Instant,
  ) {
    this.address = address
    this.length = length
    this.random = random
    this.retransmit = retransmit
    this.left = transmits
    this.state = transmits === 0 ? 'held' : 'probing'
    this.untold = transmits > 0
    this.deadline = transmits === 0 ? Number.POSITIVE_INFINITY : now + below(random, MOST_DELAY)
  }

  expire(now: Instant): void {
    if (this.cameBack) {
      this.cameBack = false
      this.loops++
      this.left++
    }
    if (this.state === 'probing' && this.left > 0) {
      this.left--
      this.due = true
      this.nonceHigh = this.random.uint32() >>> 16
      this.nonceLow = this.random.uint32() | 0
      this.deadline = now + (this.loops > LOOPS ? LOOP_INTERVAL : this.retransmit)
      return
    }
    if (this.state === 'probing') this.state = 'held'
    this.deadline = Number.POSITIVE_INFINITY
  }

  /** Is a solicitation to be sent now, with the nonce? True once each time. */
  output(): boolean {
    const { due } = this
    this.due = false
    return due
  }

  /** True once, when nobody has turned up and the address may be used. */
  takeClaimed(): boolean {
    const claimed = this.untold && this.state === 'held'
    if (claimed) this.untold = false
    return claimed
  }

  /** The link gave our solicitation back, which says nothing about others: ask once more (RFC 7527 §4.1). */
  loopedBack(): void {
    if (this.state === 'probing') this.cameBack = true
  }

  /** Somebody else has the address, or claims it as well. @returns whether that ends the claim. */
  conflict(): boolean {
    if (this.state === 'held') return false // it was there first, and is kept: RFC 4862 has nothing better either
    this.state = 'lost'
    this.deadline = Number.POSITIVE_INFINITY
    return true
  }
}
