/** Rules that are exchanged while packets flow: policy, translation and routes of groups, on virtual time. */
import t from 'tap'
import { ethernet } from '../../../layers/datalink/ethernet/ethernet.ts'
import { FamilyRules } from '../../../layers/network/family-rules.ts'
import { ip } from '../../../layers/network/ip.ts'
import { type Ipv4Options, ipv4 } from '../../../layers/network/ipv4/ipv4.ts'
import { ipv6 } from '../../../layers/network/ipv6/ipv6.ts'
import { type GroupPort, groupRoutesOf } from '../../../layers/network/membership/group-routes.ts'
import { Groups } from '../../../layers/network/membership/groups.ts'
import { cable } from '../../../layers/physical/cable.ts'
import { sockets } from '../../../layers/transport/sockets.ts'
import { tcp } from '../../../layers/transport/tcp/tcp.ts'
import { udp } from '../../../layers/transport/udp/udp.ts'
import { seconds } from '../../../src/kernel/clock.ts'
import { packetsInUse, poisonReleased } from '../../../src/kernel/packet.ts'
import { beside, stack } from '../../../src/kernel/stack.ts'
import { Simulation } from '../../../src/runtime/simulation.ts'

poisonReleased(true)

/** A host inside, 192.168.0.2, a router, and a server outside, 203.0.113.2, which echoes on UDP 53 and TCP 80. */
function world(options: Omit<Ipv4Options, 'addresses' | 'forwarding'> = {}) {
  const sim = new Simulation({ seed: 3 })
  const [l, w] = [cable(), cable()]
  const host = (name: string, end: (typeof l)[1], address: string, gateway: string) =>
    sim.boot(name, stack(end, ethernet(), ip(ipv4({ address, gateway })), sockets(tcp(), udp())))
  const inside = host('A', l[1], '192.168.0.2/24', '192.168.0.1')
  const outside = host('S', w[1], '203.0.113.2/24', '203.0.113.1')
  const addresses = { lan: '192.168.0.1/24', wan: '203.0.113.1/24' }
  const router = sim.boot(
    'R',
    stack(
      beside({ lan: stack(l[0], ethernet()), wan: stack(w[0], ethernet()) }),
      ip(ipv4({ ...options, addresses, forwarding: true }), ipv6({ forwarding: true })),
    ),
  )
  const { control } = router.top
  const rules = control
  const echo = outside.dgram.createSocket('udp4').bind(53)
  const asked: string[] = []
  echo.on('message', (message, from) => {
    asked.push(`${from.address}:${from.port}`)
    echo.send(message, from.port, from.address)
  })
  return { sim, inside, outside, router, rules, control, asked }
}

/** A socket that counts what comes back. */
function asker({ inside, sim }: ReturnType<typeof world>, port: number) {
  const socket = inside.dgram.createSocket('udp4').bind(port)
  let got = 0
  socket.on('message', () => got++)
  return async () => {
    const before = got
    socket.send('?', 53, '203.0.113.2')
    await sim.run(seconds(1))
    return got - before === 1
  }
}

const drops = ({ router }: ReturnType<typeof world>): Record<string, number> =>
  Object.fromEntries([...router.top.boundary.drops].filter(([, count]) => count > 0))

t.test('a policy is exchanged, and what stays the same in it goes on counting', async (t) => {
  const on = world()
  const { rules, control } = on
  const asks = asker(on, 5000)
  const packets = () => control.policy().flatMap((c) => (c.family === 'ipv4' ? [`${c.name} ${c.packets}`] : []))
  t.ok(await asks(), 'without a policy all may pass')
  t.same(control.policy(), [])
  rules.setPolicy({ rules: [{ name: 'dns', destinationPort: 53, action: 'allow' }], default: 'allow' })
  t.ok(await asks())
  t.same(packets(), ['dns 1', 'default 1'])
  rules.setPolicy({
    rules: [
      { name: 'first', protocol: 'tcp', action: 'deny' },
      { action: 'allow', destinationPort: 53, name: 'dns', in: undefined },
    ],
    default: 'allow',
  })
  t.ok(await asks())
  t.same(packets(), ['first 0', 'dns 2', 'default 2'], 'in another place, and written in another order')
  rules.setPolicy({ rules: [{ name: 'dns', destinationPort: 53, action: 'deny' }], default: 'deny' })
  t.notOk(await asks())
  t.same(packets(), ['dns 1', 'default 0'], 'another rule of the same name begins anew, and another default')
  t.match(drops(on), { policyDenied: 1 })
  for (const wrong of [{ rules: [{ action: 'allow', protocol: 'gre' }] }, { rules: 7 }]) {
    t.throws(() => rules.setPolicy(wrong as never), { code: /ERR_INVALID/ })
  }
  t.notOk(await asks(), 'a wrong one changes nothing')
  t.same(packets(), ['dns 2', 'default 0'])
  t.same(
    control.policy().map(({ family }) => family),
    ['ipv4', 'ipv4', 'ipv6', 'ipv6'],
    'both families have it',
  )
  rules.setPolicy(null)
  t.ok(await asks())
  t.same(control.policy(), [])
})

t.test('a policy by links holds for links that come later', async (t) => {
  const on = world()
  const { sim, router, rules } = on
  rules.setPolicy({ rules: [{ in: 'late', out: 'wan', action: 'deny' }] })
  const [near, far] = cable()
  const part = await router.attach('late', stack(near, ethernet()))
  router.top.attach('late', part.top)
  on.control.addAddress('late', '10.0.0.1/24')
  const inside = sim.boot(
    'B',
    stack(far, ethernet(), ip(ipv4({ address: '10.0.0.2/24', gateway: '10.0.0.1' })), sockets(tcp(), udp())),
  )
  const asks = asker({ ...on, inside }, 5000)
  t.notOk(await asks())
  t.ok(await asker(on, 5000)(), 'others may')
  rules.setPolicy(null)
  t.ok(await asks())
})

t.test('sessions of translation outlive another policy, and other settings that allow them', async (t) => {
  const on = world({ nat: { link: 'wan', inside: ['192.168.0.0/24'] } })
  const { rules, control, inside, outside, sim } = on
  const asks = asker(on, 5000)
  t.ok(await asks())
  const server = outside.net.createServer((socket) => socket.on('data', (data) => socket.write(data))).listen(80)
  let echoed = ''
  const client = inside.net.connect(80, '203.0.113.2').on('data', (data: Buffer) => (echoed += data))
  client.write('one ')
  await sim.run(seconds(1))
  const sessions = control.translationSessions(10)
  t.match(sessions.map(({ protocol, remote }) => `${protocol} ${remote}`).sort(), [
    'tcp 203.0.113.2:80',
    'udp 203.0.113.2:53',
  ])
  t.match(control.translation(), {
    link: 'wan',
    address: '203.0.113.1',
    ports: 2,
    sessions: { tcp: 1, udp: 1, icmp: 0 },
  })
  t.equal(control.translationSessions(1).length, 1)
  t.same(control.translationSessions(10, '203.0.113.9'), [])
  t.equal(control.translationSessions(10, '192.168.0.2').length, 2)
  const udpSession = sessions.find(({ protocol }) => protocol === 'udp')
  t.equal(udpSession?.inside, '192.168.0.2:5000')
  t.ok((udpSession?.endsIn ?? 0) > seconds(297) && (udpSession?.endsIn ?? 0) <= seconds(300))

  rules.setPolicy({
    rules: [
      { answer: true, action: 'allow' },
      { in: 'lan', action: 'allow' },
    ],
    default: 'deny',
  })
  client.write('two ')
  await sim.run(seconds(1))
  t.equal(echoed, 'one two ')
  t.equal(control.translationSessions(10).length, 2)

  rules.setPolicy(null)
  const forwards = [{ protocol: 'tcp' as const, port: 8080, to: '192.168.0.2:22' }]
  rules.setTranslation({ link: 'wan', inside: ['192.168.0.0/16'], maxSessions: 70, forwards })
  t.match(control.translation(), { ports: 3, maxSessions: 70, address: '203.0.113.1' })
  client.write('three ')
  await sim.run(seconds(1))
  t.equal(echoed, 'one two three ', 'a connection goes on')
  t.ok(await asks())
  t.throws(() => rules.setTranslation({ link: '' }), { code: 'ERR_INVALID_ARG_VALUE' })
  t.equal(control.translation()?.ports, 3, 'a wrong one changes nothing')
  rules.setTranslation({ link: 'wan', inside: ['10.0.0.0/8'] })
  t.equal(control.translation()?.ports, 0, 'who is not inside any more is forgotten')
  rules.setTranslation({ link: 'wan' })
  t.ok(await asks())
  rules.setTranslation({ link: 'lan' })
  t.match(control.translation(), { ports: 0, address: '192.168.0.1' })
  rules.setTranslation(null)
  t.equal(control.translation(), undefined)
  on.asked.length = 0
  t.ok(await asks())
  t.same(on.asked, ['192.168.0.2:5000'], 'its own address is seen outside')
  client.destroy()
  server.close()
  await sim.run(seconds(400))
  await sim.close()
  t.equal(packetsInUse(), 0)
  t.equal(sim.timers.size, 0, 'no timer is left of a translation that ended')
})

t.test('translation is for nodes that forward IPv4', async (t) => {
  const sim = new Simulation({ seed: 1 })
  const [end] = cable()
  const node = sim.boot('H', stack(end, ethernet(), ip(ipv4({ address: '10.0.0.1/24' }))))
  t.throws(() => node.top.control.setTranslation({ link: 'eth0' }), {
    code: 'ERR_INVALID_ARG_VALUE',
    message: /forwards/,
  })
  t.doesNotThrow(() => node.top.control.setTranslation(null))
  t.throws(() => node.top.control.setGroups([{ group: 'ff15::1', from: 'a', to: ['b'] }]), /family/)
})

t.test('groups are sent on as far as the policy lets them', async (t) => {
  const sim = new Simulation({ seed: 4 })
  const ends = [cable(), cable(), cable()] as const
  const [from, a, b] = ends.map(([, end]) => end)
  const links = Object.fromEntries(
    ['from', 'a', 'b'].map((name, i) => [name, stack((ends[i] ?? ends[0])[0], ethernet())]),
  )
  const router = sim.boot(
    'R',
    stack(
      beside(links),
      ip(
        ipv4({ forwarding: true, addresses: { from: '10.0.0.254/24', a: '10.1.0.254/24', b: '10.2.0.254/24' } }),
        ipv6({ forwarding: true, addresses: { from: 'fd00::fe/64', a: 'fd01::fe/64', b: 'fd02::fe/64' } }),
      ),
    ),
  )
  const rules = router.top.control
  rules.setGroups(['239.1.2.3', 'ff15::7'].map((group) => ({ group, from: 'from', to: ['a', 'b'] })))
  const [sender, ...hosts] = [from, a, b].map((end, n) =>
    sim.boot(
      `H${n}`,
      stack(
        end ?? ends[0][1],
        ethernet(),
        ip(ipv4({ address: `10.${n}.0.1/24` }), ipv6({ address: `fd0${n}::1/64` })),
        sockets(tcp(), udp()),
      ),
    ),
  )
  await sim.run(seconds(4))
  for (const [type, group, port] of [
    ['udp4', '239.1.2.3', 5004],
    ['udp6', 'ff15::7', 5006],
  ] as const) {
    const got: string[] = []
    for (const [i, host] of hosts.entries()) {
      const socket = host.dgram.createSocket(type).bind(port)
      await sim.run(1)
      socket.addMembership(group)
      socket.on('message', () => got.push('ab'[i] ?? ''))
    }
    const sent = sender?.dgram.createSocket(type).bind(port)
    await sim.run(1)
    sent?.setMulticastTTL(5)
    const sends = async () => {
      got.length = 0
      sent?.send('x', port, group)
      await sim.run(seconds(1))
      return got.join('')
    }
    rules.setPolicy(null)
    t.equal(await sends(), 'ab', type)
    rules.setPolicy({ rules: [{ in: 'from', out: 'b', destination: group, action: 'deny' }] })
    t.equal(await sends(), 'a', type)
    rules.setPolicy({ rules: [{ hook: 'forward', action: 'rewrite', rewrite: { dscp: 10 } }], default: 'allow' })
    t.equal(await sends(), 'ab', 'rewritten, with a right checksum')
    rules.setPolicy({ rules: [], default: 'deny' })
    t.equal(await sends(), '', type)
  }
})

t.test('groups that are routed before and after are not left meanwhile', async (t) => {
  const port = (index: number, name: string): GroupPort => ({
    port: { index, name } as GroupPort['port'],
    groups: new Groups(),
  })
  const ports: (GroupPort | undefined)[] = [undefined, port(1, 'wan'), port(2, 'lan')]
  const rules = new FamilyRules(true, null, ports, () => null)
  const told: string[] = []
  ports[1]?.groups.report((group, { mode, sources }) => told.push(`${group} ${mode} ${sources.length}`))
  const routes = (...groups: string[]) =>
    groupRoutesOf(
      groups.map((group) => ({ group, from: 'wan', to: ['lan'] })),
      () => true,
    )
  rules.setGroups(routes('239.0.0.1', '239.0.0.2'))
  t.same(told.splice(0), ['239.0.0.1 exclude 0', '239.0.0.2 exclude 0'])
  const [first, second] = routes('239.0.0.1', '239.0.0.2').map(({ group }) => group.address)
  if (first === undefined || second === undefined) throw new Error('no groups')
  t.same(rules.groups?.onwards(first, first, 1), [2])
  rules.setGroups(routes('239.0.0.3', '239.0.0.1'))
  t.same(told.splice(0), ['239.0.0.3 exclude 0', '239.0.0.2 include 0'], 'one is joined, one is left, one stays')
  t.same(rules.groups?.onwards(second, second, 1), [])
  t.same(
    rules.groupCounts().map(({ group, packets }) => `${group} ${packets}`),
    ['239.0.0.3 0', '239.0.0.1 1'],
  )

  ports[1] = undefined
  rules.bind()
  t.same(told.splice(0), ['239.0.0.3 include 0', '239.0.0.1 include 0'], 'left on a link that goes')
  ports[3] = port(3, 'wan')
  ports[3].groups.report((group) => told.push(`again ${group}`))
  rules.bind()
  rules.bind()
  t.same(told.splice(0), ['again 239.0.0.3', 'again 239.0.0.1'], 'joined on a link that comes, once')
  t.same(rules.groups?.onwards(first, first, 3), [2])
  rules.setGroups([])
  t.same(told.splice(0), ['again 239.0.0.3', 'again 239.0.0.1'], 'and left at the end')
  t.equal(rules.groups, null)
})
