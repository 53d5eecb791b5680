/**
 * What a client keeps of Fast Open between connections (RFC 7413 §4.1.3): a cookie and an MSS for each server, and who does not
 * take data in SYNs, so that these do not cost a timeout each time. As Linux does:
 *
 * - a server that does not answer our option is asked once more in the format of the experiment;
 * - a server to which data in SYNs was lost twice in a row is spared it for a while, twice as long each time;
 * - a connection that, after the handshake, times out three times in a row before anything was received pauses all of it: something
 *   on the way may swallow even what follows.
 */
import type { IpAddress } from '../../../src/kernel/address.ts'
import { type Duration, type Instant, seconds } from '../../../src/kernel/clock.ts'
import { slab } from '../../../src/kernel/slab.ts'
import { FastOpen, synRoom } from './fast-open.ts'
import type { FastOpenSettings } from './fast-open-settings.ts'
import type { Segment } from './segment.ts'
import type { Tcb } from './tcb.ts'

const ASK: Uint8Array = new Uint8Array(0)
/** A server is spared for this, shifted by the losses in a row. */
const SPARED: Duration = seconds(60)
const MOST_SHIFTS = 6
/** Timeouts in a row that make a black hole. */
const BLACK_HOLE_TIMEOUTS = 3

class Server {
  cookie: Uint8Array | null = null
  /** The cookie is of the experiment's format, or the next request is. */
  experimental = false
  /** The experiment has been tried, too. */
  tried = false
  mss = 0
  /** SYNs with data in a row that were lost. */
  losses = 0
  lostAt: Instant = 0
}

export class FastOpenCache {
  private readonly settings: { readonly fastOpen: FastOpenSettings }
  /** By address, the one used longest ago first. */
  private readonly servers = new Map<string, Server>()
  private pausedUntil: Instant = Number.NEGATIVE_INFINITY
  /** Pauses since a connection last worked. */
  private pauses = 0

  constructor(settings: { readonly fastOpen: FastOpenSettings }) {
    this.settings = settings
  }

  /** What a connection to be opened sends; null: nothing of Fast Open. */
  begin(tcb: Tcb, now: Instant): FastOpen | null {
    if (now < this.pausedUntil) return null
    const server = this.servers.get(tcb.remote.address.toString())
    if (server !== undefined && server.losses > 1) {
      if (now - server.lostAt < SPARED * 2 ** Math.min(server.losses, MOST_SHIFTS)) return null
    }
    const cookie = server?.cookie ?? null
    const room = cookie !== null || !this.settings.fastOpen.requireCookie ? synRoom(tcb, server?.mss ?? 0) : 0
    const option = cookie ?? (this.settings.fastOpen.requireCookie ? ASK : null)
    return new FastOpen(option, server?.experimental === true, room, false, this)
  }

  /** @param taken octets of the SYN's data that were acknowledged. @param again the SYN was sent more than once. */
  answered(
    address: IpAddress,
    { cookie, sent, experimental }: FastOpen,
    seg: Segment,
    taken: number,
    again: boolean,
    now: Instant,
  ): void {
    const server = this.use(address)
    if (seg.mss > 0) server.mss = seg.mss
    const lost = again && sent > 0 && taken === 0
    if (lost) server.lostAt = now
    server.losses = lost ? server.losses + 1 : 0
    if (taken > 0) this.pauses = 0
    // A cookie that was not asked for is none.
    if (cookie === null) return
    if (seg.cookieOctets > 0) {
      server.cookie = slab().octets.slice(seg.cookieStart, seg.cookieStart + seg.cookieOctets)
      server.experimental = seg.cookieExperimental
    } else if (cookie.length === 0 && !again) {
      server.experimental = !experimental && !server.tried
      server.tried = true
    }
  }

  /** @param nth timeouts in a row. */
  timedOut(nth: number, now: Instant): void {
    if (nth !== BLACK_HOLE_TIMEOUTS || this.settings.fastOpen.blackHolePause === 0) return
    this.pausedUntil = now + this.settings.fastOpen.blackHolePause * 2 ** Math.min(this.pauses, MOST_SHIFTS)
    this.pauses++
  }

  /** The server's entry, as the one used last. */
  private use(address: IpAddress): Server {
    const key = address.toString()
    const server = this.servers.get(key) ?? new Server()
    this.servers.delete(key)
    this.servers.set(key, server)
    for (const oldest of this.servers.keys()) {
      if (this.servers.size <= this.settings.fastOpen.servers) break
      this.servers.delete(oldest)
    }
    return server
  }
}
