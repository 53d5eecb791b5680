/** What the file says alike of each routing protocol: what is announced, taken in, and passed on. */
import { z } from 'zod'
import type { RedistributeRule, RouteRule } from '../../src/index.ts'
import { linkNameField, prefixField } from '../stack/config.ts'

/** Where routes of a router come from: addresses of its links, the file, DHCP, router advertisements, and the protocols. */
const ORIGINS = ['link', 'static', 'dhcp', 'ra', 'babel', 'rip'] as const
type Origin = (typeof ORIGINS)[number]

const rule = z.strictObject({
  prefix: prefixField.optional().describe('destinations within it'),
  minLength: z.int().optional(),
  maxLength: z.int().optional(),
  interface: linkNameField.optional().describe('the link it is said on'),
  action: z.enum(['allow', 'deny']),
  metric: z.int().optional().describe("what 'allow' adds"),
})

/** Fields of a protocol's section. */
interface RuleFields {
  readonly announce: z.ZodOptional<z.ZodType<readonly string[]>>
  readonly redistribute: z.ZodOptional<z.ZodType<readonly RedistributeRule[]>>
  readonly filters: z.ZodOptional<z.ZodType<{ readonly in: readonly RouteRule[]; readonly out: readonly RouteRule[] }>>
}

/** @param own the protocol: what it has found it passes on anyway. */
export function ruleFields(own: Origin): RuleFields {
  const origin = z.enum(ORIGINS.filter((other) => other !== own))
  const redistributed = rule.omit({ interface: true }).extend({
    origin: origin.optional().describe('where the route comes from; default: from any of these'),
    metric: z.int().optional().describe('the metric to announce it with; default 0'),
  })
  return {
    announce: z.array(prefixField).optional().describe('prefixes that are ours whatever the routing table says'),
    redistribute: z
      .array(redistributed)
      .optional()
      .describe('which other routes of the router are announced: the first rule that matches decides; default: none'),
    filters: z
      .strictObject({ in: z.array(rule).default([]), out: z.array(rule).default([]) })
      .optional()
      .describe('what is taken from neighbours, and what is said to them; default: everything'),
  }
}
