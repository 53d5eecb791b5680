/** What a host has learnt from routers, one change at a time: what its machine tells, for the owner of the link to do. */
import type { IpAddress } from '../../../../src/kernel/address.ts'
import type { Duration, Instant } from '../../../../src/kernel/clock.ts'
import type { RouterPreference } from '../discovery.ts'
import { FOREVER } from './options.ts'

/** The names and meanings are those of `DiscoveryOwner`; the addresses belong to the machine, and are never changed. */
export type Learnt =
  | {
      readonly kind: 'route'
      readonly prefix: IpAddress
      readonly length: number
      readonly via: IpAddress | null
      readonly preference: RouterPreference
    }
  | { readonly kind: 'noRoute'; readonly prefix: IpAddress; readonly length: number; readonly via: IpAddress | null }
  | { readonly kind: 'address'; readonly address: IpAddress; readonly length: number }
  | { readonly kind: 'deprecated'; readonly address: IpAddress; readonly deprecated: boolean }
  | { readonly kind: 'expired'; readonly address: IpAddress }
  | { readonly kind: 'mtu'; readonly mtu: number }
  | { readonly kind: 'hopLimit'; readonly hopLimit: number }
  | { readonly kind: 'names'; readonly servers: readonly IpAddress[]; readonly domains: readonly string[] }
  /** How long neighbours count as reachable, and are waited for; 0: nothing new. */
  | { readonly kind: 'times'; readonly reachable: Duration; readonly retransmit: Duration }

/** When a lifetime of so many seconds ends. */
export const endOf = (lifetime: number, now: Instant): Instant =>
  lifetime === FOREVER ? Number.POSITIVE_INFINITY : now + lifetime * 1_000_000

/** The earliest end of what is kept; Infinity of nothing. */
export function earliest(kept: readonly { readonly until: Instant }[]): Instant {
  let next = Number.POSITIVE_INFINITY
  for (const { until } of kept) if (until < next) next = until
  return next
}
