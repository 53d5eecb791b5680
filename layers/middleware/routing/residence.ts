/**
 * How a routing protocol lives on a node: which links it speaks on, as they come, change and go, what it announces of the node's
 * routes, and how it takes leave. What it is told and what it says is the protocol's own affair.
 */
import type { LinkEntry } from '../../../src/api/routes.ts'
import type { DatagramSocket, Endpoint, Sockets } from '../../../src/api/sockets.ts'
import { type IpAddress, type Prefix, parsePrefix } from '../../../src/kernel/address.ts'
import { type Duration, type Instant, ms } from '../../../src/kernel/clock.ts'
import type { Drive } from '../../../src/kernel/drive.ts'
import type { Env } from '../../../src/kernel/env.ts'
import { NetError } from '../../../src/kernel/errors.ts'
import { Timer } from '../../../src/kernel/timers.ts'
import { type Filter, NodeRoutes } from './service.ts'

/** What changes at once is looked at once. */
const SETTLE: Duration = ms(50)
/** Prefixes that are looked at in one go: where a large table comes, packets are forwarded in between. */
const MOST_AT_ONCE = 4096
/** What neighbours are told may wait in the links of a node that closes. */
const FAREWELL: Duration = ms(5)

/** CS6, as routers speak to routers (RFC 4594 §3.2). */
const INTERNET_CONTROL = 0xc0

/** A link that is spoken on. */
export interface Speaking {
  /** A datagram has come, which is valid only during the call. */
  heard(octets: Uint8Array, start: number, length: number, from: Endpoint, to: Endpoint): void
}

/** Why nothing comes of what the protocol wants of the node: a route it does not take, or a port that it does not give. */
export type Refusal = 'routeRefused' | 'portRefused'

/** The protocol, as its residence sees it. */
export interface Resident<Spoken extends Speaking> {
  /** Begins to speak on a link, which is up. @returns undefined when it cannot with the addresses the link has. */
  speak(link: LinkEntry, now: Instant): Spoken | undefined
  /** Tells the neighbours of a link, which goes on to be there, that nothing leads here any more. */
  retire(spoken: Spoken): void
  /** Ends it: the link is gone, or has become another, or its port is somebody else's. */
  silence(spoken: Spoken, now: Instant): void
  refused(why: Refusal): void
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
  /** All routers, the protocol's port, and the TTL of what is said. */
  readonly group: IpAddress
  readonly port: number
  readonly ttl: number
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
  private settings: ResidenceSettings
  private readonly drive: Drive
  private readonly resident: Resident<Spoken>
  /** By name; `was`: what the link was when it began. */
  private readonly speaking = new Map<
    string,
    { readonly spoken: Spoken; readonly socket: DatagramSocket; readonly was: string }
  >()
  private readonly announced = new Map<string, number>()
  /** Prefixes of which routes have come or gone since they were looked at; our own do not count. */
  private readonly changed = new Set<string>()
  private readonly settle: Timer

  /**
   * Looks at the node for the first time when `begin` is called; from then on until it closes.
   * @param drive of the protocol's machine, which is run after each look.
   */
  constructor(sockets: Sockets, env: Env, settings: ResidenceSettings, drive: Drive, resident: Resident<Spoken>) {
    this.sockets = sockets
    this.env = env
    this.settings = settings
    this.drive = drive
    this.resident = resident
    const refused = (): void => resident.refused('routeRefused')
    this.routes = new NodeRoutes(sockets.network, settings.origin, settings.metric, refused)
    this.settle = new Timer({ expire: (now) => this.look(now) })
  }

  /** @throws NetError EADDRINUSE — another socket has the port on one of the links. */
  begin(): void {
    const { env, changed, routes, settings } = this
    const { network } = this.sockets
    this.lookAtAll()
    for (const prefix of settings.always.keys()) changed.add(prefix)
    const unfollow = network.routes.follow((prefix) => {
      if (!routes.changing) changed.add(prefix)
    })
    const forget = network.onChange(() => {
      if (!routes.changing) this.lookSoon()
    })
    env.defer(() => {
      unfollow()
      forget()
      return this.close()
    })
    const failure = this.look(env.clock.now())
    if (failure !== undefined) throw failure
  }

  /**
   * Lives by other settings from now on; `origin`, `group`, `port` and `ttl` are as they were.
   * @param settings with the very `redistribute` of before where its rules are the same.
   * @returns why it cannot speak on one of the links that are new to it, which the next look tries again.
   */
  change(settings: ResidenceSettings): NetError | undefined {
    const now = this.env.clock.now()
    const before = this.settings
    this.settings = settings
    this.routes.reprice(settings.metric)
    const wanted = new Set(settings.links)
    const left = [...this.speaking].filter(([name]) => !wanted.has(name))
    for (const [, { spoken }] of left) this.resident.retire(spoken)
    this.drive.run(now)
    for (const [name] of left) this.silence(name, now)
    for (const prefix of [...before.always.keys(), ...settings.always.keys()]) this.changed.add(prefix)
    // The node's table may be large: only other rules are a reason to look at all of it.
    if (settings.redistribute !== before.redistribute) this.lookAtAll()
    return this.look(now, new Set(before.links))
  }

  /** What is spoken on a link; undefined: nothing, now. */
  on(link: string): Spoken | undefined {
    return this.speaking.get(link)?.spoken
  }

  /** What speaks on a link; undefined: nothing, now. */
  socketOn(link: string): DatagramSocket | undefined {
    return this.speaking.get(link)?.socket
  }

  /** The next looks are at all of the node's routes. */
  private lookAtAll(): void {
    for (const { prefix } of this.sockets.network.routes.list()) this.changed.add(prefix)
  }

  /**
   * Looks at links and routes: which to speak on, and what to announce.
   * @returns why one of the links could not be spoken on; those of `known` do not count.
   */
  private look(now: Instant, known?: ReadonlySet<string>): NetError | undefined {
    let failure: NetError | undefined
    const links = new Map(this.sockets.network.links().map((link) => [link.name, link]))
    for (const name of this.settings.links) {
      const link = links.get(name)
      const was = link?.state === 'up' ? `${link.attachment} ${link.mtu} ${link.addresses}` : ''
      if (was === (this.speaking.get(name)?.was ?? '')) continue
      this.silence(name, now)
      const spoken = link === undefined || was === '' ? undefined : this.resident.speak(link, now)
      if (spoken === undefined) continue
      const socket = this.bind(name, spoken)
      if (!NetError.is(socket)) {
        this.speaking.set(name, { spoken, socket, was })
        continue
      }
      if (known?.has(name) !== true) failure = socket
      this.resident.silence(spoken, now)
      this.resident.refused('portRefused')
    }
    this.drive.run(now)
    const changed = this.nextChanged()
    this.routes.restore(changed)
    for (const prefix of changed) this.redistribute(prefix, now)
    this.drive.run(now)
    if (this.changed.size > 0) this.lookSoon()
    return failure
  }

  private lookSoon(): void {
    const { timers, clock } = this.env
    if (!this.settle.armed) timers.arm(this.settle, clock.now() + SETTLE)
  }

  private nextChanged(): string[] {
    const next: string[] = []
    for (const prefix of this.changed) {
      if (next.length === MOST_AT_ONCE) break
      next.push(prefix)
      this.changed.delete(prefix)
    }
    return next
  }

  /** @returns why there is no socket: the next look tries again. */
  private bind(link: string, spoken: Spoken): DatagramSocket | NetError {
    const { group, port, ttl } = this.settings
    const options = { multicastTtl: ttl, ttl, multicastLoopback: false, trafficClass: INTERNET_CONTROL }
    const address = group.isIpv4 ? ANY_IPV4 : ANY_IPV6
    let socket: DatagramSocket | undefined
    try {
      socket = this.sockets.datagram.bind(
        { address, ipv6Only: true, port, link, reuse: true, options },
        { message: (_socket, octets, start, length, from, to) => spoken.heard(octets, start, length, from, to) },
      )
      socket.join(group, link)
      return socket
    } catch (error) {
      if (!NetError.is(error)) throw error
      socket?.close()
      return error
    }
  }

  private silence(name: string, now: Instant): void {
    const speaking = this.speaking.get(name)
    if (speaking === undefined) return
    this.speaking.delete(name)
    this.resident.silence(speaking.spoken, now)
    speaking.socket.close()
  }

  /** Announces a prefix as the rules want it of the node's routes, or always. */
  private redistribute(prefix: string, now: Instant): void {
    const { always, redistribute, infinity } = this.settings
    const metric = Math.min(always.get(prefix) ?? infinity, this.routes.wanted(prefix, redistribute, infinity))
    if (metric === (this.announced.get(prefix) ?? infinity)) return
    if (metric === infinity) {
      this.announced.delete(prefix)
      this.resident.withdraw(parsePrefix(prefix), now)
    } else {
      this.announced.set(prefix, metric)
      this.resident.announce(parsePrefix(prefix), metric, now)
    }
  }

  /** Takes leave: neighbours hear that nothing leads here, and the node's routes are as they were. */
  private close(): Promise<void> {
    const { env, drive } = this
    env.timers.cancel(this.settle)
    this.resident.leave()
    drive.run(env.clock.now())
    drive.stop()
    for (const { socket } of this.speaking.values()) socket.close()
    this.routes.clear()
    return new Promise((resolve) => env.timers.arm(new Timer({ expire: () => resolve() }), env.clock.now() + FAREWELL))
  }
}

const ANY_IPV4 = parsePrefix('0.0.0.0').address
const ANY_IPV6 = parsePrefix('::').address
