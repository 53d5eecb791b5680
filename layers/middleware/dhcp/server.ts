/** DHCP's server on a node (RFC 2131): its machine over a datagram socket of one link. */
import type { Sockets } from '../../../src/api/sockets.ts'
import { formatMac, parseAddress, parseMac, parsePrefix } from '../../../src/kernel/address.ts'
import { type Duration, seconds } from '../../../src/kernel/clock.ts'
import type { Env } from '../../../src/kernel/env.ts'
import { integer, invalidValue, outOfRange } from '../../../src/kernel/errors.ts'
import type { Layer } from '../../../src/kernel/layer.ts'
import type { Binding } from './leases.ts'
import { decode, encode, type MessageFault, OPTION, SERVER_PORT } from './message.ts'
import {
  entryOf,
  type LeaseEntry,
  type ServerDrop,
  type ServerEvent,
  ServerMachine,
  type ServerSettings,
} from './server-machine.ts'
import { DhcpSocket } from './socket.ts'
import { maskOf, ofRoutes, ofShort, ofText, ofWords } from './values.ts'

export interface DhcpServerOptions {
  /** The link's name; default 'eth0', that of an only link. It needs an IPv4 address: clients get addresses of its prefix. */
  readonly link?: string
  /** Both ends of the pool: ['10.0.0.100', '10.0.0.199'], at most 65536 addresses of the link's prefix. */
  readonly pool: readonly [first: string, last: string]
  /** Addresses of certain stations, by hardware address, in the pool or not: { '02:00:00:00:00:01': '10.0.0.7' }. */
  readonly reservations?: Readonly<Record<string, string>>
  /** 60 s to 2^31 s; default one hour. */
  readonly leaseTime?: Duration
  /** Next hops of the default route; default: our own address. Empty: none. */
  readonly routers?: readonly string[]
  readonly nameServers?: readonly string[]
  readonly domainName?: string
  /** What clients should take the link's MTU for: 68 to 65535. */
  readonly mtu?: number
  /** Further routes (RFC 3442); the default route is added to them from `routers`. */
  readonly routes?: readonly { readonly prefix: string; readonly via: string }[]
  /** There is no other server on the link: wrong beliefs of clients are refused. Default true. */
  readonly authoritative?: boolean
  /** Leases of an earlier run, as `leases()` gave them, their times by this node's clock. */
  readonly leases?: readonly LeaseEntry[]
  /** Where leases are kept beyond the end of the process. Default: nowhere, and a server that begins anew gets them as `leases`, or not at all. */
  readonly store?: LeaseStore
  /** Told of each message that was obeyed. */
  readonly onEvent?: (event: ServerEvent, hardware: string) => void
}

/** Keeps leases for the server that comes after this one. */
export interface LeaseStore {
  /**
   * Keeps what has become of an address; whatever its client had before is free. The promise is fulfilled once that would outlive the
   * process: only then the client hears of its lease. Where it is rejected, the client hears nothing, and asks again.
   */
  save(lease: LeaseEntry): Promise<void>
}

export interface DhcpServer {
  /** All addresses that are, or were, somebody's. */
  leases(): LeaseEntry[]
  /** Why messages were dropped, and how often. */
  readonly drops: ReadonlyMap<ServerDrop | MessageFault, number>
}

const LARGEST_POOL = 65_536
/** Answers that wait for the store at a time. */
const MOST_WAITING = 1024
const SHORTEST_LEASE: Duration = seconds(60)
const LONGEST_LEASE: Duration = seconds(2 ** 31)

/**
 * A server: `stack(…, sockets(tcp(), udp()), dhcpServer({ pool: ['10.0.0.100', '10.0.0.199'] }))`, or later `node.attach`.
 *
 * Throws TypeError ERR_INVALID_ARG_VALUE when the link has no address whose prefix the pool is in.
 * @throws TypeError ERR_INVALID_ARG_VALUE, RangeError ERR_OUT_OF_RANGE — an option makes no sense; at once.
 */
export function dhcpServer(options: DhcpServerOptions): Layer<Sockets, Sockets & { readonly dhcp: DhcpServer }> {
  integer('leaseTime', options.leaseTime ?? seconds(3600), SHORTEST_LEASE, LONGEST_LEASE)
  if (options.mtu !== undefined) integer('mtu', options.mtu, 68, 65_535)
  const [first, last] = [wordOf('pool', options.pool[0]), wordOf('pool', options.pool[1])]
  const size = (last >>> 0) - (first >>> 0) + 1
  if (size < 1 || size > LARGEST_POOL) throw outOfRange('pool', `1 to ${LARGEST_POOL} addresses`, size)
  const given = { first, last, reservations: reservationsOf(options), options: extras(options) }
  return (sockets, env) => ({ ...sockets, dhcp: new Server(sockets, env, options, given) })
}

type Given = Pick<ServerSettings, 'first' | 'last' | 'reservations' | 'options'>

function wordOf(name: string, text: string): number {
  const address = parseAddress(text, name)
  if (!address.isIpv4) throw invalidValue(name, "an IPv4 address such as '10.0.0.1'", text)
  return address.w3
}

function reservationsOf({ reservations = {} }: DhcpServerOptions): ServerSettings['reservations'] {
  const all = Object.entries(reservations).map(([hardware, address]) => ({
    chaddr: parseMac(hardware, 'reservations'),
    address: wordOf('reservations', address),
  }))
  if (new Set(all.map(({ address }) => address)).size < all.length) {
    throw invalidValue('reservations', 'different addresses', Object.values(reservations).join(', '))
  }
  return all
}

/** What is the same for all clients, and does not depend on our own address. */
function extras({ nameServers = [], domainName, mtu, routes, routers }: DhcpServerOptions): Map<number, Uint8Array> {
  const options = new Map<number, Uint8Array>()
  if (routers !== undefined && routers.length > 0) {
    options.set(OPTION.routers, ofWords(routers.map((text) => wordOf('routers', text))))
  }
  if (nameServers.length > 0) {
    options.set(OPTION.nameServers, ofWords(nameServers.map((text) => wordOf('nameServers', text))))
  }
  if (domainName !== undefined) options.set(OPTION.domainName, ofText(domainName))
  if (mtu !== undefined) options.set(OPTION.mtu, ofShort(mtu))
  if (routes !== undefined) options.set(OPTION.classlessRoutes, ofRoutes(routes.map(classless)))
  return options
}

function classless({ prefix: text, via }: { prefix: string; via: string }) {
  const { address, length } = parsePrefix(text, 'routes')
  if (!address.isIpv4) throw invalidValue('routes', "an IPv4 prefix such as '10.1.0.0/16'", text)
  return { prefix: address.w3 & maskOf(length), length, via: wordOf('routes', via) }
}

class Server implements DhcpServer {
  readonly drops: ReadonlyMap<ServerDrop | MessageFault, number>
  private readonly env: Env
  private readonly machine: ServerMachine
  private readonly socket: DhcpSocket
  private readonly onEvent: DhcpServerOptions['onEvent']
  private readonly store: LeaseStore | undefined
  private readonly dropCounts = new Map<ServerDrop | MessageFault, number>()
  private waiting = 0
  private closed = false

  constructor(sockets: Sockets, env: Env, options: DhcpServerOptions, given: Given) {
    const { link = 'eth0', leaseTime = seconds(3600), authoritative = true, leases = [], store, onEvent } = options
    this.env = env
    this.onEvent = onEvent
    this.store = store
    this.drops = this.dropCounts
    const own = ownAddress(sockets, link, given)
    this.machine = new ServerMachine({
      ...own,
      ...given,
      leaseTime,
      authoritative,
      options: withDefaultRoute(given.options, own.address, options),
    })
    for (const { address, client, hardware, ...rest } of leases) {
      const binding = { ...rest, address: wordOf('leases', address), key: client, chaddr: parseMac(hardware) }
      this.machine.leases.restore(binding)
    }
    this.socket = new DhcpSocket(sockets, link, SERVER_PORT, (octets) => this.arrived(octets))
    env.defer(() => {
      this.closed = true
      this.socket.close()
    })
  }

  leases(): LeaseEntry[] {
    return [...this.machine.leases].map(entryOf)
  }

  private arrived(octets: Uint8Array): void {
    const message = decode(octets)
    if (typeof message === 'string') {
      this.count(message)
      return
    }
    const answer = this.machine.input(message, this.env.clock.now())
    const { lastEvent, changed } = this.machine
    if (typeof answer === 'string') this.count(answer)
    const out = typeof answer === 'object' ? { ...answer, octets: encode(answer.message) } : undefined
    const finish = (): void => {
      if (out !== undefined) this.socket.send(out.octets, out.to, out.port)
      if (lastEvent === undefined || this.onEvent === undefined) return
      this.env.touched()
      this.onEvent(lastEvent, formatMac(message.chaddr))
    }
    if (this.store === undefined || changed === undefined) finish()
    else void this.keep(this.store, changed, finish)
  }

  /** @param finish what waits for the change to be kept. */
  private async keep(store: LeaseStore, changed: Binding, finish: () => void): Promise<void> {
    if (this.waiting >= MOST_WAITING) {
      this.count('storeBusy')
      return
    }
    const { key, state } = changed
    this.waiting++
    this.env.touched()
    try {
      await store.save(entryOf(changed))
    } catch {
      this.count('notStored')
      return
    } finally {
      this.waiting--
    }
    if (this.closed) return
    // Meanwhile its client may have given it back, or asked for another one.
    const stands = changed.state === state && (state !== 'leased' || this.machine.leases.of(key) === changed)
    if (stands) finish()
    else this.count('overtaken')
  }

  private count(reason: ServerDrop | MessageFault): void {
    this.dropCounts.set(reason, (this.dropCounts.get(reason) ?? 0) + 1)
  }
}

/** The address of the link whose prefix has the pool and the reservations in it. */
function ownAddress(sockets: Sockets, link: string, { first, last, reservations }: Given) {
  const addresses = sockets.network.links().find(({ name }) => name === link)?.addresses ?? []
  for (const text of addresses) {
    const { address, length } = parsePrefix(text)
    const isHere = (word: number): boolean => ((word ^ address.w3) & maskOf(length)) === 0
    if (!address.isIpv4 || ![first, last, ...reservations.map((one) => one.address)].every(isHere)) continue
    return { address: address.w3, length }
  }
  const what = `within the prefix of an address of the link '${link}' (${addresses.join(', ') || 'it has none'})`
  throw invalidValue('pool', what, 'elsewhere')
}

/** Clients that read classless routes leave the routers unread (RFC 3442), so these have to be among them. */
function withDefaultRoute(
  given: ReadonlyMap<number, Uint8Array>,
  own: number,
  { routers, routes }: DhcpServerOptions,
): Map<number, Uint8Array> {
  const options = new Map(given)
  if (routers === undefined) options.set(OPTION.routers, ofWords([own]))
  const [router = own] = (routers ?? []).map((text) => wordOf('routers', text))
  if (routes !== undefined && routers?.length !== 0) {
    const all = [{ prefix: 0, length: 0, via: router }, ...routes.map(classless)]
    options.set(OPTION.classlessRoutes, ofRoutes(all))
  }
  return options
}
