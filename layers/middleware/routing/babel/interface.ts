/** A link that Babel speaks on: its neighbours, its timers, and the packets that are being filled for it. */
import type { IpAddress } from '../../../../src/kernel/address.ts'
import type { Duration, Instant } from '../../../../src/kernel/clock.ts'
import { Timer } from '../../../../src/kernel/timers.ts'
import type { Authenticator } from './authenticator.ts'
import type { LinkType, Neighbour } from './neighbour.ts'
import type { WirePrefix } from './pdu.ts'
import { HEADER_OCTETS } from './tlv.ts'
import { type Announcement, Writer } from './writer.ts'

/** How a link is used. Durations in µs. */
export interface InterfaceSettings {
  readonly name: string
  readonly type: LinkType
  readonly helloInterval: Duration
  /** Of hellos to each neighbour alone; default 0: there are none. */
  readonly unicastHelloInterval?: Duration | undefined
  readonly updateInterval: Duration
  /** What one hop costs at the best: 1 to 65534. */
  readonly rxcost: number
  /** Say nothing of a destination on the link that leads to it: for links on which all hear all. */
  readonly splitHorizon: boolean
  /** Octets of the largest packet of Babel: 256 to 65535. */
  readonly maxOctets: number
  /** Our link-local address. */
  readonly address: IpAddress
  /** Our IPv4 address, the next hop of IPv4 destinations; null: these go by IPv6 (RFC 9229). */
  readonly nextHop4: number | null
  /** Checks what arrives, and signs what leaves (RFC 8967). */
  readonly authenticator: Authenticator | null
}

/** A packet to be sent: valid until the next is asked for. */
export interface Outgoing {
  readonly interface: Interface
  /** The neighbour's address; null: the group of all Babel routers. */
  readonly to: IpAddress | null
  readonly octets: Uint8Array
  readonly length: number
}

/** Where finished packets go. */
export interface Outbox {
  /** Octets for a packet of the interface. */
  take(octets: number): Uint8Array
  put(packet: Outgoing): void
  /** There is something in a packet that is not finished. */
  begun(owner: Interface): void
}

export class Interface {
  settings: InterfaceSettings
  readonly neighbours: Neighbour[] = []
  readonly helloTimer: Timer
  readonly updateTimer: Timer
  /** What one hop costs at the best; may change, and neighbours hear of it with the next IHU. */
  rxcost: number
  /** Of the next hello; 16 bits. */
  helloSeqno: number
  /** Hellos until IHUs are due again. */
  ihuCountdown = 0
  lastHello: Instant = Number.NEGATIVE_INFINITY
  lastUpdate: Instant = Number.NEGATIVE_INFINITY
  /** It stands in the list of those with packets begun. */
  begun = false
  private readonly outbox: Outbox
  private readonly group: Writer
  private readonly single: Writer
  private singleTo: Neighbour | null = null

  constructor(
    settings: InterfaceSettings,
    outbox: Outbox,
    helloSeqno: number,
    expire: (owner: Interface, what: 'hello' | 'update', now: Instant) => void,
  ) {
    this.settings = settings
    this.rxcost = settings.rxcost
    this.outbox = outbox
    this.helloSeqno = helloSeqno
    this.helloTimer = new Timer({ expire: (now) => expire(this, 'hello', now) })
    this.updateTimer = new Timer({ expire: (now) => expire(this, 'update', now) })
    this.group = new Writer(NONE, 0)
    this.single = new Writer(NONE, 0)
  }

  get type(): LinkType {
    return this.settings.type
  }

  /** Is used in another way from now on; what has been begun goes as it was. Name and addresses are the same. */
  use(settings: InterfaceSettings): void {
    this.flush()
    this.settings = settings
    this.rxcost = settings.rxcost
  }

  neighbour(address: IpAddress): Neighbour | undefined {
    for (const neighbour of this.neighbours) if (neighbour.address.equals(address)) return neighbour
    return undefined
  }

  hello(interval: number): void {
    if (!this.writer(null).hello(this.helloSeqno, interval)) this.next(null).hello(this.helloSeqno, interval)
    this.helloSeqno = (this.helloSeqno + 1) & 0xffff
  }

  /** The hello of one neighbour, in a packet to it alone. */
  helloTo(neighbour: Neighbour, interval: number): void {
    const { helloSeqno } = neighbour
    if (!this.writer(neighbour).hello(helloSeqno, interval, true))
      this.next(neighbour).hello(helloSeqno, interval, true)
    neighbour.helloSeqno = (helloSeqno + 1) & 0xffff
  }

  ihu(neighbour: Neighbour, interval: number): void {
    const { address, rxcost } = neighbour
    if (!this.writer(null).ihu(address, rxcost, interval)) this.next(null).ihu(address, rxcost, interval)
  }

  /** @param to null: all neighbours. */
  update(to: Neighbour | null, prefix: WirePrefix, announcement: Announcement, interval: number): void {
    const { nextHop4 } = this.settings
    if (!this.writer(to).update(prefix, announcement, interval, nextHop4)) {
      this.next(to).update(prefix, announcement, interval, nextHop4)
    }
  }

  retractAll(interval: number): void {
    if (!this.writer(null).retractAll(interval)) this.next(null).retractAll(interval)
  }

  routeRequest(to: Neighbour | null, prefix: WirePrefix | null): void {
    if (!this.writer(to).routeRequest(prefix)) this.next(to).routeRequest(prefix)
  }

  seqnoRequest(to: Neighbour | null, prefix: WirePrefix, seqno: number, hops: number, high: number, low: number): void {
    if (!this.writer(to).seqnoRequest(prefix, seqno, hops, high, low)) {
      this.next(to).seqnoRequest(prefix, seqno, hops, high, low)
    }
  }

  ack(to: Neighbour, opaque: number): void {
    if (!this.writer(to).ack(opaque)) this.next(to).ack(opaque)
  }

  /** A challenge, or the answer to one, which waits for nothing (RFC 8967 §4.3.1). */
  challenge(to: IpAddress, type: number, nonce: Uint8Array): void {
    const writer = new Writer(NONE, 0)
    this.open(writer)
    writer.opaque(type, nonce)
    this.close(writer, to)
  }

  /** Sends what has been begun. */
  flush(): void {
    this.close(this.group, null)
    this.close(this.single, this.singleTo?.address ?? null)
    this.singleTo = null
  }

  private writer(to: Neighbour | null): Writer {
    this.outbox.begun(this)
    if (to === null) {
      if (this.group.octets === NONE) this.open(this.group)
      return this.group
    }
    if (to !== this.singleTo && this.singleTo !== null) this.close(this.single, this.singleTo.address)
    this.singleTo = to
    if (this.single.octets === NONE) this.open(this.single)
    return this.single
  }

  /** The packet is full. */
  private next(to: Neighbour | null): Writer {
    this.close(to === null ? this.group : this.single, to?.address ?? null)
    return this.writer(to)
  }

  private open(writer: Writer): void {
    const { maxOctets, authenticator } = this.settings
    writer.begin(this.outbox.take(maxOctets), maxOctets - (authenticator?.octets ?? 0))
  }

  private close(writer: Writer, to: IpAddress | null): void {
    if (writer.octets === NONE) return
    const { authenticator } = this.settings
    if (authenticator === null) writer.finish()
    else authenticator.sign(writer, this.settings.address, to)
    if (writer.length > HEADER_OCTETS) {
      this.outbox.put({ interface: this, to, octets: writer.octets, length: writer.length })
    }
    writer.begin(NONE, 0)
  }
}

const NONE = new Uint8Array(0)
