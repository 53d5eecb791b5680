/**
 * Babel on a node: its machine over datagram sockets, one a link, and the node's routing table. It knows no more of IP than any
 * other program: what it learns it adds to the routes, and what others have put there it announces as it was told.
 */
import type { LinkEntry } from '../../../../src/api/routes.ts'
import type { Endpoint, Sockets } from '../../../../src/api/sockets.ts'
import { IpAddress, type Prefix, parseAddress, parsePrefix } from '../../../../src/kernel/address.ts'
import type { Instant } from '../../../../src/kernel/clock.ts'
import { Drive } from '../../../../src/kernel/drive.ts'
import type { Env } from '../../../../src/kernel/env.ts'
import { invalidValue, NetError } from '../../../../src/kernel/errors.ts'
import type { Layer } from '../../../../src/kernel/layer.ts'
import type { Random } from '../../../../src/kernel/random.ts'
import { type Refusal, Residence, type ResidenceSettings, type Resident, type Speaking } from '../residence.ts'
import { type Filter, keptFilters, type LinkTraffic, type Orders, TrafficCount } from '../service.ts'
import { Authenticator, type BabelKey } from './authenticator.ts'
import type { Interface, InterfaceSettings } from './interface.ts'
import { type DropReason, Babel as Machine } from './machine.ts'
import { type BabelOptions, routerIdOf, type Settings, settingsOf } from './options.ts'
import { type BabelNeighbour, type BabelRoute, formatRouter, listNeighbours, listRoutes } from './status.ts'
import type { Destination } from './tables.ts'
import { GROUP, INFINITY, PORT } from './tlv.ts'

/** Of `BabelControl.drops`; those that the machine does not know are the node's: 'portRefused' for a link that it cannot speak on. */
export type BabelDrop = DropReason | 'unsent' | 'wrongPort' | Refusal

/** Babel, as seen from outside. */
export interface BabelControl {
  /** 16 hexadecimal digits. */
  readonly routerId: string
  /** How often a packet, or something in it, came to nothing, by its reason. */
  readonly drops: ReadonlyMap<BabelDrop, number>
  neighbours(): BabelNeighbour[]
  /** All that was heard, what is not used included. */
  routes(): BabelRoute[]
  /** Packets that were heard and said, by link. */
  traffic(): LinkTraffic[]
  /**
   * Becomes what the options say while it runs. Neighbours are told at once what differs for them, and asked for what they may have
   * said in vain before; nothing else is lost. Keys are exchanged in two turns: first both the old and the new one everywhere,
   * then the new one alone.
   * @param options all of them, not only what is new; `routerId` is the same as it was, or left out.
   * @throws TypeError ERR_INVALID_ARG_VALUE, RangeError ERR_OUT_OF_RANGE — an option makes no sense, or it is another `routerId`.
   * NetError EADDRINUSE — another socket has the port on a link that is new to it. Nothing has changed then.
   */
  reconfigure(options: BabelOptions): void
}

export const ORIGIN = 'babel'
const GROUP_ADDRESS = new IpAddress(...GROUP)
/** IPv6 and UDP. */
const HEADER_OCTETS = 48
const LEAST_MTU = 1280

/**
 * A router of Babel: `stack(…, sockets(tcp(), udp()), babel({ interfaces: { eth0: {} }, redistribute: [{ origin: 'link', action: 'allow' }] }))`.
 * The node should forward, and needs IPv6. IPv4 destinations go by the links' IPv4 addresses, or by IPv6 where there are none
 * (RFC 9229); a node without IPv4 takes none.
 * @throws TypeError ERR_INVALID_ARG_VALUE, RangeError ERR_OUT_OF_RANGE — an option makes no sense; at once.
 */
export function babel(options: BabelOptions): Layer<Sockets, Sockets & { readonly babel: BabelControl }> {
  const settings = settingsOf(options)
  return (sockets, env) => ({ ...sockets, babel: new Router(sockets, env, options, settings) })
}

/** A link that Babel speaks on. */
interface BabelSpeaking extends Speaking {
  readonly on: Interface
}

class Router implements BabelControl, Resident<BabelSpeaking> {
  readonly routerId: string
  readonly drops: Map<BabelDrop, number>
  private readonly env: Env
  private orders: Orders<BabelOptions, Settings>
  private readonly hasIpv4: boolean
  private readonly random: Random
  private readonly machine: Machine
  private readonly drive: Drive
  private readonly residence: Residence<BabelSpeaking>
  private readonly count = new TrafficCount()

  constructor(sockets: Sockets, env: Env, options: BabelOptions, settings: Settings) {
    this.env = env
    this.orders = { options, settings }
    this.random = env.random('babel')
    const [routerHigh, routerLow] = routerIdOf(options.routerId, this.random)
    this.routerId = formatRouter(routerHigh, routerLow)
    this.hasIpv4 = sockets.sourceOf?.(LOOPBACK) !== undefined
    const filters = { accept: this.acceptBy(settings), announce: settings.announce }
    this.machine = new Machine({ routerHigh, routerLow, random: this.random, filters })
    this.drops = this.machine.drops
    this.drive = new Drive(this.machine, env.timers, this)
    this.count.include(settings.interfaces.keys())
    this.residence = new Residence(sockets, env, livingBy(settings), this.drive, this)
    this.residence.begin()
  }

  neighbours(): BabelNeighbour[] {
    return listNeighbours(this.machine)
  }

  routes(): BabelRoute[] {
    return listRoutes(this.machine)
  }

  traffic(): LinkTraffic[] {
    return this.count.list()
  }

  reconfigure(options: BabelOptions): void {
    const settings = settingsOf(options)
    const { routerId = this.routerId } = options
    if (routerId.toLowerCase() !== this.routerId)
      throw invalidValue('routerId', `${this.routerId}, as it was`, routerId)
    const before = this.orders
    const failure = this.obey({ options, settings })
    if (failure === undefined) return
    this.obey(before)
    throw failure
  }

  /** @returns why it cannot speak on a link that is new to it. */
  private obey(orders: Orders<BabelOptions, Settings>): NetError | undefined {
    const { settings: before } = this.orders
    const settings = keptFilters(orders, this.orders)
    this.orders = { options: orders.options, settings }
    this.count.include(settings.interfaces.keys())
    const uses = new Map<Interface, InterfaceSettings>()
    for (const on of this.machine.interfaces) {
      const how = settings.interfaces.get(on.settings.name)
      if (how === undefined) continue
      const { keys, ...rest } = how
      const kept = keys.length === 0 ? null : on.settings.authenticator
      kept?.rekey(keys)
      const use = { ...on.settings, ...rest, authenticator: kept ?? this.authenticatorOf(keys) }
      const fields = Object.keys(use) as (keyof typeof use)[]
      if (fields.some((field) => use[field] !== on.settings[field])) uses.set(on, use)
    }
    const others = {
      ...(settings.accept === before.accept ? {} : { accept: this.acceptBy(settings) }),
      ...(settings.announce === before.announce ? {} : { announce: settings.announce }),
    }
    this.machine.reconfigure(others, uses, this.env.clock.now())
    return this.residence.change(livingBy(settings))
  }

  /** Moves what the machine has to say, and what it has found out. */
  pump(): void {
    for (let packet = this.machine.output(); packet !== undefined; packet = this.machine.output()) {
      const { name } = packet.interface.settings
      const socket = this.residence.socketOn(name)
      if (socket === undefined) continue
      try {
        socket.send(packet.octets, 0, packet.length, packet.to ?? GROUP_ADDRESS, PORT, name)
        this.count.said(name, packet.length)
      } catch (error) {
        // The link may have gone down, or no way be known to the neighbour: what matters is said again.
        if (!(error instanceof NetError)) throw error
        this.drop('unsent')
      }
    }
    for (let found = this.machine.take(); found !== undefined; found = this.machine.take()) this.install(found)
  }

  speak({ name, mtu, addresses }: LinkEntry, now: Instant): BabelSpeaking | undefined {
    const how = this.orders.settings.interfaces.get(name)
    const own = addresses.map((text) => parsePrefix(text).address)
    const address = own.find(({ isScoped }) => isScoped)
    if (how === undefined || address === undefined) return undefined
    const maxOctets = Math.max(LEAST_MTU, mtu) - HEADER_OCTETS
    const nextHop4 = own.find(({ isIpv4 }) => isIpv4)?.w3 ?? null
    const { keys, ...rest } = how
    const authenticator = this.authenticatorOf(keys)
    const on = this.machine.attach({ ...rest, name, maxOctets, address, nextHop4, authenticator }, now)
    const heard = (octets: Uint8Array, start: number, length: number, from: Endpoint, to: Endpoint): void => {
      if (from.port !== PORT) {
        this.drop('wrongPort')
        return
      }
      this.count.heard(name, length)
      const own = to.address.w0 >>> 24 === MULTICAST ? null : to.address
      const at = this.env.clock.now()
      this.machine.input(on, octets, start, length, from.address, own, at)
      this.drive.run(at)
    }
    return { on, heard }
  }

  retire({ on }: BabelSpeaking): void {
    this.machine.retire(on)
  }

  silence({ on }: BabelSpeaking, now: Instant): void {
    this.machine.detach(on, now)
  }

  announce({ address, length }: Prefix, metric: number, now: Instant): void {
    this.machine.announce({ address, length, isIpv4: address.isIpv4 }, metric, now)
  }

  withdraw({ address, length }: Prefix, now: Instant): void {
    this.machine.withdraw({ address, length, isIpv4: address.isIpv4 }, now)
  }

  leave(): void {
    this.machine.close()
  }

  /** Gives the node the way to a destination, in place of the one it had. */
  private install(found: Destination): void {
    const { address, length, own, selected, routes } = found
    const prefix = `${address}/${length}`
    if (own >= 0 || routes === null) this.residence.routes.set(prefix, undefined)
    else this.residence.routes.set(prefix, selected?.nextHop ?? null, selected?.neighbour.interface.settings.name)
  }

  refused(why: Refusal): void {
    this.drop(why)
  }

  /** A node without IPv4 has no use for its routes. */
  private acceptBy({ accept }: Settings): Filter {
    if (this.hasIpv4) return accept
    return (prefix, metric, on) => (prefix.address.isIpv4 ? INFINITY : accept(prefix, metric, on))
  }

  private authenticatorOf(keys: readonly BabelKey[]): Authenticator | null {
    return keys.length === 0 ? null : new Authenticator(keys, this.random)
  }

  private drop(reason: BabelDrop): void {
    this.drops.set(reason, (this.drops.get(reason) ?? 0) + 1)
  }
}

function livingBy({ interfaces, always, redistribute, metric }: Settings): ResidenceSettings {
  const talk = { links: [...interfaces.keys()], group: GROUP_ADDRESS, port: PORT, ttl: 1 }
  return { origin: ORIGIN, metric, ...talk, always, redistribute, infinity: INFINITY }
}

const MULTICAST = 0xff
const LOOPBACK = parseAddress('127.0.0.1')
