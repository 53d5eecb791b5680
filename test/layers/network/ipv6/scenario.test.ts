/** IPv6 end to end in virtual time: hosts and routers on cables. */
import { ethernet } from '../../../../layers/datalink/ethernet/ethernet.ts'
import { ip } from '../../../../layers/network/ip.ts'
import { ipv4 } from '../../../../layers/network/ipv4/ipv4.ts'
import { ipv6 } from '../../../../layers/network/ipv6/ipv6.ts'
import { type CableEnd, cable } from '../../../../layers/physical/cable.ts'
import { seconds } from '../../../../src/kernel/clock.ts'
import { beside, stack } from '../../../../src/kernel/stack.ts'
import type { Simulation } from '../../../../src/runtime/simulation.ts'
import { drops, host, linkLocal, PROBE, pattern, router, Sink, scenario } from './stand.ts'

/** Until addresses are ours: duplicates are looked for one second (RFC 4862 §5.4). */
const SETTLED = seconds(3)

/** A – R – B, with what tests need to reach. */
async function line(sim: Simulation, options: { mtu?: number } = {}) {
  const left = cable()
  const right = cable(options)
  const a = sim.boot('A', host(left[0], { address: 'fd00:1::1/64', gateway: 'fd00:1::fe' })).top
  const r = sim.boot(
    'R',
    router([left[1], right[0]], { addresses: { eth0: 'fd00:1::fe/64', eth1: 'fd00:2::fe/64' } }),
  ).top
  const b = sim.boot('B', host(right[1], { address: 'fd00:2::1/64', gateway: 'fd00:2::fe' })).top
  await sim.run(SETTLED)
  return { a, r, b }
}

scenario('two hosts on a cable, by addresses that were given and by those of the link', async (t, sim) => {
  const wire = cable()
  const a = new Sink(sim.boot('A', host(wire[0], { address: 'fd00::1/64' })).top, PROBE)
  const b = new Sink(sim.boot('B', host(wire[1], { address: 'fd00::2/64' })).top, PROBE)
  t.equal(a.send('fd00::2', pattern(1)), 'EADDRNOTAVAIL', 'not before duplicates have been looked for')
  await sim.run(SETTLED)
  const payload = pattern(100)
  t.equal(a.send('fd00::2', payload), true)
  await sim.run(seconds(1))
  t.match(b.got, [{ source: 'fd00::1', destination: 'fd00::2', ttl: 64, octets: payload }])
  t.equal(b.send(linkLocal(a.network), pattern(5)), true)
  await sim.run(seconds(1))
  t.match(a.got, [{ source: linkLocal(b.network), destination: linkLocal(a.network), octets: pattern(5) }])
  t.strictSame(Object.keys(drops(a.network)), ['notMember'], 'what is meant for groups of the other')
})

scenario('through a router', async (t, sim) => {
  const { a, r, b } = await line(sim)
  const from = new Sink(a, PROBE)
  const to = new Sink(b, PROBE)
  from.send('fd00:2::1', pattern(900))
  await sim.run(seconds(1))
  t.match(to.got, [{ source: 'fd00:1::1', ttl: 63, octets: pattern(900) }])
  t.strictSame(Object.keys(drops(r)), ['notMember', 'solicitationIgnored'], 'it is not told to be a router of hosts')
})

scenario('what a router does not send on, its sender hears of', async (t, sim) => {
  const { a, r, b } = await line(sim, { mtu: 1400 })
  const from = new Sink(a, PROBE)
  const to = new Sink(b, PROBE)
  from.send('fd00:2::1', pattern(1400))
  await sim.run(seconds(1))
  t.match(from.reports, [{ code: 'EMSGSIZE', reason: 'packetTooBig', mtu: 1400, from: 'fd00:1::fe' }])
  from.send('fd00:2::1', pattern(1400))
  await sim.run(seconds(1))
  t.match(to.got, [{ octets: pattern(1400) }], 'in fragments now')
  t.equal(from.send('fd00:2::1', pattern(1400), { dontFragment: true }), true)
  from.send('fd00:2::1', pattern(8), { ttl: 1 })
  from.send('2001:db8::1', pattern(8))
  from.send('fd00:2::77', pattern(8))
  await sim.run(seconds(10))
  t.match(from.reports.slice(1), [
    { code: 'EMSGSIZE', mtu: 1400, from: 'fd00:1::1' },
    { code: 'EHOSTUNREACH', reason: 'timeExceeded', from: 'fd00:1::fe' },
    { code: 'ENETUNREACH', reason: 'netUnreachable', from: 'fd00:1::fe' },
    { code: 'EHOSTUNREACH', reason: 'hostUnreachable' },
  ])
  t.match(drops(r), { packetTooBig: 1, ttlExceeded: 1, noRoute: 1, hostUnreachable: 1 })
})

scenario('what is link-local stays on its link', async (t, sim) => {
  const { a, r, b } = await line(sim)
  const from = new Sink(a, PROBE)
  t.equal(from.send(linkLocal(b), pattern(8)), true)
  await sim.run(seconds(10))
  t.match(from.reports, [{ code: 'EHOSTUNREACH', from: linkLocal(a) }], 'nobody there has it')
  const router = new Sink(r, PROBE)
  t.equal(router.send(linkLocal(a), pattern(1)), 'ENETUNREACH', 'which of the links?')
  t.equal(router.send(linkLocal(a), pattern(1), { link: r.linkIndex('eth0') }), true)
  t.equal(router.send('ff02::1', pattern(2), { link: r.linkIndex('eth0') }), true)
  await sim.run(seconds(1))
  const fromRouter = from.got.map(({ source, destination }) => `${source} ${destination}`).sort()
  t.same(
    fromRouter,
    [linkLocal(a), 'ff02::1'].map((to) => `${linkLocal(r, 'eth0')} ${to}`),
  )
  t.not(linkLocal(r, 'eth0'), linkLocal(r, 'eth1'), 'each link has one of its own')
  const foreign = new Sink(a, 254)
  t.equal(foreign.send('fd00:2::1', pattern(3), { source: linkLocal(a) }), true)
  await sim.run(seconds(1))
  t.equal(drops(r).scope, 1, 'not sent on (RFC 4291 §2.5.6)')
})

scenario('to ourselves', async (t, sim) => {
  const { a } = await line(sim)
  const sink = new Sink(a, PROBE)
  for (const address of ['::1', 'fd00:1::1', linkLocal(a)]) {
    t.equal(sink.send(address, pattern(5)), true)
    await sim.run(1)
    t.match(sink.got.pop(), { source: address, destination: address })
  }
  t.equal(sink.send('fd00:2::1', pattern(5), { source: '::1' }), 'EADDRNOTAVAIL')
})

scenario('addresses come and go', async (t, sim) => {
  const { a, b } = await line(sim)
  const from = new Sink(a, PROBE)
  const to = new Sink(b, PROBE)
  t.throws(() => a.control.addAddress('eth0', 'fd00:1::1/64'), { code: 'EEXIST' })
  t.throws(() => a.control.addAddress('eth0', 'ff02::1/64'), { code: 'ERR_INVALID_ARG_VALUE' })
  t.throws(() => a.control.addAddress('eth0', '::1/64'), { code: 'ERR_INVALID_ARG_VALUE' })
  b.control.addAddress('eth0', 'fd00:2:0:0:5::1/128')
  await sim.run(SETTLED)
  from.send('fd00:2:0:0:5::1', pattern(1))
  await sim.run(seconds(1))
  t.match(to.got, [{ destination: 'fd00:2::5:0:0:1' }])
  t.equal(b.control.removeAddress('eth0', 'fd00:2:0:0:5::1'), true)
  t.equal(b.control.removeAddress('eth0', 'fd00:2:0:0:5::1'), false)
  from.send('fd00:2:0:0:5::1', pattern(1))
  await sim.run(seconds(1))
  t.equal(to.got.length, 1)
  t.equal(from.send('fd00:2::1', pattern(1), { source: 'fd00:1::1' }), true)
  t.equal(a.control.removeAddress('eth0', 'fd00:1::1'), true)
  t.equal(from.send('fd00:2::1', pattern(1), { source: 'fd00:1::1' }), 'EADDRNOTAVAIL')
  t.same(
    a.control.routes.list().map(({ prefix }) => prefix),
    ['::/0'],
    'its network goes with it',
  )
  await sim.run(seconds(1))
  t.equal(to.got.length, 2)
  t.equal(from.send('fd00:2::1', pattern(1)), true)
  await sim.run(seconds(1))
  t.equal(to.got.length, 2, 'a link-local source is not sent on')
})

scenario('both families on one link', async (t, sim) => {
  const wire = cable()
  const both = (end: CableEnd, n: number) =>
    stack(end, ethernet(), ip(ipv4({ address: `10.0.0.${n}/24` }), ipv6({ address: `fd00::${n}/64` })))
  const a = new Sink(sim.boot('A', both(wire[0], 1)).top, PROBE)
  const b = new Sink(sim.boot('B', both(wire[1], 2)).top, PROBE)
  await sim.run(SETTLED)
  a.send('fd00::2', pattern(6))
  a.send('10.0.0.2', pattern(4))
  await sim.run(seconds(1))
  t.match(b.got, [
    { source: 'fd00::1', octets: pattern(6) },
    { source: '10.0.0.1', octets: pattern(4) },
  ])
  t.match(a.network.boundary.reasons.short, /RFC 1122.*RFC 8200/, 'what is alike has the standards of both')
})

scenario('two links with the same address in front of them', async (t, sim) => {
  const same = ['02:00:00:00:00:01', '02:00:00:00:00:01'] as const
  const wires = same.map(() => cable())
  const links = Object.fromEntries(
    wires.map(([end], i) => [`eth${i}`, stack(end, ethernet({ address: same[i] as string }))]),
  )
  const node = sim.boot('R', stack(beside(links), ip(ipv6({ interfaceIdentifier: 'eui64' })))).top
  t.equal(linkLocal(node, 'eth0'), 'fe80::ff:fe00:1', 'made of the link’s own (RFC 4291, appendix A)')
  t.equal(linkLocal(node, 'eth1'), 'fe80::ff:fe00:1', 'it may be the same on another link')
  node.detach('eth1')
  const hosts = wires.map(([, end], i) => new Sink(sim.boot(`H${i}`, host(end)).top, PROBE))
  await sim.run(SETTLED)
  t.equal(hosts[0]?.send('fe80::ff:fe00:1', pattern(1)), true)
  const sink = new Sink(node, PROBE)
  await sim.run(seconds(1))
  t.equal(sink.got.length, 1)
})

scenario('a link that is too narrow', async (t, sim) => {
  const [end] = cable({ mtu: 1279 })
  t.throws(() => sim.boot('A', host(end)), { code: 'EINVAL', reason: 'mtuTooSmall' })
})

scenario('a gateway by its link-local address', async (t, sim) => {
  const [left, right] = [cable(), cable()]
  const r = sim.boot(
    'R',
    router([left[1], right[0]], { addresses: { eth0: 'fd00:1::fe/64', eth1: 'fd00:2::fe/64' } }),
  ).top
  const gateway = linkLocal(r, 'eth0')
  const a = new Sink(sim.boot('A', host(left[0], { address: 'fd00:1::1/64', gateway })).top, PROBE)
  const links = { far: stack(right[1], ethernet()) }
  const named = { addresses: { far: 'fd00:2::1/64' }, gateway: `${linkLocal(r, 'eth1')}%far` }
  const b = new Sink(sim.boot('B', stack(beside(links), ip(ipv6(named)))).top, PROBE)
  await sim.run(SETTLED)
  a.send('fd00:2::1', pattern(7))
  b.send('fd00:1::1', pattern(9))
  await sim.run(seconds(1))
  t.match(b.got, [{ source: 'fd00:1::1' }])
  t.match(a.got, [{ source: 'fd00:2::1' }])
  for (const gateway of ['ff02::1', 'fd00::1%eth0', '10.0.0.1', '::1']) {
    t.throws(() => ipv6({ gateway }), { code: 'ERR_INVALID_ARG_VALUE' }, gateway)
  }
})
