/**
 * Watches boundaries and writes what passes as pcapng: one interface per link, and on each packet, as comments, why it
 * was dropped or sent again, as the code that decided it said.
 *
 *   link boundary ──packet──► pending ──(some time on)──► file
 *   any boundary ──drop, note──► comment on the pending packet of the same id
 *                     └────────► of none: the IP packet itself, on an interface called like the boundary
 *
 * A packet is held back for a moment, because the verdict on it comes from the layers above within the same turn; in
 * real time the clock may move on meanwhile. What was dropped later, or has never been on a link, is written once more,
 * or at last, where it was dropped: fragments whose time was up, packets for a neighbour that did not answer. The file
 * shows the wire: super-segments are written as the segments they stand for.
 */

import { Segmenter } from '../../layers/offload/segment.ts'
import type { Boundary, Direction, Encapsulation, Tap } from '../kernel/boundary.ts'
import type { Duration, Instant } from '../kernel/clock.ts'
import type { Packet } from '../kernel/packet.ts'
import { type CaptureDirection, enhancedPacket, interfaceDescription, LINKTYPE, sectionHeader } from './pcapng.ts'

// biome-ignore lint/suspicious/noExplicitAny: a capture watches boundaries of every address type, and never reads the address
type AnyBoundary = Boundary<any>

/** What a filter is shown. The octets are valid only during the call. */
export interface CapturedFrame {
  /** Name of the boundary: 'node/link/layer'. */
  readonly boundary: string
  readonly encapsulation: Encapsulation
  readonly direction: CaptureDirection
  readonly octets: Uint8Array
}

export interface CaptureOptions {
  /** Takes the octets of the file, in order. They belong to it. */
  readonly write: (octets: Uint8Array) => void
  /** Microseconds since 1970 at instant 0 of the clock. */
  readonly epochUs: number
  /** Only frames for which it holds are written. Default: all. */
  readonly filter?: ((frame: CapturedFrame) => boolean) | undefined
}

/** Where something was seen, and in which form. */
interface Place {
  readonly name: string
  readonly encapsulation: Encapsulation
}

interface Pending {
  readonly node: string
  readonly interfaceId: number
  readonly at: Instant
  readonly id: number
  readonly octets: Uint8Array
  readonly direction: CaptureDirection
  readonly comments: string[]
}

/** Longer than any turn of the event loop in which packets arrive, are answered, and get their verdict. */
const HOLD: Duration = 100_000
/** Packets held back at the most; beyond it the oldest are written without waiting for a verdict. */
const MAX_PENDING = 1024
const SHORTEST_IP_HEADER = 20
/** Remarks on packets that have not reached a link yet. */
const MAX_REMARKS = 256

export class Capture {
  private readonly options: CaptureOptions
  private readonly interfaces = new Map<string, number>()
  private readonly stops: (() => void)[] = []
  private readonly segmenter = new Segmenter()
  private pending: Pending[] = []
  private remarks: { id: number; text: string }[] = []

  constructor(options: CaptureOptions) {
    this.options = options
    options.write(sectionHeader('netstrata'))
  }

  /** Watches these boundaries, and no others any more: writes what passes the links, and remarks of every layer. */
  watch(boundaries: readonly AnyBoundary[]): void {
    this.unwatch()
    const links = linksOf(boundaries)
    for (const boundary of boundaries) this.stops.push(boundary.watch(this.tap(boundary, links.has(boundary))))
  }

  /** Writes what is held back. */
  flush(): void {
    const { pending } = this
    this.pending = []
    for (const record of pending) this.write(record)
  }

  /** Writes those on which the verdict must have come. */
  private writeRipe(now: Instant): void {
    const { pending } = this
    let ripe = 0
    for (const { at } of pending) {
      if (now - at <= HOLD && pending.length - ripe < MAX_PENDING) break
      ripe++
    }
    if (ripe > 0) for (const record of pending.splice(0, ripe)) this.write(record)
  }

  /** Stops watching, and writes what is held back. */
  stop(): void {
    this.unwatch()
    this.flush()
  }

  private unwatch(): void {
    for (const stop of this.stops.splice(0)) stop()
  }

  private tap(boundary: AnyBoundary, isLink: boolean): Tap<unknown> {
    const remarks = {
      drop: (packet: Packet, reason: string, rfc: string, at: Instant) => {
        const remark = `dropped by ${boundary.name}: ${reason}${rfc === '' ? '' : ` (${rfc})`}`
        if (!this.comment(boundary, packet.id, remark)) this.take(boundary, packet, undefined, at, remark)
      },
      note: (packet: Packet | null, event: string, reason: string, rfc: string) => {
        if (packet === null) return
        const remark = `${event}: ${reason}${rfc === '' ? '' : ` (${rfc})`}`
        if (!this.comment(boundary, packet.id, remark)) this.remember(packet.id, remark)
      },
    }
    if (!isLink) return remarks
    return {
      ...remarks,
      packet: (packet: Packet, _address: unknown, direction: Direction, at: Instant) =>
        this.take(boundary, packet, direction === 'up' ? 'in' : 'out', at, undefined),
    }
  }

  /** Holds a packet back; above the links only the IP packet of what has a header already. */
  private take(
    boundary: AnyBoundary,
    packet: Packet,
    direction: CaptureDirection,
    at: Instant,
    comment: string | undefined,
  ): void {
    this.writeRipe(at)
    const { name, encapsulation } = boundary
    if (linkTypeOf(encapsulation) !== undefined) {
      this.takeWire({ name, encapsulation }, packet, direction, at, comment)
    } else if (hasNetworkHeader(packet)) {
      const { start } = packet
      packet.start = packet.networkStart
      this.takeWire({ name, encapsulation: 'ip' }, packet, direction, at, comment)
      packet.start = start
    }
  }

  /** Holds a packet back as the segments it stands for. */
  private takeWire(
    where: Place,
    packet: Packet,
    direction: CaptureDirection,
    at: Instant,
    comment: string | undefined,
  ): void {
    const comments = this.recall(packet.id)
    if (comment !== undefined) comments.push(comment)
    if (packet.segments === 1 && packet.checksum !== 'partial') {
      this.hold(where, packet.bytes(), packet.id, direction, at, comments)
      return
    }
    this.segmenter.start(packet, 0, 0)
    for (let segment = this.segmenter.next(); segment !== undefined; segment = this.segmenter.next()) {
      this.hold(where, segment.bytes(), packet.id, direction, at, [...comments])
      segment.release()
    }
  }

  private hold(
    where: Place,
    octets: Uint8Array,
    id: number,
    direction: CaptureDirection,
    at: Instant,
    comments: string[],
  ): void {
    const { encapsulation, name } = where
    if (this.options.filter?.({ boundary: name, encapsulation, direction, octets }) === false) return
    const node = nodeOf(where)
    this.pending.push({
      node,
      interfaceId: this.interfaceOf(where),
      at,
      id,
      octets: octets.slice(),
      direction,
      comments,
    })
  }

  private interfaceOf({ name, encapsulation }: Place): number {
    const known = this.interfaces.get(name)
    if (known !== undefined) return known
    const id = this.interfaces.size
    this.interfaces.set(name, id)
    this.options.write(
      interfaceDescription({
        name,
        linkType: linkTypeOf(encapsulation) ?? LINKTYPE.raw,
        fcsOctets: fcsOctetsOf(encapsulation),
      }),
    )
    return id
  }

  /** @returns false when the packet is not among those held back of the same node: over a cable it keeps its id. */
  private comment(boundary: AnyBoundary, id: number, comment: string): boolean {
    const node = nodeOf(boundary)
    for (let i = this.pending.length - 1; i >= 0; i--) {
      const record = this.pending[i] as Pending
      if (record.id !== id || record.node !== node) continue
      record.comments.push(comment)
      return true
    }
    return false
  }

  private remember(id: number, text: string): void {
    if (this.remarks.length >= MAX_REMARKS) this.remarks.shift()
    this.remarks.push({ id, text })
  }

  private recall(id: number): string[] {
    if (this.remarks.length === 0) return []
    const found = this.remarks.filter((remark) => remark.id === id).map((remark) => remark.text)
    if (found.length > 0) this.remarks = this.remarks.filter((remark) => remark.id !== id)
    return found
  }

  private write(record: Pending): void {
    const { interfaceId, at, octets, direction, comments } = record
    this.options.write(enhancedPacket(interfaceId, this.options.epochUs + at, octets, direction, comments))
  }
}

/** The first part of a boundary's name. */
function nodeOf({ name }: Place): string {
  const end = name.indexOf('/')
  return end < 0 ? name : name.slice(0, end)
}

/** The network tier has put its header in front of the packet, or left it there. */
function hasNetworkHeader({ view, base, start, end, networkStart: at }: Packet): boolean {
  if (at < base || at > start || at + SHORTEST_IP_HEADER > end) return false
  const version = view.getUint8(at) >> 4
  return version === 4 || version === 6
}

function linkTypeOf(encapsulation: Encapsulation): number | undefined {
  if (encapsulation === 'ethernet' || encapsulation === 'ethernet+fcs') return LINKTYPE.ethernet
  if (encapsulation.startsWith('ppp')) return LINKTYPE.pppHdlc
  if (encapsulation.startsWith('lapb8')) return LINKTYPE.lapb8
  if (encapsulation.startsWith('lapb128')) return LINKTYPE.lapb128
  if (encapsulation === 'ax25+kiss') return LINKTYPE.ax25Kiss
  return encapsulation === 'ip' ? LINKTYPE.raw : undefined
}

function fcsOctetsOf(encapsulation: Encapsulation): number {
  if (encapsulation.endsWith('+fcs16')) return 2
  return encapsulation === 'ethernet+fcs' || encapsulation.endsWith('+fcs32') ? 4 : 0
}

/**
 * The boundaries that stand for the links: of those in one place of the stack (a medium, and what impairs it), the
 * topmost, which is what the node itself sees of the wire.
 */
function linksOf(boundaries: readonly AnyBoundary[]): ReadonlySet<AnyBoundary> {
  const topmost = new Map<string, AnyBoundary>()
  for (const boundary of boundaries) {
    if (linkTypeOf(boundary.encapsulation) === undefined) continue
    topmost.set(boundary.name.slice(0, boundary.name.lastIndexOf('/')), boundary)
  }
  return new Set(topmost.values())
}
