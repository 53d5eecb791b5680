/**
 * The groups whose packets we take on one link, each with whose packets: who wants a group joins it, with a filter of its own,
 * and it lasts until all have left it. Whoever reports memberships (IGMP, MLD) is told of what they come to together.
 */
import type { IpAddress } from '../../../src/kernel/address.ts'
import { folded } from '../flow.ts'
import { EVERYBODY, lets, NOBODY, type SourceFilter, together } from './source-filter.ts'

/** Told what is wanted of a group, whenever it has changed; `NOBODY`: it was left. */
export type GroupListener = (group: IpAddress, filter: SourceFilter) => void

/** One who has joined. */
export interface Member {
  /** Wants something else of the group from now on. */
  change(filter: SourceFilter): void
  leave(): void
}

class Group {
  readonly address: IpAddress
  readonly members = new Set<{ filter: SourceFilter; readonly own: boolean }>()
  /** What all want together, and what those want of this node's own. */
  filter: SourceFilter = NOBODY
  ownFilter: SourceFilter = NOBODY

  constructor(address: IpAddress) {
    this.address = address
  }
}

export class Groups {
  /** By `folded`. */
  private readonly groups = new Map<number, Group[]>()
  /** Those who came by `join`, to be found again by `leave`. */
  private plain: { readonly group: IpAddress; readonly member: Member }[] = []
  private listener: GroupListener | null = null

  /** One more wants packets of `group`. @param own not to send them on, but for somebody here. */
  enter(address: IpAddress, filter: SourceFilter, own = true): Member {
    const group = this.find(address) ?? this.add(address)
    const member = { filter, own }
    group.members.add(member)
    this.update(group)
    return {
      change: (next) => {
        member.filter = next
        this.update(group)
      },
      leave: () => {
        if (group.members.delete(member)) this.update(group)
      },
    }
  }

  /** One more wants the packets of `group`, whoever sends them. */
  join(group: IpAddress): void {
    this.plain.push({ group: group.clone(), member: this.enter(group, EVERYBODY) })
  }

  /** Undoes one `join`. @returns false when there was none. */
  leave(group: IpAddress): boolean {
    const at = this.plain.findIndex((one) => one.group.equals(group))
    if (at < 0) return false
    this.plain[at]?.member.leave()
    this.plain.splice(at, 1)
    return true
  }

  /** Undoes every `join`. */
  leaveAll(): void {
    for (const { member } of this.plain) member.leave()
    this.plain = []
  }

  /** Is anything wanted of the group? */
  has(group: IpAddress): boolean {
    return this.find(group) !== undefined
  }

  /** Does somebody here want what `source` sends to `group`? */
  takes(group: IpAddress, source: IpAddress): boolean {
    const found = this.find(group)
    return found !== undefined && lets(found.ownFilter, source)
  }

  /** Groups of which anything is wanted. */
  list(): IpAddress[] {
    return [...this.groups.values()].flat().map(({ address }) => address)
  }

  /** Tells `listener` of what is wanted now, and of every change; null: nobody. */
  report(listener: GroupListener | null): void {
    this.listener = listener
    if (listener === null) return
    for (const { address, filter } of [...this.groups.values()].flat()) listener(address, filter)
  }

  private update(group: Group): void {
    const before = group.filter
    const members = [...group.members]
    group.filter = together(members.map(({ filter }) => filter))
    group.ownFilter = together(members.filter(({ own }) => own).map(({ filter }) => filter))
    if (group.members.size === 0) this.remove(group)
    if (!same(before, group.filter)) this.listener?.(group.address, group.filter)
  }

  private add(address: IpAddress): Group {
    const group = new Group(address.clone())
    const key = folded(address)
    this.groups.set(key, [...(this.groups.get(key) ?? []), group])
    return group
  }

  private remove(group: Group): void {
    const key = folded(group.address)
    const others = (this.groups.get(key) ?? []).filter((other) => other !== group)
    if (others.length === 0) this.groups.delete(key)
    else this.groups.set(key, others)
  }

  private find(address: IpAddress): Group | undefined {
    const found = this.groups.get(folded(address))
    if (found === undefined) return undefined
    for (const group of found) if (group.address.equals(address)) return group
    return undefined
  }
}

function same(a: SourceFilter, b: SourceFilter): boolean {
  return (
    a.mode === b.mode && a.sources.length === b.sources.length && a.sources.every((one, i) => b.sources[i]?.equals(one))
  )
}
