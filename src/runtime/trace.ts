/** The trace of a run: every packet at every boundary, in order, small enough to compare two runs by it. */
import type { Direction } from '../kernel/boundary.ts'
import type { Instant } from '../kernel/clock.ts'
import type { Packet } from '../kernel/packet.ts'
import type { AnyBoundary } from './host.ts'

/**
 * Told of every packet that passes a boundary.
 * @param boundary its name. @param length octets of the packet. @param hash int32, of the packet's octets.
 */
export type TraceListener = (at: Instant, boundary: string, direction: Direction, length: number, hash: number) => void

/** Tells `listener` of the packets at one boundary. @returns a function that stops it. */
export function traceBoundary(boundary: AnyBoundary, listener: TraceListener): () => void {
  return boundary.watch({
    packet: (packet, _address, direction, at) =>
      listener(at, boundary.name, direction, packet.length, hashPacket(packet)),
  })
}

/** FNV-1a over the packet's octets (Fowler, Noll and Vo): to tell runs apart, not against an adversary. */
export function hashPacket({ octets, start, end }: Packet): number {
  let hash = 0x811c_9dc5 | 0
  for (let at = start; at < end; at++) hash = Math.imul(hash ^ (octets[at] as number), 0x0100_0193)
  return hash
}

/** A trace reduced to one number, which differs as soon as one packet, instant or order does. */
export class Fingerprint {
  /** Packets seen. */
  packets = 0
  private hash = 0x811c_9dc5 | 0

  /** Eight hexadecimal digits. */
  get value(): string {
    return (this.hash >>> 0).toString(16).padStart(8, '0')
  }

  /** A `TraceListener`. */
  readonly add: TraceListener = (at, boundary, direction, length, hash) => {
    this.packets++
    this.mix(at | 0)
    this.mix(Math.floor(at / 0x1_0000_0000))
    for (let i = 0; i < boundary.length; i++) this.mix(boundary.charCodeAt(i))
    this.mix(direction === 'up' ? 1 : 0)
    this.mix(length)
    this.mix(hash)
  }

  private mix(word: number): void {
    const mixed = Math.imul(this.hash ^ word, 0x0100_0193)
    this.hash = mixed ^ (mixed >>> 15)
  }
}
