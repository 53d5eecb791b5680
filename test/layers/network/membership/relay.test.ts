/** Groups that a router sends on: 10.1.0.0/24 and fd01::/64 on the left, 10.2 and fd02 in the middle, 10.3 and fd03 on the right. */
import { once } from 'node:events'
import t from 'tap'
import {
  beside,
  cable,
  ethernet,
  type GroupRoute,
  ip,
  ipv4,
  ipv6,
  ms,
  type Node,
  Simulation,
  type Sockets,
  seconds,
  sockets,
  stack,
  tcp,
  udp,
} from '../../../../src/index.ts'
import { packetsInUse, poisonReleased } from '../../../../src/kernel/packet.ts'

poisonReleased(true)

async function routed(groups4: readonly GroupRoute[], groups6: readonly GroupRoute[]) {
  const sim = new Simulation({ seed: 8 })
  const [l, m, r] = [cable(), cable(), cable({ mtu: 1280 })]
  const links = { left: stack(l[0], ethernet()), middle: stack(m[0], ethernet()), right: stack(r[0], ethernet()) }
  const v4 = { left: '10.1.0.254/24', middle: '10.2.0.254/24', right: '10.3.0.254/24' }
  const v6 = { left: 'fd01::fe/64', middle: 'fd02::fe/64', right: 'fd03::fe/64' }
  const router = sim.boot(
    'router',
    stack(
      beside(links),
      ip(
        ipv4({ forwarding: true, addresses: v4, groups: groups4 }),
        ipv6({ forwarding: true, addresses: v6, groups: groups6 }),
      ),
      sockets(tcp(), udp()),
    ),
  )
  const host = (end: (typeof l)[1], n: number) =>
    sim.boot(
      `H${n}`,
      stack(
        end,
        ethernet(),
        ip(
          ipv4({ address: `10.${n}.0.1/24`, gateway: `10.${n}.0.254` }),
          ipv6({ address: `fd0${n}::1/64`, gateway: `fd0${n}::fe` }),
        ),
        sockets(tcp(), udp()),
      ),
    )
  const hosts = [host(l[1], 1), host(m[1], 2), host(r[1], 3)] as const
  await sim.run(seconds(4))
  return { sim, router, hosts }
}

async function listener(node: Node<Sockets>, type: 'udp4' | 'udp6', group: string): Promise<string[]> {
  const got: string[] = []
  const socket = node.dgram.createSocket({ type, reuseAddr: true })
  socket.on('message', (octets, from) => got.push(`${octets.length} ${from.address}`))
  socket.bind(5000)
  await once(socket, 'listening')
  socket.addMembership(group)
  return got
}

for (const [type, group, here] of [
  ['udp4', '239.1.2.3', '224.0.0.77'],
  ['udp6', 'ff15::77', 'ff02::77'],
] as const) {
  const source = type === 'udp4' ? '10.1.0.1' : 'fd01::1'
  const routes: GroupRoute[] = [{ group, from: 'left', to: ['middle', 'right'] }]
  const on = () => (type === 'udp4' ? routed(routes, []) : routed([], routes))

  t.test(`${type}: what comes in by one link goes on by the others, and nowhere else`, async (t) => {
    const { sim, router, hosts } = await on()
    const [a, b, c] = [
      await listener(hosts[0], type, group),
      await listener(hosts[1], type, group),
      await listener(hosts[2], type, group),
    ]
    const own = await listener(router, type, group)
    await sim.run(seconds(1))
    const say = async (node: Node<Sockets>, octets: number, ttl: number, to: string = group) => {
      const socket = node.dgram.createSocket(type)
      socket.bind()
      await once(socket, 'listening')
      socket.setMulticastTTL(ttl)
      socket.setMulticastLoopback(false)
      socket.send(new Uint8Array(octets), 5000, to)
      await sim.run(ms(100))
    }
    await say(hosts[0], 10, 8)
    t.strictSame(
      [a, b, c].map((got) => got.splice(0)),
      [[], [`10 ${source}`], [`10 ${source}`]],
    )
    await say(hosts[0], 11, 1)
    t.strictSame(
      [b, c].map((got) => got.splice(0)),
      [[], []],
      'one that is to go no further does not',
    )
    await say(hosts[1], 12, 8)
    t.strictSame(
      [a, c].map((got) => got.splice(0)),
      [[], []],
      'nor one that comes in by another link',
    )
    const local = await listener(hosts[1], type, here)
    await say(hosts[0], 13, 8, here)
    t.strictSame(local, [], 'nor one to a group of the link')
    await say(hosts[0], 1400, 8)
    t.strictSame(b.splice(0), [`1400 ${source}`])
    t.strictSame(c.splice(0), type === 'udp4' ? [`1400 ${source}`] : [], 'fragments of IPv4 alone are made on the way')
    t.strictSame(
      own.splice(0),
      [10, 11, 1400].map((octets) => `${octets} ${source}`),
      'it is in the group itself, on the left',
    )
    await sim.close()
    t.equal(packetsInUse(), 0)
  })
}

t.test('by prefix and by source; and routers upstream are told of single groups', async (t) => {
  const { sim, router, hosts } = await routed(
    [
      { group: '239.1.0.0/16', source: '10.1.0.1', from: 'left', to: ['middle'] },
      { group: '239.2.2.2', source: '10.1.0.9', from: 'left', to: ['middle'] },
    ],
    [],
  )
  const [first, second] = [await listener(hosts[1], 'udp4', '239.1.9.9'), await listener(hosts[1], 'udp4', '239.2.2.2')]
  const socket = hosts[0].dgram.createSocket('udp4')
  socket.bind()
  await once(socket, 'listening')
  socket.setMulticastTTL(4)
  socket.send('a', 5000, '239.1.9.9')
  socket.send('b', 5000, '239.2.2.2')
  await sim.run(seconds(1))
  t.strictSame([first, second], [['1 10.1.0.1'], []])
  t.equal(router.snapshot().filter(({ drops }) => 'noListener' in drops).length, 0, 'nobody here was to have it')
  await sim.close()
})

t.test('routes that cannot be', async (t) => {
  const route = { group: '239.1.1.1', from: 'a', to: ['b'] }
  for (const groups of [
    [{ ...route, group: '10.0.0.1' }],
    [{ ...route, group: 'ff15::1' }],
    [{ ...route, group: 'x' }],
    [{ ...route, to: [] }],
    [{ ...route, to: ['a'] }],
    [{ ...route, source: 'x' }],
  ]) {
    t.throws(() => ipv4({ forwarding: true, groups }), { code: 'ERR_INVALID_ARG_VALUE' })
  }
  t.throws(() => ipv6({ forwarding: true, groups: [route] }), { code: 'ERR_INVALID_ARG_VALUE' })
})
