/**
 * Transparency by bits, as HDLC has it on a synchronous line (ISO 13239 §4.3): the flag is the only run of six ones, since a
 * zero is put in after every five ones of a frame. Octets carry bits lowest first, on the line as in the frame.
 *
 *   01111110   flag                    frame, with a zero after every 11111                   01111110   11…
 *                                                                                             flag       fill
 *
 *   seven ones in a row: the sender gave the frame up
 *
 * A frame need not end with an octet of the line; what is left of its last octet is filled with ones. By tables, for a
 * whole octet at a time: what comes out depends on the octet and on how many ones came before it.
 */
import type { Env } from '../../../src/kernel/env.ts'
import type { Packet } from '../../../src/kernel/packet.ts'
import { Collector, type Decoder, type DelimitingFault, type Encoder, type FrameSink } from './transparency.ts'

const FLAG = 0x7e
/** After so many ones in a row, a zero is put in. */
const MOST_ONES = 5

/** Entries of both tables: the bits, how many they are from here, how many ones they end with from here. */
const COUNT_SHIFT = 12
const ONES_SHIFT = 16
const BITS_MASK = 0xfff
const FIELD_MASK = 0xf
/** Entry of the decoder's: a flag or an abort is among these bits, which must be looked at one by one. */
const SPECIAL = -1

const entry = (bits: number, count: number, ones: number): number =>
  bits | (count << COUNT_SHIFT) | (ones << ONES_SHIFT)

const STUFFED = stuffed()
const UNSTUFFED = unstuffed()

/** Puts zeros into frames. It has no state: frames begin and end with whole octets of the line. */
export const bitEncoder: Encoder = {
  /** A zero after five ones at the most, two flags, and the fill. */
  octetsFor: (length) => length + Math.ceil(length / MOST_ONES) + 3,

  encode({ octets, start, end }, run) {
    let to = run.end
    octets[to++] = FLAG
    let ones = 0
    let bits = 0
    let count = 0
    for (let i = start; i < end; i++) {
      const found = STUFFED[(ones << 8) | (octets[i] as number)] as number
      bits |= (found & BITS_MASK) << count
      count += (found >> COUNT_SHIFT) & FIELD_MASK
      ones = found >> ONES_SHIFT
      for (; count >= 8; count -= 8) {
        octets[to++] = bits
        bits >>= 8
      }
    }
    bits |= (FLAG << count) | (-1 << (count + 8))
    octets[to++] = bits
    if (count > 0) octets[to++] = bits >> 8
    run.end = to
  },
}

/** Takes zeros out of frames. */
export class BitDecoder implements Decoder {
  private readonly collector: Collector
  private readonly sink: FrameSink
  private skipping = true
  /** Ones seen last: 7 for any number beyond 6. */
  private ones = 0
  /** Bits of the frame that do not make an octet yet. */
  private bits = 0
  private count = 0

  /** @param limit octets of the longest frame, its FCS included. */
  constructor(env: Env, limit: number, sink: FrameSink) {
    this.collector = new Collector(env, limit)
    this.sink = sink
  }

  set limit(limit: number) {
    this.collector.limit = limit
  }

  reset(): void {
    this.skipping = true
    this.clear()
  }

  decode({ octets, start, end }: Packet): void {
    for (let i = start; i < end; i++) {
      const octet = octets[i] as number
      const found = this.skipping || this.ones > MOST_ONES ? SPECIAL : (UNSTUFFED[(this.ones << 8) | octet] as number)
      if (found === SPECIAL) {
        for (let bit = 0; bit < 8; bit++) this.decodeBit((octet >> bit) & 1)
      } else {
        this.ones = found >> ONES_SHIFT
        this.add(found & BITS_MASK, (found >> COUNT_SHIFT) & FIELD_MASK)
      }
    }
  }

  private decodeBit(bit: number): void {
    const { ones } = this
    if (bit === 1) {
      this.ones = Math.min(ones + 1, MOST_ONES + 2)
      if (this.ones === MOST_ONES + 2) this.abort()
      else this.add(1, 1)
      return
    }
    this.ones = 0
    if (ones === MOST_ONES + 1) this.endFrame()
    else if (ones < MOST_ONES) this.add(0, 1)
  }

  private add(bits: number, count: number): void {
    if (this.skipping) return
    this.bits |= bits << this.count
    this.count += count
    if (this.count < 8) return
    const packet = this.collector.current
    // The flag's first seven bits are collected before it is known to be one.
    if (packet.length >= this.collector.limit || packet.end >= packet.limit) {
      this.fail('tooLong')
      return
    }
    packet.octets[packet.end++] = this.bits
    this.bits >>= 8
    this.count -= 8
  }

  /** A flag is complete but for its last zero: its first seven bits, a zero and six ones, were taken for the frame's. */
  private endFrame(): void {
    const started = !this.skipping
    this.skipping = false
    const bits = started ? this.collector.current.length * 8 + this.count - 7 : 0
    if (bits < 8) {
      this.clear() // fill, or a flag that shares its zero with the one before
      return
    }
    const packet = this.collector.finish()
    this.clear()
    packet.trim(Math.min(packet.length, bits >> 3))
    if ((bits & 7) === 0) this.sink.delimited(packet)
    else this.sink.undelimited(packet, 'notOctets')
  }

  /** More ones than a frame or a flag can have: the frame was given up, or there was none. */
  private abort(): void {
    if (this.skipping) return
    if (this.collector.current.length > 1) this.fail('aborted')
    else this.reset()
  }

  /** Skips what is left of a frame. */
  private fail(fault: DelimitingFault): void {
    const packet = this.collector.finish()
    this.reset()
    this.sink.undelimited(packet, fault)
  }

  private clear(): void {
    this.collector.clear()
    this.bits = 0
    this.count = 0
  }
}

/** What an octet of a frame becomes, after so many ones: up to ten bits. */
function stuffed(): Int32Array {
  const table = new Int32Array(MOST_ONES << 8)
  for (let before = 0; before < MOST_ONES; before++) {
    for (let octet = 0; octet < 256; octet++) {
      let [bits, count, ones] = [0, 0, before]
      for (let bit = 0; bit < 8; bit++) {
        const one = (octet >> bit) & 1
        bits |= one << count++
        ones = one === 1 ? ones + 1 : 0
        if (ones < MOST_ONES) continue
        count++
        ones = 0
      }
      table[(before << 8) | octet] = entry(bits, count, ones)
    }
  }
  return table
}

/** What an octet of the line means, after so many ones. */
function unstuffed(): Int32Array {
  const table = new Int32Array((MOST_ONES + 1) << 8)
  for (let before = 0; before <= MOST_ONES; before++) {
    for (let octet = 0; octet < 256; octet++) table[(before << 8) | octet] = meaning(before, octet)
  }
  return table
}

function meaning(before: number, octet: number): number {
  let [bits, count, ones] = [0, 0, before]
  for (let bit = 0; bit < 8; bit++) {
    if (((octet >> bit) & 1) === 1) {
      if (ones === MOST_ONES) return SPECIAL
      bits |= 1 << count++
      ones++
    } else {
      if (ones < MOST_ONES) count++
      ones = 0
    }
  }
  return entry(bits, count, ones)
}
