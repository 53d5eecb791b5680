/**
 * From names to addresses, without a resolver: literals, `localhost`, the node's `hosts`, and whatever `lookup` function
 * the caller brings. Anything else is ENOTFOUND, and the message says what can be configured.
 */
import { formatScoped, IpAddress, splitZone, tryParseAddress } from '../../kernel/address.ts'
import { orderDestinations } from '../../kernel/address-selection.ts'
import { NetError } from '../../kernel/errors.ts'
import type { PlainSockets, SourceOf } from '../sockets.ts'
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

/** What names ask of the sockets below. */
type Below = Pick<PlainSockets, 'ipv6' | 'sourceOf'>

/** 0: either. */
export type Family = 0 | 4 | 6

const LOOPBACKS = ['::1', '127.0.0.1']

/** Where a name or a literal leads. */
export interface Found {
  readonly address: IpAddress
  /** The link of an address such as 'fe80::1%eth0', by name; else ''. */
  readonly zone: string
  /** It is an IPv4 address that was written as an IPv6 address: '::ffff:10.0.0.1'. */
  readonly mapped: boolean
}

/** @returns undefined when the text is not an address, with a zone or without. */
export function tryParseFound(text: string): Found | undefined {
  const [host, zone] = splitZone(text)
  const address = tryParseAddress(host)
  if (address === undefined || (text !== host && (zone === '' || !address.isScoped))) return undefined
  return { address, zone, mapped: address.isIpv4 && host.includes(':') }
}

/** As Node writes it. */
export const textOf = ({ address, zone, mapped }: Found): string =>
  mapped ? `::ffff:${address}` : formatScoped(address, zone)

/** The family that Node takes an address for. */
export const familyOf = ({ address, mapped }: Found): 4 | 6 => (address.isIpv4 && !mapped ? 4 : 6)

const LOOPBACK_IPV4 = IpAddress.ipv4(0x7f00_0001)
const LOOPBACK_IPV6 = new IpAddress(0, 0, 0, 1)

/** Where packets to an address go: those to 0.0.0.0 and :: to this node itself, as other systems have it. */
export function reachable(address: IpAddress): IpAddress {
  if (!address.isUnspecified) return address
  return address.isIpv4 ? LOOPBACK_IPV4 : LOOPBACK_IPV6
}

export class Names {
  /** In lower case. */
  private readonly table: Map<string, readonly string[]> = new Map()
  private readonly ipv6: boolean
  private readonly sourceOf: SourceOf | undefined

  /**
   * @param below whether the transport understands IPv6, and by what several addresses are put in order; else they stay as given.
   * @throws TypeError ERR_INVALID_ARG_TYPE — a host's value is not an IP address.
   */
  constructor(hosts: Hosts = {}, { ipv6 = false, sourceOf }: Below = {}) {
    this.ipv6 = ipv6
    this.sourceOf = sourceOf
    for (const [name, value] of Object.entries(hosts)) {
      const addresses = typeof value === 'string' ? [value] : value
      for (const address of addresses) {
        if (tryParseFound(address) === undefined) throw invalidArgType(`hosts.${name}`, 'an IP address', address)
      }
      this.table.set(name.toLowerCase(), addresses)
    }
  }

  /**
   * @returns the best of the addresses, or the error (syscall 'getaddrinfo') that says what could be configured.
   */
  resolve(name: string, family: Family): Found | NetError {
    const found = this.resolveAll(name, family)
    return NetError.is(found) ? found : (found[0] as Found)
  }

  /** @returns all addresses, at least one, the best first (RFC 6724 §6); or the error, as `resolve`. */
  resolveAll(name: string, family: Family): readonly Found[] | NetError {
    const literal = tryParseFound(name)
    if (literal !== undefined) return this.usable([literal])
    const known = (this.table.get(name.toLowerCase()) ?? (isLocalhost(name) ? this.loopbacks : []))
      .map(tryParseFound)
      .filter((found) => found !== undefined)
    const wanted = known.filter((found) => family === 0 || familyOf(found) === family)
    if (wanted.length > 0) return this.usable(this.inOrder(wanted))
    const detail =
      known.length > 0
        ? `${name} has no address of family ${family}`
        : "give an IP address, a 'lookup' function, or boot the node with hosts: { name: address }"
    return netError('ENOTFOUND', 'getaddrinfo', detail, { address: name })
  }

  /** @returns those that the transport can use, or EAFNOSUPPORT where there is none. */
  usable(found: readonly Found[]): readonly Found[] | NetError {
    const usable = this.ipv6 ? found : found.filter(({ address }) => address.isIpv4)
    if (usable.length > 0) return usable
    return netError('EAFNOSUPPORT', 'connect', 'this node has no IPv6', { address: textOf(found[0] as Found) })
  }

  private inOrder(found: readonly Found[]): readonly Found[] {
    const { sourceOf } = this
    if (sourceOf === undefined || found.length === 1) return found
    return orderDestinations(found.map((one) => ({ ...one, source: sourceOf(one.address, one.zone || undefined) })))
  }

  private get loopbacks(): readonly string[] {
    return this.ipv6 ? LOOPBACKS : LOOPBACKS.slice(1)
  }
}

/** RFC 6761 §6.3: names below localhost are the loopback address too. */
function isLocalhost(name: string): boolean {
  return /(^|\.)localhost\.?$/i.test(name)
}

/** One answer of a `lookup` function. */
export interface Answer {
  /** Undefined when `text` is not an address. */
  readonly found: Found | undefined
  readonly text: string
  readonly family: unknown
}

/** Told what a `lookup` function said: at least one answer, or an error. */
export type Looked = (error: Error | null, answers: readonly Answer[]) => void

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
      then(asCall(error, 'getaddrinfo', { address: name }), [])
      return
    }
    const given = Array.isArray(answer) && answer.length > 0 ? answer : [{ address: answer, family }]
    const answers = given.map(({ address, family }: { address: unknown; family: unknown }) => ({
      found: typeof address === 'string' ? tryParseFound(address) : undefined,
      text: String(address),
      family,
    }))
    then(null, answers)
  })
}

/** What is wrong with an answer that is no address. */
export const invalidAddress = ({ text }: Answer): Error =>
  coded(new TypeError(`Invalid IP address: ${text}`), 'ERR_INVALID_IP_ADDRESS')

/** @returns the names, made of hosts where they are not made yet. */
export function asNames(hosts: Hosts | Names, below?: Below): Names {
  return hosts instanceof Names ? hosts : new Names(hosts, below)
}
