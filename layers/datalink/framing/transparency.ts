/**
 * Transparency: how frames are told apart in a run of octets, whatever they contain. Two kinds do it, by octets
 * (`OctetStuffing`) and by bits (`BitStuffing`); both consist of an encoder without state and a decoder that is fed any
 * chunks, and collects each frame in a packet of its own.
 */
import type { Env } from '../../../src/kernel/env.ts'
import type { Packet } from '../../../src/kernel/packet.ts'

/** Why what stood between two flags is no frame, before its FCS is looked at. */
export type DelimitingFault =
  /** The sender gave it up: an escape before a flag, seven ones in a row. */
  | 'aborted'
  /** An escape before an octet that needs none (KISS). */
  | 'badEscape'
  /** Its bits do not make whole octets. */
  | 'notOctets'
  /** Longer than the limit; the rest is skipped up to the next flag. */
  | 'tooLong'
  /** Octets before the first flag. */
  | 'garbage'

/** Who takes what a decoder finds. */
export interface FrameSink {
  /** A frame with all that stood between two flags; never empty. Takes ownership. */
  delimited(packet: Packet): void
  /** Something else stood there. `packet` is what had been collected of it; null for garbage. Takes ownership. */
  undelimited(packet: Packet | null, fault: DelimitingFault): void
}

/** Turns frames into octets of the line. */
export interface Encoder {
  /** The most octets a frame of `length` can take on the line. */
  octetsFor(length: number): number
  /** Appends `frame`, with its flags, to `run`, which has the room. Both stay the caller's. */
  encode(frame: Packet, run: Packet): void
}

/** Finds frames in octets of the line. */
export interface Decoder {
  /**
   * Reads a run of octets, which stays the caller's. The sink may be called any number of times, and may change or close
   * what it belongs to.
   */
  decode(run: Packet): void
  /** Forgets what it has collected, and skips everything up to the next flag. */
  reset(): void
}

/** In front of received frames, so that their packets can be forwarded in place. */
const FORWARDING_ROOM = 64

/** Where a decoder collects a frame. */
export class Collector {
  /** Octets of the longest frame, its FCS included. */
  limit: number
  private readonly env: Env
  private packet: Packet | null = null

  constructor(env: Env, limit: number) {
    this.env = env
    this.limit = limit
  }

  /** The packet of the current frame: empty at first. */
  get current(): Packet {
    this.packet ??= this.env.packet(FORWARDING_ROOM, this.limit)
    return this.packet
  }

  /** Gives the packet away; the next frame gets another one. */
  finish(): Packet {
    const packet = this.current
    this.packet = null
    return packet
  }

  /** Forgets the current frame. */
  clear(): void {
    this.packet?.release()
    this.packet = null
  }
}
