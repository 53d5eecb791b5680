/** Writes a router advertisement with its options (RFC 4861 §4.2, RFC 4191, RFC 8106). */
import type { Packet } from '../../../../src/kernel/packet.ts'
import type { LinkAddress } from '../../../datalink/service.ts'
import { writeAddress } from '../header.ts'
import {
  type AdvertiseSettings,
  domainsOctets,
  type PrefixSettings,
  type RouteSettings,
  routeOctets,
} from './advertise-options.ts'
import { writeDomains } from './domains.ts'
import { ADDRESS_OCTETS, preferenceBits, putRouterAdvertisement } from './message.ts'
import * as option from './options.ts'

/** Octets an advertisement can have: it fits into the smallest link. */
export const MOST_ADVERTISEMENT_OCTETS: number = 1280 - 40

/**
 * Appends an advertisement to an empty packet with room for MOST_ADVERTISEMENT_OCTETS.
 * @param prefixes to tell of.
 * @param link our address on the link; null where stations have none.
 * @param goodbye say that we are a router no more (§6.2.5).
 */
export function writeRouterAdvertisement(
  packet: Packet,
  settings: AdvertiseSettings,
  prefixes: readonly PrefixSettings[],
  link: LinkAddress | null,
  goodbye: boolean,
): void {
  const { fields, mtu, nameServers, searchDomains, routes, namesLifetime } = settings
  putRouterAdvertisement(packet, goodbye ? { ...fields, lifetime: 0 } : fields)
  if (link !== null) option.putLinkAddress(packet, option.OPTION.sourceLinkAddress, link)
  if (mtu !== undefined) option.putMtu(packet, mtu)
  for (const prefix of prefixes) putPrefix(packet, prefix)
  for (const route of routes) putRoute(packet, route, goodbye ? 0 : route.lifetime)
  const lifetime = goodbye ? 0 : namesLifetime
  if (nameServers.length > 0) {
    const at = option.putOption(packet, option.OPTION.nameServers, 1 + 2 * nameServers.length)
    packet.view.setUint32(at + 4, lifetime)
    for (const [i, server] of nameServers.entries()) {
      writeAddress(packet.view, option.contentAt(at) + i * ADDRESS_OCTETS, server)
    }
  }
  if (searchDomains.length > 0) {
    const units = domainsOctets(searchDomains) / option.UNIT_OCTETS
    const at = option.putOption(packet, option.OPTION.searchDomains, units)
    packet.view.setUint32(at + 4, lifetime)
    writeDomains(packet, option.contentAt(at), searchDomains)
  }
}

function putPrefix(packet: Packet, { prefix, length, flags, valid, preferred }: PrefixSettings): void {
  const { view } = packet
  const at = option.putOption(packet, option.OPTION.prefix, option.PREFIX_OCTETS / option.UNIT_OCTETS)
  view.setUint8(at + 2, length)
  view.setUint8(at + 3, flags)
  view.setUint32(at + 4, valid)
  view.setUint32(at + 8, preferred)
  writeAddress(view, option.prefixAt(at), prefix)
}

function putRoute(packet: Packet, { prefix, length, preference }: RouteSettings, lifetime: number): void {
  const { view } = packet
  const octets = routeOctets(length)
  const at = option.putOption(packet, option.OPTION.route, octets / option.UNIT_OCTETS)
  view.setUint8(at + 2, length)
  view.setUint8(at + 3, preferenceBits(preference))
  view.setUint32(at + 4, lifetime)
  const words = [prefix.w0, prefix.w1, prefix.w2, prefix.w3]
  for (let n = 0; n < (octets - 8) / 4; n++) view.setInt32(at + 8 + n * 4, words[n] as number)
}
