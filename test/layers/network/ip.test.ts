/** The network tier at its edges: options, several links, families that are not there, claims of addresses. */
import t from 'tap'
import { ethernet } from '../../../layers/datalink/ethernet/ethernet.ts'
import { ip } from '../../../layers/network/ip.ts'
import { type Ipv4Options, ipv4 } from '../../../layers/network/ipv4/ipv4.ts'
import { NetworkAddressing, type NetworkService, Path } from '../../../layers/network/service.ts'
import { cable } from '../../../layers/physical/cable.ts'
import type { Flow } from '../../../src/api/routes.ts'
import { IpAddress, parseAddress } from '../../../src/kernel/address.ts'
import { seconds } from '../../../src/kernel/clock.ts'
import { Packet, packetsInUse } from '../../../src/kernel/packet.ts'
import { beside, stack } from '../../../src/kernel/stack.ts'
import { Simulation } from '../../../src/runtime/simulation.ts'
import { drops, host, pattern, router, Sink } from './ipv4/stand.ts'

const PROBE = 253

t.test('options that make no sense are refused at once', async (t) => {
  const refuses = (options: Ipv4Options, code: string) =>
    t.throws(() => ipv4(options), { code }, JSON.stringify(options))
  for (const address of ['10.0.0.1', 'x/24', '10.0.0.1/33', 'fd00::1/64', '10.0.0.0/24', '10.0.0.255/24']) {
    refuses({ address }, 'ERR_INVALID_ARG_VALUE')
  }
  for (const address of ['127.0.0.1/8', '224.0.0.1/24', '0.0.0.1/8', '255.255.255.255/32']) {
    refuses({ addresses: { eth0: ['10.0.0.1/24', address] } }, 'ERR_INVALID_ARG_VALUE')
  }
  refuses({ gateway: 'fd00::1' }, 'ERR_INVALID_ARG_VALUE')
  refuses({ mtu: 67 }, 'ERR_OUT_OF_RANGE')
  refuses({ ttl: 0 }, 'ERR_OUT_OF_RANGE')
  refuses({ arp: { entries: 0 } }, 'ERR_OUT_OF_RANGE')
  refuses({ arp: { tries: 2.5 } }, 'ERR_OUT_OF_RANGE')
  refuses({ arp: { reachable: Number.NaN } }, 'ERR_OUT_OF_RANGE')
  refuses({ arp: { waiting: '5' as unknown as number } }, 'ERR_INVALID_ARG_TYPE')
  refuses({ errors: { perSecond: -1 } }, 'ERR_OUT_OF_RANGE')
  refuses({ errors: { burst: -1 } }, 'ERR_OUT_OF_RANGE')
  refuses({ reassembly: { datagrams: 0 } }, 'ERR_OUT_OF_RANGE')
  refuses({ reassembly: { octets: Number.POSITIVE_INFINITY } }, 'ERR_OUT_OF_RANGE')
  t.doesNotThrow(() => ipv4({ address: ['10.0.0.0/31', '10.0.0.1/31', '10.0.0.255/32'] }))
  t.throws(() => ip(), { code: 'ERR_INVALID_ARG_VALUE' })
  t.throws(() => ip(ipv4(), ipv4()), { code: 'ERR_INVALID_ARG_VALUE' })
})

t.test('what only a node can find wrong fails its boot, and leaves nothing behind', async (t) => {
  const before = packetsInUse()
  const sim = new Simulation()
  const fails = (options: Ipv4Options, code: string) => {
    t.throws(() => sim.boot('N', host(cable()[0], options)), { code }, JSON.stringify(options))
  }
  fails({ address: '10.0.0.1/24', gateway: '10.0.1.1' }, 'ENETUNREACH')
  fails({ routes: [{ prefix: '10.0.0.0/8', link: 'eth7' }] }, 'ERR_INVALID_ARG_VALUE')
  fails({ routes: [{ prefix: '10.0.0.0/8' }] }, 'ERR_INVALID_ARG_VALUE')
  fails({ routes: [{ prefix: 'fd00::/8', link: 'eth0' }] }, 'ERR_INVALID_ARG_VALUE')
  fails({ address: ['10.0.0.1/24', '10.0.0.1/16'] }, 'EEXIST')
  await sim.close()
  t.equal(packetsInUse(), before)
})

t.test('a link that cannot be attached is left as it was', async (t) => {
  const before = packetsInUse()
  const sim = new Simulation()
  const addresses = { eth0: '10.0.0.1/24', eth1: ['10.0.1.1/24', '10.0.0.1/24'] }
  const network = sim.boot('A', host(cable()[0], { addresses })).top
  const link = sim.boot('B', stack(cable()[0], ethernet())).top
  await sim.run(seconds(10))
  t.throws(() => network.attach('eth1', link), { code: 'EADDRINUSE' })
  t.strictSame(network.control.addresses(), ['10.0.0.1'])
  t.equal(network.control.routes.lookup('10.0.1.1'), undefined)
  t.equal(sim.timers.size, 0, 'no timer is left')
  network.attach('eth2', link)
  t.equal(network.linkName(network.linkIndex('eth2')), 'eth2', 'its boundary is free')
  await sim.close()
  t.equal(packetsInUse(), before)
})

t.test('routes as text', async (t) => {
  const sim = new Simulation()
  const [left, right] = [cable(), cable()]
  const addresses = { eth0: '10.0.0.1/24', eth1: '10.0.1.1/24' }
  const { routes } = sim.boot('R', router([left[0], right[0]], { addresses })).top.control
  routes.add({ prefix: '192.168.5.7/16', via: '10.0.1.9', metric: 3 })
  t.throws(() => routes.add({ prefix: '192.168.0.0/16', via: '10.0.1.9', metric: 3 }), { code: 'EEXIST' })
  routes.add({ prefix: '192.168.0.0/16', via: '10.0.0.9', metric: 4, origin: 'babel' })
  routes.add({ prefix: '203.0.113.0/24', action: 'blackhole', metric: 1 })
  t.strictSame(
    routes
      .list()
      .map(({ prefix, via, link, metric, origin, action }) => [prefix, via, link, metric, origin, action].join(' ')),
    [
      '10.0.0.0/24  eth0 0 link forward',
      '10.0.1.0/24  eth1 0 link forward',
      '192.168.0.0/16 10.0.1.9 eth1 3 static forward',
      '192.168.0.0/16 10.0.0.9 eth0 4 babel forward',
      '203.0.113.0/24   1 static blackhole',
    ],
  )
  t.equal(routes.lookup('192.168.9.9')?.via, '10.0.1.9')
  t.equal(routes.lookup('198.51.100.1'), undefined)
  t.throws(() => routes.lookup('nowhere'), { code: 'ERR_INVALID_ARG_VALUE' })
  t.throws(() => routes.add({ prefix: '192.0.2.0/24', via: '198.51.100.1' }), { code: 'ENETUNREACH' })
  t.throws(() => routes.add({ prefix: '192.0.2.0/24', via: '10.0.0.9', metric: -1 }), { code: 'ERR_OUT_OF_RANGE' })
  t.equal(routes.remove({ prefix: '192.168.0.0/16', origin: 'ospf' }), 0)
  t.equal(routes.remove({ prefix: '192.168.0.0/16', via: '10.0.1.9' }), 1)
  t.equal(routes.remove({ prefix: '192.168.1.1/16' }), 1)
  t.equal(routes.list().length, 3)
  await sim.close()
})

t.test('why a route is taken', async (t) => {
  const sim = new Simulation()
  const [left, right] = [cable(), cable()]
  const addresses = { eth0: '10.0.0.1/24', eth1: '10.0.1.1/24' }
  const { routes } = sim.boot('R', router([left[0], right[0]], { addresses, gateway: '10.0.0.9' })).top.control
  const why = (destination: string, flow: Flow = {}) => {
    const { candidates, chosen, local } = routes.explain(destination, flow)
    const lines = candidates.map((c) => `${c.route.prefix} ${c.route.via ?? ''} ${c.chosen ? 'chosen' : ''} ${c.rule}`)
    t.match(candidates.find((candidate) => candidate.chosen)?.route, chosen)
    return [...lines, ...(local ? ['local'] : [])]
  }
  t.strictSame(why('192.0.2.1'), ['0.0.0.0/0 10.0.0.9 chosen only'])
  routes.add({ prefix: '192.0.2.0/24', via: '10.0.1.8', metric: 7 })
  routes.add({ prefix: '192.0.2.0/24', via: '10.0.0.8', metric: 5 })
  routes.add({ prefix: '192.0.2.0/24', via: '10.0.0.7', metric: 5, origin: 'babel' })
  t.strictSame(why('192.0.2.1'), [
    '192.0.2.0/24 10.0.0.8 chosen older',
    '192.0.2.0/24 10.0.0.7  older',
    '192.0.2.0/24 10.0.1.8  metric',
    '0.0.0.0/0 10.0.0.9  longestPrefix',
  ])
  left.link.unplug()
  t.strictSame(why('192.0.2.1'), [
    '192.0.2.0/24 10.0.0.8  linkDown',
    '192.0.2.0/24 10.0.0.7  linkDown',
    '192.0.2.0/24 10.0.1.8 chosen linkDown',
    '0.0.0.0/0 10.0.0.9  longestPrefix',
  ])
  left.link.plug()
  routes.add({ prefix: '192.0.2.0/24', via: '10.0.1.6', metric: 5 })
  const ways = new Set<string | undefined>()
  for (let sourcePort = 1; sourcePort <= 50; sourcePort++) {
    const flow = { source: '10.0.0.5', protocol: 6, sourcePort, destinationPort: 80 }
    ways.add(routes.explain('192.0.2.1', flow).chosen?.via)
    t.strictSame(routes.explain('192.0.2.1', flow), routes.explain('192.0.2.1', flow), 'a flow keeps its way')
    t.equal(why('192.0.2.1', flow).filter((line) => line.endsWith('flowHash')).length, 2, 'both are told')
  }
  t.strictSame([...ways].sort(), ['10.0.0.8', '10.0.1.6'])
  t.strictSame(why('10.0.0.1'), ['10.0.0.0/24  chosen longestPrefix', '0.0.0.0/0 10.0.0.9  longestPrefix', 'local'])
  t.strictSame(why('2001:db8::1'), [], 'no route, and no family')
  t.throws(() => routes.explain('nowhere'), { code: 'ERR_INVALID_ARG_VALUE' })
  t.throws(() => routes.explain('192.0.2.1', { source: 'x' }), { code: 'ERR_INVALID_ARG_VALUE' })
  await sim.close()
})

t.test('another family is unreachable', async (t) => {
  const before = packetsInUse()
  const sim = new Simulation()
  const network = sim.boot('A', host(cable()[0], { address: '10.0.0.1/24' })).top
  const six = parseAddress('fd00::1')
  t.equal(network.path(six, new IpAddress(), 0, new Path()), 'ENETUNREACH')
  t.equal(network.isLocal(six) || network.isBroadcast(six) || network.isMulticast(six), false)
  t.throws(() => network.declareLocal(six, 64), { code: 'ERR_INVALID_ARG_VALUE' })
  const to = new NetworkAddressing()
  to.destination.set(six)
  network.send(Packet.take(network.headroom, network.tailroom), to)
  t.strictSame(drops(network), { noFamily: 1 })
  await sim.close()
  t.equal(packetsInUse(), before)
})

t.test('a packet can be told which link to leave by', async (t) => {
  const sim = new Simulation()
  const [left, right] = [cable(), cable()]
  const a = sim.boot('A', router([left[0], right[0]], { addresses: { eth0: '10.0.0.1/24', eth1: '10.0.1.1/24' } })).top
  const onLeft = new Sink(sim.boot('L', host(left[1], { address: ['10.0.0.2/24', '10.0.1.2/24'] })).top, PROBE)
  const onRight = new Sink(sim.boot('R', host(right[1], { address: '10.0.1.2/24' })).top, PROBE)
  const sink = new Sink(a, PROBE)
  sink.send('10.0.1.2', pattern(1))
  sink.send('10.0.1.2', pattern(2), { link: a.linkIndex('eth0') })
  sink.send('255.255.255.255', pattern(3), { link: a.linkIndex('eth1') })
  t.equal(sink.send('10.0.1.2', pattern(2), { link: 9 }), 'ENETUNREACH')
  await sim.run(seconds(1))
  t.strictSame(
    onRight.got.map(({ octets, source }) => `${octets.length} ${source}`),
    ['3 10.0.1.1', '1 10.0.1.1'],
  )
  t.strictSame(
    onLeft.got.map(({ octets, source }) => `${octets.length} ${source}`),
    ['2 10.0.0.1'],
  )
  t.equal(onRight.got[1]?.destination, '10.0.1.2')
  await sim.close()
})

t.test('a better route takes over when its rival goes down, and gives way again', async (t) => {
  const sim = new Simulation()
  const [left, right] = [cable(), cable()]
  const addresses = { eth0: '10.0.0.1/24', eth1: '10.0.1.1/24' }
  const routes = [
    { prefix: '192.0.2.0/24', via: '10.0.0.9', metric: 1 },
    { prefix: '192.0.2.0/24', via: '10.0.1.9', metric: 2 },
  ]
  const { control } = sim.boot('A', router([left[0], right[0]], { addresses, routes })).top
  sim.boot('L', host(left[1], { address: '10.0.0.9/24' }))
  sim.boot('R', host(right[1], { address: '10.0.1.9/24' }))
  const via = () => control.routes.lookup('192.0.2.1')?.via
  await sim.run(1)
  t.equal(via(), '10.0.0.9')
  left.link.unplug()
  await sim.run(1)
  t.equal(via(), '10.0.1.9')
  left.link.plug()
  await sim.run(1)
  t.equal(via(), '10.0.0.9')
  await sim.close()
})

t.test('an address is used when nobody else has it, and given up when somebody has', async (t) => {
  const before = packetsInUse()
  const sim = new Simulation()
  const wire = cable()
  const options = { address: '10.0.0.1/24', arp: { detectConflicts: true } }
  const a = sim.boot('A', host(wire[0], options)).top
  const b = sim.boot('B', host(wire[1], { address: '10.0.0.2/24' })).top
  const local = (network: NetworkService, text: string) => network.isLocal(parseAddress(text))
  t.equal(local(a, '10.0.0.1'), false, 'not yet')
  await sim.run(seconds(10))
  t.equal(local(a, '10.0.0.1'), true)
  a.control.addAddress('eth0', '10.0.0.2/24')
  await sim.run(seconds(10))
  t.equal(local(a, '10.0.0.2'), false)
  t.strictSame(a.control.addresses(), ['10.0.0.1'])
  t.equal(local(b, '10.0.0.2'), true)
  await sim.close()
  t.equal(packetsInUse(), before)
  t.equal(sim.timers.size, 0)
})

t.test('the MTU of a link can change under us', async (t) => {
  const sim = new Simulation()
  const wire = cable()
  const a = new Sink(sim.boot('A', host(wire[0], { address: '10.0.0.1/24', mtu: 1400 })).top, PROBE)
  const b = new Sink(
    sim.boot('B', stack(beside({ x: stack(wire[1], ethernet()) }), ip(ipv4({ addresses: { x: '10.0.0.2/24' } })))).top,
    PROBE,
  )
  a.send('10.0.0.2', pattern(2000))
  t.equal(a.path.mtu, 1400, 'our own limit is below that of the link')
  await sim.run(seconds(1))
  const { generation } = a.network
  wire.link.setMtu(600)
  await sim.run(seconds(1))
  t.ok(a.network.generation > generation)
  a.send('10.0.0.2', pattern(2000))
  t.equal(a.path.mtu, 600)
  await sim.run(seconds(1))
  t.strictSame(
    b.got.map(({ octets }) => octets.length),
    [2000, 2000],
  )
  t.equal(b.network.linkIndex('x'), 1)
  await sim.close()
})
