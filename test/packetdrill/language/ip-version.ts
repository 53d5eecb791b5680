/** Over what a script runs: the packets it shows, and the addresses its calls name. */

export const IP_VERSIONS = ['ipv4', 'ipv4-mapped-ipv6', 'ipv6'] as const

/** 'ipv4-mapped-ipv6': packets of IPv4 by sockets of IPv6, with addresses ::ffff:192.0.2.1 (RFC 4291 §2.5.5.2). */
export type IpVersion = (typeof IP_VERSIONS)[number]

/** The version of the packets. */
export type Wire = 4 | 6

export const isIpVersion = (text: string): text is IpVersion => IP_VERSIONS.some((version) => version === text)

export const wireOf = (version: IpVersion): Wire => (version === 'ipv6' ? 6 : 4)

/** Cookies of Fast Open that the original's runners define: for their addresses, by the key of `defaults.sh` or zeros. */
export const DEFINITIONS: Readonly<Record<Wire, readonly string[]>> = {
  4: ['TFO_COOKIE=3021b9d889017eeb', 'TFO_COOKIE_ZERO=b7c12350a90dc8f5'],
  6: ['TFO_COOKIE=c1d1e9742a47a9bc', 'TFO_COOKIE_ZERO=82af1a8f9a205c34'],
}
