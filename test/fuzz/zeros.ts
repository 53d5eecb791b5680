/** Packets of zeros, for corners that do not ask what is in them. */
import type { PhysicalService } from '../../layers/physical/service.ts'
import { Packet } from '../../src/kernel/packet.ts'

/** A packet for `service`, of zeros. */
export function packetFor(service: { headroom: number; tailroom: number }, length: number): Packet {
  const packet = Packet.take(service.headroom, length + service.tailroom)
  const at = packet.put(length)
  packet.octets.fill(0, at, at + length)
  return packet
}

export const send = (service: PhysicalService, length = 60, count = 1): void => {
  for (let i = 0; i < count; i++) service.send(packetFor(service, length), undefined)
}
