/**
 * The MSS that a forwarded SYN announces, held within what the links on both sides of this router take. A connection then
 * never sends what does not fit, even where the ICMP errors of path MTU discovery are filtered (RFC 2923 §2.1, §3).
 */
import { adjust } from '../../src/kernel/checksum.ts'
import type { Packet } from '../../src/kernel/packet.ts'
import { TCP_HEADER_OCTETS, tcpOption } from './tcp-option.ts'

const FLAGS = 13
const CHECKSUM = 16
const SYN = 0x02
const KIND_MSS = 2
const MSS_OCTETS = 4

/**
 * @param packet of TCP, no later fragment. @param tcp where its TCP header begins.
 * @param most octets of a segment that may be announced.
 */
export function clampMss(packet: Packet, tcp: number, most: number): void {
  const { view, end } = packet
  if (tcp + TCP_HEADER_OCTETS > end || (view.getUint8(tcp + FLAGS) & SYN) === 0) return
  const at = tcpOption(view, tcp, end, KIND_MSS, MSS_OCTETS)
  if (at < 0 || view.getUint16(at) <= most) return
  // An open checksum does not cover it yet. At an odd distance from the header its octets change places in the sum.
  if (packet.checksum !== 'partial') {
    const odd = (at - tcp) & 1
    const from = odd === 0 ? view.getUint16(at) : swapped(view.getUint16(at))
    const to = odd === 0 ? most : swapped(most)
    view.setUint16(tcp + CHECKSUM, adjust(view.getUint16(tcp + CHECKSUM), from, to))
  }
  view.setUint16(at, most)
}

const swapped = (word: number): number => ((word & 0xff) << 8) | (word >>> 8)
