/**
 * Ethernet between machines over UDP, without root: one frame, without FCS, per datagram.
 *
 *   raw     the datagram is the frame, as with QEMU's `-netdev dgram` and socat
 *   vxlan   RFC 7348: 8 octets with the network identifier (VNI) in front, as the Linux kernel and switches speak it
 *   geneve  RFC 8926: the same with options, as Open vSwitch speaks it
 *   l2tpv3  RFC 3931 over UDP: 8 octets and a cookie in front, as User-mode Linux, QEMU and routers speak it
 *
 * With several peers the tunnel is one end of a small Ethernet: it learns behind which peer a station is, and sends
 * to all peers what goes to many, or to a station it does not know (RFC 7348 §4.2, head-end replication). Frames are
 * never passed on from peer to peer.
 */
import type { Boundary, Reasons } from '../../../src/kernel/boundary.ts'
import { type Instant, seconds } from '../../../src/kernel/clock.ts'
import type { Env } from '../../../src/kernel/env.ts'
import { NetError } from '../../../src/kernel/errors.ts'
import { type HashKey, hashKey } from '../../../src/kernel/keyed-hash.ts'
import type { Blueprint } from '../../../src/kernel/layer.ts'
import { MacTable, type MacTableCounts } from '../../../src/kernel/mac-table.ts'
import type { Packet } from '../../../src/kernel/packet.ts'
import { complete } from '../../offload/complete.ts'
import { checksumInside } from '../../offload/header.ts'
import { Segmenter } from '../../offload/segment.ts'
import { NO_OFFLOAD, type Offload, type PhysicalService } from '../service.ts'
import type { CodecFault } from './codec.ts'
import { dgramEngine } from './dgram-engine.ts'
import { type Endpoint, endpoint } from './endpoint.ts'
import type { Engine, EngineKind, EngineUser } from './engine.ts'
import { flowHash } from './flow-hash.ts'
import { nativeEngine } from './native-engine.ts'
import {
  checkFamily,
  ETHERNET_OCTETS,
  type Settings,
  settingsOf,
  type UdpTunnelEndpoint,
  type UdpTunnelOptions,
} from './options.ts'
import { type Peer, Peers } from './peers.ts'

export type { EngineKind } from './engine.ts'
export type { UdpTunnelCodec, UdpTunnelEndpoint, UdpTunnelOptions } from './options.ts'

/** What a tunnel offers besides the tier's service. */
export interface UdpTunnelService extends PhysicalService<'ethernet'> {
  /** What does the system calls. */
  readonly engine: EngineKind
  /** Where it is bound; `port` is 0 until the system has chosen one. */
  readonly local: Endpoint
  /** The peers now, configured and learned. */
  readonly peers: readonly Endpoint[]
  /** Learning of stations behind peers. */
  readonly learning: Readonly<MacTableCounts>
  /** Adds a peer. @returns false when there are `maxPeers` already. @throws TypeError, RangeError — not an endpoint. */
  addPeer(peer: UdpTunnelEndpoint): boolean
  /** Removes a peer and forgets the stations behind it. @returns false when there is none such. */
  removePeer(peer: UdpTunnelEndpoint): boolean
}

/** Why a tunnel drops frames. */
export type UdpTunnelDrop =
  /** Sending: shorter than an Ethernet header. */
  | 'runt'
  /** Sending: longer than the MTU. */
  | 'tooLong'
  /** Sending: a super-segment, or a checksum left to us, that the engine does not offer or whose fields make no sense. */
  | 'badOffload'
  /** Sending: the socket is not open yet, or no more. */
  | 'linkDown'
  /** Sending: nobody to send to. */
  | 'noPeer'
  /** Sending: the system takes no more for now, and the queue is full. */
  | 'queueFull'
  /** Sending: the system refused the datagram: too large, no route, or the peer's port is closed. */
  | 'sendFailed'
  /** Receiving: from somebody who is no peer. */
  | 'unknownPeer'
  /** Receiving: not a frame for us, by its header. */
  | CodecFault
  /** Nobody is attached above. */
  | 'noUser'

const REASONS: Reasons<UdpTunnelDrop> = {
  runt: '',
  tooLong: 'RFC 7348 §4.3',
  badOffload: '',
  linkDown: '',
  noPeer: '',
  queueFull: '',
  sendFailed: '',
  unknownPeer: '',
  truncated: 'RFC 7348 §5',
  badFlags: 'RFC 7348 §5',
  badVersion: 'RFC 8926 §3.4',
  badType: 'RFC 8926 §3.4',
  control: 'RFC 8926 §3.4',
  criticalOption: 'RFC 8926 §3.4',
  wrongVni: 'RFC 7348 §4.1',
  wrongSession: 'RFC 3931 §4.1',
  wrongCookie: 'RFC 3931 §4.1',
  noUser: '',
}

/** The bit of the first octet that marks a group address (IEEE 802-2014 §8.4.2). */
const GROUP_BIT = 0x0100

/** Of a super-segment: IPv4's longest datagram, behind an Ethernet header. */
const MAX_SEGMENT_OCTETS = 65_535 + ETHERNET_OCTETS
/** Of an engine for which many datagrams cost little more than one. */
const BATCH_OFFLOAD: Offload = Object.freeze({ segment: MAX_SEGMENT_OCTETS, checksum: true, merge: true })

/** Set in the hash of a flow, so that it is never 0. */
const SPREAD = 0x8000_0000

/**
 * A UDP tunnel as the lowest layer of a stack, without FCS. Boots on real time, one node a port.
 * @throws TypeError, RangeError — options that make no sense: at once.
 * Booting fails with NetError: EADDRINUSE (the port is taken), EADDRNOTAVAIL (not our address), EACCES, ENOTSUP (the native
 * engine was asked for, and cannot be had).
 */
export function udpTunnel(options: UdpTunnelOptions = {}): Blueprint<UdpTunnelService> {
  const settings = settingsOf(options)
  return (env) => new UdpTunnel(env, settings)
}

class UdpTunnel implements UdpTunnelService, EngineUser {
  readonly tier = 'physical'
  readonly medium = 'ethernet'
  readonly mtu: number
  readonly headroom: number
  readonly tailroom = 0
  readonly offload: Offload
  readonly boundary: Boundary<undefined, UdpTunnelDrop>
  private readonly env: Env
  private readonly settings: Settings
  private readonly sockets: Engine
  private readonly segmenter = new Segmenter()
  private readonly known: Peers
  private readonly stations: MacTable
  private readonly flowKey: HashKey

  constructor(env: Env, settings: Settings) {
    this.env = env
    this.settings = settings
    this.mtu = settings.mtu + ETHERNET_OCTETS
    this.headroom = settings.codec.octets
    this.boundary = env.boundary('udp-tunnel', 'ethernet', REASONS)
    const random = env.random('udp-tunnel')
    this.flowKey = hashKey(random.octets(16))
    const ageing = seconds(settings.ageing)
    this.stations = new MacTable(settings.macTableSize, ageing, random.uint32())
    this.known = new Peers(settings.maxPeers, ageing, !settings.codec.spreads)
    for (const peer of settings.peers) this.known.add(peer, true, env.clock.now())
    this.sockets = engineOf(env, settings, this)
    this.offload = this.sockets.batches ? BATCH_OFFLOAD : NO_OFFLOAD
    env.defer(() => this.sockets.close())
    env.starting(this.sockets.start().then(() => this.boundary.linkChanged('up', 'the socket is open')))
  }

  get engine(): EngineKind {
    return this.sockets.kind
  }

  get local(): Endpoint {
    return this.sockets.local
  }

  get peers(): readonly Endpoint[] {
    return this.known.all.map(({ host, port }) => ({ host, port }))
  }

  get learning(): Readonly<MacTableCounts> {
    return this.stations.counts
  }

  addPeer(peer: UdpTunnelEndpoint): boolean {
    return this.known.add(this.peerOf(peer), true, this.env.clock.now()) !== null
  }

  removePeer(peer: UdpTunnelEndpoint): boolean {
    const removed = this.known.removeAt(this.peerOf(peer))
    if (removed !== null) this.stations.forget(removed.index)
    return removed !== null
  }

  send(packet: Packet, to: undefined): boolean {
    this.boundary.down(packet, to)
    const reason = this.refusal(packet)
    if (reason !== undefined) {
      this.boundary.drop(packet, reason)
      return true
    }
    const flow = this.settings.sourcePorts > 0 ? flowHash(this.flowKey, packet) | SPREAD : 0
    const peer = this.peerFor(packet)
    if (packet.segmentOctets > 0) return this.sendSegments(packet, peer, flow)
    complete(packet)
    return this.sendFrame(packet, peer, flow)
  }

  datagram(packet: Packet, host: string, port: number, at: Instant): void {
    const peer = this.known.find(host, port)
    if (peer === null && !this.settings.learnPeers) {
      this.boundary.drop(packet, 'unknownPeer')
      return
    }
    const fault = this.fault(packet)
    if (fault !== undefined) {
      this.boundary.drop(packet, fault)
      return
    }
    const from = peer ?? this.learnPeer(host, port, at)
    if (from === null) {
      this.boundary.drop(packet, 'unknownPeer')
      return
    }
    this.learnStation(packet, from, at)
    if (!this.boundary.up(packet, undefined, 0)) this.boundary.drop(packet, 'noUser')
  }

  overflowed(packet: Packet): void {
    packet.pull(this.headroom)
    this.boundary.drop(packet, 'queueFull')
  }

  refused(): void {
    this.boundary.count('sendFailed')
  }

  ready(): void {
    this.boundary.ready()
  }

  private refusal(packet: Packet): UdpTunnelDrop | undefined {
    if (packet.length < ETHERNET_OCTETS) return 'runt'
    const { offload } = this
    if (packet.checksum === 'partial' && !(offload.checksum && checksumInside(packet))) return 'badOffload'
    if (packet.segmentOctets > 0 && offload.segment === 0) return 'badOffload'
    // A tunnel must not fragment what it carries, and ours never does (RFC 7348 §4.3).
    if (packet.length > (packet.segmentOctets > 0 ? offload.segment : this.mtu)) return 'tooLong'
    if (!this.sockets.open) return 'linkDown'
    return this.known.all.length === 0 ? 'noPeer' : undefined
  }

  /** Frames of the wire, one behind the other: the engine sends as many as it can at a time. */
  private sendSegments(packet: Packet, peer: Peer | null, flow: number): boolean {
    const { segmenter } = this
    let open = true
    segmenter.start(packet, this.headroom, 0)
    for (let frame = segmenter.next(); frame !== undefined; frame = segmenter.next()) {
      if (frame.length > this.mtu) this.boundary.drop(frame, 'tooLong')
      else open = this.sendFrame(frame, peer, flow) && open
    }
    packet.release()
    return open
  }

  private sendFrame(packet: Packet, peer: Peer | null, flow: number): boolean {
    this.settings.codec.push(packet)
    return peer === null ? this.flood(packet, flow) : this.sendTo(peer, packet, flow)
  }

  /** The only peer, or the one the destination is behind; null: all of them. */
  private peerFor(packet: Packet): Peer | null {
    const { all, slots } = this.known
    if (all.length === 1) return all[0] as Peer
    const { view, start } = packet
    // A group address is never learned, so that it is always flooded.
    const index = this.stations.lookUp(view.getUint16(start), view.getInt32(start + 2), this.env.clock.now())
    return index < 0 ? null : (slots[index] ?? null)
  }

  /** One datagram to each peer: copies to all but the last, which gets the packet itself. */
  private flood(packet: Packet, flow: number): boolean {
    const { all } = this.known
    const last = all.length - 1
    let open = true
    for (let i = 0; i < last; i++) open = this.sendTo(all[i] as Peer, packet.copy(this.headroom, 0), flow) && open
    return this.sendTo(all[last] as Peer, packet, flow) && open
  }

  private sendTo(peer: Peer, packet: Packet, flow: number): boolean {
    return this.sockets.send(packet, peer, peer.port === this.settings.codec.port ? flow : 0)
  }

  private fault(packet: Packet): UdpTunnelDrop | undefined {
    return this.settings.codec.pull(packet) ?? (packet.length < ETHERNET_OCTETS ? 'truncated' : undefined)
  }

  /** Where source ports tell flows apart, datagrams go to the assigned port (RFC 7348 §5, RFC 8926 §3.3). */
  private learnPeer(host: string, port: number, at: Instant): Peer | null {
    const { spreads, port: assigned } = this.settings.codec
    const to = { host, port: spreads ? assigned : port }
    const peer = this.known.add(to, false, at)
    if (peer !== null) this.boundary.note(null, 'peerLearned', host, '')
    return peer
  }

  private learnStation(packet: Packet, from: Peer, at: Instant): void {
    from.heard = at
    const high = packet.view.getUint16(packet.start + 6)
    if (high & GROUP_BIT) return
    this.stations.learn(high, packet.view.getInt32(packet.start + 8), from.index, at)
  }

  private peerOf(peer: UdpTunnelEndpoint): Endpoint {
    const checked = endpoint('peer', peer, this.settings.codec.port, 1)
    checkFamily(checked, this.settings.family)
    return checked
  }
}

/** The engine that was asked for, or the fastest that can be had. */
function engineOf(env: Env, settings: Settings, user: EngineUser): Engine {
  if (settings.engine === 'dgram') return dgramEngine(env, settings, user)
  try {
    return nativeEngine(env, settings, user)
  } catch (error) {
    if (settings.engine === undefined && NetError.is(error) && error.code === 'ENOTSUP')
      return dgramEngine(env, settings, user)
    throw error
  }
}
