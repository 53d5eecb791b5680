/**
 * The seam between two layers: who stands above, what passed, what was dropped and why, and who watches.
 * Every service owns exactly one.
 */
import type { Clock, Instant } from './clock.ts'
import type { LinkState, User } from './layer.ts'
import type { Packet } from './packet.ts'

export type Direction = 'down' | 'up'

/** Why a layer drops packets: reason → the standard and section behind it ('' where it is our own decision). */
export type Reasons<Reason extends string = string> = Readonly<Record<Reason, string>>

/** What the packets at a boundary look like, so that a capture can say so. */
export type Encapsulation =
  /** Ethernet frames with, or without, their FCS. */
  | 'ethernet+fcs'
  | 'ethernet'
  /** PPP frames (RFC 1662) without flags and escapes, with an FCS of so many bits, or without. */
  | 'ppp'
  | 'ppp+fcs16'
  | 'ppp+fcs32'
  /** LAPB frames likewise, their control field in modulo 8 or 128. */
  | 'lapb8'
  | 'lapb8+fcs16'
  | 'lapb8+fcs32'
  | 'lapb128'
  | 'lapb128+fcs16'
  | 'lapb128+fcs32'
  /** AX.25 frames behind the command octet of KISS. */
  | 'ax25+kiss'
  /** IPv4 or IPv6 packets, told apart by their version field. */
  | 'ip'
  /** What a data link carries: the protocol is in the addressing. */
  | 'link'
  /** Transport segments: the protocol is in the addressing. */
  | 'transport'
  /** A run of octets without packet limits, or frames of another format. */
  | 'octets'

/** An observer. It may read the packet only during the call, and must not change it. */
export interface Tap<Address> {
  packet?(packet: Packet, address: Address, direction: Direction, at: Instant): void
  /** `packet` is about to be released. */
  drop?(packet: Packet, reason: string, rfc: string, at: Instant): void
  /** Something worth telling happened, for example a retransmission; `packet` is the one concerned, if any. */
  note?(packet: Packet | null, event: string, reason: string, rfc: string, at: Instant): void
}

/**
 * Told of every drop and note at every boundary of this thread, without being a tap: it makes no boundary `watched`.
 * For what has to be there before anybody asks, at no cost per packet. It may read the packet only during the call.
 */
export interface Witness {
  drop(boundary: { readonly name: string }, packet: Packet, reason: string, rfc: string): void
  note(boundary: { readonly name: string }, packet: Packet | null, event: string, reason: string, rfc: string): void
}

let witness: Witness | null = null

/** Exchanges the thread's witness; null for none. */
export function setWitness(next: Witness | null): void {
  witness = next
}

export class Boundary<Address, Reason extends string = string> {
  /** `node/layer`, and `node/link/layer` where links have names. */
  readonly name: string
  readonly encapsulation: Encapsulation
  /** All reasons this boundary can drop for, with their sections. */
  readonly reasons: Reasons<Reason>
  /** How often each reason occurred; every reason is present. */
  readonly drops: ReadonlyMap<Reason, number>
  /** Packets of the wire and their octets, towards the wire (tx) and from it (rx). */
  txPackets = 0
  txOctets = 0
  rxPackets = 0
  rxOctets = 0
  private readonly clock: Clock
  private readonly dropCounts: Map<Reason, number>
  private taps: readonly Tap<Address>[] = []
  private single: User<Address> | null = null
  private readonly selected = new Map<number, User<Address>>()
  /** The user found last, and for which selector: packets come in runs. */
  private lastSelector = -1
  private lastUser: User<Address> | undefined

  constructor(name: string, encapsulation: Encapsulation, reasons: Reasons<Reason>, clock: Clock) {
    this.name = name
    this.encapsulation = encapsulation
    this.reasons = reasons
    this.clock = clock
    this.dropCounts = new Map((Object.keys(reasons) as Reason[]).map((reason) => [reason, 0]))
    this.drops = this.dropCounts
  }

  /** True while at least one tap watches. */
  get watched(): boolean {
    return this.taps.length > 0
  }

  /**
   * Puts `user` above this boundary, for packets of `selector` (an EtherType, an IP protocol, …) or, without one, for
   * all. A user of everything takes precedence.
   * @returns a function that detaches it again.
   * @throws Error — that place is taken.
   */
  attach(user: User<Address>, selector?: number): () => void {
    this.lastSelector = -1
    if (selector === undefined) {
      if (this.single !== null) throw new Error(`${this.name} has a user already`)
      this.single = user
      return () => {
        if (this.single === user) this.single = null
        this.lastSelector = -1
      }
    }
    if (this.selected.has(selector)) throw new Error(`${this.name} has a user for ${selector} already`)
    this.selected.set(selector, user)
    return () => {
      if (this.selected.get(selector) === user) this.selected.delete(selector)
      this.lastSelector = -1
    }
  }

  /** The first line of every `send`: counts and taps a packet on its way down. */
  down(packet: Packet, to: Address): void {
    this.txPackets++
    this.txOctets += packet.end - packet.start
    if (packet.segmentOctets !== 0) this.countWhole(packet, 'down')
    if (this.taps.length > 0) this.tapPacket(packet, to, 'down')
  }

  /**
   * Counts, taps and hands an arrived packet to the user above.
   * @param selector chooses the user; 0 where there is only one.
   * @returns false when nobody is attached for it: the caller still owns the packet.
   */
  up(packet: Packet, from: Address, selector: number): boolean {
    this.rxPackets++
    this.rxOctets += packet.end - packet.start
    if (packet.segmentOctets !== 0) this.countWhole(packet, 'up')
    if (this.taps.length > 0) this.tapPacket(packet, from, 'up')
    if (selector !== this.lastSelector) {
      this.lastSelector = selector
      this.lastUser = this.single ?? this.selected.get(selector)
    }
    const user = this.lastUser
    if (user === undefined) return false
    user.receive(packet, from)
    return true
  }

  /** Ends a packet's life for a reason: counts it, tells the taps, releases it. */
  drop(packet: Packet, reason: Reason): void {
    this.count(reason)
    if (witness !== null) witness.drop(this, packet, reason, this.reasons[reason])
    if (this.taps.length > 0) {
      const at = this.clock.now()
      for (const tap of this.taps) tap.drop?.(packet, reason, this.reasons[reason], at)
    }
    packet.release()
  }

  /** Counts a drop whose packet never existed as such (for example one that could not be built). */
  count(reason: Reason): void {
    this.dropCounts.set(reason, (this.dropCounts.get(reason) ?? 0) + 1)
  }

  /** Tells the taps of an event; costs nothing unwatched. Arguments should be constants. */
  note(packet: Packet | null, event: string, reason: string, rfc: string): void {
    if (witness !== null) witness.note(this, packet, event, reason, rfc)
    if (this.taps.length === 0) return
    const at = this.clock.now()
    for (const tap of this.taps) tap.note?.(packet, event, reason, rfc, at)
  }

  /** Tells the users above that the service takes packets again. */
  ready(): void {
    this.single?.ready?.()
    for (const user of this.selected.values()) user.ready?.()
  }

  /** Tells the users above about the link. */
  linkChanged(state: LinkState, reason: string): void {
    this.single?.linkChanged?.(state, reason)
    for (const user of this.selected.values()) user.linkChanged?.(state, reason)
  }

  /** Attaches a tap. Any number may watch, and come and go at any time. @returns a function that detaches it. */
  watch(tap: Tap<Address>): () => void {
    this.taps = [...this.taps, tap]
    return () => {
      this.taps = this.taps.filter((other) => other !== tap)
    }
  }

  /** A super-segment, counted as one packet, stands for several, each with its headers. */
  private countWhole(packet: Packet, direction: Direction): void {
    const packets = packet.segments - 1
    const octets = packet.wireOctets - packet.length
    if (direction === 'down') {
      this.txPackets += packets
      this.txOctets += octets
    } else {
      this.rxPackets += packets
      this.rxOctets += octets
    }
  }

  private tapPacket(packet: Packet, address: Address, direction: Direction): void {
    const at = this.clock.now()
    for (const tap of this.taps) tap.packet?.(packet, address, direction, at)
  }
}
