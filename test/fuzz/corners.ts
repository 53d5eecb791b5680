/**
 * What frames from a peer cannot bring about by themselves: a link that is cut, unplugged or full, a device that fails,
 * a layer above or below that asks for what it must not. Each corner is a few packets, in the same run.
 */
import { execFileSync } from 'node:child_process'
import { constants, mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LinkAddressing } from '../../layers/datalink/service.ts'
import { NetworkAddressing, type NetworkService, PROTOCOL } from '../../layers/network/service.ts'
import { ERRNO, type Libc } from '../../layers/physical/libc.ts'
import type { PhysicalService } from '../../layers/physical/service.ts'
import { TunPort } from '../../layers/physical/tun-port.ts'
import type { Connection, Listener } from '../../src/api/sockets.ts'
import {
  boot,
  cable,
  direct,
  ethernet,
  hub,
  IpAddress,
  impair,
  ip,
  ipv4,
  loopback,
  ms,
  parseAddress,
  Simulation,
  seconds,
  sockets,
  stack,
  tcp,
  udp,
} from '../../src/index.ts'
import type { Env } from '../../src/kernel/env.ts'
import { Packet } from '../../src/kernel/packet.ts'
import { slab } from '../../src/kernel/slab.ts'
import { NetworkDouble } from '../layers/transport/tcp/network-double.ts'
import { UNDECIDED_PORT } from './application.ts'
import {
  ethernetFrame,
  ipv4Packet,
  repair,
  SYN,
  TCP,
  TYPE_IPV4,
  tcpSegment,
  UDP,
  udpDatagram,
  withFcs,
} from './frames.ts'
import { PEER_MAC } from './peer.ts'
import { routerCorners } from './router-corners.ts'
import { address, type Target } from './stand.ts'
import type { Tally } from './tally.ts'
import { codecCorners, tunnelCorner } from './tunnel-corners.ts'
import { packetFor, send } from './zeros.ts'

const A = address('10.0.1.1')

/** Every corner there is. @throws what a layer throws: nothing should. */
export async function corners(tally: Tally, seed: number): Promise<void> {
  await onVirtualTime(tally, seed)
  await tapCorner(tally)
  await tunnelCorner(tally)
  await codecCorners(tally)
}

async function onVirtualTime(tally: Tally, seed: number): Promise<void> {
  await using sim = new Simulation({ seed })
  await cableCorner(sim)
  await hubCorner(sim)
  await loopbackCorner(sim, tally)
  await impairCorner(sim, tally)
  await pauseCorner(sim)
  await linkAndNetworkCorner(sim)
  await closingCorner(sim, tally)
  transportCorner(sim)
  await closedConnectionsCorner(sim)
  await routerCorners(sim)
  for (const node of sim.nodes.values()) tally.add(node.boundaries)
}

const swallow = (service: PhysicalService): (() => void) =>
  service.boundary.attach({ receive: (packet) => packet.release() })

async function cableCorner(sim: Simulation): Promise<void> {
  const ends = cable({ queue: 4, rate: 1_000_000 })
  const a = sim.boot('cable a', ends[0]).top
  send(a)
  await sim.run(seconds(1)) // linkDown: nobody is there
  const b = sim.boot('cable b', ends[1]).top
  send(a)
  await sim.run(seconds(1)) // noUser
  swallow(b)
  send(a, 60, 20) // queueFull
  send(a, 2000) // tooLong
  const cut = ends.link.cut()
  send(a)
  cut.heal()
  ends.link.unplug()
  send(a)
  ends.link.plug()
}

async function hubCorner(sim: Simulation): Promise<void> {
  const ports = hub(3, { queue: 4, rate: 1_000_000 })
  const [a, b] = ports.slice(0, 2).map((port, i) => sim.boot(`hub ${i}`, port).top) as [
    PhysicalService,
    PhysicalService,
  ]
  send(a)
  await sim.run(seconds(1)) // noUser
  swallow(b)
  send(a, 60, 20) // queueFull
  send(a, 2000) // tooLong
  await sim.run(seconds(1))
  const cut = ports.link.cut(0, 1)
  send(a)
  await sim.run(seconds(1))
  cut.heal()
  ports.link.unplug(1)
  send(a)
  await sim.run(seconds(1)) // noReceiver
  send(b) // linkDown
}

async function loopbackCorner(sim: Simulation, tally: Tally): Promise<void> {
  const node = sim.boot('loop', loopback({ queue: 4, rate: 1_000_000 }))
  send(node.top)
  await sim.run(seconds(1)) // noUser
  swallow(node.top)
  send(node.top, 60, 20)
  send(node.top, 2000)
  tally.add(node.boundaries)
  await node.close()
  send(node.top) // linkDown
}

async function impairCorner(sim: Simulation, tally: Tally): Promise<void> {
  const ends = cable({ medium: 'ip', mtu: 500, offload: true })
  const lossy = impair({ dropIf: (index) => index === 0 })
  const node = sim.boot('impaired', stack(ends[0], lossy))
  const far = sim.boot('impaired far', ends[1]).top
  tally.add(node.boundaries)
  const near = node.top
  swallow(far)
  send(near) // chosen
  lossy.link.set({ dropIf: null, loss: 1 })
  send(near)
  lossy.link.set({ loss: 0, burstLoss: { p: 1, r: 0 } })
  send(near)
  lossy.link.set({ burstLoss: null, up: {}, down: { rate: 1_000_000, queue: 4 } })
  send(near, 60, 20) // queueFull
  send(near, 2000) // tooLong
  send(far)
  await sim.run(seconds(1)) // noUser
  far.send(superSegment(far), undefined)
  await sim.run(seconds(1)) // badOffload: its segments do not fit either
  await node.close()
  send(near) // linkDown
}

/** TCP of two segments of 600 octets each, with nothing right but what offload looks at. */
function superSegment(service: PhysicalService): Packet {
  const packet = packetFor(service, 40 + 1200)
  const { view, start } = packet
  view.setUint8(start, 0x45)
  view.setUint8(start + 9, TCP)
  view.setUint8(start + 32, 0x50)
  packet.segmentOctets = 600
  packet.checksum = 'partial'
  packet.checksumStart = start + 20
  packet.checksumOffset = 16
  packet.headerOctets = 20
  return packet
}

/** What a layer above must not ask of a link or of a network. */
async function pauseCorner(sim: Simulation): Promise<void> {
  const [a, b] = cable().map((end, i) => sim.boot(`pause ${i}`, stack(end, ethernet({ pause: true }))).top)
  b?.hold()
  await sim.run(ms(1))
  const addressing = new LinkAddressing()
  for (let i = 0; i < 1000; i++) a?.send(packetFor(a, 46), addressing) // queueFull
}

async function linkAndNetworkCorner(sim: Simulation): Promise<void> {
  const link = sim.boot('direct', stack(cable({ medium: 'ip' })[0], direct())).top
  const addressing = new LinkAddressing()
  addressing.protocol = 0x0806
  link.send(packetFor(link, 28), addressing) // notIp
  const network = sim.boot('network', stack(cable()[0], ethernet(), ip(ipv4({ address: '10.0.1.1/24' })))).top
  const to = new NetworkAddressing()
  const say = (source: number, destination: number, length: number, count = 1): void => {
    to.source.setIpv4(source)
    to.destination.setIpv4(destination)
    for (let i = 0; i < count; i++) network.send(packetFor({ headroom: 64, tailroom: 8 }, length), to)
  }
  say(address('10.0.1.9'), address('10.0.1.2'), 8) // badSource
  say(A, address('10.0.1.2'), 65_530) // tooLong
  say(A, A, 8, 1100) // queueFull
  to.destination.set(new IpAddress(0x2001_0db8, 0, 0, 1))
  network.send(packetFor({ headroom: 64, tailroom: 8 }, 8), to) // noFamily
  await sim.run(seconds(1))
}

/** What still waits when a link goes down, or a node or socket closes. */
async function closingCorner(sim: Simulation, tally: Tally): Promise<void> {
  const ends = cable()
  const host = (end: (typeof ends)[0], own: string) =>
    stack(end, ethernet(), ip(ipv4({ address: own })), sockets(tcp(), udp()))
  const a = sim.boot('closing a', host(ends[0], '10.0.1.1/24'))
  const b = sim.boot('closing b', host(ends[1], '10.0.1.2/24'))
  tally.add(a.boundaries)
  const paused = b.top.datagram.bind({ port: 5 }, {})
  paused.pause()
  const socket = a.top.datagram.bind({}, {})
  const say = (to: string): unknown => socket.send(new Uint8Array(4), 0, 4, IpAddress.ipv4(address(to)), 5)
  say('10.0.1.2')
  await sim.run(seconds(1))
  paused.close() // udp closed
  ends.link.unplug()
  try {
    say('10.0.1.2') // ipv4 linkDown
  } finally {
    ends.link.plug()
  }
  say('10.0.1.9')
  await a.close() // arp closed: the datagram waits for an answer
}

/** Transports check again what our network has checked: they may stand on another one. */
function transportCorner(sim: Simulation): void {
  const top: { network?: NetworkDouble } = {}
  const network = (env: Env): NetworkService => {
    top.network = new NetworkDouble(env, '10.0.1.1')
    return top.network
  }
  sim.boot('transports', stack(network, sockets(tcp(), udp())))
  const from = new NetworkAddressing()
  const arrive = (source: number, protocol: number, payload: Uint8Array): void => {
    const packet = ipv4Packet({ source, destination: A, protocol }, payload)
    repair(packet, 'ip')
    const arrived = Packet.take(64, packet.length)
    arrived.append(packet)
    arrived.networkStart = arrived.pull(20)
    from.source.setIpv4(source)
    from.destination.setIpv4(A)
    from.protocol = protocol
    top.network?.arrive(arrived, from)
  }
  const broadcast = address('10.0.1.255')
  const syn = { sourcePort: 1, destinationPort: 2, seq: 0, ack: 0, flags: SYN }
  arrive(broadcast, TCP, tcpSegment(syn)) // badSource
  arrive(broadcast, UDP, udpDatagram(1, 2, new Uint8Array(4))) // badSource
  for (let i = 0; i < 1100; i++) arrive(address('10.0.1.9'), TCP, tcpSegment(syn)) // resetLimit
  for (const message of [
    [0, 0, 0, 0],
    [8, 0, 0, 0, 0, 0, 0, 0],
    [0, 0, 1, 1, 0, 0, 0, 0],
  ]) {
    const octets = Uint8Array.from(message) // truncated, notReply, badChecksum
    const packet = Packet.take(0, octets.length)
    packet.append(octets)
    from.protocol = PROTOCOL.icmp
    top.network?.arrive(packet, from)
  }
  const bare = Packet.take(0, 8)
  bare.append(Uint8Array.from([0, 1, 0, 2, 0, 8, 0, 0]))
  from.destination.set(new IpAddress(0x2001_0db8, 0, 0, 1))
  from.protocol = PROTOCOL.udp
  top.network?.arrive(bare, from) // noChecksum
}

/** More closed connections than a node keeps: orphanLimit, and timeWaitLimit. */
async function closedConnectionsCorner(sim: Simulation): Promise<void> {
  for (const [i, limits] of [{ maxOrphans: 0 }, { maxTimeWait: 1 }].entries()) {
    const [end] = cable()
    const node = sim.boot(`closing${i}`, stack(end, ethernet(), ip(ipv4()), sockets(tcp(limits), udp())))
    const here = { address: parseAddress('127.0.0.1'), port: 80 }
    const into = new Uint8Array(16)
    const readable = (connection: Connection): void => {
      while (connection.read(into) > 0);
      if (connection.ended) connection.close()
    }
    const acceptable = (listener: Listener): void => {
      for (let c = listener.accept(); c !== undefined; c = listener.accept()) c.handler = { readable }
    }
    node.top.stream.listen({ port: 80 }, { acceptable })
    for (let k = 0; k < 2; k++) {
      node.top.stream.connect(here, {
        established: (connection) => {
          connection.write(new Uint8Array(10))
          connection.close()
        },
      })
    }
    await sim.run(seconds(1))
  }
}

/** More flows to what is intercepted than can wait for a decision, and one of them twice. By octets on the link. */
export async function interceptFlood(sim: Simulation, { inject, node }: Target): Promise<void> {
  const mac = node.top.network.links()[0]?.linkAddress as string
  const to = Number.parseInt(mac.replaceAll(':', ''), 16)
  const source = address('10.0.1.3')
  const destination = address('10.9.0.1')
  const put = (protocol: number, payload: Uint8Array): void => {
    const frame = ethernetFrame(to, PEER_MAC, TYPE_IPV4, ipv4Packet({ source, destination, protocol }, payload))
    repair(frame, 'frames')
    inject(withFcs(frame))
  }
  await sim.run(seconds(90)) // until there is room for handshakes
  for (let i = 0; i < 1100; i++) {
    const sourcePort = 10_000 + Math.max(1, i)
    const options = Uint8Array.from([2, 4, 5, 180])
    put(TCP, tcpSegment({ sourcePort, destinationPort: UNDECIDED_PORT, seq: i, ack: 0, flags: SYN, options }))
    put(UDP, udpDatagram(sourcePort, UNDECIDED_PORT, new Uint8Array(4)))
    if (i % 64 === 0) await sim.run(1000)
  }
  await sim.run(seconds(40)) // undecided for too long
}

/** A device that answers as it is told, and holds frames to be read. */
class Device implements Libc {
  errors = 0
  readonly frames: Uint8Array[] = []
  private last = 0

  read(_fd: number, to: number, octets: number): number {
    const frame = this.frames.shift()
    if (frame === undefined) return this.fail(ERRNO.EAGAIN)
    slab().octets.set(frame.subarray(0, octets), to)
    return Math.min(octets, frame.length)
  }
  write(_fd: number, _from: number, octets: number): number {
    return this.errors === 0 ? octets : this.fail(this.errors)
  }
  ioctl(_fd: number, request: number, argument: Uint8Array): number {
    const view = new DataView(argument.buffer, argument.byteOffset)
    if (request === 0x8913) view.setUint16(16, 1, true)
    else view.setInt32(16, 1500, true)
    return 0
  }
  ioctlValue(): number {
    return 0
  }
  socket(): number {
    return -1
  }
  setns(): number {
    return -1
  }
  poll(): void {}
  errno(): number {
    return this.last
  }
  slabAddress(): number {
    return 0
  }
  private fail(errno: number): number {
    this.last = errno
    return -1
  }
}

async function tapCorner(tally: Tally): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'netstrata-'))
  try {
    execFileSync('mkfifo', [join(folder, 'fifo')])
    const fd = openSync(join(folder, 'fifo'), constants.O_RDWR | constants.O_NONBLOCK)
    const device = new Device()
    const open = { fd, control: openSync('/dev/null', 'r'), name: 'x0', vnetHdr: true, assumedMtu: 1500 }
    const limits = { queueLength: 4, turnPackets: 64, turnUs: 1_000_000 }
    await using node = await boot((env) => new TunPort(env, device, open, 'ethernet', limits), 'tap port')
    tally.add(node.boundaries)
    const port = node.top
    device.frames.push(new Uint8Array(9), new Uint8Array(70_000), new Uint8Array(70))
    port.woken() // badVnetHeader, truncated, noUser
    send(port, 5) // runt
    send(port, 1600) // tooLong
    const asking = packetFor(port, 60)
    asking.checksum = 'partial'
    asking.checksumStart = asking.end
    port.send(asking, undefined) // badOffload
    device.errors = ERRNO.EAGAIN
    send(port, 60, 20) // queueFull
    device.errors = 0
    await new Promise((resolve) => setTimeout(resolve, 20))
    device.errors = ERRNO.EINVAL
    send(port) // writeFailed
    device.errors = ERRNO.EIO
    send(port) // linkDown
    device.errors = 0
  } finally {
    rmSync(folder, { recursive: true })
  }
}
