/** RIP on booted nodes: over sockets of ours, on virtual time, and what comes of it in their routing tables. */
import t from 'tap'
import {
  beside,
  type CableEnd,
  cable,
  ethernet,
  IpAddress,
  ip,
  ipv4,
  ipv6,
  type LinkService,
  ms,
  type NetworkService,
  type RipOptions,
  rip,
  Simulation,
  seconds,
  sockets,
  stack,
  tcp,
  udp,
} from '../../../../../src/index.ts'

function router(
  sim: Simulation,
  name: string,
  links: Record<string, CableEnd<'ethernet'>>,
  number: number,
  addresses: Record<string, string>,
  options: Partial<RipOptions> = {},
) {
  const stacked = Object.fromEntries(Object.entries(links).map(([link, end]) => [link, stack(end, ethernet())]))
  return sim.boot(
    name,
    stack(
      beside(stacked),
      ip(ipv4({ addresses, forwarding: true }), ipv6({ forwarding: true })),
      sockets(tcp(), udp()),
      rip({
        interfaces: Object.fromEntries(Object.keys(links).map((link) => [link, {}])),
        announce: [`10.99.${number}.0/24`, `fd00:${number}::/64`],
        ...options,
      }),
    ),
  )
}

t.test('A ── B ── C: routes of both families are learnt, given to the node, and taken back', async (t) => {
  const sim = new Simulation({ seed: 3 })
  const [ab, ba] = cable({ medium: 'ethernet', delay: ms(1) })
  const [bc, cb] = cable({ medium: 'ethernet', delay: ms(1) })
  const a = router(sim, 'A', { toB: ab }, 1, { toB: '10.0.1.1/24' })
  const b = router(sim, 'B', { toA: ba, toC: bc }, 2, { toA: '10.0.1.2/24', toC: '10.0.2.2/24' })
  const redistribute = [{ origin: 'static', prefix: '10.50.0.0/16', action: 'allow', metric: 5 }] as const
  const c = router(sim, 'C', { toB: cb }, 3, { toB: '10.0.2.3/24' }, { redistribute })
  await sim.run(seconds(4))
  t.match(
    a.top.network.routes.lookup('fd00:2::1'),
    { via: /^fe80::/ },
    'said as soon as link-local addresses are usable',
  )
  t.match(b.top.network.routes.lookup('fd00:3::1'), { via: /^fe80::/ })
  await sim.run(seconds(16))
  const way = (destination: string) => a.top.network.routes.lookup(destination)
  t.match(way('10.99.3.1'), { prefix: '10.99.3.0/24', via: '10.0.1.2', link: 'toB', origin: 'rip', metric: 2048 })
  t.match(way('fd00:3::1'), { prefix: 'fd00:3::/64', via: /^fe80::/, link: 'toB', origin: 'rip' })
  t.match(
    a.top.rip.routes().filter(({ prefix }) => prefix.startsWith('10.')),
    [
      { prefix: '10.99.1.0/24', via: undefined, link: undefined, metric: 1 },
      { prefix: '10.99.2.0/24', via: '10.0.1.2', link: 'toB', metric: 2 },
      { prefix: '10.99.3.0/24', via: '10.0.1.2', link: 'toB', metric: 3 },
    ],
  )
  const from = { version: 'rip2', link: 'toC', address: '10.0.2.3', routes: 1 }
  const heard = b.top.rip.neighbours()
  t.match(
    heard.map(({ version, link }) => `${version} ${link}`),
    ['rip2 toA', 'rip2 toC', 'ripng toA', 'ripng toC'],
  )
  t.match(heard[1], from)
  t.ok(heard.every(({ age }) => age > 0 && age <= seconds(20)))
  const [toB] = a.top.rip.traffic('rip2')
  const [toA] = b.top.rip.traffic('rip2')
  t.match(toB, { link: 'toB', rxPackets: toA?.txPackets, rxOctets: toA?.txOctets, txOctets: toA?.rxOctets })
  t.ok(
    (toA?.txPackets ?? 0) >= 3 && (toA?.txOctets ?? 0) >= 3 * 24,
    'a request, an update and a triggered one at least',
  )
  c.top.network.routes.add({ prefix: '10.50.1.0/24', via: '10.0.2.2', origin: 'static' })
  await sim.run(seconds(12))
  t.match(way('10.50.1.1'), { origin: 'rip', via: '10.0.1.2' }, 'what C was given by hand is announced')
  t.equal(a.top.rip.routes().find(({ prefix }) => prefix === '10.50.1.0/24')?.metric, 8)
  c.top.network.routes.remove({ prefix: '10.50.1.0/24', origin: 'static' })
  await sim.run(seconds(12))
  t.equal(way('10.50.1.1'), undefined)
  await c.close()
  await sim.run(seconds(6))
  t.equal(way('10.99.3.1'), undefined, 'C has taken leave: nobody waits for its silence')
  t.equal(way('fd00:3::1'), undefined)
  t.match(way('10.99.2.1'), { origin: 'rip' })
  await sim.run(seconds(180))
  t.same(
    b.top.rip.neighbours().map(({ link }) => link),
    ['toA', 'toA'],
    'one that says nothing is no neighbour any more',
  )
  for (const version of ['rip2', 'ripng'] as const) {
    const reasons = [...b.top.rip.drops(version).keys()]
    t.ok(
      reasons.every((reason) => reason === 'unsent'),
      'nothing was refused; to C nothing could be said at last',
    )
  }
  const own = b.top.network.routes
  await b.close()
  t.equal(own.list().filter(({ origin }) => origin === 'rip').length, 0, 'the routes of a node that closes are gone')
  await sim.close()
})

t.test('a node without IPv6 speaks RIPv2 alone', async (t) => {
  const sim = new Simulation({ seed: 4 })
  const [end] = cable({ medium: 'ethernet' })
  const addresses = { eth0: '10.0.0.1/24' }
  const node = sim.boot(
    'A',
    stack(
      beside({ eth0: stack(end, ethernet()) }),
      ip(ipv4({ addresses })),
      sockets(tcp(), udp()),
      rip({ interfaces: { eth0: {} }, announce: ['10.1.0.0/16', 'fd00::/64'] }),
    ),
  )
  t.match(node.top.rip.routes(), [{ version: 'rip2', prefix: '10.1.0.0/16' }])
  t.equal(node.top.rip.drops('ripng').size, 0)
  await sim.close()
})

t.test('options that make no sense', async (t) => {
  const throws = (options: Partial<RipOptions>, code: string) =>
    t.throws(() => rip({ interfaces: {}, ...options }), { code })
  throws({ interfaces: { eth0: { cost: 16 } } }, 'ERR_OUT_OF_RANGE')
  throws({ updateInterval: 1 }, 'ERR_OUT_OF_RANGE')
  throws({ timeout: 1 }, 'ERR_OUT_OF_RANGE')
  throws({ garbage: 1 }, 'ERR_OUT_OF_RANGE')
  throws({ versions: ['rip1' as never] }, 'ERR_INVALID_ARG_VALUE')
  throws({ metric: -1 }, 'ERR_OUT_OF_RANGE')
  throws({ announce: ['10/8'] }, 'ERR_INVALID_ARG_VALUE')
  throws({ redistribute: [{ action: 'allow', metric: 16 }] }, 'ERR_OUT_OF_RANGE')
})

t.test('a port that another socket has on a link', async (t) => {
  const sim = new Simulation({ seed: 9 })
  const [ab] = cable({ medium: 'ethernet', delay: ms(1) })
  const on = { interfaces: { eth0: {} }, announce: ['10.99.0.0/24'] }
  const a = sim.boot('A', stack(ab, ethernet(), ip(ipv4({ forwarding: true })), sockets(tcp(), udp()), rip(on)))
  const { datagram, network } = a.top
  const taken = datagram.bind({ address: IpAddress.ipv4(0), port: 520 }, { message: () => {} })
  network.addAddress('eth0', '10.0.0.1/24')
  await sim.run(seconds(1))
  t.same([...a.top.rip.drops('rip2')], [['portRefused', 1]], 'nothing is spoken there')
  t.equal(a.top.rip.traffic('rip2')[0]?.txPackets, 0)
  a.top.rip.reconfigure({ ...on, metric: 9 })
  t.throws(() => rip(on)(a.top, a.env), { code: 'EADDRINUSE' }, 'and a protocol that begins so does not begin')
  taken.close()
  network.addAddress('eth0', '10.0.1.1/24')
  await sim.run(seconds(1))
  t.ok((a.top.rip.traffic('rip2')[0]?.txPackets ?? 0) > 0, 'once it can be had, it is')
  await a.close()
  t.same([...datagram.list()], [], 'nothing is left behind')
})

t.test('a link that goes and comes again at once has the ways over it again', async (t) => {
  const sim = new Simulation({ seed: 3 })
  const [ab, ba] = cable({ medium: 'ethernet', delay: ms(1) })
  let network: NetworkService | undefined
  let link: LinkService | undefined
  const a = sim.boot('A', (env) => {
    link = ethernet()(ab(env), env)
    network = ip(ipv4({ addresses: { eth0: '10.0.1.1/24' }, forwarding: true }))({ eth0: link }, env)
    return rip({ interfaces: { eth0: {} } })(sockets(tcp(), udp())(network, env), env)
  })
  router(sim, 'B', { eth0: ba }, 2, { eth0: '10.0.1.2/24' })
  await sim.run(seconds(40))
  const way = () => a.top.network.routes.lookup('10.99.2.1')
  t.match(way(), { via: '10.0.1.2', link: 'eth0' })
  network?.detach('eth0')
  t.equal(way(), undefined)
  network?.attach('eth0', link as LinkService)
  await sim.run(seconds(1))
  t.match(way(), { via: '10.0.1.2', link: 'eth0' })
  await sim.run(seconds(400))
  t.match(way(), { via: '10.0.1.2', link: 'eth0' }, 'and its groups, so that routers are heard')
  t.notOk(a.top.rip.drops('rip2').has('routeRefused'))
  await sim.close()
})
