/** Rules of a node that are exchanged while packets flow: its policy, its translation, and its routes of groups. */
import type { GroupRoute, NatOptions, NetworkRules, PolicyOptions } from '../../src/api/rules.ts'
import type { IpAddress } from '../../src/kernel/address.ts'
import { invalidValue } from '../../src/kernel/errors.ts'
import type { Family } from './family.ts'
import { groupRoutesOf } from './membership/group-routes.ts'
import { natSettings } from './nat/options.ts'
import { checkPolicy } from './policy/policy.ts'

export class Rules implements NetworkRules {
  private readonly families: () => ReadonlySet<Family>
  private readonly familyOf: (address: IpAddress) => Family | undefined

  constructor(families: () => ReadonlySet<Family>, familyOf: (address: IpAddress) => Family | undefined) {
    this.families = families
    this.familyOf = familyOf
  }

  setPolicy(policy: PolicyOptions | null): void {
    const checked = checkPolicy(policy ?? undefined)
    for (const family of this.families()) family.rules.setPolicy(checked)
  }

  setTranslation(nat: NatOptions | null): void {
    const settings = nat === null ? null : natSettings(nat)
    const translators = [...this.families()].filter(({ translation }) => translation !== undefined)
    if (settings !== null && !translators.some(({ rules }) => rules.forwarding)) {
      throw invalidValue('nat', 'for a node that forwards IPv4', settings.link)
    }
    for (const { translation } of translators) translation?.set(settings)
  }

  setGroups(routes: readonly GroupRoute[]): void {
    const parsed = groupRoutesOf(routes, (address) => this.familyOf(address)?.isMulticast(address) ?? false)
    for (const family of this.families()) {
      family.rules.setGroups(parsed.filter(({ group }) => this.familyOf(group.address) === family))
    }
  }
}
