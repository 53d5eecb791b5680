/**
 * Finishes transport checksums that were left to the link (Linux: CHECKSUM_PARTIAL): the field holds the folded sum of
 * the pseudo-header, and everything from the transport header to the end of the datagram is still to be added.
 */
import { checksum } from '../../src/kernel/checksum.ts'
import type { Packet } from '../../src/kernel/packet.ts'
import { transportEnd } from './header.ts'

/** Octets from the UDP header to its checksum; TCP's is at 16. */
const UDP_CHECKSUM_OFFSET = 6

/**
 * Completes a 'partial' checksum in place; leaves any other packet alone.
 * @param packet one packet of the wire; padding of a link behind the datagram is left out, a trailer must not be there.
 */
export function complete(packet: Packet): void {
  if (packet.checksum !== 'partial') return
  const { checksumStart, checksumOffset } = packet
  const value = checksum(checksumStart, transportEnd(packet) - checksumStart)
  // 0 would say that there is none (RFC 768).
  const written = value === 0 && checksumOffset === UDP_CHECKSUM_OFFSET ? 0xffff : value
  packet.view.setUint16(checksumStart + checksumOffset, written)
  packet.checksum = 'none'
}
