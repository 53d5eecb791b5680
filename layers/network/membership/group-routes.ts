/**
 * Static routes of groups: what is sent to a group comes in by one link and goes on by others. Whoever runs the node says so, no
 * routing protocol; and since each has one link it comes in by, nothing goes round in circles that the routes of one node make.
 */
import type { GroupCount } from '../../../src/api/routes.ts'
import type { GroupRoute } from '../../../src/api/rules.ts'
import { type IpAddress, type Prefix, parseAddress, parsePrefix } from '../../../src/kernel/address.ts'
import { invalidValue } from '../../../src/kernel/errors.ts'
import type { Port } from '../family.ts'
import { maskOf } from '../prefix-trie.ts'
import type { Groups, Member } from './groups.ts'
import { EVERYBODY, type SourceFilter } from './source-filter.ts'

/** A link as far as groups go. */
export interface GroupPort {
  readonly port: Port
  readonly groups: Groups
}

/** A route with its links found, and what came for it. */
class Bound {
  readonly route: ParsedGroupRoute
  from = 0
  to: readonly number[] = NOWHERE
  packets = 0

  constructor(route: ParsedGroupRoute) {
    this.route = route
  }
}

/** A route as the families use it. */
export interface ParsedGroupRoute {
  readonly group: Prefix
  readonly source: Prefix | null
  /** The group is a single one. */
  readonly isOne: boolean
  readonly from: string
  readonly to: readonly string[]
}

const NOWHERE: readonly number[] = []

/** @param isGroup of the family. @throws TypeError ERR_INVALID_ARG_VALUE */
export function groupRoutesOf(
  routes: readonly GroupRoute[],
  isGroup: (address: IpAddress) => boolean,
): readonly ParsedGroupRoute[] {
  return routes.map(({ group, source, from, to }) => {
    const parsed = group.includes('/')
      ? parsePrefix(group, 'groups')
      : { address: parseAddress(group, 'groups'), length: -1 }
    const whole = parsed.address.isIpv4 ? 32 : 128
    const length = parsed.length < 0 ? whole : parsed.length
    if (!isGroup(parsed.address)) throw invalidValue('groups', 'groups of this family', group)
    if (to.length === 0 || to.includes(from))
      throw invalidValue('groups.to', `links other than '${from}'`, to.join(', '))
    return {
      group: { address: parsed.address, length },
      source: source === undefined ? null : parsePrefix(source, 'groups.source'),
      isOne: length === whole,
      from,
      to,
    }
  })
}

export class GroupRoutes {
  private readonly bound: readonly Bound[]
  /** What was joined on the links that are there. */
  private readonly joined = new Map<Groups, readonly Member[]>()

  constructor(routes: readonly ParsedGroupRoute[]) {
    this.bound = routes.map((route) => new Bound(route))
  }

  /** Links have come or gone. Single groups are joined on the link that they come in by, for those they go on to. */
  bind(ports: readonly (GroupPort | undefined)[]): void {
    const index = (name: string): number => ports.find((one) => one?.port.name === name)?.port.index ?? 0
    for (const bound of this.bound) {
      bound.from = index(bound.route.from)
      bound.to = bound.route.to.map(index).filter((link) => link !== 0)
    }
    const there = ports.filter((one) => one !== undefined)
    for (const [gone, members] of [...this.joined]) {
      if (there.some(({ groups }) => groups === gone)) continue
      for (const member of members) member.leave()
      this.joined.delete(gone)
    }
    for (const { port, groups } of there) if (!this.joined.has(groups)) this.joined.set(groups, this.join(port, groups))
  }

  /** Others take the place of these. */
  leave(): void {
    for (const members of this.joined.values()) for (const member of members) member.leave()
    this.joined.clear()
  }

  /** Goes on counting where others left off: routes that are the same there. */
  resume({ bound: old }: GroupRoutes): void {
    for (const mine of this.bound) mine.packets = old.find(({ route }) => isSame(route, mine.route))?.packets ?? 0
  }

  counts(): GroupCount[] {
    return this.bound.map(({ route: { group, source, from, to }, packets }) => ({
      group: text(group),
      source: source === null ? undefined : text(source),
      from,
      to,
      packets,
    }))
  }

  private join(port: Port, groups: Groups): readonly Member[] {
    return this.bound.flatMap(({ route: { group, source, isOne, from } }) =>
      from === port.name && isOne
        ? [groups.enter(group.address, source === null ? EVERYBODY : wishOf(source), false)]
        : [],
    )
  }

  /** Indices of the links to which a packet goes on that has come in by `from`; the first route that fits decides. */
  onwards(group: IpAddress, source: IpAddress, from: number): readonly number[] {
    for (const bound of this.bound) {
      const { route } = bound
      if (bound.from !== from || !within(group, route.group)) continue
      if (route.source !== null && !within(source, route.source)) continue
      bound.packets++
      return bound.to
    }
    return NOWHERE
  }
}

/** What routers upstream can be told: of a single source, not of a prefix. */
function wishOf({ address, length }: Prefix): SourceFilter {
  return length === (address.isIpv4 ? 32 : 128) ? { mode: 'include', sources: [address] } : EVERYBODY
}

function within(address: IpAddress, { address: prefix, length }: Prefix): boolean {
  const bits = prefix.isIpv4 ? length + 96 : length
  return (
    ((address.w3 ^ prefix.w3) & maskOf(bits, 3)) === 0 &&
    ((address.w2 ^ prefix.w2) & maskOf(bits, 2)) === 0 &&
    ((address.w1 ^ prefix.w1) & maskOf(bits, 1)) === 0 &&
    ((address.w0 ^ prefix.w0) & maskOf(bits, 0)) === 0
  )
}

function isSame(a: ParsedGroupRoute, b: ParsedGroupRoute): boolean {
  const key = ({ group, source, from, to }: ParsedGroupRoute) =>
    [text(group), source === null ? '' : text(source), from, ...to].join(' ')
  return key(a) === key(b)
}

const text = ({ address, length }: Prefix): string =>
  length === (address.isIpv4 ? 32 : 128) ? address.toString() : `${address}/${length}`
