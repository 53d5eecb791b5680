/** DHCP on a router's links (RFC 2131): a client that takes the link's address from others, or a server that gives them. */
import { z } from 'zod'
import { type DhcpServerOptions, dhcpServer, seconds } from '../../src/index.ts'
import { type Prefix, parseAddress, parsePrefix } from '../../src/kernel/address.ts'
import { addressField } from '../stack/config.ts'
import { faultOf } from './fault-of.ts'
import { contains } from './prefixes.ts'

/** A server as the file has it. */
export interface FileDhcpServer {
  readonly pool: readonly string[]
  readonly reservations?: Readonly<Record<string, string>> | undefined
  readonly leaseSeconds?: number | undefined
  readonly routers?: readonly string[] | undefined
  readonly nameServers?: readonly string[] | undefined
  readonly domainName?: string | undefined
  readonly mtu?: number | undefined
  readonly authoritative?: boolean | undefined
}

export type FileDhcp = 'client' | FileDhcpServer

export const dhcpField: z.ZodType<FileDhcp> = z.union([
  z.literal('client'),
  z.strictObject({
    pool: z.array(addressField).length(2).describe('the first and the last address to give away'),
    reservations: z.record(z.string(), addressField).optional().describe('by MAC address'),
    leaseSeconds: z.int().min(60).optional().describe('default: an hour'),
    routers: z.array(addressField).optional().describe('default: this router'),
    nameServers: z.array(addressField).optional(),
    domainName: z.string().optional(),
    mtu: z.int().optional(),
    authoritative: z.boolean().optional().describe('there is no other server on the link; default true'),
  }),
])

/** @returns what is wrong with it, on a link with these addresses. */
export function dhcpFault(dhcp: FileDhcp, addresses: readonly string[]): string | undefined {
  if (dhcp === 'client') return undefined
  const fault = faultOf(() => dhcpServer(serverOptions(dhcp)))
  if (fault !== undefined) return fault
  const { pool, reservations = {} } = dhcp
  const reserved = Object.values(reservations)
  const isIn = (network: Prefix) => (address: string) => contains(network, parseAddress(address))
  const homes = addresses.map((text) => parsePrefix(text)).filter((network) => pool.every(isIn(network)))
  const [home] = homes
  if (home === undefined) return `the pool ${pool.join(' to ')} is in no network of the link`
  if (homes.some((network) => reserved.every(isIn(network)))) return undefined
  return `${reserved.find((address) => !isIn(home)(address))} is reserved, but not in the network of the pool`
}

/** What the layer is told. */
export function serverOptions({ pool, leaseSeconds, ...rest }: FileDhcpServer): DhcpServerOptions {
  const given = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined))
  const [first = '', last = ''] = pool
  return { ...given, pool: [first, last], ...(leaseSeconds === undefined ? {} : { leaseTime: seconds(leaseSeconds) }) }
}
