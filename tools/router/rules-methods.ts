/** What a router answers of the rules that it holds packets against: its policy, its translation, its routes of groups. */
import { z } from 'zod'
import {
  type PolicyCount,
  type PolicyRule,
  type PolicyTest,
  type RouteExplanation,
  type SamplePacket,
  type TranslationSession,
  type TranslationStatus,
  testPolicy,
} from '../../src/index.ts'
import { type ControlMethods, MOST_LISTED } from '../control/server.ts'
import { CommandError, EXIT } from '../exit.ts'
import type { Daemon } from './daemon.ts'
import { type RulePolicy, ruleName, ruleText } from './policy.ts'

/** A rule with how often it matched; the last one is the default. */
export interface PolicyRow {
  readonly name: string
  readonly action: PolicyCount['action']
  /** In words. */
  readonly text: string
  /** As the file has it; undefined for the default. */
  readonly rule: PolicyRule | undefined
  /** By family; without IPv6 there are none of it. */
  readonly packets: { readonly ipv4: number; readonly ipv6?: number | undefined }
}

/** What would become of a packet, with the links it was held to pass. */
export interface SampleAnswer extends PolicyTest {
  readonly packet: SamplePacket
}

/** What translation does, and some of its sessions. */
export interface NatAnswer extends TranslationStatus {
  readonly listed: readonly TranslationSession[]
  /** Packets that it dropped, by reason. */
  readonly drops: Readonly<Record<string, number>>
}

const natParams = z.strictObject({ limit: z.int().min(0).max(MOST_LISTED), host: z.string().optional() })

const port = z.int().min(0).max(65_535).optional()
const sampleParams: z.ZodType<SamplePacket> = z.strictObject({
  hook: z.enum(['forward', 'input', 'output']).optional(),
  in: z.string().optional(),
  out: z.string().optional(),
  source: z.string(),
  destination: z.string(),
  protocol: z.union([z.enum(['tcp', 'udp', 'icmp', 'icmpv6']), z.int().min(0).max(255)]).optional(),
  sourcePort: port,
  destinationPort: port,
  icmpType: z.int().min(0).max(255).optional(),
  tcpFlags: z.string().optional(),
  answer: z.boolean().optional(),
})

export function rulesMethods(daemon: Daemon): ControlMethods['calls'] {
  const { network } = daemon.router.node.top
  return {
    policy: () => policyRows(policyOf(daemon), network.policy()),
    policyTest: (params) =>
      sampleAnswer(
        policyOf(daemon),
        withWay(sampleParams.parse(params), (to) => network.routes.explain(to)),
      ),
    nat: (params) => natAnswer(daemon, natParams.parse(params)),
  }
}

/** @throws CommandError — the file does not speak of it. */
function policyOf({ router, path }: Daemon): RulePolicy {
  const { policy } = router.state
  if (policy === undefined) throw saysNothing(path, 'policy')
  return policy
}

/** Rules as the file has them, with what they have met. */
export function policyRows(policy: RulePolicy, counts: readonly PolicyCount[]): PolicyRow[] {
  const of = (family: PolicyCount['family']) => counts.filter((count) => count.family === family)
  const [ipv4, ipv6] = [of('ipv4'), of('ipv6')]
  const packets = (i: number): PolicyRow['packets'] => ({ ipv4: ipv4[i]?.packets ?? 0, ipv6: ipv6[i]?.packets })
  const { rules, default: otherwise = 'allow' } = policy
  return [
    ...rules.map((rule, i) => ({
      ...{ name: ruleName(rule, i), action: rule.action, text: ruleText(rule), rule, packets: packets(i) },
    })),
    { name: 'default', action: otherwise, text: otherwise, rule: undefined, packets: packets(rules.length) },
  ]
}

/** Holds a policy against a packet. */
export const sampleAnswer = (policy: RulePolicy, packet: SamplePacket): SampleAnswer => ({
  ...testPolicy(policy, packet),
  packet,
})

/** Fills in what was left out of a packet's way, as the routes say: its hook, and the links it comes and goes by. */
function withWay(packet: SamplePacket, explain: (destination: string) => RouteExplanation): SamplePacket {
  const [to, from] = [explain(packet.destination), explain(packet.source)]
  const hook = packet.hook ?? (to.local ? 'input' : from.local ? 'output' : 'forward')
  return {
    ...packet,
    hook,
    in: packet.in ?? (hook === 'output' ? undefined : from.chosen?.link),
    out: packet.out ?? (hook === 'input' ? undefined : to.chosen?.link),
  }
}

/** @throws CommandError — the file does not speak of it. */
function natAnswer({ router, path }: Daemon, { limit, host }: z.infer<typeof natParams>): NatAnswer {
  const { network } = router.node.top
  const status = network.translation()
  if (status === undefined) throw saysNothing(path, 'nat')
  const drops = router.node
    .snapshot()
    .flatMap((boundary) => Object.entries(boundary.drops).filter(([reason]) => reason.startsWith('nat')))
  return { ...status, listed: network.translationSessions(limit, host), drops: Object.fromEntries(drops) }
}

const saysNothing = (path: string, section: string): CommandError =>
  new CommandError(`${path} says nothing of ${section}`, EXIT.failure, 'ENOPROTOOPT')
