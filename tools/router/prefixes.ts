/** Prefixes as text: what configuration files are made of. */
import { type IpAddress, type Prefix, parsePrefix } from '../../src/kernel/address.ts'

/** The prefix without bits beyond its length: '10.0.0.7/24' is '10.0.0.0/24'. @throws TypeError ERR_INVALID_ARG_VALUE */
export function networkOf(text: string): string {
  const { address, length } = parsePrefix(text)
  const network = address.clone()
  const bits = address.isIpv4 ? length + 96 : length
  for (const [i, word] of (['w0', 'w1', 'w2', 'w3'] as const).entries()) network[word] &= maskOf(bits - 32 * i)
  return `${network}/${length}`
}

/** Whether an address is within the network of a prefix. */
export const contains = (prefix: Prefix, address: IpAddress): boolean =>
  prefix.address.isIpv4 === address.isIpv4 &&
  networkOf(`${prefix.address}/${prefix.length}`) === networkOf(`${address}/${prefix.length}`)

/** The default route's prefix of an address's family. */
export const everywhere = (address: IpAddress): string => (address.isIpv4 ? '0.0.0.0/0' : '::/0')

/** The length of a prefix that is a single address. */
export const wholeLength = (address: IpAddress): number => (address.isIpv4 ? 32 : 128)

/** @param bits how many leading bits of a word count; may be beyond its ends. */
const maskOf = (bits: number): number => (bits <= 0 ? 0 : bits >= 32 ? -1 : -1 << (32 - bits))
