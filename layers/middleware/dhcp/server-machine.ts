/**
 * The server's side of DHCP (RFC 2131 §4.3), of one link: messages in, answers out, and the leases in between.
 *
 * Answers go where §4.1 says: to a relay, to a client that has an address, else to everybody: clients without one are not
 * sent unicasts, which would need an entry for somebody who cannot answer ARP yet.
 */
import { formatIpv4, formatMac, type MacAddress } from '../../../src/kernel/address.ts'
import { type Duration, type Instant, seconds } from '../../../src/kernel/clock.ts'
import { type Binding, type ClientKey, Leases } from './leases.ts'
import { CLIENT_PORT, type Message, type MessageType, OPTION, SERVER_PORT, TYPE } from './message.ts'
import { maskOf, ofText, ofWord, textOf, wordOf } from './values.ts'

export interface Reservation {
  readonly chaddr: MacAddress
  readonly address: number
}

export interface ServerSettings {
  /** Our own address on the link, and the prefix of all we give. */
  readonly address: number
  readonly length: number
  /** The pool: both ends included. */
  readonly first: number
  readonly last: number
  readonly reservations: readonly Reservation[]
  readonly leaseTime: Duration
  /** What is given besides, by codes. */
  readonly options: ReadonlyMap<number, Uint8Array>
  /** Nobody else gives addresses here: what clients wrongly believe is refused, and not left to others (§4.3.2). */
  readonly authoritative: boolean
}

/** An answer and where it goes: 0 means everybody on the link. */
export interface Answer {
  readonly message: Message
  readonly to: number
  readonly port: number
}

/**
 * Why a server drops messages. The last three are of what waited for its
 * lease to be kept: it could not be, too many waited, or the client has meanwhile done something else.
 */
export type ServerDrop =
  | 'notForUs'
  | 'unknownClient'
  | 'poolExhausted'
  | 'otherLink'
  | 'notStored'
  | 'storeBusy'
  | 'overtaken'

/** Something that became of an address, for logs. */
export type ServerEvent = 'offered' | 'leased' | 'refused' | 'released' | 'declined' | 'informed'

const OFFER_HOLDS: Duration = seconds(60)
/** How long an address rests that somebody else was found to have. */
const DECLINED_RESTS: Duration = seconds(3600)
const MOST_NAME = 255
/** Octets of an identifier that count. */
const MOST_ID = 255
const HALF = 0.5
const SEVEN_EIGHTHS = 0.875

export class ServerMachine {
  readonly leases: Leases
  /** What the last message came to, for those who tell of it. */
  lastEvent: ServerEvent | undefined
  /** The address that the last message gave away, or took back; it has to be remembered before the answer goes. */
  changed: Binding | undefined
  private readonly settings: ServerSettings
  private readonly reserved: ReadonlyMap<MacAddress, number>

  constructor(settings: ServerSettings) {
    this.settings = settings
    this.reserved = new Map(settings.reservations.map(({ chaddr, address }) => [chaddr, address]))
    const taken = new Set([settings.address, ...this.reserved.values()])
    this.leases = new Leases(settings.first, ((settings.last - settings.first) | 0) + 1, taken)
  }

  /** @returns the answer; or why there is none; undefined where none is due. */
  input(message: Message, now: Instant): Answer | ServerDrop | undefined {
    this.lastEvent = undefined
    this.changed = undefined
    if (message.reply) return 'notForUs'
    if (message.giaddr !== 0 && !this.isHere(message.giaddr)) return 'otherLink'
    switch (message.type) {
      case TYPE.discover:
        return this.discover(message, now)
      case TYPE.request:
        return this.request(message, now)
      case TYPE.decline:
        return this.decline(message, now)
      case TYPE.release:
        return this.release(message, now)
      case TYPE.inform:
        this.lastEvent = 'informed'
        return this.answer(message, TYPE.ack, 0, this.settings.options)
      default:
        return 'notForUs'
    }
  }

  private discover(message: Message, now: Instant): Answer | ServerDrop {
    const key = this.keyOf(message)
    const address = this.addressFor(message, key, now)
    if (address === undefined) return 'poolExhausted'
    const binding = this.leases.take(address, key)
    // One that has it already keeps it while it thinks the offer over.
    if (binding.state !== 'leased' || binding.until <= now) {
      binding.state = 'offered'
      binding.until = now + OFFER_HOLDS
    }
    this.describe(binding, message)
    this.lastEvent = 'offered'
    return this.answer(message, TYPE.offer, address, this.terms())
  }

  /** §4.3.1: reserved, what it has or had, what it wishes for, or any. */
  private addressFor(message: Message, key: ClientKey, now: Instant): number | undefined {
    const reserved = this.reserved.get(message.chaddr)
    if (reserved !== undefined) return reserved
    const had = this.leases.of(key)
    if (had !== undefined && this.leases.isFree(had.address, key, now)) return had.address
    const wish = wordOf(message, OPTION.requestedAddress)
    if (wish !== undefined && this.leases.isFree(wish, key, now)) return wish
    return this.leases.findFree(key, now)
  }

  /** §4.3.2: by which of the four states the client is in. */
  private request(message: Message, now: Instant): Answer | ServerDrop | undefined {
    const key = this.keyOf(message)
    const binding = this.leases.of(key)
    const server = wordOf(message, OPTION.server)
    if (server !== undefined && server !== this.settings.address) {
      // It has chosen another server.
      if (binding?.state === 'offered') binding.state = 'free'
      return 'notForUs'
    }
    const asked = wordOf(message, OPTION.requestedAddress) ?? message.ciaddr
    if (this.mayHave(message, binding, asked, now)) return this.grant(message, this.leases.take(asked, key), now)
    if (server === undefined && binding === undefined && this.isHere(asked) && !this.settings.authoritative) {
      return 'unknownClient'
    }
    this.lastEvent = 'refused'
    return this.refuse(message, this.isHere(asked) ? 'the address is not to be had' : 'not an address of this link')
  }

  /** Its own; or, after we have forgotten everything, free. */
  private mayHave(message: Message, binding: Binding | undefined, asked: number, now: Instant): boolean {
    const reserved = this.reserved.get(message.chaddr)
    if (reserved !== undefined) return asked === reserved
    if (binding !== undefined && binding.address === asked) return this.leases.isFree(asked, binding.key, now)
    return this.settings.authoritative && this.leases.isFree(asked, this.keyOf(message), now)
  }

  private grant(message: Message, binding: Binding, now: Instant): Answer {
    binding.state = 'leased'
    binding.until = now + this.settings.leaseTime
    this.describe(binding, message)
    this.lastEvent = 'leased'
    this.changed = binding
    return this.answer(message, TYPE.ack, binding.address, this.terms())
  }

  private decline(message: Message, now: Instant): ServerDrop | undefined {
    const binding = this.leases.of(this.keyOf(message))
    if (binding === undefined || binding.address !== wordOf(message, OPTION.requestedAddress)) return 'unknownClient'
    this.leases.decline(binding, now + DECLINED_RESTS)
    this.lastEvent = 'declined'
    this.changed = binding
    return undefined
  }

  private release(message: Message, now: Instant): ServerDrop | undefined {
    const binding = this.leases.of(this.keyOf(message))
    if (binding === undefined || binding.address !== message.ciaddr) return 'unknownClient'
    binding.state = 'free'
    binding.until = now
    this.lastEvent = 'released'
    this.changed = binding
    return undefined
  }

  /** By its identifier (option 61), or by its hardware; for whom an address is reserved, always by that. */
  private keyOf({ options, chaddr }: Message): ClientKey {
    const id = options.get(OPTION.clientId)
    if (id === undefined || id.length < 2 || this.reserved.has(chaddr)) return formatMac(chaddr)
    return Array.from(id.subarray(0, MOST_ID), (octet) => octet.toString(16).padStart(2, '0')).join('')
  }

  private describe(binding: Binding, message: Message): void {
    binding.chaddr = message.chaddr
    binding.hostName = (textOf(message, OPTION.hostName) ?? '').slice(0, MOST_NAME)
  }

  private isHere(address: number): boolean {
    return ((address ^ this.settings.address) & maskOf(this.settings.length)) === 0
  }

  private terms(): ReadonlyMap<number, Uint8Array> {
    const { leaseTime, options, length } = this.settings
    const time = Math.floor(leaseTime / seconds(1))
    return new Map([
      [OPTION.leaseTime, ofWord(time | 0)],
      [OPTION.renewalTime, ofWord(Math.floor(time * HALF))],
      [OPTION.rebindingTime, ofWord(Math.floor(time * SEVEN_EIGHTHS))],
      [OPTION.subnetMask, ofWord(maskOf(length))],
      ...options,
    ])
  }

  private refuse(message: Message, why: string): Answer {
    const options = this.optionsFor(message, new Map([[OPTION.message, ofText(why)]]))
    const { xid, chaddr, giaddr } = message
    const nak = { reply: true, type: TYPE.nak, xid, secs: 0, ciaddr: 0, yiaddr: 0, giaddr, chaddr, options }
    // Also a relay is to tell everybody (§4.3.2).
    if (giaddr !== 0) return { message: { ...nak, broadcast: true }, to: giaddr, port: SERVER_PORT }
    return { message: { ...nak, broadcast: message.broadcast }, to: 0, port: CLIENT_PORT }
  }

  private answer(asked: Message, type: MessageType, yiaddr: number, given: ReadonlyMap<number, Uint8Array>): Answer {
    const { xid, ciaddr, giaddr, chaddr, broadcast } = asked
    const options = this.optionsFor(asked, given)
    const returned = type === TYPE.offer ? 0 : ciaddr
    const message = { reply: true, type, xid, secs: 0, broadcast, ciaddr: returned, yiaddr, giaddr, chaddr, options }
    if (giaddr !== 0) return { message, to: giaddr, port: SERVER_PORT }
    // Who says that he is elsewhere would have us send there what he likes.
    return { message, to: this.isHere(ciaddr) ? ciaddr : 0, port: CLIENT_PORT }
  }

  /** With every answer goes back what a relay has added (RFC 3046 §2.2), and the client's identifier (RFC 6842). */
  private optionsFor({ options: asked }: Message, given: ReadonlyMap<number, Uint8Array>): Map<number, Uint8Array> {
    const options = new Map([[OPTION.server, ofWord(this.settings.address)], ...given])
    for (const code of [OPTION.clientId, OPTION.relayAgent]) {
      const value = asked.get(code)
      if (value !== undefined) options.set(code, value)
    }
    return options
  }
}

/** A binding as people read it. */
export interface LeaseEntry {
  readonly address: string
  readonly client: string
  readonly hardware: string
  readonly hostName: string
  readonly state: Binding['state']
  /** When that ends; of a lease that is free, when it ended. */
  readonly until: Instant
}

export function entryOf({ address, key, chaddr, hostName, state, until }: Binding): LeaseEntry {
  return { address: formatIpv4(address), client: key, hardware: formatMac(chaddr), hostName, state, until }
}
