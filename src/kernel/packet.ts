/**
 * A packet: one contiguous run of octets in the slab, with room in front for headers and behind for trailers.
 *
 *   base           start                     end         limit
 *    ├── headroom ──┼── data ─────────────────┼─ tailroom ─┤
 *         push ◄────┤├────► pull       trim ◄─┤├─► put
 *
 * One owner at a time: `send` and `receive` hand it over, and whoever ends its life calls `release`. There are no
 * reference counts. Slots come in three sizes and are pooled together with their objects.
 */
import { PAGE_OCTETS, slab } from './slab.ts'

/** Who answers for the transport checksum of a packet. */
export type ChecksumState =
  /** Nobody: it is complete in the data (sending) or still to be verified (receiving). */
  | 'none'
  /** The sum of the pseudo-header is in the field; somebody below completes it (CHECKSUM_PARTIAL). */
  | 'partial'
  /** The medium vouches for it; no need to look. */
  | 'verified'

/** Octets of a slot in each size class. */
const SMALL_OCTETS = 2048
const MEDIUM_OCTETS = 10_240
const CLASS_OCTETS = [SMALL_OCTETS, MEDIUM_OCTETS, 69_632] as const
/** Pages carved at a time for each class. */
const CLASS_PAGES = [1, 5, 17] as const

/** Largest headroom + data + tailroom a packet can have. */
export const MAX_PACKET_OCTETS: number = CLASS_OCTETS[2]

/** Where `start` and `end` of a released packet point when poisoned: outside of every view. */
const POISON = 0x7fff_ffff

const small: Packet[] = []
const medium: Packet[] = []
const large: Packet[] = []
/** What is free, by size class. */
const pools: readonly Packet[][] = [small, medium, large]
let poison = false
let lastId = 0
let inUse = 0

export class Packet {
  /** The whole slab; the packet's data is octets[start, end). */
  readonly octets: Uint8Array
  /** The whole slab, for multi-octet fields; index from `start`. */
  readonly view: DataView
  /** First octet of the slot, and one past its last. */
  readonly base: number
  readonly limit: number
  /** The data. `start - base` is the headroom, `limit - end` the tailroom. */
  start = 0
  end = 0
  /** Payload octets of each segment when this is a super-segment; 0 when it is one packet of the wire. */
  segmentOctets = 0
  checksum: ChecksumState = 'none'
  /** Offset in `octets` (like `start`) of the transport header the checksum covers; meaningful unless 'none'. */
  checksumStart = 0
  /** Octets from `checksumStart` to the checksum field. */
  checksumOffset = 0
  /** Octets of the transport header at `checksumStart`; a super-segment repeats all before its end in each segment. */
  headerOctets = 0
  /** Offset in `octets` of the network header, once the network tier has seen the packet, else -1; for errors that quote it. */
  networkStart = -1
  /** Unlike that of any other packet in flight: lets taps recognise a packet on its way through the layers. */
  id = 0
  /** Where it goes when it is released. */
  private readonly pool: Packet[]
  private live = false
  /** What `bytes` gave last, and of which octets: packets of a flow lie in their slots alike, so it often serves again. */
  private lastBytes: Uint8Array | null = null
  private lastStart = 0
  private lastEnd = 0

  private constructor(octets: Uint8Array, view: DataView, base: number, sizeClass: number) {
    this.octets = octets
    this.view = view
    this.base = base
    this.limit = base + (CLASS_OCTETS[sizeClass] as number)
    this.pool = pools[sizeClass] as Packet[]
  }

  /**
   * Takes an empty packet from the pool; its contents are undefined.
   * @param headroom octets in front of the data.
   * @param room octets for data and trailers together.
   * @throws NetError ENOMEM — the slab is used up.
   * @throws RangeError — more than MAX_PACKET_OCTETS in all.
   */
  static take(headroom: number, room: number): Packet {
    const need = headroom + room
    if (need > MAX_PACKET_OCTETS) throw new RangeError(`a packet of ${need} octets is larger than ${MAX_PACKET_OCTETS}`)
    const pool = need <= SMALL_OCTETS ? small : need <= MEDIUM_OCTETS ? medium : large
    if (pool.length === 0) Packet.carve(pools.indexOf(pool))
    const packet = pool.pop() as Packet
    packet.live = true
    packet.start = packet.end = packet.base + headroom
    packet.segmentOctets = 0
    packet.checksum = 'none'
    packet.networkStart = -1
    lastId = (lastId + 1) | 0
    packet.id = lastId
    inUse++
    return packet
  }

  private static carve(sizeClass: number): void {
    const { octets, view } = slab()
    const pages = CLASS_PAGES[sizeClass] as number
    const first = slab().takePages(pages)
    const slot = CLASS_OCTETS[sizeClass] as number
    for (let at = first + pages * PAGE_OCTETS - slot; at >= first; at -= slot) {
      pools[sizeClass]?.push(new Packet(octets, view, at, sizeClass))
    }
  }

  /** Octets of data. */
  get length(): number {
    return this.end - this.start
  }

  /** Packets of the wire this one stands for: more than 1 only for a super-segment. */
  get segments(): number {
    if (this.segmentOctets === 0) return 1
    const payload = this.end - this.checksumStart - this.headerOctets
    return payload <= this.segmentOctets ? 1 : Math.ceil(payload / this.segmentOctets)
  }

  /** Octets of those packets of the wire together: each of a super-segment's repeats its headers, from `start` on. */
  get wireOctets(): number {
    const length = this.end - this.start
    if (this.segmentOctets === 0) return length
    return length + (this.segments - 1) * (this.checksumStart + this.headerOctets - this.start)
  }

  /** Grows at the front. @returns the offset of the new first octet. @throws RangeError — no headroom left. */
  push(n: number): number {
    if (n > this.start - this.base) throw new RangeError('headroom exhausted')
    this.start -= n
    return this.start
  }

  /** Shrinks at the front. @returns the offset of the octets just removed. @throws RangeError — fewer than n are left. */
  pull(n: number): number {
    const at = this.start
    if (at + n > this.end) throw new RangeError('pull past the end')
    this.start = at + n
    return at
  }

  /** Grows at the back. @returns the offset of the new octets. @throws RangeError — no tailroom left. */
  put(n: number): number {
    const at = this.end
    if (at + n > this.limit) throw new RangeError('tailroom exhausted')
    this.end = at + n
    return at
  }

  /** Keeps the first n octets. @throws RangeError — there are fewer. */
  trim(n: number): void {
    if (n > this.end - this.start) throw new RangeError('trim grows')
    this.end = this.start + n
  }

  /** Appends foreign octets by one copy. @throws RangeError — no tailroom left. */
  append(octets: Uint8Array): void {
    this.octets.set(octets, this.put(octets.length))
  }

  /** A packet of its own with the same data and offload fields, and at least the room asked for. */
  copy(headroom: number, tailroom: number): Packet {
    const copy = Packet.take(headroom, this.length + tailroom)
    copy.octets.copyWithin(copy.put(this.length), this.start, this.end)
    copy.segmentOctets = this.segmentOctets
    copy.checksum = this.checksum
    copy.checksumStart = this.checksumStart - this.start + copy.start
    copy.checksumOffset = this.checksumOffset
    copy.headerOctets = this.headerOctets
    copy.networkStart = this.networkStart < 0 ? -1 : this.networkStart - this.start + copy.start
    return copy
  }

  /** This packet if it has the room, else a copy that has (and this one is released). For those who forward. */
  withRoom(headroom: number, tailroom: number): Packet {
    if (this.start - this.base >= headroom && this.limit - this.end >= tailroom) return this
    const copy = this.copy(headroom, tailroom)
    copy.id = this.id
    this.release()
    return copy
  }

  /** The data as a view, for those who copy it out of the slab. Valid while the caller owns the packet. */
  bytes(): Uint8Array {
    const { lastBytes, start, end } = this
    if (lastBytes !== null && this.lastStart === start && this.lastEnd === end) return lastBytes
    this.lastStart = start
    this.lastEnd = end
    this.lastBytes = this.octets.subarray(start, end)
    return this.lastBytes
  }

  /** Ends the packet's life. @throws Error — it has ended already. */
  release(): void {
    if (!this.live) throw new Error('packet released twice')
    this.live = false
    inUse--
    if (poison) {
      this.octets.fill(0xdb, this.base, this.limit)
      this.start = this.end = POISON
    }
    this.pool.push(this)
  }
}

/** Packets taken and not yet released in this thread; the leak check compares it before and after. */
export function packetsInUse(): number {
  return inUse
}

/** Makes use after release fail loudly: the octets are overwritten and the offsets point nowhere. For tests. */
export function poisonReleased(on: boolean): void {
  poison = on
}
