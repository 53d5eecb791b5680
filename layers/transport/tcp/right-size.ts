/** Packets that are kept: how much memory a little data may hold. */
import type { Packet } from '../../../src/kernel/packet.ts'

/** A packet that fills less than this share of its slot is copied into one of its size before it is kept. */
const WASTE = 4

/** Small data must not hold a large slot. @returns the packet, or a copy in place of it, which the caller then owns. */
export function rightSized(packet: Packet): Packet {
  if (packet.limit - packet.base <= 2048 || packet.length * WASTE > packet.limit - packet.base) return packet
  const copy = packet.copy(0, 0)
  packet.release()
  return copy
}
