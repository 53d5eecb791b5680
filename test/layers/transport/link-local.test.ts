/** Link-local ends: stations on two links may have the same address and ports, and are two peers all the same (RFC 4007 §6). */
import t from 'tap'
import { ethernet } from '../../../layers/datalink/ethernet/ethernet.ts'
import { ip } from '../../../layers/network/ip.ts'
import { ipv6 } from '../../../layers/network/ipv6/ipv6.ts'
import { type CableEnd, cable } from '../../../layers/physical/cable.ts'
import { sockets } from '../../../layers/transport/sockets.ts'
import { tcp } from '../../../layers/transport/tcp/tcp.ts'
import { udp } from '../../../layers/transport/udp/udp.ts'
import type {
  Connection,
  ConnectionHandler,
  DatagramRequest,
  DatagramSocket,
  Listener,
  Sockets,
} from '../../../src/api/sockets.ts'
import { ms, seconds } from '../../../src/kernel/clock.ts'
import { packetsInUse, poisonReleased } from '../../../src/kernel/packet.ts'
import { beside, stack } from '../../../src/kernel/stack.ts'
import type { Node } from '../../../src/runtime/node.ts'
import { Simulation } from '../../../src/runtime/simulation.ts'
import { at, codeOf } from './udp-pair.ts'

poisonReleased(true)

type Host = Node<Sockets>

const HUB = at('fe80::1')
const PEER = at('fe80::99')
const SIDES = ['left', 'right'] as const

/** A hub that is fe80::1 on both its links, and on each of them a station that is fe80::99. */
async function star(): Promise<{ sim: Simulation; hub: Host; peers: readonly [Host, Host] }> {
  const sim = new Simulation()
  const [left, right] = [cable({ delay: ms(1) }), cable({ delay: ms(1) })]
  const addresses = { left: 'fe80::1/64', right: 'fe80::1/64' }
  const links = beside({ left: stack(left[0], ethernet()), right: stack(right[0], ethernet()) })
  const hub = sim.boot('H', stack(links, ip(ipv6({ addresses })), sockets(tcp(), udp())))
  const station = (name: string, end: CableEnd) => {
    const routes = [{ prefix: 'fd99::/16', via: 'fe80::1', link: 'eth0' }]
    return sim.boot(name, stack(end, ethernet(), ip(ipv6({ address: 'fe80::99/64', routes })), sockets(tcp(), udp())))
  }
  const peers = [station('L', left[1]), station('R', right[1])] as const
  await sim.run(seconds(4))
  return { sim, hub, peers }
}

/** Keeps what it reads, as text. */
class Reader implements ConnectionHandler {
  text = ''

  readable(connection: Connection): void {
    const into = new Uint8Array(1000)
    for (let n = connection.read(into); n > 0; n = connection.read(into)) this.text += Buffer.from(into.subarray(0, n))
  }
}

const say = (connection: Connection, text: string): void => void connection.write(Buffer.from(text))

t.test('connections that others open', async (t) => {
  const { sim, hub, peers } = await star()
  const taken: Connection[] = []
  const acceptable = (listener: Listener): void => {
    for (let one = listener.accept(); one !== undefined; one = listener.accept()) taken.push(one)
  }
  hub.top.stream.listen({ port: 80 }, { acceptable })
  const readers = peers.map(() => new Reader())
  const near = peers.map(({ top }, i) =>
    top.stream.connect({ address: HUB, port: 80, localAddress: PEER, localPort: 1000 }, readers[i] as Reader),
  )
  await sim.run(seconds(1))
  t.same(
    near.map(({ state }) => state),
    ['ESTABLISHED', 'ESTABLISHED'],
  )
  t.same(taken.map(({ remote }) => remote.zone).toSorted(), [...SIDES])
  for (const connection of taken) say(connection, `to the ${connection.remote.zone}`)
  await sim.run(seconds(1))
  t.same(
    readers.map(({ text }) => text),
    ['to the left', 'to the right'],
  )
  // One of them ends, and waits; the other goes on.
  taken.find(({ remote }) => remote.zone === 'left')?.close()
  near[0]?.close()
  await sim.run(seconds(1))
  const states = [...hub.top.stream.list()].map(({ state }) => state)
  t.same(states, ['LISTEN', 'ESTABLISHED', 'TIME-WAIT'])
  const other = taken.find(({ remote }) => remote.zone === 'right') as Connection
  say(other, '!')
  await sim.run(seconds(1))
  t.equal(readers[1]?.text, 'to the right!')
  await sim.close()
  t.equal(packetsInUse(), 0)
})

t.test('listeners of one address and port, one on each link', async (t) => {
  const { sim, hub, peers } = await star()
  const listen = (link: string | undefined) =>
    hub.top.stream.listen(
      { address: HUB, port: 80, link },
      { acceptable: (listener) => say(listener.accept() as Connection, String(link)) },
    )
  const listeners = SIDES.map(listen)
  for (const link of [...SIDES, undefined])
    t.equal(
      codeOf(() => listen(link)),
      'EADDRINUSE',
      `${link} once more`,
    )
  const readers = peers.map(({ top }) => {
    const reader = new Reader()
    top.stream.connect({ address: HUB, port: 80 }, reader)
    return reader
  })
  await sim.run(seconds(1))
  t.same(
    readers.map(({ text }) => text),
    SIDES,
  )
  for (const listener of listeners) listener.close()
  listen(undefined)
  for (const link of SIDES)
    t.equal(
      codeOf(() => listen(link)),
      'EADDRINUSE',
      `${link} when all are taken`,
    )
  await sim.close()
  t.equal(packetsInUse(), 0)
})

t.test('connections that we open, from one port', async (t) => {
  const { sim, hub, peers } = await star()
  for (const { top } of peers)
    top.stream.listen(
      { port: 80 },
      {
        acceptable: (listener) => {
          const connection = listener.accept() as Connection
          say(connection, top === peers[0].top ? 'left' : 'right')
        },
      },
    )
  const open = (link: string, handler: ConnectionHandler) =>
    hub.top.stream.connect({ address: PEER, port: 80, localAddress: HUB, localPort: 2000, link }, handler)
  const readers = SIDES.map(() => new Reader())
  const connections = SIDES.map((side, i) => open(side, readers[i] as Reader))
  t.equal(
    codeOf(() => open('left', {})),
    'EADDRINUSE',
    'there is this one already',
  )
  t.equal(
    codeOf(() => hub.top.stream.connect({ address: PEER, port: 80 }, {})),
    'ENETUNREACH',
    'it could be on either link',
  )
  await sim.run(seconds(1))
  t.same(
    connections.map(({ state, remote }) => `${state} ${remote.zone}`),
    ['ESTABLISHED left', 'ESTABLISHED right'],
  )
  t.same(
    readers.map(({ text }) => text),
    ['left', 'right'],
  )
  await sim.close()
  t.equal(packetsInUse(), 0)
})

t.test('datagrams of connected sockets, and errors about them', async (t) => {
  const { sim, hub, peers } = await star()
  const heard: string[] = []
  const mine = SIDES.map((side) => {
    const handler = {
      message: (_: DatagramSocket, octets: Uint8Array, start: number, length: number) =>
        void heard.push(`${side} hears ${Buffer.from(octets.subarray(start, start + length))}`),
      error: (_: DatagramSocket, error: { code: string }) => void heard.push(`${side} hears ${error.code}`),
    }
    const socket = hub.top.datagram.bind({ address: HUB, port: 2000, reuse: true }, handler)
    socket.connect(PEER, 53, side)
    t.equal(socket.remote?.zone, side)
    return socket
  })
  const [left, right] = peers.map(({ top }) => top.datagram.bind({ address: PEER, port: 53 }, {})) as [
    DatagramSocket,
    DatagramSocket,
  ]
  left.send(Buffer.from('L'), 0, 1, HUB, 2000)
  right.send(Buffer.from('R'), 0, 1, HUB, 2000)
  await sim.run(seconds(1))
  t.same(heard.splice(0), ['left hears L', 'right hears R'])
  for (const socket of [left, right]) socket.close()
  for (const socket of mine) socket.send(new Uint8Array(1), 0, 1)
  await sim.run(seconds(1))
  t.same(heard.splice(0), ['left hears ECONNREFUSED', 'right hears ECONNREFUSED'])
  mine[0]?.disconnect()
  t.equal(mine[0]?.remote, undefined)
  await sim.close()
  t.equal(packetsInUse(), 0)
})

t.test('what is intercepted of a link-local peer keeps its link', async (t) => {
  const { sim, hub, peers } = await star()
  const zones: string[] = []
  const undecided: DatagramRequest[] = []
  hub.top.stream.intercept({ prefix: 'fd99::/16' }, (request) => {
    zones.push(`stream ${request.source.zone}`)
    request.accept({ established: (own) => say(own, `${own.remote.zone} of ${own.local.address}`) })
  })
  hub.top.datagram.intercept({ prefix: 'fd99::/16' }, (request) => {
    zones.push(`datagram ${request.source.zone}`)
    undecided.push(request)
  })
  const heard: string[] = []
  const readers = peers.map(({ top }, i) => {
    const reader = new Reader()
    top.stream.connect({ address: at('fd99::7'), port: 80, localAddress: PEER, localPort: 1000 }, reader)
    const socket = top.datagram.bind(
      { address: PEER, port: 1000 },
      { message: (_, octets, start) => void heard.push(`${SIDES[i]} hears ${octets[start]}`) },
    )
    socket.send(Uint8Array.of(i), 0, 1, at('fd99::7'), 53)
    return reader
  })
  await sim.run(seconds(1))
  for (const request of undecided) {
    request.accept({
      message: (socket, octets, start, length, from) => {
        t.equal(from.zone, socket.remote?.zone)
        socket.send(octets, start, length)
      },
    })
  }
  await sim.run(seconds(1))
  t.same(zones.toSorted(), ['datagram left', 'datagram right', 'stream left', 'stream right'])
  t.same(
    readers.map(({ text }) => text),
    ['left of fd99::7', 'right of fd99::7'],
  )
  t.same(heard.toSorted(), ['left hears 0', 'right hears 1'])
  await sim.close()
  t.equal(packetsInUse(), 0)
})

t.test('progress vouches for the neighbour on its own link', async (t) => {
  const { sim, hub, peers } = await star()
  peers[1].top.stream.listen({ port: 80 }, { acceptable: (listener) => void listener.accept() })
  const connection = hub.top.stream.connect({ address: PEER, port: 80, link: 'right' }, {})
  await sim.run(seconds(1))
  const states = new Set<string>()
  // Reachable for 30 s or so at a time (RFC 4861 §10): it would be asked again unless what we send arrives.
  for (let i = 0; i < 120; i++) {
    say(connection, 'x')
    await sim.run(seconds(1))
    const neighbour = hub.top.network.neighbours().find(({ address }) => address === 'fe80::99')
    if (i > 0) states.add(`${neighbour?.link} ${neighbour?.state}`)
  }
  t.same([...states], ['right reachable'])
  await sim.close()
})
