/**
 * Interface identifiers that stay the same on one network and tell nothing on another (RFC 7217): a keyed hash of the
 * prefix, the link and how often it has been tried.
 */
import { IpAddress } from '../../../../src/kernel/address.ts'
import { type HashKey, keyedHash64 } from '../../../../src/kernel/keyed-hash.ts'
import type { LinkAddress } from '../../../datalink/service.ts'

/** How often another identifier is tried after a duplicate (IDGEN_RETRIES of RFC 7217 §7). */
export const IDENTIFIER_RETRIES = 3

/**
 * The address of ours under a prefix of 64 bits.
 * @param key the secret; `hashKey` makes one of 16 octets.
 * @param counter how many addresses of this prefix have proved to be taken: 0 at first.
 */
export function stableAddress(key: HashKey, prefix: IpAddress, link: LinkAddress, counter: number): IpAddress {
  for (let again = 0; ; again++) {
    const words = [prefix.w0, prefix.w1, Math.floor(link / 0x1_0000_0000), link % 0x1_0000_0000, counter, again]
    const [low, high] = keyedHash64(key, Int32Array.from(words))
    const address = new IpAddress(prefix.w0, prefix.w1, high, low)
    if (!isReserved(address)) return address
  }
}

/** Identifiers that no station has (RFC 5453): the subnet router's, those of IANA's block, and reserved anycast. */
function isReserved({ w2, w3 }: IpAddress): boolean {
  if (w2 === 0 && w3 === 0) return true
  if (w2 === 0x0200_5eff && w3 >>> 24 === 0xfe) return true
  return w2 === (0xfdff_ffff | 0) && w3 >>> 7 === 0x1ff_ffff
}
