/**
 * RACK (RFC 8985): what was sent well before something that has arrived is lost. "Well before" is a quarter of the least
 * round trip, more where DSACKs show that this was too little, and nothing while there is no sign of reordering and three
 * segments have been sacked, or a loss is being repaired.
 */
import { type Duration, type Instant, ms } from '../../../src/kernel/clock.ts'
import { after } from '../../../src/kernel/sequence.ts'
import { type Progress, sentAfter } from './progress.ts'
import { REPEATED, records } from './records.ts'
import type { Sender } from './sender.ts'

/** Recoveries that a larger window lasts without another DSACK (RFC 8985 §6.2 step 4). */
const REO_WND_PERSIST = 16
const MOST_REO_WND_MULT = 255
/** Segments by which a network may reorder, before it is known by how many it does (RFC 5681 §3.2). */
export const DUP_THRESHOLD = 3
const MOST_REORDERING = 300
/** The timer gives what is on its way so much more, as timers are not exact. */
const REO_TIMER_SLACK: Duration = ms(2)

export class Rack {
  /** Of all that was delivered, what was sent last: RACK.xmit_ts, RACK.end_seq; and its round trip, RACK.rtt. */
  xmitAt: Instant = 0
  endSeq = 0
  rtt: Duration = 0
  /** What that was measured by: what left with it but behind it may still come. */
  private rttAt: Instant = 0
  private rttEnd = 0
  /** What was sent last had been sent before. */
  private repeated = false
  /** Something has been delivered since losses were last looked for. */
  advanced = false
  /** RACK.reo_wnd_mult, and recoveries until it is 1 again. */
  reoWndMult = 1
  reoWndPersist = 0
  private dsackSeen = false
  /** Octets delivered when the window was last made larger: it is so once a round trip at the most. */
  private roundAt = 0
  /** Segments by which the network was seen to reorder, at least. */
  reordering: number = DUP_THRESHOLD
  reorderingSeen = false

  /** (RFC 8985 §6.2 step 2) */
  advance(told: Progress): void {
    if (told.newestAt < 0) return
    this.advanced = true
    this.rtt = told.now - told.rackAt
    this.rttAt = told.rackAt
    this.rttEnd = told.rackEnd
    if (!sentAfter(told.newestAt, told.newestEnd, this.xmitAt, this.endSeq)) return
    this.xmitAt = told.newestAt
    this.endSeq = told.newestEnd
    this.repeated = (told.newestFlags & REPEATED) !== 0
  }

  /** (RFC 8985 §6.2 step 3) @param distance octets between what arrived late and what had overtaken it. */
  sawReordering(distance: number, mss: number): void {
    if (distance <= 0) return
    this.reorderingSeen = true
    this.reordering = Math.min(Math.max(this.reordering, Math.ceil(distance / mss)), MOST_REORDERING)
  }

  /** (RFC 8985 §6.2 step 4): a retransmission was one too many. The first time, there is a window from now on. */
  sawDsack(): void {
    if (this.reorderingSeen) this.dsackSeen = true
    this.reorderingSeen = true
  }

  /** Adapts the window to DSACKs, once a round trip. @param delivered octets in all. */
  adapt(told: Progress, delivered: number): void {
    if (told.newestAt < 0) return
    if (told.priorDelivered < this.roundAt) this.dsackSeen = false
    if (this.dsackSeen) {
      this.reoWndMult = Math.min(this.reoWndMult + 1, MOST_REO_WND_MULT)
      this.reoWndPersist = REO_WND_PERSIST
      this.dsackSeen = false
      this.roundAt = delivered
    } else if (this.reoWndPersist === 0) {
      this.reoWndMult = 1
    }
  }

  /** A recovery is over. @param spurious it should not have been. */
  recovered(spurious: boolean): void {
    if (spurious) this.reoWndPersist = Math.min(this.reoWndPersist + 1, REO_WND_PERSIST)
    else if (this.reoWndPersist > 0) this.reoWndPersist--
  }

  /** RACK_update_reo_wnd (RFC 8985 §6.2 step 4). */
  private reoWnd(sender: Sender): Duration {
    if (!this.reorderingSeen) {
      if (sender.state === 'recovery' || sender.state === 'loss') return 0
      if (sender.board.sacked >= this.reordering * sender.mss) return 0
    }
    return Math.min((sender.minRtt.value / 4) * this.reoWndMult, sender.srtt)
  }

  /** Did it leave with what the round trip was measured by, but after it? */
  private isBehind(sentAt: Instant, end: number): boolean {
    return sentAt === this.rttAt && after(end, this.rttEnd)
  }

  /**
   * Did what was sent last leave since the repair began? Where that was in the instant of its flight, sequence numbers do not tell
   * what goes again from what had gone before.
   */
  private isSince(recover: number): boolean {
    return this.repeated || after(this.endSeq, recover)
  }

  /**
   * RACK_detect_loss (RFC 8985 §6.2 step 5).
   * @returns when to look again, or 0.
   */
  detect(sender: Sender, told: Progress): Duration {
    if (!this.advanced) return 0
    this.advanced = false
    const { board } = sender
    const r = records
    const limit = this.rtt + this.reoWnd(sender)
    let wait = 0
    let newer = 0
    for (let i = board.oldest; i !== 0; i = newer) {
      newer = r.newer[i] as number
      const sentAt = r.sentAt[i] as number
      if (!sentAfter(this.xmitAt, this.endSeq, sentAt, r.end[i] as number)) break
      const again = ((r.flags[i] as number) & REPEATED) !== 0
      if (again && sentAt === this.xmitAt && !this.isSince(sender.recover)) continue
      const remaining = sentAt + limit - told.now
      if (remaining > 0 || (remaining === 0 && this.isBehind(sentAt, r.end[i] as number))) {
        wait = Math.max(wait, remaining, 1)
        continue
      }
      if (again) told.lostAgain = true
      told.lost += board.markLost(i)
    }
    return wait === 0 ? 0 : wait + REO_TIMER_SLACK
  }
}
