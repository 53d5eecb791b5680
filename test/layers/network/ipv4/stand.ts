/** Stands for tests of the network tier: hosts and routers on cables in virtual time, and packets made by hand. */
import { ethernet } from '../../../../layers/datalink/ethernet/ethernet.ts'
import { ip } from '../../../../layers/network/ip.ts'
import { type Ipv4Options, ipv4 } from '../../../../layers/network/ipv4/ipv4.ts'
import { type ErrorReport, NetworkAddressing, type NetworkService, Path } from '../../../../layers/network/service.ts'
import type { CableEnd } from '../../../../layers/physical/cable.ts'
import { IpAddress, parseAddress } from '../../../../src/kernel/address.ts'
import type { Blueprint, User } from '../../../../src/kernel/layer.ts'
import { Packet } from '../../../../src/kernel/packet.ts'
import { slab } from '../../../../src/kernel/slab.ts'
import { beside, stack } from '../../../../src/kernel/stack.ts'

/** What a transport double got: the payload copied, the addressing as text. */
export interface Got {
  readonly source: string
  readonly destination: string
  readonly ttl: number
  readonly octets: Uint8Array
}

/** A transport that keeps what it gets. */
export class Sink implements User<NetworkAddressing> {
  readonly got: Got[] = []
  readonly reports: { code: string; hard: boolean; reason: string; mtu: number; from: string; quote: Uint8Array }[] = []
  readies = 0
  readonly network: NetworkService
  private readonly protocol: number
  /** What the last `send` found. */
  readonly path: Path = new Path()

  constructor(network: NetworkService, protocol: number) {
    this.network = network
    this.protocol = protocol
    network.boundary.attach(this, protocol)
    network.onError(protocol, (report) => this.hear(report))
  }

  receive(packet: Packet, from: NetworkAddressing): void {
    this.got.push({
      source: from.source.toString(),
      destination: from.destination.toString(),
      ttl: from.ttl,
      octets: packet.bytes().slice(),
    })
    packet.release()
  }

  ready(): void {
    this.readies++
  }

  /** Sends `payload` to an address. @returns what `send` says, or why there is no path. */
  send(
    destination: string,
    payload: Uint8Array,
    options: { dontFragment?: boolean; ttl?: number; source?: string; link?: number } = {},
  ): boolean | string {
    const to = new NetworkAddressing()
    to.destination.set(parseAddress(destination))
    const source = options.source === undefined ? new IpAddress() : parseAddress(options.source)
    const none = this.network.path(to.destination, source, options.link ?? 0, this.path)
    if (none !== undefined) return none
    to.source.set(this.path.source)
    to.protocol = this.protocol
    to.dontFragment = options.dontFragment ?? false
    to.ttl = options.ttl ?? 64
    to.link = options.link ?? 0
    const packet = Packet.take(this.path.headroom, payload.length + this.path.tailroom)
    packet.append(payload)
    return this.network.send(packet, to)
  }

  private hear(report: ErrorReport): void {
    this.reports.push({
      code: report.code,
      reason: report.reason,
      mtu: report.mtu,
      from: report.from.toString(),
      hard: report.hard,
      quote: slab().octets.slice(report.quoteStart, report.quoteEnd),
    })
  }
}

/** Octets that differ from one place to the next, so that a displaced piece shows. */
export function pattern(length: number, seed = 1): Uint8Array {
  const octets = new Uint8Array(length)
  let state = seed
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) | 0
    octets[i] = state >>> 24
  }
  return octets
}

/** The Internet checksum the slow way (RFC 1071 §1): the judge of ours. */
export function referenceChecksum(octets: Uint8Array): number {
  let sum = 0
  for (let i = 0; i < octets.length; i++) {
    sum += i % 2 === 0 ? (octets[i] as number) * 256 : (octets[i] as number)
    if (sum > 0xffff) sum -= 0xffff
  }
  return 0xffff - sum
}

/** An Ethernet host over one end of a cable. */
export function host(end: CableEnd, options: Ipv4Options): Blueprint<NetworkService> {
  return stack(end, ethernet(), ip(ipv4(options)))
}

/** A router over ends of cables: `eth0`, `eth1`, … in their order. */
export function router(ends: readonly CableEnd[], options: Ipv4Options): Blueprint<NetworkService> {
  const links = Object.fromEntries(ends.map((end, i) => [`eth${i}`, stack(end, ethernet())]))
  return stack(beside(links), ip(ipv4({ forwarding: true, ...options })))
}

export { type Ipv4Options, ip, ipv4 }

/** How often packets were dropped for each reason, at the network boundary. */
export function drops(network: NetworkService): Record<string, number> {
  return Object.fromEntries([...network.boundary.drops].filter(([, count]) => count > 0))
}
