/** One end of a UDP tunnel: a numeric address and a port. */
import { tryParseAddress } from '../../../src/kernel/address.ts'
import { integer, invalidType, invalidValue } from '../../../src/kernel/errors.ts'

/** Numeric address in canonical text ('192.0.2.1', '2001:db8::1', 'fe80::1%eth0'), and a port. */
export interface Endpoint {
  readonly host: string
  readonly port: number
}

/** '192.0.2.1:4789' or '[2001:db8::1]:4789' */
export function formatEndpoint({ host, port }: Endpoint): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/**
 * Checks an endpoint given by the user, and brings it into canonical form.
 * @param defaultPort used where the endpoint has none.
 * @param lowestPort 0 where the system may choose, else 1.
 * @throws TypeError ERR_INVALID_ARG_VALUE — `host` is not a numeric address. @throws RangeError — the port.
 */
export function endpoint(
  name: string,
  value: { readonly host: string; readonly port?: number },
  defaultPort: number,
  lowestPort: 0 | 1,
): Endpoint {
  if (typeof value !== 'object' || value === null)
    throw invalidType(name, "an object such as { host: '192.0.2.1' }", value)
  return {
    host: canonicalHost(`${name}.host`, value.host),
    port: integer(`${name}.port`, value.port ?? defaultPort, lowestPort, 65_535),
  }
}

/**
 * 'HOST:PORT', '[2001:db8::1]:PORT', or a part alone: 'HOST', 'PORT'.
 * @returns what was there; `host` is not checked here.
 * @throws TypeError ERR_INVALID_ARG_VALUE — neither.
 */
export function parseEndpoint(text: string, name = 'endpoint'): { host?: string; port?: number } {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+))?(?::(\d{1,5}))?$/.exec(text)
  const host = match?.[1] ?? match?.[2]
  const port = match?.[3]
  if (match === null || (host === undefined && port === undefined)) {
    if (text.includes(':') && tryParseAddress(text) !== undefined) return { host: text }
    throw invalidValue(name, "an address and a port such as '192.0.2.1:4789' or '[2001:db8::1]:4789'", text)
  }
  if (host !== undefined && port === undefined && /^\d{1,5}$/.test(host)) return { port: Number(host) }
  return { ...(host !== undefined && { host }), ...(port !== undefined && { port: Number(port) }) }
}

/** 4 or 6, of a canonical host. */
export function familyOf(host: string): 4 | 6 {
  return host.includes(':') ? 6 : 4
}

function canonicalHost(name: string, host: string): string {
  if (host === 'localhost') return '127.0.0.1'
  const [text = '', zone, extra] = typeof host === 'string' ? host.split('%') : []
  const address = tryParseAddress(text)
  if (address === undefined || zone === '' || extra !== undefined || (zone !== undefined && address.isIpv4))
    throw invalidValue(name, "a numeric address such as '192.0.2.1' or '2001:db8::1'", host)
  return zone === undefined ? address.toString() : `${address.toString()}%${zone}`
}
