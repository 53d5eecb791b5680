/** TCP, UDP and echo over IPv6, and both families side by side. */
import t from 'tap'
import { ethernet } from '../../../layers/datalink/ethernet/ethernet.ts'
import { ip } from '../../../layers/network/ip.ts'
import { ipv4 } from '../../../layers/network/ipv4/ipv4.ts'
import { ipv6 } from '../../../layers/network/ipv6/ipv6.ts'
import { type CableOptions, cable } from '../../../layers/physical/cable.ts'
import { impair } from '../../../layers/physical/impair/impair.ts'
import { sockets } from '../../../layers/transport/sockets.ts'
import { tcp } from '../../../layers/transport/tcp/tcp.ts'
import { fault, finishChecksum, write } from '../../../layers/transport/udp/header.ts'
import { udp } from '../../../layers/transport/udp/udp.ts'
import type { Connection, EchoReply, EchoRequest, Sockets } from '../../../src/api/sockets.ts'
import { ms, seconds } from '../../../src/kernel/clock.ts'
import { Packet, packetsInUse, poisonReleased } from '../../../src/kernel/packet.ts'
import { beside, stack } from '../../../src/kernel/stack.ts'
import type { Node } from '../../../src/runtime/node.ts'
import { Simulation } from '../../../src/runtime/simulation.ts'
import { at, codeOf, Ears } from './udp-pair.ts'

poisonReleased(true)

type Host = Node<Sockets>

/** Two hosts of both families on a cable, once their addresses are known to be theirs alone. */
async function pair(
  options: CableOptions | CableOptions<'ethernet'> = {},
  loss = 0,
): Promise<{ sim: Simulation; a: Host; b: Host }> {
  const sim = new Simulation()
  const ends = cable(options)
  const network = (n: number) => ip(ipv4({ address: `10.0.0.${n}/24` }), ipv6({ address: `fd00::${n}/64` }))
  const host = (end: (typeof ends)[0], n: number) =>
    loss > 0
      ? stack(end, impair({ loss }), ethernet(), network(n), sockets(tcp(), udp()))
      : stack(end, ethernet(), network(n), sockets(tcp(), udp()))
  const [a, b] = [sim.boot('A', host(ends[0], 1)), sim.boot('B', host(ends[1], 2))]
  await sim.run(seconds(4))
  return { sim, a, b }
}

/** Both ends of a connection from `a` to where `b` listens. */
async function connect(sim: Simulation, a: Host, b: Host, address: string, link?: string): Promise<Connection[]> {
  const made: Connection[] = []
  const listener = b.top.stream.listen({ port: 80 }, { acceptable: (l) => void made.push(l.accept() as Connection) })
  made.unshift(a.top.stream.connect({ address: at(address), port: 80, link }, {}))
  await sim.run(seconds(10))
  listener.close()
  return made
}

/** What arrives of so many octets, in the order of the stream. */
async function transfer(sim: Simulation, from: Connection, to: Connection, length: number): Promise<number> {
  const octets = Uint8Array.from({ length }, (_, i) => (i * 31 + (i >> 8)) & 255)
  let written = from.write(octets)
  from.handler = {
    writable: () => {
      written += from.write(octets, written)
    },
  }
  const into = new Uint8Array(65_536)
  let got = 0
  const read = (): void => {
    for (let n = to.read(into); n > 0; n = to.read(into)) {
      for (let i = 0; i < n; i++, got++) if (into[i] !== octets[got]) throw new Error(`octet ${got} is another`)
    }
  }
  to.handler = { readable: read }
  read()
  await sim.run(seconds(60))
  return got
}

for (const offload of [false, true]) {
  t.test(`a connection over IPv6 ${offload ? 'with' : 'without'} offload`, async (t) => {
    const { sim, a, b } = await pair(offload ? { medium: 'ethernet', offload } : { delay: ms(1) })
    const [near, far] = (await connect(sim, a, b, 'fd00::2')) as [Connection, Connection]
    t.equal(near.state, 'ESTABLISHED')
    t.equal(far.remote.address.toString(), 'fd00::1')
    t.equal(near.info().maxSegment, 1440 - 12, 'the MTU less both headers and timestamps')
    t.equal(await transfer(sim, near, far, 1_000_000), 1_000_000)
    t.equal(await transfer(sim, far, near, 100_000), 100_000)
    await sim.close()
    t.equal(packetsInUse(), 0)
  })
}

t.test('lost segments of a connection over IPv6 are sent again', async (t) => {
  const { sim, a, b } = await pair({ delay: ms(1) }, 0.05)
  const [near, far] = (await connect(sim, a, b, 'fd00::2')) as [Connection, Connection]
  t.equal(await transfer(sim, near, far, 200_000), 200_000)
  t.ok(near.info().retransmits > 0)
  await sim.close()
})

t.test('a link-local address goes with its link, and answers by it', async (t) => {
  const { sim, a, b } = await pair({ delay: ms(1) })
  const address = linkLocalOf(b)
  const [near, far] = (await connect(sim, a, b, address, 'eth0')) as [Connection, Connection]
  t.equal(near.remote.zone, 'eth0')
  t.equal(far.remote.zone, 'eth0')
  t.equal(far.remote.address.toString(), linkLocalOf(a))
  t.equal(await transfer(sim, far, near, 10_000), 10_000)
  await sim.close()
})

function linkLocalOf(host: Host): string {
  const own = host.top.network.links()[0]?.addresses.find((address) => address.startsWith('fe80'))
  return (own as string).split('/')[0] as string
}

t.test('a narrow path is found by what routers say of it', async (t) => {
  const sim = new Simulation()
  const cables = [cable(), cable({ mtu: 1280 }), cable()] as const
  const host = (end: (typeof cables)[0][0], n: number) =>
    stack(
      end,
      ethernet(),
      ip(ipv6({ address: `fd00:${n}::1/64`, gateway: `fd00:${n}::ff` })),
      sockets(tcp({ mtuProbing: 'off' }), udp()),
    )
  const router = (near: (typeof cables)[0][0], far: (typeof cables)[0][0], n: number) =>
    stack(
      beside({ near: stack(near, ethernet()), far: stack(far, ethernet()) }),
      ip(
        ipv6({
          forwarding: true,
          addresses: { near: `fd00:${n}::ff/64`, far: `fd00:2::${n}/64` },
          gateway: `fd00:2::${4 - n}`,
        }),
      ),
      sockets(udp()),
    )
  const a = sim.boot('A', host(cables[0][0], 1))
  sim.boot('R', router(cables[0][1], cables[1][0], 1))
  sim.boot('S', router(cables[2][0], cables[1][1], 3))
  const b = sim.boot('B', host(cables[2][1], 3))
  await sim.run(seconds(4))
  const [near, far] = (await connect(sim, a, b, 'fd00:3::1')) as [Connection, Connection]
  t.equal(near.info().pathMtu, 1500)
  t.equal(await transfer(sim, near, far, 100_000), 100_000)
  t.equal(near.info().pathMtu, 1280)
  t.equal(near.info().maxSegment, 1280 - 60 - 12)
  t.equal(near.info().timeouts, 0)
  await sim.close()
  t.equal(packetsInUse(), 0)
})

t.test('datagrams over IPv6', async (t) => {
  const { sim, a, b } = await pair()
  const [ears, answers] = [new Ears(), new Ears()]
  b.top.datagram.bind(
    { port: 53 },
    {
      message: (socket, octets, start, length, from, to) => {
        ears.message(socket, octets, start, length, from, to)
        socket.send(octets, start, length, from.address, from.port, from.zone)
      },
    },
  )
  const socket = a.top.datagram.bind({ port: 1000 }, answers)
  const say = (address: string, length = 3, link?: string): void => {
    socket.send(new Uint8Array(length).fill(0x61), 0, length, at(address), 53, link)
  }
  for (const address of ['fd00::2', '10.0.0.2', linkLocalOf(b)]) {
    say(address, 3, 'eth0')
    await sim.run(seconds(1))
  }
  say('fd00::2', 60_000)
  await sim.run(seconds(1))
  t.same(answers.heard, [
    'fd00::2:53 to fd00::1: aaa',
    '10.0.0.2:53 to 10.0.0.1: aaa',
    `${linkLocalOf(b)}:53 to ${linkLocalOf(a)}: aaa`,
    'fd00::2:53 to fd00::1: 60000 octets',
  ])
  t.equal(ears.heard.length, 4)
  t.equal(
    codeOf(() => socket.send(new Uint8Array(3), 0, 3, at('fe80::1'), 53, 'eth9')),
    'ENODEV',
  )
  socket.set('pathMtuDiscovery', true)
  say('fd00::2', 1452)
  t.equal(
    codeOf(() => say('fd00::2', 1453)),
    'EMSGSIZE',
  )
  answers.heard.length = 0
  socket.connect(at('fd00::2'), 7)
  socket.send(new Uint8Array(1), 0, 1)
  await sim.run(seconds(1))
  t.same(answers.heard, ['ECONNREFUSED portUnreachable about fd00::2:7'])
  await sim.close()
  t.equal(packetsInUse(), 0)
})

t.test('what is bound to :: takes both families, unless it is to be one', async (t) => {
  const { sim, a, b } = await pair()
  const ports = { dual: 1, six: 2, four: 3, every: 4 }
  const heard: Record<string, string[]> = {}
  const bind = (name: keyof typeof ports, address: string | undefined, ipv6Only = false): void => {
    const ears = new Ears()
    heard[name] = ears.heard
    b.top.datagram.bind({ address: address === undefined ? undefined : at(address), port: ports[name], ipv6Only }, ears)
  }
  bind('dual', '::')
  bind('six', '::', true)
  bind('four', '0.0.0.0')
  bind('every', undefined)
  const socket = a.top.datagram.bind({ port: 9 }, {})
  for (const port of Object.values(ports)) {
    for (const address of ['fd00::2', '10.0.0.2']) socket.send(new Uint8Array(0), 0, 0, at(address), port)
  }
  await sim.run(seconds(1))
  t.same(
    Object.fromEntries(Object.entries(heard).map(([name, lines]) => [name, lines.map((line) => line.split(' ')[2])])),
    {
      dual: ['fd00::2:', '10.0.0.2:'],
      six: ['fd00::2:'],
      four: ['10.0.0.2:'],
      every: ['fd00::2:', '10.0.0.2:'],
    },
  )
  const opened = async (listen: { address: string; ipv6Only?: boolean }): Promise<string[]> => {
    const listener = b.top.stream.listen(
      { ...listen, address: at(listen.address), port: 80 },
      { acceptable: (l) => void l.accept() },
    )
    const near = ['fd00::2', '10.0.0.2'].map((address) => a.top.stream.connect({ address: at(address), port: 80 }, {}))
    await sim.run(seconds(1))
    listener.close()
    return near.map(({ state }) => state)
  }
  t.same(await opened({ address: '::' }), ['ESTABLISHED', 'ESTABLISHED'])
  t.same(await opened({ address: '::', ipv6Only: true }), ['ESTABLISHED', 'CLOSED'])
  t.same(await opened({ address: '0.0.0.0' }), ['CLOSED', 'ESTABLISHED'])
  t.same(await opened({ address: 'fd00::2' }), ['ESTABLISHED', 'CLOSED'])
  await sim.close()
  t.equal(packetsInUse(), 0)
})

t.test('two sockets share a port where they share no address', async (t) => {
  const { sim, b } = await pair()
  const bounds = [
    ['::', false],
    ['::', true],
    ['0.0.0.0', false],
    ['10.0.0.2', false],
    ['fd00::2', false],
    ['::1', false],
  ] as const
  // As Linux has it, by the columns and rows above; x: EADDRINUSE.
  const expected = ['xxxxxx', 'xx..xx', 'x.xx..', 'x.xx..', 'xx..x.', 'xx...x']
  for (const transport of ['stream', 'datagram'] as const) {
    const table = bounds.map((first) =>
      bounds
        .map((second) => {
          const open = ([address, ipv6Only]: (typeof bounds)[number]) => {
            const request = { address: at(address), port: 80, ipv6Only }
            return transport === 'stream'
              ? b.top.stream.listen(request, { acceptable: () => {} })
              : b.top.datagram.bind(request, {})
          }
          const one = open(first)
          try {
            open(second).close()
            return '.'
          } catch (error) {
            return (error as { code: string }).code === 'EADDRINUSE' ? 'x' : '?'
          } finally {
            one.close()
          }
        })
        .join(''),
    )
    t.same(table, expected, transport)
  }
  await sim.close()
})

function ask(host: Host, request: EchoRequest): EchoReply[] {
  const replies: EchoReply[] = []
  host.top.icmp.echo(request, (reply) => void replies.push(reply))
  return replies
}

t.test('echo over IPv6', async (t) => {
  const { sim, a, b } = await pair({ delay: ms(5) })
  ask(a, { address: at('fd00::2') })
  await sim.run(seconds(1))
  for (const size of [0, 1, 56, 1452, 1453, 65_507]) {
    const replies = ask(a, { address: at('fd00::2'), size })
    await sim.run(seconds(1))
    t.same(replies, [{ address: 'fd00::2', outcome: 'reply', octets: size, ttl: 64, roundTrip: ms(10) }])
  }
  t.equal(
    codeOf(() => ask(a, { address: at('fd00::2'), size: 1453, dontFragment: true })),
    'EMSGSIZE',
  )
  t.equal(
    codeOf(() => ask(a, { address: at('fe80::1'), link: 'eth9' })),
    'ENODEV',
  )
  const near = ask(a, { address: at(linkLocalOf(b)), link: 'eth0' })
  const own = ask(a, { address: at('::1') })
  const group = ask(a, { address: at('ff02::1'), link: 'eth0' })
  const absent = ask(a, { address: at('fd00::9') })
  await sim.run(seconds(10))
  t.match(near, [{ address: `${linkLocalOf(b)}%eth0`, outcome: 'reply' }])
  t.match(own, [{ address: '::1', outcome: 'reply' }])
  t.match(group, [{ outcome: 'reply' }], 'a group answers by its members')
  t.match(absent, [{ outcome: 'hostUnreachable' }])
  await sim.close()
  t.equal(packetsInUse(), 0)
})

t.test('a node without IPv6 says so', async (t) => {
  const sim = new Simulation()
  const [end] = cable()
  const node = sim.boot('A', stack(end, ethernet(), ip(ipv4({ address: '10.0.0.1/24' })), sockets(tcp(), udp())))
  t.equal(node.top.ipv6, false)
  t.equal(
    codeOf(() => node.top.stream.listen({ address: at('::'), port: 0, ipv6Only: true }, { acceptable: () => {} })),
    'nothing',
  )
  t.equal(
    codeOf(() => node.top.stream.connect({ address: at('fd00::1'), port: 80 }, {})),
    'ENETUNREACH',
  )
  await sim.close()
})

t.test('a datagram over IPv6 has a checksum, and a right one (RFC 8200 §8.1)', async (t) => {
  const [source, destination] = [at('fd00::1'), at('fd00::2')]
  const packet = Packet.take(0, 16)
  write(packet, 7, 9, Uint8Array.of(1, 2, 3), 0, 3)
  t.equal(fault(packet, source, destination), 'noChecksum')
  t.equal(fault(packet, at('10.0.0.1'), at('10.0.0.2')), undefined, 'over IPv4 it may have none')
  finishChecksum(packet, source, destination)
  t.equal(fault(packet, source, destination), undefined)
  t.equal(fault(packet, source, at('fd00::3')), 'badChecksum', 'it covers the addresses')
  packet.release()
})
