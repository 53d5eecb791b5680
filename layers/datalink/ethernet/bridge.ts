/**
 * A learning bridge (IEEE 802.1D §7, 802.1Q §8): several Ethernets as one, and the node itself a station of it.
 *
 *                 ethernet(), ip(…)   the node's own station; nothing, on a mere switch
 *                        ▲
 *           ┌────────────┴─────────────┐
 *           │ bridge: who is where     │   known: to its port alone; unknown, or a group: to all but the port it came by
 *           └──┬──────────┬─────────┬──┘
 *            tap0       tunnel    cable
 *
 * Where a frame leaves by a medium that takes less than the one it came by, it is segmented, completed, padded and
 * given its FCS there. PAUSE (IEEE 802.3 annex 31B) is for one line, and ends at the port. Without a spanning tree
 * (§17): a loop of bridges is the operator's mistake, and the storm limit bounds what it costs.
 */
import type { MacAddress } from '../../../src/kernel/address.ts'
import type { Boundary, Reasons } from '../../../src/kernel/boundary.ts'
import { type Duration, seconds } from '../../../src/kernel/clock.ts'
import type { Env } from '../../../src/kernel/env.ts'
import { integer, invalidValue } from '../../../src/kernel/errors.ts'
import type { Layer, LinkState } from '../../../src/kernel/layer.ts'
import { MacTable } from '../../../src/kernel/mac-table.ts'
import type { Packet } from '../../../src/kernel/packet.ts'
import { NO_OFFLOAD, type Offload, type PhysicalService } from '../../physical/service.ts'
import { BridgePort } from './bridge-port.ts'
import { FCS_OCTETS, fault, fromGroup, HEADER_OCTETS, randomAddress, toGroup, typeOf } from './frame.ts'
import { MAC_CONTROL, type PauseOption, pauseRate, quantaOf } from './pause.ts'

/** What a bridge stands on: `beside({ lan: tapDevice('tap0'), far: udpTunnel(…) })`. */
export type BridgedMedia = Readonly<Record<string, PhysicalService<'frames' | 'ethernet'>>>

export interface BridgeOptions {
  /** How long a station is remembered after it was last heard: 1 us to 10^6 s; default 300 s (802.1Q §8.7.3). */
  readonly ageing?: Duration
  /** Stations remembered, 8 to 2^20; default 4096. More of them make each other forgotten. */
  readonly stations?: number
  /**
   * Frames a second that each port may have sent to all others (groups, and stations nobody has heard of), 1 to 10^9;
   * a tenth of it at once. Default 10,000.
   */
  readonly stormLimit?: number
  /**
   * Flow control on all ports: PAUSE frames are obeyed, and sent to the neighbours by whose frames a port is full.
   * Default false: they are dropped (`reserved`).
   */
  readonly pause?: PauseOption
}

/** Where a station was heard. */
export interface BridgedStation {
  readonly address: MacAddress
  /** The name of its port; undefined for this node. */
  readonly port: string | undefined
  /** Time since it was last heard. */
  readonly age: Duration
}

/** One side of a bridge, and what came by it that had to go to all the others. */
export interface BridgedPort {
  /** Undefined for this node's own station. */
  readonly name: string | undefined
  readonly state: LinkState
  /** Frames that were sent to all others: to a group, or to a station nobody has heard of. */
  readonly flooded: number
  /** Frames that the storm limit kept from that. */
  readonly stormDrops: number
}

/** A bridge, as a medium for the node's own station. */
export interface BridgeService extends PhysicalService<'ethernet'> {
  /** The stations known now. */
  stations(): BridgedStation[]
  /** In the order they were given in; this node's own station is the last. */
  ports(): BridgedPort[]
}

/** Why a bridge drops frames. */
export type BridgeDrop =
  | 'tooLong'
  | 'truncated'
  | 'fcs'
  | 'groupSource'
  | 'reserved'
  | 'sameSide'
  | 'storm'
  | 'queueFull'
  | 'noUser'

const REASONS: Reasons<BridgeDrop> = {
  tooLong: '',
  truncated: 'IEEE 802.3 §3.4',
  fcs: 'IEEE 802.3 §3.4',
  groupSource: 'IEEE 802.3 §3.2.3',
  reserved: 'IEEE 802.1Q §8.6.3',
  sameSide: 'IEEE 802.1Q §8.6.1',
  storm: '',
  queueFull: 'IEEE 802.3 §31B.3',
  noUser: '',
}

const MOST_STATIONS = 2 ** 20
const LONGEST_AGEING: Duration = seconds(1_000_000)

/** 01:80:c2:00:00:00 to 0f never pass a bridge: its first four octets, and the other two but for the last four bits. */
const RESERVED_HIGH = 0x0180_c200
const RESERVED_LOW = 0x0000

/** The node itself, among the numbers of ports. */
const SELF = 0

/**
 * A bridge: `stack(beside({ lan: tapDevice('tap0'), far: tunnel }), bridge(), ethernet(), ip(…))`, or without anything
 * on it.
 * @throws RangeError ERR_OUT_OF_RANGE — an option outside its range.
 */
export function bridge(options: BridgeOptions = {}): Layer<BridgedMedia, BridgeService> {
  const ageing = integer('ageing', options.ageing ?? seconds(300), 1, LONGEST_AGEING)
  const stations = integer('stations', options.stations ?? 4096, 8, MOST_STATIONS)
  const stormLimit = integer('stormLimit', options.stormLimit ?? 10_000, 1, 1e9)
  const rate = pauseRate(options.pause ?? false)
  return (below, env) => {
    if (Object.keys(below).length === 0) throw invalidValue('below', 'at least one medium', 'none')
    return new Bridge(below, env, ageing, stations, { storm: stormLimit, pauseRate: rate })
  }
}

class Bridge implements BridgeService {
  readonly tier = 'physical'
  readonly medium = 'ethernet'
  readonly offload: Offload
  readonly boundary: Boundary<undefined, BridgeDrop>
  /** The source of the PAUSE frames of all ports. */
  readonly address: MacAddress
  mtu = 0
  headroom = 0
  tailroom = 0
  private readonly env: Env
  private readonly sides: readonly BridgePort[]
  private readonly table: MacTable
  private readonly speaksPause: boolean
  /** Lets the neighbours go whom the station above has stop. */
  private readonly releases: (() => void)[] = []
  /** The station above, once it has sent: the first two octets of its address, and the others. */
  private ownHigh = -1
  private ownLow = 0
  /** Of the frames of the station above. */
  private flooded = 0

  constructor(
    below: BridgedMedia,
    env: Env,
    ageing: Duration,
    stations: number,
    limits: { readonly storm: number; readonly pauseRate: number },
  ) {
    this.env = env
    this.boundary = env.boundary('bridge', 'ethernet', REASONS)
    this.speaksPause = limits.pauseRate > 0
    const random = env.random('bridge')
    this.table = new MacTable(stations, ageing, random.uint32())
    this.address = randomAddress(random)
    this.sides = Object.entries(below).map(
      ([name, medium], i) => new BridgePort(name, i + 1, medium, limits, env, this),
    )
    this.measure()
    this.offload = this.sides.map((port) => port.below.offload).reduce(greater, NO_OFFLOAD)
    env.defer(() => {
      for (const port of this.sides) port.close()
    })
  }

  send(packet: Packet): boolean {
    this.boundary.down(packet, undefined)
    const tooLong = packet.length > (packet.segmentOctets > 0 ? this.offload.segment : this.mtu)
    const reason = tooLong ? 'tooLong' : fault(packet, false)
    if (reason !== undefined || isReserved(packet)) {
      if (reason !== undefined || !this.holdsAll(packet)) this.boundary.drop(packet, reason ?? 'reserved')
      return true
    }
    const { view, start } = packet
    this.ownHigh = view.getUint16(start + 6)
    this.ownLow = view.getInt32(start + 8)
    return this.relay(packet, SELF)
  }

  stations(): BridgedStation[] {
    return this.table.list(this.env.clock.now()).map(({ address, peer, age }) => ({
      address,
      port: this.sides[peer - 1]?.name,
      age,
    }))
  }

  ports(): BridgedPort[] {
    const ports: BridgedPort[] = this.sides.map(({ name, up, flooded, stormDrops }) => ({
      ...{ name, state: up ? 'up' : 'down', flooded, stormDrops },
    }))
    return [...ports, { name: undefined, state: 'up', flooded: this.flooded, stormDrops: 0 }]
  }

  /** A frame has come by a port. */
  arrive(packet: Packet, port: BridgePort): void {
    const reason = fault(packet, port.hasFcs) ?? (fromGroup(packet) ? 'groupSource' : undefined)
    if (reason !== undefined || isReserved(packet)) {
      if (reason !== undefined || !this.pauses(packet, port)) this.boundary.drop(packet, reason ?? 'reserved')
      return
    }
    if (port.hasFcs) packet.trim(packet.length - FCS_OCTETS)
    this.relay(packet, port.index)
  }

  portReady(): void {
    this.boundary.ready()
  }

  portFull(packet: Packet): void {
    this.boundary.drop(packet, 'queueFull')
  }

  /** What is behind a port that is down is somewhere else when it comes back. */
  portChanged(port: BridgePort, reason: string): void {
    if (!port.up) this.table.forget(port.index)
    this.measure()
    const up = this.sides.some((other) => other.up)
    this.boundary.linkChanged(up ? 'up' : 'down', `${port.name}: ${reason}`)
  }

  /** What all ports can carry, and the room the most demanding of them needs. */
  private measure(): void {
    this.mtu = Math.min(...this.sides.map((port) => port.mtu))
    this.headroom = Math.max(...this.sides.map((port) => port.below.headroom))
    this.tailroom = Math.max(...this.sides.map((port) => port.tailroom))
  }

  /** @returns false when the port it leaves by, or one of them, is to be spared for now. */
  private relay(packet: Packet, from: number): boolean {
    const { view, start } = packet
    const now = this.env.clock.now()
    this.table.learn(view.getUint16(start + 6), view.getInt32(start + 8), from, now)
    const to = toGroup(packet) ? -1 : this.sideOf(view.getUint16(start), view.getInt32(start + 2))
    if (to === from) {
      this.boundary.drop(packet, 'sameSide')
      return true
    }
    if (to === SELF) return this.deliver(packet)
    const port = this.sides[to - 1]
    if (port?.up) return this.leave(packet, port, from)
    if (from === SELF) this.flooded++
    else if (!(this.sides[from - 1] as BridgePort).mayFlood(now)) {
      this.boundary.drop(packet, 'storm')
      return true
    }
    return this.flood(packet, from)
  }

  private sideOf(high: number, low: number): number {
    if (high === this.ownHigh && low === this.ownLow) return SELF
    return this.table.lookUp(high, low, this.env.clock.now())
  }

  private flood(packet: Packet, from: number): boolean {
    let open = true
    for (const port of this.sides) {
      if (port.index === from || !port.up) continue
      const copy = packet.copy(port.below.headroom, port.tailroom)
      if (!this.leave(copy, port, from)) open = false
    }
    // Its own address is known, so a frame to a single station is for another.
    if (from !== SELF && (toGroup(packet) || this.ownHigh < 0)) this.deliver(packet)
    else packet.release()
    return open
  }

  private leave(packet: Packet, port: BridgePort, from: number): boolean {
    const open = port.send(packet)
    if (!open && from !== SELF) port.backpressure.hold(this.sides[from - 1] as BridgePort)
    return open
  }

  /** Takes a PAUSE that has come by a port. */
  private pauses(packet: Packet, port: BridgePort): boolean {
    if (typeOf(packet) !== MAC_CONTROL) return false
    packet.pull(HEADER_OCTETS)
    if (!port.obeys(packet)) return false
    packet.release()
    return true
  }

  /**
   * Takes a PAUSE of the station above, which has no line of its own: the neighbours of all ports stop until it takes
   * that back.
   */
  private holdsAll(packet: Packet): boolean {
    if (!this.speaksPause || typeOf(packet) !== MAC_CONTROL) return false
    packet.pull(HEADER_OCTETS)
    const quanta = quantaOf(packet)
    if (quanta < 0) return false
    packet.release()
    if (quanta > 0 && this.releases.length === 0) for (const port of this.sides) this.releases.push(port.hold())
    if (quanta === 0) for (const release of this.releases.splice(0)) release()
    return true
  }

  private deliver(packet: Packet): true {
    if (!this.boundary.up(packet, undefined, 0)) this.boundary.drop(packet, 'noUser')
    return true
  }
}

function isReserved({ view, start }: Packet): boolean {
  return view.getInt32(start) === RESERVED_HIGH && (view.getUint16(start + 4) & 0xfff0) === RESERVED_LOW
}

/** The bridge makes of a super-segment what each port takes, so it offers what the most capable of them does. */
function greater(a: Offload, b: Offload): Offload {
  const segment = Math.max(a.segment, b.segment)
  return { segment, checksum: a.checksum || b.checksum, merge: a.merge === true || b.merge === true }
}
