import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { type CableOptions, cable } from '../../../layers/physical/cable.ts'
import type { LineOptions } from '../../../layers/physical/line.ts'
import { ms } from '../../../src/kernel/clock.ts'
import { Packet, packetsInUse, poisonReleased } from '../../../src/kernel/packet.ts'
import { boot } from '../../../src/runtime/real-time.ts'
import { Simulation } from '../../../src/runtime/simulation.ts'
import { physicalConformance } from '../../conformance/physical.ts'
import { arrivals, dropsOf, marked, pairOf } from './ends.ts'

poisonReleased(true)

await physicalConformance(t, 'a cable', { make: () => pairOf(cable()) })
await physicalConformance(t, 'a slow, long cable', {
  make: () => pairOf(cable({ rate: 50_000_000, delay: ms(40), queue: 200 })),
})
await physicalConformance(t, 'a long cable', { make: () => pairOf(cable({ delay: ms(40) })) })
await physicalConformance(t, 'a cable with a short queue', { burst: 16, make: () => pairOf(cable({ queue: 16 })) })
await physicalConformance(t, 'a cable for Ethernet with offload', {
  make: () => pairOf(cable({ medium: 'ethernet', offload: true, mtu: 9000 })),
})

t.test('the MTU is that of the network packet; each medium adds its own', async (t) => {
  const mtu = (ends: ReturnType<typeof cable>) => pairOf(ends).near.mtu
  t.equal(mtu(cable()), 1518)
  t.equal(mtu(cable({ mtu: 9000 })), 9018)
  t.equal(pairOf(cable({ medium: 'ethernet' })).near.mtu, 1514)
  t.equal(pairOf(cable({ medium: 'ip', mtu: 1280 })).near.mtu, 1280)
})

t.test('time is exact: serialisation, then delay', async (t) => {
  const { sim, near, far } = pairOf(cable({ rate: 10_000_000, delay: ms(10) }))
  const seen = arrivals(sim, far)
  near.send(marked(near, 1250, 1), undefined) // 1000 us
  near.send(marked(near, 64, 2), undefined) // 51.2 us
  near.send(marked(near, 64, 3), undefined)
  await sim.run(ms(20))
  near.send(marked(near, 125, 4), undefined) // an idle transmitter starts at once
  await sim.run(ms(20))
  t.strictSame(seen, [
    [11_000, 1],
    [11_051, 2],
    [11_102, 3],
    [30_100, 4],
  ])
  await sim.close()
})

t.test('fractions of a microsecond add up instead of being lost', async (t) => {
  const { sim, near, far } = pairOf(cable({ rate: 10_000_000, queue: 2000 }))
  const seen = arrivals(sim, far)
  for (let i = 0; i < 1000; i++) near.send(marked(near, 64, i & 255), undefined)
  await sim.run(ms(100))
  t.equal(seen.at(-1)?.[0], 51_200)
  await sim.close()
})

t.test('a batch per turn, and the rest at the same instant', async (t) => {
  const { sim, near, far } = pairOf(cable({ batch: 10, queue: 100 }))
  const seen = arrivals(sim, far)
  for (let i = 0; i < 25; i++) near.send(marked(near, 60, i), undefined)
  const sizes: number[] = []
  await sim.runUntil(() => {
    sizes.push(seen.length)
    return false
  })
  t.strictSame(sizes, [0, 10, 20, 25])
  t.ok(seen.every(([at], i) => at === 0 && seen[i]?.[1] === i))
  await sim.close()
})

t.test('packets change hands: they are not copied', async (t) => {
  const { sim, near, far } = pairOf(cable())
  const packet = marked(near, 100, 1)
  let got: Packet | undefined
  far.boundary.attach({
    receive(packet) {
      got = packet
      packet.release()
    },
  })
  near.send(packet, undefined)
  await sim.run(1)
  t.equal(got, packet)
  await sim.close()
})

t.test('a full queue drops, and opens at a quarter', async (t) => {
  const { sim, near, far } = pairOf(cable({ rate: 8_000_000, queue: 8 }))
  const readies: number[] = []
  near.boundary.attach({ receive: (packet) => packet.release(), ready: () => readies.push(sim.now()) })
  const seen = arrivals(sim, far)
  const answers = Array.from({ length: 10 }, (_, i) => near.send(marked(near, 100, i), undefined))
  t.strictSame(answers, [true, true, true, false, false, false, false, false, false, false])
  t.strictSame(dropsOf(near), { queueFull: 2 })
  await sim.run(ms(10))
  t.equal(seen.length, 8)
  t.strictSame(readies, [600], 'when two of eight are left')
  await sim.close()
})

t.test('the same without a rate: what waits is what the next turns deliver', async (t) => {
  const { sim, near, far } = pairOf(cable({ queue: 8, batch: 3 }))
  const readies: number[] = []
  const seen = arrivals(sim, far)
  near.boundary.attach({ receive: (packet) => packet.release(), ready: () => readies.push(seen.length) })
  const answers = Array.from({ length: 10 }, (_, i) => near.send(marked(near, 100, i), undefined))
  t.strictSame(answers, [true, true, true, false, false, false, false, false, false, false])
  t.strictSame(dropsOf(near), { queueFull: 2 })
  await sim.run(1)
  t.equal(seen.length, 8)
  t.strictSame(readies, [6])
  await sim.close()
})

t.test('the ring grows wherever its head is', async (t) => {
  const { sim, near, far } = pairOf(cable({ queue: 1000, batch: 30 }))
  const seen = arrivals(sim, far)
  let sent = 0
  for (let turn = 0; turn < 5; turn++) {
    for (let i = 0; i < 50; i++) near.send(marked(near, 60, sent++ & 255), undefined)
    await sim.runUntil(() => seen.length >= 30 * (turn + 1))
  }
  await sim.run(1)
  t.strictSame(
    seen.map(([, mark]) => mark),
    Array.from({ length: 250 }, (_, i) => i),
  )
  await sim.close()
})

t.test('ready comes with the departure, not with the arrival', async (t) => {
  const { sim, near } = pairOf(cable({ rate: 8_000_000, delay: ms(500), queue: 8 }))
  const readies: number[] = []
  near.boundary.attach({ receive: (packet) => packet.release(), ready: () => readies.push(sim.now()) })
  for (let i = 0; i < 4; i++) near.send(marked(near, 100, i), undefined)
  await sim.run(ms(100))
  t.strictSame(readies, [200])
  await sim.close()
})

t.test('parameters change while it runs', async (t) => {
  const ends = cable({ rate: 8_000_000, delay: ms(10) })
  const { sim, near, far } = pairOf(ends)
  const seen = arrivals(sim, far)
  for (let i = 0; i < 4; i++) near.send(marked(near, 1000, i), undefined) // 1 ms each
  await sim.run(ms(1.5))
  // 0 is on the wire, 1 is being transmitted: only 2 and 3 go by the new rate.
  ends.link.set({ rate: 80_000_000 })
  await sim.run(ms(20))
  t.strictSame(seen, [
    [11_000, 0],
    [12_000, 1],
    [12_100, 2],
    [12_200, 3],
  ])
  near.send(marked(near, 1000, 4), undefined)
  ends.link.set({ delay: 0, rate: Number.POSITIVE_INFINITY })
  near.send(marked(near, 1000, 5), undefined)
  const now = sim.now()
  await sim.run(ms(20))
  t.strictSame(
    seen.slice(4).map(([at, mark]) => [at - now, mark]),
    [
      [100, 4],
      [100, 5],
    ],
    'what waits gets the new delay, and nothing overtakes the packet in transmission',
  )
  await sim.close()
})

t.test('a lower delay does not let packets overtake', async (t) => {
  const ends = cable({ delay: ms(100) })
  const { sim, near, far } = pairOf(ends)
  const seen = arrivals(sim, far)
  near.send(marked(near, 100, 1), undefined)
  await sim.run(1)
  ends.link.set({ delay: 0 })
  near.send(marked(near, 100, 2), undefined)
  await sim.run(ms(200))
  t.strictSame(seen, [
    [100_000, 1],
    [100_000, 2],
  ])
  near.send(marked(near, 100, 3), undefined)
  await sim.run(1)
  t.strictSame(seen.at(-1), [200_001, 3])
  await sim.close()
})

t.test('set concerns the direction it names, booted or not', async (t) => {
  const ends = cable()
  ends.link.set({ delay: ms(5) }, 'bToA')
  const { sim, near, far } = pairOf(ends)
  const atNear = arrivals(sim, near)
  const atFar = arrivals(sim, far)
  near.send(marked(near, 100, 1), undefined)
  far.send(marked(far, 100, 2), undefined)
  await sim.run(ms(10))
  t.strictSame([atFar, atNear], [[[0, 1]], [[5000, 2]]])
  await sim.close()
})

t.test('what is sent before the other end is booted waits until it arrives', async (t) => {
  const sim = new Simulation()
  const [a, b] = cable()
  const near = sim.boot('A', a).top
  near.send(marked(near, 100, 1), undefined)
  const seen = arrivals(sim, sim.boot('B', b).top)
  await sim.run(1)
  t.equal(seen.length, 1)
  await sim.close()
})

t.test('misuse throws at once', async (t) => {
  const [a, b] = cable()
  const sim = new Simulation()
  sim.boot('A', a)
  t.throws(() => sim.boot('B', a), { code: 'EBUSY', message: /in node A/ })
  t.throws(() => new Simulation().boot('B', b), { code: 'EINVAL', message: /another clock/ })
  sim.boot('C', b)
  await sim.close()
  const wrong: LineOptions[] = [
    { delay: -1 },
    { delay: 0.5 },
    { rate: 0 },
    { rate: Number.NaN },
    { queue: 0 },
    { queue: 1e6 },
    { batch: 0 },
  ]
  for (const options of wrong) {
    t.throws(() => cable(options), { code: 'ERR_OUT_OF_RANGE' })
    t.throws(() => cable().link.set(options), { code: 'ERR_OUT_OF_RANGE' })
  }
  t.throws(() => cable({ mtu: 0 }), { code: 'ERR_OUT_OF_RANGE' })
  t.throws(() => cable({ mtu: 65_536 }), { code: 'ERR_OUT_OF_RANGE' })
  t.throws(() => cable({ offload: true }), { code: 'ERR_INVALID_ARG_VALUE' })
  t.throws(() => cable({ medium: 'ip', offload: true, delay: 1 }), { code: 'ERR_INVALID_ARG_VALUE' })
  t.throws(() => cable({ medium: 'ip', offload: true }).link.set({ rate: 1 }), { code: 'ERR_INVALID_ARG_VALUE' })
  t.throws(() => cable({ medium: 'string' as 'ip' }), { code: 'ERR_INVALID_ARG_VALUE' })
  t.throws(() => cable().link.cut('a' as 'both'), { code: 'ERR_INVALID_ARG_VALUE' })
})

t.test('only a cable with offload takes super-segments, and vouches', async (t) => {
  const superSegment = (checksum: 'partial' | 'verified'): Packet => {
    const packet = Packet.take(0, 30_000)
    packet.put(30_000)
    packet.segmentOctets = 1460
    packet.checksum = checksum
    packet.checksumStart = packet.start + 34
    packet.headerOctets = 20
    return packet
  }
  const states: string[] = []
  for (const offload of [true, false]) {
    const { sim, near, far } = pairOf(cable({ medium: 'ethernet', offload }))
    far.boundary.attach({
      receive(packet) {
        states.push(packet.checksum)
        packet.release()
      },
    })
    near.send(superSegment('partial'), undefined)
    const verified = marked(near, 100, 1)
    verified.checksum = 'verified'
    near.send(verified, undefined)
    await sim.run(1)
    if (offload) t.equal(far.boundary.rxPackets, 22, 'counted as packets of the wire')
    else t.strictSame(dropsOf(near), { tooLong: 1 })
    await sim.close()
  }
  t.strictSame(states, ['partial', 'verified', 'none'])
})

t.test('bursts are delivered where neither delay nor rate keeps packets apart', async (t) => {
  const merges = async (options: CableOptions<'ethernet'>): Promise<boolean | undefined> => {
    const { sim, near } = pairOf(cable({ ...options, medium: 'ethernet' }))
    await sim.close()
    return near.offload.merge
  }
  t.equal(await merges({}), true)
  t.equal(await merges({ offload: true }), undefined, 'it has super-segments')
  t.equal(await merges({ delay: 1 }), undefined)
  t.equal(await merges({ rate: 1_000_000_000 }), undefined)
})

t.test('property: what is taken arrives, once, in order, and no sooner than it may', async (t) => {
  const options = fc.record({
    delay: fc.integer({ min: 0, max: 5000 }),
    rate: fc.oneof(fc.constant(Number.POSITIVE_INFINITY), fc.integer({ min: 100_000, max: 1_000_000_000 })),
    queue: fc.integer({ min: 1, max: 40 }),
    batch: fc.integer({ min: 1, max: 8 }),
  })
  const step = fc.oneof(
    { weight: 8, arbitrary: fc.record({ send: fc.integer({ min: 1, max: 1518 }) }) },
    { weight: 3, arbitrary: fc.record({ wait: fc.integer({ min: 0, max: 3000 }) }) },
    { weight: 1, arbitrary: fc.record({ set: options }) },
  )
  await fc.assert(
    fc.asyncProperty(options, fc.array(step, { maxLength: 60 }), async (first, steps) => {
      const ends = cable(first)
      const { sim, near, far } = pairOf(ends)
      const seen = arrivals(sim, far)
      const taken: [at: number, mark: number][] = []
      let count = 0
      let blocked = false
      near.boundary.attach({
        receive: (packet) => packet.release(),
        ready: () => {
          assert(blocked, 'ready only after false')
          blocked = false
        },
      })
      for (const step of steps) {
        if ('send' in step) {
          const before = near.boundary.drops.get('queueFull')
          const open = near.send(marked(near, step.send, count & 255), undefined)
          assert(!(open && blocked), 'false until ready')
          blocked = !open
          if (near.boundary.drops.get('queueFull') === before) taken.push([sim.now(), count & 255])
          count++
        } else if ('wait' in step) {
          await sim.run(step.wait)
        } else {
          ends.link.set(step.set)
        }
      }
      await sim.run(300_000_000)
      assert.equal(blocked, false)
      assert.deepEqual(
        seen.map(([, mark]) => mark),
        taken.map(([, mark]) => mark),
      )
      assert(seen.every(([at], i) => at >= (taken[i]?.[0] as number) && at >= (seen[i - 1]?.[0] ?? 0)))
      await sim.close()
      assert.equal(packetsInUse(), 0)
      assert.equal(sim.timers.size, 0)
    }),
    { numRuns: 200 },
  )
  t.pass()
})

t.test('it works on real time as well', async (t) => {
  const [a, b] = cable({ delay: ms(2) })
  const near = await boot(a, 'A')
  const far = await boot(b, 'B')
  const arrived = new Promise<number>((resolve) => {
    far.top.boundary.attach({
      receive(packet) {
        resolve(packet.length)
        packet.release()
      },
    })
  })
  const awake = setTimeout(() => {}, 10_000) // the stack's own timers do not keep the process alive
  near.top.send(marked(near.top, 123, 1), undefined)
  t.equal(await arrived, 123)
  clearTimeout(awake)
  await near.close()
  await far.close()
})
