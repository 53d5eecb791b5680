/** What TCP and UDP can do, over IPv6: what of them has to do with addresses, the header, or the MTU. */
import t from 'tap'
import { ethernet } from '../../../layers/datalink/ethernet/ethernet.ts'
import { ip } from '../../../layers/network/ip.ts'
import { ipv6 } from '../../../layers/network/ipv6/ipv6.ts'
import { cable } from '../../../layers/physical/cable.ts'
import { impair } from '../../../layers/physical/impair/impair.ts'
import { sockets } from '../../../layers/transport/sockets.ts'
import type { TcpOptions } from '../../../layers/transport/tcp/settings.ts'
import { tcp } from '../../../layers/transport/tcp/tcp.ts'
import { udp } from '../../../layers/transport/udp/udp.ts'
import type {
  Connection,
  ConnectionOptions,
  DatagramRequest,
  Sockets,
  StreamRequest,
} from '../../../src/api/sockets.ts'
import { ms, seconds } from '../../../src/kernel/clock.ts'
import { type Packet, packetsInUse, poisonReleased } from '../../../src/kernel/packet.ts'
import { stack } from '../../../src/kernel/stack.ts'
import type { Node } from '../../../src/runtime/node.ts'
import { Simulation } from '../../../src/runtime/simulation.ts'
import { at, Ears } from './udp-pair.ts'

poisonReleased(true)

const ETHERNET_OCTETS = 14
const IPV6_OCTETS = 40
const [TCP, UDP] = [6, 17] as const

type Host = Node<Sockets>

/** A packet on the cable, as far as these tests look at it. */
interface Seen {
  readonly protocol: number
  readonly trafficClass: number
  readonly hopLimit: number
  readonly destinationPort: number
  /** Of the IPv6 packet. */
  readonly octets: number
}

function look({ view, start, length }: Packet): Seen {
  const header = start + ETHERNET_OCTETS
  return {
    protocol: view.getUint8(header + 6),
    trafficClass: (view.getUint16(header) >> 4) & 255,
    hopLimit: view.getUint8(header + 7),
    destinationPort: view.getUint16(header + IPV6_OCTETS + 2),
    octets: length - ETHERNET_OCTETS,
  }
}

interface Pair {
  readonly sim: Simulation
  readonly a: Host
  readonly b: Host
  /** What has left A, lost or not. */
  readonly seen: Seen[]
}

/** fd00::1 and fd00::2. @param lost what of A's packets is lost. @param options of A's TCP, and B's. */
async function pair(lost: (seen: Seen) => boolean, options: TcpOptions[] = []): Promise<Pair> {
  const sim = new Simulation()
  const ends = cable({ delay: ms(1), medium: 'ethernet' })
  const seen: Seen[] = []
  const dropIf = (_: number, packet: Packet): boolean => {
    const one = look(packet)
    seen.push(one)
    return lost(one)
  }
  const network = (n: number) => ip(ipv6({ address: `fd00::${n}/64`, gateway: `fd00::${3 - n}` }))
  const transports = (n: number) => sockets(tcp(options[n - 1]), udp())
  const a = sim.boot('A', stack(ends[0], impair({ down: { dropIf } }), ethernet(), network(1), transports(1)))
  const b = sim.boot('B', stack(ends[1], ethernet(), network(2), transports(2)))
  await sim.run(seconds(4))
  seen.length = 0
  return { sim, a, b, seen }
}

const nothing = (): boolean => false

/** Listens on B. @returns what it has accepted so far. */
function accepting(b: Host, options?: Partial<ConnectionOptions>): Connection[] {
  const accepted: Connection[] = []
  const acceptable = (listener: { accept(): Connection | undefined }): void => {
    for (let one = listener.accept(); one !== undefined; one = listener.accept()) accepted.push(one)
  }
  b.top.stream.listen({ port: 80, options }, { acceptable })
  return accepted
}

t.test('traffic class and hop limit are those of the connection and the socket', async (t) => {
  const { sim, a, b, seen } = await pair(nothing)
  accepting(b)
  const connection = a.top.stream.connect(
    { address: at('fd00::2'), port: 80, options: { trafficClass: 0xb8, ttl: 9 } },
    {},
  )
  await sim.run(seconds(1))
  t.match(
    seen.find(({ protocol }) => protocol === TCP),
    { trafficClass: 0xb8, hopLimit: 9 },
  )
  seen.length = 0
  connection.set('trafficClass', 0x28)
  connection.set('ttl', 7)
  connection.write(new Uint8Array(1))
  await sim.run(seconds(1))
  t.match(
    seen.find(({ protocol }) => protocol === TCP),
    { trafficClass: 0x28, hopLimit: 7 },
  )
  const socket = a.top.datagram.bind({ port: 9, options: { trafficClass: 0x20, ttl: 3 } }, {})
  socket.send(new Uint8Array(1), 0, 1, at('fd00::2'), 9)
  await sim.run(seconds(1))
  t.match(
    seen.find(({ protocol }) => protocol === UDP),
    { trafficClass: 0x20, hopLimit: 3 },
  )
  await sim.close()
  t.equal(packetsInUse(), 0)
})

t.test('a path that drops what is large and says nothing is found out (RFC 4821)', async (t) => {
  const { sim, a, b, seen } = await pair(({ octets }) => octets > 1400)
  const accepted = accepting(b)
  const near = a.top.stream.connect({ address: at('fd00::2'), port: 80 }, {})
  await sim.run(seconds(1))
  const octets = new Uint8Array(100_000)
  let written = near.write(octets)
  near.handler = {
    writable: () => {
      written += near.write(octets, written)
    },
  }
  let got = 0
  const into = new Uint8Array(65_536)
  const readable = (connection: Connection): void => {
    for (let n = connection.read(into); n > 0; n = connection.read(into)) got += n
  }
  const [far] = accepted as [Connection]
  far.handler = { readable }
  await sim.run(seconds(30))
  t.equal(got, octets.length)
  const { maxSegment, pathMtu } = near.info()
  t.ok(pathMtu > 1380 && pathMtu <= 1400, `a path MTU of ${pathMtu}`)
  t.equal(maxSegment, pathMtu - 60 - 12)
  const sizes = seen.filter(({ protocol }) => protocol === TCP).map(({ octets }) => octets)
  t.equal(Math.max(...sizes), 1500, 'it began with what the link carries')
  t.ok(sizes.includes(1280), 'and went on with what every link carries (RFC 8200 §5)')
  await sim.close()
  t.equal(packetsInUse(), 0)
})

t.test('a SYN that cannot be remembered is answered by a cookie, which makes the connection', async (t) => {
  // Nothing that A says to port 80 but SYNs gets through: its first handshake stays where it is.
  let deaf = true
  const { sim, a, b } = await pair(
    ({ protocol, octets }) => deaf && protocol === TCP && octets < 80,
    [{}, { maxSynReceived: 1 }],
  )
  const accepted = accepting(b)
  a.top.stream.connect({ address: at('fd00::2'), port: 80 }, {})
  await sim.run(ms(500))
  t.same(
    [...b.top.stream.list()].map(({ state }) => state),
    ['LISTEN', 'SYN-RECEIVED'],
  )
  const [tcpOfB] = [...b.boundaries].filter(({ name }) => name.endsWith('/tcp'))
  const reset = a.top.stream.connect({ address: at('fd00::2'), port: 80 }, {})
  deaf = false
  const came: string[] = []
  reset.handler = { established: ({ local }) => void came.push(`${local.address}`) }
  await sim.run(ms(10))
  t.equal(tcpOfB?.drops.get('synQueueFull'), 1)
  t.same(came, ['fd00::1'])
  const [made] = accepted as [Connection]
  t.equal(made.remote.port, reset.local.port)
  reset.write(new Uint8Array(5000))
  await sim.run(seconds(1))
  t.equal(made.info().octetsReceived, 5000)
  t.equal(made.info().maxSegment, 1440 - 12)
  await sim.close()
  t.equal(packetsInUse(), 0)
})

t.test('streams are intercepted by prefix: accepted, reset, unreachable', async (t) => {
  const { sim, a, b } = await pair(nothing)
  const asked: StreamRequest[] = []
  const undo = b.top.stream.intercept({ prefix: '2001:db8::/32', ports: [80, 81, 82] }, (request) => {
    asked.push(request)
    if (request.destination.port === 80) request.accept({ established: (own) => void own.write(Buffer.from('hello')) })
    else if (request.destination.port === 81) request.reset()
    else request.unreachable()
  })
  const told: string[] = []
  const into = new Uint8Array(10)
  for (const port of [80, 81, 82, 83]) {
    const options = { synRetries: 0 } as Partial<ConnectionOptions>
    a.top.stream.connect(
      { address: at('2001:db8:7::1'), port, options: port === 82 ? options : undefined },
      {
        readable: (own) =>
          void told.push(`${port} ${Buffer.from(into.subarray(0, own.read(into)))} of ${own.remote.address}`),
        closed: (_, error) => void told.push(`${port} ${error?.code}`),
      },
    )
  }
  await sim.run(seconds(10))
  t.same(
    asked.map(({ source, destination }) => `${source.address} ${destination.address} ${destination.port}`),
    ['fd00::1 2001:db8:7::1 80', 'fd00::1 2001:db8:7::1 81', 'fd00::1 2001:db8:7::1 82'],
  )
  t.same(told.toSorted(), ['80 hello of 2001:db8:7::1', '81 ECONNREFUSED', '82 EHOSTUNREACH', '83 ECONNREFUSED'])
  undo()
  await sim.close()
  t.equal(packetsInUse(), 0)
})

t.test('datagrams are intercepted by prefix: accepted, refused, unreachable', async (t) => {
  const { sim, a, b } = await pair(nothing)
  const asked: DatagramRequest[] = []
  b.top.datagram.intercept({ prefix: '2001:db8::/32' }, (request) => {
    asked.push(request)
    const { port } = request.destination
    if (port === 80) request.accept({ message: (own, octets, start, length) => void own.send(octets, start, length) })
    else if (port === 81) request.reset()
    else request.unreachable()
  })
  const ears = new Ears()
  for (const port of [80, 81, 82]) {
    const socket = a.top.datagram.bind({ port: 1000 + port }, ears)
    socket.connect(at('2001:db8:7::1'), port)
    socket.send(Buffer.from('echo'), 0, 4)
  }
  await sim.run(seconds(1))
  t.equal(asked.length, 3)
  t.same(ears.heard.toSorted(), [
    '2001:db8:7::1:80 to fd00::1: echo',
    'ECONNREFUSED portUnreachable about 2001:db8:7::1:81',
    'soft EHOSTUNREACH hostUnreachable about 2001:db8:7::1:82',
  ])
  await sim.close()
  t.equal(packetsInUse(), 0)
})
