/**
 * A neighbour on a link, and what it costs to send by it (RFC 8966 §3.2.4, §3.4, appendix A): which of its hellos have
 * arrived gives the cost of its direction, what it says of ours in IHUs that of the other.
 */
import type { IpAddress } from '../../../../src/kernel/address.ts'
import type { Instant } from '../../../../src/kernel/clock.ts'
import { Timer } from '../../../../src/kernel/timers.ts'
import type { Interface } from './interface.ts'
import type { Route } from './tables.ts'
import { INFINITY, seqnoDifference } from './tlv.ts'

/** Which of the last 16 hellos have arrived (appendix A.1): the newest is the highest bit. */
export class HelloHistory {
  bits = 0
  private expected = -1

  /** One arrived. */
  heard(seqno: number): void {
    if (this.expected >= 0) {
      const missed = seqnoDifference(seqno, this.expected)
      if (missed < -16 || missed > 16)
        this.bits = 0 // it has begun anew
      else if (missed < 0)
        this.bits = (this.bits << -missed) & 0xffff // the interval has grown: we had counted too many
      else this.bits >>= missed
    }
    this.bits = (this.bits >> 1) | 0x8000
    this.expected = (seqno + 1) & 0xffff
  }

  /** One is overdue. */
  missed(): void {
    this.bits >>= 1
    if (this.expected >= 0) this.expected = (this.expected + 1) & 0xffff
  }

  /** Two of the last three (appendix A.2.1). */
  get steady(): boolean {
    const recent = this.bits >> 13
    return recent === 3 || recent > 4
  }

  /** The share of hellos that has arrived, of 256 (appendix A.2.2). */
  get share(): number {
    const count = Math.min(16, this.length)
    return count === 0 ? 0 : Math.round((ones(this.bits) * 256) / count)
  }

  /** How far back we know of it: the oldest hello that arrived. */
  private get length(): number {
    return this.bits === 0 ? 0 : 16 - (31 - Math.clz32(this.bits & -this.bits))
  }
}

/** What is waited for: a hello to all, one to us alone, an IHU. */
export type Awaited = 'hello' | 'unicast' | 'ihu'

/** What a link is like, which says how its cost is found. */
export type LinkType = 'wired' | 'wireless'

export class Neighbour {
  readonly interface: Interface
  readonly address: IpAddress
  readonly multicast: HelloHistory = new HelloHistory()
  readonly unicast: HelloHistory = new HelloHistory()
  /** Until the next hello of each kind is overdue, µs. */
  helloInterval = 0
  unicastInterval = 0
  readonly helloTimer: Timer
  readonly unicastTimer: Timer
  readonly ihuTimer: Timer
  /** When it gets a hello of its own, if it gets any; and the seqno of the next, 16 bits. */
  readonly sayTimer: Timer
  helloSeqno: number
  /** What it says it costs to send to it. */
  txcost: number = INFINITY
  /** Of the link, both directions considered: 1 to 65535. */
  cost: number = INFINITY
  /** All it has announced; bounded. */
  routes: Route | null = null
  routeCount = 0
  /** What it will probably speak of next: neighbours say everything in the same order each time. */
  expected: Route | null = null
  /** Its IPv4 next hop as it last gave it. */
  nextHop4: IpAddress | null = null
  /** Its hellos were enough for a cost when last looked at. */
  heard = false

  /** @param helloSeqno of the first hello that it gets alone. */
  constructor(
    owner: Interface,
    address: IpAddress,
    helloSeqno: number,
    expire: (neighbour: Neighbour, what: Awaited | 'say', now: Instant) => void,
  ) {
    this.interface = owner
    this.address = address.clone()
    this.helloSeqno = helloSeqno
    this.sayTimer = new Timer({ expire: (now) => expire(this, 'say', now) })
    this.helloTimer = new Timer({ expire: (now) => expire(this, 'hello', now) })
    this.unicastTimer = new Timer({ expire: (now) => expire(this, 'unicast', now) })
    this.ihuTimer = new Timer({ expire: (now) => expire(this, 'ihu', now) })
  }

  /** Nothing of it has arrived for long. */
  get silent(): boolean {
    return this.multicast.bits === 0 && this.unicast.bits === 0
  }

  /** What it costs it to send to us, as we see it. */
  get rxcost(): number {
    const { type, rxcost } = this.interface
    if (type === 'wired') return this.multicast.steady || this.unicast.steady ? rxcost : INFINITY
    const share = Math.max(this.multicast.share, this.unicast.share)
    return share < 16 ? INFINITY : Math.min(INFINITY - 1, Math.round((rxcost * 256) / share))
  }

  /** The cost of the link as it would be now. */
  get presentCost(): number {
    const rxcost = this.rxcost
    if (rxcost === INFINITY || this.txcost === INFINITY) return INFINITY
    if (this.interface.type === 'wired') return Math.max(1, this.txcost)
    // 256 / (alpha * beta): a packet and its acknowledgment must both pass.
    const unit = this.interface.rxcost
    return Math.min(INFINITY - 1, Math.max(1, Math.round((Math.max(this.txcost, unit) * rxcost) / unit)))
  }
}

function ones(word: number): number {
  let count = 0
  for (let rest = word; rest !== 0; rest &= rest - 1) count++
  return count
}
