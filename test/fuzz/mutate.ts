/** What is done to good frames: by bits, by octets, by lengths, by fields, and by pieces of other frames. */
import { below, type Random } from '../../src/kernel/random.ts'
import { ETHERNET, type Framing, ICMP, networkStart, TCP, UDP, viewOf } from './frames.ts'

const EDGES = [0, 1, 2, 4, 7, 8, 0x0f, 0x10, 0x3f, 0x40, 0x7f, 0x80, 0xc0, 0xfe, 0xff]
const WIDE_EDGES = [0, 1, 7, 8, 19, 20, 21, 27, 28, 59, 60, 1480, 1500, 0x3fff, 0x7fff, 0x8000, 0xfff8, 0xffff]
const SEQUENCE_STEPS = [-0x8000_0000, -0x10_0000, -65_536, -1461, -2, -1, 1, 2, 1460, 65_535, 0x10_0000, 0x7fff_ffff]
const LONGEST = 1514
const RING = 256

/** Mutates frames; remembers some of those it has seen, to make new ones of their pieces. */
export class Mutator {
  /** Addresses that mean something to the node under test. */
  private readonly addresses: readonly number[]
  private readonly ports: readonly number[]
  private readonly random: Random
  private readonly seen: Uint8Array[] = []

  constructor(random: Random, addresses: readonly number[], ports: readonly number[]) {
    this.random = random
    this.addresses = addresses
    this.ports = ports
  }

  /** A changed copy of a frame. */
  mutate(original: Uint8Array, framing: Framing): Uint8Array {
    const { random } = this
    this.remember(original)
    let octets: Uint8Array = original.slice()
    for (let changes = 1 + below(random, 3); changes > 0 && octets.length > 0; changes--) {
      const at = networkStart(octets, framing)
      const choice = below(random, 16)
      if (choice < 8 && at >= 0) this.field(octets, at)
      else if (choice === 8 && framing !== 'ip') octets = this.link(octets)
      else if (choice <= 10) this.bits(octets)
      else if (choice === 11) this.edge(octets)
      else if (choice === 12) octets = octets.slice(0, below(random, octets.length + 1))
      else if (choice === 13) octets = this.grow(octets)
      else if (choice === 14) octets = this.splice(octets)
      else this.noise(octets)
    }
    return octets
  }

  private remember(frame: Uint8Array): void {
    if (this.seen.length < RING) this.seen.push(frame)
    else this.seen[below(this.random, RING)] = frame
  }

  private pick<T>(from: readonly T[]): T {
    return from[below(this.random, from.length)] as T
  }

  private bits(octets: Uint8Array): void {
    for (let flips = 1 + below(this.random, 4); flips > 0; flips--) {
      const at = below(this.random, octets.length)
      octets[at] = (octets[at] as number) ^ (1 << below(this.random, 8))
    }
  }

  private edge(octets: Uint8Array): void {
    octets[below(this.random, octets.length)] = this.pick(EDGES)
  }

  private noise(octets: Uint8Array): void {
    const from = below(this.random, octets.length)
    const noise = this.random.octets(1 + below(this.random, 16))
    octets.set(noise.subarray(0, octets.length - from), from)
  }

  private grow(octets: Uint8Array): Uint8Array {
    const grown = new Uint8Array(Math.min(LONGEST, octets.length + 1 + below(this.random, 64)))
    grown.set(octets.subarray(0, grown.length))
    return grown
  }

  private splice(octets: Uint8Array): Uint8Array {
    const other = this.pick(this.seen)
    const head = below(this.random, octets.length + 1)
    const tail = other.subarray(below(this.random, other.length + 1))
    const spliced = new Uint8Array(Math.min(LONGEST, head + tail.length))
    spliced.set(octets.subarray(0, Math.min(head, spliced.length)))
    if (head < spliced.length) spliced.set(tail.subarray(0, spliced.length - head), head)
    return spliced
  }

  /** The Ethernet header: addresses, type, a tag. */
  private link(octets: Uint8Array): Uint8Array {
    if (octets.length < ETHERNET) return octets
    const view = viewOf(octets)
    switch (below(this.random, 5)) {
      case 0:
        octets.fill(0xff, 0, 6)
        return octets
      case 1:
        octets[below(this.random, 2) * 6] = this.pick([1, 2, 3, 0x33, 0xfe])
        return octets
      case 2:
        view.setUint16(12, this.pick([0, 46, 200, 1500, 1501, 1535, 0x0800, 0x0806, 0x8100, 0x86dd, 0x88a8]))
        return octets
      case 3: {
        const tagged = new Uint8Array(octets.length + 4)
        tagged.set(octets.subarray(0, 12))
        viewOf(tagged).setUint16(12, 0x8100)
        viewOf(tagged).setUint16(14, this.pick([0, 0xe000, 1, 0x0fff]))
        tagged.set(octets.subarray(12), 16)
        return tagged
      }
      default:
        return octets.slice(0, ETHERNET + below(this.random, 5))
    }
  }

  /** A field of the IPv4 header, or of what is behind it. */
  private field(octets: Uint8Array, at: number): void {
    const { random } = this
    const view = viewOf(octets)
    switch (below(random, 12)) {
      case 0:
        view.setUint8(at, 0x40 | this.pick([0, 4, 5, 6, 7, 15]))
        return
      case 1:
        view.setUint16(at + 2, this.length(view.getUint16(at + 2)))
        return
      case 2:
        view.setUint16(at + 6, this.pick([0x2000, 0x4000, 0x8000, 1, 2, 185, 0x1fff, 0x2001, 0x3fff]))
        return
      case 3:
        view.setUint8(at + 8, this.pick([0, 1, 2, 255]))
        return
      case 4:
        view.setUint8(at + 9, this.pick([0, ICMP, 2, TCP, UDP, 41, 47, 255]))
        return
      case 5:
        view.setInt32(at + 12, this.pick(this.addresses))
        return
      case 6:
        view.setInt32(at + 16, this.pick(this.addresses))
        return
      default:
        this.transport(octets, view, at, at + ((octets[at] as number) & 15) * 4)
    }
  }

  private length(value: number): number {
    return below(this.random, 2) === 0 ? this.pick(WIDE_EDGES) : (value + below(this.random, 9) - 4) & 0xffff
  }

  private transport(octets: Uint8Array, view: DataView, network: number, at: number): void {
    const protocol = octets[network + 9]
    if (protocol === TCP && at + 20 <= octets.length) this.tcp(view, octets, at)
    else if (protocol === UDP && at + 8 <= octets.length) this.udp(view, at)
    else if (protocol === ICMP && at + 8 <= octets.length) this.icmp(octets, at)
    else this.bits(octets)
  }

  private tcp(view: DataView, octets: Uint8Array, at: number): void {
    const { random } = this
    switch (below(random, 8)) {
      case 0:
        view.setUint16(at + below(random, 2) * 2, this.pick(this.ports))
        return
      case 1:
        view.setInt32(at + 4, view.getInt32(at + 4) + this.pick(SEQUENCE_STEPS))
        return
      case 2:
        view.setInt32(at + 8, view.getInt32(at + 8) + this.pick(SEQUENCE_STEPS))
        return
      case 3:
        view.setUint8(at + 12, (below(random, 16) << 4) | (view.getUint8(at + 12) & 15))
        return
      case 4:
        view.setUint8(at + 13, below(random, 256))
        return
      case 5:
        view.setUint16(at + 14, this.pick(WIDE_EDGES))
        return
      default:
        this.options(octets, at + 20, at + (view.getUint8(at + 12) >> 4) * 4)
    }
  }

  /** Somewhere in the options: their kinds and lengths are what is lied about most. */
  private options(octets: Uint8Array, from: number, end: number): void {
    const last = Math.min(end, octets.length)
    if (last <= from) return
    octets[from + below(this.random, last - from)] = this.pick([0, 1, 2, 3, 4, 5, 8, 9, 10, 14, 15, 40, 255])
  }

  private udp(view: DataView, at: number): void {
    const field = below(this.random, 4)
    if (field === 3) view.setUint16(at + 6, 0)
    else if (field === 2) view.setUint16(at + 4, this.length(view.getUint16(at + 4)))
    else view.setUint16(at + 2 * field, this.pick(this.ports))
  }

  private icmp(octets: Uint8Array, at: number): void {
    const choice = below(this.random, 4)
    if (choice === 0) octets[at] = below(this.random, 20)
    else if (choice === 1) octets[at + 1] = below(this.random, 17)
    else octets[at + 4 + below(this.random, octets.length - at - 4)] = this.pick(EDGES)
  }
}
