/**
 * Segments that arrived before their turn (RFC 9293 §3.10.7.4, SHLD-31): a short list of packets ordered by sequence
 * number; where they overlap, the surplus is cut off when they are taken out. What it may hold is counted in octets of
 * slots, per connection and per node, so that a peer that sends single octets far apart gains nothing.
 */
import type { Packet } from '../../../src/kernel/packet.ts'
import { afterOrAt, before, beforeOrAt } from '../../../src/kernel/sequence.ts'
import { rightSized } from './right-size.ts'

/** Slot octets that out-of-order packets of a node hold together. */
export interface ReassemblyBudget {
  used: number
  readonly limit: number
}

export class Reassembly {
  private readonly budget: ReassemblyBudget
  private readonly packets: Packet[] = []
  private readonly seqs: number[] = []
  private used = 0

  constructor(budget: ReassemblyBudget) {
    this.budget = budget
  }

  get isEmpty(): boolean {
    return this.packets.length === 0
  }

  /**
   * Keeps the data of `packet`, whose first octet has sequence number `seq`, unless another packet has all of it.
   * @param limit slot octets this connection may hold here.
   * @returns 'kept' — it took ownership. 'duplicate', 'full' — it did not.
   */
  insert(packet: Packet, seq: number, limit: number): 'kept' | 'duplicate' | 'full' {
    const slot = packet.limit - packet.base
    if (this.used + slot > limit || this.budget.used + slot > this.budget.limit) return 'full'
    let at = this.packets.length
    while (at > 0 && before(seq, this.seqs[at - 1] as number)) at--
    const end = (seq + packet.length) | 0
    if (at > 0 && beforeOrAt(end, this.endOf(at - 1))) return 'duplicate'
    this.giveWay(at, end)
    const kept = rightSized(packet)
    this.packets.splice(at, 0, kept)
    this.seqs.splice(at, 0, seq)
    this.account(kept.limit - kept.base)
    return 'kept'
  }

  /** Takes out the first packet if its data continues at `rcvNxt`, less what has been received; the caller owns it. */
  take(rcvNxt: number): Packet | undefined {
    while (this.packets.length > 0 && beforeOrAt(this.seqs[0] as number, rcvNxt)) {
      const packet = this.packets.shift() as Packet
      const received = (rcvNxt - (this.seqs.shift() as number)) | 0
      this.account(packet.base - packet.limit)
      if (received < packet.length) {
        packet.pull(received)
        return packet
      }
      packet.release()
    }
    return undefined
  }

  clear(): void {
    for (const packet of this.packets) packet.release()
    this.packets.length = this.seqs.length = 0
    this.account(-this.used)
  }

  private endOf(at: number): number {
    return ((this.seqs[at] as number) + (this.packets[at] as Packet).length) | 0
  }

  /** Releases packets from `at` on that end at or before `end`: the new one covers them. */
  private giveWay(at: number, end: number): void {
    while (at < this.packets.length && afterOrAt(end, this.endOf(at))) {
      const packet = this.packets[at] as Packet
      this.packets.splice(at, 1)
      this.seqs.splice(at, 1)
      this.account(packet.base - packet.limit)
      packet.release()
    }
  }

  private account(slots: number): void {
    this.used += slots
    this.budget.used += slots
  }
}
