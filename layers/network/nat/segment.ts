/** What a translation reads of a TCP segment (RFC 9293 §3.1). */
import { TCP_HEADER_OCTETS, tcpOption } from '../tcp-option.ts'

export const FIN = 0x01
export const SYN = 0x02
export const RST = 0x04
export const ACK = 0x10

const SEQUENCE = 4
const ACKNOWLEDGMENT = 8
const DATA_OFFSET = 12
const FLAGS = 13
const WINDOW = 14
/** The window scale option (RFC 7323 §2.2). */
const KIND_SCALE = 3
const SCALE_OCTETS = 3
/** The largest there is (RFC 7323 §2.3). */
export const LARGEST_SCALE = 14

/** Scratch: read one segment after the other into it. */
export class Segment {
  flags = 0
  /** int32, as all sequence numbers here. */
  seq = 0
  /** The last sequence number it takes up; that before `seq` when it takes up none. */
  last = 0
  ack = 0
  /** As it stands in the header. */
  window = 0
  /** By how many bits the windows of this side are shifted. Only a SYN says so; 0 for others. */
  scale = 0

  /** @param at where the header begins; all 20 octets of it are there. @param end beyond the data. */
  read(view: DataView, at: number, end: number): void {
    const octets = Math.max(TCP_HEADER_OCTETS, (view.getUint8(at + DATA_OFFSET) >>> 4) * 4)
    const data = Math.max(0, end - at - octets)
    this.flags = view.getUint8(at + FLAGS)
    this.seq = view.getInt32(at + SEQUENCE)
    this.ack = view.getInt32(at + ACKNOWLEDGMENT)
    this.window = view.getUint16(at + WINDOW)
    const syn = (this.flags & SYN) !== 0
    this.last = (this.seq + data + (syn ? 1 : 0) + (this.flags & FIN) - 1) | 0
    this.scale = syn ? scaleIn(view, at, end) : 0
  }

  get isReset(): boolean {
    return (this.flags & RST) !== 0
  }

  /** It begins a connection. */
  get isFirst(): boolean {
    return (this.flags & (SYN | ACK | RST)) === SYN
  }

  get acknowledges(): boolean {
    return (this.flags & ACK) !== 0
  }
}

function scaleIn(view: DataView, at: number, end: number): number {
  const value = tcpOption(view, at, end, KIND_SCALE, SCALE_OCTETS)
  return value < 0 ? 0 : Math.min(LARGEST_SCALE, view.getUint8(value))
}
