/** A link below as IPv4 sees it: our addresses on it, its neighbours, and what is scratch for sending on it. */
import { type IpAddress, maskIpv4 } from '../../../src/kernel/address.ts'
import { Backpressure } from '../../../src/kernel/backpressure.ts'
import type { LinkState, User } from '../../../src/kernel/layer.ts'
import type { Packet } from '../../../src/kernel/packet.ts'
import { type Cast, ETHERTYPE, LinkAddressing, type LinkService } from '../../datalink/service.ts'
import type { Merger } from '../../offload/merge.ts'
import type { Assigned, Port } from '../family.ts'
import type { Groups } from '../membership/groups.ts'
import type { Neighbours } from '../neighbours.ts'
import { ALL_HOSTS } from './addresses.ts'
import { SMALLEST_MTU } from './header.ts'
import type { Igmp } from './igmp.ts'
import type { Nat } from './nat.ts'

/** An address of ours. */
export interface Ipv4Assigned extends Assigned {
  /** False until it is known that nobody else uses it. */
  usable: boolean
}

/** What a port tells the layer. */
export interface PortOwner {
  receive(packet: Packet, port: Ipv4Port | null, cast: Cast): void
  ready(): void
  linkChanged(port: Ipv4Port, up: boolean): void
}

export class Ipv4Port implements User<LinkAddressing> {
  readonly port: Port
  readonly link: LinkService
  /** Null on a point-to-point link. */
  neighbours: Neighbours | null = null
  /** Where bursts of segments for us are merged; null on a link that does not deliver any. */
  merger: Merger | null = null
  /** Translates what leaves by this link, and its answers; null on most. */
  nat: Nat | null = null
  readonly addresses: Ipv4Assigned[] = []
  /** Whose packets we take on this link, besides our own and those for all. */
  readonly groups: Groups
  /** Tells routers of them. */
  igmp: Igmp | null = null
  /** Whom we hold because this link is full. */
  readonly backpressure: Backpressure = new Backpressure()
  /** Scratch for `link.send`. */
  readonly to: LinkAddressing = new LinkAddressing()
  /** Largest datagram on this link. */
  mtu: number
  private readonly cap: number
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
    this.to.protocol = ETHERTYPE.ipv4
    this.leave = port.link.boundary.attach(this, ETHERTYPE.ipv4)
  }

  receive(packet: Packet, from: LinkAddressing): void {
    this.owner.receive(packet, this, from.cast)
  }

  ready(): void {
    this.backpressure.release()
    this.owner.ready()
  }

  linkChanged(state: LinkState): void {
    // A link that takes less does not take us: what it cannot carry it drops, and says so.
    this.mtu = Math.max(SMALLEST_MTU, Math.min(this.cap, this.link.mtu))
    if (state === 'down') this.backpressure.release()
    this.owner.linkChanged(this, state === 'up')
    if (state === 'up') this.igmp?.renew()
  }

  /** The source for packets to `nextHop`: ours of the same network, else our first on this link, else 0. */
  sourceFor(nextHop: number): number {
    let first = 0
    for (const { address, length, usable } of this.addresses) {
      if (!usable) continue
      if (((address.w3 ^ nextHop) & maskIpv4(length)) === 0) return address.w3
      if (first === 0) first = address.w3
    }
    return first
  }

  /** Do we take what `source` sends to `group`? */
  takes(group: IpAddress, source: IpAddress): boolean {
    return group.w3 === ALL_HOSTS || this.groups.takes(group, source)
  }

  find(address: IpAddress): Ipv4Assigned | undefined {
    return this.addresses.find((other) => other.address.w3 === address.w3)
  }

  close(): void {
    this.backpressure.release()
    this.leave()
    this.neighbours?.close()
    this.merger?.close()
    this.igmp?.close()
  }
}
