/**
 * LAPB (ISO 7776; ITU-T X.25 §2): a point-to-point link over octets or frames that loses nothing and keeps the order.
 *
 *   octets   0         1            2 or 3
 *            ├─────────┼────────────┼──────────┬──────────────┬───────┐
 *            │ address │ control    │ protocol │ information  │  FCS  │     flags and escapes: RFC 1662
 *            └─────────┴────────────┴──────────┴──────────────┴───────┘
 *
 * A DTE calls the other B (1) in commands, and itself A (3) in responses; a DCE the other way round. The protocol is a
 * number of RFC 1661 §2, as in the numbered mode of PPP (RFC 1663); without one (`protocols: false`) the link carries
 * what it is given, under protocol 0.
 *
 * The link is set up as soon as it is stacked, and again whenever it has gone down. `linkChanged` tells of both.
 */

import type { Boundary, Encapsulation, Reasons } from '../../../src/kernel/boundary.ts'
import { seconds } from '../../../src/kernel/clock.ts'
import type { Env } from '../../../src/kernel/env.ts'
import { invalidValue } from '../../../src/kernel/errors.ts'
import type { Layer, LinkState, User } from '../../../src/kernel/layer.ts'
import type { Packet } from '../../../src/kernel/packet.ts'
import { Timer } from '../../../src/kernel/timers.ts'
import type { PhysicalService } from '../../physical/service.ts'
import { type FcsKind, type Framing, framing, MAX_FRAME_OCTETS, type TransparencyKind } from '../framing/framing.ts'
import { ETHERTYPE, type LinkAddress, LinkAddressing, type LinkOffload, type LinkService } from '../service.ts'
import { Frame, type FrameType, type Modulus, pullControl } from './abm/control.ts'
import type { AbmEvent } from './abm/event.ts'
import { ABM_REASONS, type AbmDrop } from './abm/journal.ts'
import { type AbmOptions, LAPB, parametersOf } from './abm/variant.ts'
import { CONTROL_OCTETS, Connection, type ConnectionOwner, type ConnectionUser } from './connection.ts'

export interface LapbOptions extends Omit<AbmOptions, 'recovery'> {
  /** Which end this is; the two must differ. */
  readonly role: 'dte' | 'dce'
  /** Whether a protocol number is in front of every packet. Default true. */
  readonly protocols?: boolean
  /** Default 'fcs16'. */
  readonly fcs?: Exclude<FcsKind, 'smack' | 'smackReceived'>
  /** Over octets: octet stuffing (the default) or bit stuffing. */
  readonly transparency?: TransparencyKind
}

/** Why LAPB drops frames and packets. */
export type LapbDrop = AbmDrop | 'badAddress' | 'sameRole' | 'badProtocol' | 'unknownProtocol'

const A = 0x03
const B = 0x01
/** Protocol numbers of PPP (RFC 1661 §2, IANA). */
const PPP_IPV4 = 0x0021
const PPP_IPV6 = 0x0057
const PROTOCOL_OCTETS = 2
const AGAIN = seconds(3)

const REASONS: Reasons<LapbDrop> = {
  ...ABM_REASONS,
  badAddress: 'X.25 §2.4.2',
  sameRole: 'X.25 §2.4.2',
  badProtocol: 'RFC 1661 §2',
  tooLongToSend: 'X.25 §2.4.8.5',
  unknownProtocol: 'RFC 1661 §5.7',
}

const NO_OFFLOAD: LinkOffload = Object.freeze({ segment: 0, checksum: false })

/**
 * LAPB.
 * @throws RangeError ERR_OUT_OF_RANGE, TypeError ERR_INVALID_ARG_VALUE — see `AbmOptions`; `role` is neither.
 */
export function lapb(options: LapbOptions): Layer<PhysicalService<'octets' | 'frames'>, LinkService> {
  if (options.role !== 'dte' && options.role !== 'dce') throw invalidValue('role', "'dte' or 'dce'", options.role)
  parametersOf(LAPB, options)
  return (below, env) => new Lapb(below, env, options)
}

class Lapb implements LinkService, User<undefined>, ConnectionOwner, ConnectionUser {
  readonly tier = 'datalink'
  readonly address: LinkAddress
  readonly broadcast = null
  readonly offload: LinkOffload = NO_OFFLOAD
  readonly boundary: Boundary<LinkAddressing, LapbDrop>
  private readonly frames: Framing
  private readonly connection: Connection
  private readonly env: Env
  private readonly peer: LinkAddress
  private readonly protocols: boolean
  private readonly n1: number
  private readonly frame = new Frame()
  private readonly from = new LinkAddressing()
  private readonly again: Timer
  private readonly role: 'dte' | 'dce'
  /** What the users above were told: that it is up; that it cannot be. */
  private isUp = false
  private toldRole = false

  constructor(below: PhysicalService<'octets' | 'frames'>, env: Env, options: LapbOptions) {
    const { role, protocols = true, fcs = 'fcs16', transparency = 'octets' } = options
    const { n1, modulus } = parametersOf(LAPB, options)
    this.env = env
    this.role = role
    this.address = role === 'dte' ? A : B
    this.peer = role === 'dte' ? B : A
    this.from.peer = this.peer
    this.protocols = protocols
    this.n1 = n1
    this.boundary = env.boundary('lapb', 'link', REASONS)
    this.frames = framing(below, env, {
      name: 'lapb-frames',
      encapsulation: encapsulationOf(modulus, fcs),
      // Of a frame longer than N1 permits the peer is told (FRMR Y), unless it is far longer.
      longest: Math.min(2 * n1 + 1 + CONTROL_OCTETS, MAX_FRAME_OCTETS),
      shortest: 2,
      fcs,
      transparency,
    })
    const machine = { variant: LAPB, options, listening: true }
    this.connection = new Connection(env, this, this, { peer: this.peer, key: 0 }, machine)
    this.again = new Timer({ expire: () => this.connection.connect() })
    env.defer(() => this.connection.close())
    env.defer(() => env.timers.cancel(this.again))
    env.defer(this.frames.boundary.attach(this))
    env.timers.arm(this.again, env.clock.now())
  }

  get frameHeadroom(): number {
    return this.frames.headroom + 1
  }

  get frameTailroom(): number {
    return this.frames.tailroom
  }

  get mtu(): number {
    const longest = Math.min(this.n1, this.frames.mtu - 1 - CONTROL_OCTETS)
    return Math.max(0, longest - (this.protocols ? PROTOCOL_OCTETS : 0))
  }

  get headroom(): number {
    return this.frameHeadroom + CONTROL_OCTETS + PROTOCOL_OCTETS
  }

  get tailroom(): number {
    return this.frameTailroom
  }

  send(packet: Packet, to: LinkAddressing): boolean {
    this.boundary.down(packet, to)
    const reason = this.encapsulate(packet, to.protocol)
    if (reason === undefined) return this.connection.send(packet)
    this.boundary.drop(packet, reason)
    return true
  }

  receive(packet: Packet): void {
    this.frames.removeFcs(packet)
    const address = packet.octets[packet.pull(1)] as number
    const { frame, connection } = this
    if (address !== A && address !== B) {
      this.boundary.drop(packet, 'badAddress')
      return
    }
    // A command has the address of whom it is for.
    frame.command = address === this.address
    const fault = pullControl(packet, connection.abm.modulus, frame)
    if (fault !== undefined) {
      this.boundary.drop(packet, fault)
      if (fault === 'badControl') connection.inputUnknown(frame)
    } else if (!frame.command && isCommandOnly(frame.type)) {
      this.boundary.drop(packet, 'sameRole')
      this.tellRole()
    } else {
      connection.input(frame, packet)
    }
  }

  ready(): void {
    this.connection.lineReady()
  }

  /** A line that comes back is tried at once; one that goes is noticed by T1, or not at all if it is quick. */
  linkChanged(state: LinkState): void {
    if (state === 'up') this.connection.connect()
  }

  transmit(_connection: Connection, packet: Packet, command: boolean): boolean {
    packet.octets[packet.push(1)] = command ? this.peer : this.address
    return this.frames.send(packet, undefined)
  }

  received(_connection: Connection, packet: Packet): void {
    const protocol = this.decapsulate(packet)
    if (protocol === undefined) {
      this.boundary.drop(packet, 'badProtocol')
      return
    }
    this.from.protocol = protocol
    if (!this.boundary.up(packet, this.from, protocol)) this.boundary.drop(packet, 'unknownProtocol')
  }

  changed(connection: Connection, { state, reason }: AbmEvent): void {
    if (state === 'down' && connection.abm.phase === 'DISCONNECTED') {
      const { clock, timers } = this.env
      timers.arm(this.again, clock.now() + AGAIN)
    }
    this.boundary.note(null, state, reason, LAPB.standard)
    if (state === 'down' && !this.isUp) return // One more attempt was in vain.
    this.isUp = state !== 'down'
    this.toldRole = false
    this.boundary.linkChanged(state === 'down' ? 'down' : 'up', reason)
  }

  writable(): void {
    this.boundary.ready()
  }

  /** What only commands are came as a response: the peer has our role, or is ourselves. Told once, until the link is up. */
  private tellRole(): void {
    if (this.toldRole || this.isUp) return
    this.toldRole = true
    const { role } = this
    const reason = `both ends are the ${role}, or the line leads back here: make one the ${role === 'dte' ? 'dce' : 'dte'}`
    this.boundary.note(null, 'sameRole', reason, REASONS.sameRole)
    this.boundary.linkChanged('down', reason)
  }

  private encapsulate(packet: Packet, etherType: number): LapbDrop | undefined {
    if (packet.length > this.mtu) return 'tooLongToSend'
    if (!this.protocols) return undefined
    const protocol = etherType === ETHERTYPE.ipv4 ? PPP_IPV4 : etherType === ETHERTYPE.ipv6 ? PPP_IPV6 : 0
    if (protocol === 0) return 'badProtocol'
    packet.view.setUint16(packet.push(PROTOCOL_OCTETS), protocol)
    return undefined
  }

  private decapsulate(packet: Packet): number | undefined {
    if (!this.protocols) return 0
    if (packet.length < PROTOCOL_OCTETS) return undefined
    const protocol = packet.view.getUint16(packet.start)
    if (protocol !== PPP_IPV4 && protocol !== PPP_IPV6) return undefined
    packet.pull(PROTOCOL_OCTETS)
    return protocol === PPP_IPV4 ? ETHERTYPE.ipv4 : ETHERTYPE.ipv6
  }
}

const isCommandOnly = (type: FrameType): boolean => type === 'SABM' || type === 'SABME' || type === 'DISC'

function encapsulationOf(modulus: Modulus, fcs: Exclude<FcsKind, 'smack' | 'smackReceived'>): Encapsulation {
  const lapb = modulus === 8 ? 'lapb8' : 'lapb128'
  return fcs === 'none' ? lapb : `${lapb}+${fcs}`
}
