/** A router's policy: what the file says of it, and how its rules are told in words. */
import { z } from 'zod'
import { CompiledRule } from '../../layers/network/policy/compiled-rule.ts'
import { PROTOCOL } from '../../layers/network/service.ts'
import type { OneOrMore, PolicyOptions, PolicyRule } from '../../src/index.ts'
import { parsePrefix } from '../../src/kernel/address.ts'
import { linkNameField } from '../stack/config.ts'
import type { Problem } from '../stack/yaml.ts'
import type { RouterFile } from './config.ts'
import { usesIpv6 } from './declared.ts'
import { complaintAt, faultOf } from './fault-of.ts'

/** A policy as a file can have it: of rules. */
export interface RulePolicy extends PolicyOptions {
  readonly rules: readonly PolicyRule[]
}

const oneOrMore = <Item>(item: z.ZodType<Item>): z.ZodType<OneOrMore<Item>> => z.union([item, z.array(item).min(1)])

const networkField = z
  .string()
  .refine((text) => faultOf(() => parsePrefix(text)) === undefined, "not an address or a prefix such as '10.0.0.0/8'")
const portField = z.union([
  z.int().min(0).max(65_535),
  z.string().regex(/^\d+(?:-\d+)?$/, "not a port, or a range such as '6000-6063'"),
])
const nameField = z
  .string()
  .min(1)
  .refine((name) => name !== 'default', "'default' is what becomes of packets that no rule decides about")

const rule: z.ZodType<PolicyRule> = z.strictObject({
  name: nameField.optional().describe('what commands and figures call it; default: its number, from 1'),
  hook: oneOrMore(z.enum(['forward', 'input', 'output']))
    .optional()
    .describe('packets on their way through, to the router, from the router; default: all'),
  in: oneOrMore(linkNameField).optional().describe('the link it came in by'),
  out: oneOrMore(linkNameField).optional().describe('the link it leaves by'),
  source: oneOrMore(networkField).optional().describe('prefixes of either family'),
  destination: oneOrMore(networkField).optional().describe('prefixes of either family'),
  protocol: oneOrMore(z.union([z.enum(['tcp', 'udp', 'icmp', 'icmpv6']), z.int().min(0).max(255)])).optional(),
  sourcePort: oneOrMore(portField).optional(),
  destinationPort: oneOrMore(portField).optional().describe("80, '6000-6063', or several"),
  icmpType: oneOrMore(z.int().min(0).max(255)).optional(),
  tcp: z.enum(['established', 'new']).optional().describe('by its flags: ACK or RST, or SYN alone'),
  answer: z.boolean().optional().describe('it answers what `nat` has let out'),
  action: z
    .enum(['allow', 'deny', 'reject', 'rewrite'])
    .describe('let it pass, drop it in silence, drop it and tell its sender; or change it and go on'),
  rewrite: z
    .strictObject({
      dscp: z.int().min(0).max(63).optional(),
      destination: z.string().optional(),
      destinationPort: z.int().min(1).max(65_535).optional(),
    })
    .optional()
    .describe("with the action 'rewrite': what is put in place of what is there"),
})

export const policyField: z.ZodType<RulePolicy> = z.strictObject({
  default: z.enum(['allow', 'deny', 'reject']).optional().describe('for what no rule decides about; default allow'),
  rules: z.array(rule).default([]).describe('tried in order: the first that decides does'),
})

/** What is wrong with the policy of a file, rule by rule. */
export function wrongPolicy(file: RouterFile): Problem[] {
  const { policy, links, nat } = file
  const hasIpv6 = file.ipv6 ?? usesIpv6(file)
  const names = new Set<string>()
  return (policy?.rules ?? []).flatMap((rule, i, rules): Problem[] => {
    const path = ['policy', 'rules', i]
    const problems = (['in', 'out'] as const).flatMap((side): Problem[] => {
      const unknown = listOf(rule[side]).find((name) => !Object.hasOwn(links, name))
      return unknown === undefined ? [] : [{ path: [...path, side], message: `there is no link '${unknown}'` }]
    })
    const fault = faultOf(() => new CompiledRule(rule, path.reduce(placeText, ''), i + 1))
    if (fault !== undefined) problems.push(complaintAt(fault, path))
    else if (!hasIpv6) problems.push(...ofIpv6(rule, path))
    if (rule.answer === true && nat === undefined)
      problems.push({ path: [...path, 'answer'], message: 'there are no answers without `nat`' })
    const name = ruleName(rule, i)
    if (names.has(name)) {
      problems.push({ path: [...path, 'name'], message: `another rule is called '${name}', too` })
    }
    names.add(name)
    if (i < rules.length - 1 && decidesAll(rule))
      problems.push({ path, message: 'it decides about every packet: the rules behind it are never reached' })
    return problems
  })
}

/** What no packet of a router without IPv6 can have. */
function ofIpv6(rule: PolicyRule, path: readonly PropertyKey[]): Problem[] {
  const among = <Item>(field: string[], value: OneOrMore<Item> | undefined, isOf: (item: Item) => boolean): Problem[] =>
    listOf(value).flatMap((item, i) => {
      const place = [...path, ...field, ...(Array.isArray(value) ? [i] : [])]
      const message = `${item} is of IPv6, which this router does not route: say \`ipv6: true\`, or leave it out`
      return isOf(item) ? [{ path: place, message }] : []
    })
  const isPrefix = (text: string) => !parsePrefix(text).address.isIpv4
  return [
    ...among(['source'], rule.source, isPrefix),
    ...among(['destination'], rule.destination, isPrefix),
    ...among(['protocol'], rule.protocol, (protocol) => protocol === 'icmpv6' || protocol === PROTOCOL.icmpv6),
    ...among(['rewrite', 'destination'], rule.rewrite?.destination, isPrefix),
  ]
}

const placeText = (text: string, key: string | number): string =>
  typeof key === 'number' ? `${text}[${key}]` : text === '' ? key : `${text}.${key}`

const decidesAll = ({ name: _name, action, ...conditions }: PolicyRule): boolean =>
  action !== 'rewrite' && Object.values(conditions).every((value) => value === undefined)

/** A rule in words: 'allow forward in lan tcp to port 443'. */
export function ruleText(rule: PolicyRule): string {
  const { action, rewrite = {}, hook, protocol, source, destination, sourcePort, destinationPort, answer } = rule
  const changes = Object.entries(rewrite).map(([name, value]) => `${name} ${value}`)
  return [
    action,
    changes.join(', '),
    told('', hook),
    told('in ', rule.in),
    told('out ', rule.out),
    told('', protocol),
    side('from', source, sourcePort),
    side('to', destination, destinationPort),
    told('type ', rule.icmpType),
    rule.tcp ?? '',
    answer === undefined ? '' : answer ? 'answer' : 'no answer',
  ]
    .filter((part) => part !== '')
    .join(' ')
}

function side(word: string, network: PolicyRule['source'], port: PolicyRule['sourcePort']): string {
  const said = [told('', network), told('port ', port)].filter((part) => part !== '')
  return said.length === 0 ? '' : `${word} ${said.join(' ')}`
}

const told = <Item>(word: string, value: OneOrMore<Item> | undefined): string =>
  value === undefined ? '' : `${word}${listOf(value).join('|')}`

const listOf = <Item>(value: OneOrMore<Item> | undefined): readonly Item[] =>
  value === undefined ? [] : Array.isArray(value) ? value : [value as Item]

/** What to call a rule. */
export const ruleName = ({ name }: PolicyRule, i: number): string => name ?? String(i + 1)
