/** What a router's file says of router advertisements of IPv6 on a link (RFC 4861 §6.2.1, RFC 8106). */
import { z } from 'zod'
import { type AdvertiseOptions, ipv6 } from '../../src/index.ts'
import { addressField, prefixField } from '../stack/config.ts'
import { LinkSpecError, parseDuration } from '../stack/link-spec.ts'

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

const time = z.string().superRefine((text, context) => {
  try {
    parseDuration(text)
  } catch (error) {
    if (!(error instanceof LinkSpecError)) throw error
    context.addIssue({ code: 'custom', message: error.message })
  }
})

/** `true`: as the standard has it. */
export const advertiseField: z.ZodType<true | FileAdvertise> = z.union([
  z.literal(true),
  z.strictObject({
    prefixes: z.array(prefixField).optional().describe('of 64 bits; default: those of the addresses of the link'),
    lifetime: time.optional().describe("how long to be a default router, '0s' for not at all; default: 3 × interval"),
    interval: time.optional().describe("the longest time between advertisements: '4s' to '1800s', default '600s'"),
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
export function advertiseFault(file: true | FileAdvertise): string | undefined {
  try {
    ipv6({ advertise: { link: advertiseOptions(file) } })
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}
