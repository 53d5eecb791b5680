/**
 * How a routing protocol lives on a node: which links it speaks on, as they come, change and go, what it announces of the node's
 * routes, and how it takes leave. What it is told and what it says is the protocol's own affair.
 */
import type { LinkEntry } from '../../../src/api/routes.ts'
import type { DatagramSocket, Sockets } from '../../../src/api/sockets.ts'
import { type Prefix, parsePrefix } from '../../../src/kernel/address.ts'
import { type Duration, type Instant, ms } from '../../../src/kernel/clock.ts'
import type { Drive } from '../../../src/kernel/drive.ts'
import type { Env } from '../../../src/kernel/env.ts'
import { Timer } from '../../../src/kernel/timers.ts'
import { type Filter, NodeRoutes } from './service.ts'

/** What changes at once is looked at once. */
const SETTLE: Duration = ms(50)
/** What neighbours are told may wait in the links of a node that closes. */
const FAREWELL: Duration = ms(5)

/** A link that is spoken on. */
export interface Speaking {
  readonly socket: DatagramSocket
}

/** The protocol, as its residence sees it. */
export interface Resident<Spoken extends Speaking> {
  /** Begins to speak on a link, which is up. @returns undefined when it cannot with the addresses the link has. */
  speak(link: LinkEntry, now: Instant): Spoken | undefined
  /** Ends it: the link is gone, or has become another. The socket is the residence's to close. */
  silence(spoken: Spoken, now: Instant): void
  announce(prefix: Prefix, metric: number, now: Instant): void
  withdraw(prefix: Prefix, now: Instant): void
  /** Tells neighbours that nothing leads here any more; nothing is timed from now on. */
  leave(): void
}

export interface ResidenceSettings {
  /** Of the routes that the protocol gives to the node. */
  readonly origin: string
  readonly metric: number
  /** Names of the links that it speaks on, also of such that are attached later. */
  readonly links: Iterable<string>
  /** Prefixes that are announced whatever the node's routes are, with their metrics. */
  readonly always: ReadonlyMap<string, number>
  /** Which of the node's routes are announced: called with the origin of a route in place of a link's name. */
  readonly redistribute: Filter
  /** The metric of what cannot be reached. */
  readonly infinity: number
}

export class Residence<Spoken extends Speaking> {
  /** The ways that the protocol gives to the node. */
  readonly routes: NodeRoutes
  private readonly sockets: Sockets
  private readonly env: Env
  private readonly settings: ResidenceSettings
  private readonly drive: Drive
  private readonly resident: Resident<Spoken>
  /** By name; `was`: what the link was when it began. */
  private readonly speaking = new Map<string, { readonly spoken: Spoken; readonly was: string }>()
  private announced: ReadonlyMap<string, number> = new Map()
  private readonly settle: Timer

  /**
   * Looks at the node for the first time when `begin` is called; from then on until it closes.
   * @param drive of the protocol's machine, which is run after each look. @param refused the node could not take a route.
   */
  constructor(
    sockets: Sockets,
    env: Env,
    settings: ResidenceSettings,
    drive: Drive,
    resident: Resident<Spoken>,
    refused: () => void,
  ) {
    this.sockets = sockets
    this.env = env
    this.settings = settings
    this.drive = drive
    this.resident = resident
    this.routes = new NodeRoutes(sockets.network, settings.origin, settings.metric, refused)
    this.settle = new Timer({ expire: (now) => this.look(now) })
  }

  begin(): void {
    const { env } = this
    const forget = this.sockets.network.onChange(() => {
      if (!this.routes.changing && !this.settle.armed) env.timers.arm(this.settle, env.clock.now() + SETTLE)
    })
    env.defer(() => {
      forget()
      return this.close()
    })
    this.look(env.clock.now())
  }

  /** What is spoken on a link; undefined: nothing, now. */
  on(link: string): Spoken | undefined {
    return this.speaking.get(link)?.spoken
  }

  /** Looks at links and routes: which to speak on, and what to announce. */
  private look(now: Instant): void {
    const links = new Map(this.sockets.network.links().map((link) => [link.name, link]))
    for (const name of this.settings.links) {
      const link = links.get(name)
      const was = link?.state === 'up' ? `${link.mtu} ${link.addresses}` : ''
      if (was === (this.speaking.get(name)?.was ?? '')) continue
      this.silence(name, now)
      const spoken = link === undefined || was === '' ? undefined : this.resident.speak(link, now)
      if (spoken !== undefined) this.speaking.set(name, { spoken, was })
    }
    this.redistribute(now)
    this.drive.run(now)
  }

  private silence(name: string, now: Instant): void {
    const spoken = this.on(name)
    if (spoken === undefined) return
    this.speaking.delete(name)
    this.resident.silence(spoken, now)
    spoken.socket.close()
  }

  /** Announces what the rules want of the node's routes, and what always is. */
  private redistribute(now: Instant): void {
    const { always, redistribute, infinity } = this.settings
    const wanted = this.routes.wanted(always, redistribute, infinity)
    for (const prefix of this.announced.keys())
      if (!wanted.has(prefix)) this.resident.withdraw(parsePrefix(prefix), now)
    for (const [prefix, metric] of wanted) {
      if (this.announced.get(prefix) !== metric) this.resident.announce(parsePrefix(prefix), metric, now)
    }
    this.announced = wanted
  }

  /** Takes leave: neighbours hear that nothing leads here, and the node's routes are as they were. */
  private close(): Promise<void> {
    const { env, drive } = this
    env.timers.cancel(this.settle)
    this.resident.leave()
    drive.run(env.clock.now())
    drive.stop()
    for (const { spoken } of this.speaking.values()) spoken.socket.close()
    this.routes.clear()
    return new Promise((resolve) => env.timers.arm(new Timer({ expire: () => resolve() }), env.clock.now() + FAREWELL))
  }
}
