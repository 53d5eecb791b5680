/**
 * What a translation knows of a TCP connection (RFC 5382 §5, RFC 7857 §2): whether it is open, and may be silent for hours,
 * or is being opened or closed, and may not. What ends a connection has to be within the window of the other side, where
 * that would heed it: so nobody beside the path makes an open one look closed.
 */
import { FIN, LARGEST_SCALE, type Segment, SYN } from './segment.ts'

/** One end of a connection. */
class Side {
  seen = false
  /** All it has to send is sent, and what comes behind that, int32. */
  fin = false
  end = 0
  /** It has acknowledged something: */
  acknowledged = false
  /** the sequence number it expects, int32, and how many octets from there on it takes. */
  ack = 0
  window = 0
  /** Of its windows; while its SYN was not seen, the largest there is. */
  scale = LARGEST_SCALE

  /** Would it heed something with this sequence number? */
  heeds(seq: number): boolean {
    const distance = (seq - this.ack) | 0
    return !this.acknowledged || (distance >= 0 && distance <= this.window)
  }

  /** Does it know that the other has no more to send? */
  knowsEndOf({ fin, end }: Side): boolean {
    return fin && this.acknowledged && ((this.ack - end) | 0) >= 0
  }

  /** It sends a segment. */
  sends({ flags, ack, window, scale, acknowledges }: Segment): void {
    const syn = (flags & SYN) !== 0
    if (syn && !this.seen) this.scale = scale
    this.seen = true
    if (!acknowledges || (this.acknowledged && ((ack - this.ack) | 0) < 0)) return
    this.acknowledged = true
    this.ack = ack
    this.window = syn ? window : window << this.scale
  }
}

/**
 * Until both sides have acknowledged something a connection is 'opening', or is but half one; one with FINs of both is 'closing'
 * until both know (in TIME-WAIT, CLOSED).
 */
export type Phase = 'opening' | 'open' | 'closing' | 'closed' | 'reset'

export class Connection {
  private inside = new Side()
  private outside = new Side()
  private reset = false

  get phase(): Phase {
    const { inside, outside } = this
    if (inside.knowsEndOf(outside) && outside.knowsEndOf(inside)) return 'closed'
    if (this.reset) return 'reset'
    if (inside.fin && outside.fin) return 'closing'
    return inside.acknowledged && outside.acknowledged ? 'open' : 'opening'
  }

  private get isOver(): boolean {
    return this.reset || (this.inside.fin && this.outside.fin)
  }

  /** A segment passes. @returns whether it keeps the connection. */
  pass(segment: Segment, outbound: boolean): boolean {
    const to = outbound ? this.outside : this.inside
    if (segment.isReset) {
      if (this.reset || !to.heeds(segment.seq)) return false
      this.reset = true
      return true
    }
    if (this.isOver && segment.isFirst) {
      this.inside = new Side()
      this.outside = new Side()
    }
    // A side goes on: it was lost, or not heeded after all (RFC 7857 §2.2).
    this.reset = false
    const from = outbound ? this.inside : this.outside
    from.sends(segment)
    if ((segment.flags & FIN) !== 0 && to.heeds(segment.last)) {
      from.fin = true
      from.end = (segment.last + 1) | 0
    }
    return true
  }
}
