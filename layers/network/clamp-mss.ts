/**
 * The MSS that a forwarded SYN announces, held within what the links on both sides of this router take. A connection then
 * never sends what does not fit, even where the ICMP errors of path MTU discovery are filtered (RFC 2923 §2.1, §3).
 */
import { adjust } from '../../src/kernel/checksum.ts'
import type { Packet } from '../../src/kernel/packet.ts'

/** Octets of a TCP header without options, which the MSS leaves room for. */
export const TCP_HEADER_OCTETS = 20
const DATA_OFFSET = 12
const FLAGS = 13
const CHECKSUM = 16
const SYN = 0x02
const KIND_END = 0
const KIND_NOP = 1
const KIND_MSS = 2
const MSS_OCTETS = 4

/**
 * @param packet of TCP, no later fragment. @param tcp where its TCP header begins.
 * @param most octets of a segment that may be announced.
 */
export function clampMss(packet: Packet, tcp: number, most: number): void {
  const { view, end } = packet
  if (tcp + TCP_HEADER_OCTETS > end || (view.getUint8(tcp + FLAGS) & SYN) === 0) return
  const at = mssOption(view, tcp + TCP_HEADER_OCTETS, Math.min(tcp + (view.getUint8(tcp + DATA_OFFSET) >>> 4) * 4, end))
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

/** @returns where the value of the option stands, or -1. */
function mssOption(view: DataView, from: number, end: number): number {
  for (let at = from; at + 1 < end; ) {
    const kind = view.getUint8(at)
    if (kind === KIND_END) return -1
    if (kind === KIND_NOP) {
      at++
      continue
    }
    const length = view.getUint8(at + 1)
    if (length < 2 || at + length > end) return -1
    if (kind === KIND_MSS && length === MSS_OCTETS) return at + 2
    at += length
  }
  return -1
}

const swapped = (word: number): number => ((word & 0xff) << 8) | (word >>> 8)
