/** Makes the messages of discovery and hands them to the owner of the link (RFC 4861 §6.2, §7.2). */
import type { IpAddress } from '../../../../src/kernel/address.ts'
import type { Env } from '../../../../src/kernel/env.ts'
import type { Packet } from '../../../../src/kernel/packet.ts'
import type { LinkAddress, LinkService } from '../../../datalink/service.ts'
import { UNRESOLVED } from '../../neighbours.ts'
import { ALL_NODES, ALL_ROUTERS, solicitedNode, UNSPECIFIED } from '../address-kinds.ts'
import { DISCOVERY_TYPE, type DiscoveryOwner } from '../discovery.ts'
import { HEADER_OCTETS } from '../header.ts'
import type { AddressClaim } from './address-claim.ts'
import type { AdvertiseSettings, PrefixSettings } from './advertise-options.ts'
import * as message from './message.ts'
import * as option from './options.ts'
import { MOST_ADVERTISEMENT_OCTETS, writeRouterAdvertisement } from './router-advertisement.ts'

export class Sender {
  private readonly link: LinkService
  private readonly env: Env
  private readonly owner: DiscoveryOwner
  private readonly router: boolean
  private readonly group: IpAddress = UNSPECIFIED.clone()

  /** @param router say so in advertisements. */
  constructor(link: LinkService, env: Env, owner: DiscoveryOwner, router: boolean) {
    this.link = link
    this.env = env
    this.owner = owner
    this.router = router
  }

  /** Asks for a neighbour. @param peer where it was last, or UNRESOLVED: all who may have the address. */
  solicit(target: IpAddress, source: IpAddress, peer: LinkAddress): void {
    const packet = this.packet(message.fixedOctets(DISCOVERY_TYPE.neighbourSolicitation) + option.UNIT_OCTETS)
    message.putSolicitation(packet, target)
    this.putSource(packet)
    const destination = peer === UNRESOLVED ? solicitedNode(target, this.group) : target
    this.owner.transmit(packet, source, destination, peer)
  }

  /** Asks whether somebody has the address of a claim (RFC 4862 §5.4.2). */
  probe({ address, nonceHigh, nonceLow }: AddressClaim): void {
    const packet = this.packet(message.fixedOctets(DISCOVERY_TYPE.neighbourSolicitation) + option.UNIT_OCTETS)
    message.putSolicitation(packet, address)
    option.putNonce(packet, nonceHigh, nonceLow)
    this.owner.transmit(packet, UNSPECIFIED, solicitedNode(address, this.group), UNRESOLVED)
  }

  /** Answers for one of our addresses. @param peer the station that asked, if it has told; else UNRESOLVED. */
  answer(address: IpAddress, asker: IpAddress, peer: LinkAddress): void {
    this.owner.transmit(this.advertisement(address, true), address, asker, peer)
  }

  /** Tells all of one of our addresses. */
  announce(address: IpAddress): void {
    this.owner.transmit(this.advertisement(address, false), address, ALL_NODES, UNRESOLVED)
  }

  solicitRouters(source: IpAddress): void {
    const packet = this.packet(message.fixedOctets(DISCOVERY_TYPE.routerSolicitation) + option.UNIT_OCTETS)
    message.putRouterSolicitation(packet)
    this.putSource(packet)
    this.owner.transmit(packet, source, ALL_ROUTERS, UNRESOLVED)
  }

  /** Speaks as a router. @param source our link-local address. @param goodbye we are none any more. */
  advertise(
    settings: AdvertiseSettings,
    prefixes: readonly PrefixSettings[],
    source: IpAddress,
    goodbye: boolean,
  ): void {
    const packet = this.packet(MOST_ADVERTISEMENT_OCTETS)
    writeRouterAdvertisement(packet, settings, prefixes, this.ownAddress, goodbye)
    this.owner.transmit(packet, source, ALL_NODES, UNRESOLVED)
  }

  private advertisement(address: IpAddress, solicited: boolean): Packet {
    const packet = this.packet(message.fixedOctets(DISCOVERY_TYPE.neighbourAdvertisement) + option.UNIT_OCTETS)
    message.putAdvertisement(packet, address, this.router, solicited, true)
    const own = this.ownAddress
    if (own !== null) option.putLinkAddress(packet, option.OPTION.targetLinkAddress, own)
    return packet
  }

  /** Null where stations have no addresses. */
  private get ownAddress(): LinkAddress | null {
    return this.link.broadcast === null ? null : this.link.address
  }

  private putSource(packet: Packet): void {
    const own = this.ownAddress
    if (own !== null) option.putLinkAddress(packet, option.OPTION.sourceLinkAddress, own)
  }

  private packet(octets: number): Packet {
    return this.env.packet(this.link.headroom + HEADER_OCTETS, octets + this.link.tailroom)
  }
}
