/**
 * Frames over a run of octets, and their check sequence: what every link of the HDLC family stands on.
 *
 *        link (PPP, LAPB, AX.25, …)
 *   ───────┬───────────────▲──────────  boundary: frames with their FCS (but SMACK's), without flags and escapes
 *        framing         unframing      over 'octets': flags, escapes, FCS; over 'frames': the FCS alone
 *   ───────▼───────────────┴──────────  PhysicalService<'octets' | 'frames'>
 *
 * How a link uses it, as the user of a service of its own:
 *
 *   constructor(below: PhysicalService<'octets' | 'frames'>, env: Env) {
 *     this.framing = framing(below, env, { name: 'lapb-frames', fcs: 'fcs16', longest: 1504 })
 *     env.defer(this.framing.boundary.attach(this))      // receive, ready, linkChanged come from there
 *   }
 *   receive(packet) { this.framing.removeFcs(packet); … }    // good frames only; everything else was counted below
 *   send(packet) { …; return this.framing.send(packet, undefined) }
 *
 * Its `mtu` is the longest frame without FCS, its `headroom` and `tailroom` are those the link must ask for.
 */
import { crc32 } from '#crc32'
import type { Boundary, Encapsulation, Reasons } from '../../../src/kernel/boundary.ts'
import type { Env } from '../../../src/kernel/env.ts'
import { integer } from '../../../src/kernel/errors.ts'
import type { LinkState, Service, User } from '../../../src/kernel/layer.ts'
import type { Packet } from '../../../src/kernel/packet.ts'
import type { PhysicalService } from '../../physical/service.ts'
import { crc16Arc, FCS16_GOOD, fcs16 } from '../fcs.ts'
import { BitDecoder, bitEncoder } from './bit-stuffing.ts'
import { ALL_CONTROLS, OctetDecoder, OctetEncoder } from './octet-stuffing.ts'
import type { Decoder, DelimitingFault, Encoder, FrameSink } from './transparency.ts'

/**
 * What follows a frame: nothing; the FCS of 16 or 32 bits (ISO 13239 §4.2.5); or SMACK's CRC-16, which the first octet's
 * highest bit announces. Frames without it are taken as well, until the peer has sent a good one with it: from then on, an
 * error may have cleared the bit. 'smackReceived' is for peers that do not know it: nothing follows what is sent, and what
 * comes with a good CRC is taken all the same, since a station such as Linux keeps to it once it has heard it on a line.
 */
export type FcsKind = 'none' | 'fcs16' | 'fcs32' | 'smack' | 'smackReceived'

/** How frames are told apart on 'octets'; see `octet-stuffing.ts` and `bit-stuffing.ts`. */
export type TransparencyKind = 'octets' | 'bits' | 'kiss'

export interface FramingOptions {
  /** What its boundary is called; default 'framing'. */
  readonly name?: string
  /** How a capture reads its frames; default 'octets', which is none. */
  readonly encapsulation?: Encapsulation
  /** Default 'octets', as RFC 1662 has it; without meaning on 'frames'. */
  readonly transparency?: TransparencyKind
  /** Default 'fcs16'. */
  readonly fcs?: FcsKind
  /** Octets of the longest frame, without its FCS: 1 to 32,000. */
  readonly longest: number
  /** Octets of the shortest frame that is handed up, without its FCS; default 1. */
  readonly shortest?: number
}

/** Why frames are dropped, in both directions. */
export type FramingDrop = DelimitingFault | 'runt' | 'fcs' | 'noUser'

export interface Framing extends Service<undefined> {
  readonly boundary: Boundary<undefined, FramingDrop>
  /** Octets of the FCS of each frame; 0 for 'none' and SMACK, whose CRC is removed already. */
  readonly fcsOctets: number
  /** Takes the FCS off a frame that was received. */
  removeFcs(packet: Packet): void
  /** As `send`, with all control characters escaped, whatever was agreed on: what LCP demands (RFC 1662 §7.1). */
  sendPlain(packet: Packet): boolean
  /** Exchanges the maps of control characters: those we escape, and those we take out when they come bare. */
  escape(sent: number, received: number): void
  /** Exchanges the limit for what is received and sent. @throws RangeError ERR_OUT_OF_RANGE — see `FramingOptions`. */
  setLongest(longest: number): void
}

/** Octets of the FCS that may stand behind a frame. */
const FCS_OCTETS: Readonly<Record<FcsKind, number>> = { none: 0, fcs16: 2, fcs32: 4, smack: 2, smackReceived: 2 }
/** In SMACK, the bit of the first octet that says that there is a CRC. */
const SMACK_BIT = 0x80
/** With every octet escaped, a frame still fits a packet. */
export const MAX_FRAME_OCTETS = 32_000

const REASONS: Reasons<FramingDrop> = {
  aborted: 'RFC 1662 §4.3',
  badEscape: 'KISS §2',
  notOctets: 'ISO 13239 §4.3.1',
  tooLong: 'RFC 1662 §4.3',
  garbage: 'RFC 1662 §4.3',
  runt: 'RFC 1662 §4.3',
  fcs: 'RFC 1662 §3.1',
  noUser: '',
}

/**
 * Puts frames on a medium; see above.
 * @throws RangeError ERR_OUT_OF_RANGE — `longest` or `shortest` outside its range.
 */
export function framing(below: PhysicalService<'octets' | 'frames'>, env: Env, options: FramingOptions): Framing {
  return new FramedService(below, env, options)
}

class FramedService implements Framing, User<undefined>, FrameSink {
  readonly boundary: Boundary<undefined, FramingDrop>
  readonly fcsOctets: number
  private readonly below: PhysicalService<'octets' | 'frames'>
  private readonly env: Env
  private readonly fcs: FcsKind
  /** What comes may have SMACK's CRC. */
  private readonly smack: boolean
  private readonly shortest: number
  private readonly kind: TransparencyKind
  private longest: number
  /** Null over 'frames'. */
  private readonly decoder: (Decoder & { limit: number }) | null
  private readonly plain: Encoder
  private encoder: Encoder
  /** The peer is known to put SMACK's CRC behind its frames. */
  private insists = false

  constructor(below: PhysicalService<'octets' | 'frames'>, env: Env, options: FramingOptions) {
    const { name = 'framing', encapsulation = 'octets', transparency = 'octets', fcs = 'fcs16' } = options
    this.below = below
    this.env = env
    this.fcs = fcs
    this.kind = transparency
    this.smack = fcs === 'smack' || fcs === 'smackReceived'
    this.fcsOctets = this.smack ? 0 : FCS_OCTETS[fcs]
    this.longest = integer('longest', options.longest, 1, MAX_FRAME_OCTETS)
    this.shortest = integer('shortest', options.shortest ?? 1, 1, MAX_FRAME_OCTETS)
    this.plain = encoderOf(transparency)
    this.encoder = this.plain
    this.decoder = below.medium === 'octets' ? decoderOf(transparency, env, this.limit, this) : null
    this.boundary = env.boundary(name, encapsulation, REASONS)
    env.defer(below.boundary.attach(this))
    env.defer(() => this.decoder?.reset())
  }

  get mtu(): number {
    const room = this.below.mtu - FCS_OCTETS[this.fcs]
    return this.decoder === null ? Math.max(0, Math.min(this.longest, room)) : this.longest
  }

  get headroom(): number {
    return this.below.headroom
  }

  get tailroom(): number {
    return this.below.tailroom + FCS_OCTETS[this.fcs]
  }

  send(packet: Packet): boolean {
    return this.sendBy(this.encoder, packet)
  }

  sendPlain(packet: Packet): boolean {
    return this.sendBy(this.plain, packet)
  }

  removeFcs(packet: Packet): void {
    packet.trim(packet.length - this.fcsOctets)
  }

  escape(sent: number, received: number): void {
    if (this.kind !== 'octets') return
    this.encoder = sent === ALL_CONTROLS ? this.plain : OctetEncoder.hdlc(sent)
    if (this.decoder instanceof OctetDecoder) this.decoder.ignore(received)
  }

  setLongest(longest: number): void {
    this.longest = integer('longest', longest, 1, MAX_FRAME_OCTETS)
    if (this.decoder !== null) this.decoder.limit = this.limit
  }

  receive(packet: Packet): void {
    if (this.decoder === null) {
      this.delimited(packet)
      return
    }
    this.decoder.decode(packet)
    packet.release()
  }

  ready(): void {
    this.boundary.ready()
  }

  linkChanged(state: LinkState, reason: string): void {
    // What comes after it continues nothing, and may come from another peer.
    if (state === 'down') {
      this.decoder?.reset()
      this.insists = false
    }
    this.boundary.linkChanged(state, reason)
  }

  delimited(packet: Packet): void {
    const fault = this.fault(packet)
    if (fault !== undefined) this.boundary.drop(packet, fault)
    else if (!this.boundary.up(packet, undefined, 0)) this.boundary.drop(packet, 'noUser')
  }

  undelimited(packet: Packet | null, fault: DelimitingFault): void {
    if (packet === null) this.boundary.count(fault)
    else this.boundary.drop(packet, fault)
  }

  /** Octets of the longest frame on the medium. */
  private get limit(): number {
    return this.longest + FCS_OCTETS[this.fcs]
  }

  private sendBy(encoder: Encoder, packet: Packet): boolean {
    if (packet.length > this.mtu) {
      this.boundary.down(packet, undefined)
      this.boundary.drop(packet, 'tooLong')
      return true
    }
    // SMACK's is of the line, as its flags are: those above and captures see frames without it, in both directions.
    if (this.smack) this.boundary.down(packet, undefined)
    this.putFcs(packet)
    if (!this.smack) this.boundary.down(packet, undefined)
    if (this.decoder === null) return this.below.send(packet, undefined)
    const { headroom, tailroom, mtu } = this.below
    const run = this.env.packet(headroom, encoder.octetsFor(packet.length) + tailroom)
    encoder.encode(packet, run)
    run.id = packet.id
    packet.release()
    return run.length <= mtu ? this.below.send(run, undefined) : this.sendParts(run)
  }

  /** A run of octets goes in as many packets as the medium below likes. */
  private sendParts(run: Packet): boolean {
    const { headroom, tailroom, mtu } = this.below
    let open = true
    while (run.length > mtu) {
      const part = this.env.packet(headroom, mtu + tailroom)
      part.octets.copyWithin(part.put(mtu), run.start, run.start + mtu)
      run.pull(mtu)
      open = this.below.send(part, undefined) && open
    }
    return this.below.send(run, undefined) && open
  }

  private putFcs(packet: Packet): void {
    const { octets, view } = packet
    if (this.fcs === 'fcs16') {
      const fcs = fcs16(view, packet.start, packet.end)
      view.setUint16(packet.put(2), fcs ^ 0xffff, true)
    } else if (this.fcs === 'fcs32') {
      const fcs = crc32(octets.subarray(packet.start, packet.end))
      view.setUint32(packet.put(4), fcs, true)
    } else if (this.fcs === 'smack') {
      octets[packet.start] = (octets[packet.start] as number) | SMACK_BIT
      const crc = crc16Arc(view, packet.start, packet.end)
      view.setUint16(packet.put(2), crc, true)
    }
  }

  /** Checks what stood between two flags; of SMACK, also takes the CRC off. */
  private fault(packet: Packet): FramingDrop | undefined {
    const { octets, start, end, length } = packet
    if (this.smack) return this.smackFault(packet)
    if (length < this.shortest + this.fcsOctets) return 'runt'
    if (length > this.limit) return 'tooLong'
    if (this.fcs === 'fcs16') return fcs16(packet.view, start, end) === FCS16_GOOD ? undefined : 'fcs'
    if (this.fcs === 'none') return undefined
    return packet.view.getUint32(end - 4, true) === crc32(octets.subarray(start, end - 4)) ? undefined : 'fcs'
  }

  private smackFault(packet: Packet): FramingDrop | undefined {
    const { octets, start, end } = packet
    const first = octets[start] as number
    const checked = (first & SMACK_BIT) !== 0
    const crcOctets = checked ? 2 : 0
    if (packet.length < this.shortest + crcOctets) return 'runt'
    if (packet.length > this.longest + crcOctets) return 'tooLong'
    if (!checked) return this.insists ? 'fcs' : undefined
    if (crc16Arc(packet.view, start, end) !== 0) return 'fcs'
    // A peer whose CRC is not answered may give it up: Linux tries it in its first frame.
    this.insists = this.fcs === 'smack'
    octets[start] = first & ~SMACK_BIT
    packet.trim(packet.length - 2)
    return undefined
  }
}

function encoderOf(kind: TransparencyKind): Encoder {
  if (kind === 'bits') return bitEncoder
  return kind === 'kiss' ? OctetEncoder.kiss() : OctetEncoder.hdlc(ALL_CONTROLS)
}

/** Control characters that come bare are kept until something else is agreed on: many a peer does not escape them. */
function decoderOf(kind: TransparencyKind, env: Env, limit: number, sink: FrameSink): Decoder & { limit: number } {
  if (kind === 'bits') return new BitDecoder(env, limit, sink)
  return kind === 'kiss' ? OctetDecoder.kiss(env, limit, sink) : OctetDecoder.hdlc(env, limit, sink, 0)
}
