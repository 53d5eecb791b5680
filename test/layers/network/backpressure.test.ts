/** Routers between fast links and slow ones: with PAUSE nothing is lost, without it the queue overflows. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { ethernet } from '../../../layers/datalink/ethernet/ethernet.ts'
import { ip } from '../../../layers/network/ip.ts'
import { ipv4 } from '../../../layers/network/ipv4/ipv4.ts'
import { cable } from '../../../layers/physical/cable.ts'
import { type Duration, ms } from '../../../src/kernel/clock.ts'
import { packetsInUse, poisonReleased } from '../../../src/kernel/packet.ts'
import { beside, stack } from '../../../src/kernel/stack.ts'
import { Simulation } from '../../../src/runtime/simulation.ts'
import { pattern, Sink } from './ipv4/stand.ts'

poisonReleased(true)

const UDP = 17

interface Trial {
  readonly pause: boolean
  /** Stations that send at once, each on a fast link of its own. */
  readonly sources: number
  /** How many times as fast the links of the sources are as the one to the sink, of 10 Mbit/s. */
  readonly times: number
  readonly delay: Duration
  readonly octets: number
  /** Each source sends as many. */
  readonly datagrams: number
}

interface Outcome {
  readonly got: number
  /** Drops anywhere for want of room. */
  readonly full: number
}

/** Stations 10.0.i.2 flood 10.9.0.2 through a router, as fast as their links take it. */
async function flood({ pause, sources, times, delay, octets, datagrams }: Trial): Promise<Outcome> {
  const sim = new Simulation({ seed: 1 })
  const fast = Array.from({ length: sources }, () => cable({ rate: times * 10_000_000, delay, queue: 64 }))
  // Room for what is under way, and in the queues of the lines of the sources, when they are told.
  const slow = cable({ rate: 10_000_000, queue: 1024 })
  const far = sim.boot(
    'far',
    stack(slow[1], ethernet({ pause }), ip(ipv4({ address: '10.9.0.2/24', gateway: '10.9.0.1' }))),
  )
  const links = Object.fromEntries(
    [slow[0], ...fast.map(([end]) => end)].map((end, i) => [`eth${i}`, stack(end, ethernet({ pause }))]),
  )
  const addresses = Object.fromEntries([
    ['eth0', '10.9.0.1/24'],
    ...fast.map((_, i) => [`eth${i + 1}`, `10.0.${i}.1/24`]),
  ])
  const middle = sim.boot('router', stack(beside(links), ip(ipv4({ forwarding: true, addresses }))))
  const near = fast.map(([, end], i) => {
    const options = { address: `10.0.${i}.2/24`, gateway: `10.0.${i}.1` }
    return sim.boot(`near ${i}`, stack(end, ethernet({ pause }), ip(ipv4(options))))
  })
  const sink = new Sink(far.top, UDP)
  const senders = near.map(({ top }) => ({ to: new Sink(top, UDP), sent: 0, open: true, readies: 0 }))
  for (const { to } of senders) to.send('10.9.0.2', pattern(8)) // Neighbours are found.
  await sim.run(ms(100))
  for (let i = 0; i < 20_000 && senders.some(({ sent }) => sent < datagrams); i++) {
    for (const sender of senders) {
      if (sender.to.readies > sender.readies) sender.open = true
      sender.readies = sender.to.readies
      while (sender.open && sender.sent++ < datagrams)
        sender.open = sender.to.send('10.9.0.2', pattern(octets)) === true
    }
    await sim.run(ms(1))
  }
  await sim.run(ms(2000))
  const all = [far, middle, ...near].flatMap(({ boundaries }) => [...boundaries])
  const full = all.reduce((sum, { drops }) => sum + (drops.get('queueFull') ?? 0), 0)
  await sim.close()
  return { got: sink.got.length - sources, full }
}

t.test('two fast links into a slow one', async (t) => {
  const before = packetsInUse()
  const trial = { sources: 2, times: 10, delay: ms(0.2), octets: 1000, datagrams: 1000 }
  const without = await flood({ ...trial, pause: false })
  t.ok(without.full > 500, `${without.full} dropped without PAUSE`)
  t.equal(without.got + without.full, 2000)
  t.strictSame(await flood({ ...trial, pause: true }), { got: 2000, full: 0 })
  t.equal(packetsInUse(), before)
})

t.test('whatever the links are, nothing is lost', async (t) => {
  const trials = fc.record({
    sources: fc.integer({ min: 1, max: 3 }),
    times: fc.integer({ min: 1, max: 20 }),
    delay: fc.integer({ min: 0, max: ms(0.2) }),
    octets: fc.integer({ min: 64, max: 1400 }),
  })
  const lossless = fc.asyncProperty(trials, async (trial) => {
    const outcome = await flood({ ...trial, pause: true, datagrams: 1400 })
    assert.deepEqual(outcome, { got: trial.sources * 1400, full: 0 })
  })
  await t.resolves(fc.assert(lossless, { numRuns: 6 }))
})
