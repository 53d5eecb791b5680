/** RIP on a router (RFC 2453, RFC 2080): what the file says of it, and what its layer is told. */
import { z } from 'zod'
import { type RipOptions, rip } from '../../src/index.ts'
import { durationField, linkNameField } from '../stack/config.ts'
import { parseDuration } from '../stack/link-spec.ts'
import { faultOf } from './fault-of.ts'
import { ruleFields } from './rules.ts'

const TIMES = ['updateInterval', 'timeout', 'garbage'] as const

/** RIP as the file has it; times are text such as '30s'. */
export type FileRip = Omit<RipOptions, (typeof TIMES)[number]> & {
  readonly [Name in (typeof TIMES)[number]]?: string | undefined
}

export const ripField: z.ZodType<FileRip> = z.strictObject({
  interfaces: z
    .record(
      linkNameField,
      z.strictObject({
        cost: z.int().optional().describe('of a hop, 1 to 15; default 1'),
        passive: z.boolean().optional().describe('listen, and say nothing; default false'),
      }),
    )
    .refine((interfaces) => Object.keys(interfaces).length > 0, 'RIP needs a link to speak on')
    .describe('the links it speaks on'),
  versions: z
    .array(z.enum(['rip2', 'ripng']))
    .min(1, "RIP needs a version: 'rip2' for IPv4, 'ripng' for IPv6")
    .optional()
    .describe("'rip2' for IPv4, 'ripng' for IPv6; default: both, of what the router has"),
  ...ruleFields('rip'),
  metric: z.int().optional().describe("of RIP's routes in the routing table; default 2048"),
  updateInterval: durationField.optional().describe("default '30s'; all routers of a network should agree"),
  timeout: durationField
    .optional()
    .describe('without a word on it, a route leads nowhere after this; default: six updates'),
  garbage: durationField.optional().describe('and is forgotten after this; default: four updates'),
})

/** What the layer is told. */
export function ripOptions(file: FileRip): RipOptions {
  const times = TIMES.flatMap((name) => (file[name] === undefined ? [] : [[name, parseDuration(file[name])] as const]))
  const { updateInterval: _update, timeout: _timeout, garbage: _garbage, ...rest } = file
  return { ...rest, ...Object.fromEntries(times) }
}

/** @returns what is wrong with it, as RIP itself says. */
export const ripFault = (file: FileRip): string | undefined => faultOf(() => rip(ripOptions(file)))
