/** What carries frames of AX.25: KISS on octets, or Ethernet as BPQ has it. */
import type { User } from '../../../src/kernel/layer.ts'
import type { Packet } from '../../../src/kernel/packet.ts'
import type { Framing } from '../framing/framing.ts'
import { LinkAddressing, type LinkService } from '../service.ts'

export interface Carrier {
  readonly mtu: number
  readonly headroom: number
  readonly tailroom: number
  attach(user: User<unknown>): () => void
  /** Takes ownership. */
  send(packet: Packet): boolean
  /** Takes off what is in front of the frame. @returns false when it is none. */
  strip(packet: Packet): boolean
}

/** A command octet: the port in the higher half, which is 0, and 0 for data. SMACK's bit is the framing's. */
export class KissCarrier implements Carrier {
  private readonly frames: Framing

  constructor(frames: Framing) {
    this.frames = frames
  }

  get mtu(): number {
    return this.frames.mtu - 1
  }

  get headroom(): number {
    return this.frames.headroom + 1
  }

  get tailroom(): number {
    return this.frames.tailroom
  }

  attach(user: User<unknown>): () => void {
    return this.frames.boundary.attach(user)
  }

  send(packet: Packet): boolean {
    packet.octets[packet.push(1)] = 0
    return this.frames.send(packet, undefined)
  }

  strip(packet: Packet): boolean {
    return packet.length > 0 && packet.octets[packet.pull(1)] === 0
  }
}

const BPQ = 0x08ff
const LENGTH_OCTETS = 2
/** What BPQ's length counts beside the frame. */
const EXTRA = 5

export class EthernetCarrier implements Carrier {
  private readonly below: LinkService
  private readonly to = new LinkAddressing()

  constructor(below: LinkService) {
    this.below = below
    this.to.peer = below.broadcast ?? 0
    this.to.protocol = BPQ
  }

  get mtu(): number {
    return this.below.mtu - LENGTH_OCTETS
  }

  get headroom(): number {
    return this.below.headroom + LENGTH_OCTETS
  }

  get tailroom(): number {
    return this.below.tailroom
  }

  attach(user: User<unknown>): () => void {
    return this.below.boundary.attach(user, BPQ)
  }

  send(packet: Packet): boolean {
    const { length } = packet
    packet.view.setUint16(packet.push(LENGTH_OCTETS), length + EXTRA, true)
    return this.below.send(packet, this.to)
  }

  strip(packet: Packet): boolean {
    if (packet.length < LENGTH_OCTETS) return false
    const length = packet.view.getUint16(packet.pull(LENGTH_OCTETS), true) - EXTRA
    if (length < 0 || length > packet.length) return false
    packet.trim(length)
    return true
  }
}
