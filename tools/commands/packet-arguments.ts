/** For commander: what a packet is described by. */
import { InvalidArgumentError } from 'commander'
import { PROTOCOL } from '../../layers/network/service.ts'
import { tryParseAddress } from '../../src/kernel/address.ts'

/** A protocol by the names that rules of a policy have, or by its number. */
export type NamedProtocol = keyof typeof PROTOCOL | number

/** What help says of such an option. */
export const PROTOCOL_WORDS = 'tcp, udp, icmp, icmpv6, or a number'

export function protocolArgument(text: string): NamedProtocol {
  if (text === 'tcp' || text === 'udp' || text === 'icmp' || text === 'icmpv6') return text
  if (/^\d{1,3}$/.test(text) && Number(text) <= 255) return Number(text)
  throw new InvalidArgumentError('It is tcp, udp, icmp, icmpv6, or a number from 0 to 255.')
}

export const protocolNumber = (protocol: NamedProtocol): number =>
  typeof protocol === 'number' ? protocol : PROTOCOL[protocol]

export function addressArgument(text: string): string {
  if (tryParseAddress(text) !== undefined) return text
  throw new InvalidArgumentError("It is an IP address such as '10.0.0.1'.")
}
