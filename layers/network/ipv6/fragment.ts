/** Fragmentation (RFC 8200 §4.5): a packet of ours into several that fit. Routers cut nothing. */
import { Packet } from '../../../src/kernel/packet.ts'
import * as header from './header.ts'

/** Where the fragments go to, one by one and in order. */
export interface Fragments {
  /** Takes ownership. @returns false when the link's queue is full. */
  fragment(packet: Packet): boolean
}

/**
 * Cuts a packet behind its IPv6 header, which is all that is repeated: we send no other headers that routers look at.
 * Ends the life of `packet`.
 * @param packet with its header at `start`.
 * @param mtu of the path, at least 1280. @param id of all fragments.
 * @param headroom octets each fragment needs in front. @param tailroom and behind.
 * @returns false when the queue below is full.
 */
export function fragment(
  packet: Packet,
  mtu: number,
  id: number,
  headroom: number,
  tailroom: number,
  to: Fragments,
): boolean {
  const { octets, view, start, end } = packet
  const next = header.next(view, start)
  const payload = start + header.HEADER_OCTETS
  const room = (mtu - header.HEADER_OCTETS - header.FRAGMENT_OCTETS) & ~7
  let open = true
  for (let from = payload; from < end; from += room) {
    const share = Math.min(room, end - from)
    const last = from + share === end
    const length = header.FRAGMENT_OCTETS + share
    const piece = Packet.take(headroom, header.HEADER_OCTETS + length + tailroom)
    const at = piece.put(header.HEADER_OCTETS + length)
    octets.copyWithin(at, start, payload)
    view.setUint16(at + header.PAYLOAD_LENGTH_AT, length)
    view.setUint8(at + header.NEXT_AT, header.NEXT.fragment)
    const behind = at + header.HEADER_OCTETS
    header.writeFragment(view, behind, next, (from - payload) | (last ? 0 : header.MORE), id)
    octets.copyWithin(behind + header.FRAGMENT_OCTETS, from, from + share)
    piece.networkStart = at
    open = to.fragment(piece) && open
  }
  packet.release()
  return open
}
