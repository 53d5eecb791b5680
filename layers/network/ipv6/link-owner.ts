/**
 * What IPv6 is to the discovery of one link (see `DiscoveryOwner`): sends its messages, joins its groups, and takes the
 * addresses, routes and numbers that it learns. Makes the link-local address, too, without which nothing can be discovered.
 */
import { IpAddress } from '../../../src/kernel/address.ts'
import { scoped } from '../../../src/kernel/env.ts'
import type { HashKey } from '../../../src/kernel/keyed-hash.ts'
import type { Packet } from '../../../src/kernel/packet.ts'
import type { LinkAddress } from '../../datalink/service.ts'
import type { FamilyContext } from '../family.ts'
import { Route } from '../routes.ts'
import type { DiscoveryOwner, DiscoveryReason, RouterPreference } from './discovery.ts'
import { IDENTIFIER_RETRIES, stableAddress } from './nd/identifier.ts'
import { neighbourDiscovery } from './nd/neighbour-discovery.ts'
import type { Settings } from './options.ts'
import type { Output } from './output.ts'
import type { AddressOrigin, Ipv6Port } from './port.ts'
import type { Ipv6Boundary } from './reasons.ts'

const LINK_LOCAL: IpAddress = new IpAddress(0xfe80_0000, 0, 0, 0)
const LINK_LOCAL_LENGTH = 64
/** Routes of routers give way to those that are configured; among themselves their preference decides (RFC 4191 §3.1). */
const METRIC: Readonly<Record<RouterPreference, number>> = { high: 512, medium: 1024, low: 2048 }

/** The family, as far as a link's owner needs it. */
export interface OwnerFamily {
  readonly context: FamilyContext
  readonly boundary: Ipv6Boundary
  readonly output: Output
  readonly settings: Settings
  readonly secret: HashKey
  assign(port: Ipv6Port, address: IpAddress, length: number, origin: AddressOrigin): void
  unassign(port: Ipv6Port, address: IpAddress): boolean
  /** The link that has an address, wherever that means the same; undefined: none. */
  holder(address: IpAddress): Ipv6Port | undefined
  addressesChanged(): void
}

export class LinkOwner implements DiscoveryOwner {
  private readonly family: OwnerFamily
  private readonly port: Ipv6Port
  /** Link-local addresses that proved to be taken. */
  private duplicates = 0

  constructor(family: OwnerFamily, port: Ipv6Port) {
    this.family = family
    this.port = port
  }

  /** Gives the link what discovers its neighbours, and its address fe80::…. */
  start(): void {
    const { port } = this.port
    const { context, settings } = this.family
    const { forwarding } = settings
    const advertise = settings.advertise(port.name)
    const neighbours = { ...settings.neighbours, accept: settings.heeds(port.name, advertise !== undefined) }
    const env = scoped(context.env, port.name)
    this.port.discovery = neighbourDiscovery(this.port.link, env, this, neighbours, forwarding, advertise)
    port.ipv6Neighbours = this.port.discovery
    this.takeLinkLocal()
  }

  transmit(packet: Packet, source: IpAddress, destination: IpAddress, peer: LinkAddress): void {
    this.family.output.discover(this.port, packet, source, destination, peer)
  }

  discard(packet: Packet, reason: DiscoveryReason): void {
    this.family.boundary.drop(packet, reason)
  }

  undeliverable(packet: Packet): void {
    this.family.context.undeliverable(packet, this.port.port.index)
  }

  join(group: IpAddress): void {
    this.port.groups.join(group)
  }

  leave(group: IpAddress): void {
    this.port.groups.leave(group)
  }

  claimed(address: IpAddress): void {
    const assigned = this.port.find(address)
    if (assigned === undefined) return
    assigned.usable = true
    this.family.addressesChanged()
  }

  conflict(address: IpAddress, peer: LinkAddress, lost: boolean): void {
    this.family.boundary.note(null, 'addressConflict', lost ? 'lost' : 'defended', 'RFC 4862 §5.4')
    const origin = this.port.find(address)?.origin
    if (lost) this.family.unassign(this.port, address)
    if (lost && origin === 'link-local' && ++this.duplicates <= IDENTIFIER_RETRIES) this.takeLinkLocal()
    // Of those that it makes by itself it makes another.
    this.family.context.conflict(this.port.port, address, peer, lost, origin === 'configured')
  }

  autoconfigured(address: IpAddress, length: number): void {
    if (this.port.find(address) !== undefined) return
    if (this.family.holder(address) === undefined) this.family.assign(this.port, address, length, 'autoconfigured')
    else this.family.boundary.note(null, 'addressConflict', 'another link of ours has it', 'RFC 4862 §5.4')
  }

  deprecated(address: IpAddress, deprecated: boolean): void {
    const assigned = this.port.find(address)
    if (assigned === undefined || assigned.deprecated === deprecated) return
    assigned.deprecated = deprecated
    this.family.addressesChanged()
  }

  expired(address: IpAddress): void {
    if (this.port.find(address)?.origin === 'autoconfigured') this.family.unassign(this.port, address)
  }

  learnRoute(prefix: IpAddress, length: number, via: IpAddress | null, preference: RouterPreference): void {
    this.dropRoute(prefix, length, via)
    const metric = METRIC[preference]
    const { context } = this.family
    context.routes.add(new Route(prefix, length, via, this.port.port.index, metric, 'ra', 'forward'))
    context.changed()
  }

  forgetRoute(prefix: IpAddress, length: number, via: IpAddress | null): void {
    if (this.dropRoute(prefix, length, via)) this.family.context.changed()
  }

  isFirstHop(destination: IpAddress, router: IpAddress): boolean {
    const { index } = this.port.port
    const route = this.family.context.routes.lookup(destination)
    return route?.equals.some(({ link, via }) => link === index && via?.equals(router) === true) ?? false
  }

  learnMtu(mtu: number): void {
    this.port.learnMtu(mtu)
    this.family.context.changed()
  }

  learnHopLimit(hopLimit: number): void {
    this.port.hopLimit = hopLimit
  }

  /** Names are resolved elsewhere: whoever does may ask for these. */
  learnNames(servers: readonly IpAddress[], domains: readonly string[]): void {
    this.port.names = { servers, domains }
    this.family.context.changed()
  }

  private dropRoute(prefix: IpAddress, length: number, via: IpAddress | null): boolean {
    const { index } = this.port.port
    const isIt = (route: Route): boolean =>
      route.origin === 'ra' &&
      route.link === index &&
      (via === null ? route.via === null : route.via?.equals(via) === true)
    return this.family.context.routes.removeAt(prefix, length, isIt) > 0
  }

  private takeLinkLocal(): void {
    const { settings, secret } = this.family
    const { link } = this.port
    // What both ends have agreed on is the only one that the other knows (RFC 5072 §5).
    if (link.negotiated !== undefined) return
    const eui64 = settings.interfaceIdentifier === 'eui64' && link.broadcast !== null && this.duplicates === 0
    const address = eui64
      ? eui64Address(LINK_LOCAL, link.address)
      : stableAddress(secret, LINK_LOCAL, link.address, this.duplicates)
    this.family.assign(this.port, address, LINK_LOCAL_LENGTH, 'link-local')
  }
}

/** With ff:fe in the middle of the link's address, and its bit 'local' turned round (RFC 4291, appendix A). */
function eui64Address({ w0, w1 }: IpAddress, link: LinkAddress): IpAddress {
  const high = Math.floor(link / 0x100_0000) ^ 0x02_0000
  return new IpAddress(w0, w1, (high << 8) | 0xff | 0, 0xfe00_0000 | (link % 0x100_0000))
}
