/**
 * The sending half of a connection: what is under way, what has to go again, and what waits for the window.
 *
 *   ──── acknowledged ────┤ va ── under way: some marked to go again ── vs ├─── pending ───
 *                                          vs - va <= k, or what the peer takes
 *
 * Each transmission has an order, so that the answer to a poll speaks only of what went out before the poll.
 */
import type { Packet } from '../../../../src/kernel/packet.ts'
import type { Queue } from '../../../../src/kernel/queue.ts'

export class SendWindow {
  vs = 0
  va = 0
  /** Frames that have to go again. */
  resends = 0
  /** Counts transmissions of I frames. */
  order = 0
  private readonly mask: number
  private readonly k: number
  /** k, or less where the peer takes less. */
  private limited: number
  private readonly sdus: (Packet | null)[]
  private readonly orders: Float64Array
  private readonly again: Uint8Array
  /** How often a frame has gone out, up to 255. */
  private readonly tries: Uint8Array
  private readonly pending: Queue<Packet>

  constructor(modulus: number, k: number, pending: Queue<Packet>) {
    this.mask = modulus - 1
    this.k = k
    this.limited = k
    this.sdus = new Array<Packet | null>(modulus).fill(null)
    this.orders = new Float64Array(modulus)
    this.again = new Uint8Array(modulus)
    this.tries = new Uint8Array(modulus)
    this.pending = pending
  }

  /** Frames sent and not acknowledged. */
  get outstanding(): number {
    return (this.vs - this.va) & this.mask
  }

  /** There is a frame to send, for the first time, and the window has room for it. */
  get hasFresh(): boolean {
    return this.pending.length > 0 && this.outstanding < this.limited
  }

  /** The peer takes no more than so many frames before it acknowledges one. */
  limit(k: number): void {
    this.limited = Math.min(this.k, k)
  }

  /** Whether N(R) is one a peer may send: va <= nr <= vs. */
  covers(nr: number): boolean {
    return ((nr - this.va) & this.mask) <= this.outstanding
  }

  /**
   * Whether N(R) is one the peer may have sent before. How far back that was is up to the peer: what it sends again may be
   * older than our whole window. Only what our window still allows us to send cannot be.
   */
  isOld(nr: number): boolean {
    const behind = (this.va - nr) & this.mask
    return behind <= Math.max(this.k, this.mask - this.k) && behind + this.outstanding <= this.mask
  }

  /** Whether a frame of this number is under way: va <= ns < vs. */
  contains(ns: number): boolean {
    return ((ns - this.va) & this.mask) < this.outstanding
  }

  /** N(R) acknowledges all before it. @param nr one that `covers` allows. @returns how many were acknowledged. */
  acknowledge(nr: number): number {
    let count = 0
    while (this.va !== nr) {
      this.forget(this.va)
      this.va = (this.va + 1) & this.mask
      count++
    }
    return count
  }

  /** All from `nr` on goes again (REJ). */
  goBack(nr: number): void {
    for (let ns = nr; ns !== this.vs; ns = (ns + 1) & this.mask) this.mark(ns)
  }

  /** What the peer lacks goes again, unless it went out only after the poll it answers. @returns whether it does. */
  selectBefore(ns: number, order: number): boolean {
    if (!this.contains(ns) || this.orderOf(ns) >= order) return false
    this.mark(ns)
    return true
  }

  /** When the frame was sent last, as an order. */
  orderOf(ns: number): number {
    return this.orders[ns] as number
  }

  /** Whether the frame has been sent again already, or is about to be. */
  isRepeated(ns: number): boolean {
    return this.again[ns] === 1 || (this.tries[ns] as number) > 1
  }

  /** The number of the oldest frame that goes again. Ask only while `resends` is not 0. */
  nextAgain(): number {
    let ns = this.va
    while (this.again[ns] === 0) ns = (ns + 1) & this.mask
    return ns
  }

  /** @returns the number of the next pending packet, which is under way now. Ask only while `hasFresh`. */
  nextFresh(): number {
    const ns = this.vs
    this.sdus[ns] = this.pending.shift() as Packet
    this.tries[ns] = 0
    this.vs = (ns + 1) & this.mask
    return ns
  }

  /** The packet of a frame that goes out now; it stays here, for another time. */
  transmit(ns: number): Packet {
    this.orders[ns] = this.order++
    this.tries[ns] = Math.min(255, (this.tries[ns] as number) + 1)
    this.unmark(ns)
    return this.sdus[ns] as Packet
  }

  /** Nothing is under way any more, and all numbers are 0. @returns how many packets were lost. */
  reset(): number {
    const lost = this.acknowledge(this.vs)
    this.vs = this.va = 0
    return lost
  }

  private forget(ns: number): void {
    this.unmark(ns)
    this.sdus[ns]?.release()
    this.sdus[ns] = null
  }

  private mark(ns: number): void {
    if (this.again[ns] === 0) this.resends++
    this.again[ns] = 1
  }

  private unmark(ns: number): void {
    if (this.again[ns] === 1) this.resends--
    this.again[ns] = 0
  }
}
