/**
 * The network tier: joins address families over one link or several, under one service for the transport tier.
 *
 *        tcp   udp   icmp echo
 *          ▲     ▲     ▲
 *   ───────┴─────┴─────┴───────── boundary, by protocol
 *      ip:  routes · links · listeners
 *      ipv4 (header, ARP, ICMP)   ipv6 …
 *   ───────┬──────────┬────────── one boundary a link, by EtherType
 *         eth0       ser0
 *
 * A host is a router with one link. Links, addresses and routes come and go at run time. What belongs to a family is
 * behind `Family`; here is what both share.
 */
import type { ConflictListener, NetworkControl } from '../../src/api/routes.ts'
import type { IpAddress } from '../../src/kernel/address.ts'
import type { Boundary, Reasons } from '../../src/kernel/boundary.ts'
import type { Env } from '../../src/kernel/env.ts'
import { invalidValue, NetError } from '../../src/kernel/errors.ts'
import type { Layer } from '../../src/kernel/layer.ts'
import type { Packet } from '../../src/kernel/packet.ts'
import type { LinkAddress, LinkService } from '../datalink/service.ts'
import { AddressConflicts } from './address-conflicts.ts'
import { Control } from './control.ts'
import {
  type Family,
  type FamilyBlueprint,
  type FamilyContext,
  type Port,
  type Refusal,
  UNNAMED_LINK,
} from './family.ts'
import { LinkIndices } from './link-indices.ts'
import type { SourceFilter } from './membership/source-filter.ts'
import { IPV4_BITS_BEFORE, Route, RouteTable } from './routes.ts'
import type { ErrorReport, GroupMember, NetworkAddressing, NetworkService, NoPath, Path } from './service.ts'

const IPV4_VERSION = 4
/** Bits of a whole address: that of one station. */
const HOST_BITS = 128

/** One link, which is called `eth0`, or several by name (see `beside`). */
export type Links = LinkService | Readonly<Record<string, LinkService>>

/**
 * The network tier.
 * @param families each at most once: `ip(ipv4({ address: '10.0.0.1/24' }))`.
 * @throws TypeError ERR_INVALID_ARG_VALUE — no family, or one twice; or what the options of a family are wrong for.
 */
export function ip(...families: FamilyBlueprint[]): Layer<Links, NetworkService> {
  if (families.length === 0 || new Set(families.map(({ name }) => name)).size < families.length) {
    throw invalidValue('families', 'different families, at least one', families.map(({ name }) => name).join(', '))
  }
  return (below, env) => new Network(below, env, families)
}

function isLink(below: Links): below is LinkService {
  return below.tier === 'datalink'
}

/** Of all families; where two have the same reason, the standards of both are behind it. */
function reasonsOf(families: readonly FamilyBlueprint[]): Reasons {
  const all: Record<string, string> = { noFamily: '' }
  for (const [reason, standard] of families.flatMap((family) => Object.entries(family.reasons))) {
    const known = all[reason] ?? ''
    all[reason] = known === '' || known === standard ? standard : `${known}, ${standard}`
  }
  return all
}

type Listener = (report: ErrorReport) => void

class Network implements NetworkService, FamilyContext {
  readonly tier = 'network'
  readonly env: Env
  readonly boundary: Boundary<NetworkAddressing>
  readonly routes: RouteTable = new RouteTable()
  readonly ports: (Port | undefined)[] = [undefined]
  readonly control: NetworkControl
  generation = 1
  mtu: number
  headroom = 0
  tailroom = 0
  private readonly v4: Family | undefined
  private readonly v6: Family | undefined
  private readonly families: readonly Family[]
  private readonly indices = new LinkIndices()
  private attachments = 0
  private readonly listeners = new Map<number, Listener[]>()
  private watchers: (() => void)[] = []
  private conflictWatchers: ConflictListener[] = []
  /** How to stop following what the links negotiate. */
  private readonly following = new Map<Port, () => void>()

  constructor(below: Links, env: Env, blueprints: readonly FamilyBlueprint[]) {
    this.env = env
    this.routes.seed = env.random('routes').uint32()
    const names = blueprints.map(({ name }) => name)
    this.boundary = env.boundary(names.join('+'), 'transport', reasonsOf(blueprints))
    this.families = blueprints.map((blueprint) => blueprint.join(this))
    this.v4 = this.families[names.indexOf('ipv4')]
    this.v6 = this.families[names.indexOf('ipv6')]
    this.mtu = Math.min(...this.families.map((family) => family.mtu))
    this.control = new Control(this.ports, this.routes, (address) => this.familyOf(address), this)
    env.defer(() => this.close())
    for (const [name, link] of Object.entries(isLink(below) ? { [UNNAMED_LINK]: below } : below))
      this.attach(name, link)
    for (const route of blueprints.flatMap((blueprint) => blueprint.routes)) this.control.routes.add(route)
  }

  send(packet: Packet, to: NetworkAddressing): boolean {
    this.boundary.down(packet, to)
    const family = this.familyOf(to.destination)
    if (family !== undefined) return family.send(packet, to)
    this.boundary.drop(packet, 'noFamily')
    return true
  }

  path(destination: IpAddress, source: IpAddress, link: number, path: Path): NoPath | undefined {
    const family = this.familyOf(destination)
    return family === undefined ? 'ENETUNREACH' : family.path(destination, source, link, path)
  }

  confirm(destination: IpAddress, link?: number): void {
    this.familyOf(destination)?.confirm(destination, link)
  }

  doubt(destination: IpAddress, link?: number): void {
    this.familyOf(destination)?.doubt(destination, link)
  }

  isLocal(address: IpAddress): boolean {
    return this.familyOf(address)?.isLocal(address) ?? false
  }

  isBroadcast(address: IpAddress): boolean {
    return this.familyOf(address)?.isBroadcast(address) ?? false
  }

  isMulticast(address: IpAddress): boolean {
    return this.familyOf(address)?.isMulticast(address) ?? false
  }

  linkIndex(name: string): number {
    return this.ports.find((port) => port?.name === name)?.index ?? 0
  }

  linkName(index: number): string {
    return this.ports[index]?.name ?? this.indices.nameOf(index)
  }

  onError(protocol: number, listener: Listener): () => void {
    this.listeners.set(protocol, [...(this.listeners.get(protocol) ?? []), listener])
    return () => {
      const left = (this.listeners.get(protocol) ?? []).filter((other) => other !== listener)
      this.listeners.set(protocol, left)
    }
  }

  onChange(listener: () => void): () => void {
    this.watchers = [...this.watchers, listener]
    return () => {
      this.watchers = this.watchers.filter((other) => other !== listener)
    }
  }

  onConflict(listener: ConflictListener): () => void {
    this.conflictWatchers = [...this.conflictWatchers, listener]
    return () => {
      this.conflictWatchers = this.conflictWatchers.filter((other) => other !== listener)
    }
  }

  conflict({ name, conflicts }: Port, address: IpAddress, peer: LinkAddress, lost: boolean, lasting: boolean): void {
    if (!conflicts.add(address, peer, lost, lasting)) return
    const news = conflicts.list().at(-1)
    if (news !== undefined) for (const tell of this.conflictWatchers) tell(name, news)
  }

  refuse(packet: Packet, from: NetworkAddressing, why: Refusal): void {
    const family = this.familyOf(from.destination)
    if (family === undefined) this.boundary.drop(packet, 'noFamily')
    else family.refuse(packet, from, why)
  }

  undeliverable(packet: Packet, link: number): void {
    const family = packet.view.getUint8(packet.start) >>> 4 === IPV4_VERSION ? this.v4 : this.v6
    if (family === undefined) this.boundary.drop(packet, 'noFamily')
    else family.undeliverable(packet, link)
  }

  joinGroup(group: IpAddress, link: number, filter: SourceFilter): GroupMember | undefined {
    return this.familyOf(group)?.joinGroup(group, link, filter)
  }

  declareLocal(address: IpAddress, length: number): () => void {
    const family = this.familyOf(address)
    if (family === undefined) throw invalidValue('address', 'of a family of this node', address.toString())
    return family.declareLocal(address, length)
  }

  attach(name: string, link: LinkService): void {
    if (name === '' || this.linkIndex(name) !== 0) {
      throw new NetError('EEXIST', `there is a link called '${name}' already`, { layer: 'ip' })
    }
    const index = this.indices.take(name)
    const conflicts = new AddressConflicts(this.env.clock)
    const attachment = this.attachments++
    const port: Port = { index, name, attachment, link, up: true, ipv6Neighbours: null, conflicts }
    this.ports[port.index] = port
    try {
      for (const family of this.families) family.attach(port)
      this.follow(port)
    } catch (error) {
      this.detach(name)
      throw error
    }
    this.changed()
  }

  detach(name: string): boolean {
    const port = this.ports.find((other) => other?.name === name)
    if (port === undefined) return false
    this.following.get(port)?.()
    this.following.delete(port)
    for (const family of this.families) family.detach(port)
    this.routes.removeLink(port.index)
    this.routes.setLink(port.index, true)
    this.ports[port.index] = undefined
    this.indices.give(name, port.index)
    this.changed()
    // Whoever waited for it waits in vain.
    this.boundary.ready()
    return true
  }

  changed(): void {
    this.generation++
    let headroom = 0
    let tailroom = 0
    for (const port of this.ports) {
      if (port === undefined) continue
      headroom = Math.max(headroom, port.link.headroom)
      tailroom = Math.max(tailroom, port.link.tailroom)
    }
    this.headroom = headroom + Math.max(...this.families.map((family) => family.headerOctets))
    this.tailroom = tailroom
    for (const family of this.families) family.forgetPaths()
    for (const watcher of this.watchers) watcher()
  }

  linkChanged(port: Port, up: boolean): void {
    port.up = up
    this.routes.setLink(port.index, up)
    this.changed()
  }

  report(protocol: number, report: ErrorReport): boolean {
    const listeners = this.listeners.get(protocol)
    if (listeners === undefined || listeners.length === 0) return false
    let foreign = true
    for (const listener of listeners) {
      report.foreign = false
      listener(report)
      if (!report.foreign) foreign = false
    }
    report.foreign = foreign
    return true
  }

  /**
   * The addresses a link has negotiated become ours, with a route to the peer, until others are: a link that is only down
   * for a while keeps them, and connections survive it.
   */
  private follow(port: Port): void {
    const known = new Map<Family, { local: IpAddress; route: Route | undefined }>()
    const stop = port.link.negotiated?.follow((local, peer) => {
      const family = this.familyOf(local)
      if (family === undefined) return
      const before = known.get(family)
      if (before !== undefined) {
        if (!before.local.equals(local)) family.removeAddress(port, before.local)
        if (before.route !== undefined) this.routes.remove(before.route)
      }
      const route = peer === null ? undefined : new Route(peer, HOST_BITS, null, port.index, 0, 'link', 'forward')
      if (route !== undefined) this.routes.add(route)
      known.set(family, { local, route })
      if (!this.isLocal(local))
        family.addAddress(port, local, family === this.v4 ? HOST_BITS - IPV4_BITS_BEFORE : HOST_BITS)
      this.changed()
    })
    if (stop !== undefined) this.following.set(port, stop)
  }

  private familyOf(address: IpAddress): Family | undefined {
    return address.isIpv4 ? this.v4 : this.v6
  }

  private close(): void {
    for (const port of this.ports) if (port !== undefined) this.detach(port.name)
  }
}
