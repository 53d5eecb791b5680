/**
 * A machine of the balanced mode at work: on the node's clock, between a layer that knows addresses and users who send
 * and read. LAPB has one of these, LLC2 and AX.25 one per peer.
 */
import type { Instant } from '../../../src/kernel/clock.ts'
import { Drive, type Pump } from '../../../src/kernel/drive.ts'
import type { Env } from '../../../src/kernel/env.ts'
import type { Packet } from '../../../src/kernel/packet.ts'
import type { LinkAddress } from '../service.ts'
import { Frame, pushControl } from './abm/control.ts'
import type { AbmEvent } from './abm/event.ts'
import type { Journal } from './abm/journal.ts'
import { Abm } from './abm/machine.ts'
import type { AbmAgreement, AbmOptions, Variant } from './abm/variant.ts'
import { Negotiation } from './negotiation.ts'

/** The layer around a connection. */
export interface ConnectionOwner {
  /** Hears what the machine drops, counts and notes. */
  readonly boundary: Journal
  /** Room for everything in front of the control field, and behind the information. */
  readonly frameHeadroom: number
  readonly frameTailroom: number
  /** Puts the addresses in front, and sends. Takes ownership. @returns false when the line takes no more for now. */
  transmit(connection: Connection, packet: Packet, command: boolean): boolean
}

/** Who sends and reads over a connection. */
export interface ConnectionUser {
  /** Takes ownership. */
  received(connection: Connection, packet: Packet): void
  changed(connection: Connection, event: AbmEvent): void
  /** After `send` returned false: it takes packets again. */
  writable(connection: Connection): void
}

/** Control fields have two octets at the most. */
export const CONTROL_OCTETS = 2

export class Connection implements Pump {
  readonly peer: LinkAddress
  /** Which connection with this peer, where there may be several; the layer knows what it means. */
  readonly key: number
  readonly abm: Abm
  user: ConnectionUser
  private readonly owner: ConnectionOwner
  private readonly env: Env
  private readonly drive: Drive
  private readonly frame = new Frame()
  /** Packets that one call of the user's may send; at most half the queue. */
  private readonly atOnce: number
  private negotiation: Negotiation | null = null
  /** The line takes no more; the user above does not. */
  private blocked = false
  private paused = false
  /** `send` returned false. */
  private shut = false
  /** Something was changed from within the pump: once more. */
  private again = false

  constructor(
    env: Env,
    owner: ConnectionOwner,
    user: ConnectionUser,
    to: { readonly peer: LinkAddress; readonly key: number },
    machine: {
      readonly variant: Variant
      readonly options: AbmOptions
      readonly listening: boolean
      readonly atOnce?: number
    },
  ) {
    this.env = env
    this.owner = owner
    this.user = user
    this.peer = to.peer
    this.key = to.key
    this.atOnce = machine.atOnce ?? 1
    this.abm = new Abm(machine.variant, machine.options, machine.listening, owner.boundary)
    this.drive = new Drive(this.abm, env.timers, this)
  }

  /** The link is up. */
  get up(): boolean {
    return this.abm.phase === 'CONNECTED'
  }

  connect(): void {
    const now = this.env.clock.now()
    this.abm.connect(now)
    this.flush(now)
  }

  /** Ends the connection; what has not been acknowledged is lost. */
  disconnect(): void {
    const now = this.env.clock.now()
    this.abm.disconnect(now)
    this.move(now)
  }

  /**
   * Asks the peer for its parameters by `ask`, which sends XID, until `agree` or in vain; no I frame goes meanwhile.
   */
  negotiate(ask: () => void): void {
    this.negotiation ??= new Negotiation(this.env, this.abm, ask, () => this.move())
    this.negotiation.begin()
  }

  /** What both ends can, now that the peer has told what it can (XID). */
  agree(agreement: AbmAgreement): void {
    this.negotiation?.stop()
    this.abm.agree(agreement)
    this.move()
  }

  /**
   * Takes ownership. Never calls the user before it returns.
   * @returns false when no more is taken until `writable`; the packet was still taken, and dropped if there was no room
   *   at all, or if it is longer than both ends agreed on.
   */
  send(packet: Packet): boolean {
    if (packet.length > this.abm.n1) this.owner.boundary.drop(packet, 'tooLongToSend')
    else if (this.abm.offer(packet)) this.flush(this.env.clock.now())
    else this.owner.boundary.drop(packet, 'queueFull')
    return this.takesMore()
  }

  /** Whether a call of the user's may follow; if not, `writable` says when it may. */
  takesMore(): boolean {
    this.shut = this.abm.room < this.atOnce
    return !this.shut
  }

  /** A frame from the peer, read as far as its control field. Takes ownership. */
  input(frame: Frame, packet: Packet): void {
    const now = this.env.clock.now()
    this.abm.input(frame, packet, now)
    this.move(now)
  }

  /** A frame whose control field nobody knows. */
  inputUnknown(frame: Frame): void {
    const now = this.env.clock.now()
    this.abm.inputUnknown(frame, now)
    this.move(now)
  }

  /** The line takes frames again. */
  lineReady(): void {
    this.blocked = false
    this.move()
  }

  /** The user does not want more for now: the peer is told (RNR) when the receive queue is full. */
  pause(): void {
    this.paused = true
  }

  resume(): void {
    this.paused = false
    this.move()
  }

  /** Its life is over. */
  close(): void {
    this.negotiation?.stop()
    this.drive.stop()
    this.abm.clear()
  }

  /** Moves all that can move. Called by the drive. */
  pump(now: Instant): void {
    do {
      this.again = false
      this.deliver()
      this.transmit(now)
      if (this.shut && this.abm.relieved) {
        this.shut = false
        this.user.writable(this)
      }
    } while (this.again)
  }

  /** Runs the pump, or once more where it is running. */
  private move(now: Instant = this.env.clock.now()): void {
    this.again = true
    this.drive.run(now)
  }

  private deliver(): void {
    while (!this.paused) {
      const packet = this.abm.take()
      if (packet === undefined) break
      this.user.received(this, packet)
    }
    for (let event = this.abm.event(); event !== undefined; event = this.abm.event()) {
      if (event.state !== 'up') this.negotiation?.abandon()
      this.user.changed(this, event)
    }
  }

  /** What goes out at once; all else when the pump runs, which is under way when the user calls from within. */
  private flush(now: Instant): void {
    this.again = true
    this.transmit(now)
    this.drive.arm()
  }

  private transmit(now: Instant): void {
    const { abm, frame, owner } = this
    while (!this.blocked && abm.output(now, frame)) {
      const packet = this.frameOf(abm.sdu, abm.info)
      pushControl(packet, abm.modulus, frame)
      this.blocked = !owner.transmit(this, packet, frame.command)
    }
  }

  private frameOf(sdu: Packet | null, info: Uint8Array | null): Packet {
    const headroom = this.owner.frameHeadroom + CONTROL_OCTETS
    const { frameTailroom } = this.owner
    if (sdu !== null) return sdu.copy(headroom, frameTailroom)
    const packet = this.env.packet(headroom, (info?.length ?? 0) + frameTailroom)
    if (info !== null) packet.append(info)
    return packet
  }
}
