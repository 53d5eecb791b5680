/**
 * IPv4 (RFC 791, RFC 1122 §3, RFC 1812): one family of the network tier.
 *
 * Not here: source routing (refused), redirects (ignored; none are sent), routing protocols for groups, and forwarding of
 * directed broadcasts.
 */
import type { IpAddress } from '../../../src/kernel/address.ts'
import { Drive } from '../../../src/kernel/drive.ts'
import { scoped } from '../../../src/kernel/env.ts'
import { NetError } from '../../../src/kernel/errors.ts'
import type { Packet } from '../../../src/kernel/packet.ts'
import type { Cast } from '../../datalink/service.ts'
import { Merger } from '../../offload/merge.ts'
import type { Assigned, Family, FamilyBlueprint, FamilyContext, Port, Refusal } from '../family.ts'
import { FamilyRules } from '../family-rules.ts'
import { LocalDelivery } from '../local.ts'
import { KeptGroups } from '../membership/kept-groups.ts'
import type { SourceFilter } from '../membership/source-filter.ts'
import type { NeighbourOwner, NeighbourSnapshot } from '../neighbours.ts'
import { PathMtu } from '../path-mtu.ts'
import { Reassembly } from '../reassembly.ts'
import { ReversePath } from '../reverse-path.ts'
import { IPV4_BITS_BEFORE, Route } from '../routes.ts'
import type { GroupMember, NetworkAddressing, NoPath, Path } from '../service.ts'
import { Addresses, isLoopback, isMulticast, LIMITED_BROADCAST } from './addresses.ts'
import { arp } from './arp.ts'
import { Filter } from './filter.ts'
import * as header from './header.ts'
import { Hops } from './hops.ts'
import { Icmp } from './icmp.ts'
import { CODE, TYPE } from './icmp-message.ts'
import { Igmp } from './igmp.ts'
import { Input } from './input.ts'
import { checkHost, type Ipv4Options, routesOf, type Settings, settingsOf } from './options.ts'
import { Output } from './output.ts'
import { type Ipv4Assigned, Ipv4Port, type PortOwner } from './port.ts'
import { type Ipv4Boundary, REASONS } from './reasons.ts'
import { IPV4_FRAGMENTS } from './reassembly.ts'
import { Translation } from './translation.ts'

export type { Ipv4Options } from './options.ts'

/**
 * IPv4 for `ip`.
 * @throws TypeError ERR_INVALID_ARG_VALUE, RangeError ERR_OUT_OF_RANGE — an option makes no sense; at once.
 */
export function ipv4(options: Ipv4Options = {}): FamilyBlueprint {
  const settings = settingsOf(options)
  return { name: 'ipv4', reasons: REASONS, routes: routesOf(options), join: (context) => new Ipv4(context, settings) }
}

const REFUSALS = {
  protocolUnreachable: CODE.protocol,
  portUnreachable: CODE.port,
  hostUnreachable: CODE.host,
  prohibited: CODE.prohibited,
} as const

class Ipv4 implements Family, PortOwner {
  readonly headerOctets: number = header.HEADER_OCTETS
  readonly mtu: number = header.LONGEST_DATAGRAM_OCTETS - header.HEADER_OCTETS
  readonly rules: FamilyRules<Filter>
  readonly translation: Translation
  private readonly context: FamilyContext
  private readonly settings: Settings
  private readonly boundary: Ipv4Boundary
  private readonly ports: (Ipv4Port | undefined)[] = []
  private readonly kept = new KeptGroups()
  private readonly addressBook = new Addresses()
  private readonly pathMtu = new PathMtu(header.NARROWEST_PATH)
  private readonly pathMtuDrive: Drive
  private readonly hops: Hops
  private readonly icmp: Icmp
  private readonly local: LocalDelivery
  private readonly output: Output
  private readonly reassembly: Reassembly
  private readonly reassemblyDrive: Drive
  private readonly input: Input

  constructor(context: FamilyContext, settings: Settings) {
    const { env } = context
    this.context = context
    this.settings = settings
    this.boundary = context.boundary
    this.hops = new Hops(this.addressBook, context.routes, this.ports, this.pathMtu, env.random('ipv4'))
    this.pathMtuDrive = new Drive(this.pathMtu, env.timers, { pump: () => context.changed() })
    this.icmp = new Icmp(
      context,
      this.boundary,
      this.addressBook,
      this.hops,
      this.pathMtu,
      settings.ttl,
      settings.errors,
      () => this.pathLearnt(),
    )
    this.local = new LocalDelivery(env, {
      receiveLocal: (packet) => this.input.receiveLocal(packet),
      ready: () => this.boundary.ready(),
    })
    const { forwarding, reversePath } = settings
    const nameOf = (link: number) => this.ports[link]?.port.name ?? ''
    this.rules = new FamilyRules(
      forwarding,
      reversePath === false ? null : new ReversePath(context.routes, reversePath === 'strict'),
      this.ports,
      (policy) => new Filter(this.boundary, this.icmp, policy, nameOf),
    )
    this.translation = new Translation(env, this.boundary, this.icmp, this.addressBook, this.ports, {
      assemble: (packet) => this.input.assemble(packet),
    })
    this.output = new Output(
      this.boundary,
      this.addressBook,
      this.hops,
      this.local,
      this.icmp,
      settings.clampMss,
      this.rules,
    )
    this.icmp.connect(this.output)
    this.reassembly = new Reassembly(
      IPV4_FRAGMENTS,
      (packet, reason) => this.boundary.drop(packet, reason),
      settings.reassembly,
    )
    this.reassemblyDrive = new Drive(this.reassembly, env.timers, { pump: () => this.reportExpired() })
    this.input = new Input(
      this.boundary,
      env.clock,
      this.addressBook,
      this.hops,
      this.output,
      this.icmp,
      this.reassembly,
      this.reassemblyDrive,
      this.rules,
      this.translation,
    )
    this.rules.setPolicy(settings.policy)
    this.rules.setGroups(settings.groups)
    this.translation.set(settings.nat)
    env.defer(() => this.close())
  }

  attach(port: Port): void {
    if (port.link.mtu < header.SMALLEST_MTU) {
      const what = `the link '${port.name}' carries ${port.link.mtu} octets; IPv4 needs ${header.SMALLEST_MTU} at least`
      throw new NetError('EINVAL', what, { layer: 'ipv4', reason: 'mtuTooSmall', rfc: 'RFC 791 §3.2' })
    }
    const { address, addresses } = this.settings
    const joined = new Ipv4Port(port, this.settings.mtu, this.kept.take(port.index, port.name), this)
    this.ports[port.index] = joined
    this.bindRules()
    if (port.link.offload.merge === true) {
      const { timers, clock } = this.context.env
      joined.merger = new Merger(timers, clock, { merged: (packet) => this.input.handUp(packet, joined) })
    }
    if (port.link.broadcast !== null) {
      joined.neighbours = arp(
        port.link,
        scoped(this.context.env, port.name),
        this.neighbourOwner(joined),
        this.settings.arp,
      )
    }
    joined.igmp = new Igmp(joined, scoped(this.context.env, port.name))
    const own = [...(port.index === 1 ? address : []), ...(addresses.get(port.name) ?? [])]
    for (const prefix of own) this.addAddress(port, prefix.address, prefix.length)
  }

  detach(port: Port): void {
    const gone = this.ports[port.index]
    this.ports[port.index] = undefined
    gone?.close()
    this.bindRules()
    if (gone !== undefined) this.kept.give(port.index, port.name, gone.groups)
    this.addressBook.update(this.ports)
    this.hops.letGo()
  }

  addresses(port: Port): readonly Assigned[] {
    return this.ports[port.index]?.addresses ?? []
  }

  addAddress(port: Port, address: IpAddress, length: number): void {
    const joined = this.joined(port)
    checkHost('address', address.w3, length)
    const holder = this.ports.find((other) => other?.find(address) !== undefined)
    if (holder !== undefined) {
      const code = holder === joined ? 'EEXIST' : 'EADDRINUSE'
      throw new NetError(code, `the link '${holder.port.name}' has ${address} already`, { layer: 'ipv4' })
    }
    const assigned: Ipv4Assigned = { address: address.clone(), length, usable: true }
    joined.addresses.push(assigned)
    assigned.usable = joined.neighbours?.claim(assigned.address, length) ?? true
    // EEXIST does not matter: another address of the same network brought the route.
    if (length < 32) this.context.routes.add(this.connected(joined, assigned))
    this.addressesChanged()
  }

  removeAddress(port: Port, address: IpAddress): boolean {
    const joined = this.joined(port)
    const gone = joined.find(address)
    if (gone === undefined) return false
    joined.addresses.splice(joined.addresses.indexOf(gone), 1)
    joined.neighbours?.renounce(address)
    const route = this.connected(joined, gone)
    const kept = joined.addresses.some((other) => {
      const its = this.connected(joined, other)
      return its.length === route.length && its.prefix.equals(route.prefix)
    })
    const isIts = (other: Route) => other.origin === 'link' && other.link === port.index
    if (!kept) this.context.routes.removeAt(route.prefix, route.length, isIts)
    this.addressesChanged()
    return true
  }

  joinGroup(group: IpAddress, link: number, filter: SourceFilter): GroupMember | undefined {
    const port = link === 0 ? this.hops.find(group.w3).port : this.ports[link]
    return port == null ? undefined : { ...port.groups.enter(group, filter), link: port.port.index }
  }

  neighbours(port: Port): readonly NeighbourSnapshot[] {
    return this.ports[port.index]?.neighbours?.list() ?? []
  }

  forgetPaths(): void {
    this.hops.clear()
  }

  send(packet: Packet, to: NetworkAddressing): boolean {
    return this.output.send(packet, to)
  }

  path(destination: IpAddress, source: IpAddress, link: number, path: Path): NoPath | undefined {
    const hop = link === 0 ? this.hops.find(destination.w3) : this.hops.via(destination.w3, link)
    if (hop.kind === 'noRoute') return 'ENETUNREACH'
    if (hop.kind === 'prohibit') return 'EACCES'
    if (hop.kind === 'unreachable' || hop.kind === 'blackhole') return 'EHOSTUNREACH'
    const given = source.w3 !== 0
    if (given && !this.addressBook.isLocal(source.w3)) return 'EADDRNOTAVAIL'
    if (given && isLoopback(source.w3) && hop.kind !== 'local') return 'EADDRNOTAVAIL'
    const chosen = given ? source.w3 : this.hops.sourceFor(hop)
    if (chosen === 0 && hop.destination !== LIMITED_BROADCAST) return 'EADDRNOTAVAIL'
    path.source.setIpv4(chosen)
    path.deprecated = false
    const { port } = hop
    path.mtu = hop.mtu
    path.linkMtu = port === null ? hop.mtu : port.mtu
    path.segment = port === null ? header.LONGEST_DATAGRAM_OCTETS : port.link.offload.segment
    path.checksum = port === null ? true : port.link.offload.checksum
    path.headroom = header.HEADER_OCTETS + (port?.link.headroom ?? 0)
    path.tailroom = port?.link.tailroom ?? 0
    path.link = port?.port.index ?? 0
    for (const { port } of hop.ways ?? []) {
      if (port !== null) lessen(path, port)
    }
    return undefined
  }

  confirm(destination: IpAddress): void {
    const { neighbours, nextHop, ways } = this.hops.find(destination.w3)
    // Of several ways it is not known which one has done it.
    if (ways === null) neighbours?.confirm(nextHop)
  }

  doubt(destination: IpAddress): void {
    const hop = this.hops.find(destination.w3)
    for (const { neighbours, nextHop } of hop.ways ?? [hop]) neighbours?.doubt(nextHop)
  }

  isLocal(address: IpAddress): boolean {
    return this.addressBook.isLocal(address.w3)
  }

  isBroadcast(address: IpAddress): boolean {
    return address.w3 === LIMITED_BROADCAST || this.addressBook.broadcastOf(address.w3) !== undefined
  }

  isMulticast(address: IpAddress): boolean {
    return isMulticast(address.w3)
  }

  refuse(packet: Packet, _from: NetworkAddressing, why: Refusal): void {
    this.icmp.complain(packet, TYPE.unreachable, REFUSALS[why], 0)
    this.boundary.drop(packet, why)
  }

  undeliverable(packet: Packet): void {
    packet.networkStart = packet.start
    this.icmp.complain(packet, TYPE.unreachable, CODE.host, 0)
    this.boundary.drop(packet, 'hostUnreachable')
  }

  declareLocal(address: IpAddress, length: number): () => void {
    const undo = this.addressBook.declare(address.w3, length)
    this.context.changed()
    return () => {
      undo()
      this.context.changed()
    }
  }

  receive(packet: Packet, port: Ipv4Port, cast: Cast): void {
    this.input.receive(packet, port, cast)
  }

  ready(): void {
    this.boundary.ready()
  }

  linkChanged(port: Ipv4Port, up: boolean): void {
    this.context.linkChanged(port.port, up)
  }

  private joined(port: Port): Ipv4Port {
    return this.ports[port.index] as Ipv4Port
  }

  private connected(joined: Ipv4Port, { address, length }: Assigned): Route {
    return new Route(address, length + IPV4_BITS_BEFORE, null, joined.port.index, 0, 'link', 'forward')
  }

  private addressesChanged(): void {
    this.addressBook.update(this.ports)
    this.translation.addressesChanged()
    this.context.changed()
  }

  private bindRules(): void {
    this.rules.bind()
    this.translation.bind()
  }

  private neighbourOwner(joined: Ipv4Port): NeighbourOwner {
    return {
      undeliverable: (packet) => this.undeliverable(packet),
      claimed: (address) => {
        const assigned = joined.find(address)
        if (assigned === undefined) return
        assigned.usable = true
        this.addressesChanged()
      },
      conflict: (address, peer, lost) => {
        this.boundary.note(null, 'addressConflict', lost ? 'lost' : 'defended', 'RFC 5227 §2')
        if (lost) this.removeAddress(joined.port, address)
        this.context.conflict(joined.port, address, peer, lost, true)
      },
    }
  }

  private pathLearnt(): void {
    this.pathMtuDrive.arm()
    this.context.changed()
  }

  /** Fragments whose time is up: the sender is told if it can be shown of which datagram (RFC 792, code 1). */
  private reportExpired(): void {
    for (let packet = this.reassembly.output(); packet !== undefined; packet = this.reassembly.output()) {
      packet.networkStart = packet.start
      this.icmp.complain(packet, TYPE.timeExceeded, CODE.reassembly, 0)
      this.boundary.drop(packet, 'reassemblyTimeout')
    }
  }

  private close(): void {
    this.local.close()
    this.pathMtuDrive.stop()
    this.reassemblyDrive.stop()
    this.translation.close()
    this.reassembly.clear()
  }
}

/** Holds a path within what one of its ways offers. */
function lessen(path: Path, { mtu, link }: Ipv4Port): void {
  path.linkMtu = Math.min(path.linkMtu, mtu)
  path.segment = Math.min(path.segment, link.offload.segment)
  path.checksum &&= link.offload.checksum
  path.headroom = Math.max(path.headroom, header.HEADER_OCTETS + link.headroom)
  path.tailroom = Math.max(path.tailroom, link.tailroom)
}
