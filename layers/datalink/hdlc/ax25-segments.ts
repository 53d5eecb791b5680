/**
 * Segments of AX.25 (v2.2 §6.6): an information field longer than N1, its PID in front, cut into pieces that each fill an
 * I frame of PID 0x08. They follow each other on one connection, which keeps them in order.
 *
 *   octets   0      1                    2
 *            ├──────┼────────────────────┼────────────────────────────┐
 *            │ 0x08 │ first │ remaining  │ piece; of the first, what  │   remaining: 7 bits, segments still to come
 *            │      │ 1 bit │ 7 bits     │ begins it is the true PID  │
 *            └──────┴────────────────────┴────────────────────────────┘
 */
import type { Env } from '../../../src/kernel/env.ts'
import { MAX_PACKET_OCTETS, type Packet } from '../../../src/kernel/packet.ts'
import type { LinkAddress } from '../service.ts'
import { CONTROL_OCTETS, type Connection } from './connection.ts'

const PID_SEGMENT = 0x08
export const MAX_SEGMENTS = 128

const HEADER_OCTETS = 2
const FIRST = 0x80
const REMAINING = 0x7f
/** In front of what was joined, so that its packet can be forwarded in place. */
const FORWARDING_ROOM = 64

/** Segments that a field of `octets`, its PID counted, takes where frames hold `n1`; may be more than there can be. */
export function segmentsOf(octets: number, n1: number): number {
  return n1 <= HEADER_OCTETS ? MAX_SEGMENTS + 1 : Math.ceil(octets / (n1 - HEADER_OCTETS))
}

/** Octets of the longest field, its PID counted, that so many segments of `n1` octets carry. */
export function longestOf(segments: number, n1: number): number {
  return segments * Math.max(0, n1 - HEADER_OCTETS)
}

/**
 * Takes the next segment off the front of a field: a packet of its own, with this room around it.
 * @param remaining segments that come after it. @param first whether it is the first one.
 */
export function cutSegment(
  env: Env,
  field: Packet,
  { n1, remaining, first }: { readonly n1: number; readonly remaining: number; readonly first: boolean },
  { headroom, tailroom }: { readonly headroom: number; readonly tailroom: number },
): Packet {
  const length = Math.min(n1 - HEADER_OCTETS, field.length)
  const segment = env.packet(headroom, HEADER_OCTETS + length + tailroom)
  let at = segment.put(HEADER_OCTETS + length)
  segment.octets[at++] = PID_SEGMENT
  segment.octets[at++] = (first ? FIRST : 0) | remaining
  segment.octets.copyWithin(at, field.start, field.start + length)
  field.pull(length)
  return segment
}

/** Joins the segments of one connection. Holds one field at the most: 128 times the first segment, or a packet. */
export class Joiner {
  private readonly env: Env
  private readonly drop: (packet: Packet, reason: 'badSegment') => void
  private field: Packet | null = null
  private remaining = 0
  /** Octets that the field has at the most: all segments but the last are of one length. */
  private longest = 0

  /** @param drop takes what does not fit together; takes ownership. */
  constructor(env: Env, drop: (packet: Packet, reason: 'badSegment') => void) {
    this.env = env
    this.drop = drop
  }

  /**
   * An information field that came over the connection, its PID in front. Takes ownership. One that is no segment ends what
   * had been begun.
   * @returns a whole field, its PID in front; null while there is none.
   */
  input(packet: Packet): Packet | null {
    const { octets, start, length } = packet
    if (octets[start] !== PID_SEGMENT) {
      this.abandon()
      return packet
    }
    const header = length > HEADER_OCTETS ? (octets[start + 1] as number) : -1
    if (header < 0 || !((header & FIRST) !== 0 ? this.begin(header, length) : this.goesOn(header, length))) {
      this.abandon()
      this.drop(packet, 'badSegment')
      return null
    }
    const field = this.field as Packet
    packet.pull(HEADER_OCTETS)
    octets.copyWithin(field.put(packet.length), packet.start, packet.end)
    packet.release()
    this.remaining = header & REMAINING
    if (this.remaining > 0) return null
    this.field = null
    return field
  }

  /** Forgets what had been begun: the connection is over, or was reset. */
  clear(): void {
    this.field?.release()
    this.field = null
  }

  private begin(header: number, length: number): boolean {
    this.abandon()
    this.longest = ((header & REMAINING) + 1) * (length - HEADER_OCTETS)
    if (this.longest + FORWARDING_ROOM > MAX_PACKET_OCTETS) return false
    this.field = this.env.packet(FORWARDING_ROOM, this.longest)
    return true
  }

  private goesOn(header: number, length: number): boolean {
    const { field, remaining } = this
    if (field === null || (header & REMAINING) !== remaining - 1) return false
    return field.length + length - HEADER_OCTETS <= this.longest
  }

  private abandon(): void {
    const { field } = this
    this.field = null
    if (field !== null) this.drop(field, 'badSegment')
  }
}

/** The layer whose fields are cut and joined. */
export interface SegmentsOwner {
  readonly boundary: { drop(packet: Packet, reason: 'badSegment' | 'tooLongToSend' | 'queueFull'): void }
  /** Octets of the longest information field, its PID counted. */
  readonly frameOctets: number
  readonly frameHeadroom: number
  readonly frameTailroom: number
}

/** The segments of all connections of a station. */
export class Segments {
  /** Into how many a field may be cut; 1: none is. */
  readonly most: number
  private readonly env: Env
  private readonly owner: SegmentsOwner
  /** Of connections over which segments came. */
  private readonly joiners = new Map<LinkAddress, Joiner>()

  constructor(env: Env, owner: SegmentsOwner, most: number) {
    this.env = env
    this.owner = owner
    this.most = most
  }

  /** Sends a field, its PID in front; what is longer than a frame in segments: all of them, or none. As `Connection.send`. */
  send(connection: Connection, field: Packet): boolean {
    const { owner, most, env } = this
    const n1 = Math.min(owner.frameOctets, connection.abm.n1)
    if (field.length <= n1 || most === 1) return connection.send(field)
    const count = segmentsOf(field.length, n1)
    if (count > most || count > connection.abm.room) {
      owner.boundary.drop(field, count > most ? 'tooLongToSend' : 'queueFull')
      return connection.takesMore()
    }
    const room = { headroom: owner.frameHeadroom + CONTROL_OCTETS, tailroom: owner.frameTailroom }
    let open = true
    for (let remaining = count - 1; remaining >= 0; remaining--)
      open = connection.send(cutSegment(env, field, { n1, remaining, first: remaining === count - 1 }, room))
    field.release()
    return open
  }

  /** Takes ownership of a field that came. @returns it, or the one it completes; null while one is under way. */
  join(peer: LinkAddress, field: Packet): Packet | null {
    let joiner = this.joiners.get(peer)
    if (joiner === undefined) {
      if (field.length === 0 || field.octets[field.start] !== PID_SEGMENT) return field
      joiner = new Joiner(this.env, (packet, reason) => this.owner.boundary.drop(packet, reason))
      this.joiners.set(peer, joiner)
    }
    return joiner.input(field)
  }

  /** The connection with this peer is over, or begins anew. */
  forget(peer: LinkAddress): void {
    this.joiners.get(peer)?.clear()
    this.joiners.delete(peer)
  }

  close(): void {
    for (const peer of this.joiners.keys()) this.forget(peer)
  }
}
