/** A link below as IPv6 sees it: our addresses on it, its groups, its neighbours, and what is scratch for sending on it. */
import type { IpAddress } from '../../../src/kernel/address.ts'
import { Backpressure } from '../../../src/kernel/backpressure.ts'
import type { LinkState, User } from '../../../src/kernel/layer.ts'
import type { Packet } from '../../../src/kernel/packet.ts'
import { type Cast, ETHERTYPE, LinkAddressing, type LinkService } from '../../datalink/service.ts'
import type { Merger } from '../../offload/merge.ts'
import type { Assigned, Names, Port } from '../family.ts'
import type { Groups } from '../membership/groups.ts'
import { ALL_NODES, isLinkLocal } from './address-kinds.ts'
import type { Discovery } from './discovery.ts'
import { SMALLEST_MTU } from './header.ts'
import type { Mld } from './mld.ts'

/** Who an address comes from: 'configured' by whoever runs the node, our own 'link-local' one, or 'autoconfigured'. */
export type AddressOrigin = 'configured' | 'link-local' | 'autoconfigured'

/** An address of ours. */
export interface Ipv6Assigned extends Assigned {
  /** Index of the link it is on. */
  readonly link: number
  readonly origin: AddressOrigin
  /** False until it is known that nobody else uses it. */
  usable: boolean
  /** To be avoided for new flows (RFC 4862 §5.5.4). */
  deprecated: boolean
}

/** What a port tells the layer. */
export interface PortOwner {
  receive(packet: Packet, port: Ipv6Port | null, cast: Cast): void
  ready(): void
  linkChanged(port: Ipv6Port, up: boolean): void
}

export class Ipv6Port implements User<LinkAddressing> {
  readonly port: Port
  readonly link: LinkService
  /** Null on a point-to-point link. */
  discovery: Discovery | null = null
  /** Where bursts of segments for us are merged; null on a link that does not deliver any. */
  merger: Merger | null = null
  readonly addresses: Ipv6Assigned[] = []
  /** Whose packets we take on this link, besides our own and those for all. */
  readonly groups: Groups
  /** Tells routers of them. */
  mld: Mld | null = null
  /** Whom we hold because this link is full. */
  readonly backpressure: Backpressure = new Backpressure()
  /** Scratch for `link.send`. */
  readonly to: LinkAddressing = new LinkAddressing()
  /** Largest packet on this link. */
  mtu: number
  /** Of our own messages, as a router told us; 0 when none did. */
  hopLimit = 0
  /** Name servers and search domains of the link's routers (RFC 8106). */
  names: Names = { servers: [], domains: [] }
  private readonly cap: number
  /** What a router told us of the MTU. */
  private told: number = Number.POSITIVE_INFINITY
  private readonly owner: PortOwner
  private readonly leave: () => void

  /** @param cap the MTU is not to be larger than this. @param groups of the link. */
  constructor(port: Port, cap: number, groups: Groups, owner: PortOwner) {
    this.port = port
    this.link = port.link
    this.cap = cap
    this.groups = groups
    this.mtu = Math.min(cap, port.link.mtu)
    this.owner = owner
    this.to.protocol = ETHERTYPE.ipv6
    this.leave = port.link.boundary.attach(this, ETHERTYPE.ipv6)
  }

  receive(packet: Packet, from: LinkAddressing): void {
    this.owner.receive(packet, this, from.cast)
  }

  ready(): void {
    this.backpressure.release()
    this.owner.ready()
  }

  linkChanged(state: LinkState): void {
    this.limit()
    if (state === 'down') this.backpressure.release()
    this.owner.linkChanged(this, state === 'up')
    this.discovery?.linkChanged(state)
    if (state === 'up') this.mld?.renew()
  }

  /** A router says what the stations of this link take. */
  learnMtu(mtu: number): void {
    this.told = mtu
    this.limit()
  }

  /** Do we take what `source` sends to `group`? */
  takes(group: IpAddress, source: IpAddress): boolean {
    return group.equals(ALL_NODES) || this.groups.takes(group, source)
  }

  find(address: IpAddress): Ipv6Assigned | undefined {
    return this.addresses.find((other) => other.address.equals(address))
  }

  /** Our address fe80::… on this link, once it may be used. */
  linkLocal(): IpAddress | undefined {
    return this.addresses.find(({ address, usable }) => usable && isLinkLocal(address))?.address
  }

  close(): void {
    this.backpressure.release()
    this.discovery?.close()
    this.leave()
    this.merger?.close()
    this.mld?.close()
  }

  /** A link that takes less than the least does not take us: what it cannot carry it drops, and says so (RFC 8200 §5). */
  private limit(): void {
    this.mtu = Math.max(SMALLEST_MTU, Math.min(this.cap, this.link.mtu, this.told))
  }
}
