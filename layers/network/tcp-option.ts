/** The options of a TCP header (RFC 9293 §3.1), for those on the way that have to know one of them. */

/** Octets of a TCP header without options. */
export const TCP_HEADER_OCTETS = 20
const DATA_OFFSET = 12
const KIND_END = 0
const KIND_NOP = 1

/**
 * @param at where the header begins; its first 20 octets are there. @param end beyond the packet.
 * @param octets of the option, with its kind and its length: one of another length does not count.
 * @returns where the value of the option stands, or -1.
 */
export function tcpOption(view: DataView, at: number, end: number, kind: number, octets: number): number {
  const behind = Math.min(at + (view.getUint8(at + DATA_OFFSET) >>> 4) * 4, end)
  for (let option = at + TCP_HEADER_OCTETS; option + 1 < behind; ) {
    const found = view.getUint8(option)
    if (found === KIND_END) return -1
    if (found === KIND_NOP) {
      option++
      continue
    }
    const length = view.getUint8(option + 1)
    if (length < 2 || option + length > behind) return -1
    if (found === kind && length === octets) return option + 2
    option += length
  }
  return -1
}
