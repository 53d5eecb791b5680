/** RIP on routers of ours: between networks of RIP and of Babel stands one that tells each of the other. */
import { setTimeout as sleep } from 'node:timers/promises'
import { Registry } from 'prom-client'
import t from 'tap'
import { configOf, type RouterConfig, type RouterFile } from '../../../tools/router/config.ts'
import { contradictions } from '../../../tools/router/contradictions.ts'
import { Figures } from '../../../tools/router/figures.ts'
import { Router } from '../../../tools/router/router.ts'
import { routingMetrics } from '../../../tools/router/routing-metrics.ts'
import { freePorts } from '../running.ts'

function config(name: string, links: RouterFile['links'], more: Partial<RouterFile>): RouterConfig {
  const rest = { routes: [], clampMss: false, reversePath: 'off', faults: false, hosts: {} } as const
  const file: RouterFile = { name, links, ...rest, ...more }
  t.same(contradictions(file), [])
  return configOf(file)
}

const way = (router: Router, to: string) => router.node.top.network.routes.lookup(to)

async function comes(holds: () => boolean): Promise<void> {
  while (!holds()) await sleep(20)
}

async function metricsOf(router: Router): Promise<string> {
  const registry = new Registry()
  routingMetrics(new Figures(registry), router)
  return registry.metrics()
}

t.test('between RIP and Babel', { timeout: 120_000 }, async (t) => {
  const [a, b, c, d] = (await freePorts(4)) as [number, number, number, number]
  const link = (own: number, peer: number, address: string) => ({
    link: `udp:127.0.0.1:${own},peer=127.0.0.1:${peer},engine=dgram`,
    addresses: [address],
  })
  const stub = (address: string) => ({ link: 'udp:127.0.0.1:0,engine=dgram', addresses: [address] })
  const own = { origin: 'link', prefix: '10.0.0.0/8', action: 'allow' } as const
  const babel = (link: string) => ({ [link]: { helloInterval: '0.5s', updateInterval: '1s' } })
  const old = config(
    'old',
    { lan: stub('10.1.0.1/24'), way: link(a, b, '10.0.1.1/24') },
    { rip: { interfaces: { way: {} }, updateInterval: '1s', redistribute: [own] } },
  )
  const border = config(
    'border',
    { west: link(b, a, '10.0.1.2/24'), east: link(c, d, '10.0.2.1/24') },
    {
      routes: [{ prefix: '10.7.0.0/16', metric: 0, action: 'forward', link: 'west' }],
      rip: {
        interfaces: { west: { cost: 3 } },
        updateInterval: '1s',
        redistribute: [own, { origin: 'babel', action: 'allow', metric: 5 }],
      },
      babel: {
        interfaces: babel('east'),
        redistribute: [own, { origin: 'rip', action: 'allow' }, { origin: 'static', action: 'allow', metric: 9 }],
      },
    },
  )
  const young = config(
    'young',
    { lan: stub('10.3.0.1/24'), way: link(d, c, '10.0.2.2/24') },
    { babel: { interfaces: babel('way'), redistribute: [own] } },
  )
  await using west = await Router.start(old)
  await using middle = await Router.start(border)
  await using east = await Router.start(young)
  await comes(() => way(west, '10.3.0.9') !== undefined && way(east, '10.1.0.9') !== undefined)
  t.match(way(west, '10.3.0.9'), { prefix: '10.3.0.0/24', via: '10.0.1.2', origin: 'rip' })
  t.match(way(east, '10.1.0.9'), { prefix: '10.1.0.0/24', via: '10.0.2.1', origin: 'babel' })
  t.equal(west.rip?.routes().find(({ prefix }) => prefix === '10.3.0.0/24')?.metric, 7, '1, and 5 of the rule')
  await comes(() => way(east, '10.7.0.9') !== undefined)
  t.equal(way(west, '10.7.0.9'), undefined, 'of static routes Babel alone is to tell')
  const reply = await west.node.icmp.ping('10.3.0.1', { signal: AbortSignal.timeout(60_000) })
  t.equal(reply.ttl, 63, 'there, and back')

  t.match(middle.rip?.neighbours(), [{ version: 'rip2', address: '10.0.1.1', link: 'west', routes: 1 }])
  await comes(() => (middle.rip?.traffic('ripng')[0]?.txPackets ?? 0) > 0)
  const metrics = await metricsOf(middle)
  t.match(metrics, /\nnetstrata_routing_neighbours\{protocol="babel",link="east"\} 1\n/)
  t.match(metrics, /\nnetstrata_routing_neighbours\{protocol="rip2",link="west"\} 1\n/)
  t.match(metrics, /\nnetstrata_routing_routes\{protocol="rip2",state="selected"\} 1\n/)
  t.match(metrics, /\nnetstrata_routing_routes\{protocol="babel",state="own"\} [34]\n/)
  for (const labels of ['babel",link="east', 'rip2",link="west', 'ripng",link="west']) {
    for (const unit of ['packets', 'octets']) {
      const line = `netstrata_routing_${unit}_total{protocol="${labels}",direction="sent"}`
      t.ok(Number(metrics.split(`\n${line} `)[1]?.split('\n')[0]) > 0, line)
    }
  }

  const { rip } = middle
  const state = border.state
  await middle.reload({ ...state, routes: [] })
  t.equal(middle.rip, rip, 'a route is no concern of it')
  await middle.reload({ ...state, services: state.services.filter(({ kind }) => kind !== 'RIP') })
  t.equal(middle.rip, undefined)
  t.equal(way(middle, '10.1.0.9'), undefined, 'without RIP, its routes are gone')
  await comes(() => way(east, '10.1.0.9')?.action !== 'forward' && way(west, '10.3.0.9') === undefined)
  t.notMatch(await metricsOf(middle), /rip2/)
})
