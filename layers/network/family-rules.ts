/**
 * What a family holds packets against, besides what every node does: a policy, and routes of groups. They are exchanged while
 * packets flow; each packet meets the old ones or the new ones, never both.
 */
import type { GroupCount } from '../../src/api/routes.ts'
import type { PolicyOptions } from '../../src/api/rules.ts'
import { type GroupPort, GroupRoutes, type ParsedGroupRoute } from './membership/group-routes.ts'
import { Policy } from './policy/policy.ts'
import type { ReversePath } from './reverse-path.ts'

/** How often a rule of a family's policy matched. */
export type RuleCount = ReturnType<Policy['counts']>[number]

/** `Filter` is how a family looks at packets. */
export class FamilyRules<Filter> {
  readonly forwarding: boolean
  /** Null: sources are not checked. */
  readonly reversePath: ReversePath | null
  /** Null: all may pass. */
  filter: Filter | null = null
  /** Null where no groups are sent on. */
  groups: GroupRoutes | null = null
  private policy: Policy | null = null
  private readonly ports: readonly (GroupPort | undefined)[]
  private readonly filterOf: (policy: Policy) => Filter

  /** @param ports by index, kept by the family. @param filterOf how it looks at packets by a policy. */
  constructor(
    forwarding: boolean,
    reversePath: ReversePath | null,
    ports: readonly (GroupPort | undefined)[],
    filterOf: (policy: Policy) => Filter,
  ) {
    this.forwarding = forwarding
    this.reversePath = reversePath
    this.ports = ports
    this.filterOf = filterOf
  }

  /** @param options null: all may pass. @throws as `Policy`; nothing was changed then. */
  setPolicy(options: PolicyOptions | null): void {
    const policy = options === null ? null : new Policy(options)
    if (policy !== null && this.policy !== null) policy.resume(this.policy)
    this.bindPolicy(policy)
    this.filter = policy === null ? null : this.filterOf(policy)
    this.policy = policy
  }

  setGroups(routes: readonly ParsedGroupRoute[]): void {
    const old = this.groups
    const groups = this.forwarding && routes.length > 0 ? new GroupRoutes(routes) : null
    if (groups !== null && old !== null) groups.resume(old)
    // Joined anew before they are left, so that nobody upstream is told of what stays.
    groups?.bind(this.ports)
    old?.leave()
    this.groups = groups
  }

  /** Links have come or gone. */
  bind(): void {
    this.groups?.bind(this.ports)
    this.bindPolicy(this.policy)
  }

  policyCounts(): readonly RuleCount[] {
    return this.policy?.counts() ?? []
  }

  groupCounts(): readonly GroupCount[] {
    return this.groups?.counts() ?? []
  }

  private bindPolicy(policy: Policy | null): void {
    policy?.bind((name) => this.ports.find((one) => one?.port.name === name)?.port.index ?? 0)
  }
}
