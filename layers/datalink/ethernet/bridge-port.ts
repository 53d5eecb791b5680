/** One side of a bridge: a medium, and what a frame needs before it may leave by it. */
import type { LinkState, User } from '../../../src/kernel/layer.ts'
import type { Packet } from '../../../src/kernel/packet.ts'
import { TokenBucket } from '../../../src/kernel/token-bucket.ts'
import { complete } from '../../offload/complete.ts'
import { Segmenter } from '../../offload/segment.ts'
import type { PhysicalService } from '../../physical/service.ts'
import { FCS_OCTETS, HEADER_OCTETS, MIN_FRAME_OCTETS, putPaddingAndFcs } from './frame.ts'

/** The bridge, as its ports see it. */
export interface BridgePortOwner {
  arrive(packet: Packet, port: BridgePort): void
  portReady(): void
  portChanged(port: BridgePort, reason: string): void
}

export class BridgePort implements User<undefined> {
  readonly name: string
  /** From 1. */
  readonly index: number
  readonly below: PhysicalService<'frames' | 'ethernet'>
  readonly hasFcs: boolean
  /** False from the medium's word that it is down until its word that it is up. */
  up = true
  /** For what all other ports have to carry. */
  readonly storm: TokenBucket
  private readonly owner: BridgePortOwner
  private readonly segmenter = new Segmenter()
  private readonly detach: () => void

  constructor(
    name: string,
    index: number,
    below: PhysicalService<'frames' | 'ethernet'>,
    stormLimit: number,
    owner: BridgePortOwner,
  ) {
    this.name = name
    this.index = index
    this.below = below
    this.hasFcs = below.medium === 'frames'
    this.storm = new TokenBucket(stormLimit, Math.max(1, stormLimit / 10))
    this.owner = owner
    this.detach = below.boundary.attach(this)
  }

  /** The longest frame it takes, without FCS. */
  get mtu(): number {
    return this.below.mtu - (this.hasFcs ? FCS_OCTETS : 0)
  }

  /** What a frame needs behind it. */
  get tailroom(): number {
    return this.below.tailroom + (this.hasFcs ? MIN_FRAME_OCTETS - HEADER_OCTETS + FCS_OCTETS : 0)
  }

  receive(packet: Packet): void {
    this.owner.arrive(packet, this)
  }

  ready(): void {
    this.owner.portReady()
  }

  linkChanged(state: LinkState, reason: string): void {
    this.up = state === 'up'
    this.owner.portChanged(this, reason)
  }

  /** Takes a frame without FCS, which may be a super-segment. @returns false: not more for now. */
  transmit(packet: Packet): boolean {
    const { segment, checksum } = this.below.offload
    if (packet.segmentOctets > 0 && packet.length > segment) return this.split(packet)
    if (!checksum) complete(packet)
    return this.sendOne(packet.withRoom(this.below.headroom, this.tailroom))
  }

  close(): void {
    this.detach()
  }

  private split(packet: Packet): boolean {
    const { segmenter } = this
    let open = true
    segmenter.start(packet, this.below.headroom, this.tailroom)
    for (let part = segmenter.next(); part !== undefined; part = segmenter.next()) {
      if (!this.sendOne(part)) open = false
    }
    packet.release()
    return open
  }

  private sendOne(frame: Packet): boolean {
    if (this.hasFcs) putPaddingAndFcs(frame)
    return this.below.send(frame, undefined)
  }
}
