/**
 * A policy as it runs: packets in, verdicts out. Rules are tried in their order; one that rewrites changes what the next ones
 * see, the first other one that fits decides, and where none does the default.
 */
import type { PolicyCount } from '../../../src/api/routes.ts'
import type { PolicyFunction, PolicyOptions, PolicyVerdict } from '../../../src/api/rules.ts'
import { invalidType, invalidValue } from '../../../src/kernel/errors.ts'
import { type Change, CompiledRule, type Mismatch } from './compiled-rule.ts'
import type { PacketKey } from './packet-key.ts'
import { RuleLists } from './rule-lists.ts'

/** Who changes packets, and hears of functions that fail. */
export interface PolicyOwner {
  /** Does to the packet, and to `key`, what a rule says. */
  change(key: PacketKey, change: Change): void
  failed(error: unknown): void
}

/** Told of each rule that is tried, by those who ask why. */
export interface Trial {
  readonly rule: CompiledRule
  /** Null when it matched. */
  readonly mismatch: Mismatch | null
}

const VERDICTS: readonly PolicyVerdict[] = ['allow', 'deny', 'reject']

export class Policy {
  private readonly rules: readonly CompiledRule[]
  private readonly lists: RuleLists
  private readonly decider: PolicyFunction | null
  private readonly otherwise: PolicyVerdict
  private undecided = 0

  /** @throws TypeError ERR_INVALID_ARG_VALUE, ERR_INVALID_ARG_TYPE, RangeError ERR_OUT_OF_RANGE — a rule makes no sense. */
  constructor({ rules, default: otherwise = 'allow' }: PolicyOptions) {
    if (!VERDICTS.includes(otherwise)) throw invalidValue('policy.default', `one of ${VERDICTS.join(', ')}`, otherwise)
    if (typeof rules !== 'function' && !Array.isArray(rules)) {
      throw invalidType('policy.rules', 'a list of rules, or a function', rules)
    }
    this.decider = typeof rules === 'function' ? rules : null
    this.rules = Array.isArray(rules) ? rules.map((rule, i) => new CompiledRule(rule, `policy.rules[${i}]`, i + 1)) : []
    const names = this.rules.map(({ name }) => name)
    const twice = names.find((name, i) => names.indexOf(name) !== i)
    if (twice !== undefined) throw invalidValue('policy.rules', 'of different names', twice)
    this.lists = new RuleLists(this.rules)
    this.otherwise = otherwise
  }

  /** Links have come or gone. @param index of a link by name; 0 where there is none. */
  bind(index: (name: string) => number): void {
    for (const rule of this.rules) rule.bind(index)
  }

  /** Goes on counting where another left off: of rules that are the same there, and of the same default. */
  resume({ rules, otherwise, undecided }: Policy): void {
    const old = [...rules]
    for (const rule of this.rules) {
      const at = old.findIndex(({ definition }) => definition === rule.definition)
      if (at >= 0) rule.packets = old.splice(at, 1)[0]?.packets ?? 0
    }
    if (otherwise === this.otherwise) this.undecided = undecided
  }

  decide(key: PacketKey, owner: PolicyOwner): PolicyVerdict {
    if (this.decider !== null) return this.ask(this.decider, key, owner)
    const rules = this.lists.of(key)
    for (let i = 0; i < rules.length; i++) {
      const rule = rules[i] as CompiledRule
      if (rule.mismatchOf(key) !== null) continue
      rule.packets++
      if (rule.verdict !== null) return rule.verdict
      if (rule.change !== null) owner.change(key, rule.change)
    }
    this.undecided++
    return this.otherwise
  }

  /** As `decide`, with every rule that was tried. Counts nothing; a function is asked, and says no more than its verdict. */
  explain(key: PacketKey, owner: PolicyOwner): { verdict: PolicyVerdict; trials: Trial[] } {
    const trials: Trial[] = []
    if (this.decider !== null) return { verdict: this.ask(this.decider, key, owner), trials }
    for (const rule of this.rules) {
      const mismatch = rule.mismatch(key)
      trials.push({ rule, mismatch })
      if (mismatch !== null) continue
      if (rule.verdict !== null) return { verdict: rule.verdict, trials }
      if (rule.change !== null) owner.change(key, rule.change)
    }
    return { verdict: this.otherwise, trials }
  }

  /** How often each rule matched, and the default decided. */
  counts(): Omit<PolicyCount, 'family'>[] {
    return [
      ...this.rules.map(({ name, verdict, packets }) => ({ name, action: verdict ?? ('rewrite' as const), packets })),
      { name: 'default', action: this.otherwise, packets: this.undecided },
    ]
  }

  private ask(decider: PolicyFunction, key: PacketKey, owner: PolicyOwner): PolicyVerdict {
    try {
      const verdict = decider(key)
      if (verdict !== undefined) return verdict
      this.undecided++
      return this.otherwise
    } catch (error) {
      owner.failed(error)
      return 'deny'
    }
  }
}

/**
 * What a family is told of a policy. Every node counts for itself, so what is checked here is made once more for each.
 * @throws TypeError, RangeError — as `Policy`.
 */
export function checkPolicy(options: PolicyOptions | undefined): PolicyOptions | null {
  if (options === undefined) return null
  new Policy(options)
  return options
}
