/**
 * Reads captures as a stream: pcapng of either byte order with any number of sections, and the older pcap format in its
 * microsecond and nanosecond forms. What it does not know it skips; what is damaged ends the reading with an error.
 */
import { NetError } from '../kernel/errors.ts'
import { BLOCK, BYTE_ORDER_MAGIC, type CaptureDirection, type InterfaceDescription, OPTION } from './pcapng.ts'

/** One packet of a capture. */
export interface CaptureRecord {
  readonly interface: InterfaceDescription
  /** Nanoseconds since 1970, as seconds and the rest, since both together exceed a double's integers. */
  readonly seconds: number
  readonly nanoseconds: number
  readonly octets: Uint8Array
  /** Octets of the packet on the wire; more than were kept when it was cut. */
  readonly wireLength: number
  readonly direction: CaptureDirection
  readonly comments: readonly string[]
}

interface SourceInterface extends InterfaceDescription {
  /** Units per second of its timestamps: 10^n or 2^n. */
  readonly unitsPerSecond: bigint
  readonly snapLength: number
}

/** Blocks beyond this are taken for damage, not data. */
const MAX_BLOCK_OCTETS = 16 * 1024 * 1024
const PCAP_MAGIC_US = 0xa1b2c3d4
const PCAP_MAGIC_NS = 0xa1b23c4d
const text = new TextDecoder()

/** Feed it chunks as they come; it gives the records that are complete. */
export class CaptureReader {
  private rest: Uint8Array = new Uint8Array(0)
  private format: 'unknown' | 'pcapng' | 'pcap' = 'unknown'
  private littleEndian = true
  private interfaces: SourceInterface[] = []
  private offset = 0

  /**
   * @returns the packets that became complete with this chunk.
   * @throws NetError EINVAL — neither pcapng nor pcap, or damaged; the message says where.
   */
  push(chunk: Uint8Array): CaptureRecord[] {
    const octets = this.rest.length === 0 ? chunk : concat(this.rest, chunk)
    const records: CaptureRecord[] = []
    let at = 0
    for (;;) {
      const used = this.step(octets.subarray(at), records)
      if (used === 0) break
      at += used
      this.offset += used
    }
    this.rest = octets.slice(at)
    return records
  }

  /** Says that no more comes. @throws NetError EINVAL — the file ends within a block. */
  end(): void {
    if (this.rest.length > 0) this.damaged(`the file ends within a block (${this.rest.length} octets are left over)`)
  }

  /** Takes one block off the front. @returns octets used; 0 when more are needed. */
  private step(octets: Uint8Array, records: CaptureRecord[]): number {
    if (octets.length < 12) return 0
    const view = new DataView(octets.buffer, octets.byteOffset, octets.byteLength)
    if (this.format === 'unknown') this.recognise(view)
    return this.format === 'pcap' ? this.pcapStep(octets, view, records) : this.pcapngStep(octets, view, records)
  }

  private recognise(view: DataView): void {
    const magic = view.getUint32(0, true)
    if (magic === BLOCK.section) this.format = 'pcapng'
    else if (isPcapMagic(magic) || isPcapMagic(view.getUint32(0))) this.format = 'pcap'
    else this.damaged('neither a pcapng nor a pcap file')
  }

  private pcapngStep(octets: Uint8Array, view: DataView, records: CaptureRecord[]): number {
    // A section header reads the same in both byte orders, and says which one follows.
    if (view.getUint32(0, true) === BLOCK.section) {
      this.littleEndian = view.getUint32(8, true) === BYTE_ORDER_MAGIC
      if (!this.littleEndian && view.getUint32(8) !== BYTE_ORDER_MAGIC)
        this.damaged('a section without byte-order magic')
      this.interfaces = []
    }
    const le = this.littleEndian
    const type = view.getUint32(0, le)
    const total = view.getUint32(4, le)
    if (total < 12 || total % 4 !== 0 || total > MAX_BLOCK_OCTETS) this.damaged(`a block of ${total} octets`)
    if (octets.length < total) return 0
    if (view.getUint32(total - 4, le) !== total) this.damaged('the two lengths of a block differ')
    const body = octets.subarray(8, total - 4)
    if (type === BLOCK.interface) this.interfaces.push(this.readInterface(body))
    else if (type === BLOCK.packet) records.push(this.readEnhanced(body))
    else if (type === BLOCK.simple) records.push(this.readSimple(body))
    return total
  }

  private readInterface(body: Uint8Array): SourceInterface {
    if (body.length < 8) this.damaged('an interface block that is too short')
    const view = new DataView(body.buffer, body.byteOffset, body.byteLength)
    let name = `if${this.interfaces.length}`
    let unitsPerSecond = 1_000_000n
    let fcsOctets = 0
    for (const { code, value } of this.options(body.subarray(8))) {
      if (code === OPTION.interfaceName) name = text.decode(value)
      else if (code === OPTION.fcsLength && value.length > 0) fcsOctets = value[0] as number
      else if (code === OPTION.timeResolution && value.length > 0) {
        const exponent = value[0] as number
        unitsPerSecond = (exponent & 0x80) === 0 ? 10n ** BigInt(exponent) : 2n ** BigInt(exponent & 0x7f)
      }
    }
    const snapLength = view.getUint32(4, this.littleEndian)
    return { name, linkType: view.getUint16(0, this.littleEndian), fcsOctets, unitsPerSecond, snapLength }
  }

  private readEnhanced(body: Uint8Array): CaptureRecord {
    if (body.length < 20) this.damaged('a packet block that is too short')
    const le = this.littleEndian
    const view = new DataView(body.buffer, body.byteOffset, body.byteLength)
    const source = this.interfaces[view.getUint32(0, le)]
    if (source === undefined) this.damaged(`a packet of interface ${view.getUint32(0, le)}, which was not described`)
    const captured = view.getUint32(12, le)
    if (captured > body.length - 20) this.damaged('a packet longer than its block')
    const units = (BigInt(view.getUint32(4, le)) << 32n) | BigInt(view.getUint32(8, le))
    let direction: CaptureDirection
    const comments: string[] = []
    for (const { code, value } of this.options(body.subarray(20 + ((captured + 3) & ~3)))) {
      if (code === OPTION.comment) comments.push(text.decode(value))
      else if (code === OPTION.packetFlags && value.length >= 4) {
        const flags = value[le ? 0 : 3] as number
        direction = (flags & 3) === 1 ? 'in' : (flags & 3) === 2 ? 'out' : undefined
      }
    }
    return {
      interface: source,
      ...time(units, source.unitsPerSecond),
      octets: body.slice(20, 20 + captured),
      wireLength: view.getUint32(16, le),
      direction,
      comments,
    }
  }

  private readSimple(body: Uint8Array): CaptureRecord {
    const source = this.interfaces[0]
    if (source === undefined || body.length < 4) this.damaged('a simple packet without an interface')
    const wireLength = new DataView(body.buffer, body.byteOffset, body.byteLength).getUint32(0, this.littleEndian)
    const kept = Math.min(wireLength, body.length - 4, source.snapLength === 0 ? wireLength : source.snapLength)
    const octets = body.slice(4, 4 + kept)
    return { interface: source, seconds: 0, nanoseconds: 0, octets, wireLength, direction: undefined, comments: [] }
  }

  private *options(octets: Uint8Array): Generator<{ code: number; value: Uint8Array }> {
    const view = new DataView(octets.buffer, octets.byteOffset, octets.byteLength)
    for (let at = 0; at + 4 <= octets.length; ) {
      const code = view.getUint16(at, this.littleEndian)
      const length = view.getUint16(at + 2, this.littleEndian)
      if (code === OPTION.end) return
      if (at + 4 + length > octets.length) this.damaged('an option longer than its block')
      yield { code, value: octets.subarray(at + 4, at + 4 + length) }
      at += 4 + ((length + 3) & ~3)
    }
  }

  private pcapStep(octets: Uint8Array, view: DataView, records: CaptureRecord[]): number {
    if (this.interfaces.length === 0) {
      if (octets.length < 24) return 0
      this.littleEndian = isPcapMagic(view.getUint32(0, true))
      const nanoseconds = view.getUint32(0, this.littleEndian) === PCAP_MAGIC_NS
      const linkType = view.getUint32(20, this.littleEndian)
      this.interfaces.push({
        name: 'if0',
        linkType: linkType & 0x0fff_ffff,
        // Bit 26 says that the upper nibble counts 16-bit words of FCS.
        fcsOctets: linkType & 0x0400_0000 ? (linkType >>> 28) * 2 : 0,
        unitsPerSecond: nanoseconds ? 1_000_000_000n : 1_000_000n,
        snapLength: view.getUint32(16, this.littleEndian),
      })
      return 24
    }
    if (octets.length < 16) return 0
    const source = this.interfaces[0] as SourceInterface
    const captured = view.getUint32(8, this.littleEndian)
    if (captured > MAX_BLOCK_OCTETS) this.damaged(`a packet of ${captured} octets`)
    if (octets.length < 16 + captured) return 0
    const fractionUnits = view.getUint32(4, this.littleEndian)
    records.push({
      interface: source,
      seconds: view.getUint32(0, this.littleEndian),
      nanoseconds: source.unitsPerSecond === 1_000_000n ? fractionUnits * 1000 : fractionUnits,
      octets: octets.slice(16, 16 + captured),
      wireLength: view.getUint32(12, this.littleEndian),
      direction: undefined,
      comments: [],
    })
    return 16 + captured
  }

  private damaged(what: string): never {
    throw new NetError('EINVAL', `not a readable capture: ${what}, at octet ${this.offset}`, { reason: 'badCapture' })
  }
}

const isPcapMagic = (magic: number): boolean => magic === PCAP_MAGIC_US || magic === PCAP_MAGIC_NS

function time(units: bigint, unitsPerSecond: bigint): { seconds: number; nanoseconds: number } {
  const seconds = units / unitsPerSecond
  return {
    seconds: Number(seconds),
    nanoseconds: Number(((units - seconds * unitsPerSecond) * 1_000_000_000n) / unitsPerSecond),
  }
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length)
  both.set(a)
  both.set(b, a.length)
  return both
}
