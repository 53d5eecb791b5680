/** IPv6 end to end in virtual time: hosts and routers on cables. */
import { cable } from '../../../../layers/physical/cable.ts'
import { seconds } from '../../../../src/kernel/clock.ts'
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
