/** A network tier for tests: what TCP sends goes to a function, and what arrives is called in. Two of them make a pair. */

import {
  ErrorReport,
  NetworkAddressing,
  type NetworkService,
  type NoPath,
  type Path,
} from '../../../../layers/network/service.ts'
import type { NetworkControl } from '../../../../src/api/routes.ts'
import { type IpAddress, parseAddress } from '../../../../src/kernel/address.ts'
import type { Boundary } from '../../../../src/kernel/boundary.ts'
import type { Duration, Instant } from '../../../../src/kernel/clock.ts'
import type { Env } from '../../../../src/kernel/env.ts'
import type { Packet } from '../../../../src/kernel/packet.ts'
import type { Random } from '../../../../src/kernel/random.ts'
import { below } from '../../../../src/kernel/random.ts'
import { Timer, type Timers } from '../../../../src/kernel/timers.ts'

export class NetworkDouble implements NetworkService {
  readonly tier = 'network'
  readonly headroom = 54
  readonly tailroom = 4
  readonly boundary: Boundary<NetworkAddressing>
  readonly local: IpAddress
  mtu = 1500
  /** Of the link, where the path is narrower. */
  linkMtu = 0
  generation = 1
  /** What `path` says. */
  segment = 0
  checksum = false
  none: NoPath | undefined
  /** Takes what is sent; the packet is released afterwards unless it returns false. */
  sent: (packet: Packet, to: NetworkAddressing) => boolean = () => true
  /** What `send` returns. */
  open = true
  refusals: string[] = []
  declared: string[] = []
  /** How often TCP vouched for a next hop. */
  confirmed = 0
  /** How often TCP said that a next hop may be gone. */
  doubted = 0
  private errorListener: ((report: ErrorReport) => void) | undefined
  private changeListener: (() => void) | undefined
  private addresses: IpAddress[]

  constructor(env: Env, address: string) {
    this.boundary = env.boundary('network', 'transport', {})
    this.local = parseAddress(address)
    this.addresses = [this.local]
  }

  get control(): NetworkControl {
    const addresses = () => this.addresses.map(String)
    return { addresses } as unknown as NetworkControl // the rest of it is not TCP's business
  }

  send(packet: Packet, to: NetworkAddressing): boolean {
    this.boundary.down(packet, to)
    if (this.sent(packet, to)) packet.release()
    return this.open
  }

  path(destination: IpAddress, source: IpAddress, link: number, path: Path): NoPath | undefined {
    if (this.none !== undefined) return this.none
    path.source.set(source.isUnspecified ? this.local : source)
    path.mtu = this.mtu
    path.linkMtu = this.linkMtu || this.mtu
    path.segment = this.segment
    path.checksum = this.checksum
    path.headroom = this.headroom
    path.tailroom = this.tailroom
    path.link = link
    return destination.isUnspecified ? 'ENETUNREACH' : undefined
  }

  confirm(): void {
    this.confirmed++
  }

  doubt(): void {
    this.doubted++
  }

  isLocal(address: IpAddress): boolean {
    return this.declared.length > 0 || this.addresses.some((own) => own.equals(address))
  }

  isBroadcast(address: IpAddress): boolean {
    return (address.w3 & 0xff) === 0xff
  }

  isMulticast(address: IpAddress): boolean {
    return address.w3 >>> 28 === 0xe
  }

  linkIndex(name: string): number {
    return name === 'eth0' ? 1 : 0
  }

  linkName(): string {
    return 'eth0'
  }

  onError(_protocol: number, listener: (report: ErrorReport) => void): () => void {
    this.errorListener = listener
    return () => {
      this.errorListener = undefined
    }
  }

  onChange(listener: () => void): () => void {
    this.changeListener = listener
    return () => {
      this.changeListener = undefined
    }
  }

  refuse(packet: Packet, _from: NetworkAddressing, why: string): void {
    this.refusals.push(why)
    packet.release()
  }

  joinGroup(): undefined {
    return undefined
  }

  declareLocal(address: IpAddress, length: number): () => void {
    const text = `${address}/${length}`
    this.declared.push(text)
    return () => {
      this.declared = this.declared.filter((other) => other !== text)
    }
  }

  attach(): void {}

  detach(): boolean {
    return false
  }

  // ── what a test does to it

  /** Delivers a packet to TCP. Takes ownership. */
  arrive(packet: Packet, from: NetworkAddressing): void {
    if (!this.boundary.up(packet, from, from.protocol)) packet.release()
  }

  /** Where a packet comes from that was sent `to` here. */
  addressing(to: NetworkAddressing, trafficClass: number): NetworkAddressing {
    const from = new NetworkAddressing()
    from.source.set(to.source)
    from.destination.set(to.destination)
    from.protocol = to.protocol
    from.trafficClass = trafficClass
    from.link = 1
    return from
  }

  /** Takes packets again. */
  ready(): void {
    this.open = true
    this.boundary.ready()
  }

  /** Takes the address away, or gives it back. */
  setAddresses(...addresses: IpAddress[]): void {
    this.addresses = addresses
    this.generation++
    this.changeListener?.()
  }

  setMtu(mtu: number): void {
    this.mtu = mtu
    this.generation++
  }

  /** @returns false when TCP says that it never sent what is quoted. */
  report(fill: (report: ErrorReport) => void): boolean {
    const report = new ErrorReport()
    fill(report)
    this.errorListener?.(report)
    return !report.foreign
  }
}

/** What a `Wire` does to packets; fractions of 1000. */
export interface Trouble {
  loss: number
  /** Larger IPv4 packets are lost. */
  hole: number
  duplicate: number
  corrupt: number
  delay: Duration
  jitter: Duration
}

/** Of the largest IPv4 packet that a segment becomes. */
export function octetsOnWire(packet: Packet): number {
  if (packet.segmentOctets === 0) return 20 + packet.length
  return 20 + Math.min(packet.length, packet.headerOctets + packet.segmentOctets)
}

/** Carries packets from one double to another, later, with trouble. */
export class Wire {
  private readonly from: NetworkDouble
  private readonly to: NetworkDouble
  private readonly timers: Timers
  private readonly now: () => Instant
  private readonly random: Random
  readonly trouble: Trouble
  /** Instant, flags, numbers and window of everything put on the wire, when wanted. */
  trace: string[] | null = null
  carried = 0
  inFlight = 0

  constructor(
    from: NetworkDouble,
    to: NetworkDouble,
    timers: Timers,
    now: () => Instant,
    random: Random,
    trouble: Partial<Trouble> = {},
  ) {
    this.from = from
    this.to = to
    this.timers = timers
    this.now = now
    this.random = random
    this.trouble = {
      loss: 0,
      hole: Number.POSITIVE_INFINITY,
      duplicate: 0,
      corrupt: 0,
      delay: 1000,
      jitter: 0,
      ...trouble,
    }
    from.sent = (packet, to) => this.carry(packet, to)
  }

  private carry(packet: Packet, to: NetworkAddressing): boolean {
    this.carried++
    if (this.trace !== null) this.trace.push(this.describe(packet))
    if (this.chance(this.trouble.loss) || octetsOnWire(packet) > this.trouble.hole) return true
    if (this.chance(this.trouble.duplicate)) this.deliver(packet.copy(54, 4), to)
    if (this.chance(this.trouble.corrupt)) {
      const at = packet.start + below(this.random, packet.length)
      packet.octets[at] = (packet.octets[at] as number) ^ (1 << below(this.random, 8))
    }
    this.deliver(packet, to)
    return false
  }

  private describe({ view, start, length }: Packet): string {
    const flags = view.getUint8(start + 13).toString(16)
    const payload = length - (view.getUint8(start + 12) >> 4) * 4
    return `${this.now()} ${this.from.local} ${flags} ${view.getUint32(start + 4)}(${payload}) ${view.getUint32(start + 8)} ${view.getUint16(start + 14)}`
  }

  private chance(permille: number): boolean {
    return permille > 0 && below(this.random, 1000) < permille
  }

  private deliver(packet: Packet, to: NetworkAddressing): void {
    const from = this.to.addressing(to, to.trafficClass)
    const { delay, jitter } = this.trouble
    const wait = delay + (jitter > 0 ? below(this.random, jitter) : 0)
    this.inFlight++
    const timer = new Timer({
      expire: () => {
        this.inFlight--
        this.to.arrive(packet, from)
      },
    })
    this.timers.arm(timer, this.now() + wait)
  }

  /** The double whose packets this carries. */
  get source(): NetworkDouble {
    return this.from
  }
}
