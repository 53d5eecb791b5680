import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { ethernet } from '../../../layers/datalink/ethernet/ethernet.ts'
import { cable } from '../../../layers/physical/cable.ts'
import { type ImpairOptions, impair } from '../../../layers/physical/impair/impair.ts'
import type { PhysicalService } from '../../../layers/physical/service.ts'
import { ms, seconds } from '../../../src/kernel/clock.ts'
import { Packet, packetsInUse, poisonReleased } from '../../../src/kernel/packet.ts'
import { stack } from '../../../src/kernel/stack.ts'
import { Simulation } from '../../../src/runtime/simulation.ts'
import { physicalConformance, Recorder } from '../../conformance/physical.ts'
import { holds } from '../../property.ts'
import { arrivals, dropsOf, marked, pairOf } from './ends.ts'
import { fates, over, share } from './impaired.ts'

poisonReleased(true)

for (const [name, options] of Object.entries<ImpairOptions>({
  'an impairing link that does nothing': {},
  'one that delays': { delay: ms(30) },
  'one with jitter that keeps order': { delay: ms(1), jitter: ms(30), keepOrder: true },
  'one with a rate': { rate: 10_000_000, queue: 200 },
  'one with all of these': { delay: ms(3), jitter: ms(3), keepOrder: true, rate: 30_000_000, queue: 100 },
})) {
  await physicalConformance(t, name, {
    make: () => {
      const [a, b] = cable()
      return pairOf([stack(a, impair(options)), stack(b, impair(options))])
    },
  })
}

t.test('duplicates are packets of their own', async (t) => {
  const { sim, near, far, link } = over({ duplication: 1 })
  const seen = arrivals(sim, far)
  near.send(marked(near, 60, 7), undefined)
  await sim.run(1)
  t.strictSame(seen, [
    [0, 7],
    [0, 7],
  ])
  t.equal(link.down.duplicated, 1)
  t.equal(near.boundary.txPackets, 1)
  t.equal(packetsInUse(), 0)
  await sim.close()
  const fate = await fates({ duplication: 0.3 }, 10_000)
  t.ok(Math.abs(share(fate, 2) - 0.3) < 0.02)
})

t.test('delay and jitter stay in their range, and overtake unless told not to', async (t) => {
  for (const keepOrder of [false, true]) {
    const { sim, near, far } = over({ down: { delay: ms(10), jitter: ms(10), keepOrder } })
    const seen = arrivals(sim, far)
    for (let i = 0; i < 200; i++) {
      near.send(marked(near, 60, i), undefined)
      await sim.run(ms(2))
    }
    await sim.run(ms(100))
    const late = seen.map(([at, mark]) => at - mark * ms(2))
    t.ok(Math.min(...late) >= 10_000 && Math.max(...late) <= 20_000)
    t.ok(Math.max(...late) - Math.min(...late) > 5000, 'they differ')
    const inOrder = seen.every(([, mark], i) => mark === i)
    t.equal(inOrder, keepOrder)
    await sim.close()
  }
})

t.test('a delay that is lowered does not let packets overtake', async (t) => {
  const { sim, near, far, link } = over({ down: { delay: ms(100) } })
  const seen = arrivals(sim, far)
  near.send(marked(near, 60, 1), undefined)
  link.set({ delay: 0 })
  near.send(marked(near, 60, 2), undefined)
  await sim.run(ms(200))
  near.send(marked(near, 60, 3), undefined)
  await sim.run(1)
  t.strictSame(seen, [
    [100_000, 1],
    [100_000, 2],
    [200_000, 3],
  ])
  await sim.close()
})

t.test('reordering lets as many packets pass as asked for', async (t) => {
  const { sim, near, far, link } = over({ reorderBy: 2 })
  const seen = arrivals(sim, far)
  const send = (mark: number) => near.send(marked(near, 60, mark), undefined)
  link.set({ reordering: 1 })
  send(0)
  link.set({ reordering: 0 })
  for (let i = 1; i < 5; i++) send(i)
  await sim.run(1)
  t.strictSame(
    seen.map(([, mark]) => mark),
    [1, 2, 0, 3, 4],
  )
  t.equal(link.down.reordered, 1)
  await sim.close()
})

t.test('what is held back goes on in time when nothing passes', async (t) => {
  const { sim, near, far } = over({ reordering: 1, reorderWait: ms(5) })
  const seen = arrivals(sim, far)
  for (let i = 0; i < 100; i++) near.send(marked(near, 60, i), undefined)
  await sim.run(ms(10))
  t.equal(seen.length, 100, 'and no more than 64 are held')
  t.strictSame(
    seen.slice(-3).map(([at]) => at),
    [5000, 5000, 5000],
  )
  await sim.close()
  const fate = await fates({ reordering: 0.2 }, 2000)
  t.equal(share(fate, 1), 1, 'reordering loses nothing')
})

t.test('a rate has a queue, which fills, drops and drains', async (t) => {
  const { sim, near, far } = over({ down: { rate: 8_000_000, queue: 8 } })
  const sender = new Recorder()
  near.boundary.attach(sender)
  const seen = arrivals(sim, far)
  const answers = Array.from({ length: 10 }, (_, i) => near.send(marked(near, 100, i), undefined))
  t.strictSame(answers, [true, true, true, false, false, false, false, false, false, false])
  t.strictSame(dropsOf(near), { queueFull: 2 })
  await sim.run(ms(10))
  t.strictSame(
    seen.map(([at]) => at),
    [100, 200, 300, 400, 500, 600, 700, 800],
  )
  t.equal(sender.readies, 1)
  await sim.close()
})

t.test('when the rate is lifted, what waits still goes first', async (t) => {
  const { sim, near, far, link } = over({ down: { rate: 8_000_000 } })
  const seen = arrivals(sim, far)
  for (let i = 0; i < 3; i++) near.send(marked(near, 100, i), undefined)
  link.set({ rate: Number.POSITIVE_INFINITY })
  near.send(marked(near, 100, 3), undefined)
  await sim.run(ms(1))
  t.strictSame(
    seen.map(([, mark]) => mark),
    [0, 1, 2, 3],
  )
  await sim.close()
})

t.test('ready is said once for what was refused, and not without', async (t) => {
  const [a, b] = cable({ queue: 8 })
  let below: PhysicalService | undefined
  const keep: typeof a = (env) => {
    const medium = a(env)
    below = medium
    return medium
  }
  const { sim, near } = pairOf([stack(keep, impair()), b])
  const sender = new Recorder()
  near.boundary.attach(sender)
  below?.boundary.ready()
  t.equal(sender.readies, 0)
  while (near.send(marked(near, 60, 0), undefined));
  await sim.run(1)
  t.equal(sender.readies, 1)
  below?.boundary.ready()
  t.equal(sender.readies, 1)
  await sim.close()
})

t.test('what is received is impaired, too, and what the medium vouched for is not trusted', async (t) => {
  const [a, b] = cable({ medium: 'ethernet', offload: true })
  const { sim, near, far } = pairOf([stack(a, impair({ up: { dropIf: (index) => index === 1 } })), b])
  t.strictSame(near.offload, { segment: 0, checksum: false })
  const states: string[] = []
  near.boundary.attach({
    receive(packet) {
      states.push(packet.checksum)
      packet.release()
    },
  })
  for (let i = 0; i < 3; i++) {
    const packet = marked(far, 100, i)
    packet.checksum = 'verified'
    far.send(packet, undefined)
  }
  await sim.run(1)
  t.strictSame(states, ['none', 'none'])
  await sim.close()
})

t.test('what an earlier medium vouched for is not vouched for by the one below', async (t) => {
  const [a, b] = cable({ medium: 'ethernet', offload: true })
  const { sim, near, far } = pairOf([stack(a, impair({ corruption: 1 })), b])
  const states: string[] = []
  far.boundary.attach({
    receive(packet) {
      states.push(packet.checksum)
      packet.release()
    },
  })
  const packet = marked(near, 100, 1)
  packet.checksum = 'verified'
  near.send(packet, undefined)
  await sim.run(1)
  t.strictSame(states, ['none'])
  await sim.close()
})

/** A TCP segment of `payload` octets in IPv4 in Ethernet, its checksum and its segments left to the link. */
function superSegment(payload: number, segmentOctets: number): Packet {
  const packet = Packet.take(0, 54 + payload)
  const at = packet.put(54 + payload)
  packet.octets.fill(0, at, packet.end)
  packet.view.setUint16(at + 12, 0x0800)
  packet.view.setUint8(at + 14, 0x45)
  packet.view.setUint16(at + 16, 40 + payload)
  packet.view.setUint8(at + 14 + 9, 6)
  packet.view.setUint8(at + 34 + 12, 0x50)
  packet.networkStart = at + 14
  packet.checksum = 'partial'
  packet.checksumStart = at + 34
  packet.checksumOffset = 16
  packet.headerOctets = 20
  packet.segmentOctets = segmentOctets
  return packet
}

t.test('a super-segment from below is split, so that its segments are lost one by one', async (t) => {
  const [a, b] = cable({ medium: 'ethernet', offload: true })
  const { sim, near, far } = pairOf([stack(a, impair({ up: { dropIf: (index) => index === 1 } })), b])
  const got: [number, number, string][] = []
  near.boundary.attach({
    receive(packet) {
      got.push([packet.length, packet.view.getUint32(packet.start + 38), packet.checksum])
      packet.release()
    },
  })
  far.send(superSegment(3500, 1000), undefined)
  await sim.run(1)
  t.strictSame(got, [
    [1054, 0, 'none'],
    [1054, 2000, 'none'],
    [554, 3000, 'none'],
  ])
  far.send(superSegment(3500, 0), undefined)
  await sim.run(1)
  t.equal(got.length, 3)
  t.equal(packetsInUse(), 0)
  await sim.close()
})

t.test('every event is told to taps', async (t) => {
  const { sim, near } = over({ corruption: 1, duplication: 1, reordering: 1, loss: 0 })
  const events: string[] = []
  near.boundary.watch({
    note: (_, event, reason) => events.push(`${event} by ${reason}`),
    drop: (_, reason) => events.push(`dropped: ${reason}`),
  })
  near.send(marked(near, 60, 1), undefined)
  await sim.run(seconds(1))
  t.strictSame(events, ['corrupted by impair', 'duplicated by impair', 'reordered by impair', 'reordered by impair'])
  await sim.close()
})

t.test('one layer may be in many nodes, and its handle changes all', async (t) => {
  const bad = impair()
  const [a, b] = cable()
  const { sim, near, far } = pairOf([stack(a, bad), stack(b, bad)])
  bad.link.set({ down: { loss: 1 } })
  near.send(marked(near, 60, 1), undefined)
  far.send(marked(far, 60, 1), undefined)
  await sim.run(1)
  t.strictSame([dropsOf(near), dropsOf(far)], [{ loss: 1 }, { loss: 1 }])
  await sim.close()
})

t.test('it fits between a medium and any link that takes the medium', async (t) => {
  const [a, b] = cable()
  const sim = new Simulation()
  const near = sim.boot('A', stack(a, impair({ corruption: 1 }), ethernet({ address: '02:00:00:00:00:01' }))).top
  const far = sim.boot('B', stack(b, ethernet({ address: '02:00:00:00:00:02' }))).top
  const packet = Packet.take(near.headroom, 100 + near.tailroom)
  packet.put(100)
  near.send(packet, { peer: far.address, protocol: 0x0800, cast: 'unicast' })
  await sim.run(1)
  t.equal(far.boundary.drops.get('fcs' as never), 1)
  await sim.close()
})

t.test('wrong values throw at once, and change nothing', async (t) => {
  const wrong: ImpairOptions[] = [
    { loss: -0.1 },
    { loss: 1.1 },
    { loss: Number.NaN },
    { down: { corruption: 2 } },
    { up: { duplication: -1 } },
    { reordering: 7 },
    { corruptBits: 0 },
    { reorderBy: 65 },
    { delay: -1 },
    { jitter: 1.5 },
    { rate: 0 },
    { queue: 0 },
    { burstLoss: { p: 2, r: 0 } },
    { burstLoss: { p: 0, r: -1 } },
    { burstLoss: { p: 0, r: 1, bad: 3 } },
    { burstLoss: { loss: 1, length: 3 } },
    { burstLoss: { loss: 0.9, length: 2 } },
    { burstLoss: { loss: 0.1, length: 0.5 } },
  ]
  for (const options of wrong) {
    t.throws(() => impair(options), { code: 'ERR_OUT_OF_RANGE' }, JSON.stringify(options))
  }
  t.throws(() => impair({ loss: '0.1' as unknown as number }), { code: 'ERR_INVALID_ARG_TYPE' })
  t.throws(() => impair({ dropIf: 3 as never }), { code: 'ERR_INVALID_ARG_TYPE' })
  const { sim, near, far, link } = over({})
  t.throws(() => link.set({ loss: 1, up: { loss: 2 } }), { code: 'ERR_OUT_OF_RANGE' })
  const seen = arrivals(sim, far)
  near.send(marked(near, 60, 1), undefined)
  await sim.run(1)
  t.equal(seen.length, 1)
  await sim.close()
})

t.test('property: without loss every packet arrives once, whatever else is changed', async (t) => {
  const options = fc.record(
    {
      delay: fc.integer({ min: 0, max: 5000 }),
      jitter: fc.integer({ min: 0, max: 5000 }),
      keepOrder: fc.boolean(),
      reordering: fc.constantFrom(0, 0.3, 1),
      reorderBy: fc.integer({ min: 1, max: 5 }),
      rate: fc.constantFrom(Number.POSITIVE_INFINITY, 1_000_000, 50_000_000),
    },
    { requiredKeys: [] },
  )
  const step = fc.oneof(
    { weight: 8, arbitrary: fc.record({ send: fc.integer({ min: 1, max: 1518 }) }) },
    { weight: 3, arbitrary: fc.record({ wait: fc.integer({ min: 0, max: 3000 }) }) },
    { weight: 1, arbitrary: fc.record({ set: options }) },
  )
  await fc.assert(
    fc.asyncProperty(options, fc.array(step, { maxLength: 60 }), async (first, steps) => {
      const { sim, near, far, link } = over(first)
      const seen = arrivals(sim, far)
      let count = 0
      for (const step of steps) {
        if ('send' in step) near.send(marked(near, step.send, count++), undefined)
        else if ('wait' in step) await sim.run(step.wait)
        else link.set(step.set)
      }
      await sim.run(seconds(60))
      assert.deepEqual(
        seen.map(([, mark]) => mark).sort((a, b) => a - b),
        Array.from({ length: count }, (_, i) => i),
      )
      await sim.close()
      assert.equal(packetsInUse(), 0)
      assert.equal(sim.timers.size, 0)
    }),
    { numRuns: 200 },
  )
  t.pass()
})

t.test('property: the heap gives back in order of time, then of age', async (t) => {
  const { PacketHeap } = await import('../../../layers/physical/impair/packet-heap.ts')
  holds(
    t,
    'sorted and stable',
    fc.property(fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 200 }), (dues) => {
      const heap = new PacketHeap()
      const packets = dues.map((due) => {
        const packet = Packet.take(0, 1)
        heap.push(packet, due)
        return { packet, due }
      })
      const expected = [...packets].sort((a, b) => a.due - b.due)
      for (const { packet, due } of expected) {
        assert.equal(heap.due, due)
        assert.equal(heap.shift(), packet)
        packet.release()
      }
      assert.equal(heap.shift(), undefined)
    }),
  )
})
