/** Kinds of IPv6 addresses (RFC 4291). */
import { IpAddress } from '../../../src/kernel/address.ts'
import { SCOPE } from '../../../src/kernel/address-selection.ts'

/** :: */
export const UNSPECIFIED: IpAddress = new IpAddress(0, 0, 0, 0)
/** ::1 */
export const LOOPBACK: IpAddress = new IpAddress(0, 0, 0, 1)
/** ff02::1 */
export const ALL_NODES: IpAddress = new IpAddress(0xff02_0000, 0, 0, 1)
/** ff02::2 */
export const ALL_ROUTERS: IpAddress = new IpAddress(0xff02_0000, 0, 0, 2)

export const isUnspecified = ({ w0, w1, w2, w3 }: IpAddress): boolean => (w0 | w1 | w2 | w3) === 0
export const isLoopback = ({ w0, w1, w2, w3 }: IpAddress): boolean => (w0 | w1 | w2) === 0 && w3 === 1
/** ff00::/8 */
export const isMulticast = ({ w0 }: IpAddress): boolean => w0 >>> 24 === 0xff
/** fe80::/10 */
export const isLinkLocal = ({ w0 }: IpAddress): boolean => w0 >>> 22 === 0xfe80 >>> 6
/** The scope of a group: 0 to 15. */
export const groupScope = ({ w0 }: IpAddress): number => (w0 >>> 16) & 15
/** Does a group stay on its link, or in the node? */
export const staysOnLink = (group: IpAddress): boolean => groupScope(group) <= SCOPE.linkLocal

/** ff02::1:ff00:0/104 with the last 24 bits of an address (RFC 4291 §2.7.1). @param into filled in. */
export function solicitedNode({ w3 }: IpAddress, into: IpAddress): IpAddress {
  into.w0 = 0xff02_0000 | 0
  into.w1 = 0
  into.w2 = 1
  into.w3 = 0xff00_0000 | (w3 & 0x00ff_ffff)
  return into
}

/** Can one station have this address? */
export function isStation(address: IpAddress): boolean {
  return !isUnspecified(address) && !isLoopback(address) && !isMulticast(address) && !address.isIpv4
}
