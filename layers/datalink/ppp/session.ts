/**
 * A PPP session (RFC 1661 §3.2): LCP, CHAP, IPCP and IPv6CP as one machine that is fed control packets.
 *
 *   dead ── up ──► establish ── LCP opened ──► authenticate ── success, or none wanted ──► network
 *                     ▲                              │ failure                                 │ LCP down, no echo
 *                     └──────────── again ◄──────────┴─────────────────────────────────────────┘
 */
import { type Duration, type Instant, seconds } from '../../../src/kernel/clock.ts'
import type { Random } from '../../../src/kernel/random.ts'
import { Automaton, type AutomatonOptions } from './automaton.ts'
import { Chap, type ChapNames } from './chap.ts'
import { CODE, CONTROL_HEADER_OCTETS, decodeControl, encodeControl, PROTOCOL } from './control.ts'
import { IpcpPolicy, Ipv6cpPolicy } from './ipcp.ts'
import { LcpPolicy, type LcpWishes } from './lcp.ts'

export type Phase = 'dead' | 'establish' | 'authenticate' | 'network'

export interface SessionOptions extends AutomatonOptions {
  readonly lcp: LcpWishes
  readonly names: ChapNames
  /** IPv4 addresses as words; 0 where the peer decides. */
  readonly local: number
  readonly peer: number
  readonly ipv4: boolean
  readonly ipv6: boolean
  /** How often the peer is asked whether it is there; 0 for never. */
  readonly echoInterval: Duration
  /** After so many unanswered, the link is taken to be dead. */
  readonly echoFailures: number
}

/** After a session that cannot be, for a reason that may pass. */
const RETRY: Duration = seconds(30)

/** A control packet to send. */
export interface Outgoing {
  readonly protocol: number
  readonly octets: Uint8Array
}

export class Session {
  phase: Phase = 'dead'
  /** Why the session ended last. */
  reason = 'negotiating'
  readonly lcpPolicy: LcpPolicy
  readonly ipcpPolicy: IpcpPolicy
  readonly ipv6cpPolicy: Ipv6cpPolicy
  readonly lcp: Automaton
  readonly ipcp: Automaton
  readonly ipv6cp: Automaton
  private readonly chap: Chap
  private readonly options: SessionOptions
  private echoAt: Instant = Number.POSITIVE_INFINITY
  private retryAt: Instant = Number.POSITIVE_INFINITY
  private echoes = 0
  private lcpWasOpen = false
  private readonly waiting: Outgoing[] = []

  constructor(options: SessionOptions, random: Random) {
    this.options = options
    this.lcpPolicy = new LcpPolicy(options.lcp, random)
    this.ipcpPolicy = new IpcpPolicy(options.local, options.peer)
    this.ipv6cpPolicy = new Ipv6cpPolicy(random)
    this.lcp = new Automaton(this.lcpPolicy, options)
    this.ipcp = new Automaton(this.ipcpPolicy, options)
    this.ipv6cp = new Automaton(this.ipv6cpPolicy, options)
    this.chap = new Chap(options.names, random)
  }

  get deadline(): Instant {
    const { lcp, ipcp, ipv6cp, chap, echoAt, retryAt } = this
    return Math.min(lcp.deadline, ipcp.deadline, ipv6cp.deadline, chap.deadline, echoAt, retryAt)
  }

  /** The line below is there. */
  up(now: Instant): void {
    if (this.lcp.state === 'Initial') this.lcp.event('Open', now) // also after it was closed, and then the line went
    this.lcp.event('Up', now)
    this.settle(now)
  }

  /** The line below is gone. */
  down(reason: string, now: Instant): void {
    this.retryAt = Number.POSITIVE_INFINITY
    this.lcp.event('Down', now)
    this.settle(now)
    this.reason = reason
    this.phase = 'dead'
  }

  /** Says goodbye. */
  close(reason: string, now: Instant): void {
    this.lcp.event('Close', now)
    this.settle(now)
    this.reason = reason
  }

  expire(now: Instant): void {
    for (const part of [this.lcp, this.ipcp, this.ipv6cp, this.chap]) if (part.deadline <= now) part.expire(now)
    if (this.echoAt <= now) this.echo(now)
    if (this.retryAt <= now) {
      this.retryAt = Number.POSITIVE_INFINITY
      this.lcp.event('Open', now)
    }
    this.settle(now)
  }

  /** @returns false when the packet was malformed or out of place. */
  input(protocol: number, octets: Uint8Array, now: Instant): boolean {
    const taken = this.dispatch(protocol, octets, now)
    this.settle(now)
    return taken
  }

  /** Whether the options want this protocol of ours; before the network phase, when all of its are discarded (§3.4), always. */
  supports(protocol: number): boolean {
    const { ipv4, ipv6 } = this.options
    return this.phase !== 'network' || (protocol === PROTOCOL.ipcp ? ipv4 : protocol !== PROTOCOL.ipv6cp || ipv6)
  }

  /** A protocol that is not ours: the peer is told (§5.7). @param most octets of it that may be quoted. */
  rejectProtocol(protocol: number, octets: Uint8Array, most: number): void {
    if (!this.lcp.opened || this.waiting.length > 4) return
    const quoted = octets.subarray(0, Math.max(0, most))
    this.sendLcp(CODE.protocolReject, this.lcp.nextId(), Uint8Array.of(protocol >> 8, protocol & 0xff, ...quoted))
  }

  output(): Outgoing | undefined {
    const { waiting, lcp, chap, ipcp, ipv6cp } = this
    const first = waiting.shift()
    if (first !== undefined) return first
    return (
      from(PROTOCOL.lcp, lcp.output()) ??
      from(PROTOCOL.chap, chap.output()) ??
      from(PROTOCOL.ipcp, ipcp.output()) ??
      from(PROTOCOL.ipv6cp, ipv6cp.output())
    )
  }

  private dispatch(protocol: number, octets: Uint8Array, now: Instant): boolean {
    if (protocol === PROTOCOL.lcp) return this.inputLcp(octets, now)
    if (protocol === PROTOCOL.chap) return this.phase !== 'establish' && this.chap.input(octets, now)
    // Before the network phase, what concerns it is discarded (§3.4).
    if (this.phase !== 'network') return false
    return (protocol === PROTOCOL.ipcp ? this.ipcp : this.ipv6cp).input(octets, now)
  }

  private inputLcp(octets: Uint8Array, now: Instant): boolean {
    const code = octets[0] ?? 0
    if (code < CODE.protocolReject || code > CODE.discardRequest) return this.lcp.input(octets, now)
    const packet = decodeControl(octets)
    if (packet === undefined || !this.lcp.opened) return false
    if (code === CODE.protocolReject) return this.protocolRejected(packet.data, now)
    if (packet.data.length < 4) return false
    if (code === CODE.echoRequest) this.sendLcp(CODE.echoReply, packet.id, this.withMagic(packet.data.subarray(4)))
    if (code === CODE.echoReply) this.echoes = 0
    return true
  }

  private protocolRejected(data: Uint8Array, now: Instant): boolean {
    const protocol = ((data[0] ?? 0) << 8) | (data[1] ?? 0)
    if (protocol === PROTOCOL.ipcp) this.ipcp.event('RXJ-', now)
    else if (protocol === PROTOCOL.ipv6cp) this.ipv6cp.event('RXJ-', now)
    return protocol === PROTOCOL.ipcp || protocol === PROTOCOL.ipv6cp
  }

  /** Goes on to the phase that what has happened leads to. */
  private settle(now: Instant): void {
    const { lcp, lcpPolicy } = this
    if (lcpPolicy.looped) {
      lcpPolicy.looped = false
      this.giveUp('the line leads to ourselves', now)
    }
    if (lcp.opened !== this.lcpWasOpen) {
      this.lcpWasOpen = lcp.opened
      if (lcp.opened) this.opened(now)
      else this.ended(now)
    }
    if (this.phase === 'authenticate') this.authenticated(now)
    if (this.phase === 'dead' && lcp.state !== 'Initial' && lcp.state !== 'Starting') this.phase = 'establish'
  }

  private opened(now: Instant): void {
    const { ours, theirs } = this.lcpPolicy
    this.phase = 'authenticate'
    this.chap.start(ours.chap, theirs.chap, now)
    this.echoes = 0
    const { echoInterval } = this.options
    if (echoInterval > 0) this.echoAt = now + echoInterval
  }

  private ended(now: Instant): void {
    this.echoAt = Number.POSITIVE_INFINITY
    this.chap.stop()
    for (const ncp of [this.ipcp, this.ipv6cp]) if (ncp.state !== 'Initial') ncp.event('Down', now)
    if (this.phase === 'network') this.reason = 'the peer or the line ended the session'
    this.phase = 'establish'
  }

  private authenticated(now: Instant): void {
    const { peerResult, ownResult } = this.chap
    if (peerResult === 'failure' || ownResult === 'failure') {
      this.phase = 'establish'
      this.lcpWasOpen = false
      this.ended(now)
      this.giveUp(peerResult === 'failure' ? 'the peer failed CHAP' : 'the peer did not accept our CHAP response', now)
      return
    }
    if (peerResult === 'pending' || ownResult === 'pending') return
    this.phase = 'network'
    const { ipv4, ipv6 } = this.options
    for (const [ncp, wanted] of [
      [this.ipcp, ipv4],
      [this.ipv6cp, ipv6],
    ] as const) {
      if (!wanted) continue
      ncp.event('Open', now)
      ncp.event('Up', now)
    }
  }

  /** Ends the session, and tries again after a while. */
  private giveUp(reason: string, now: Instant): void {
    this.reason = reason
    this.lcp.event('Close', now)
    this.retryAt = now + RETRY
  }

  private echo(now: Instant): void {
    const { echoInterval, echoFailures } = this.options
    this.echoAt = now + echoInterval
    if (++this.echoes > echoFailures) {
      // As if the line had been gone for a moment: negotiation begins anew.
      this.lcp.event('Down', now)
      this.settle(now)
      this.reason = 'the peer does not answer echo requests'
      this.lcp.event('Up', now)
      return
    }
    this.sendLcp(CODE.echoRequest, this.lcp.nextId(), this.withMagic(new Uint8Array(0)))
  }

  private withMagic(data: Uint8Array): Uint8Array {
    const { magic } = this.lcpPolicy
    return Uint8Array.of(magic >>> 24, (magic >>> 16) & 0xff, (magic >>> 8) & 0xff, magic & 0xff, ...data)
  }

  private sendLcp(code: number, id: number, data: Uint8Array): void {
    if (this.waiting.length > 8) return
    this.waiting.push({ protocol: PROTOCOL.lcp, octets: encodeControl(code, id, data) })
  }
}

/** Octets that a Protocol-Reject adds to what it quotes. */
export const REJECT_OCTETS: number = CONTROL_HEADER_OCTETS + 2

const from = (protocol: number, octets: Uint8Array | undefined): Outgoing | undefined =>
  octets === undefined ? undefined : { protocol, octets }
