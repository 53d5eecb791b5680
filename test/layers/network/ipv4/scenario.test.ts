/** IPv4 end to end in virtual time: hosts and routers on cables. */
import t, { type Test } from 'tap'
import { cable } from '../../../../layers/physical/cable.ts'
import { seconds } from '../../../../src/kernel/clock.ts'
import { packetsInUse } from '../../../../src/kernel/packet.ts'
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
function scenario(name: string, body: (test: Test, sim: Simulation) => Promise<void>): void {
  t.test(name, async (test) => {
    const before = packetsInUse()
    const sim = new Simulation()
    await body(test, sim)
    await sim.close()
    test.equal(packetsInUse(), before, 'every packet was released')
    test.equal(sim.timers.size, 0, 'no timer is left')
  })
}

scenario('two hosts on a cable', async (test, sim) => {
  const wire = cable()
  const a = new Sink(sim.boot('A', host(wire[0], { address: '10.0.0.1/24' })).top, PROBE)
  const b = new Sink(sim.boot('B', host(wire[1], { address: '10.0.0.2/24' })).top, PROBE)
  const payload = pattern(100)
  test.equal(a.send('10.0.0.2', payload), true)
  await sim.run(seconds(1))
  test.match(b.got, [{ source: '10.0.0.1', destination: '10.0.0.2', ttl: 64, octets: payload }])
  test.equal(b.send('10.0.0.1', pattern(5)), true)
  await sim.run(seconds(1))
  test.strictSame(a.got[0]?.octets, pattern(5), 'and back; padding of the short frame is gone')
})

scenario('over a router, in fragments and back together', async (test, sim) => {
  const { a, b, r } = line(sim, { mtu: 576 })
  const from = new Sink(a, PROBE)
  const to = new Sink(b, PROBE)
  for (const length of [0, 1, 1480, 1481, 9000, 65_515]) from.send('10.0.2.1', pattern(length, length))
  await sim.run(seconds(5))
  const lengths = to.got.map(({ octets }) => octets.length)
  test.strictSame(lengths, [0, 1, 1480, 1481, 9000, 65_515])
  for (const { octets, ttl } of to.got) {
    test.equal(
      Buffer.compare(octets, pattern(octets.length, octets.length)),
      0,
      `${octets.length} octets arrive intact`,
    )
    test.equal(ttl, 63)
  }
  test.strictSame(drops(r), {})
})
