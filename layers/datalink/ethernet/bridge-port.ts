/** One side of a bridge: a medium, what a frame needs before it may leave by it, and PAUSE of the line. */
import type { MacAddress } from '../../../src/kernel/address.ts'
import { Backpressure, type Holdable } from '../../../src/kernel/backpressure.ts'
import type { Instant } from '../../../src/kernel/clock.ts'
import type { Env } from '../../../src/kernel/env.ts'
import type { LinkState, User } from '../../../src/kernel/layer.ts'
import type { Packet } from '../../../src/kernel/packet.ts'
import { TokenBucket } from '../../../src/kernel/token-bucket.ts'
import { complete } from '../../offload/complete.ts'
import { Segmenter } from '../../offload/segment.ts'
import type { PhysicalService } from '../../physical/service.ts'
import { AddressWords, FCS_OCTETS, HEADER_OCTETS, MIN_FRAME_OCTETS, putPaddingAndFcs } from './frame.ts'
import { MAC_CONTROL, PAUSE_FRAME_OCTETS, PAUSE_GROUP, Pause, type PauseOwner, putPause } from './pause.ts'

/** The bridge, as its ports see it. */
export interface BridgePortOwner {
  /** The bridge's own, for PAUSE. */
  readonly address: MacAddress
  arrive(packet: Packet, port: BridgePort): void
  portReady(): void
  /** A frame that had to wait is dropped. */
  portFull(packet: Packet): void
  portChanged(port: BridgePort, reason: string): void
}

const NOTHING = (): void => {}

export class BridgePort implements User<undefined>, PauseOwner, Holdable {
  readonly name: string
  /** From 1. */
  readonly index: number
  readonly below: PhysicalService<'frames' | 'ethernet'>
  readonly hasFcs: boolean
  /** False from the medium's word that it is down until its word that it is up. */
  up = true
  /** Frames that all other ports had to carry, and those that the storm limit kept from that. */
  flooded = 0
  stormDrops = 0
  /** Ports whose neighbours stop while this one is full. */
  readonly backpressure: Backpressure = new Backpressure()
  private readonly owner: BridgePortOwner
  private readonly env: Env
  /** Null where the bridge does not speak PAUSE. */
  private readonly pause: Pause | null
  private readonly storm: TokenBucket
  private readonly segmenter = new Segmenter()
  private readonly detach: () => void

  constructor(
    name: string,
    index: number,
    below: PhysicalService<'frames' | 'ethernet'>,
    limits: { readonly storm: number; readonly pauseRate: number },
    env: Env,
    owner: BridgePortOwner,
  ) {
    this.name = name
    this.env = env
    this.index = index
    this.below = below
    this.hasFcs = below.medium === 'frames'
    this.storm = new TokenBucket(limits.storm, Math.max(1, limits.storm / 10))
    this.owner = owner
    this.pause = limits.pauseRate > 0 ? new Pause(env, this, limits.pauseRate) : null
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
    if (this.pause === null || this.pause.lineReady()) this.resumed()
  }

  resumed(): void {
    this.backpressure.release()
    this.owner.portReady()
  }

  linkChanged(state: LinkState, reason: string): void {
    this.up = state === 'up'
    if (!this.up) this.backpressure.release()
    this.owner.portChanged(this, reason)
  }

  /** Whether a frame that has come by it may go to all others. */
  mayFlood(now: Instant): boolean {
    const may = this.storm.take(now)
    if (may) this.flooded++
    else this.stormDrops++
    return may
  }

  /** Takes a frame without FCS, which may be a super-segment. @returns false: not more for now. */
  send(packet: Packet): boolean {
    const { pause } = this
    if (pause === null || !pause.paused) return this.transmit(packet)
    if (!pause.push(packet)) this.owner.portFull(packet)
    return pause.open
  }

  hold(): () => void {
    return this.pause === null ? NOTHING : this.pause.hold()
  }

  /** A MAC control frame, from behind its type. @returns whether it was a PAUSE that is obeyed. */
  obeys(packet: Packet): boolean {
    return this.pause?.input(packet) === true
  }

  sendPause(quanta: number): void {
    const packet = this.env.packet(this.below.headroom + HEADER_OCTETS, PAUSE_FRAME_OCTETS + this.tailroom)
    putPause(packet, quanta)
    new AddressWords(PAUSE_GROUP, this.owner.address).pushHeader(packet, MAC_CONTROL)
    this.sendOne(packet)
  }

  /** Whether or not the neighbour is to be spared; see `send`. */
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
