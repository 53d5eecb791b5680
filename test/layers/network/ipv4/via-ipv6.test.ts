/** Routes of IPv4 by IPv6 next hops (RFC 9229): links without IPv4 addresses carry IPv4, and errors have a source (RFC 7600). */
import t, { type Test } from 'tap'
import { ethernet } from '../../../../layers/datalink/ethernet/ethernet.ts'
import { ipv6 } from '../../../../layers/network/ipv6/ipv6.ts'
import type { NetworkService } from '../../../../layers/network/service.ts'
import { type CableEnd, cable } from '../../../../layers/physical/cable.ts'
import { parseAddress } from '../../../../src/kernel/address.ts'
import { ms, seconds } from '../../../../src/kernel/clock.ts'
import { packetsInUse } from '../../../../src/kernel/packet.ts'
import { beside, stack } from '../../../../src/kernel/stack.ts'
import { Simulation } from '../../../../src/runtime/simulation.ts'
import { drops, host, type Ipv4Options, ip, ipv4, pattern, Sink } from './stand.ts'

const PROBE = 253
const DUMMY = '192.0.0.8'

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

/** A router of both families, whose links have link-local addresses whatever IPv4 does. */
function router(ends: readonly CableEnd[], options: Ipv4Options = {}) {
  const links = Object.fromEntries(ends.map((end, i) => [`eth${i}`, stack(end, ethernet())]))
  return stack(beside(links), ip(ipv4({ forwarding: true, ...options }), ipv6({ forwarding: true })))
}

const linkLocal = (node: NetworkService, link: string): string =>
  (node.control.links().find(({ name }) => name === link)?.addresses ?? [])
    .map((address) => address.split('/')[0] as string)
    .find((address) => address.startsWith('fe80')) as string

/**
 * A 10.0.1.1 – R 10.0.1.254 – M – S 10.0.9.254 – B 10.0.9.1. Between the routers there is no IPv4 address; M has none.
 */
async function chain(sim: Simulation, mtu = 1500) {
  const [left, first, second, right] = [cable(), cable(), cable({ mtu }), cable()]
  const a = sim.boot('A', host(left[0], { address: '10.0.1.1/24', gateway: '10.0.1.254' })).top
  const r = sim.boot('R', router([left[1], first[0]], { addresses: { eth0: '10.0.1.254/24' } })).top
  const m = sim.boot('M', router([first[1], second[0]])).top
  const s = sim.boot('S', router([second[1], right[0]], { addresses: { eth1: '10.0.9.254/24' } })).top
  const b = sim.boot('B', host(right[1], { address: '10.0.9.1/24', gateway: '10.0.9.254' })).top
  await sim.run(seconds(3)) // link-local addresses are ours only once nobody objects
  r.control.routes.add({ prefix: '10.0.9.0/24', via: linkLocal(m, 'eth0'), link: 'eth1' })
  m.control.routes.add({ prefix: '10.0.9.0/24', via: linkLocal(s, 'eth0'), link: 'eth1' })
  m.control.routes.add({ prefix: '10.0.1.0/24', via: linkLocal(r, 'eth1'), link: 'eth0' })
  s.control.routes.add({ prefix: '10.0.1.0/24', via: linkLocal(m, 'eth1'), link: 'eth0' })
  return { a, r, m, s, b }
}

scenario('packets go there and back over links without IPv4 addresses', async (t, sim) => {
  const { a, r, m, b } = await chain(sim)
  const [near, far] = [new Sink(a, PROBE), new Sink(b, PROBE)]
  near.send('10.0.9.1', pattern(100, 1))
  near.send('10.0.9.1', pattern(100, 2)) // waits for the same neighbours
  await sim.run(ms(100))
  t.same(
    far.got.map(({ source, ttl, octets }) => [source, ttl, octets]),
    [
      ['10.0.1.1', 61, pattern(100, 1)],
      ['10.0.1.1', 61, pattern(100, 2)],
    ],
  )
  far.send('10.0.1.1', pattern(4000, 3)) // in fragments
  await sim.run(ms(100))
  t.same(near.got[0]?.octets, pattern(4000, 3))
  const found = (node: NetworkService, link: string) =>
    node.control.neighbours().flatMap((entry) => (entry.link === link ? [entry.address] : []))
  t.same(found(r, 'eth1'), [linkLocal(m, 'eth0')], 'found by Neighbour Discovery alone')
})

scenario('a router sends by such a link from an address of another one', async (t, sim) => {
  const { r, m, b } = await chain(sim)
  const [sink, far] = [new Sink(r, PROBE), new Sink(b, PROBE)]
  t.equal(sink.send('10.0.9.1', pattern(10)), true)
  t.equal(sink.send('10.0.9.1', pattern(10), { link: 2 }), true, 'also where the link is named')
  await sim.run(ms(100))
  t.same(
    far.got.map(({ source }) => source),
    ['10.0.1.254', '10.0.1.254'],
  )
  t.equal(new Sink(m, PROBE).send('10.0.9.1', pattern(10)), 'EADDRNOTAVAIL', 'there must be one')
})

scenario('errors have a source, whether the router has an address or not', async (t, sim) => {
  const { a } = await chain(sim)
  const sink = new Sink(a, PROBE)
  for (const ttl of [1, 2, 3]) {
    sink.send('10.0.9.1', pattern(20), { ttl })
    await sim.run(ms(100))
  }
  t.same(
    sink.reports.map(({ from, reason }) => [from, reason]),
    [
      ['10.0.1.254', 'timeExceeded'],
      [DUMMY, 'timeExceeded'],
      ['10.0.9.254', 'timeExceeded'],
    ],
  )
})

scenario('a path MTU is learnt from a router without addresses', async (t, sim) => {
  const { a, b } = await chain(sim, 1300)
  const [near, far] = [new Sink(a, PROBE), new Sink(b, PROBE)]
  near.send('10.0.9.1', pattern(1400), { dontFragment: true })
  await sim.run(ms(100))
  t.same(
    near.reports.map(({ from, mtu }) => [from, mtu]),
    [[DUMMY, 1300]],
  )
  near.send('10.0.9.1', pattern(1280), { dontFragment: true })
  await sim.run(ms(100))
  t.equal(far.got.length, 1)
})

scenario('nobody at the next hop: the sender hears of it in its own family', async (t, sim) => {
  const { a, r } = await chain(sim)
  r.control.routes.add({ prefix: '10.0.77.0/24', via: 'fe80::dead', link: 'eth1' })
  const sink = new Sink(a, PROBE)
  sink.send('10.0.77.1', pattern(20))
  await sim.run(seconds(10))
  t.same(
    sink.reports.map(({ from, code }) => [from, code]),
    [['10.0.1.254', 'EHOSTUNREACH']],
  )
  t.equal(drops(r).hostUnreachable, 1)
})

scenario('a dead next hop is doubted, and what answers is confirmed', async (t, sim) => {
  const { r, m } = await chain(sim)
  const stateOf = () => r.control.neighbours().find(({ address }) => address === linkLocal(m, 'eth0'))?.state
  const sink = new Sink(r, PROBE)
  sink.send('10.0.9.1', pattern(20))
  await sim.run(seconds(60))
  t.equal(stateOf(), 'stale')
  r.confirm(parseAddress('10.0.9.1'))
  t.equal(stateOf(), 'reachable')
  r.doubt(parseAddress('10.0.9.1'))
  t.equal(stateOf(), 'probe')
})

scenario('equal ways by both families share the flows', async (t, sim) => {
  const [left, right] = [cable(), cable()]
  const addresses = { eth0: '10.0.2.1/24' }
  const r = sim.boot('R', router([left[0], right[0]], { addresses })).top
  const s = sim.boot('S', router([left[1], right[1]], { addresses: { eth0: '10.0.2.2/24', eth1: '10.0.9.1/24' } })).top
  await sim.run(seconds(3))
  r.control.routes.add({ prefix: '10.0.9.0/24', via: '10.0.2.2' })
  r.control.routes.add({ prefix: '10.0.9.0/24', via: linkLocal(s, 'eth1'), link: 'eth1' })
  s.control.routes.add({ prefix: '10.0.2.1/32', via: '10.0.2.1' })
  const [sink, far] = [new Sink(r, 17), new Sink(s, 17)]
  const flows = Array.from({ length: 40 }, (_, port) => port)
  for (const port of flows) sink.send('10.0.9.1', Uint8Array.of(9, port, 0, 53, 0, 8, 0, 0))
  await sim.run(ms(100))
  t.equal(far.got.length, flows.length)
  const carried = [0, 1].map(
    (i) =>
      sim.nodes
        .get('R')
        ?.snapshot()
        .find(({ name }) => name === `R/eth${i}/ethernet`)?.txPackets ?? 0,
  )
  t.ok(Math.min(...carried) > 8, `both are used: ${carried}`)
})

t.test('routes that cannot be', async (t) => {
  const sim = new Simulation()
  const [one, other] = cable()
  const only = sim.boot('only IPv4', host(one, { address: '10.0.1.1/24' })).top
  const both = sim.boot('both', router([other])).top
  const add = (node: NetworkService, prefix: string, via: string, link?: string) => () =>
    node.control.routes.add({ prefix, via, ...(link === undefined ? {} : { link }) })
  t.throws(add(only, '10.0.9.0/24', 'fe80::1', 'eth0'), { code: 'ERR_INVALID_ARG_VALUE' }, 'the node has no IPv6')
  t.throws(add(both, 'fd00::/64', '10.0.1.1', 'eth0'), { code: 'ERR_INVALID_ARG_VALUE' }, 'IPv6 by IPv4')
  t.throws(add(both, '10.0.9.0/24', 'fe80::1'), { code: 'ENETUNREACH' }, 'on which link?')
  await sim.close()
})
