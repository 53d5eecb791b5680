/** IPv4 end to end in virtual time: hosts and routers on cables. */
import t, { type Test } from 'tap'
import { ethernet } from '../../../../layers/datalink/ethernet/ethernet.ts'
import type { LinkService } from '../../../../layers/datalink/service.ts'
import { cable } from '../../../../layers/physical/cable.ts'
import { parseAddress } from '../../../../src/kernel/address.ts'
import { seconds } from '../../../../src/kernel/clock.ts'
import { packetsInUse } from '../../../../src/kernel/packet.ts'
import { stack } from '../../../../src/kernel/stack.ts'
import { Simulation } from '../../../../src/runtime/simulation.ts'
import { drops, host, pattern, router, Sink } from './stand.ts'

/** An experimental protocol number (RFC 3692), so that no transport of ours has a part in it. */
const PROBE = 253

/** A – R – B, with what tests need to reach. */
function line(sim: Simulation, options: { mtu?: number } = {}) {
  const left = cable()
  const right = cable(options)
  const a = sim.boot('A', host(left[0], { address: '10.0.1.1/24', gateway: '10.0.1.254' })).top
  const r = sim.boot(
    'R',
    router([left[1], right[0]], { addresses: { eth0: '10.0.1.254/24', eth1: '10.0.2.254/24' } }),
  ).top
  const b = sim.boot('B', host(right[1], { address: '10.0.2.1/24', gateway: '10.0.2.254' })).top
  return { left, right, a, r, b }
}

/** Runs a test in a simulation that must leave no packet and no timer. */
function scenario(name: string, body: (t: Test, sim: Simulation) => Promise<void>): void {
  t.test(name, async (t) => {
    const before = packetsInUse()
    const sim = new Simulation()
    await body(t, sim)
    await sim.close()
    t.equal(packetsInUse(), before, 'every packet was released')
    t.equal(sim.timers.size, 0, 'no timer is left')
  })
}

/** One packet ahead, so that neighbours are known: few packets wait for an answer of ARP. */
async function meet(sim: Simulation, from: Sink, to: string): Promise<void> {
  from.send(to, pattern(1))
  await sim.run(seconds(1))
}

scenario('two hosts on a cable', async (t, sim) => {
  const wire = cable()
  const a = new Sink(sim.boot('A', host(wire[0], { address: '10.0.0.1/24' })).top, PROBE)
  const b = new Sink(sim.boot('B', host(wire[1], { address: '10.0.0.2/24' })).top, PROBE)
  const payload = pattern(100)
  t.equal(a.send('10.0.0.2', payload), true)
  await sim.run(seconds(1))
  t.match(b.got, [{ source: '10.0.0.1', destination: '10.0.0.2', ttl: 64, octets: payload }])
  t.equal(b.send('10.0.0.1', pattern(5)), true)
  await sim.run(seconds(1))
  t.strictSame(a.got[0]?.octets, pattern(5), 'and back; padding of the short frame is gone')
})

scenario('a next hop that a transport knows to be reachable is not probed', async (t, sim) => {
  const { a, b } = line(sim)
  const from = new Sink(a, PROBE)
  const to = new Sink(b, PROBE)
  await meet(sim, from, '10.0.2.1')
  const sent = () => a.boundary.txPackets
  const arp = () =>
    sim.nodes
      .get('A')
      ?.snapshot()
      .find(({ name }) => name === 'A/eth0/arp')?.txPackets
  await sim.run(seconds(10)) // until addresses are announced, and probed once
  const before = arp()
  for (let i = 0; i < 60; i++) {
    from.send('10.0.2.1', pattern(10))
    await sim.run(seconds(2))
    a.confirm(parseAddress('10.0.2.1'))
    a.confirm(parseAddress('10.0.0.77'))
    a.confirm(parseAddress('127.0.0.1'))
    a.confirm(parseAddress('fd00::1'))
  }
  t.equal(to.got.length, 61)
  t.equal(sent(), 61)
  t.equal(arp(), before)
  t.match(a.control.neighbours(), [{ address: '10.0.1.254', state: 'reachable' }])
  for (let i = 0; i < 60; i++) {
    from.send('10.0.2.1', pattern(10))
    await sim.run(seconds(2))
  }
  t.ok((arp() ?? 0) > (before ?? 0), 'else it is')
})

scenario('over a router, in fragments and back together', async (t, sim) => {
  const { a, b, r } = line(sim, { mtu: 576 })
  const from = new Sink(a, PROBE)
  const to = new Sink(b, PROBE)
  await meet(sim, from, '10.0.2.1')
  for (const length of [0, 1, 1480, 1481, 9000, 65_515]) from.send('10.0.2.1', pattern(length, length))
  await sim.run(seconds(5))
  const arrived = to.got.slice(1)
  const lengths = arrived.map(({ octets }) => octets.length)
  t.strictSame(lengths, [0, 1, 1480, 1481, 9000, 65_515])
  for (const { octets, ttl } of arrived) {
    t.equal(Buffer.compare(octets, pattern(octets.length, octets.length)), 0, `${octets.length} octets arrive intact`)
    t.equal(ttl, 63)
  }
  t.strictSame(drops(r), {})
})

scenario('the TTL runs out on the way, and the sender is told', async (t, sim) => {
  const { a, b, r } = line(sim)
  const from = new Sink(a, PROBE)
  const to = new Sink(b, PROBE)
  from.send('10.0.2.1', pattern(600), { ttl: 1 })
  await sim.run(seconds(1))
  t.equal(to.got.length, 0)
  t.match(from.reports, [{ code: 'EHOSTUNREACH', reason: 'timeExceeded', from: '10.0.1.254', mtu: 0 }])
  t.strictSame(from.reports[0]?.quote, pattern(600).subarray(0, 528), 'as much as 576 octets hold is quoted')
  t.strictSame(drops(r), { ttlExceeded: 1 })
  from.send('10.0.2.1', pattern(600), { ttl: 2 })
  await sim.run(seconds(1))
  t.equal(to.got[0]?.ttl, 1)
})

scenario('the path MTU is found, used, and forgotten after ten minutes', async (t, sim) => {
  const { a, b, r } = line(sim, { mtu: 800 })
  const from = new Sink(a, PROBE)
  const to = new Sink(b, PROBE)
  await meet(sim, from, '10.0.2.1')
  t.equal(from.path.mtu, 1500)
  const { generation } = a
  from.send('10.0.2.1', pattern(1200), { dontFragment: true })
  await sim.run(seconds(1))
  t.match(from.reports, [{ code: 'EMSGSIZE', reason: 'fragmentationNeeded', mtu: 800, from: '10.0.1.254' }])
  t.ok(a.generation > generation, 'users look again')
  from.send('10.0.2.1', pattern(1200), { dontFragment: true })
  t.equal(from.path.mtu, 800)
  t.equal(from.reports.length, 1, 'what does not fit is reported on a later turn, not within send')
  await sim.run(seconds(1))
  t.match(from.reports[1], { code: 'EMSGSIZE', mtu: 800, from: '10.0.1.1' }, 'our own layer says so the second time')
  t.strictSame(drops(a), { fragmentationNeeded: 1 })
  from.send('10.0.2.1', pattern(780), { dontFragment: true })
  from.send('10.0.2.1', pattern(1200))
  await sim.run(seconds(1))
  t.strictSame(
    to.got.map(({ octets }) => octets.length),
    [1, 780, 1200],
  )
  t.strictSame(drops(r), { fragmentationNeeded: 1 })
  await sim.run(seconds(600))
  from.send('10.0.2.1', pattern(1))
  t.equal(from.path.mtu, 1500, 'the report has aged')
})

scenario('a link goes down and comes back', async (t, sim) => {
  const { a, b, r, right } = line(sim)
  const from = new Sink(a, PROBE)
  const to = new Sink(b, PROBE)
  await meet(sim, from, '10.0.2.1')
  right.link.unplug()
  await sim.run(seconds(1))
  t.equal(r.control.links()[1]?.state, 'down')
  from.send('10.0.2.1', pattern(10))
  await sim.run(seconds(1))
  t.match(from.reports, [{ code: 'EHOSTUNREACH', reason: 'hostUnreachable', from: '10.0.1.254' }])
  t.strictSame(drops(r), { linkDown: 1 })
  right.link.plug()
  await sim.run(seconds(1))
  from.send('10.0.2.1', pattern(20))
  await sim.run(seconds(1))
  t.strictSame(
    to.got.map(({ octets }) => octets.length),
    [1, 20],
  )
})

scenario('nobody is there: host, protocol, route, prohibition', async (t, sim) => {
  const { a, b, r } = line(sim)
  const from = new Sink(a, PROBE)
  new Sink(b, PROBE + 1)
  r.control.routes.add({ prefix: '10.9.0.0/16', action: 'prohibit' })
  r.control.routes.add({ prefix: '10.8.0.0/16', action: 'unreachable' })
  r.control.routes.add({ prefix: '10.7.0.0/16', action: 'blackhole' })
  const says = async (destination: string) => {
    from.reports.length = 0
    from.send(destination, pattern(10))
    await sim.run(seconds(5))
    return from.reports.map(({ code, reason, from: by }) => `${code} ${reason} ${by}`)
  }
  t.strictSame(await says('10.0.2.1'), ['ENOPROTOOPT protocolUnreachable 10.0.2.1'])
  t.strictSame(await says('10.0.2.77'), ['EHOSTUNREACH hostUnreachable 10.0.1.254'], 'beyond the router')
  t.strictSame(await says('10.0.1.77'), ['EHOSTUNREACH hostUnreachable 10.0.1.1'], 'on our own link')
  t.strictSame(await says('192.0.2.1'), ['ENETUNREACH netUnreachable 10.0.1.254'])
  t.strictSame(await says('10.9.1.1'), ['EHOSTUNREACH prohibited 10.0.1.254'])
  t.strictSame(await says('10.8.1.1'), ['EHOSTUNREACH hostUnreachable 10.0.1.254'])
  t.strictSame(await says('10.7.1.1'), [])
  t.strictSame(drops(r), { hostUnreachable: 1, noRoute: 1, prohibited: 1, unreachableRoute: 1, blackhole: 1 })
})

scenario('our own addresses need no link, and answer on a later turn', async (t, sim) => {
  const wire = cable()
  const a = sim.boot('A', host(wire[0], { address: ['10.0.0.1/24', '10.0.0.9/24'] })).top
  const sink = new Sink(a, PROBE)
  wire.link.unplug()
  for (const [to, source] of [
    ['127.0.0.1', '127.0.0.1'],
    ['127.9.9.9', '127.0.0.1'],
    ['10.0.0.9', '10.0.0.9'],
  ] as const) {
    sink.got.length = 0
    sink.send(to, pattern(60_000))
    t.equal(sink.got.length, 0, 'send does not call back')
    t.match(sink.path, { mtu: 65_535, link: 0, checksum: true })
    await sim.run(1)
    t.match(sink.got, [{ source, destination: to }])
  }
  t.equal(sink.send('127.0.0.1', pattern(1), { source: '10.0.0.8' }), 'EADDRNOTAVAIL', 'not an address of ours')
  t.equal(sink.send('10.0.0.2', pattern(1), { source: '127.0.0.1' }), 'EADDRNOTAVAIL', 'loopback stays inside')
  let sent = 0
  while (sink.send('127.0.0.1', pattern(10)) === true) sent++
  t.equal(sent, 255)
  sink.got.length = 0
  await sim.run(1)
  t.equal(sink.got.length, 256)
  t.equal(sink.readies, 1, 'one ready after false')
})

scenario('addresses, links and routes come and go', async (t, sim) => {
  const wire = cable()
  const later = cable()
  const a = sim.boot('A', host(wire[0], { address: '10.0.0.1/24', addresses: { eth1: '10.0.1.1/24' } })).top
  const b = sim.boot('B', host(wire[1], { address: '10.0.0.2/24' })).top
  const c = sim.boot('C', host(later[1], { address: '10.0.1.2/24' })).top
  let changes = 0
  const stop = a.onChange(() => changes++)
  const from = new Sink(a, PROBE)
  const [atB, atC] = [new Sink(b, PROBE), new Sink(c, PROBE)]

  a.control.addAddress('eth0', '192.168.7.1/16')
  t.ok(changes > 0)
  t.strictSame(a.control.addresses(), ['10.0.0.1', '192.168.7.1'])
  t.equal(a.control.routes.lookup('192.168.1.1')?.origin, 'link')
  t.throws(() => a.control.addAddress('eth0', '192.168.7.1/16'), { code: 'EEXIST' })
  t.throws(() => a.control.addAddress('eth0', '192.168.255.255/16'), { code: 'ERR_INVALID_ARG_VALUE' })
  t.throws(() => a.control.addAddress('eth0', '192.168.7.2'), { code: 'ERR_INVALID_ARG_VALUE' })
  t.throws(() => a.control.addAddress('eth7', '192.168.7.2/16'), { code: 'ERR_INVALID_ARG_VALUE' })
  t.equal(a.control.removeAddress('eth0', '192.168.7.1'), true)
  t.equal(a.control.removeAddress('eth0', '192.168.7.1'), false)
  t.equal(from.send('192.168.1.1', pattern(1)), 'ENETUNREACH', 'its route went with it')

  t.equal(from.send('10.0.1.2', pattern(3)), 'ENETUNREACH')
  let link: LinkService | undefined
  const holder = sim.boot('A2', (env) => {
    link = stack(later[0], ethernet())(env)
    return link
  })
  a.attach('eth1', link as LinkService)
  t.throws(() => a.attach('eth1', link as LinkService), { code: 'EEXIST' })
  t.throws(() => a.control.addAddress('eth1', '10.0.0.1/24'), { code: 'EADDRINUSE' })
  t.equal(from.send('10.0.1.2', pattern(4)), true)
  t.equal(from.send('10.0.0.2', pattern(5)), true)
  await sim.run(seconds(1))
  t.match(atC.got, [{ source: '10.0.1.1' }])
  t.match(atB.got, [{ source: '10.0.0.1' }])
  t.equal(a.linkName(a.linkIndex('eth1')), 'eth1')

  t.equal(a.detach('eth1'), true)
  t.equal(a.detach('eth1'), false)
  t.equal(from.send('10.0.1.2', pattern(4)), 'ENETUNREACH')
  t.equal(a.linkIndex('eth1'), 0)
  stop()
  await holder.close()
})

scenario('broadcasts', async (t, sim) => {
  const { a, b, r } = line(sim)
  const from = new Sink(a, PROBE)
  const [atR, atB] = [new Sink(r, PROBE), new Sink(b, PROBE)]
  for (const to of ['255.255.255.255', '10.0.1.255', '224.0.0.1', '10.0.2.255', '224.0.0.9']) from.send(to, pattern(7))
  await sim.run(seconds(2))
  t.strictSame(
    atR.got.map(({ destination }) => destination),
    ['255.255.255.255', '10.0.1.255', '224.0.0.1'],
  )
  t.strictSame(atB.got, [], 'a directed broadcast is not forwarded (RFC 2644)')
  t.strictSame(drops(r), { directedBroadcast: 1, notMember: 1 })
  t.strictSame(from.reports, [], 'and nobody complains about them')
})

scenario('a prefix declared local', async (t, sim) => {
  const { a, r } = line(sim)
  const from = new Sink(a, PROBE)
  const gateway = new Sink(r, PROBE)
  const undo = r.declareLocal(parseAddress('198.51.100.0'), 24)
  from.send('198.51.100.7', pattern(9))
  await sim.run(seconds(1))
  t.match(gateway.got, [{ source: '10.0.1.1', destination: '198.51.100.7' }])
  gateway.send('10.0.1.1', pattern(8), { source: '198.51.100.7' })
  await sim.run(seconds(1))
  t.match(from.got, [{ source: '198.51.100.7' }], 'we answer as the one that was meant')
  undo()
  from.send('198.51.100.7', pattern(9))
  await sim.run(seconds(1))
  t.equal(gateway.got.length, 1)
})
