/**
 * `struct sockaddr_in` and `sockaddr_in6` of Linux (ip(7), ipv6(7)), as the 32-bit words of a little-endian machine; port
 * and addresses are in network order.
 *
 *   words   0              1           2 … 5        6
 *         │ family │ port │ address  │                        IPv4
 *         │ family │ port │ flow     │ address     │ scope │  IPv6
 */
import { networkInterfaces } from 'node:os'
import { IpAddress, parseAddress } from '../../../src/kernel/address.ts'
import { type Endpoint, familyOf } from './endpoint.ts'

export const AF_INET = 2
export const AF_INET6 = 10
/** Octets of each of the two. */
export const INET_OCTETS = 16
export const INET6_OCTETS = 28
/** Words kept for an address of either kind. */
export const ADDRESS_WORDS = 8

/** An address as the system takes it, in `octets` octets from the first of `words`. */
export interface SocketAddress {
  readonly words: Uint32Array
  readonly octets: number
}

/** @param scopeOf finds the number of an interface; used for addresses with a zone alone. */
export function socketAddress({ host, port }: Endpoint, scopeOf: (zone: string) => number): SocketAddress {
  const words = new Uint32Array(ADDRESS_WORDS)
  const [text = '', zone] = host.split('%')
  const { w0, w1, w2, w3 } = parseAddress(text)
  if (familyOf(host) === 4) {
    words[0] = AF_INET | (swap16(port) << 16)
    words[1] = swap32(w3)
    return { words, octets: INET_OCTETS }
  }
  words[0] = AF_INET6 | (swap16(port) << 16)
  words.set([swap32(w0), swap32(w1), swap32(w2), swap32(w3)], 2)
  words[6] = zone === undefined ? 0 : scopeOf(zone)
  return { words, octets: INET6_OCTETS }
}

/** Reads addresses, one after the other; text is made anew only when the host is not that of the last one. */
export class SocketAddressReader {
  /** Of the last address read: numeric, canonical text as an `Endpoint` has it. */
  host = ''
  port = 0
  private readonly last = new Uint32Array(ADDRESS_WORDS)

  /** @param at where the address begins in `words`. */
  read(words: Uint32Array, at: number): void {
    const { last } = this
    const first = words[at] as number
    this.port = swap16(first >>> 16)
    const family = first & 0xffff
    const end = family === AF_INET ? 2 : 7
    let same = (last[0] as number) === family
    for (let i = 1; same && i < end; i++) same = last[i] === words[at + i]
    if (same) return
    last[0] = family
    for (let i = 1; i < end; i++) last[i] = words[at + i] as number
    this.host = hostOf(last, family)
  }
}

function hostOf(words: Uint32Array, family: number): string {
  const word = (i: number): number => swap32(words[i] as number) | 0
  if (family === AF_INET) return IpAddress.ipv4(word(1)).toString()
  const address = new IpAddress(word(2), word(3), word(4), word(5))
  const linkLocal = (address.w0 & 0xffc0_0000) === (0xfe80_0000 | 0)
  return linkLocal ? `${address}%${zoneOf(words[6] as number)}` : address.toString()
}

/** The name of the interface with that number, which has the address that the sender reached. */
function zoneOf(scope: number): string {
  for (const [name, addresses] of Object.entries(networkInterfaces())) {
    if (addresses?.some((address) => address.family === 'IPv6' && address.scopeid === scope)) return name
  }
  return `${scope}`
}

const swap16 = (n: number): number => ((n & 0xff) << 8) | (n >>> 8)
const swap32 = (n: number): number => ((n << 24) | ((n & 0xff00) << 8) | ((n >>> 8) & 0xff00) | (n >>> 24)) >>> 0
