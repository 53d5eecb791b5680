/**
 * What a listener does about a SYN with data or with the Fast Open option (RFC 7413 §4.2.2), and how many of those whose
 * handshake is not complete it has at once (§5.1).
 */
import { type Duration, type Instant, seconds } from '../../../src/kernel/clock.ts'
import { slab } from '../../../src/kernel/slab.ts'
import { FastOpen } from './fast-open.ts'
import type { FastOpenKeys } from './fast-open-keys.ts'
import type { FastOpenSettings } from './fast-open-settings.ts'
import type { Segment } from './segment.ts'
import type { Flow } from './table.ts'

/** How long one that was reset counts: whoever lies about his address has us answered by resets (RFC 7413 §5.1). */
const RESET_COUNTS: Duration = seconds(60)

/** The connections of one listener whose data came with the SYN and whose handshake is not complete. */
export class PendingFastOpens {
  private readonly limit: number
  private pending = 0
  /** When those that were reset cease to count, the first first. */
  private readonly resets: Instant[] = []

  constructor(limit: number) {
    this.limit = limit
  }

  /** Takes part at all. */
  get enabled(): boolean {
    return this.limit > 0
  }

  /** No further one may begin. */
  isFull(now: Instant): boolean {
    while ((this.resets[0] ?? now + 1) <= now) this.resets.shift()
    return this.pending + this.resets.length >= this.limit
  }

  begun(): void {
    this.pending++
  }

  /** The handshake is complete, or the connection over. @param reset by the peer, before it was complete. */
  over(reset: boolean, now: Instant): void {
    this.pending--
    if (reset) this.resets.push(now + RESET_COUNTS)
  }
}

/** @returns what the answer to the SYN `seg` says and does; null: as if there were no Fast Open. */
export function judgeSyn(
  seg: Segment,
  { local, remote }: Flow,
  pending: PendingFastOpens,
  settings: FastOpenSettings,
  keys: FastOpenKeys,
  now: Instant,
): FastOpen | null {
  const asks = seg.cookieOctets !== -1
  if (!pending.enabled || (!asks && seg.length === 0) || pending.isFull(now)) return null
  if (!settings.requireCookie && seg.length > 0) return new FastOpen(null, false, 0, true, null)
  if (!asks) return null
  const { cookieOctets, cookieStart, cookieExperimental } = seg
  const verdict =
    cookieOctets > 0 ? keys.judge(slab().view, cookieStart, cookieOctets, local.address, remote.address, now) : 'none'
  if (verdict === 'current') return new FastOpen(null, false, 0, true, null)
  const cookie = keys.make(local.address, remote.address, now)
  return new FastOpen(cookie, cookieExperimental, 0, verdict === 'previous', null)
}
