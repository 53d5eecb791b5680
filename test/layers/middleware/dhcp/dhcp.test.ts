import t from 'tap'
import {
  type DhcpClientOptions,
  type DhcpServerOptions,
  dhcpClient,
  dhcpServer,
} from '../../../../layers/middleware/dhcp/index.ts'
import {
  ethernet,
  hub,
  type Ipv4Options,
  ip,
  ipv4,
  type LinkService,
  type NetworkService,
  sockets,
  stack,
  tcp,
  udp,
} from '../../../../src/index.ts'
import { seconds } from '../../../../src/kernel/clock.ts'
import { packetsInUse, poisonReleased } from '../../../../src/kernel/packet.ts'
import { Simulation } from '../../../../src/runtime/simulation.ts'

poisonReleased(true)

const MAC = (n: number) => `02:00:00:00:00:0${n}`
const POOL = ['10.0.0.100', '10.0.0.109'] as const

/** A server at 10.0.0.1 and places for six more on one hub. */
function lan(options: Partial<DhcpServerOptions> = {}) {
  const [first, ...ports] = hub(7)
  const sim = new Simulation({ seed: 11 })
  const events: string[] = []
  const server = sim.boot(
    'server',
    stack(
      first,
      ethernet({ address: MAC(1) }),
      ip(ipv4({ address: '10.0.0.1/24' })),
      sockets(tcp(), udp()),
      dhcpServer({ pool: POOL, onEvent: (event) => events.push(event), ...options }),
    ),
  )
  let next = 0
  const host = (name: string, mac: string, client: DhcpClientOptions = {}, network: Ipv4Options = {}) =>
    sim.boot(
      name,
      stack(
        ports[next++] as (typeof ports)[0],
        ethernet({ address: mac }),
        ip(ipv4(network)),
        sockets(tcp(), udp()),
        dhcpClient(client),
      ),
    )
  return { sim, server, host, events, ports }
}

t.test('a host gets an address, a router and names, and is reached there', async (t) => {
  const { sim, server, host, events } = lan({ nameServers: ['10.0.0.53'], domainName: 'example.org', mtu: 1400 })
  const told: unknown[] = []
  const node = host('H', MAC(2), { onLease: (lease, reason) => told.push([lease?.address, reason]) })
  const bound = node.top.dhcp.bound()
  await sim.run(seconds(2))
  const lease = await bound
  t.match(lease, {
    address: /^10\.0\.0\.10\d\/24$/,
    server: '10.0.0.1',
    routers: ['10.0.0.1'],
    nameServers: ['10.0.0.53'],
    domainName: 'example.org',
    mtu: 1400,
  })
  t.strictSame(told, [[lease.address, 'bound']])
  t.strictSame(events, ['offered', 'leased'])
  t.match(node.top.network.routes.lookup('192.0.2.1'), { via: '10.0.0.1', origin: 'dhcp' })
  t.match(server.top.dhcp.leases(), [
    { address: lease.address.split('/')[0], hardware: MAC(2), hostName: 'H', state: 'leased' },
  ])
  const ping = server.icmp.ping(lease.address.split('/')[0] as string)
  await sim.run(seconds(1))
  t.match(await ping, { outcome: 'reply' })
  await sim.close()
  t.equal(packetsInUse(), 0)
})

t.test('a lease is renewed, and the server told at the end', async (t) => {
  const { sim, server, host, events } = lan({ leaseTime: seconds(600) })
  const node = host('H', MAC(2))
  await sim.run(seconds(2))
  const { address = '' } = node.top.dhcp.lease ?? {}
  await sim.run(seconds(3000))
  t.equal(node.top.dhcp.lease?.address, address)
  t.equal(events.filter((event) => event === 'leased').length, 11, 'once, and every 300 s')
  t.equal(events.filter((event) => event === 'offered').length, 1)
  t.equal(node.top.network.routes.list().filter(({ origin }) => origin === 'dhcp').length, 1)
  node.top.dhcp.release()
  await sim.run(seconds(1))
  t.match(server.top.dhcp.leases(), [{ state: 'free' }])
  t.strictSame(node.top.network.addresses(), [])
  t.strictSame(node.top.network.routes.list(), [])
  node.top.dhcp.renew()
  await sim.run(seconds(1))
  t.equal(node.top.dhcp.lease?.address, address, 'the former address is free, and given again')
  await sim.close()
  t.equal(packetsInUse(), 0)
})

t.test('without a server the address goes when its time is over, and comes back with it', async (t) => {
  const { sim, server, host } = lan({ leaseTime: seconds(600) })
  const told: unknown[] = []
  const node = host('H', MAC(2), { onLease: (lease, reason) => told.push([lease !== undefined, reason]) })
  await sim.run(seconds(2))
  const cut = sim.partition(['server'], ['H'])
  await sim.run(seconds(590))
  t.equal(node.top.dhcp.state, 'rebinding')
  t.ok(node.top.dhcp.lease)
  await sim.run(seconds(20))
  t.equal(node.top.dhcp.lease, undefined)
  t.strictSame(node.top.network.addresses(), [])
  cut.heal()
  await sim.run(seconds(70))
  t.ok(node.top.dhcp.lease)
  t.strictSame(told, [
    [true, 'bound'],
    [false, 'the lease has ended'],
    [true, 'bound'],
  ])
  await server.close()
  await sim.close()
  t.equal(packetsInUse(), 0)
})

t.test('each gets an address of its own, and what is reserved goes to whom it is reserved for', async (t) => {
  const { sim, host } = lan({ reservations: { [MAC(5)]: '10.0.0.7', [MAC(6)]: '10.0.0.103' } })
  const nodes = [2, 3, 4, 5, 6].map((n) => host(`H${n}`, MAC(n)))
  await sim.run(seconds(5))
  const addresses = nodes.map((node) => node.top.dhcp.lease?.address)
  t.equal(new Set(addresses).size, 5)
  t.strictSame(addresses.slice(3), ['10.0.0.7/24', '10.0.0.103/24'])
  await sim.close()
})

t.test('a pool that is used up gives nothing, until somebody leaves', async (t) => {
  const { sim, server, host } = lan({ pool: ['10.0.0.100', '10.0.0.101'] })
  const [one, two] = [host('A', MAC(2)), host('B', MAC(3))]
  await sim.run(seconds(3))
  const late = host('C', MAC(4))
  await sim.run(seconds(30))
  t.ok(one.top.dhcp.lease && two.top.dhcp.lease)
  t.equal(late.top.dhcp.lease, undefined)
  t.ok((server.top.dhcp.drops.get('poolExhausted') ?? 0) > 2)
  await one.close()
  await sim.run(seconds(70))
  t.ok(late.top.dhcp.lease)
  await sim.close()
})

t.test('an address that another station has is declined, and rests', async (t) => {
  const { sim, server, host, ports } = lan({ pool: ['10.0.0.100', '10.0.0.101'] })
  const squatter = (address: string) =>
    sim.boot(
      address,
      stack(ports[5] as (typeof ports)[0], ethernet(), ip(ipv4({ address: `${address}/24` })), sockets(tcp(), udp())),
    )
  const told: unknown[] = []
  const first = host('H', MAC(2))
  await sim.run(seconds(5))
  const wouldBe = first.top.dhcp.lease?.address.split('/')[0] as string
  await first.close()
  const stranger = squatter(wouldBe)
  const node = host(
    'H2',
    MAC(2),
    { onLease: (lease, reason) => told.push([lease?.address.split('/')[0], reason]) },
    {
      arp: { detectConflicts: true },
    },
  )
  await sim.run(seconds(60))
  t.match(told, [
    [wouldBe, 'bound'],
    [undefined, 'another station has the address'],
    [/^10\.0\.0\.10[01]$/, 'bound'],
  ])
  t.not(node.top.dhcp.lease?.address.split('/')[0], wouldBe)
  t.match(
    server.top.dhcp.leases().find(({ address }) => address === wouldBe),
    { state: 'declined' },
  )
  await stranger.close()
  await sim.close()
})

t.test('leases outlive a server', async (t) => {
  const { sim, server, host, ports } = lan()
  const node = host('H', MAC(2))
  await sim.run(seconds(5))
  const { address } = node.top.dhcp.lease ?? {}
  const leases = server.top.dhcp.leases()
  await server.close()
  const again = sim.boot(
    'again',
    stack(
      ports[5] as (typeof ports)[0],
      ethernet({ address: MAC(1) }),
      ip(ipv4({ address: '10.0.0.1/24' })),
      sockets(tcp(), udp()),
      dhcpServer({ pool: POOL, authoritative: false, leases }),
    ),
  )
  node.top.dhcp.renew()
  await sim.run(seconds(5))
  t.equal(node.top.dhcp.lease?.address, address)
  t.match(again.top.dhcp.leases(), [{ hardware: MAC(2), state: 'leased' }])
  await sim.close()
})

t.test('routes without classes take the place of the router', async (t) => {
  const { sim, host } = lan({ routes: [{ prefix: '172.16.0.0/12', via: '10.0.0.9' }], routers: ['10.0.0.8'] })
  const node = host('H', MAC(2), { metric: 5 })
  await sim.run(seconds(3))
  t.match(node.top.network.routes.lookup('172.20.0.1'), { via: '10.0.0.9', metric: 5 })
  t.match(node.top.network.routes.lookup('192.0.2.1'), { via: '10.0.0.8', metric: 5 })
  await sim.close()
})

t.test('options that cannot be', async (t) => {
  t.throws(() => dhcpServer({ pool: ['10.0.0.9', '10.0.0.1'] }), { code: 'ERR_OUT_OF_RANGE' })
  t.throws(() => dhcpServer({ pool: ['10.0.0.0', '10.1.0.1'] }), { code: 'ERR_OUT_OF_RANGE' })
  t.throws(() => dhcpServer({ pool: POOL, leaseTime: 1 }), { code: 'ERR_OUT_OF_RANGE' })
  t.throws(() => dhcpServer({ pool: POOL, reservations: { a: '10.0.0.1' } }), { code: 'ERR_INVALID_ARG_VALUE' })
  t.throws(() => dhcpServer({ pool: POOL, reservations: { [MAC(1)]: '10.0.0.7', [MAC(2)]: '10.0.0.7' } }), {
    code: 'ERR_INVALID_ARG_VALUE',
  })
  t.throws(() => dhcpClient({ metric: -1 }), { code: 'ERR_OUT_OF_RANGE' })
  t.throws(() => dhcpClient({ hostName: 'x'.repeat(256) }), { code: 'ERR_INVALID_ARG_VALUE' })
  t.throws(() => lan({ pool: ['10.0.1.1', '10.0.1.9'] }), { code: 'ERR_INVALID_ARG_VALUE', message: /10\.0\.0\.1\/24/ })
  const { sim, host } = lan()
  t.throws(() => host('H', MAC(2), { link: 'eth7' }), { code: 'ERR_INVALID_ARG_VALUE' })
  await sim.close()
})

t.test('a link that goes and comes again has its address again', async (t) => {
  const { sim, server, events, ports } = lan()
  let network: NetworkService | undefined
  let link: LinkService | undefined
  const node = sim.boot('H', (env) => {
    link = ethernet({ address: MAC(2) })((ports[0] as (typeof ports)[0])(env), env)
    network = ip(ipv4())({ eth0: link }, env)
    return dhcpClient()(sockets(tcp(), udp())(network, env), env)
  })
  await sim.run(seconds(2))
  const address = node.top.dhcp.lease?.address
  t.ok(address)
  const addresses = () => node.top.network.links().flatMap((one) => one.addresses)
  network?.detach('eth0')
  await sim.run(seconds(2))
  network?.attach('eth0', link as LinkService)
  network?.control.addAddress('eth0', '10.7.0.1/24')
  await sim.run(seconds(2))
  t.strictSame(addresses(), ['10.7.0.1/24', address])
  t.match(node.top.network.routes.lookup('192.0.2.1'), { via: '10.0.0.1' })
  t.notOk(events.includes('declined'), 'nobody else has it')
  t.match(server.top.dhcp.leases(), [{ state: 'leased' }])
  await server.close()
  network?.detach('eth0')
  network?.attach('eth0', link as LinkService)
  await sim.run(seconds(20))
  t.strictSame(addresses(), [address], 'it still is, though nobody says so any more')
  await sim.close()
})
