/**
 * Transparency by octets: a flag between frames, and within them an escape in front of what must not occur.
 *
 *            flag   escape   escaped                 what else is escaped
 *   HDLC     7e     7d       octet ^ 20              of 00 to 1f, what the map says       RFC 1662 §4
 *   KISS     c0     db       dc for c0, dd for db                                         Chepponis and Karn 1987
 *
 * A map has one bit for each control character, the lowest for 00 (RFC 1662 §7.1: the ACCM).
 */
import type { Env } from '../../../src/kernel/env.ts'
import { Collector, type Decoder, type Encoder, type FrameSink } from './transparency.ts'

/** A map of all control characters, which holds until something else is agreed on (RFC 1662 §7.1). */
export const ALL_CONTROLS: number = -1

interface Escaping {
  readonly flag: number
  readonly escapeOctet: number
  /** What stands behind the escape for an octet; 0 for what needs none. 0 itself is never needed there. */
  readonly escaped: Uint8Array
}

const HDLC_FLAG = 0x7e
const HDLC_ESCAPE = 0x7d
const HDLC_BIT = 0x20
const CONTROLS = 32

const FEND = 0xc0
const FESC = 0xdb
const TFEND = 0xdc
const TFESC = 0xdd

function hdlcEscaping(map: number): Escaping {
  const escaped = new Uint8Array(256)
  for (const octet of [HDLC_FLAG, HDLC_ESCAPE]) escaped[octet] = octet ^ HDLC_BIT
  for (let octet = 0; octet < CONTROLS; octet++) if ((map >>> octet) & 1) escaped[octet] = octet ^ HDLC_BIT
  return { flag: HDLC_FLAG, escapeOctet: HDLC_ESCAPE, escaped }
}

const KISS: Escaping = (() => {
  const escaped = new Uint8Array(256)
  escaped[FEND] = TFEND
  escaped[FESC] = TFESC
  return { flag: FEND, escapeOctet: FESC, escaped }
})()

/** Puts escapes into frames. */
export class OctetEncoder implements Encoder {
  private readonly escaping: Escaping

  private constructor(escaping: Escaping) {
    this.escaping = escaping
  }

  /** RFC 1662. @param map the control characters to escape. */
  static hdlc(map: number): OctetEncoder {
    return new OctetEncoder(hdlcEscaping(map))
  }

  static kiss(): OctetEncoder {
    return new OctetEncoder(KISS)
  }

  octetsFor(length: number): number {
    return 2 * length + 2
  }

  /** Each frame has a flag of its own at both ends: what noise there was before it does not become part of it. */
  encode(octets: Uint8Array, start: number, end: number, at: number): number {
    const { flag, escapeOctet, escaped } = this.escaping
    let to = at
    octets[to++] = flag
    for (let i = start; i < end; i++) {
      const octet = octets[i] as number
      const code = escaped[octet] as number
      if (code === 0) {
        octets[to++] = octet
      } else {
        octets[to++] = escapeOctet
        octets[to++] = code
      }
    }
    octets[to++] = flag
    return to
  }
}

/** What an octet of the line is. */
const PLAIN = 0
const FLAG = 1
const ESCAPE = 2
const IGNORED = 3

/** Stands in `escapes` for what must not follow an escape. */
const BAD = -1

/** Takes escapes out of frames. */
export class OctetDecoder implements Decoder {
  private readonly collector: Collector
  private readonly sink: FrameSink
  private readonly kinds = new Uint8Array(256)
  /** What an octet behind an escape stands for. */
  private readonly escapes = new Int16Array(256)
  /** Nothing counts until the next flag. */
  private skipping = true
  /** Octets were skipped that belong to no fault told of. */
  private garbage = false
  /** What is skipped has been told of. */
  private told = false
  private escaped = false

  private constructor(env: Env, limit: number, sink: FrameSink, { flag, escapeOctet }: Escaping) {
    this.collector = new Collector(env, limit)
    this.sink = sink
    this.kinds[flag] = FLAG
    this.kinds[escapeOctet] = ESCAPE
  }

  /**
   * RFC 1662.
   * @param limit octets of the longest frame, its FCS included.
   * @param map the control characters that the line may have put in, which are taken out again.
   */
  static hdlc(env: Env, limit: number, sink: FrameSink, map: number): OctetDecoder {
    const decoder = new OctetDecoder(env, limit, sink, hdlcEscaping(map))
    for (let octet = 0; octet < 256; octet++) decoder.escapes[octet] = octet ^ HDLC_BIT
    decoder.ignore(map)
    return decoder
  }

  static kiss(env: Env, limit: number, sink: FrameSink): OctetDecoder {
    const decoder = new OctetDecoder(env, limit, sink, KISS)
    decoder.escapes.fill(BAD)
    decoder.escapes[TFEND] = FEND
    decoder.escapes[TFESC] = FESC
    return decoder
  }

  /** Exchanges the map of control characters that the line may have put in (RFC 1662 §4.2). */
  ignore(map: number): void {
    for (let octet = 0; octet < CONTROLS; octet++) this.kinds[octet] = (map >>> octet) & 1 ? IGNORED : PLAIN
  }

  /** Exchanges the limit, from the next frame on. */
  set limit(limit: number) {
    this.collector.limit = limit
  }

  reset(): void {
    this.collector.clear()
    this.skipping = true
    this.garbage = false
    this.told = false
    this.escaped = false
  }

  decode(octets: Uint8Array, start: number, end: number): void {
    for (let i = start; i < end; ) i = this.skipping ? this.skip(octets, i, end) : this.collect(octets, i, end)
  }

  /** Goes on to behind the next flag. */
  private skip(octets: Uint8Array, start: number, end: number): number {
    for (let i = start; i < end; i++) {
      if (this.kinds[octets[i] as number] !== FLAG) continue
      const garbage = !this.told && (this.garbage || i > start)
      this.skipping = false
      this.garbage = false
      this.told = false
      if (garbage) this.sink.undelimited(null, 'garbage')
      return i + 1
    }
    this.garbage = true
    return end
  }

  /** Goes on to behind the next flag, or to where nothing more can be collected. */
  private collect(octets: Uint8Array, start: number, end: number): number {
    const { kinds, escapes, collector } = this
    const packet = collector.current
    const limit = Math.min(packet.start + collector.limit, packet.limit)
    let to = packet.end
    let { escaped } = this
    for (let i = start; i < end; i++) {
      const octet = octets[i] as number
      const kind = kinds[octet]
      if (kind === PLAIN) {
        const value = escaped ? (escapes[octet] as number) : octet
        if (to === limit || value === BAD) return this.giveUp(to, to === limit ? 'tooLong' : 'badEscape', i + 1)
        escaped = false
        octets[to++] = value
      } else if (kind === FLAG) {
        packet.end = to
        return this.endFrame(escaped, i + 1)
      } else if (kind === ESCAPE) {
        if (escaped) return this.giveUp(to, 'badEscape', i + 1)
        escaped = true
      }
    }
    packet.end = to
    this.escaped = escaped
    return end
  }

  private endFrame(escaped: boolean, next: number): number {
    this.escaped = false
    if (escaped) this.sink.undelimited(this.collector.finish(), 'aborted')
    else if (this.collector.current.length > 0) this.sink.delimited(this.collector.finish())
    return next
  }

  private giveUp(end: number, fault: 'tooLong' | 'badEscape', next: number): number {
    const packet = this.collector.finish()
    packet.end = end
    this.escaped = false
    this.skipping = true
    this.told = true
    this.sink.undelimited(packet, fault)
    return next
  }
}
