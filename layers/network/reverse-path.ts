/**
 * The reverse path check (RFC 3704 §2): what comes in by a link must have a source that is reached by that link (strict, and
 * any of several equal ways will do), or is reached at all (loose). So nobody sends in the name of those behind another link.
 */
import type { IpAddress } from '../../src/kernel/address.ts'
import { invalidValue } from '../../src/kernel/errors.ts'
import type { Route, RouteTable } from './routes.ts'

/** How the way back is checked; false: not at all. */
export type ReversePathCheck = 'strict' | 'loose' | false

/** @returns `value`. @throws TypeError ERR_INVALID_ARG_VALUE — it is none of the three. */
export function checkReversePath(value: ReversePathCheck): ReversePathCheck {
  if (value !== false && value !== 'strict' && value !== 'loose') {
    throw invalidValue('reversePath', "'strict', 'loose' or false", value)
  }
  return value
}

export class ReversePath {
  private readonly routes: RouteTable
  private readonly strict: boolean

  constructor(routes: RouteTable, strict: boolean) {
    this.routes = routes
    this.strict = strict
  }

  /** May a packet with this source come in by a link? @param source an IPv4 address as int32. */
  acceptsIpv4(source: number, link: number): boolean {
    return this.leadsBack(this.routes.lookupIpv4(source), link)
  }

  /** The same of an address of either family. */
  accepts(source: IpAddress, link: number): boolean {
    return this.leadsBack(this.routes.lookup(source), link)
  }

  /** The same by the route to the source. */
  leadsBack(route: Route | null, link: number): boolean {
    if (route === null || route.action !== 'forward') return false
    if (!this.strict || route.link === link) return true
    for (const equal of route.equals) if (equal.link === link) return true
    return false
  }
}
