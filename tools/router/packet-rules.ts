/**
 * What a router holds packets against: its policy, its translation, and its routes of groups. A reload exchanges each of them
 * whole, so that no packet meets half of the old and half of the new.
 */
import { isDeepStrictEqual } from 'node:util'
import type { GroupRoute, NatOptions, NetworkRules } from '../../src/index.ts'
import { groupText } from './groups.ts'
import { natText } from './nat.ts'
import { type RulePolicy, ruleName, ruleText } from './policy.ts'

/** What is left out there is none of. */
export interface PacketRules {
  readonly policy?: RulePolicy | undefined
  readonly nat?: NatOptions | undefined
  readonly groups?: readonly GroupRoute[] | undefined
}

export const packetRules = ({ policy, nat, groups }: PacketRules): PacketRules => ({ policy, nat, groups })

/** One of them becomes another. */
export type RulesStep = { readonly verb: 'change' } & (
  | { readonly what: 'policy'; readonly old: PacketRules['policy']; readonly wanted: PacketRules['policy'] }
  | { readonly what: 'nat'; readonly old: PacketRules['nat']; readonly wanted: PacketRules['nat'] }
  | { readonly what: 'groups'; readonly old: PacketRules['groups']; readonly wanted: PacketRules['groups'] }
)

/** The steps from some to others; none when they are the same. */
export function changedRules(old: PacketRules, wanted: PacketRules): RulesStep[] {
  const steps: RulesStep[] = [
    { verb: 'change', what: 'policy', old: old.policy, wanted: wanted.policy },
    { verb: 'change', what: 'nat', old: old.nat, wanted: wanted.nat },
    { verb: 'change', what: 'groups', old: old.groups, wanted: wanted.groups },
  ]
  return steps.filter((step) => !isDeepStrictEqual(step.old, step.wanted))
}

/** What takes a step back; the types of its two ends are the same. */
export const oppositeRulesStep = (step: RulesStep): RulesStep =>
  ({ ...step, old: step.wanted, wanted: step.old }) as RulesStep

/**
 * Whether taking it and then taking it back harms what there is: sessions of translation. Where the link to the outside is
 * another one it goes first all the same, since until then nobody is hidden there.
 */
export const endsSessions = (step: RulesStep): boolean =>
  step.what === 'nat' && step.old !== undefined && (step.wanted === undefined || step.wanted.link === step.old.link)

/** Takes a step. It may throw, and has then changed nothing. */
export function takeRulesStep(rules: NetworkRules, step: RulesStep): void {
  if (step.what === 'policy') rules.setPolicy(step.wanted ?? null)
  else if (step.what === 'nat') rules.setTranslation(step.wanted ?? null)
  else rules.setGroups(step.wanted ?? [])
}

/** A step as lines of a diff. */
export function describeRulesStep(step: RulesStep): string {
  const [old, wanted] =
    step.what === 'policy'
      ? [policyText(step.old), policyText(step.wanted)]
      : step.what === 'nat'
        ? [step.old, step.wanted].map((nat) => (nat === undefined ? [] : natText(nat)))
        : [step.old, step.wanted].map((groups) => groups?.map(groupText) ?? [])
  const gone = missing(old ?? [], wanted ?? []).map((line) => `  - ${line}`)
  const come = missing(wanted ?? [], old ?? []).map((line) => `  + ${line}`)
  const lines = [...gone, ...come]
  return [`~ ${step.what}`, ...(lines.length === 0 ? ['  in another order'] : lines)].join('\n')
}

const policyText = (policy: PacketRules['policy']): string[] =>
  policy === undefined
    ? []
    : [
        ...policy.rules.map((rule) => `${rule.name === undefined ? '' : `${ruleName(rule, 0)}: `}${ruleText(rule)}`),
        `default ${policy.default ?? 'allow'}`,
      ]

/** Lines of one list that are not in another. */
function missing(lines: readonly string[], others: readonly string[]): string[] {
  const left = [...others]
  return lines.filter((line) => {
    const at = left.indexOf(line)
    if (at >= 0) left.splice(at, 1)
    return at < 0
  })
}
