/**
 * The groups whose packets we take on one link (RFC 4291 §2.8). Whoever wants one joins it, and it lasts until all have
 * left it; all nodes is there always. A reporter (MLD) is told of each that comes and goes.
 */
import type { IpAddress } from '../../../src/kernel/address.ts'
import { folded } from '../flow.ts'
import { ALL_NODES } from './address-kinds.ts'

/** Told of groups, when they come to be joined and when nobody is left in them. */
export interface GroupReporter {
  joined(group: IpAddress): void
  left(group: IpAddress): void
}

class Membership {
  readonly group: IpAddress
  count = 1

  constructor(group: IpAddress) {
    this.group = group
  }
}

export class Groups {
  /** By `folded`. */
  private readonly members = new Map<number, Membership[]>()
  private reporter: GroupReporter | null = null

  /** One more wants the packets of `group`. */
  join(group: IpAddress): void {
    const known = this.find(group)
    if (known !== undefined) {
      known.count++
      return
    }
    const membership = new Membership(group.clone())
    const key = folded(group)
    this.members.set(key, [...(this.members.get(key) ?? []), membership])
    this.reporter?.joined(membership.group)
  }

  /** Undoes one `join`. @returns false when there was none. */
  leave(group: IpAddress): boolean {
    const known = this.find(group)
    if (known === undefined) return false
    if (--known.count > 0) return true
    const key = folded(group)
    const others = (this.members.get(key) ?? []).filter((other) => other !== known)
    if (others.length === 0) this.members.delete(key)
    else this.members.set(key, others)
    this.reporter?.left(known.group)
    return true
  }

  /** Do we take what is sent to `group`? */
  has(group: IpAddress): boolean {
    return group.equals(ALL_NODES) || this.find(group) !== undefined
  }

  /** All that have been joined; all nodes is not among them unless somebody did so. */
  list(): IpAddress[] {
    return [...this.members.values()].flat().map(({ group }) => group)
  }

  /** Tells `reporter` of what is there, and from now on of what changes; null: nobody. */
  report(reporter: GroupReporter | null): void {
    this.reporter = reporter
    if (reporter !== null) for (const group of this.list()) reporter.joined(group)
  }

  private find(group: IpAddress): Membership | undefined {
    const found = this.members.get(folded(group))
    if (found === undefined) return undefined
    for (const membership of found) if (membership.group.equals(group)) return membership
    return undefined
  }
}
