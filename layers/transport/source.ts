/** What packets to an address would come from: names with several addresses are put in order by it (RFC 6724 §6). */
import type { SourceOf } from '../../src/api/sockets.ts'
import { IpAddress, parsePrefix } from '../../src/kernel/address.ts'
import { type NetworkService, Path } from '../network/service.ts'

const ANY: IpAddress = new IpAddress()
/** An address of IPv4 is the end of one of 128 bits. */
const IPV4_FROM = 96

/** @returns `Sockets.sourceOf` over a network. */
export function sourcesOf(network: NetworkService): SourceOf {
  const path = new Path()
  return (destination, link = '') => {
    if (network.path(destination, ANY, network.linkIndex(link), path) !== undefined) return undefined
    const address = path.source.clone()
    return { address, length: lengthOf(network, address), deprecated: path.deprecated }
  }
}

/** Of the prefix that an address of ours is in; 128 where it is of no link. */
function lengthOf(network: NetworkService, own: IpAddress): number {
  for (const { addresses } of network.control.links()) {
    for (const text of addresses) {
      const { address, length } = parsePrefix(text)
      if (address.equals(own)) return own.isIpv4 ? IPV4_FROM + length : length
    }
  }
  return 128
}
