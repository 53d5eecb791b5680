/** Babel on booted nodes: over sockets of ours, on virtual time, and what comes of it in their routing tables. */
import t from 'tap'
import {
  type BabelOptions,
  babel,
  beside,
  type CableEnd,
  cable,
  ethernet,
  type HubPort,
  hub,
  ip,
  ipv4,
  ipv6,
  ms,
  Simulation,
  seconds,
  sockets,
  stack,
  tcp,
  udp,
} from '../../../../../src/index.ts'
import { IpAddress, parseAddress } from '../../../../../src/kernel/address.ts'

const KEY = { algorithm: 'hmac-sha256', key: new Uint8Array(32).fill(7) } as const

function router(
  sim: Simulation,
  name: string,
  links: Record<string, CableEnd<'ethernet'>>,
  number: number,
  addresses: Record<string, string>,
  options: Partial<BabelOptions> = {},
) {
  const stacked = Object.fromEntries(Object.entries(links).map(([link, end]) => [link, stack(end, ethernet())]))
  return sim.boot(
    name,
    stack(
      beside(stacked),
      ip(ipv4({ addresses, forwarding: true }), ipv6({ forwarding: true })),
      sockets(tcp(), udp()),
      babel({
        interfaces: Object.fromEntries(Object.keys(links).map((link) => [link, { keys: [KEY] }])),
        announce: [`10.99.${number}.0/24`, `fd00:${number}::/64`],
        ...options,
      }),
    ),
  )
}

/** A ── B ── C */
function chain(sim: Simulation) {
  const [ab, ba] = cable({ medium: 'ethernet', delay: ms(1) })
  const [bc, cb] = cable({ medium: 'ethernet', delay: ms(1) })
  const a = router(sim, 'A', { toB: ab }, 1, { toB: '10.0.1.1/24' })
  const b = router(sim, 'B', { toA: ba, toC: bc }, 2, { toA: '10.0.1.2/24', toC: '10.0.2.2/24' })
  const c = router(
    sim,
    'C',
    { toB: cb },
    3,
    { toB: '10.0.2.3/24' },
    {
      redistribute: [{ origin: 'static', prefix: '10.50.0.0/16', action: 'allow', metric: 5 }],
    },
  )
  return { a, b, c }
}

t.test('routes of both families are learnt, given to the node, and taken back', async (t) => {
  const sim = new Simulation({ seed: 3 })
  const { a, b, c } = chain(sim)
  await sim.run(seconds(20))
  const way = (destination: string) => a.top.network.routes.lookup(destination)
  t.match(way('10.99.3.1'), { prefix: '10.99.3.0/24', via: '10.0.1.2', link: 'toB', origin: 'babel' })
  t.match(way('fd00:3::1'), { prefix: 'fd00:3::/64', via: /^fe80::/, link: 'toB', origin: 'babel' })
  t.match(b.top.babel.neighbours(), [
    { link: 'toA', cost: 96 },
    { link: 'toC', cost: 96 },
  ])
  t.match(
    a.top.babel.routes().find(({ prefix }) => prefix === '10.99.3.0/24'),
    { metric: 192, refmetric: 96, routerId: c.top.babel.routerId, selected: true, feasible: true },
  )
  const [toB] = a.top.babel.traffic()
  const [toA] = b.top.babel.traffic()
  t.match(toB, { link: 'toB', rxPackets: toA?.txPackets, rxOctets: toA?.txOctets, txOctets: toA?.rxOctets })
  t.ok((toA?.txPackets ?? 0) >= 5 && (toA?.txOctets ?? 0) >= 5 * 12, 'hellos every four seconds at least')
  c.top.network.routes.add({ prefix: '10.50.1.0/24', via: '10.0.2.2', origin: 'static' })
  await sim.run(seconds(3))
  t.match(way('10.50.1.1'), { origin: 'babel', via: '10.0.1.2' }, 'what C was given by hand is announced')
  c.top.network.routes.remove({ prefix: '10.50.1.0/24', origin: 'static' })
  await sim.run(seconds(3))
  t.equal(way('10.50.1.1')?.action, 'unreachable', 'and held as unreachable when it is gone')
  await c.close()
  await sim.run(seconds(2))
  t.equal(way('10.99.3.1')?.action, 'unreachable', 'C has taken leave: nobody waits for its hellos')
  await sim.close()
})

t.test('leave is taken: who is on a link that stays up hears of it, and routes go before links', async (t) => {
  const sim = new Simulation({ seed: 7 })
  const [one, other] = hub(2)
  const boot = (port: HubPort, number: number) =>
    sim.boot(
      `R${number}`,
      stack(
        port,
        ethernet(),
        ip(ipv4({ address: `10.0.0.${number}/24`, forwarding: true }), ipv6({ forwarding: true })),
        sockets(tcp(), udp()),
        babel({ interfaces: { eth0: {} }, announce: [`10.99.${number}.0/24`] }),
      ),
    )
  const [a, b] = [boot(one, 1), boot(other, 2)]
  await sim.run(seconds(10))
  const learnt = () => b.top.network.routes.list().filter(({ origin }) => origin === 'babel')
  t.equal(learnt().length, 1)
  t.match(a.top.network.routes.lookup('10.99.2.1'), { via: '10.0.0.2' })
  const stranger = a.top.datagram.bind({ address: new IpAddress(0, 0, 0, 0), port: 7000, link: 'eth0' }, {})
  stranger.send(Uint8Array.of(42, 2, 0, 0), 0, 4, parseAddress('ff02::1:6'), 6696, 'eth0')
  await sim.run(ms(100))
  t.equal(b.top.babel.drops.get('wrongPort'), 1)
  const closing = b.close()
  t.equal(learnt().length, 0)
  await closing
  await sim.run(ms(100))
  t.equal(a.top.network.routes.lookup('10.99.2.1')?.action, 'unreachable')
  await sim.close()
})

t.test('IPv4 goes over links that have no addresses of it', async (t) => {
  const sim = new Simulation({ seed: 5 })
  const [ab, ba] = cable({ medium: 'ethernet', delay: ms(1) })
  const [bc, cb] = cable({ medium: 'ethernet', delay: ms(1) })
  const [inA] = cable({ medium: 'ethernet' })
  const [inC] = cable({ medium: 'ethernet' })
  const a = router(sim, 'A', { toB: ab, inside: inA }, 1, { inside: '10.99.1.1/24' })
  const b = router(sim, 'B', { toA: ba, toC: bc }, 2, {})
  const c = router(sim, 'C', { toB: cb, inside: inC }, 3, { inside: '10.99.3.1/24' })
  await sim.run(seconds(20))
  t.match(a.top.network.routes.lookup('10.99.3.1'), { via: /^fe80::/, link: 'toB', origin: 'babel' })
  t.match(c.top.network.routes.lookup('10.99.1.1'), { via: /^fe80::/, link: 'toB', origin: 'babel' })
  const ping = a.icmp.ping('10.99.3.1')
  await sim.run(seconds(1))
  t.equal((await ping).ttl, 63, 'by a router without any IPv4 address')
  t.notOk(b.top.babel.drops.has('routeRefused'))
  await sim.close()
})

t.test('a node without IPv4 takes none of its routes, and passes none on', async (t) => {
  const sim = new Simulation({ seed: 6 })
  const [ab, ba] = cable({ medium: 'ethernet', delay: ms(1) })
  const [bc, cb] = cable({ medium: 'ethernet', delay: ms(1) })
  router(sim, 'A', { toB: ab }, 1, {})
  const b = sim.boot(
    'B',
    stack(
      beside({ toA: stack(ba, ethernet()), toC: stack(bc, ethernet()) }),
      ip(ipv6({ forwarding: true })),
      sockets(tcp(), udp()),
      babel({ interfaces: { toA: { keys: [KEY] }, toC: { keys: [KEY] } } }),
    ),
  )
  const c = router(sim, 'C', { toB: cb }, 3, {})
  await sim.run(seconds(20))
  t.match(c.top.network.routes.lookup('fd00:1::1'), { origin: 'babel' })
  t.equal(c.top.network.routes.lookup('10.99.1.1'), undefined)
  t.ok((b.top.babel.drops.get('filtered') ?? 0) > 0)
  await sim.close()
})

t.test('keys are exchanged while it runs, and are those of a link that comes again', async (t) => {
  const sim = new Simulation({ seed: 3 })
  const { a, b } = chain(sim)
  const [babelA, babelB] = [a.top.babel, b.top.babel]
  await sim.run(seconds(20))
  const next = { ...KEY, key: new Uint8Array(32).fill(8) }
  let gaps = 0
  a.top.network.routes.follow((prefix) => {
    if (prefix === '10.99.3.0/24') gaps++
  })
  const announced = (number: number) => ({ announce: [`10.99.${number}.0/24`, `fd00:${number}::/64`] })
  for (const keys of [[KEY, next], [next]]) {
    babelA.reconfigure({ interfaces: { toB: { keys } }, ...announced(1) })
    babelB.reconfigure({ interfaces: { toA: { keys }, toC: { keys: [KEY] } }, ...announced(2) })
    await sim.run(seconds(30))
  }
  t.equal(gaps, 0, 'no way was gone meanwhile')
  t.notOk(babelA.drops.has('wrongMac') || babelB.drops.has('wrongMac'))
  a.top.network.addAddress('toB', '10.0.9.1/24')
  await sim.run(seconds(30))
  t.match(a.top.network.routes.lookup('10.99.3.1'), { origin: 'babel', action: 'forward' })
  t.notOk(babelB.drops.has('wrongMac'), 'with another address it speaks anew, with the keys of now')
  t.same(
    b.top.babel
      .neighbours()
      .map(({ link }) => link)
      .sort(),
    ['toA', 'toC'],
    'and the other link has its own',
  )
  await sim.close()
})

t.test('options that make no sense', async (t) => {
  const throws = (options: Partial<BabelOptions>, code: string) =>
    t.throws(() => babel({ interfaces: {}, ...options }), { code })
  throws({ interfaces: { eth0: { rxcost: 0 } } }, 'ERR_OUT_OF_RANGE')
  throws({ interfaces: { eth0: { helloInterval: 1 } } }, 'ERR_OUT_OF_RANGE')
  throws({ interfaces: { eth0: { unicastHelloInterval: 0 } } }, 'ERR_OUT_OF_RANGE')
  throws({ interfaces: { eth0: { type: 'other' as never } } }, 'ERR_INVALID_ARG_VALUE')
  throws(
    { keys: [{ algorithm: 'blake2s', key: new Uint8Array(33) }], interfaces: { eth0: {} } },
    'ERR_INVALID_ARG_VALUE',
  )
  throws({ metric: -1 }, 'ERR_OUT_OF_RANGE')
  throws({ redistribute: [{ prefix: '10/8', action: 'allow' }] }, 'ERR_INVALID_ARG_VALUE')
})
