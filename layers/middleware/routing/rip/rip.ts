/**
 * RIP on a node: a machine for each of RIPv2 and RIPng over datagram sockets, one a link, and the node's routing table. It knows
 * no more of IP than any other program.
 */
import type { LinkEntry } from '../../../../src/api/routes.ts'
import type { Sockets } from '../../../../src/api/sockets.ts'
import { type Prefix, parsePrefix } from '../../../../src/kernel/address.ts'
import { type Duration, type Instant, seconds } from '../../../../src/kernel/clock.ts'
import { Drive } from '../../../../src/kernel/drive.ts'
import type { Env } from '../../../../src/kernel/env.ts'
import { invalidValue, NetError } from '../../../../src/kernel/errors.ts'
import type { Layer } from '../../../../src/kernel/layer.ts'
import { Timer } from '../../../../src/kernel/timers.ts'
import { type Refusal, Residence, type ResidenceSettings, type Resident, type Speaking } from '../residence.ts'
import { keptFilters, type LinkTraffic, type Orders, TrafficCount } from '../service.ts'
import { Rip as Machine, type DropReason as MachineDrop } from './machine.ts'
import { type RipOptions, type Settings, settingsOf } from './options.ts'
import { type Codec, INFINITY, type RipVersion } from './pdu.ts'
import { rip2 } from './rip2.ts'
import { ripng } from './ripng.ts'
import type { Destination, Interface, InterfaceSettings } from './route.ts'

/** Of `RipControl.drops`; those that the machine does not know are the node's: 'portRefused' for a link that it cannot speak on. */
export type RipDrop = MachineDrop | 'unsent' | Refusal

export interface RipRoute {
  readonly version: RipVersion
  readonly prefix: string
  /** undefined: it is our own. */
  readonly via: string | undefined
  readonly link: string | undefined
  /** undefined: unreachable, and soon forgotten. */
  readonly metric: number | undefined
}

/** A router that was heard within the time in which its routes end. */
export interface RipNeighbour {
  readonly version: RipVersion
  readonly address: string
  readonly link: string
  /** Time since it was last heard. */
  readonly age: Duration
  /** Destinations whose way was heard from it. */
  readonly routes: number
}

/** RIP, as seen from outside. */
export interface RipControl {
  /** Those it speaks. */
  readonly versions: readonly RipVersion[]
  /** How often a message, or an entry of one, came to nothing, by its reason. */
  drops(version: RipVersion): ReadonlyMap<RipDrop, number>
  neighbours(): RipNeighbour[]
  routes(): RipRoute[]
  /** Messages that were heard and said, by link. */
  traffic(version: RipVersion): LinkTraffic[]
  /**
   * Becomes what the options say while it runs. Routers are told at once what differs for them, and asked for what they may have
   * said in vain before; nothing else is lost.
   * @param options all of them, not only what is new; `versions` are the same as they were.
   * @throws TypeError ERR_INVALID_ARG_VALUE, RangeError ERR_OUT_OF_RANGE — an option makes no sense, or they are other `versions`.
   * NetError EADDRINUSE — another socket has the port on a link that is new to it. Nothing has changed then.
   */
  reconfigure(options: RipOptions): void
}

const CODECS: Readonly<Record<RipVersion, Codec>> = { rip2, ripng }
const ORIGIN = 'rip'
const LEAST_MTU = 576
/** What could not be said is tried again. */
const AGAIN: Duration = seconds(1)

/**
 * A router of RIP: `stack(…, sockets(tcp(), udp()), rip({ interfaces: { eth0: {} }, redistribute: [{ origin: 'link', action: 'allow' }] }))`.
 * The node should forward.
 * @throws TypeError ERR_INVALID_ARG_VALUE, RangeError ERR_OUT_OF_RANGE — an option makes no sense; at once.
 */
export function rip(options: RipOptions): Layer<Sockets, Sockets & { readonly rip: RipControl }> {
  const settings = settingsOf(options)
  return (sockets, env) => {
    const versions = settings.versions.filter((version) => version === 'rip2' || sockets.ipv6 === true)
    const speakers = new Map(versions.map((version) => [version, new Speaker(sockets, env, settings, CODECS[version])]))
    let orders: Orders<RipOptions, Settings> = { options, settings }
    const obey = (next: Orders<RipOptions, Settings>): NetError | undefined => {
      orders = { ...next, settings: keptFilters(next, orders) }
      const failures = [...speakers.values()].map((speaker) => speaker.obey(orders.settings))
      return failures.find((failure) => failure !== undefined)
    }
    const control: RipControl = {
      drops: (version) => speakers.get(version)?.drops ?? new Map(),
      versions,
      neighbours: () => [...speakers.values()].flatMap((speaker) => speaker.neighbours()),
      routes: () => [...speakers.values()].flatMap((speaker) => speaker.routes()),
      traffic: (version) => speakers.get(version)?.traffic() ?? [],
      reconfigure: (options) => {
        const before = orders
        const settings = settingsOf(options)
        const [wanted, had] = [settings, before.settings].map(({ versions }) => [...versions].sort().join(', '))
        if (wanted !== had) throw invalidValue('versions', `${had}, as they were`, wanted)
        const failure = obey({ options, settings })
        if (failure === undefined) return
        obey(before)
        throw failure
      },
    }
    return { ...sockets, rip: control }
  }
}

/** A link that RIP speaks on. */
interface RipSpeaking extends Speaking {
  readonly on: Interface
}

/** One of the two protocols on a node. */
class Speaker implements Resident<RipSpeaking> {
  readonly drops: Map<RipDrop, number>
  private readonly env: Env
  private settings: Settings
  private readonly codec: Codec
  private readonly machine: Machine
  private readonly drive: Drive
  private readonly residence: Residence<RipSpeaking>
  private readonly count = new TrafficCount()
  /** Links that could not be spoken on lately, as with an address that is still being looked for on them; and when to try again. */
  private readonly unheard = new Set<string>()
  private readonly again: Timer

  constructor(sockets: Sockets, env: Env, settings: Settings, codec: Codec) {
    this.env = env
    this.settings = settings
    this.codec = codec
    const { accept, announce, times } = settings
    const random = env.random(codec.name)
    this.machine = new Machine({ codec, random, times, filters: { accept, announce } })
    this.drops = this.machine.drops
    this.drive = new Drive(this.machine, env.timers, this)
    this.count.include(settings.interfaces.keys())
    this.again = new Timer({ expire: (now) => this.greetAgain(now) })
    env.defer(() => env.timers.cancel(this.again)) // after leave was taken
    this.residence = new Residence(sockets, env, livingBy(settings, codec), this.drive, this)
    this.residence.begin()
  }

  /** @returns why it cannot speak on a link that is new to it. */
  obey(settings: Settings): NetError | undefined {
    const before = this.settings
    this.settings = settings
    this.count.include(settings.interfaces.keys())
    const uses = new Map<Interface, InterfaceSettings>()
    for (const on of this.machine.interfaces) {
      const how = settings.interfaces.get(on.settings.name)
      if (how === undefined || (how.cost === on.settings.cost && how.passive === on.settings.passive)) continue
      uses.set(on, { ...on.settings, ...how })
    }
    const { accept, announce } = settings
    const filters = {
      ...(accept === before.accept ? {} : { accept }),
      ...(announce === before.announce ? {} : { announce }),
    }
    this.machine.reconfigure(filters, settings.times, uses, this.env.clock.now())
    return this.residence.change(livingBy(settings, this.codec))
  }

  traffic(): LinkTraffic[] {
    return this.count.list()
  }

  neighbours(): RipNeighbour[] {
    const now = this.env.clock.now()
    const destinations = [...this.machine.destinations]
    return this.machine.interfaces.flatMap((on) =>
      this.machine.neighbours(on, now).map(({ address, heardAt }) => ({
        version: this.codec.name,
        address: address.toString(),
        link: on.settings.name,
        age: now - heardAt,
        routes: destinations.filter((one) => one.interface === on && one.from?.equals(address)).length,
      })),
    )
  }

  routes(): RipRoute[] {
    return [...this.machine.destinations].map(({ address, length, metric, nextHop, interface: on, own }) => ({
      version: this.codec.name,
      prefix: `${address}/${length}`,
      via: own < INFINITY ? undefined : nextHop?.toString(),
      link: own < INFINITY ? undefined : on?.settings.name,
      metric: metric === INFINITY ? undefined : metric,
    }))
  }

  /** Moves what the machine has to say, and what it has found out. */
  pump(): void {
    const { group, port } = this.codec
    for (let message = this.machine.output(); message !== undefined; message = this.machine.output()) {
      const { to, octets, length } = message
      const { name } = message.interface.settings
      const socket = this.residence.socketOn(name)
      if (socket === undefined) continue
      try {
        socket.send(octets, 0, length, to?.address ?? group, to?.port ?? port, name)
        this.count.said(name, length)
      } catch (error) {
        // The link may have gone down, or no way be known to the neighbour: what matters is said again.
        if (!(error instanceof NetError)) throw error
        this.drop('unsent')
        if (to === null) this.unheard.add(name)
      }
    }
    if (this.unheard.size > 0 && !this.again.armed) {
      this.env.timers.arm(this.again, this.env.clock.now() + AGAIN)
    }
    for (let found = this.machine.take(); found !== undefined; found = this.machine.take()) this.install(found)
  }

  private install({ address, length, own, metric, nextHop, interface: on }: Destination): void {
    const way = own < INFINITY || metric === INFINITY ? undefined : (nextHop ?? undefined)
    this.residence.routes.set(`${address}/${length}`, way, on?.settings.name)
  }

  speak({ name, mtu, addresses }: LinkEntry, now: Instant): RipSpeaking | undefined {
    const { isIpv4, lowerOctets } = this.codec
    const prefixes = addresses.map((text) => parsePrefix(text)).filter(({ address }) => address.isIpv4 === isIpv4)
    // RIPng speaks by link-local addresses, RIPv2 by any.
    if (!prefixes.some(({ address }) => isIpv4 || address.isScoped)) return undefined
    const how = this.settings.interfaces.get(name)
    if (how === undefined) return undefined
    const maxOctets = Math.max(LEAST_MTU, mtu) - lowerOctets
    const on = this.machine.attach({ ...how, name, maxOctets, prefixes }, now)
    return {
      on,
      heard: (octets, start, length, from) => {
        const at = this.env.clock.now()
        this.count.heard(name, length)
        this.machine.input(on, octets, start, length, from.address, from.port, at)
        this.drive.run(at)
      },
    }
  }

  private greetAgain(now: Instant): void {
    for (const name of this.unheard) {
      const speaking = this.residence.on(name)
      if (speaking !== undefined) this.machine.greet(speaking.on)
    }
    this.unheard.clear()
    this.drive.run(now)
  }

  retire({ on }: RipSpeaking): void {
    this.machine.retire(on)
  }

  silence({ on }: RipSpeaking, now: Instant): void {
    this.machine.detach(on, now)
  }

  announce(prefix: Prefix, metric: number, now: Instant): void {
    if (prefix.address.isIpv4 === this.codec.isIpv4)
      this.machine.announce(prefix, Math.min(INFINITY - 1, metric + 1), now)
  }

  withdraw(prefix: Prefix, now: Instant): void {
    if (prefix.address.isIpv4 === this.codec.isIpv4) this.machine.withdraw(prefix, now)
  }

  leave(): void {
    this.machine.close()
  }

  refused(why: Refusal): void {
    this.drop(why)
  }

  private drop(reason: 'unsent' | Refusal): void {
    this.drops.set(reason, (this.drops.get(reason) ?? 0) + 1)
  }
}

function livingBy(
  { interfaces, always, redistribute, metric }: Settings,
  { group, port, ttl }: Codec,
): ResidenceSettings {
  const talk = { links: [...interfaces.keys()], group, port, ttl }
  return { origin: ORIGIN, metric, ...talk, always, redistribute, infinity: INFINITY }
}
