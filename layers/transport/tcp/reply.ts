/** Segments that no connection stands behind: resets, and the ACKs of TIME-WAIT. */
import type { Instant } from '../../../src/kernel/clock.ts'
import { Packet } from '../../../src/kernel/packet.ts'
import type { NetworkAddressing } from '../../network/service.ts'
import {
  ACK,
  HEADER_OCTETS,
  RST,
  type Segment,
  TIMESTAMPS_OCTETS,
  writeChecksum,
  writeHeader,
  writeTimestamps,
} from './segment.ts'
import type { TimeWaitRecord } from './time-wait.ts'

/** Room that the layers below want around a segment. */
export interface Room {
  readonly headroom: number
  readonly tailroom: number
}

/**
 * The reset that answers `seg` (RFC 9293 §3.10.7.1): acceptable to the peer, whatever its state.
 * @param to the way back: source and destination are those of the reply.
 */
export function resetReply(seg: Segment, to: NetworkAddressing, room: Room): Packet {
  const hasAck = (seg.flags & ACK) !== 0
  const packet = take(room, HEADER_OCTETS)
  const ports = (seg.destinationPort << 16) | seg.sourcePort
  const seq = hasAck ? seg.ack : 0
  const ack = hasAck ? 0 : (seg.seq + seg.len) | 0
  writeHeader(packet.view, packet.start, ports, seq, ack, HEADER_OCTETS, hasAck ? RST : RST | ACK, 0)
  writeChecksum(packet, to.source, to.destination, HEADER_OCTETS, 0)
  return packet
}

/** The ACK of a connection in TIME-WAIT. */
export function ackReply(record: TimeWaitRecord, to: NetworkAddressing, room: Room, now: Instant): Packet {
  const header = HEADER_OCTETS + (record.timestamps ? TIMESTAMPS_OCTETS : 0)
  const packet = take(room, header)
  const ports = (record.local.port << 16) | record.remote.port
  writeHeader(packet.view, packet.start, ports, record.sndNxt, record.rcvNxt, header, ACK, record.rcvWnd)
  if (record.timestamps) {
    const tsval = (Math.floor(now / 1000) + record.tsOffset) | 0
    writeTimestamps(packet.view, packet.start + HEADER_OCTETS, tsval, record.tsRecent)
  }
  writeChecksum(packet, to.source, to.destination, header, 0)
  return packet
}

function take(room: Room, octets: number): Packet {
  const packet = Packet.take(room.headroom, octets + room.tailroom)
  packet.put(octets)
  return packet
}
