/**
 * IPv6 (RFC 8200, RFC 4291, RFC 4443): one family of the network tier.
 *
 * Not here: options and routing headers that do anything, jumbograms, routing protocols for groups, and temporary addresses.
 */
import type { IpAddress } from '../../../src/kernel/address.ts'
import { Drive } from '../../../src/kernel/drive.ts'
import { scoped } from '../../../src/kernel/env.ts'
import { NetError } from '../../../src/kernel/errors.ts'
import type { HashKey } from '../../../src/kernel/keyed-hash.ts'
import type { Packet } from '../../../src/kernel/packet.ts'
import type { Cast } from '../../datalink/service.ts'
import { Merger } from '../../offload/merge.ts'
import type { Assigned, Family, FamilyBlueprint, FamilyContext, Names, Port, Refusal } from '../family.ts'
import { FamilyRules } from '../family-rules.ts'
import { LocalDelivery } from '../local.ts'
import { KeptGroups } from '../membership/kept-groups.ts'
import type { SourceFilter } from '../membership/source-filter.ts'
import type { NeighbourSnapshot } from '../neighbours.ts'
import { PathMtu } from '../path-mtu.ts'
import { Reassembly } from '../reassembly.ts'
import { ReversePath } from '../reverse-path.ts'
import { Route } from '../routes.ts'
import type { GroupMember, NetworkAddressing, NoPath, Path } from '../service.ts'
import { ALL_ROUTERS, isLinkLocal, isLoopback, isMulticast, isUnspecified } from './address-kinds.ts'
import { Addresses } from './addresses.ts'
import { Filter } from './filter.ts'
import * as header from './header.ts'
import { Hops } from './hops.ts'
import { Icmp } from './icmp.ts'
import { CODE, TYPE } from './icmp-message.ts'
import { Input } from './input.ts'
import { LinkOwner, type OwnerFamily } from './link-owner.ts'
import { Mld } from './mld.ts'
import { secretOf } from './nd/discovery-options.ts'
import { checkHost, type Ipv6Options, routesOf, type Settings, settingsOf } from './options.ts'
import { Output } from './output.ts'
import { type AddressOrigin, type Ipv6Assigned, Ipv6Port, type PortOwner } from './port.ts'
import { type Ipv6Boundary, REASONS } from './reasons.ts'
import { IPV6_FRAGMENTS } from './reassembly.ts'

/**
 * IPv6 for `ip`.
 * @throws TypeError ERR_INVALID_ARG_VALUE, RangeError ERR_OUT_OF_RANGE — an option makes no sense; at once.
 */
export function ipv6(options: Ipv6Options = {}): FamilyBlueprint {
  const settings = settingsOf(options)
  const routes = routesOf(options)
  return { name: 'ipv6', reasons: REASONS, routes, join: (context) => new Ipv6(context, settings) }
}

const REFUSALS = {
  portUnreachable: CODE.port,
  hostUnreachable: CODE.address,
  prohibited: CODE.prohibited,
} as const

class Ipv6 implements Family, PortOwner, OwnerFamily {
  readonly headerOctets: number = header.HEADER_OCTETS
  readonly mtu: number = header.LONGEST_PAYLOAD_OCTETS
  readonly context: FamilyContext
  readonly boundary: Ipv6Boundary
  readonly output: Output
  readonly settings: Settings
  readonly rules: FamilyRules<Filter>
  /** Of interface identifiers (RFC 7217 §5). */
  readonly secret: HashKey
  private readonly ports: (Ipv6Port | undefined)[] = []
  private readonly kept = new KeptGroups()
  private readonly owners = new Map<Ipv6Port, LinkOwner>()
  private readonly addressBook = new Addresses()
  private readonly pathMtu = new PathMtu(header.SMALLEST_MTU)
  private readonly pathMtuDrive: Drive
  private readonly hops: Hops
  private readonly icmp: Icmp
  private readonly local: LocalDelivery
  private readonly reassembly: Reassembly
  private readonly reassemblyDrive: Drive
  private readonly input: Input

  constructor(context: FamilyContext, settings: Settings) {
    const { env } = context
    const { forwarding, reversePath } = settings
    const random = env.random('ipv6')
    this.context = context
    this.settings = settings
    this.boundary = context.boundary
    this.secret = secretOf(settings.neighbours.secret, random)
    this.hops = new Hops(this.addressBook, context.routes, this.ports, this.pathMtu, random)
    this.pathMtuDrive = new Drive(this.pathMtu, env.timers, { pump: () => context.changed() })
    this.icmp = new Icmp(
      context,
      this.boundary,
      this.addressBook,
      this.hops,
      this.pathMtu,
      settings.hopLimit,
      settings.errors,
      () => this.pathLearnt(),
    )
    this.local = new LocalDelivery(env, {
      receiveLocal: (packet) => this.input.receiveLocal(packet),
      ready: () => this.boundary.ready(),
    })
    const seed = random.uint32() | 0
    const nameOf = (link: number) => this.ports[link]?.port.name ?? ''
    this.rules = new FamilyRules(
      forwarding,
      reversePath === false ? null : new ReversePath(context.routes, reversePath === 'strict'),
      this.ports,
      (policy) => new Filter(this.boundary, this.icmp, policy, nameOf),
    )
    this.output = new Output(
      this.boundary,
      this.addressBook,
      this.hops,
      this.local,
      this.icmp,
      settings.clampMss,
      this.rules,
      seed,
    )
    this.icmp.connect(this.output)
    this.reassembly = new Reassembly(
      IPV6_FRAGMENTS,
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
    )
    this.rules.setPolicy(settings.policy)
    this.rules.setGroups(settings.groups)
    env.defer(() => this.close())
  }

  attach(port: Port): void {
    if (port.link.mtu < header.SMALLEST_MTU) {
      const what = `the link '${port.name}' carries ${port.link.mtu} octets; IPv6 needs ${header.SMALLEST_MTU} at least`
      throw new NetError('EINVAL', what, { layer: 'ipv6', reason: 'mtuTooSmall', rfc: 'RFC 8200 §5' })
    }
    const { address, addresses, forwarding } = this.settings
    const joined = new Ipv6Port(port, this.settings.mtu, this.kept.take(port.index, port.name), this)
    this.ports[port.index] = joined
    this.bindRules()
    if (forwarding) joined.groups.join(ALL_ROUTERS)
    if (port.link.offload.merge === true) {
      const { timers, clock } = this.context.env
      joined.merger = new Merger(timers, clock, { merged: (packet) => this.input.merged(packet, joined) })
    }
    joined.mld = new Mld(joined, scoped(this.context.env, port.name))
    const owner = new LinkOwner(this, joined)
    this.owners.set(joined, owner)
    owner.start()
    const own = [...(port.index === 1 ? address : []), ...(addresses.get(port.name) ?? [])]
    for (const prefix of own) this.addAddress(port, prefix.address, prefix.length)
  }

  detach(port: Port): void {
    const gone = this.ports[port.index]
    this.ports[port.index] = undefined
    gone?.close()
    this.bindRules()
    if (gone !== undefined) {
      this.kept.give(port.index, port.name, gone.groups)
      this.owners.delete(gone)
    }
    this.addressBook.update(this.ports)
    this.hops.letGo()
  }

  addresses(port: Port): readonly Assigned[] {
    return this.ports[port.index]?.addresses ?? []
  }

  addAddress(port: Port, address: IpAddress, length: number): void {
    checkHost('address', address, length)
    this.assign(this.joined(port), address, length, 'configured')
  }

  removeAddress(port: Port, address: IpAddress): boolean {
    return this.unassign(this.joined(port), address)
  }

  /** Takes an address. @throws NetError EADDRINUSE, EEXIST as `addAddress`. */
  assign(joined: Ipv6Port, address: IpAddress, length: number, origin: AddressOrigin): void {
    const sameLink = joined.find(address) !== undefined
    const holder = this.holder(address)
    if (sameLink || holder !== undefined) {
      const { name } = (sameLink ? joined : (holder as Ipv6Port)).port
      const code = sameLink ? 'EEXIST' : 'EADDRINUSE'
      throw new NetError(code, `the link '${name}' has ${address} already`, { layer: 'ipv6' })
    }
    const link = joined.port.index
    const assigned: Ipv6Assigned = { address: address.clone(), length, link, origin, usable: false, deprecated: false }
    joined.addresses.push(assigned)
    assigned.usable = joined.discovery?.claim(assigned.address, length) ?? true
    if (hasRoute(assigned)) this.context.routes.add(connected(assigned))
    this.addressesChanged()
  }

  /** Link-local addresses are different ones on each link. */
  holder(address: IpAddress): Ipv6Port | undefined {
    return isLinkLocal(address) ? undefined : this.ports.find((other) => other?.find(address) !== undefined)
  }

  /** @returns whether it was there. */
  unassign(joined: Ipv6Port, address: IpAddress): boolean {
    const gone = joined.find(address)
    if (gone === undefined) return false
    joined.addresses.splice(joined.addresses.indexOf(gone), 1)
    joined.discovery?.renounce(gone.address)
    if (hasRoute(gone)) {
      const route = connected(gone)
      const kept = joined.addresses.some((other) => hasRoute(other) && isSameNetwork(connected(other), route))
      const isIts = (other: Route) => other.origin === 'link' && other.link === gone.link
      if (!kept) this.context.routes.removeAt(route.prefix, route.length, isIts)
    }
    this.addressesChanged()
    return true
  }

  joinGroup(group: IpAddress, link: number, filter: SourceFilter): GroupMember | undefined {
    const port = link === 0 ? this.hops.find(group, 0).port : this.ports[link]
    return port == null ? undefined : { ...port.groups.enter(group, filter), link: port.port.index }
  }

  neighbours(port: Port): readonly NeighbourSnapshot[] {
    return this.ports[port.index]?.discovery?.list() ?? []
  }

  names(port: Port): Names {
    return this.joined(port).names
  }

  forgetPaths(): void {
    this.hops.clear()
  }

  send(packet: Packet, to: NetworkAddressing): boolean {
    return this.output.send(packet, to)
  }

  path(destination: IpAddress, source: IpAddress, link: number, path: Path): NoPath | undefined {
    const hop = this.hops.find(destination, link)
    if (hop.kind === 'noRoute') return 'ENETUNREACH'
    if (hop.kind === 'prohibit') return 'EACCES'
    if (hop.kind === 'unreachable' || hop.kind === 'blackhole') return 'EHOSTUNREACH'
    const given = !source.isUnspecified
    if (given && !this.addressBook.isLocal(source)) return 'EADDRNOTAVAIL'
    if (given && isLoopback(source) && hop.kind !== 'local') return 'EADDRNOTAVAIL'
    const chosen = given ? source : this.hops.sourceFor(hop)
    if (isUnspecified(chosen)) return 'EADDRNOTAVAIL'
    path.source.set(chosen)
    const { port } = hop
    path.link = port?.port.index ?? 0
    path.deprecated = this.addressBook.find(chosen, isLinkLocal(chosen) ? path.link : 0)?.deprecated === true
    path.mtu = this.hops.mtuOf(hop)
    path.linkMtu = port === null ? path.mtu : port.mtu
    path.segment = port === null ? header.LONGEST_PAYLOAD_OCTETS : port.link.offload.segment
    path.checksum = port === null ? true : port.link.offload.checksum
    path.headroom = header.HEADER_OCTETS + (port?.link.headroom ?? 0)
    path.tailroom = port?.link.tailroom ?? 0
    return undefined
  }

  confirm(destination: IpAddress, link = 0): void {
    const { kind, port, nextHop } = this.hops.find(destination, link)
    if (kind === 'forward') port?.discovery?.confirm(nextHop)
  }

  doubt(destination: IpAddress, link = 0): void {
    const { kind, port, nextHop } = this.hops.find(destination, link)
    if (kind === 'forward') port?.discovery?.doubt(nextHop)
  }

  isLocal(address: IpAddress): boolean {
    return this.addressBook.isLocal(address)
  }

  /** There is none: groups do what broadcasts did. */
  isBroadcast(): boolean {
    return false
  }

  isMulticast(address: IpAddress): boolean {
    return isMulticast(address)
  }

  refuse(packet: Packet, from: NetworkAddressing, why: Refusal): void {
    if (why === 'protocolUnreachable') this.icmp.noProtocol(packet, from.link)
    else this.icmp.complain(packet, TYPE.unreachable, REFUSALS[why], 0, from.link)
    this.boundary.drop(packet, why)
  }

  declareLocal(address: IpAddress, length: number): () => void {
    const undo = this.addressBook.declare(address, length)
    this.context.changed()
    return () => {
      undo()
      this.context.changed()
    }
  }

  receive(packet: Packet, port: Ipv6Port | null, cast: Cast): void {
    this.input.receive(packet, port, cast)
  }

  ready(): void {
    this.boundary.ready()
  }

  linkChanged(port: Ipv6Port, up: boolean): void {
    this.context.linkChanged(port.port, up)
  }

  addressesChanged(): void {
    this.addressBook.update(this.ports)
    for (const port of this.ports) port?.mld?.addressed()
    this.context.changed()
  }

  undeliverable(packet: Packet, link: number): void {
    packet.networkStart = packet.start
    // What comes from the link and is for it is the only packet whose source means nothing elsewhere.
    this.icmp.complain(packet, TYPE.unreachable, CODE.address, 0, link)
    this.boundary.drop(packet, 'hostUnreachable')
  }

  private joined(port: Port): Ipv6Port {
    return this.ports[port.index] as Ipv6Port
  }

  private bindRules(): void {
    this.rules.bind()
  }

  private pathLearnt(): void {
    this.pathMtuDrive.arm()
    this.context.changed()
  }

  /** Fragments whose time is up: the sender is told if it can be shown of which packet (RFC 8200 §4.5). */
  private reportExpired(): void {
    for (let packet = this.reassembly.output(); packet !== undefined; packet = this.reassembly.output()) {
      const first = header.fragmentOffset(packet.view, packet.start) === 0
      if (first) this.icmp.complain(packet, TYPE.timeExceeded, CODE.reassembly, 0, this.reassembly.zone)
      this.boundary.drop(packet, 'reassemblyTimeout')
    }
  }

  private close(): void {
    this.local.close()
    this.pathMtuDrive.stop()
    this.reassemblyDrive.stop()
    this.reassembly.clear()
  }
}

/** Addresses that routers told of bring no network (RFC 5942 §4); fe80::/10 is on every link, without a route. */
const hasRoute = ({ address, length, origin }: Ipv6Assigned): boolean =>
  origin === 'configured' && length < 128 && !isLinkLocal(address)

const connected = ({ address, length, link }: Ipv6Assigned): Route =>
  new Route(address, length, null, link, 0, 'link', 'forward')

const isSameNetwork = (a: Route, b: Route): boolean => a.length === b.length && a.prefix.equals(b.prefix)
