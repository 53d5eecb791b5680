/** What a router's file says of router advertisements of IPv6 on a link (RFC 4861 §6.2.1, RFC 8106). */
import { z } from 'zod'
import { type AdvertiseOptions, ipv6 } from '../../src/index.ts'
import { addressField, durationField, prefixField } from '../stack/config.ts'
import { parseDuration } from '../stack/link-spec.ts'
import { faultOf } from './fault-of.ts'

/** As the file has it; times are text such as '600s'. */
export interface FileAdvertise {
  readonly prefixes?: readonly string[] | undefined
  readonly lifetime?: string | undefined
  readonly interval?: string | undefined
  readonly preference?: 'low' | 'medium' | 'high' | undefined
  readonly managed?: boolean | undefined
  readonly other?: boolean | undefined
  readonly mtu?: number | undefined
  readonly nameServers?: readonly string[] | undefined
  readonly searchDomains?: readonly string[] | undefined
}

/** `true`: as the standard has it. */
export const advertiseField: z.ZodType<true | FileAdvertise> = z.union([
  z.literal(true),
  z.strictObject({
    prefixes: z.array(prefixField).optional().describe('of 64 bits; default: those of the addresses of the link'),
    lifetime: durationField
      .optional()
      .describe("how long to be a default router, '0s' for not at all; default: 3 × interval"),
    interval: durationField
      .optional()
      .describe("the longest time between advertisements: '4s' to '1800s', default '600s'"),
    preference: z.enum(['low', 'medium', 'high']).optional().describe('among the routers of the link (RFC 4191)'),
    managed: z.boolean().optional().describe('addresses are to be had by DHCPv6'),
    other: z.boolean().optional().describe('other things are to be had by DHCPv6'),
    mtu: z.int().optional().describe('of the link'),
    nameServers: z.array(addressField).optional(),
    searchDomains: z.array(z.string()).optional(),
  }),
])

/** What IPv6 is told of it. */
export function advertiseOptions(file: true | FileAdvertise): AdvertiseOptions {
  if (file === true) return {}
  const { lifetime, interval, ...rest } = file
  return {
    ...rest,
    ...(lifetime === undefined ? {} : { lifetime: parseDuration(lifetime) }),
    ...(interval === undefined ? {} : { maxInterval: parseDuration(interval) }),
  }
}

/** @returns what is wrong with it, as IPv6 itself says. */
export const advertiseFault = (file: true | FileAdvertise): string | undefined =>
  faultOf(() => ipv6({ advertise: { link: advertiseOptions(file) } }))
