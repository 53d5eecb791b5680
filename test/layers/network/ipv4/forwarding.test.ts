/** Forwarding over several equal ways, what routes that lead nowhere answer, and the reverse path check. */
import t, { type Test } from 'tap'
import { type CableEnd, cable } from '../../../../layers/physical/cable.ts'
import { parseAddress } from '../../../../src/kernel/address.ts'
import { seconds } from '../../../../src/kernel/clock.ts'
import { packetsInUse } from '../../../../src/kernel/packet.ts'
import { Simulation } from '../../../../src/runtime/simulation.ts'
import { drops, host, type Ipv4Options, pattern, router, Sink } from './stand.ts'

const UDP = 17
const PROBE = 253

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

/** A – R with three cables to S – B: 10.0.1.1 and 10.0.9.1, the cables 10.0.2 to 10.0.4. */
function diamond(sim: Simulation, mtus: readonly number[] = [1500, 1500, 1500], options: Ipv4Options = {}) {
  const left = cable()
  const right = cable()
  const middle = mtus.map((mtu) => cable({ mtu }))
  const to = (prefix: string, far: number) => middle.map((_, i) => ({ prefix, via: `10.0.${i + 2}.${far}`, metric: 5 }))
  const addresses = (near: number) =>
    Object.fromEntries(middle.map((_, i) => [`eth${i + 1}`, `10.0.${i + 2}.${near}/24`]))
  const r = router([left[1], ...middle.map(([end]) => end)], {
    addresses: { eth0: '10.0.1.254/24', ...addresses(1) },
    routes: to('10.0.9.0/24', 2),
  })
  const s = router([right[1], ...middle.map(([, end]) => end)], {
    addresses: { eth0: '10.0.9.254/24', ...addresses(2) },
    routes: to('10.0.1.0/24', 1),
    ...options,
  })
  const a = sim.boot('A', host(left[0], { address: '10.0.1.1/24', gateway: '10.0.1.254' })).top
  const b = sim.boot('B', host(right[0], { address: '10.0.9.1/24', gateway: '10.0.9.254' })).top
  return { a, b, r: sim.boot('R', r).top, s: sim.boot('S', s).top, middle }
}

/** Octets of a UDP header with these ports, and a payload. */
function datagram(sourcePort: number, octets = 20): Uint8Array {
  const segment = pattern(8 + octets, sourcePort)
  segment.set([sourcePort >> 8, sourcePort & 255, 0, 53, 0, 8 + octets, 0, 0])
  return segment
}

/** IPv4 packets that each link of R has carried to S. */
function carried(sim: Simulation, node = 'R'): number[] {
  const boundaries = sim.nodes.get(node)?.snapshot() ?? []
  return [1, 2, 3].map((i) => {
    const link = boundaries.find(({ name }) => name === `${node}/eth${i}/ethernet`)
    return link?.txPackets ?? 0
  })
}

scenario('flows are spread over equal ways, each in order, and survive the loss of one', async (t, sim) => {
  const { a, b, r, middle } = diamond(sim)
  const from = new Sink(a, UDP)
  const to = new Sink(b, UDP)
  const round = async () => {
    to.got.length = 0
    const before = carried(sim)
    // Few at a time, so that none is lost while neighbours are looked for.
    for (let port = 1; port <= 300; port++) {
      from.send('10.0.9.1', datagram(port))
      if (port % 10 === 0) await sim.run(seconds(0.1))
    }
    await sim.run(seconds(5))
    t.equal(to.got.length, 300)
    return carried(sim).map((count, i) => count - (before[i] as number))
  }
  await round()
  const shares = await round()
  for (const share of shares) t.ok(share > 60, `${shares}`)
  middle[1]?.link.unplug()
  const without = await round()
  t.ok((without[0] as number) > 100 && (without[2] as number) > 100 && without[1] === 0, `${without}`)
  t.strictSame(drops(r), {})
  const before = carried(sim)
  for (let i = 0; i < 50; i++) from.send('10.0.9.1', datagram(77))
  await sim.run(seconds(1))
  const one = carried(sim).map((count, i) => count - (before[i] as number))
  t.equal(one.filter((count) => count >= 50).length, 1, `one flow, one way: ${one}`)
})

scenario('the fragments of a datagram go one way', async (t, sim) => {
  const { a, b } = diamond(sim)
  const from = new Sink(a, UDP)
  const to = new Sink(b, UDP)
  for (let port = 1; port <= 30; port++) {
    from.send('10.0.9.1', datagram(port, 4000))
    await sim.run(seconds(1))
  }
  t.equal(to.got.length, 30)
  t.equal(carried(sim).filter((count) => count >= 90).length, 1, `${carried(sim)}`)
})

scenario(
  'a router of several ways spreads what it sends itself, and offers what the narrowest carries',
  async (t, sim) => {
    const { r, b } = diamond(sim, [1500, 1300, 1400])
    const from = new Sink(r, UDP)
    const to = new Sink(b, UDP)
    for (let port = 1; port <= 60; port++) {
      t.equal(from.send('10.0.9.1', datagram(port), { source: '10.0.1.254' }), true)
      await sim.run(seconds(0.2))
    }
    t.equal(from.path.mtu, 1300)
    t.equal(from.path.linkMtu, 1300)
    t.equal(to.got.length, 60)
    for (const count of carried(sim)) t.ok(count > 8, `${carried(sim)}`)
  },
)

scenario('a TCP-like transport that doubts a destination doubts all ways', async (t, sim) => {
  const { r } = diamond(sim)
  const from = new Sink(r, UDP)
  for (let port = 1; port <= 60; port++) {
    from.send('10.0.9.1', datagram(port))
    await sim.run(seconds(0.1))
  }
  r.doubt(parseAddress('10.0.9.1'))
  const states = r.control.neighbours().filter(({ address }) => address.endsWith('.2'))
  t.strictSame(
    states.map(({ state }) => state),
    ['probe', 'probe', 'probe'],
  )
})

scenario('routes that lead nowhere answer as their action says', async (t, sim) => {
  const left = cable()
  const a = sim.boot('A', host(left[0], { address: '10.0.1.1/24', gateway: '10.0.1.254' })).top
  const routes = (['blackhole', 'unreachable', 'prohibit'] as const).map((action, i) => ({
    prefix: `192.0.${i}.0/24`,
    action,
  }))
  const r = sim.boot('R', router([left[1]], { address: '10.0.1.254/24', routes })).top
  const from = new Sink(a, PROBE)
  for (const destination of ['192.0.0.1', '192.0.1.1', '192.0.2.1', '198.51.100.1']) {
    from.send(destination, pattern(10))
    await sim.run(seconds(1))
  }
  t.strictSame(
    from.reports.map(({ code, reason, from }) => `${code} ${reason} ${from}`),
    [
      'EHOSTUNREACH hostUnreachable 10.0.1.254',
      'EHOSTUNREACH prohibited 10.0.1.254',
      'ENETUNREACH netUnreachable 10.0.1.254',
    ],
  )
  t.strictSame(drops(r), { blackhole: 1, unreachableRoute: 1, prohibited: 1, noRoute: 1 })
})

/** R between A (10.0.1.1) and B (10.0.2.1), who says that he is somebody else. */
function liar(sim: Simulation, reversePath: Ipv4Options['reversePath']) {
  const [left, right] = [cable(), cable()]
  const a = sim.boot('A', host(left[0] as CableEnd, { address: '10.0.1.1/24', gateway: '10.0.1.254' })).top
  const addresses = { eth0: '10.0.1.254/24', eth1: '10.0.2.254/24' }
  const r = sim.boot('R', router([left[1], right[0]], { addresses, reversePath })).top
  const options = { addresses: { eth0: ['10.0.2.1/24', '10.0.1.7/32', '198.51.100.7/32'] }, gateway: '10.0.2.254' }
  const b = sim.boot('B', host(right[1] as CableEnd, options)).top
  return { r, from: new Sink(b, PROBE), to: new Sink(a, PROBE) }
}

for (const [reversePath, passed] of [
  ['strict', ['10.0.2.1']],
  ['loose', ['10.0.2.1', '10.0.1.7']],
  [false, ['10.0.2.1', '10.0.1.7', '198.51.100.7']],
] as const) {
  scenario(`the reverse path check: ${reversePath}`, async (t, sim) => {
    const { r, from, to } = liar(sim, reversePath)
    for (const source of ['10.0.2.1', '10.0.1.7', '198.51.100.7']) {
      from.send('10.0.1.1', pattern(10), { source })
      await sim.run(seconds(2))
    }
    t.strictSame(
      to.got.map(({ source }) => source),
      passed,
    )
    t.equal(drops(r).reversePath ?? 0, 3 - passed.length)
  })
}

scenario('any of several equal ways back will do', async (t, sim) => {
  const { s, a, b } = diamond(sim, undefined, { reversePath: 'strict' })
  const from = new Sink(a, UDP)
  const to = new Sink(b, UDP)
  for (let port = 1; port <= 30; port++) {
    from.send('10.0.9.1', datagram(port))
    await sim.run(seconds(0.1))
  }
  t.equal(to.got.length, 30)
  t.strictSame(drops(s), {})
})

t.test('an unknown reverse path check is refused', async (t) => {
  t.throws(() => router([], { reversePath: 'maybe' as 'strict' }), { code: 'ERR_INVALID_ARG_VALUE' })
})
