/** Super-segments before a link that does not take them, whichever the family. */
import type { Packet } from '../../src/kernel/packet.ts'
import type { LinkService } from '../datalink/service.ts'
import { Segmenter } from '../offload/segment.ts'

/** Octets of the packets that a packet, with its header at `start`, is on the wire; of a super-segment, of the longest. */
export function wireOctets(packet: Packet): number {
  if (packet.segmentOctets === 0) return packet.end - packet.start
  return Math.min(packet.end, packet.checksumStart + packet.headerOctets + packet.segmentOctets) - packet.start
}

/** Where the segments go to, one by one and in order. Both take ownership. @returns false when the link's queue is full. */
export interface SegmentUser<Hop> {
  transmit(packet: Packet, hop: Hop): boolean
  /** One that is still larger than `mtu`. */
  cut(packet: Packet, hop: Hop, mtu: number): boolean
}

export class Segments<Hop> {
  private readonly segmenter = new Segmenter()
  private readonly user: SegmentUser<Hop>

  constructor(user: SegmentUser<Hop>) {
    this.user = user
  }

  /** Sends a super-segment in its segments. Ends its life. @returns false when the queue below is full. */
  send(packet: Packet, hop: Hop, mtu: number, { headroom, tailroom }: LinkService): boolean {
    const { segmenter, user } = this
    let open = true
    segmenter.start(packet, headroom, tailroom)
    for (let part = segmenter.next(); part !== undefined; part = segmenter.next()) {
      const sent = part.length > mtu ? user.cut(part, hop, mtu) : user.transmit(part, hop)
      open = sent && open
    }
    packet.release()
    return open
  }
}
