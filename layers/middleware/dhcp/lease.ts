/** What a server gives with an address, as a client reads it. */
import { type Duration, type Instant, seconds } from '../../../src/kernel/clock.ts'
import { type Message, OPTION } from './message.ts'
import { type ClasslessRoute, lengthOf, routesOf, shortOf, textOf, wordOf, wordsOf } from './values.ts'

export interface Lease {
  readonly address: number
  /** Of the prefix the address is in. */
  readonly length: number
  readonly server: number
  readonly routers: readonly number[]
  /** Those of option 121, which take the place of `routers` (RFC 3442). */
  readonly routes: readonly ClasslessRoute[] | undefined
  readonly nameServers: readonly number[]
  readonly domainName: string | undefined
  readonly mtu: number | undefined
  /** When to ask the server that gave it, when to ask any, and when it ends; Infinity for never. */
  readonly renewAt: Instant
  readonly rebindAt: Instant
  readonly expiresAt: Instant
}

/** A lease of so many seconds never ends. */
const FOR_EVER = 0xffff_ffff
/** Without option 51 there is no lease, and a shorter one is not worth the traffic. */
const SHORTEST: Duration = seconds(10)
const HALF = 0.5
const SEVEN_EIGHTHS = 0.875
/** By class, where a server gives no mask: what classes still mean (RFC 2132 §3.3 does not say). */
const DEFAULT_LENGTH = 24

/** @param from when the request was sent: the lease counts from there (RFC 2131 §4.4.1). @returns undefined — it gives none. */
export function leaseOf(message: Message, from: Instant): Lease | undefined {
  const server = wordOf(message, OPTION.server)
  const time = wordOf(message, OPTION.leaseTime)
  if (server === undefined || time === undefined || !isHost(message.yiaddr)) return undefined
  const lasts = time >>> 0 === FOR_EVER ? Number.POSITIVE_INFINITY : Math.max(SHORTEST, seconds(time >>> 0))
  const usual = { renew: lasts * HALF, rebind: lasts * SEVEN_EIGHTHS }
  // What contradicts itself, or would have us ask without end, gives way to the usual parts of the lease (RFC 2131 §4.4.5).
  const isEndless = lasts === Number.POSITIVE_INFINITY
  const rebind = isEndless ? lasts : between(usual.rebind, given(message, OPTION.rebindingTime), lasts)
  const renew = isEndless ? lasts : between(usual.renew, given(message, OPTION.renewalTime), rebind)
  const mask = wordOf(message, OPTION.subnetMask)
  return {
    address: message.yiaddr,
    length: (mask === undefined ? undefined : lengthOf(mask)) ?? DEFAULT_LENGTH,
    server,
    routers: wordsOf(message, OPTION.routers),
    routes: routesOf(message),
    nameServers: wordsOf(message, OPTION.nameServers),
    domainName: textOf(message, OPTION.domainName),
    mtu: shortOf(message, OPTION.mtu),
    renewAt: from + renew,
    rebindAt: from + rebind,
    expiresAt: from + lasts,
  }
}

function given(message: Message, code: number): Duration | undefined {
  const value = wordOf(message, code)
  return value === undefined ? undefined : seconds(value >>> 0)
}

/** @returns `value` where it is given and within the bounds. */
function between(usual: Duration, value: Duration | undefined, most: Duration): Duration {
  return value === undefined || value < SHORTEST || value > most ? Math.min(usual, most) : value
}

/** One station's address: not of this network, loopback, a group or reserved (RFC 1122 §3.2.1.3). */
function isHost(address: number): boolean {
  const first = address >>> 24
  return first !== 0 && first !== 127 && first < 224
}
