/** DHCP between two routers of ours: a lease is taken, and survives a reload of the server. */
import { setTimeout as sleep } from 'node:timers/promises'
import { Registry } from 'prom-client'
import t from 'tap'
import { configOf, type RouterConfig, type RouterFile } from '../../../tools/router/config.ts'
import { contradictions } from '../../../tools/router/contradictions.ts'
import { dhcpFault } from '../../../tools/router/dhcp.ts'
import { dhcpMetrics } from '../../../tools/router/dhcp-metrics.ts'
import { Figures } from '../../../tools/router/figures.ts'
import { Router } from '../../../tools/router/router.ts'
import { freePorts } from '../running.ts'

const [a, b] = (await freePorts(2)) as [number, number]

function config(name: string, link: RouterFile['links'][string]): RouterConfig {
  const rest = { routes: [], clampMss: false, reversePath: 'off', faults: false, hosts: {} } as const
  const file: RouterFile = { name, links: { lan: link }, ...rest }
  t.same(contradictions(file), [])
  return configOf(file)
}

const server = (leaseSeconds: number): RouterConfig =>
  config('server', {
    link: `udp:127.0.0.1:${a},peer=127.0.0.1:${b}`,
    addresses: ['10.0.0.1/24'],
    dhcp: { pool: ['10.0.0.100', '10.0.0.199'], leaseSeconds },
  })
const client = config('client', { link: `udp:127.0.0.1:${b},peer=127.0.0.1:${a}`, addresses: [], dhcp: 'client' })

const addressOf = ({ node }: Router): string | undefined => node.top.network.links()[0]?.addresses[0]

async function leased(router: Router): Promise<string> {
  let address = addressOf(router)
  for (; address === undefined; address = addressOf(router)) await sleep(20)
  return address
}

t.test('a lease', { timeout: 120_000 }, async (t) => {
  await using serving = await Router.start(server(600))
  let first: string
  {
    await using asking = await Router.start(client)
    first = await leased(asking)
    t.match(first, /^10\.0\.0\.1\d\d\/24$/)
    t.match(asking.node.top.network.routes.lookup('192.0.2.1'), { via: '10.0.0.1', origin: 'dhcp' })
    await asking.reload({ ...client.state, services: [] })
    t.same(addressOf(asking), undefined, 'without the client, its address is gone')
    t.same(asking.node.top.network.routes.list(), [])
    await asking.reload(client.state)
    t.equal(await leased(asking), first)
    t.equal((await serving.reload(server(1200).state)).length, 2, 'the server begins anew')
    t.equal((await serving.reload(server(1200).state)).length, 0)
    const [lease, ...others] = serving.givenAway()
    t.match(lease, { address: first.replace('/24', ''), link: 'lan', hostName: 'client' }, 'and knows who has what')
    t.same(others, [])
    const registry = new Registry()
    dhcpMetrics(new Figures(registry), serving)
    t.match(await registry.metrics(), /\nnetstrata_dhcp_leases\{link="lan",state="leased"\} 1\n/)
    const socket = asking.node.dgram.createSocket('udp4')
    socket.send('no message', 67, '10.0.0.1')
    for (let text = ''; !text.includes('netstrata_dhcp_drops_total{link="lan",reason="truncated"} 1\n'); ) {
      await sleep(20)
      text = await registry.metrics()
    }
    socket.close()
  }
})

t.test('what a server could not give is found in the file', async (t) => {
  const pool = ['10.0.0.100', '10.0.0.199']
  const elsewhere = { pool, reservations: { '02:00:00:00:00:01': '10.0.1.7' } }
  t.equal(
    dhcpFault(elsewhere, ['10.0.0.1/24', '10.0.1.1/24']),
    '10.0.1.7 is reserved, but not in the network of the pool',
  )
  t.equal(dhcpFault(elsewhere, ['10.0.0.1/23']), undefined)
  t.equal(dhcpFault({ pool }, ['10.0.1.1/24']), 'the pool 10.0.0.100 to 10.0.0.199 is in no network of the link')
})
