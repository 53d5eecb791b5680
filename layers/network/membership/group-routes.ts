/**
 * Static routes of groups: what is sent to a group comes in by one link and goes on by others. Whoever runs the node says so, no
 * routing protocol; and since each has one link it comes in by, nothing goes round in circles that the routes of one node make.
 */
import { type IpAddress, type Prefix, parseAddress, parsePrefix } from '../../../src/kernel/address.ts'
import { invalidValue } from '../../../src/kernel/errors.ts'
import type { Port } from '../family.ts'
import { maskOf } from '../prefix-trie.ts'
import type { Groups } from './groups.ts'
import { EVERYBODY, type SourceFilter } from './source-filter.ts'

/** What `ipv4` and `ipv6` are told; text as at the API. */
export interface GroupRoute {
  /** A group, which is joined on `from`, or a prefix of groups, which nobody upstream is told of: '239.1.2.3', '239.1.0.0/16'. */
  readonly group: string
  /** Of these sources alone: '10.0.0.0/24'. Default: of all. */
  readonly source?: string | undefined
  /** The link it comes in by. */
  readonly from: string
  /** The links it goes on by. */
  readonly to: readonly string[]
}

interface Bound {
  readonly route: ParsedGroupRoute
  readonly from: number
  readonly to: readonly number[]
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
  private readonly routes: readonly ParsedGroupRoute[]
  private bound: readonly Bound[] = []

  constructor(routes: readonly ParsedGroupRoute[]) {
    this.routes = routes
  }

  /** Links have come or gone. */
  bind(ports: readonly ({ readonly port: Port } | undefined)[]): void {
    const index = (name: string): number => ports.find((one) => one?.port.name === name)?.port.index ?? 0
    this.bound = this.routes.map((route) => ({
      route,
      from: index(route.from),
      to: route.to.map(index).filter((link) => link !== 0),
    }))
  }

  /** Joins the single groups that come in by a link, for those they go on to. */
  join(name: string, groups: Groups): void {
    for (const { group, source, isOne, from } of this.routes) {
      if (from === name && isOne) groups.enter(group.address, source === null ? EVERYBODY : wishOf(source), false)
    }
  }

  /** Indices of the links to which a packet goes on that has come in by `from`; the first route that fits decides. */
  onwards(group: IpAddress, source: IpAddress, from: number): readonly number[] {
    for (const { route, from: link, to } of this.bound) {
      if (link !== from || !within(group, route.group)) continue
      if (route.source === null || within(source, route.source)) return to
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
