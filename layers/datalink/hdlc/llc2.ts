/**
 * LLC type 2 (IEEE 802.2 §7) over Ethernet: what Ethernet loses is sent again, link by link.
 *
 *   802.3 header   length   DSAP   SSAP │C/R│   control      information
 *                                                1 or 2      SAP 0xaa: OUI 0, EtherType (SNAP, IEEE 802 §10.5), packet
 *
 * Packets for one station go over a connection with it, set up when the first is sent; those for several go as UI
 * frames. TEST and XID are answered, and XID is sent with each set-up: its window limits what the other sends. `open`
 * and `accept` give connections of other SAPs, which carry records without IP.
 */
import type { Boundary, Reasons } from '../../../src/kernel/boundary.ts'
import type { Env } from '../../../src/kernel/env.ts'
import { integer } from '../../../src/kernel/errors.ts'
import type { Layer, LinkState, User } from '../../../src/kernel/layer.ts'
import type { Packet } from '../../../src/kernel/packet.ts'
import {
  type Cast,
  type LinkAddress,
  LinkAddressing,
  type LinkOffload,
  type LinkService,
  LLC_SELECTOR,
} from '../service.ts'
import { Frame, pullControl, pushControl } from './abm/control.ts'
import type { AbmEvent } from './abm/event.ts'
import { ABM_REASONS, type AbmDrop } from './abm/journal.ts'
import { type AbmOptions, LLC2, parametersOf } from './abm/variant.ts'
import { CONTROL_OCTETS, Connection, type ConnectionOwner, type ConnectionUser } from './connection.ts'
import { Peers } from './peers.ts'
import { type RecordConnection, type RecordHandler, type RecordRoom, Records } from './records.ts'

export interface Llc2Options extends Omit<AbmOptions, 'modulus' | 'recovery'> {
  /** Connections at the most; a peer that finds none free is refused. Default 256. */
  readonly connections?: number
}

/** Why LLC drops frames and packets. */
export type Llc2Drop =
  | AbmDrop
  | 'unknownSap'
  | 'badSnap'
  | 'groupConnection'
  | 'tooManyConnections'
  | 'answer'
  | 'unknownProtocol'

/** A link that can be used by its connections, too. */
export interface Llc2Service extends LinkService {
  /**
   * Sets a connection up. Records given to it before it is up wait.
   * @param sap of the peer; @param localSap ours: both even, 2 to 254, and not SNAP's 0xaa.
   * @throws RangeError ERR_OUT_OF_RANGE — a SAP that is none. Error — there is such a connection, or one too many.
   */
  open(peer: LinkAddress, sap: number, localSap: number, handler: RecordHandler): RecordConnection
  /**
   * Accepts the connections that peers set up to a SAP; each gets the handler that `handlerFor` makes.
   * @returns what ends it; connections that stand remain.
   */
  accept(localSap: number, handlerFor: () => RecordHandler): () => void
}

const SNAP = 0xaa
const NULL_SAP = 0
const SNAP_OCTETS = 5
const ADDRESS_OCTETS = 2
const RESPONSE = 1
/** What the length field allows; the peer may send as much even where our own link takes less. */
const MAX_INFORMATION = 1500 - ADDRESS_OCTETS - CONTROL_OCTETS
/** The basic format of XID: types 1 and 2, and the receive window (IEEE 802.2 §5.4.1.1.2). */
const XID_FORMAT = 0x81
const XID_TYPES_1_AND_2 = 0x03
const XID_OCTETS = 3

const REASONS: Reasons<Llc2Drop> = {
  ...ABM_REASONS,
  unknownSap: 'IEEE 802.2 §3.3.1.2',
  badSnap: 'IEEE 802 §10.5',
  groupConnection: 'IEEE 802.2 §7.2',
  tooManyConnections: '',
  answer: 'IEEE 802.2 §6.6',
  unknownProtocol: 'IEEE 802 §10.5',
}

const NO_OFFLOAD: LinkOffload = Object.freeze({ segment: 0, checksum: false })

/**
 * LLC type 2.
 * @throws RangeError ERR_OUT_OF_RANGE, TypeError ERR_INVALID_ARG_VALUE — see the options.
 */
export function llc2(options: Llc2Options = {}): Layer<LinkService, Llc2Service> {
  integer('connections', options.connections ?? 256, 1, 65_536)
  parametersOf(LLC2, options)
  return (below, env) => new Llc(below, env, options)
}

class Llc implements Llc2Service, User<LinkAddressing>, ConnectionOwner, ConnectionUser {
  readonly tier = 'datalink'
  readonly offload: LinkOffload = NO_OFFLOAD
  readonly boundary: Boundary<LinkAddressing, Llc2Drop>
  private readonly below: LinkService
  private readonly env: Env
  private readonly options: Llc2Options
  /** Frames we take without having acknowledged one. */
  private readonly k: number
  private readonly peers: Peers
  private readonly acceptors = new Map<number, () => RecordHandler>()
  private readonly frame = new Frame()
  private readonly from = new LinkAddressing()
  private readonly to = new LinkAddressing()

  constructor(below: LinkService, env: Env, options: Llc2Options) {
    this.below = below
    this.env = env
    this.options = { ...options, n1: options.n1 ?? MAX_INFORMATION }
    this.k = parametersOf(LLC2, options).k
    this.peers = new Peers(options.connections ?? 256)
    this.boundary = env.boundary('llc2', 'link', REASONS)
    env.defer(() => this.peers.close())
    env.defer(below.boundary.attach(this, LLC_SELECTOR))
  }

  get address(): LinkAddress {
    return this.below.address
  }

  get broadcast(): LinkAddress | null {
    return this.below.broadcast
  }

  get frameHeadroom(): number {
    return this.below.headroom + ADDRESS_OCTETS
  }

  get frameTailroom(): number {
    return this.below.tailroom
  }

  get mtu(): number {
    return Math.max(0, this.longest - SNAP_OCTETS)
  }

  get headroom(): number {
    return this.frameHeadroom + CONTROL_OCTETS + SNAP_OCTETS
  }

  get tailroom(): number {
    return this.frameTailroom
  }

  send(packet: Packet, to: LinkAddressing): boolean {
    this.boundary.down(packet, to)
    if (packet.length > this.mtu) {
      this.boundary.drop(packet, 'tooLongToSend')
      return true
    }
    pushSnap(packet, to.protocol)
    if (isGroup(to.peer)) return this.sendUnnumbered(packet, to.peer, SNAP, SNAP, 'UI', true, false)
    const connection = this.connectionTo(to.peer, keyOf(SNAP, SNAP), this)
    if (connection === undefined) {
      this.boundary.drop(packet, 'tooManyConnections')
      return true
    }
    this.connect(connection)
    return connection.send(packet)
  }

  open(peer: LinkAddress, sap: number, localSap: number, handler: RecordHandler): RecordConnection {
    const key = keyOf(checkSap('sap', sap), checkSap('localSap', localSap))
    const there = this.peers.find(peer, key)
    if (there !== undefined && there.abm.phase !== 'DISCONNECTED') throw new Error('there is such a connection already')
    const connection = this.connectionTo(peer, key, this)
    if (connection === undefined) throw new Error('there are too many connections')
    const records = new Records(connection, handler, this.recordRoom())
    connection.user = records
    this.connect(connection)
    return records
  }

  accept(localSap: number, handlerFor: () => RecordHandler): () => void {
    checkSap('localSap', localSap)
    if (this.acceptors.has(localSap)) throw new Error(`SAP ${localSap} is taken already`)
    this.acceptors.set(localSap, handlerFor)
    return () => {
      if (this.acceptors.get(localSap) === handlerFor) this.acceptors.delete(localSap)
    }
  }

  receive(packet: Packet, from: LinkAddressing): void {
    const reason = this.deliver(packet, from.peer, from.cast)
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
    const at = packet.push(ADDRESS_OCTETS)
    packet.octets[at] = connection.key >> 8
    packet.octets[at + 1] = (connection.key & 0xff) | (command ? 0 : RESPONSE)
    return this.sendFrame(packet, connection.peer)
  }

  received(connection: Connection, packet: Packet): void {
    this.from.cast = 'unicast'
    const reason = this.deliverSnap(packet, connection.peer)
    if (reason !== undefined) this.boundary.drop(packet, reason)
  }

  changed(_connection: Connection, { state, reason }: AbmEvent): void {
    this.boundary.note(null, state, reason, LLC2.standard)
  }

  writable(): void {
    this.boundary.ready()
  }

  /** Octets of the longest information field. */
  private get longest(): number {
    return Math.min(this.options.n1 ?? 0, this.below.mtu - ADDRESS_OCTETS - CONTROL_OCTETS)
  }

  private recordRoom(): RecordRoom {
    return { mtu: this.longest, headroom: this.headroom - SNAP_OCTETS, tailroom: this.tailroom }
  }

  /** @returns why the frame must be dropped; undefined when somebody has it. */
  private deliver(packet: Packet, peer: LinkAddress, cast: Cast): Llc2Drop | undefined {
    if (packet.length < ADDRESS_OCTETS + 1) return 'truncated'
    const at = packet.pull(ADDRESS_OCTETS)
    const dsap = packet.octets[at] as number
    const ssap = (packet.octets[at + 1] as number) & ~RESPONSE
    const { frame } = this
    frame.command = ((packet.octets[at + 1] as number) & RESPONSE) === 0
    const fault = pullControl(packet, 128, frame)
    if (fault !== undefined) {
      if (fault === 'badControl') this.peers.find(peer, keyOf(ssap, dsap))?.inputUnknown(frame)
      return fault
    }
    if (dsap !== SNAP && dsap !== NULL_SAP && !this.serves(peer, dsap, ssap)) {
      return frame.type === 'SABME' && cast === 'unicast' ? this.refuse(peer, dsap, ssap) : 'unknownSap'
    }
    if (frame.type === 'UI') return this.deliverUi(packet, peer, dsap, cast)
    if (frame.type === 'XID' || frame.type === 'TEST') return this.answer(packet, peer, dsap, ssap)
    return cast === 'unicast' ? this.deliverConnected(packet, peer, dsap, ssap) : 'groupConnection'
  }

  private serves(peer: LinkAddress, dsap: number, ssap: number): boolean {
    return this.acceptors.has(dsap) || this.peers.find(peer, keyOf(ssap, dsap)) !== undefined
  }

  private deliverUi(packet: Packet, peer: LinkAddress, dsap: number, cast: Cast): Llc2Drop | undefined {
    if (dsap !== SNAP) return 'unknownSap'
    this.from.cast = cast
    return this.deliverSnap(packet, peer)
  }

  /** Sets a connection up, where it is not; the peer is told our window, which it answers with its own. */
  private connect(connection: Connection): void {
    if (connection.abm.phase === 'DISCONNECTED') {
      const { peer, key } = connection
      this.sendXid(peer, key >> 8, key & 0xff, true, false)
    }
    connection.connect()
  }

  /** XID tells what we can do; TEST sends back what came (IEEE 802.2 §6.6, §6.7). */
  private answer(packet: Packet, peer: LinkAddress, dsap: number, ssap: number): Llc2Drop | undefined {
    const { type, command, pf } = this.frame
    if (type === 'XID') this.hearWindow(packet, peer, dsap, ssap)
    if (!command && type === 'TEST') return 'answer'
    if (type === 'TEST') {
      const reply = packet.copy(this.frameHeadroom + CONTROL_OCTETS, this.frameTailroom)
      this.sendUnnumbered(reply, peer, ssap, dsap, 'TEST', false, pf)
    } else if (command) this.sendXid(peer, ssap, dsap, false, pf)
    packet.release()
    return undefined
  }

  /**
   * How many frames the peer takes without having acknowledged one, also of a connection that it is about to set up.
   */
  private hearWindow({ octets, start, end }: Packet, peer: LinkAddress, dsap: number, ssap: number): void {
    const window = (octets[start + 2] ?? 0) >> 1
    if (end - start !== XID_OCTETS || octets[start] !== XID_FORMAT || window === 0 || dsap === NULL_SAP) return
    const k = Math.min(window, this.k)
    this.connectionTo(peer, keyOf(ssap, dsap), this)?.agree({ k })
  }

  private sendXid(peer: LinkAddress, dsap: number, ssap: number, command: boolean, pf: boolean): void {
    const packet = this.env.packet(this.frameHeadroom + CONTROL_OCTETS, XID_OCTETS + this.frameTailroom)
    packet.append(Uint8Array.of(XID_FORMAT, XID_TYPES_1_AND_2, this.k << 1))
    this.sendUnnumbered(packet, peer, dsap, ssap, 'XID', command, pf)
  }

  private deliverConnected(packet: Packet, peer: LinkAddress, dsap: number, ssap: number): Llc2Drop | undefined {
    const { frame } = this
    const key = keyOf(ssap, dsap)
    let connection = this.peers.find(peer, key)
    if (frame.type === 'SABME' && (connection === undefined || connection.abm.phase === 'DISCONNECTED')) {
      connection = this.accepted(peer, key, dsap)
    }
    if (connection === undefined) return this.refuse(peer, dsap, ssap)
    connection.input(frame, packet)
    return undefined
  }

  /** Commands that ask are told that there is no connection; the rest is silence (IEEE 802.2 §7.7, ADM). */
  private refuse(peer: LinkAddress, dsap: number, ssap: number): Llc2Drop {
    const { command, pf, type } = this.frame
    if (command && (pf || type === 'DISC')) {
      const reply = this.env.packet(this.frameHeadroom + CONTROL_OCTETS, this.frameTailroom)
      this.sendUnnumbered(reply, peer, ssap, dsap, 'DM', false, pf)
    }
    return 'unexpected'
  }

  private accepted(peer: LinkAddress, key: number, dsap: number): Connection | undefined {
    const handlerFor = this.acceptors.get(dsap)
    if (dsap !== SNAP && handlerFor === undefined) return undefined
    const connection = this.connectionTo(peer, key, this)
    if (connection !== undefined && handlerFor !== undefined) {
      connection.user = new Records(connection, handlerFor(), this.recordRoom())
    }
    return connection
  }

  private connectionTo(peer: LinkAddress, key: number, user: ConnectionUser): Connection | undefined {
    const there = this.peers.find(peer, key)
    if (there !== undefined) return there
    if (!this.peers.makeRoom()) return undefined
    const machine = { variant: LLC2, options: this.options, listening: true }
    const connection = new Connection(this.env, this, user, { peer, key }, machine)
    this.peers.add(connection)
    return connection
  }

  private deliverSnap(packet: Packet, peer: LinkAddress): Llc2Drop | undefined {
    if (packet.length < SNAP_OCTETS) return 'badSnap'
    const { view } = packet
    const at = packet.pull(SNAP_OCTETS)
    if (view.getUint16(at) !== 0 || view.getUint8(at + 2) !== 0) return 'badSnap'
    this.from.peer = peer
    this.from.protocol = view.getUint16(at + 3)
    return this.boundary.up(packet, this.from, this.from.protocol) ? undefined : 'unknownProtocol'
  }

  private sendUnnumbered(
    packet: Packet,
    peer: LinkAddress,
    dsap: number,
    ssap: number,
    type: 'UI' | 'XID' | 'TEST' | 'DM',
    command: boolean,
    pf: boolean,
  ): boolean {
    const { frame } = this
    frame.type = type
    frame.pf = pf
    pushControl(packet, 128, frame)
    const at = packet.push(ADDRESS_OCTETS)
    packet.octets[at] = dsap
    packet.octets[at + 1] = ssap | (command ? 0 : RESPONSE)
    return this.sendFrame(packet, peer)
  }

  private sendFrame(packet: Packet, peer: LinkAddress): boolean {
    this.to.peer = peer
    this.to.protocol = packet.length
    return this.below.send(packet, this.to)
  }
}

function pushSnap(packet: Packet, protocol: number): void {
  const at = packet.push(SNAP_OCTETS)
  packet.view.setUint16(at, 0)
  packet.view.setUint8(at + 2, 0)
  packet.view.setUint16(at + 3, protocol)
}

/** One of a peer's connections: its SAP, then ours. */
const keyOf = (sap: number, localSap: number): number => (sap << 8) | localSap

const isGroup = (address: LinkAddress): boolean => (Math.floor(address / 0x100_0000_0000) & 1) !== 0

function checkSap(name: string, sap: number): number {
  integer(name, sap, 2, 254)
  if ((sap & 1) !== 0 || sap === SNAP) throw new RangeError(`${name} must be even, and not that of SNAP`)
  return sap
}
