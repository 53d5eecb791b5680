/**
 * What a translation knows of a TCP connection (RFC 5382 REQ-5, RFC 7857 §2): whether it is open, and may be silent for hours,
 * or is being opened or closed, and may not. What ends a connection has to be within the window of the other side, where
 * that would heed it: so nobody beside the path makes an open one look closed.
 */
import { FIN, LARGEST_SCALE, type Segment, SYN } from './segment.ts'

/** One end of a connection. */
class Side {
  seen = false
  /** All it has to send is sent. */
  fin = false
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

export class Connection {
  private inside = new Side()
  private outside = new Side()
  private reset = false

  get isOpen(): boolean {
    return this.inside.seen && this.outside.seen && !this.isOver
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
    if ((segment.flags & FIN) !== 0 && to.heeds(segment.last)) from.fin = true
    return true
  }
}
