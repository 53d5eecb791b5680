/**
 * The client's side of DHCP (RFC 2131 §4.4), of one link.
 *
 *                       ┌────────── NAK, lease over, declined ────────────────────┐
 *                       ▼                                                         │
 *   stopped ──start──► init ──► selecting ──OFFER──► requesting ──ACK──► bound ───┤
 *              │   DISCOVER                REQUEST                        │ renewAt│
 *              └──► rebooting ──ACK──────────────────────────────────► renewing ──┤
 *                   REQUEST of the former address                         │ rebindAt
 *                                                                    rebinding ───┘
 *
 * It takes the first offer. Everything is sent again after 4, 8, 16, 32 and then 64 s, each a second earlier or later, until
 * there is an answer (§4.1); renewals after half of the time that is left, and no sooner than a minute (§4.4.5).
 */
import type { MacAddress } from '../../../src/kernel/address.ts'
import { type Duration, type Instant, ms, seconds } from '../../../src/kernel/clock.ts'
import type { Timed } from '../../../src/kernel/machine.ts'
import { below, type Random } from '../../../src/kernel/random.ts'
import { type Lease, leaseOf } from './lease.ts'
import { type Message, type MessageType, OPTION, TYPE } from './message.ts'
import { ofShort, ofText, ofWord, textOf, wordOf } from './values.ts'

export type ClientState =
  | 'stopped'
  | 'init'
  | 'selecting'
  | 'requesting'
  | 'rebooting'
  | 'bound'
  | 'renewing'
  | 'rebinding'

export interface ClientSettings {
  readonly chaddr: MacAddress
  /** Option 61: who we are, whatever the hardware; empty for the hardware. */
  readonly clientId: Uint8Array
  /** Option 12; '' for none. */
  readonly hostName: string
}

/** A message, and whom it is for: a server, or everybody where 0. */
export interface ToSend {
  readonly message: Message
  readonly to: number
}

/** What has become of the address. */
export type ClientEvent =
  | { readonly kind: 'bound'; readonly lease: Lease; readonly before: Lease | undefined }
  | { readonly kind: 'lost'; readonly lease: Lease; readonly reason: string }

/** Why a client drops messages. */
export type ClientDrop = 'notForUs' | 'unexpected' | 'badLease'

const FIRST_RETRY: Duration = seconds(4)
const LAST_RETRY: Duration = seconds(64)
const LEAST_RENEWAL: Duration = seconds(60)
/** Clients that start together do not ask together; RFC 2131 §4.4.1 wants 1 to 10 s, which nobody waits any more. */
const MOST_HASTE: Duration = ms(100)
/** After an address was refused to us or by us (§3.1 step 5). */
const PENANCE: Duration = seconds(10)
/** Requests for an offered address, and for a former one, before all begins anew. */
const MOST_REQUESTS = 4
const MOST_REBOOTS = 2
const LARGEST_MESSAGE_OCTETS = 1472

/** What we want to be told (option 55), in the order in which we want it; classless routes come before routers (RFC 3442). */
const PARAMETERS = Uint8Array.of(
  OPTION.subnetMask,
  OPTION.classlessRoutes,
  OPTION.routers,
  OPTION.nameServers,
  OPTION.domainName,
  OPTION.mtu,
  OPTION.renewalTime,
  OPTION.rebindingTime,
)

export class ClientMachine implements Timed {
  state: ClientState = 'stopped'
  deadline: Instant = Number.POSITIVE_INFINITY
  /** What we have, while we have it. */
  lease: Lease | undefined
  private readonly settings: ClientSettings
  private readonly random: Random
  private xid = 0
  private began: Instant = 0
  private askedAt: Instant = 0
  private tries = 0
  /** The address and the server of the offer we took; or the address we had, and no server. */
  private wanted = 0
  private server = 0
  private outgoing: ToSend | undefined
  private readonly events: ClientEvent[] = []

  constructor(settings: ClientSettings, random: Random) {
    this.settings = settings
    this.random = random
  }

  /** Begins; or, with an address from before, asks whether it still holds (§3.2). */
  start(now: Instant, former: number = this.lease?.address ?? 0): void {
    this.wanted = former
    this.server = 0
    this.begin(now, former === 0 ? 'init' : 'rebooting', below(this.random, MOST_HASTE))
  }

  /** Gives the address back, if there is one, and does nothing any more. */
  stop(now: Instant): void {
    const { lease } = this
    this.state = 'stopped'
    this.deadline = Number.POSITIVE_INFINITY
    this.outgoing = undefined
    if (lease === undefined) return
    this.xid = this.random.uint32()
    this.outgoing = { to: lease.server, message: this.message(TYPE.release, now, lease.address, serverOption(lease)) }
    this.lose('released')
  }

  /** Somebody else has the address: the server is told, and another sought after a while (§3.1 step 5). */
  decline(now: Instant): void {
    const { lease } = this
    if (lease === undefined) return
    const options = new Map([[OPTION.requestedAddress, ofWord(lease.address)], ...serverOption(lease)])
    this.outgoing = { to: 0, message: this.message(TYPE.decline, now, 0, options) }
    this.lose('another station has the address')
    this.wanted = 0
    this.begin(now, 'init', PENANCE)
  }

  expire(now: Instant): void {
    switch (this.state) {
      case 'init':
        this.begun(now)
        this.state = 'selecting'
        this.ask(now, this.discovery(now), 0)
        break
      case 'selecting':
        this.ask(now, this.discovery(now), 0)
        break
      case 'requesting':
        if (this.tries >= MOST_REQUESTS) this.begin(now, 'init', 0)
        else this.ask(now, this.selection(now), 0)
        break
      case 'rebooting':
        this.reboot(now)
        break
      default:
        this.age(now)
    }
  }

  /** @returns why it was dropped. */
  input(message: Message, now: Instant): ClientDrop | undefined {
    if (!message.reply || message.xid !== this.xid || message.chaddr !== this.settings.chaddr) return 'notForUs'
    if (this.state === 'requesting' && wordOf(message, OPTION.server) !== this.server) return 'unexpected'
    switch (message.type) {
      case TYPE.offer:
        return this.state === 'selecting' ? this.choose(message, now) : 'unexpected'
      case TYPE.ack:
        return this.isAsking ? this.accept(message, now) : 'unexpected'
      case TYPE.nak:
        return this.isAsking ? this.refused(message, now) : 'unexpected'
      default:
        return 'unexpected'
    }
  }

  /** What is to be sent now. */
  output(): ToSend | undefined {
    const { outgoing } = this
    this.outgoing = undefined
    return outgoing
  }

  /** What has happened since. */
  take(): ClientEvent | undefined {
    return this.events.shift()
  }

  private get isAsking(): boolean {
    const { state } = this
    return state === 'requesting' || state === 'rebooting' || state === 'renewing' || state === 'rebinding'
  }

  private begin(now: Instant, state: 'init' | 'rebooting', wait: Duration): void {
    this.state = state
    this.tries = 0
    this.deadline = now + wait
  }

  /** A new exchange, with a number of its own. */
  private begun(now: Instant): void {
    this.xid = this.random.uint32()
    this.began = now
    this.tries = 0
  }

  private reboot(now: Instant): void {
    if (this.tries === 0) this.begun(now)
    if (this.tries < MOST_REBOOTS) {
      const options = new Map([[OPTION.requestedAddress, ofWord(this.wanted)]])
      this.ask(now, this.message(TYPE.request, now, 0, this.withWishes(options)), 0)
    } else if (this.lease !== undefined && now < this.lease.rebindAt) {
      // Nobody answers, but it is still ours (§3.2 step 3).
      this.settle(this.lease)
      this.events.push({ kind: 'bound', lease: this.lease, before: this.lease })
    } else {
      this.begin(now, 'init', 0)
    }
  }

  /** The lease has reached one of its ends, or a renewal was not answered. */
  private age(now: Instant): void {
    const { lease } = this
    if (lease === undefined) return
    if (now >= lease.expiresAt) {
      this.lose('the lease has ended')
      this.begin(now, 'init', 0)
      return
    }
    const state = now >= lease.rebindAt ? 'rebinding' : 'renewing'
    if (this.state !== state) this.begun(now)
    this.state = state
    const message = this.message(TYPE.request, now, lease.address, this.withWishes(new Map()))
    this.outgoing = { to: state === 'renewing' ? lease.server : 0, message }
    this.askedAt = now
    const until = state === 'renewing' ? lease.rebindAt : lease.expiresAt
    this.deadline = Math.min(until, now + Math.max(LEAST_RENEWAL, (until - now) / 2))
  }

  private choose(offer: Message, now: Instant): ClientDrop | undefined {
    const lease = leaseOf(offer, now)
    if (lease === undefined) return 'badLease'
    this.wanted = lease.address
    this.server = lease.server
    this.state = 'requesting'
    this.tries = 0
    this.ask(now, this.selection(now), 0)
    return undefined
  }

  private accept(ack: Message, now: Instant): ClientDrop | undefined {
    const lease = leaseOf(ack, this.askedAt)
    if (lease === undefined || lease.expiresAt <= now) return 'badLease'
    const before = this.lease
    this.lease = lease
    this.wanted = lease.address
    this.settle(lease)
    this.events.push({ kind: 'bound', lease, before })
    return undefined
  }

  private settle(lease: Lease): void {
    this.state = 'bound'
    this.deadline = lease.renewAt
  }

  private refused(nak: Message, now: Instant): undefined {
    const why = textOf(nak, OPTION.message) ?? ''
    this.lose(why === '' ? 'the server refuses it' : `the server refuses it: ${why}`)
    const again = this.state === 'requesting'
    this.wanted = 0
    // A server that offers what it then refuses is not asked without end.
    this.begin(now, 'init', again ? PENANCE : 0)
    return undefined
  }

  private lose(reason: string): void {
    const { lease } = this
    this.lease = undefined
    if (lease !== undefined) this.events.push({ kind: 'lost', lease, reason })
  }

  private ask(now: Instant, message: Message, to: number): void {
    this.outgoing = { message, to }
    this.askedAt = now
    const wait = Math.min(LAST_RETRY, FIRST_RETRY * 2 ** this.tries)
    this.deadline = now + wait - seconds(1) + below(this.random, seconds(2))
    this.tries++
  }

  private discovery(now: Instant): Message {
    const options = this.wanted === 0 ? [] : [[OPTION.requestedAddress, ofWord(this.wanted)] as const]
    return this.message(TYPE.discover, now, 0, this.withWishes(new Map(options)))
  }

  private selection(now: Instant): Message {
    const options = new Map([
      [OPTION.requestedAddress, ofWord(this.wanted)],
      [OPTION.server, ofWord(this.server)],
    ])
    return this.message(TYPE.request, now, 0, this.withWishes(options))
  }

  private withWishes(options: Map<number, Uint8Array>): Map<number, Uint8Array> {
    options.set(OPTION.parameters, PARAMETERS)
    options.set(OPTION.largestMessage, ofShort(LARGEST_MESSAGE_OCTETS))
    if (this.settings.hostName !== '') options.set(OPTION.hostName, ofText(this.settings.hostName))
    return options
  }

  private message(type: MessageType, now: Instant, ciaddr: number, options: ReadonlyMap<number, Uint8Array>): Message {
    const { chaddr, clientId } = this.settings
    const all = clientId.length === 0 ? options : new Map([...options, [OPTION.clientId, clientId]])
    const secs = Math.floor(Math.max(0, now - this.began) / seconds(1))
    // Without an address of our own we hear broadcasts alone.
    const broadcast = ciaddr === 0
    return { reply: false, type, xid: this.xid, secs, broadcast, ciaddr, yiaddr: 0, giaddr: 0, chaddr, options: all }
  }
}

const serverOption = ({ server }: Lease): Map<number, Uint8Array> => new Map([[OPTION.server, ofWord(server)]])
