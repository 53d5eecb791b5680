/**
 * Sockets that are bound to no address of their own: 0.0.0.0 stands for all of IPv4, and :: for all of both families,
 * unless it is to be IPv6 alone (RFC 3493 §5.3).
 */
import { IpAddress } from '../../src/kernel/address.ts'
import type { NetworkService } from '../network/service.ts'

const ANY_IPV4: IpAddress = new IpAddress()
const ANY_IPV6: IpAddress = new IpAddress(0, 0, 0, 0)
const LOOPBACK_IPV6: IpAddress = new IpAddress(0, 0, 0, 1)

/** What a socket is bound to. */
export interface Bound {
  readonly address: IpAddress
  /** Of ::, that it does not stand for IPv4. */
  readonly ipv6Only: boolean
}

/** Whether a node has IPv6, which always has this address. */
export const hasIpv6 = (network: NetworkService): boolean => network.isLocal(LOOPBACK_IPV6)

/** Every address of a node, of all families that it has. */
export const everyAddress = (network: NetworkService): IpAddress => (hasIpv6(network) ? ANY_IPV6 : ANY_IPV4)

/** Does an unspecified address stand for the other one? @param ipv6Only of `wildcard`. */
export function standsFor(wildcard: IpAddress, ipv6Only: boolean, { isIpv4 }: IpAddress): boolean {
  return wildcard.isIpv4 ? isIpv4 : !(isIpv4 && ipv6Only)
}

/** Is there an address that both are bound to? */
export function overlap(a: Bound, b: Bound): boolean {
  if (a.address.equals(b.address)) return true
  if (a.address.isUnspecified && standsFor(a.address, a.ipv6Only, b.address)) return true
  return b.address.isUnspecified && standsFor(b.address, b.ipv6Only, a.address)
}
