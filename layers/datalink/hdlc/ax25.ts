/**
 * AX.25 (v2.2) over KISS or SMACK, or over Ethernet (BPQ): amateur radio's link, whose addresses are call signs.
 *
 *   octets   0             7            14        14 + 7 r
 *            ├─────────────┼────────────┼─────────┼─────────┼─────┼─────────────┤
 *            │ destination │ source     │ repeaters (0 to 8)│ control │ PID │ information │
 *            └─────────────┴────────────┴───────────────────┴─────────┴─────┴─────────────┘
 *   KISS     a command octet in front, 0 for data on port 0; SMACK: its highest bit, and a CRC-16 behind
 *   BPQ      EtherType 0x08ff, to all; the length + 5, least significant octet first, in front
 *
 * IP (PID 0xcc) for one station goes over a connection with it, set up on demand; ARP (0xcd), which Linux does not look for
 * there, goes in UI frames, and what is for all goes in those to QST. `open` and `accept` give connections of PID 0xf0, text
 * and records without IP. Frames that are to be repeated are not sent, and those that still have to be are dropped.
 */
import type { Boundary, Reasons } from '../../../src/kernel/boundary.ts'
import { ms, seconds } from '../../../src/kernel/clock.ts'
import type { Env } from '../../../src/kernel/env.ts'
import { integer } from '../../../src/kernel/errors.ts'
import type { Layer, LinkState, User } from '../../../src/kernel/layer.ts'
import type { Packet } from '../../../src/kernel/packet.ts'
import type { PhysicalService } from '../../physical/service.ts'
import { framing } from '../framing/framing.ts'
import {
  type ArpFormat,
  ETHERTYPE,
  type LinkAddress,
  LinkAddressing,
  type LinkOffload,
  type LinkService,
} from '../service.ts'
import { Frame, pullControl, pushControl } from './abm/control.ts'
import type { AbmEvent } from './abm/event.ts'
import { ABM_REASONS, type AbmDrop } from './abm/journal.ts'
import { type AbmOptions, AX25, parametersOf } from './abm/variant.ts'
import { AX25_ARP, CALL_OCTETS, callAt, parseCall, putCall, QST } from './ax25-address.ts'
import { type Carrier, EthernetCarrier, KissCarrier } from './ax25-carrier.ts'
import { longestOf, MAX_SEGMENTS, Segments, segmentsOf } from './ax25-segments.ts'
import { CONTROL_OCTETS, Connection, type ConnectionOwner, type ConnectionUser } from './connection.ts'
import { Peers } from './peers.ts'
import { type RecordConnection, type RecordHandler, type RecordRoom, Records } from './records.ts'
import { agree, decodeXid, encodeXid, type XidAgreement, xidOf } from './xid.ts'

export interface Ax25Options extends AbmOptions {
  /** Our call sign: 'N0CALL' or 'N0CALL-7'. */
  readonly call: string
  /** Connections at the most. Default 64. */
  readonly connections?: number
  /**
   * Octets of the longest packet or record for one station, 1 to what half the queue takes, at most 128 segments: what does not fit a
   * frame goes in segments, which stations before v2.2 do not know. Default: what fits a frame. Segments of others are always taken.
   */
  readonly mtu?: number
  /**
   * Tell the peer of a connection we have set up what we know and take, by XID; of recovery, window, N1, T1 and N2 then holds what both
   * can. Default false: stations before v2.2 do not know it. It is always answered.
   */
  readonly xid?: boolean
}

export interface KissOptions extends Ax25Options {
  /**
   * Send with the CRC of SMACK. Default true, which suits Linux; set false for a TNC or a software modem (direwolf) that takes the bit
   * of it for a ninth port. What comes is understood either way.
   */
  readonly smack?: boolean
}

/** Why AX.25 drops frames and packets. */
export type Ax25Drop =
  | AbmDrop
  | 'badAddress'
  | 'otherHost'
  | 'toBeRepeated'
  | 'notData'
  | 'badProtocol'
  | 'badXid'
  | 'badSegment'
  | 'tooLongToSend'
  | 'tooManyConnections'
  | 'noListener'
  | 'unknownProtocol'

/** A link that can be used by its connections, too. */
export interface Ax25Service extends LinkService {
  /**
   * Sets a connection up. @param peer see `parseCall`.
   * @throws Error — there is a connection with it already, or one too many.
   */
  open(peer: LinkAddress, handler: RecordHandler): RecordConnection
  /** Records of connections that peers set up go to the handler that `handlerFor` makes. @returns what ends it. */
  accept(handlerFor: () => RecordHandler): () => void
}

const PID_TEXT = 0xf0
const PID_IP = 0xcc
const PID_ARP = 0xcd
const COMMAND = 0x80
const LAST = 1
const MAX_REPEATERS = 8
const HEADER_OCTETS = 2 * CALL_OCTETS

const REASONS: Reasons<Ax25Drop> = {
  ...ABM_REASONS,
  badAddress: 'AX.25 v2.2 §3.12',
  otherHost: 'AX.25 v2.2 §3.12',
  toBeRepeated: 'AX.25 v2.2 §3.12.5',
  notData: 'KISS §4',
  badProtocol: 'AX.25 v2.2 §3.4',
  badXid: 'AX.25 v2.2 §4.3.3.7',
  badSegment: 'AX.25 v2.2 §6.6',
  tooLongToSend: 'AX.25 v2.2 §6.7.2',
  tooManyConnections: '',
  noListener: 'AX.25 v2.2 §6.3.1',
  unknownProtocol: 'AX.25 v2.2 §3.4',
}

const NO_OFFLOAD: LinkOffload = Object.freeze({ segment: 0, checksum: false })
/** Radio is slow: defaults that suit 1,200 and 9,600 bits per second (AX.25 v2.2 §6.7). */
const DEFAULTS = { modulus: 8, k: 4, n1: 256, t1: seconds(3), t2: ms(300), t3: seconds(300) } as const

/** AX.25 over KISS on octets. @throws see `AbmOptions`; `call` is no call sign. */
export function ax25(options: KissOptions): Layer<PhysicalService<'octets'>, Ax25Service> {
  const checked = check(options)
  return (below, env) => {
    const { n1 } = checked
    const frames = framing(below, env, {
      name: 'kiss',
      encapsulation: 'ax25+kiss',
      transparency: 'kiss',
      fcs: options.smack === false ? 'smackReceived' : 'smack',
      longest: (n1 ?? 256) + 1 + HEADER_OCTETS + MAX_REPEATERS * CALL_OCTETS + CONTROL_OCTETS + 1,
    })
    return new Ax25(new KissCarrier(frames), env, checked)
  }
}

/** AX.25 over Ethernet. @throws see `AbmOptions`; `call` is no call sign. */
export function bpq(options: Ax25Options): Layer<LinkService, Ax25Service> {
  const checked = check(options)
  return (below, env) => new Ax25(new EthernetCarrier(below), env, checked)
}

function check(options: Ax25Options): Ax25Options {
  const all = { ...DEFAULTS, ...(options.modulus === 128 ? { k: 32 } : {}), ...options }
  const { n1, queue } = parametersOf(AX25, all)
  parseCall(options.call)
  if (options.mtu !== undefined) integer('mtu', options.mtu, 1, longestOf(Math.min(MAX_SEGMENTS, queue >> 1), n1) - 1)
  return all
}

class Ax25 implements Ax25Service, User<unknown>, ConnectionOwner, ConnectionUser {
  readonly tier = 'datalink'
  readonly address: LinkAddress
  readonly broadcast: LinkAddress = QST
  readonly offload: LinkOffload = NO_OFFLOAD
  readonly arp: ArpFormat = AX25_ARP
  readonly boundary: Boundary<LinkAddressing, Ax25Drop>
  private readonly carrier: Carrier
  private readonly env: Env
  private readonly options: Ax25Options
  private readonly n1: number
  /** What we tell of ourselves. */
  private readonly own: XidAgreement
  private readonly peers: Peers
  private handlerFor: (() => RecordHandler) | null = null
  private readonly handlers = new Map<LinkAddress, Records>()
  private readonly segments: Segments
  private readonly frame = new Frame()
  private readonly from = new LinkAddressing()

  constructor(carrier: Carrier, env: Env, options: Ax25Options) {
    this.carrier = carrier
    this.env = env
    this.options = options
    const parameters = parametersOf(AX25, options)
    this.n1 = parameters.n1
    this.own = xidOf(parameters, true)
    this.address = parseCall(options.call)
    this.peers = new Peers(options.connections ?? 64)
    this.boundary = env.boundary('ax25', 'link', REASONS)
    this.segments = new Segments(env, this, options.mtu === undefined ? 1 : segmentsOf(options.mtu + 1, this.n1))
    env.defer(() => this.peers.close())
    env.defer(() => this.segments.close())
    env.defer(carrier.attach(this))
  }

  get frameHeadroom(): number {
    return this.carrier.headroom + HEADER_OCTETS
  }

  get frameTailroom(): number {
    return this.carrier.tailroom
  }

  get mtu(): number {
    return Math.max(0, this.options.mtu ?? 0, this.frameOctets - 1)
  }

  /** N1 counts the information field, in which we have the PID stand. */
  get frameOctets(): number {
    return Math.min(this.n1, this.carrier.mtu - HEADER_OCTETS - CONTROL_OCTETS)
  }

  get headroom(): number {
    return this.frameHeadroom + CONTROL_OCTETS + 1
  }

  get tailroom(): number {
    return this.frameTailroom
  }

  send(packet: Packet, to: LinkAddressing): boolean {
    this.boundary.down(packet, to)
    const pid = to.protocol === ETHERTYPE.ipv4 ? PID_IP : to.protocol === ETHERTYPE.arp ? PID_ARP : 0
    const unnumbered = to.peer === QST || pid === PID_ARP
    if (pid === 0 || packet.length > (unnumbered ? this.frameOctets - 1 : this.mtu)) {
      this.boundary.drop(packet, pid === 0 ? 'badProtocol' : 'tooLongToSend')
      return true
    }
    packet.octets[packet.push(1)] = pid
    if (unnumbered) return this.sendUnnumbered(packet, to.peer, 'UI', true, false)
    const connection = this.connectionTo(to.peer)
    if (connection === undefined) {
      this.boundary.drop(packet, 'tooManyConnections')
      return true
    }
    connection.connect()
    return this.segments.send(connection, packet)
  }

  open(peer: LinkAddress, handler: RecordHandler): RecordConnection {
    if (this.peers.find(peer, 0)?.up && this.handlers.has(peer)) throw new Error('there is such a connection already')
    const connection = this.connectionTo(peer)
    if (connection === undefined) throw new Error('there are too many connections')
    const records = new Records(connection, handler, this.room())
    this.handlers.set(peer, records)
    connection.connect()
    return records
  }

  accept(handlerFor: () => RecordHandler): () => void {
    this.handlerFor = handlerFor
    return () => {
      if (this.handlerFor === handlerFor) this.handlerFor = null
    }
  }

  receive(packet: Packet): void {
    const reason = this.carrier.strip(packet) ? this.deliver(packet) : 'notData'
    if (reason !== undefined) this.boundary.drop(packet, reason)
  }

  ready(): void {
    this.peers.lineReady()
    this.boundary.ready()
  }

  linkChanged(state: LinkState, reason: string): void {
    this.boundary.linkChanged(state, reason)
  }

  transmit(connection: Connection, packet: Packet, command: boolean): boolean {
    return this.sendFrame(packet, connection.peer, command)
  }

  received(connection: Connection, packet: Packet): void {
    const field = this.segments.join(connection.peer, packet)
    if (field === null) return
    const reason = this.deliverInformation(field, connection.peer, 'unicast')
    if (reason !== undefined) this.boundary.drop(field, reason)
  }

  changed(connection: Connection, event: AbmEvent): void {
    this.boundary.note(null, event.state, event.reason, AX25.standard)
    const { peer } = connection
    let records = this.handlers.get(peer)
    if (event.reason === 'accepted' && this.handlerFor !== null) {
      records = new Records(connection, this.handlerFor(), this.room())
      this.handlers.set(peer, records)
    }
    this.segments.forget(peer)
    if (event.state === 'down') this.handlers.delete(peer)
    if (event.state === 'up' && event.reason === 'connected' && this.options.xid)
      connection.negotiate(() => this.sendXid(peer, this.own, true, true))
    records?.changed(connection, event)
  }

  writable(connection: Connection): void {
    this.handlers.get(connection.peer)?.writable()
    this.boundary.ready()
  }

  private room(): RecordRoom {
    const { mtu, headroom, tailroom } = this
    return {
      mtu,
      headroom,
      tailroom,
      markOctets: 1,
      mark: (packet) => {
        packet.octets[packet.push(1)] = PID_TEXT
      },
      ...(this.segments.most > 1 && { send: (connection, packet) => this.segments.send(connection, packet) }),
    }
  }

  private connectionTo(peer: LinkAddress): Connection | undefined {
    const there = this.peers.find(peer, 0)
    if (there !== undefined) return there
    if (!this.peers.makeRoom()) return undefined
    const options = { ...this.options, n1: this.n1 + 1 }
    const machine = { variant: AX25, options, listening: true, atOnce: this.segments.most }
    const connection = new Connection(this.env, this, this, { peer, key: 0 }, machine)
    this.peers.add(connection)
    return connection
  }

  /** @returns why the frame must be dropped; undefined when somebody has it. */
  private deliver(packet: Packet): Ax25Drop | undefined {
    if (packet.length < HEADER_OCTETS + 1) return 'truncated'
    const at = packet.pull(HEADER_OCTETS)
    const { octets } = packet
    const destination = callAt(packet, at)
    const source = callAt(packet, at + CALL_OCTETS)
    if (destination < 0 || source < 0) return 'badAddress'
    const { frame } = this
    // Both bits alike: version 1, of which every frame is taken as a command (§6.1.2).
    frame.command = ((octets[at + 6] as number) & COMMAND) !== 0 || ((octets[at + 13] as number) & COMMAND) === 0
    if (((octets[at + 13] as number) & LAST) === 0) {
      const wrong = this.passRepeaters(packet)
      if (wrong !== undefined) return wrong
    }
    if (destination !== this.address && destination !== QST) return 'otherHost'
    return this.deliverFrame(packet, source, destination === QST)
  }

  /** Every repeater must have passed the frame on; answers go the direct way. */
  private passRepeaters(packet: Packet): Ax25Drop | undefined {
    for (let i = 0; i < MAX_REPEATERS; i++) {
      if (packet.length < CALL_OCTETS + 1) return 'truncated'
      const flags = packet.octets[packet.pull(CALL_OCTETS) + 6] as number
      if ((flags & COMMAND) === 0) return 'toBeRepeated'
      if ((flags & LAST) !== 0) return undefined
    }
    return 'badAddress'
  }

  private deliverFrame(packet: Packet, peer: LinkAddress, toAll: boolean): Ax25Drop | undefined {
    const { frame } = this
    let connection = this.peers.find(peer, 0)
    const fault = pullControl(packet, connection?.abm.modulus ?? 8, frame)
    if (fault !== undefined) {
      if (fault === 'badControl') connection?.inputUnknown(frame)
      return fault
    }
    const { type } = frame
    if (type === 'UI') return this.deliverInformation(packet, peer, toAll ? 'broadcast' : 'unicast')
    if (toAll) return 'unexpected'
    if (type === 'TEST') return this.answerTest(packet, peer)
    if (type === 'XID') return this.agreeOn(packet, peer)
    if (type === 'SABM' || type === 'SABME') {
      connection = this.connectionTo(peer)
      // What it has not sent to its end it never will, also where nothing of ours was lost and no event tells of it.
      this.segments.forget(peer)
    }
    if (connection === undefined) return this.refuse(peer)
    connection.input(frame, packet)
    return undefined
  }

  private refuse(peer: LinkAddress): Ax25Drop {
    const { command, pf, type } = this.frame
    if (command && (pf || type === 'DISC')) {
      const reply = this.env.packet(this.frameHeadroom + CONTROL_OCTETS, this.frameTailroom)
      this.sendUnnumbered(reply, peer, 'DM', false, pf)
    }
    return 'unexpected'
  }

  private answerTest(packet: Packet, peer: LinkAddress): Ax25Drop | undefined {
    if (!this.frame.command) return 'unexpected'
    const reply = packet.copy(this.frameHeadroom + CONTROL_OCTETS, this.frameTailroom)
    this.sendUnnumbered(reply, peer, 'TEST', false, this.frame.pf)
    packet.release()
    return undefined
  }

  /** Each tells what it knows and takes, and both hold to what both can (AX.25 v2.2 §6.3.2), also before there is a connection. */
  private agreeOn(packet: Packet, peer: LinkAddress): Ax25Drop | undefined {
    const { command, pf } = this.frame
    const theirs = decodeXid(packet.bytes())
    if (theirs === undefined) return 'badXid'
    packet.release()
    const agreed = agree(this.own, theirs)
    this.connectionTo(peer)?.agree(agreed)
    if (command) this.sendXid(peer, agreed, false, pf)
    return undefined
  }

  private sendXid(peer: LinkAddress, parameters: XidAgreement, command: boolean, pf: boolean): void {
    const octets = encodeXid(parameters)
    const packet = this.env.packet(this.frameHeadroom + CONTROL_OCTETS, octets.length + this.frameTailroom)
    packet.append(octets)
    this.sendUnnumbered(packet, peer, 'XID', command, pf)
  }

  private deliverInformation(packet: Packet, peer: LinkAddress, cast: 'unicast' | 'broadcast'): Ax25Drop | undefined {
    if (packet.length < 1) return 'truncated'
    const pid = packet.octets[packet.pull(1)] as number
    if (pid === PID_TEXT) return this.deliverRecord(packet, peer, cast)
    if (pid !== PID_IP && pid !== PID_ARP) return 'badProtocol'
    this.from.peer = peer
    this.from.cast = cast
    this.from.protocol = pid === PID_IP ? ETHERTYPE.ipv4 : ETHERTYPE.arp
    return this.boundary.up(packet, this.from, this.from.protocol) ? undefined : 'unknownProtocol'
  }

  private deliverRecord(packet: Packet, peer: LinkAddress, cast: 'unicast' | 'broadcast'): Ax25Drop | undefined {
    const records = cast === 'unicast' ? this.handlers.get(peer) : undefined
    if (records === undefined) return 'noListener'
    records.received(records.connection, packet)
    return undefined
  }

  private sendUnnumbered(
    packet: Packet,
    peer: LinkAddress,
    type: 'UI' | 'DM' | 'TEST' | 'XID',
    command: boolean,
    pf: boolean,
  ): boolean {
    const { frame } = this
    frame.type = type
    frame.pf = pf
    pushControl(packet, 8, frame)
    return this.sendFrame(packet, peer, command)
  }

  private sendFrame(packet: Packet, peer: LinkAddress, command: boolean): boolean {
    const at = packet.push(HEADER_OCTETS)
    putCall(packet, at, peer, command ? COMMAND : 0)
    putCall(packet, at + CALL_OCTETS, this.address, (command ? 0 : COMMAND) | LAST)
    return this.carrier.send(packet)
  }
}
