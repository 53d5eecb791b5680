/**
 * DHCP's client on a node (RFC 2131): its machine over a datagram socket, and what a lease means put into the network: the address, the
 * routes, and their end.
 */
import type { NewRoute } from '../../../src/api/routes.ts'
import type { Sockets } from '../../../src/api/sockets.ts'
import { formatIpv4, parseMac } from '../../../src/kernel/address.ts'
import { type Duration, type Instant, ms } from '../../../src/kernel/clock.ts'
import { Drive } from '../../../src/kernel/drive.ts'
import type { Env } from '../../../src/kernel/env.ts'
import { integer, invalidValue, NetError } from '../../../src/kernel/errors.ts'
import type { Layer } from '../../../src/kernel/layer.ts'
import { Timer } from '../../../src/kernel/timers.ts'
import { type ClientDrop, type ClientEvent, ClientMachine, type ClientState } from './client-machine.ts'
import type { Lease } from './lease.ts'
import { CLIENT_PORT, decode, encode, type MessageFault, SERVER_PORT } from './message.ts'
import { DhcpSocket } from './socket.ts'
import { ofText } from './values.ts'

export interface DhcpClientOptions {
  /** The link's name; default 'eth0', that of an only link. */
  readonly link?: string
  /** What the server is told we are called; up to 255 octets. Default: the node's name. */
  readonly hostName?: string
  /** Who we are, whatever the hardware: up to 254 octets (option 61, type 0). Default: the hardware alone. */
  readonly clientId?: string
  /** Of the routes that come with the lease: 0 to 2^32 - 1; default 0. */
  readonly metric?: number
  /** Take the default route. Default true. */
  readonly defaultRoute?: boolean
  /** Told when the lease has begun, was renewed with other contents, or ended (undefined). */
  readonly onLease?: (lease: DhcpLease | undefined, reason: string) => void
}

/** A lease as text. */
export interface DhcpLease {
  /** '10.0.0.17/24' */
  readonly address: string
  readonly server: string
  readonly routers: readonly string[]
  readonly nameServers: readonly string[]
  readonly domainName: string | undefined
  /** What the server says of the link; the link's own is not changed by it. */
  readonly mtu: number | undefined
  /** Of the node's clock; Infinity for never. */
  readonly expiresAt: Instant
}

export interface DhcpClient {
  readonly state: ClientState
  readonly lease: DhcpLease | undefined
  /** Why messages were dropped, and how often. */
  readonly drops: ReadonlyMap<ClientDrop | MessageFault, number>
  /**
   * Settles with the lease, at once if there is one. Its time limit is the caller's: `bound({ signal: AbortSignal.timeout(10_000) })`.
   * Rejects with the signal's reason, or `NetError` ECONNABORTED when the node closes.
   */
  bound(options?: { readonly signal?: AbortSignal }): Promise<DhcpLease>
  /** Asks at once whether the lease still holds. */
  renew(): void
  /** Gives the address back, and stops. */
  release(): void
}

const ORIGIN = 'dhcp'
/** What a message to the server may wait for in the links of a node that closes. */
const FAREWELL: Duration = ms(5)
/** The address is in use; in other states it may not be on the link, and is not declined for that. */
const HOLDING: ReadonlySet<ClientState> = new Set(['bound', 'renewing', 'rebinding'])
const MOST_NAME_OCTETS = 255
const MOST_ID_OCTETS = 254
const ANY_HARDWARE = 0

/**
 * A client: `stack(…, sockets(tcp(), udp()), dhcpClient())`, or later `node.attach('dhcp', (env) => dhcpClient()(node.top, env))`.
 *
 * Throws TypeError ERR_INVALID_ARG_VALUE when the link is not there, or has no Ethernet address.
 * @throws TypeError ERR_INVALID_ARG_VALUE, RangeError ERR_OUT_OF_RANGE — an option makes no sense; at once.
 */
export function dhcpClient(options: DhcpClientOptions = {}): Layer<Sockets, Sockets & { readonly dhcp: DhcpClient }> {
  integer('metric', options.metric ?? 0, 0, 2 ** 32 - 1)
  within('hostName', options.hostName ?? '', MOST_NAME_OCTETS)
  within('clientId', options.clientId ?? '', MOST_ID_OCTETS)
  return (sockets, env) => ({ ...sockets, dhcp: new Client(sockets, env, options) })
}

function within(name: string, text: string, most: number): void {
  if (ofText(text).length > most) throw invalidValue(name, `at most ${most} octets`, text)
}

interface Waiter {
  settle(lease: DhcpLease): void
  fail(error: unknown): void
}

class Client implements DhcpClient {
  readonly drops: ReadonlyMap<ClientDrop | MessageFault, number>
  private readonly sockets: Sockets
  private readonly env: Env
  private readonly options: DhcpClientOptions
  private readonly link: string
  /** The lease's routes that the node has taken. */
  private readonly ways: NewRoute[] = []
  private readonly machine: ClientMachine
  private readonly drive: Drive
  private readonly socket: DhcpSocket
  private readonly dropCounts = new Map<ClientDrop | MessageFault, number>()
  private readonly waiters = new Set<Waiter>()
  private shown: DhcpLease | undefined
  private linkWasUp: boolean
  /** Our own changes are no news. */
  private changing = false

  constructor(sockets: Sockets, env: Env, options: DhcpClientOptions) {
    this.sockets = sockets
    this.env = env
    this.options = options
    this.link = options.link ?? 'eth0'
    this.drops = this.dropCounts
    const found = sockets.network.links().find(({ name }) => name === this.link)
    if (found?.linkAddress === undefined) {
      const names = sockets.network.links().map(({ name }) => name)
      throw invalidValue('link', `the name of a link with Ethernet addresses (${names.join(', ')})`, this.link)
    }
    this.linkWasUp = found.state === 'up'
    const { hostName = env.node, clientId = '' } = options
    const id = clientId === '' ? new Uint8Array() : Uint8Array.of(ANY_HARDWARE, ...ofText(clientId))
    const settings = { chaddr: parseMac(found.linkAddress), clientId: id, hostName }
    this.machine = new ClientMachine(settings, env.random('dhcp'))
    this.drive = new Drive(this.machine, env.timers, this)
    this.socket = new DhcpSocket(sockets, this.link, CLIENT_PORT, (octets) => this.arrived(octets))
    const forget = sockets.network.onChange(() => this.networkChanged())
    env.defer(() => {
      forget()
      return this.close()
    })
    this.machine.start(env.clock.now())
    this.drive.arm()
  }

  get state(): ClientState {
    return this.machine.state
  }

  get lease(): DhcpLease | undefined {
    return this.shown
  }

  bound({ signal }: { readonly signal?: AbortSignal } = {}): Promise<DhcpLease> {
    if (signal?.aborted) return Promise.reject(signal.reason)
    if (this.shown !== undefined) return Promise.resolve(this.shown)
    return new Promise((resolve, reject) => {
      const over = (): void => {
        this.waiters.delete(waiter)
        signal?.removeEventListener('abort', abort)
      }
      const abort = (): void => waiter.fail(signal?.reason)
      const waiter: Waiter = {
        settle: (lease) => {
          over()
          resolve(lease)
        },
        fail: (error) => {
          over()
          reject(error)
        },
      }
      this.waiters.add(waiter)
      signal?.addEventListener('abort', abort)
    })
  }

  renew(): void {
    this.machine.start(this.env.clock.now())
    this.drive.arm()
  }

  release(): void {
    this.machine.stop(this.env.clock.now())
    this.drive.run(this.env.clock.now())
  }

  /** Moves what the machine has to say. */
  pump(now: Instant): void {
    for (;;) {
      const sending = this.machine.output()
      if (sending !== undefined) this.socket.send(encode(sending.message), sending.to, SERVER_PORT)
      // An address is given back before it is taken away.
      const event = this.machine.take()
      if (event !== undefined) this.happened(event, now)
      else if (sending === undefined) return
    }
  }

  private arrived(octets: Uint8Array): void {
    const now = this.env.clock.now()
    const message = decode(octets)
    const reason = typeof message === 'string' ? message : this.machine.input(message, now)
    if (reason !== undefined) this.dropCounts.set(reason, (this.dropCounts.get(reason) ?? 0) + 1)
    else this.drive.run(now)
  }

  private happened(event: ClientEvent, now: Instant): void {
    this.changing = true
    try {
      if (event.kind === 'lost') this.giveUp(event.lease, event.reason)
      else this.enter(event.lease, event.before, now)
    } finally {
      this.changing = false
    }
  }

  private enter(lease: Lease, before: Lease | undefined, now: Instant): void {
    const { network } = this.sockets
    const address = `${formatIpv4(lease.address)}/${lease.length}`
    if (before !== undefined && (before.address !== lease.address || before.length !== lease.length)) this.leave(before)
    if (!this.isOurs(lease.address)) {
      try {
        network.addAddress(this.link, address)
      } catch {
        // Another of our links has it: it is no use here.
        this.machine.decline(now)
        return
      }
    }
    this.route(lease)
    const shown: DhcpLease = {
      address,
      server: formatIpv4(lease.server),
      routers: lease.routers.map(formatIpv4),
      nameServers: lease.nameServers.map(formatIpv4),
      domainName: lease.domainName,
      mtu: lease.mtu,
      expiresAt: lease.expiresAt,
    }
    const known = this.shown !== undefined && termsOf(this.shown) === termsOf(shown)
    this.shown = shown
    if (known) return
    this.env.touched()
    for (const waiter of [...this.waiters]) waiter.settle(shown)
    this.options.onLease?.(shown, before === undefined ? 'bound' : 'changed')
  }

  private giveUp(lease: Lease, reason: string): void {
    this.leave(lease)
    this.shown = undefined
    this.env.touched()
    this.options.onLease?.(undefined, reason)
  }

  private leave(lease: Lease): void {
    this.unroute()
    if (this.isOurs(lease.address)) this.sockets.network.removeAddress(this.link, formatIpv4(lease.address))
  }

  /** The routes of the lease, in place of those of the one before. */
  private route(lease: Lease): void {
    this.unroute()
    const { metric = 0, defaultRoute = true } = this.options
    const routes = lease.routes ?? lease.routers.slice(0, 1).map((via) => ({ prefix: 0, length: 0, via }))
    for (const { prefix, length, via } of routes) {
      if (length === 0 && !defaultRoute) continue
      const way = { prefix: `${formatIpv4(prefix)}/${length}`, link: this.link, metric, origin: ORIGIN }
      try {
        this.sockets.network.routes.add(via === 0 ? way : { ...way, via: formatIpv4(via) })
        this.ways.push(way)
      } catch (error) {
        // A server may name a router that is not on the link: the address is of use without it.
        if (!(error instanceof NetError)) throw error
      }
    }
  }

  private unroute(): void {
    for (const way of this.ways.splice(0)) this.sockets.network.routes.remove(way)
  }

  /**
   * Somebody else was found to have our address; or the link was away, may be another network's now, and has lost its address
   * where it was detached meanwhile.
   */
  private networkChanged(): void {
    if (this.changing || this.machine.state === 'stopped') return
    const now = this.env.clock.now()
    const link = this.sockets.network.links().find(({ name }) => name === this.link)
    const isUp = link?.state === 'up'
    const cameUp = isUp && !this.linkWasUp
    this.linkWasUp = isUp
    const { lease, state } = this.machine
    if (cameUp) {
      this.machine.start(now)
      this.drive.arm()
    } else if (isUp && lease !== undefined && HOLDING.has(state) && !this.isOurs(lease.address)) {
      this.machine.decline(now)
      this.drive.run(now)
    }
  }

  private isOurs(address: number): boolean {
    const text = formatIpv4(address)
    const link = this.sockets.network.links().find(({ name }) => name === this.link)
    return link?.addresses.some((own) => own.split('/')[0] === text) ?? false
  }

  /** The links below are not closed before the server can have heard of it. */
  private close(): void | Promise<void> {
    const hadLease = this.machine.lease !== undefined
    this.release()
    this.drive.stop()
    this.socket.close()
    const error = new NetError('ECONNABORTED', 'the node has been closed', { layer: 'dhcp' })
    for (const waiter of [...this.waiters]) waiter.fail(error)
    if (hadLease)
      return new Promise((resolve) =>
        this.env.timers.arm(new Timer({ expire: () => resolve() }), this.env.clock.now() + FAREWELL),
      )
  }
}

/** All of a lease but its end, for comparison. */
function termsOf({ address, server, routers, nameServers, domainName, mtu }: DhcpLease): string {
  return [address, server, routers.join(), nameServers.join(), domainName, mtu].join(' ')
}
