/**
 * Ethernet between machines over UDP, without root: one frame, without FCS, per datagram.
 *
 *   raw     the datagram is the frame, as with QEMU's `-netdev dgram` and socat
 *   vxlan   RFC 7348: 8 octets with the network identifier (VNI) in front, as the Linux kernel and switches speak it
 *
 * With several peers the tunnel is one end of a small Ethernet: it learns behind which peer a station is, and sends
 * to all peers what goes to many, or to a station it does not know (RFC 7348 §4.2, head-end replication). Frames are
 * never passed on from peer to peer.
 */
import type { Boundary, Reasons } from '../../../src/kernel/boundary.ts'
import { seconds } from '../../../src/kernel/clock.ts'
import type { Env } from '../../../src/kernel/env.ts'
import { inRange, integer, invalidValue } from '../../../src/kernel/errors.ts'
import { type HashKey, hashKey } from '../../../src/kernel/keyed-hash.ts'
import type { Blueprint } from '../../../src/kernel/layer.ts'
import type { Packet } from '../../../src/kernel/packet.ts'
import { NO_OFFLOAD, type PhysicalService } from '../service.ts'
import { dgramEngine } from './dgram-engine.ts'
import { type Endpoint, endpoint, familyOf } from './endpoint.ts'
import type { Engine, EngineOptions, EngineUser } from './engine.ts'
import { flowHash } from './flow-hash.ts'
import { MacTable, type MacTableCounts } from './mac-table.ts'
import { type Peer, Peers } from './peers.ts'
import { MAX_VNI, pushVxlan, VXLAN_OCTETS, VXLAN_PORT, vxlanFault } from './vxlan.ts'

/** How frames lie in datagrams. */
export type UdpTunnelCodec = 'raw' | 'vxlan'

/** An address and a port as the user gives them; `host` is numeric. */
export interface UdpTunnelEndpoint {
  readonly host: string
  /** Default: 4789 with the codec vxlan; with raw, any for the local end, and required of a peer. */
  readonly port?: number
}

export interface UdpTunnelOptions {
  /** Where to listen, and to send from. Default: all addresses; port 4789 with vxlan, any with raw. */
  readonly local?: Partial<UdpTunnelEndpoint>
  /** The other ends, all of one address family. Default none: see `learnPeers` and `addPeer`. */
  readonly peers?: readonly UdpTunnelEndpoint[]
  /** Default 'vxlan'. */
  readonly codec?: UdpTunnelCodec
  /** VXLAN network identifier, 0 to 2^24 - 1. Default 0. */
  readonly vni?: number
  /**
   * Largest IP packet inside, in octets: 68 to 65485. Default: what fits an outer packet of 1500, so with vxlan 1450
   * over IPv4 and 1430 over IPv6. The service's `mtu` counts the 14 octets of the Ethernet header too.
   */
  readonly mtu?: number
  /**
   * Takes datagrams from anywhere, and their senders as peers. Anyone who reaches the port can then join. Default false.
   */
  readonly learnPeers?: boolean
  /** Peers at the most, 1 to 65536. Default 1024. */
  readonly maxPeers?: number
  /** Stations remembered, 8 to 2^20. Default 4096. */
  readonly macTableSize?: number
  /** Seconds until a station, or a learned peer, that is not heard from is forgotten: 1 to 10^6. Default 300. */
  readonly ageing?: number
  /**
   * Source ports over which flows are spread, 1 to 64 (RFC 7348 §5); only towards peers at port 4789, which do not care
   * where datagrams come from. 1: all leave from the local port. Default 4.
   */
  readonly sourcePorts?: number
  /** Octets of the sockets' buffers, as far as the system grants them: 4096 to 2^30. Default 4 MiB. */
  readonly bufferOctets?: number
  /** Datagrams waiting for the system before `send` returns false: 1 to 65536. Default 256. */
  readonly queueLength?: number
}

/** What a tunnel offers besides the tier's service. */
export interface UdpTunnelService extends PhysicalService<'ethernet'> {
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
  /** Sending: a super-segment, or a checksum left to us: a tunnel offers neither. */
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
  /** Receiving: too short for the header and an Ethernet header. */
  | 'truncated'
  /** Receiving: the flag that says that there is a VNI is not set. */
  | 'badFlags'
  /** Receiving: of another VXLAN segment. */
  | 'wrongVni'
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
  wrongVni: 'RFC 7348 §4.1',
  noUser: '',
}

const ETHERNET_OCTETS = 14
const OUTER_MTU = 1500
const UDP_OCTETS = 8
const MAX_DATAGRAM_OCTETS = 65_507
/** The bit of the first octet that marks a group address (IEEE 802-2014 §8.4.2). */
const GROUP_BIT = 0x0100

/** Set in the hash of a flow, so that it is never 0. */
const SPREAD = 0x8000_0000

/** Options, checked and complete. */
interface Settings extends EngineOptions {
  readonly peers: readonly Endpoint[]
  readonly vxlan: boolean
  readonly vni: number
  readonly mtu: number
  readonly learnPeers: boolean
  readonly maxPeers: number
  readonly macTableSize: number
  readonly ageing: number
}

/**
 * A UDP tunnel as the lowest layer of a stack, without FCS. Boots on real time, one node a port.
 * @throws TypeError, RangeError — options that make no sense: at once.
 * Booting fails with NetError: EADDRINUSE (the port is taken), EADDRNOTAVAIL (not our address), EACCES.
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
  readonly offload: typeof NO_OFFLOAD = NO_OFFLOAD
  readonly boundary: Boundary<undefined, UdpTunnelDrop>
  private readonly env: Env
  private readonly settings: Settings
  private readonly engine: Engine
  private readonly known: Peers
  private readonly stations: MacTable
  private readonly flowKey: HashKey

  constructor(env: Env, settings: Settings) {
    this.env = env
    this.settings = settings
    this.mtu = settings.mtu + ETHERNET_OCTETS
    this.headroom = settings.vxlan ? VXLAN_OCTETS : 0
    this.boundary = env.boundary('udp-tunnel', 'ethernet', REASONS)
    const random = env.random('udp-tunnel')
    this.flowKey = hashKey(random.octets(16))
    const ageing = seconds(settings.ageing)
    this.stations = new MacTable(settings.macTableSize, ageing, random.uint32())
    this.known = new Peers(settings.maxPeers, ageing, !settings.vxlan)
    for (const peer of settings.peers) this.known.add(peer, true, env.clock.now())
    this.engine = dgramEngine(env, settings, this)
    env.defer(() => this.engine.close())
    env.starting(this.engine.start().then(() => this.boundary.linkChanged('up', 'the socket is open')))
  }

  get local(): Endpoint {
    return this.engine.local
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
    const { vxlan, sourcePorts, vni } = this.settings
    const flow = sourcePorts > 0 ? flowHash(this.flowKey, packet) | SPREAD : 0
    const peer = this.peerFor(packet)
    if (vxlan) pushVxlan(packet, vni)
    return peer === null ? this.flood(packet, flow) : this.sendTo(peer, packet, flow)
  }

  datagram(packet: Packet, host: string, port: number): void {
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
    const from = peer ?? this.learnPeer(host, port)
    if (from === null) {
      this.boundary.drop(packet, 'unknownPeer')
      return
    }
    if (this.settings.vxlan) packet.pull(VXLAN_OCTETS)
    this.learnStation(packet, from)
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
    if (packet.segmentOctets > 0 || packet.checksum === 'partial') return 'badOffload'
    // A tunnel must not fragment what it carries, and ours never does (RFC 7348 §4.3).
    if (packet.length > this.mtu) return 'tooLong'
    if (!this.engine.open) return 'linkDown'
    return this.known.all.length === 0 ? 'noPeer' : undefined
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
    return this.engine.send(packet, peer, peer.port === VXLAN_PORT ? flow : 0)
  }

  private fault(packet: Packet): UdpTunnelDrop | undefined {
    const { vxlan, vni } = this.settings
    const fault = vxlan ? vxlanFault(packet, vni) : undefined
    if (fault !== undefined) return fault
    return packet.length < this.headroom + ETHERNET_OCTETS ? 'truncated' : undefined
  }

  /** With VXLAN the source port is noise: datagrams go to the assigned port (RFC 7348 §5). */
  private learnPeer(host: string, port: number): Peer | null {
    const to = { host, port: this.settings.vxlan ? VXLAN_PORT : port }
    const peer = this.known.add(to, false, this.env.clock.now())
    if (peer !== null) this.boundary.note(null, 'peerLearned', host, '')
    return peer
  }

  private learnStation(packet: Packet, from: Peer): void {
    const now = this.env.clock.now()
    from.heard = now
    const high = packet.view.getUint16(packet.start + 6)
    if (high & GROUP_BIT) return
    this.stations.learn(high, packet.view.getInt32(packet.start + 8), from.index, now)
  }

  private peerOf(peer: UdpTunnelEndpoint): Endpoint {
    const checked = endpoint('peer', peer, this.settings.vxlan ? VXLAN_PORT : 0, 1)
    checkFamily(checked, this.settings.family)
    return checked
  }
}

function settingsOf(options: UdpTunnelOptions): Settings {
  const codec = options.codec ?? 'vxlan'
  if (codec !== 'raw' && codec !== 'vxlan') throw invalidValue('codec', "'raw' or 'vxlan'", codec)
  const vxlan = codec === 'vxlan'
  const defaultPort = vxlan ? VXLAN_PORT : 0
  const peers = (options.peers ?? []).map((peer, i) => endpoint(`peers[${i}]`, peer, defaultPort, 1))
  const first = options.local?.host ?? peers[0]?.host ?? '0.0.0.0'
  const local = endpoint(
    'local',
    { host: options.local?.host ?? (first.includes(':') ? '::' : '0.0.0.0'), ...portOf(options.local) },
    defaultPort,
    0,
  )
  const family = familyOf(local.host)
  for (const peer of peers) checkFamily(peer, family)
  const learnPeers = options.learnPeers ?? false
  const overhead = (vxlan ? VXLAN_OCTETS : 0) + UDP_OCTETS + (family === 6 ? 40 : 20)
  const sourcePorts = integer('sourcePorts', options.sourcePorts ?? 4, 1, 64)
  // Before any peer is known, they are taken to be where peers usually are.
  const assigned = peers.length === 0 || peers.some((peer) => peer.port === VXLAN_PORT)
  const spread = vxlan && sourcePorts > 1 && assigned
  return {
    local,
    family,
    peers,
    vxlan,
    vni: integer('vni', options.vni ?? 0, 0, MAX_VNI),
    mtu: integer(
      'mtu',
      options.mtu ?? OUTER_MTU - overhead - ETHERNET_OCTETS,
      68,
      MAX_DATAGRAM_OCTETS - VXLAN_OCTETS - ETHERNET_OCTETS,
    ),
    learnPeers,
    maxPeers: integer('maxPeers', options.maxPeers ?? 1024, Math.max(1, peers.length), 65_536),
    macTableSize: integer('macTableSize', options.macTableSize ?? 4096, 8, 1 << 20),
    ageing: inRange('ageing', options.ageing ?? 300, 1, 1_000_000),
    sourcePorts: spread ? sourcePorts : 0,
    bufferOctets: integer('bufferOctets', options.bufferOctets ?? 4_194_304, 4096, 1 << 30),
    queueLength: integer('queueLength', options.queueLength ?? 256, 1, 65_536),
  }
}

function portOf(local: Partial<UdpTunnelEndpoint> | undefined): { port?: number } {
  return local?.port === undefined ? {} : { port: local.port }
}

function checkFamily(peer: Endpoint, family: 4 | 6): void {
  if (familyOf(peer.host) !== family)
    throw invalidValue('peer.host', `an IPv${family} address, like that of the local end`, peer.host)
}
