/** Babel on nodes that is told something else while it runs, on virtual time: what comes of it in their routing tables. */
import t, { type Test as Tap } from 'tap'
import {
  type BabelOptions,
  babel,
  beside,
  type CableEnd,
  cable,
  ethernet,
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
import { parseAddress } from '../../../../../src/kernel/address.ts'

type Links = Record<string, { end: CableEnd<'ethernet'>; address: string }>

function router(sim: Simulation, name: string, links: Links, options: Partial<BabelOptions> = {}) {
  const entries = Object.entries(links)
  const all = { interfaces: Object.fromEntries(entries.map(([link]) => [link, {}])), ...options }
  const node = sim.boot(
    name,
    stack(
      beside(Object.fromEntries(entries.map(([link, { end }]) => [link, stack(end, ethernet())]))),
      ip(
        ipv4({
          addresses: Object.fromEntries(entries.map(([link, { address }]) => [link, address])),
          forwarding: true,
        }),
        ipv6({ forwarding: true }),
      ),
      sockets(tcp(), udp()),
      babel(all),
    ),
  )
  const { routes } = node.top.network
  const way = (to: string) => routes.lookup(to)
  /** Changes some of its options. */
  let now: BabelOptions = all
  const become = (more: Partial<BabelOptions>): void => {
    const next = { ...now, ...more }
    node.top.babel.reconfigure(next)
    now = next
  }
  return { node, routes, way, become, babel: node.top.babel }
}

const wire = () => cable({ medium: 'ethernet', delay: ms(1) })

/** A ── B ── C, of which A and C announce a prefix each; and B has another link, to D, that it does not speak on. */
async function chain(t: Pick<Tap, 'equal'>) {
  const sim = new Simulation({ seed: 3 })
  const [[ab, ba], [bc, cb], [bd, db]] = [wire(), wire(), wire()]
  const a = router(sim, 'A', { toB: { end: ab, address: '10.0.1.1/24' } }, { announce: ['10.99.1.0/24'] })
  const b = router(
    sim,
    'B',
    {
      toA: { end: ba, address: '10.0.1.2/24' },
      toC: { end: bc, address: '10.0.2.2/24' },
      toD: { end: bd, address: '10.0.3.2/24' },
    },
    { interfaces: { toA: {}, toC: {} } },
  )
  const c = router(sim, 'C', { toB: { end: cb, address: '10.0.2.3/24' } }, { announce: ['10.99.3.0/24'] })
  const d = router(sim, 'D', { toB: { end: db, address: '10.0.3.4/24' } })
  await sim.run(seconds(30))
  t.equal(a.way('10.99.3.1')?.via, '10.0.1.2')
  let gaps = 0
  a.routes.follow(() => {
    if (a.way('10.99.3.1')?.action !== 'forward') gaps++
  })
  return { sim, a, b, c, d, gaps: () => gaps }
}

t.test('what is announced, and redistributed, is heard of within a second', async (t) => {
  const { sim, a, c, gaps } = await chain(t)
  c.routes.add({ prefix: '10.50.1.0/24', via: '10.0.2.2' })
  await sim.run(seconds(1))
  t.equal(a.way('10.50.1.1'), undefined)
  const redistribute = [{ origin: 'static', action: 'allow', metric: 7 }] as const
  c.become({ announce: ['10.99.3.0/24', '10.98.3.0/24'], redistribute })
  await sim.run(seconds(1))
  t.equal(a.way('10.98.3.1')?.action, 'forward')
  t.equal(a.way('10.50.1.1')?.action, 'forward')
  t.match(
    c.babel.routes().find(({ prefix }) => prefix === '10.50.1.0/24'),
    { metric: 7 },
  )
  c.become({ redistribute: [{ origin: 'static', action: 'allow', metric: 500 }] })
  const lost: boolean[] = []
  a.routes.follow((prefix) => lost.push(prefix === '10.50.1.0/24' && a.way('10.50.1.1')?.action !== 'forward'))
  await sim.run(seconds(5))
  t.match(
    a.babel.routes().find(({ prefix }) => prefix === '10.50.1.0/24'),
    { metric: 692 },
    'by a newer seqno',
  )
  t.notOk(lost.includes(true), 'what becomes dearer is not gone meanwhile')
  c.become({ announce: ['10.99.3.0/24'], redistribute: [] })
  await sim.run(seconds(1))
  t.equal(a.way('10.98.3.1')?.action, 'unreachable')
  t.equal(a.way('10.50.1.1')?.action, 'unreachable')
  t.equal(gaps(), 0)
  await sim.close()
})

t.test('another metric in the table: each route comes before it goes', async (t) => {
  const { sim, a, gaps } = await chain(t)
  const ours = () => a.routes.list().filter(({ origin }) => origin === 'babel')
  const { length } = ours()
  a.become({ metric: 9 })
  t.strictSame(
    ours().map(({ metric }) => metric),
    new Array(length).fill(9),
  )
  t.equal(gaps(), 0)
  await sim.run(seconds(60))
  t.equal(ours().length, length)
  t.equal(gaps(), 0)
  await sim.close()
})

t.test(
  'a link that is left is taken leave of, and one that is joined is spoken on; others do not hear of it',
  async (t) => {
    const { sim, a, b, c, d, gaps } = await chain(t)
    b.become({ interfaces: { toA: {}, toC: {}, toD: {} } })
    d.become({ announce: ['10.99.4.0/24'] })
    await sim.run(seconds(10))
    t.equal(a.way('10.99.4.1')?.action, 'forward')
    t.equal(d.way('10.99.3.1')?.via, '10.0.3.2')
    t.strictSame(
      b.babel.traffic().map(({ link }) => link),
      ['toA', 'toC', 'toD'],
    )
    b.become({ interfaces: { toA: {}, toC: {} } })
    await sim.run(ms(200))
    t.equal(d.way('10.99.3.1')?.action, 'unreachable', 'it need not wait for hellos')
    t.equal(a.way('10.99.4.1')?.action, 'unreachable')
    t.equal(c.way('10.99.1.1')?.action, 'forward')
    t.equal(gaps(), 0)
    await sim.close()
  },
)

t.test('costs and intervals are those of now, also when a link comes again', async (t) => {
  const { sim, a, b, gaps } = await chain(t)
  const toA = { rxcost: 300, helloInterval: seconds(2) }
  b.become({ interfaces: { toA, toC: {} } })
  await sim.run(seconds(1))
  t.match(a.babel.neighbours(), [{ cost: 300 }])
  t.match(
    a.babel.routes().find(({ prefix }) => prefix === '10.99.3.0/24'),
    { metric: 396 },
  )
  t.equal(gaps(), 0)
  b.node.top.network.addAddress('toA', '10.0.9.2/24')
  await sim.run(seconds(10))
  t.match(a.babel.neighbours(), [{ cost: 300 }])
  await sim.close()
})

t.test('a link gets its first keys, and loses its last', async (t) => {
  const { sim, a, b, gaps } = await chain(t)
  const keys = [{ algorithm: 'blake2s', key: Uint8Array.of(7) }] as const
  for (const now of [keys, []]) {
    a.become({ keys: now })
    await sim.run(seconds(3))
    b.become({ interfaces: { toA: { keys: now }, toC: {} } })
    await sim.run(seconds(60))
    t.match(a.babel.neighbours(), [{ link: 'toB', cost: 96 }])
  }
  t.equal(gaps(), 0)
  a.become({ keys })
  await sim.run(seconds(60))
  t.equal(a.way('10.99.3.1')?.action, 'unreachable', 'without them nobody is believed for long')
  t.ok(a.babel.drops.has('noMac'))
  await sim.close()
})

t.test('what makes no sense, or cannot be, changes nothing', async (t) => {
  const { sim, a, b, d } = await chain(t)
  const { routerId } = b.babel
  b.become({ routerId: routerId.toUpperCase() })
  t.throws(() => b.become({ routerId: '0123456789abcdef', metric: 3 }), { code: 'ERR_INVALID_ARG_VALUE' })
  t.throws(() => b.become({ interfaces: { toA: { rxcost: 0 } }, metric: 3 }), { code: 'ERR_OUT_OF_RANGE' })
  const { datagram } = b.node.top
  const squatter = datagram.bind({ address: parseAddress('::'), port: 6696, link: 'toD' }, {})
  const more = { interfaces: { toA: {}, toC: {}, toD: {} }, announce: ['10.97.0.0/16'] }
  t.throws(() => b.become({ ...more, metric: 3 }), { code: 'EADDRINUSE' })
  await sim.run(seconds(5))
  t.strictSame([...new Set(b.routes.list().map(({ metric }) => metric))].includes(3), false)
  t.equal(a.way('10.97.0.1'), undefined)
  t.equal(d.babel.neighbours().length, 0)
  squatter.close()
  b.become(more)
  await sim.run(seconds(10))
  t.equal(d.babel.neighbours().length, 1)
  t.equal(a.way('10.97.0.1')?.action, 'forward')
  await sim.close()
})
