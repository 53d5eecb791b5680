/** Fragmentation (RFC 791 §3.2): one datagram into several that fit, each with a header of its own. */
import { Packet } from '../../../src/kernel/packet.ts'
import * as header from './header.ts'

/** Where the fragments go to, one by one and in order. */
export interface Fragments {
  /** Takes ownership. @returns false when the link's queue is full. */
  fragment(packet: Packet): boolean
}

/**
 * Cuts a datagram, or a fragment again. Ends the life of `packet`.
 * @param packet with its header at `start`; not to be cut when DF is set: that is for the caller to see.
 * @param mtu of the link, at least 68.
 * @param headroom octets each fragment needs in front. @param tailroom and behind.
 * @returns false when the queue below is full.
 */
export function fragment(packet: Packet, mtu: number, headroom: number, tailroom: number, to: Fragments): boolean {
  const { octets, view, start } = packet
  const first = header.headerOctets(view, start)
  const flags = header.flagsAndOffset(view, start)
  const end = packet.end
  let from = start + first
  let offset = flags & header.OFFSET_MASK
  let open = true
  while (from < end) {
    const piece = Packet.take(headroom, mtu + tailroom)
    const at = piece.start
    let length = first
    if (from === start + first) octets.copyWithin(at, start, from)
    else length = header.copyHeader(octets, view, start, at)
    const room = (mtu - length) & ~7
    const more = end - from > room
    const share = more ? room : end - from
    piece.put(length + share)
    octets.copyWithin(at + length, from, from + share)
    header.rewrite(view, at, length + share, (flags & (header.DF | header.MF)) | (more ? header.MF : 0) | offset)
    piece.networkStart = at
    open = to.fragment(piece) && open
    from += share
    offset += share >> 3
  }
  packet.release()
  return open
}
