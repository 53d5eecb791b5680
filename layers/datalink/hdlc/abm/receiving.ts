/**
 * The receiving half of a connection: what comes in order goes up, what comes early waits for what is missing (SREJ) or
 * is refused (REJ).
 *
 *   ──── delivered ────┤ vr ▒▒▒ missing ▒▒▒ │ early │ ▒▒ missing ▒▒ │ early │ vh
 *
 * A frame is early only if the peer can have sent it: it knows at most the N(R) we sent last, and is allowed k frames
 * from there. All else is a duplicate.
 */
import type { Packet } from '../../../../src/kernel/packet.ts'
import { Queue } from '../../../../src/kernel/queue.ts'

/** What became of a frame. */
export type Reception =
  /** It, and perhaps others that had waited for it, can be taken. */
  | 'delivered'
  /** It waits. */
  | 'early'
  /** REJ: something before it is missing. It was not taken. */
  | 'outOfSequence'
  /** It has been here before. It was not taken. */
  | 'duplicate'
  /** The user above is slow. It was not taken. */
  | 'busy'

export class ReceiveWindow {
  vr = 0
  /** REJ: one has been sent for V(R), and is not to be repeated (X.25 §2.4.5.6). */
  rejected = false
  /** SREJ: numbers that have not been asked for yet. */
  asks = 0
  /** The N(R) that was sent last. */
  told = 0
  /** One past the highest number seen. */
  private vh = 0
  private readonly mask: number
  private readonly k: number
  private selective: boolean
  private readonly early: (Packet | null)[]
  private readonly ask: Uint8Array
  private readonly arrived: Queue<Packet>
  private readonly room: number

  /** @param k of the peer; @param room packets that may wait for the user above, apart from those that are early. */
  constructor(modulus: number, k: number, selective: boolean, room: number) {
    this.mask = modulus - 1
    this.k = k
    this.selective = selective
    this.early = new Array<Packet | null>(modulus).fill(null)
    this.ask = new Uint8Array(modulus)
    this.arrived = new Queue<Packet>(room, room + modulus)
    this.room = room
  }

  /** The user above is slow: nothing more is taken. */
  get full(): boolean {
    return this.arrived.length >= this.room
  }

  /** It has caught up well enough for the peer to go on. */
  get relieved(): boolean {
    return 2 * this.arrived.length <= this.room
  }

  /** Something after V(R) has been seen, but not V(R). */
  get hasHoles(): boolean {
    return this.vh !== this.vr
  }

  /** The next packet for the user above. */
  take(): Packet | undefined {
    return this.arrived.shift()
  }

  /** An I frame. Takes ownership only where it says so. */
  receive(ns: number, packet: Packet): Reception {
    const ahead = (ns - this.vr) & this.mask
    const reach = (this.told + this.k - this.vr) & this.mask
    // With REJ the next in order cannot be an old one, even where the peer's window is larger than ours.
    if (ahead >= reach && (this.selective || ahead !== 0)) return 'duplicate'
    if (this.full) return this.refuse(ns, ahead)
    if (ahead === 0) {
      this.accept(packet)
      return 'delivered'
    }
    if (!this.selective) return 'outOfSequence'
    if (this.early[ns] !== null) return 'duplicate'
    this.seen(ns, ahead)
    this.early[ns] = packet
    this.answered(ns)
    return 'early'
  }

  /** The next number to ask for, counted as asked; in rising order. Ask only while `asks` is not 0. */
  nextAsk(): number {
    let ns = this.vr
    while (this.ask[ns] === 0) ns = (ns + 1) & this.mask
    this.answered(ns)
    return ns
  }

  /** All that is missing has to be asked for, also what has been: for the answer to a poll. */
  askForAll(): void {
    for (let ns = this.vr; ns !== this.vh; ns = (ns + 1) & this.mask) if (this.early[ns] === null) this.wish(ns)
  }

  /**
   * From now on what comes early waits for what is missing, or is refused. What waits already is given up, as the peer
   * may not know how to fill the gaps one by one.
   * @returns whether something is missing.
   */
  recoverBy(selective: boolean): boolean {
    if (selective === this.selective) return false
    this.selective = selective
    const { hasHoles } = this
    this.forgetEarly()
    this.vh = this.vr
    return hasHoles
  }

  /** All numbers are 0 again; what came early is lost, what can be taken is kept. */
  reset(): void {
    this.forgetEarly()
    this.vr = this.vh = this.told = 0
    this.rejected = false
  }

  /** Ends the life of all it holds. */
  clear(): void {
    this.reset()
    for (let sdu = this.arrived.shift(); sdu !== undefined; sdu = this.arrived.shift()) sdu.release()
  }

  private forgetEarly(): void {
    for (let ns = 0; ns <= this.mask; ns++) {
      this.early[ns]?.release()
      this.early[ns] = null
      this.ask[ns] = 0
    }
    this.asks = 0
  }

  /** What was refused will have to be asked for, once the user above has caught up. */
  private refuse(ns: number, ahead: number): Reception {
    if (this.selective && this.early[ns] === null) {
      this.seen(ns, ahead)
      this.wish(ns)
    }
    return 'busy'
  }

  private accept(packet: Packet): void {
    const wasHighest = this.vh === this.vr
    this.arrived.push(packet)
    this.advance()
    if (wasHighest) this.vh = this.vr
    for (let next = this.early[this.vr]; next; next = this.early[this.vr]) {
      this.early[this.vr] = null
      this.arrived.push(next)
      this.advance()
    }
  }

  private advance(): void {
    this.answered(this.vr)
    this.vr = (this.vr + 1) & this.mask
    this.rejected = false
  }

  /** Everything up to `ns` must have been sent: what is not here is missing. */
  private seen(ns: number, ahead: number): void {
    if (ahead < ((this.vh - this.vr) & this.mask)) return
    for (let n = this.vh; n !== ns; n = (n + 1) & this.mask) this.wish(n)
    this.vh = (ns + 1) & this.mask
  }

  private wish(ns: number): void {
    if (this.ask[ns] === 0) this.asks++
    this.ask[ns] = 1
  }

  private answered(ns: number): void {
    if (this.ask[ns] === 1) this.asks--
    this.ask[ns] = 0
  }
}
