/** What a UDP tunnel can be told, and what it makes of that. */
import { inRange, integer, invalidValue } from '../../../src/kernel/errors.ts'
import { type Codec, codecOf } from './codec.ts'
import { type Endpoint, endpoint, familyOf } from './endpoint.ts'
import type { EngineKind, EngineOptions } from './engine.ts'
import type { L2tpv3Options } from './l2tpv3.ts'

/** How frames lie in datagrams. */
export type UdpTunnelCodec = 'raw' | 'vxlan' | 'geneve' | 'l2tpv3'

/** An address and a port as the user gives them; `host` is numeric. */
export interface UdpTunnelEndpoint {
  readonly host: string
  /** Default: the port assigned to the codec; with raw, any for the local end, and required of a peer. */
  readonly port?: number
}

export interface UdpTunnelOptions {
  /** Where to listen, and to send from. Default: all addresses; the codec's port, any with raw. */
  readonly local?: Partial<UdpTunnelEndpoint>
  /** The other ends, all of one address family. Default none: see `learnPeers` and `addPeer`. */
  readonly peers?: readonly UdpTunnelEndpoint[]
  /** Default 'vxlan'. */
  readonly codec?: UdpTunnelCodec
  /** Network identifier of vxlan and geneve, 0 to 2^24 - 1. Default 1, as on the command line. */
  readonly vni?: number
  /** The session of l2tpv3; required with it, and for it alone. */
  readonly l2tpv3?: L2tpv3Options
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
   * Source ports over which flows are spread, 1 to 64 (RFC 7348 §5, RFC 8926 §3.3); only with vxlan and geneve
   * towards peers at the assigned port, which do not care where datagrams come from. 1: all leave from the local port. Default 4.
   */
  readonly sourcePorts?: number
  /** Octets of the sockets' buffers, as far as the system grants them: 4096 to 2^30. Default 4 MiB. */
  readonly bufferOctets?: number
  /**
   * What does the system calls: 'native', which is Linux's own calls for many datagrams at a time (sendmmsg, recvmmsg, UDP
   * GSO and GRO) and needs the optional package `koffi`; or 'dgram', which is `node:dgram` and works everywhere.
   * Default: native where it can be had. They differ in speed alone.
   */
  readonly engine?: EngineKind
  /** Datagrams waiting for the system before `send` returns false: 1 to 65536. Default 256. */
  readonly queueLength?: number
}

/** Octets of an Ethernet header. */
export const ETHERNET_OCTETS = 14
const UDP_OCTETS = 8
/** 24 bits. */
const MAX_VNI = 0xff_ffff
const CODECS: readonly UdpTunnelCodec[] = ['raw', 'vxlan', 'geneve', 'l2tpv3']
const OUTER_MTU = 1500
const MAX_DATAGRAM_OCTETS = 65_507

/** Options, checked and complete. */
export interface Settings extends EngineOptions {
  readonly peers: readonly Endpoint[]
  /** Undefined: the fastest that can be had. */
  readonly engine: EngineKind | undefined
  readonly codec: Codec
  readonly mtu: number
  readonly learnPeers: boolean
  readonly maxPeers: number
  readonly macTableSize: number
  readonly ageing: number
}

/** @throws TypeError, RangeError — options that make no sense. */
export function settingsOf(options: UdpTunnelOptions): Settings {
  const name = options.codec ?? 'vxlan'
  if (!CODECS.includes(name)) throw invalidValue('codec', `one of '${CODECS.join("', '")}'`, name)
  const codec = codecOf(name, integer('vni', options.vni ?? 1, 0, MAX_VNI), options.l2tpv3)
  const { engine } = options
  if (engine !== undefined && engine !== 'dgram' && engine !== 'native') {
    throw invalidValue('engine', "'dgram' or 'native'", engine)
  }
  const peers = (options.peers ?? []).map((peer, i) => endpoint(`peers[${i}]`, peer, codec.port, 1))
  const first = options.local?.host ?? peers[0]?.host ?? '0.0.0.0'
  const local = endpoint(
    'local',
    { host: options.local?.host ?? (first.includes(':') ? '::' : '0.0.0.0'), ...portOf(options.local) },
    codec.port,
    0,
  )
  const family = familyOf(local.host)
  for (const peer of peers) checkFamily(peer, family)
  const learnPeers = options.learnPeers ?? false
  const overhead = codec.octets + UDP_OCTETS + (family === 6 ? 40 : 20)
  const sourcePorts = integer('sourcePorts', options.sourcePorts ?? 4, 1, 64)
  // Before any peer is known, they are taken to be where peers usually are.
  const assigned = peers.length === 0 || peers.some((peer) => peer.port === codec.port)
  const spread = codec.spreads && sourcePorts > 1 && assigned
  return {
    local,
    family,
    peers,
    engine,
    codec,
    mtu: integer(
      'mtu',
      options.mtu ?? OUTER_MTU - overhead - ETHERNET_OCTETS,
      68,
      MAX_DATAGRAM_OCTETS - codec.octets - ETHERNET_OCTETS,
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

/** @throws TypeError ERR_INVALID_ARG_VALUE — of the other address family. */
export function checkFamily(peer: Endpoint, family: 4 | 6): void {
  if (familyOf(peer.host) !== family)
    throw invalidValue('peer.host', `an IPv${family} address, like that of the local end`, peer.host)
}
