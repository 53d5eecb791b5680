/**
 * Ethernet II over any medium that carries frames: with the FCS on 'frames', without on 'ethernet', where the device
 * below sees to it.
 *
 *   down   header in front, padding to 60 octets and the FCS behind ('frames' only)
 *   up     FCS checked and removed; kept when it is for us, for all, or for a group; dispatched by EtherType
 *
 * Padding is not removed on the way up: only the payload knows its length. Frames of every group are let through: which
 * groups matter is the network layer's decision.
 */
import { formatMac, type MacAddress, parseMac } from '../../../src/kernel/address.ts'
import type { Boundary, Reasons } from '../../../src/kernel/boundary.ts'
import type { Env } from '../../../src/kernel/env.ts'
import { invalidValue } from '../../../src/kernel/errors.ts'
import type { Layer, LinkState, User } from '../../../src/kernel/layer.ts'
import type { Packet } from '../../../src/kernel/packet.ts'
import type { Offload, PhysicalService } from '../../physical/service.ts'
import { type LinkAddress, LinkAddressing, type LinkOffload, type LinkService, LLC_SELECTOR } from '../service.ts'
import {
  AddressWords,
  BROADCAST,
  CUSTOMER_TAG,
  destinationOf,
  FCS_OCTETS,
  fault,
  fromGroup,
  HEADER_OCTETS,
  isGroup,
  MAX_LENGTH,
  MIN_ETHERTYPE,
  MIN_FRAME_OCTETS,
  putPaddingAndFcs,
  randomAddress,
  SERVICE_TAG,
  sourceOf,
  TAG_OCTETS,
  toGroup,
  typeOf,
  vlanOf,
} from './frame.ts'
import {
  MAC_CONTROL,
  PAUSE_FRAME_OCTETS,
  PAUSE_GROUP,
  Pause,
  type PauseOption,
  type PauseOwner,
  pauseRate,
  putPause,
} from './pause.ts'

const NOTHING = (): void => {}

export interface EthernetOptions {
  /**
   * Our address, as text such as '02:00:00:00:00:2a'; a unicast one. Default 'random': locally administered, and
   * another one for every node.
   */
  readonly address?: string | undefined
  /**
   * Flow control: PAUSE frames are obeyed, and `hold` sends them, which a router does by itself. Default false: they
   * are dropped.
   */
  readonly pause?: PauseOption | undefined
}

/** A link whose neighbour can be told to stop. */
export interface EthernetService extends LinkService {
  /**
   * Has the neighbour stop until what is returned is called, by whoever has no room for what comes: a router while the
   * link it forwards to is full. Several may hold at once. Without the option `pause`, does nothing.
   */
  hold(): () => void
}

/** Why Ethernet drops frames. */
export type EthernetDrop =
  | 'truncated'
  | 'fcs'
  | 'groupSource'
  | 'otherHost'
  | 'badType'
  | 'badLength'
  | 'llc'
  | 'vlan'
  | 'macControl'
  | 'queueFull'
  | 'unknownProtocol'

const REASONS: Reasons<EthernetDrop> = {
  truncated: 'IEEE 802.3 §3.4',
  fcs: 'IEEE 802.3 §3.4',
  groupSource: 'IEEE 802.3 §3.2.3',
  otherHost: 'IEEE 802.3 §4.1.2.1.2',
  badType: 'IEEE 802.3 §3.2.6',
  badLength: 'IEEE 802.3 §3.4',
  llc: 'IEEE 802.3 §3.2.6',
  vlan: 'IEEE 802.1Q §6.9',
  macControl: 'IEEE 802.3 §31.5',
  queueFull: 'IEEE 802.3 §31B.3',
  unknownProtocol: 'RFC 1122 §2.3.1',
}

/**
 * Ethernet.
 * @throws TypeError ERR_INVALID_ARG_VALUE — `address` is no MAC address, or not one of a single station.
 * @throws RangeError ERR_OUT_OF_RANGE — `pause.rate` outside 1 to 10^12.
 */
export function ethernet(
  options: EthernetOptions = {},
): Layer<PhysicalService<'frames' | 'ethernet'>, EthernetService> {
  const { address = 'random', pause = false } = options
  const rate = pauseRate(pause)
  const given = address === 'random' ? undefined : stationAddress(address)
  return (below, env) => new Ethernet(below, env, given ?? randomAddress(env.random('ethernet')), rate)
}

class Ethernet implements EthernetService, User<undefined>, PauseOwner {
  readonly tier = 'datalink'
  readonly address: LinkAddress
  readonly broadcast: LinkAddress = BROADCAST
  readonly offload: LinkOffload
  readonly boundary: Boundary<LinkAddressing, EthernetDrop>
  private readonly below: PhysicalService<'frames' | 'ethernet'>
  private readonly hasFcs: boolean
  private readonly from = new LinkAddressing()
  /** The addresses of the frame that `from` was read from. */
  private readonly fromWords: AddressWords
  /** Those of the frame sent last, and its destination. */
  private readonly toWords: AddressWords
  private lastPeer: LinkAddress
  private readonly env: Env
  /** Null without the option. */
  private readonly pause: Pause | null

  constructor(below: PhysicalService<'frames' | 'ethernet'>, env: Env, address: MacAddress, pauseRate: number) {
    this.below = below
    this.env = env
    this.pause = pauseRate > 0 ? new Pause(env, this, pauseRate) : null
    this.hasFcs = below.medium === 'frames'
    this.address = address
    this.from.peer = this.lastPeer = address
    this.fromWords = new AddressWords(address, address)
    this.toWords = new AddressWords(address, address)
    this.offload = offloadOver(below.offload, this.hasFcs)
    this.boundary = env.boundary('ethernet', 'link', REASONS)
    env.defer(below.boundary.attach(this))
  }

  get mtu(): number {
    return Math.max(0, this.below.mtu - HEADER_OCTETS - (this.hasFcs ? FCS_OCTETS : 0))
  }

  get headroom(): number {
    return this.below.headroom + HEADER_OCTETS
  }

  get tailroom(): number {
    return this.below.tailroom + (this.hasFcs ? MIN_FRAME_OCTETS - HEADER_OCTETS + FCS_OCTETS : 0)
  }

  send(packet: Packet, to: LinkAddressing): boolean {
    this.boundary.down(packet, to)
    this.pushHeader(packet, to.peer, to.protocol)
    if (this.pause?.paused) return this.wait(packet, this.pause)
    return this.transmit(packet)
  }

  hold(): () => void {
    return this.pause === null ? NOTHING : this.pause.hold()
  }

  transmit(packet: Packet): boolean {
    if (this.hasFcs) putPaddingAndFcs(packet)
    return this.below.send(packet, undefined)
  }

  sendPause(quanta: number): void {
    const packet = this.env.packet(this.headroom, PAUSE_FRAME_OCTETS + this.tailroom)
    putPause(packet, quanta)
    this.pushHeader(packet, PAUSE_GROUP, MAC_CONTROL)
    this.transmit(packet)
  }

  resumed(): void {
    this.boundary.ready()
  }

  receive(packet: Packet): void {
    const reason = this.deliver(packet)
    if (reason !== undefined) this.boundary.drop(packet, reason)
  }

  ready(): void {
    if (this.pause === null || this.pause.lineReady()) this.boundary.ready()
  }

  linkChanged(state: LinkState, reason: string): void {
    this.boundary.linkChanged(state, reason)
  }

  private pushHeader(packet: Packet, peer: LinkAddress, type: number): void {
    if (peer !== this.lastPeer) {
      this.toWords.set(peer, this.address)
      this.lastPeer = peer
    }
    this.toWords.pushHeader(packet, type)
  }

  private wait(packet: Packet, pause: Pause): boolean {
    if (!pause.push(packet)) this.boundary.drop(packet, 'queueFull')
    return pause.open
  }

  /** @returns why the frame must be dropped; undefined when the user above has it. */
  private deliver(packet: Packet): EthernetDrop | undefined {
    const wrong = fault(packet, this.hasFcs)
    if (wrong !== undefined) return wrong
    const notForUs = this.fromWords.match(packet) ? undefined : this.readAddresses(packet)
    if (notForUs !== undefined) return notForUs
    const type = typeOf(packet)
    packet.pull(HEADER_OCTETS)
    if (this.hasFcs) packet.trim(packet.length - FCS_OCTETS)
    return this.deliverPayload(packet, type)
  }

  /** @returns why the frame is not for us. */
  private readAddresses(packet: Packet): EthernetDrop | undefined {
    if (fromGroup(packet)) return 'groupSource'
    const destination = destinationOf(packet)
    const source = sourceOf(packet)
    if (destination === this.address) this.from.cast = 'unicast'
    else if (!toGroup(packet)) return 'otherHost'
    else this.from.cast = destination === BROADCAST ? 'broadcast' : 'multicast'
    this.from.peer = source
    this.fromWords.set(destination, source)
    return undefined
  }

  private deliverPayload(packet: Packet, type: number): EthernetDrop | undefined {
    if (type < MIN_ETHERTYPE) return this.deliverLlc(packet, type)
    if (type === MAC_CONTROL) return this.obey(packet)
    if (type === CUSTOMER_TAG) return this.deliverTagged(packet)
    if (type === SERVICE_TAG) return 'vlan'
    this.from.protocol = type
    return this.boundary.up(packet, this.from, type) ? undefined : 'unknownProtocol'
  }

  /** For this station alone, and never for those above (IEEE 802.3 §31B.3). */
  private obey(packet: Packet): EthernetDrop | undefined {
    if (!this.pause?.input(packet)) return 'macControl'
    packet.release()
    return undefined
  }

  /** A tag that has a priority but names no VLAN is as good as none (IEEE 802.1Q §6.9); VLANs are not ours. */
  private deliverTagged(packet: Packet): EthernetDrop | undefined {
    if (packet.length < TAG_OCTETS) return 'truncated'
    const at = packet.pull(TAG_OCTETS)
    const type = packet.view.getUint16(at + 2)
    if (vlanOf(packet.view.getUint16(at)) !== 0 || type === CUSTOMER_TAG) return 'vlan'
    return this.deliverPayload(packet, type)
  }

  private deliverLlc(packet: Packet, length: number): EthernetDrop | undefined {
    if (length > MAX_LENGTH) return 'badType'
    if (length > packet.length) return 'badLength'
    packet.trim(length)
    this.from.protocol = LLC_SELECTOR
    return this.boundary.up(packet, this.from, LLC_SELECTOR) ? undefined : 'llc'
  }
}

/**
 * An FCS covers one frame of the wire, as it is: it cannot be put on a super-segment, or before the checksum inside.
 */
function offloadOver({ segment, checksum, merge }: Offload, hasFcs: boolean): LinkOffload {
  return {
    segment: hasFcs || segment === 0 ? 0 : segment - HEADER_OCTETS,
    checksum: !hasFcs && checksum,
    ...(merge !== undefined && { merge }),
  }
}

function stationAddress(text: string): MacAddress {
  const address = parseMac(text)
  if (address === 0 || isGroup(address)) {
    throw invalidValue('address', 'the MAC address of one station, so neither a group nor zero', formatMac(address))
  }
  return address
}
