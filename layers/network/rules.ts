/** Rules of a node that are exchanged while packets flow: its policy, its translation, and its routes of groups. */
import type { IpAddress } from '../../src/kernel/address.ts'
import { invalidValue } from '../../src/kernel/errors.ts'
import type { Family } from './family.ts'
import { type GroupRoute, groupRoutesOf } from './membership/group-routes.ts'
import { type NatOptions, natSettings } from './nat/options.ts'
import { checkPolicy } from './policy/policy.ts'
import type { PolicyOptions } from './policy/rules.ts'

/** Each takes all it is given, or throws and changes nothing; from the next packet on the new rules count. */
export interface NetworkRules {
  /**
   * Both families have one policy from now on. Rules that are the same as before go on counting, and sessions of translation
   * stay; what they carry is held against the new rules.
   * @param policy null: all may pass. @throws TypeError, RangeError — as `ipv4`, `ipv6`.
   */
  setPolicy(policy: PolicyOptions | null): void
  /**
   * Sessions go on, with their ports outside, as far as what is said now allows; all end when the link is another.
   * @param nat null: none. @throws TypeError ERR_INVALID_ARG_VALUE, RangeError — as `ipv4`; or the node forwards no IPv4.
   */
  setTranslation(nat: NatOptions | null): void
  /** Groups that are routed before and after are not left meanwhile. @throws TypeError ERR_INVALID_ARG_VALUE — as `ipv4`, `ipv6`. */
  setGroups(routes: readonly GroupRoute[]): void
}

export class Rules implements NetworkRules {
  private readonly families: readonly Family[]
  private readonly familyOf: (address: IpAddress) => Family | undefined

  constructor(families: readonly Family[], familyOf: (address: IpAddress) => Family | undefined) {
    this.families = families
    this.familyOf = familyOf
  }

  setPolicy(policy: PolicyOptions | null): void {
    const checked = checkPolicy(policy ?? undefined)
    for (const family of this.families) family.rules.setPolicy(checked)
  }

  setTranslation(nat: NatOptions | null): void {
    const settings = nat === null ? null : natSettings(nat)
    const translators = this.families.filter(({ translation }) => translation !== undefined)
    if (settings !== null && !translators.some(({ rules }) => rules.forwarding)) {
      throw invalidValue('nat', 'for a node that forwards IPv4', settings.link)
    }
    for (const { translation } of translators) translation?.set(settings)
  }

  setGroups(routes: readonly GroupRoute[]): void {
    const parsed = groupRoutesOf(routes, (address) => this.familyOf(address)?.isMulticast(address) ?? false)
    for (const family of this.families) {
      family.rules.setGroups(parsed.filter(({ group }) => this.familyOf(group.address) === family))
    }
  }
}
