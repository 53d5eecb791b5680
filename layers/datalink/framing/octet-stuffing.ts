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
import type { Packet } from '../../../src/kernel/packet.ts'
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

/** What an octet becomes takes more than one octet: the least of such entries. */
const ESCAPED = 2 << 16

/** Puts escapes into frames. */
export class OctetEncoder implements Encoder {
  private readonly flag: number
  /** What each octet becomes, the first to be sent lowest, and above these 16 bits how many octets that is. */
  private readonly entries = new Int32Array(256)

  private constructor({ flag, escapeOctet, escaped }: Escaping) {
    this.flag = flag
    for (const [octet, code] of escaped.entries())
      this.entries[octet] = code === 0 ? (1 << 16) | octet : ESCAPED | (code << 8) | escapeOctet
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
  encode({ octets, view, start, end }: Packet, run: Packet): void {
    const { flag, entries } = this
    let to = run.end
    octets[to++] = flag
    let i = start
    for (const whole = end - 4; i <= whole; i += 4) {
      const four = view.getInt32(i, true)
      const first = entries[four & 0xff] as number
      const second = entries[(four >> 8) & 0xff] as number
      const third = entries[(four >> 16) & 0xff] as number
      const fourth = entries[four >>> 24] as number
      if ((first | second | third | fourth) < ESCAPED) {
        view.setInt32(to, four, true)
        to += 4
        continue
      }
      // Without a branch, which could not be foreseen: two octets are written, and the second one counts or not.
      view.setInt16(to, first, true)
      to += first >> 16
      view.setInt16(to, second, true)
      to += second >> 16
      view.setInt16(to, third, true)
      to += third >> 16
      view.setInt16(to, fourth, true)
      to += fourth >> 16
    }
    for (; i < end; i++) {
      const entry = entries[octets[i] as number] as number
      view.setInt16(to, entry, true)
      to += entry >> 16
    }
    octets[to++] = flag
    run.end = to
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

  decode({ octets, view, start, end }: Packet): void {
    for (let i = start; i < end; ) {
      i = this.skipping ? this.skip(octets, i, end) : this.collect(octets, view, i, end)
    }
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
  private collect(octets: Uint8Array, view: DataView, start: number, end: number): number {
    const { kinds, escapes, collector } = this
    const packet = collector.current
    const limit = Math.min(packet.start + collector.limit, packet.limit)
    let to = packet.end
    let { escaped } = this
    let i = start
    while (i < end) {
      if (!escaped) {
        // Most octets stand for themselves: four are looked at and written at a time.
        for (const whole = i + Math.min(end - i, limit - to) - 4; i <= whole; i += 4, to += 4) {
          const four = view.getInt32(i, true)
          const kind =
            (kinds[four & 0xff] as number) |
            (kinds[(four >> 8) & 0xff] as number) |
            (kinds[(four >> 16) & 0xff] as number) |
            (kinds[four >>> 24] as number)
          if (kind !== PLAIN) break
          view.setInt32(to, four, true)
        }
      }
      for (const until = Math.min(i + 4, end); i < until; i++) {
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
