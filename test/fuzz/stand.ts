/**
 * Nodes under test on virtual time, each with a peer on its link that speaks to it in good and in bad frames:
 *
 *   host     frames over a cable; a second link carries a transfer that the peer cannot see
 *   router   forwards between two cables
 *   tun      IP packets without a link header
 *   tap      frames with a vnet header in front, whose word about checksums and segments is taken
 */
import { createHash } from 'node:crypto'
import type { PhysicalService } from '../../layers/physical/service.ts'
import { pullVnetHeader, pushVnetHeader, VNET_HEADER_OCTETS } from '../../layers/physical/tun-vnet-header.ts'
import type { Sockets } from '../../src/api/sockets.ts'
import {
  beside,
  cable,
  direct,
  ethernet,
  IpAddress,
  ip,
  ipv4,
  ms,
  type Node,
  type Simulation,
  seconds,
  sockets,
  stack,
  tcp,
  udp,
} from '../../src/index.ts'
import type { Boundary } from '../../src/kernel/boundary.ts'
import type { Env } from '../../src/kernel/env.ts'
import { Packet } from '../../src/kernel/packet.ts'
import { SeededRandom } from '../../src/kernel/random.ts'
import { Application, DATAGRAM_PORTS, LISTENERS } from './application.ts'
import type { Framing } from './frames.ts'
import { Mutator } from './mutate.ts'
import { Peer, type Place } from './peer.ts'

/** Bounds given to the nodes, small enough to be met. */
export const LIMITS: {
  readonly connections: 56
  readonly synReceived: 24
  readonly timeWait: 2
  readonly neighbours: 32
} = { connections: 56, synReceived: 24, timeWait: 2, neighbours: 32 }

export const address = (text: string): number => {
  const octets = text.split('.').map(Number)
  return octets.reduce((word, octet) => (word << 8) | octet, 0)
}

/** A node under test, and everything that is needed to harass it. */
export interface Target {
  readonly name: string
  readonly node: Node<Sockets>
  readonly framing: Framing
  /** An FCS is to be put behind every frame. */
  readonly fcs: boolean
  readonly peer: Peer
  readonly mutator: Mutator
  readonly application: Application
  /** Puts octets on the link, as they are. */
  inject(octets: Uint8Array): void
}

const MARTIANS = ['0.0.0.0', '0.1.2.3', '127.0.0.1', '224.0.0.1', '239.1.2.3', '240.0.0.1', '255.255.255.255']
const transports = () =>
  sockets(
    tcp({
      maxConnections: LIMITS.connections,
      maxSynReceived: LIMITS.synReceived,
      maxTimeWait: LIMITS.timeWait,
      maxOrphans: 16,
      maxReassembly: 49_152,
      connection: { userTimeout: seconds(60), advertisedTimeout: seconds(60), fastOpen: 4 },
      fastOpen: { requireCookie: false },
    }),
    udp(),
  )
const family = {
  arp: { entries: LIMITS.neighbours, waiting: 4 },
  reassembly: { octets: 262_144, datagrams: 64 },
} as const

/** Seeded by the run and a name, so that one more target changes no other. */
export function chance(seed: number, name: string): SeededRandom {
  const digest = createHash('sha256').update(`${seed} ${name}`).digest()
  const word = (i: number) => digest.readInt32LE(4 * i)
  return new SeededRandom([word(0), word(1), word(2), word(3)])
}

/** A transfer that must not be harmed by anything that comes in by another link. */
export class Transfer {
  sent = 0
  received = 0
  failure: unknown = null
  over = false
  private readonly sentHash = createHash('sha256')
  private readonly receivedHash = createHash('sha256')
  private stopping = false
  private readonly pump: () => void

  constructor(from: Node<Sockets>, to: Node<Sockets>, seed: number) {
    const chunk = chance(seed, 'transfer').octets(16_384)
    const into = new Uint8Array(65_536)
    to.top.stream.listen(
      { port: 8000 },
      {
        acceptable: (listener) => {
          const connection = listener.accept()
          if (connection === undefined) return
          connection.handler = {
            readable: () => {
              for (let n = connection.read(into); n > 0; n = connection.read(into)) {
                this.receivedHash.update(into.subarray(0, n))
                this.received += n
              }
              if (connection.ended) connection.close()
            },
          }
        },
      },
    )
    const connection = from.top.stream.connect(
      { address: IpAddress.ipv4(address('10.0.2.2')), port: 8000, localPort: 40_000, options: { sendBuffer: 65_536 } },
      {
        established: () => this.pump(),
        writable: () => this.pump(),
        closed: (_connection, error) => {
          this.failure = error
          this.over = true
        },
      },
    )
    this.pump = () => {
      while (!this.stopping) {
        const at = this.sent % chunk.length
        const taken = connection.write(chunk, at, chunk.length - at)
        this.sentHash.update(chunk.subarray(at, at + taken))
        this.sent += taken
        if (taken < chunk.length - at) return
      }
    }
    this.close = () => {
      this.stopping = true
      connection.close()
    }
  }

  /** Sends what is queued, and then no more. */
  readonly close: () => void

  /** Every octet arrived, in order, exactly once. Asked once, when it is over. */
  intact(): boolean {
    return this.received === this.sent && this.sentHash.digest('hex') === this.receivedHash.digest('hex')
  }
}

/** A host with the hidden transfer. */
export function hostTarget(sim: Simulation, seed: number): { target: Target; transfer: Transfer } {
  const [far, near] = cable({ queue: 4096 })
  const [hidden, bobEnd] = cable({ delay: ms(5), rate: 400_000 })
  const node = sim.boot(
    'host',
    stack(
      beside({ eth0: stack(near, ethernet()), eth1: stack(hidden, ethernet()) }),
      ip(ipv4({ ...family, addresses: { eth0: '10.0.1.1/24', eth1: '10.0.2.1/24' } })),
      transports(),
    ),
  )
  const bob = sim.boot('bob', stack(bobEnd, ethernet(), ip(ipv4({ address: '10.0.2.2/24' })), sockets(tcp(), udp())))
  const transfer = new Transfer(node, bob, seed)
  const target = withPeer(sim, seed, node, far, 'frames', ['10.0.2.1', '10.0.2.2', '10.0.1.77', '172.16.0.1'])
  return { target, transfer }
}

/** A router between the peer and a station that never answers. */
export function routerTarget(sim: Simulation, seed: number): Target {
  const [far, near] = cable({ queue: 4096 })
  const [out, sinkEnd] = cable({ mtu: 576 })
  const node = sim.boot(
    'router',
    stack(
      beside({ eth0: stack(near, ethernet()), eth1: stack(out, ethernet()) }),
      ip(
        ipv4({
          ...family,
          forwarding: true,
          addresses: { eth0: '10.0.1.1/24', eth1: '10.0.3.1/24' },
          routes: [
            { prefix: '10.66.0.0/16', action: 'blackhole' },
            { prefix: '10.67.0.0/16', action: 'prohibit' },
            { prefix: '10.68.0.0/16', action: 'unreachable' },
          ],
        }),
      ),
      transports(),
    ),
  )
  sim.boot('sink', stack(sinkEnd, ethernet(), ip(ipv4({ address: '10.0.3.2/24' })), sockets(tcp(), udp())))
  const beyond = ['10.0.3.2', '10.0.3.77', '10.66.0.1', '10.67.0.1', '10.68.0.1', '172.16.0.1', '10.0.3.255']
  return withPeer(sim, seed, node, far, 'frames', beyond)
}

/** A node on a TUN device's medium. */
export function tunTarget(sim: Simulation, seed: number): Target {
  const [far, near] = cable({ medium: 'ip', queue: 4096 })
  const node = sim.boot('tun', stack(near, direct(), ip(ipv4({ ...family, address: '10.0.1.1/24' })), transports()))
  return withPeer(sim, seed, node, far, 'ip', ['172.16.0.1', '10.0.1.77'])
}

/** A router behind a device that vouches for checksums and hands over super-segments. */
export function tapTarget(sim: Simulation, seed: number): Target {
  const [out, sinkEnd] = cable({ mtu: 576 })
  const port: { link?: VnetPort } = {}
  const node = sim.boot(
    'tap',
    stack(
      beside({
        tap0: stack((env: Env) => {
          port.link = new VnetPort(env)
          return port.link
        }, ethernet()),
        eth1: stack(out, ethernet()),
      }),
      ip(ipv4({ ...family, forwarding: true, addresses: { tap0: '10.0.1.1/24', eth1: '10.0.3.1/24' } })),
      transports(),
    ),
  )
  sim.boot('tap-sink', stack(sinkEnd, ethernet(), ip(ipv4({ address: '10.0.3.2/24' })), sockets(tcp(), udp())))
  const link = port.link as VnetPort
  const parts = partsOf(seed, node, 'ethernet', ['10.0.3.2', '10.0.3.77', '172.16.0.1'])
  link.sent = (frame) => parts.peer.hear(frame)
  const random = chance(seed, 'vnet')
  return { ...parts, fcs: false, inject: (octets) => link.arrive(withVnetHeader(octets, random)) }
}

function withPeer<M extends 'frames' | 'ip'>(
  sim: Simulation,
  seed: number,
  node: Node<Sockets>,
  far: (env: Env) => PhysicalService<M>,
  framing: M,
  beyond: readonly string[],
): Target {
  const attacker = sim.boot(`peer of ${node.name}`, far)
  const parts = partsOf(seed, node, framing, beyond)
  const trailer = framing === 'frames' ? 4 : 0
  attacker.top.boundary.attach({
    receive(packet) {
      parts.peer.hear(packet.bytes().slice(0, packet.length - trailer))
      packet.release()
    },
  })
  const inject = (octets: Uint8Array) => {
    const packet = Packet.take(0, octets.length)
    packet.append(octets)
    attacker.top.send(packet, undefined)
  }
  return { ...parts, fcs: framing === 'frames', inject }
}

function partsOf(seed: number, node: Node<Sockets>, framing: Framing, beyond: readonly string[]) {
  const place: Place = {
    framing,
    node: address('10.0.1.1'),
    stations: ['10.0.1.2', '10.0.1.3', '10.0.1.4'].map(address),
    beyond: beyond.map(address),
    intercepted: ['10.9.0.1', '10.9.0.2'].map(address),
    listeners: LISTENERS,
    datagramPorts: DATAGRAM_PORTS,
    victim: [address('10.0.2.1'), 40_000, address('10.0.2.2'), 8000],
  }
  const { name } = node
  const known = [place.node, ...place.stations, ...place.beyond, ...place.intercepted]
  const addresses = [...known, ...MARTIANS.map(address), address('10.0.1.255'), address('10.0.1.0')]
  const ports = [...LISTENERS, ...DATAGRAM_PORTS, 0, 1, 5000, 20_000, 40_000, 65_535]
  return {
    name,
    node,
    framing,
    peer: new Peer(chance(seed, `${name} peer`), place),
    mutator: new Mutator(chance(seed, `${name} mutator`), addresses, ports),
    application: new Application(node, chance(seed, `${name} application`), address('10.0.1.2'), '10.9.0.0/16'),
  }
}

const VNET_REASONS = { badVnetHeader: 'virtio 1.2 §5.1.6', badOffload: '' } as const

/** A TAP device opened with IFF_VNET_HDR, on virtual time. */
class VnetPort implements PhysicalService<'ethernet'> {
  readonly tier = 'physical'
  readonly medium = 'ethernet'
  readonly mtu = 1514
  readonly headroom = VNET_HEADER_OCTETS
  readonly tailroom = 0
  readonly offload = { segment: 65_535 + 14, checksum: true }
  readonly boundary: Boundary<undefined, keyof typeof VNET_REASONS>
  /** Told of each frame sent, without its vnet header. */
  sent: (frame: Uint8Array) => void = () => {}

  constructor(env: Env) {
    this.boundary = env.boundary('vnet', 'ethernet', VNET_REASONS)
  }

  send(packet: Packet): boolean {
    this.boundary.down(packet, undefined)
    if (!pushVnetHeader(packet, 'ethernet')) {
      this.boundary.drop(packet, 'badOffload')
      return true
    }
    packet.pull(VNET_HEADER_OCTETS)
    this.sent(packet.bytes().slice())
    packet.release()
    return true
  }

  arrive(octets: Uint8Array): void {
    const packet = Packet.take(64, octets.length)
    packet.append(octets)
    if (!pullVnetHeader(packet, 'ethernet')) this.boundary.drop(packet, 'badVnetHeader')
    else this.boundary.up(packet, undefined, 0)
  }
}

/** A vnet header that is plausible, or not at all. */
function withVnetHeader(frame: Uint8Array, random: SeededRandom): Uint8Array {
  const octets = new Uint8Array(VNET_HEADER_OCTETS + frame.length)
  octets.set(frame, VNET_HEADER_OCTETS)
  const view = new DataView(octets.buffer)
  const choice = random.uint32() & 7
  if (choice < 3) return octets
  if (choice === 7) {
    octets.set(random.octets(VNET_HEADER_OCTETS))
    return octets
  }
  const header = frame.length > 14 ? ((frame[14] as number) & 15) * 4 : 20
  view.setUint8(0, choice === 3 ? 2 : 1)
  view.setUint8(1, choice >= 5 ? ([0, 1, 3, 4, 5, 0x81][random.uint32() % 6] as number) : 0)
  view.setUint16(2, 14 + header + 20, true)
  view.setUint16(4, [0, 1, 7, 48, 500, 1460, 65_535][random.uint32() % 7] as number, true)
  const stray = (random.uint32() & 3) === 0 ? random.uint32() % 64 : 0
  view.setUint16(6, (14 + header + stray) & 0xffff, true)
  view.setUint16(8, [6, 16, 16, 16, 0, 1, 40][random.uint32() % 7] as number, true)
  return octets
}
