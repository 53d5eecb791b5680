/**
 * From names to addresses, without a resolver: literals, `localhost`, the node's `hosts`, and whatever `lookup` function
 * the caller brings. Anything else is ENOTFOUND, and the message says what can be configured.
 */
import { type IpAddress, tryParseAddress } from '../../kernel/address.ts'
import type { NetError } from '../../kernel/errors.ts'
import { asCall, coded, invalidArgType, netError } from './errors.ts'

/** Names a node knows: text to one address or several. */
export type Hosts = Readonly<Record<string, string | readonly string[]>>

/** As Node's `dns.lookup`, or the custom ones that `net.connect` and `dgram.createSocket` take. */
export type LookupFunction = (
  hostname: string,
  // biome-ignore lint/suspicious/noExplicitAny: functions written for node:net declare options of several Node types
  options: any,
  callback: (
    error: NodeJS.ErrnoException | null,
    address: string | readonly { address: string; family: number }[],
    family?: number,
  ) => void,
) => void

/** 0: either. */
export type Family = 0 | 4 | 6

const LOOPBACK4 = '127.0.0.1'

export class Names {
  /** In lower case. */
  private readonly table: Map<string, readonly string[]> = new Map()
  private readonly ipv6: boolean

  /** @param ipv6 whether the transport understands IPv6. @throws TypeError ERR_INVALID_ARG_TYPE — a host's value is not an IP address. */
  constructor(hosts: Hosts = {}, ipv6 = false) {
    this.ipv6 = ipv6
    for (const [name, value] of Object.entries(hosts)) {
      const addresses = typeof value === 'string' ? [value] : value
      for (const address of addresses) {
        if (tryParseAddress(address) === undefined) throw invalidArgType(`hosts.${name}`, 'an IP address', address)
      }
      this.table.set(name.toLowerCase(), addresses)
    }
  }

  /** @returns the address, or the error (syscall 'getaddrinfo') that says what could be configured. */
  resolve(name: string, family: Family): IpAddress | NetError {
    const literal = tryParseAddress(name)
    if (literal !== undefined) return this.supported(literal)
    const known = this.table.get(name.toLowerCase()) ?? (isLocalhost(name) ? [LOOPBACK4] : [])
    for (const text of known) {
      const address = tryParseAddress(text)
      if (address !== undefined && (family === 0 || (family === 4) === address.isIpv4)) {
        return this.supported(address)
      }
    }
    const detail =
      known.length > 0
        ? `${name} has no address of family ${family}`
        : "give an IP address, a 'lookup' function, or boot the node with hosts: { name: address }"
    return netError('ENOTFOUND', 'getaddrinfo', detail, { address: name })
  }

  /** @returns the address, or EAFNOSUPPORT where the transport cannot use it. */
  supported(address: IpAddress): IpAddress | NetError {
    if (this.ipv6 || address.isIpv4) return address
    return netError('EAFNOSUPPORT', 'connect', 'this node has no IPv6', { address: address.toString() })
  }
}

/** RFC 6761 §6.3: names below localhost are the loopback address too. */
function isLocalhost(name: string): boolean {
  return /(^|\.)localhost\.?$/i.test(name)
}

/** Told what a `lookup` function said: an address with its family, or an error. */
export type Looked = (error: Error | null, address: IpAddress | undefined, text: string, family: unknown) => void

/**
 * Asks a custom lookup function, in either of the forms such functions answer.
 * @param options what it is given between the name and the callback.
 * @param then called once, when the function calls back.
 */
export function askLookup(lookup: LookupFunction, name: string, options: unknown, then: Looked): void {
  let answered = false
  lookup(name, options, (error, answer, family) => {
    if (answered) return
    answered = true
    if (error !== null && error !== undefined) {
      then(asCall(error, 'getaddrinfo', { address: name }), undefined, '', undefined)
      return
    }
    const first = Array.isArray(answer) ? answer[0] : { address: answer, family }
    const text: unknown = first?.address
    const address = typeof text === 'string' ? tryParseAddress(text) : undefined
    if (address === undefined) {
      const bad = new TypeError(`Invalid IP address: ${String(text)}`)
      then(coded(bad, 'ERR_INVALID_IP_ADDRESS'), undefined, '', undefined)
    } else then(null, address, text as string, first.family)
  })
}

/** @returns the names, made of hosts where they are not made yet. */
export function asNames(hosts: Hosts | Names, ipv6 = false): Names {
  return hosts instanceof Names ? hosts : new Names(hosts, ipv6)
}
