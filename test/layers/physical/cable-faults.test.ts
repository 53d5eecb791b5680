import t from 'tap'
import { cable } from '../../../layers/physical/cable.ts'
import { impair } from '../../../layers/physical/impair/impair.ts'
import { ms } from '../../../src/kernel/clock.ts'
import { packetsInUse, poisonReleased } from '../../../src/kernel/packet.ts'
import { stack } from '../../../src/kernel/stack.ts'
import { Node } from '../../../src/runtime/node.ts'
import { Simulation } from '../../../src/runtime/simulation.ts'
import { Recorder } from '../../conformance/physical.ts'
import { arrivals, dropsOf, marked, pairOf } from './ends.ts'

poisonReleased(true)

t.test('a cut is silent, has a direction, and is healed', async (t) => {
  const ends = cable({ delay: ms(10) })
  const { sim, near, far } = pairOf(ends)
  const recorder = new Recorder()
  far.boundary.attach(recorder)
  const back = arrivals(sim, near)
  near.send(marked(near, 100, 1), undefined)
  await sim.run(ms(5))
  const cut = ends.link.cut('aToB')
  const both = ends.link.cut('aToB')
  near.send(marked(near, 100, 2), undefined)
  far.send(marked(far, 100, 3), undefined)
  await sim.run(ms(20))
  t.equal(recorder.packets.length, 0, 'what was under way is lost, too')
  t.strictSame(dropsOf(near), { cut: 2 })
  t.equal(back.length, 1)
  cut.heal()
  cut.heal()
  near.send(marked(near, 100, 4), undefined)
  await sim.run(ms(20))
  t.equal(recorder.packets.length, 0, 'the other cut stands')
  both.heal()
  near.send(marked(near, 100, 5), undefined)
  await sim.run(ms(20))
  t.equal(recorder.packets.length, 1)
  t.strictSame(recorder.links, [])
  await sim.close()
})

t.test('a handler that throws does not stop the line for others', async (t) => {
  for (const options of [{}, { delay: ms(1) }, { rate: 1_000_000 }]) {
    const [a, b] = cable(options)
    const impaired = 'delay' in options ? stack(a, impair({ delay: ms(2) })) : a
    const { sim, near, far } = pairOf([impaired, b])
    let seen = 0
    far.boundary.attach({
      receive(packet) {
        packet.release()
        if (++seen % 2 === 1) throw new Error('of the application')
      },
    })
    for (let i = 0; i < 6; i++) near.send(marked(near, 100, i), undefined)
    for (let i = 0; i < 3; i++) await t.rejects(sim.run(ms(50)), { message: 'of the application' })
    await sim.run(ms(50))
    t.equal(seen, 6)
    await sim.close()
  }
  t.equal(packetsInUse(), 0)
})

t.test('a partition of the simulation cuts it', async (t) => {
  const { sim, near, far } = pairOf(cable())
  const atNear = arrivals(sim, near)
  const atFar = arrivals(sim, far)
  const exchange = async () => {
    near.send(marked(near, 100, 1), undefined)
    far.send(marked(far, 100, 2), undefined)
    await sim.run(1)
    return [atFar.splice(0).length, atNear.splice(0).length]
  }
  t.strictSame(await exchange(), [1, 1])
  const partition = sim.partition(['A'], ['B'])
  t.strictSame(await exchange(), [0, 0])
  t.strictSame([dropsOf(near), dropsOf(far)], [{ cut: 1 }, { cut: 1 }])
  partition.heal()
  t.strictSame(await exchange(), [1, 1])
  await sim.close()
})

t.test('what is sent into a cut is lost, even when it heals before the packet would arrive', async (t) => {
  const ends = cable({ delay: ms(10) })
  const { sim, near, far } = pairOf(ends)
  const seen = arrivals(sim, far)
  for (const cut of [ends.link.cut(), sim.partition(['A'], ['B'])]) {
    near.send(marked(near, 100, 1), undefined)
    await sim.run(ms(5))
    cut.heal()
    await sim.run(ms(20))
  }
  t.strictSame(seen, [])
  t.strictSame(dropsOf(near), { cut: 2 })
  await sim.close()
})

t.test('a partition outlasts a node that comes back', async (t) => {
  const sim = new Simulation()
  const [a, b] = cable()
  const near = sim.boot('A', a).top
  const first = new Node('B', b, sim)
  const partition = sim.partition(['A'], ['B'])
  await first.close()
  const second = new Node('B', b, sim)
  const seen = arrivals(sim, second.top)
  near.send(marked(near, 100, 1), undefined)
  await sim.run(1)
  t.strictSame(dropsOf(near), { cut: 1 })
  partition.heal()
  near.send(marked(near, 100, 2), undefined)
  await sim.run(1)
  t.strictSame(
    seen.map(([, mark]) => mark),
    [2],
  )
  await second.close()
  await sim.close()
})

t.test('a partition concerns the nodes, not the end one of them had', async (t) => {
  const sim = new Simulation()
  const [a, b] = cable()
  const near = sim.boot('A', a).top
  const first = sim.boot('B', b)
  sim.partition(['A'], ['B'])
  await first.close()
  const seen = arrivals(sim, sim.boot('C', b).top)
  near.send(marked(near, 100, 1), undefined)
  await sim.run(1)
  t.equal(seen.length, 1)
  await sim.close()
})

t.test('a partition that stands already cuts the end that is booted later', async (t) => {
  const sim = new Simulation()
  const [a, b] = cable()
  const near = sim.boot('A', a).top
  sim.partition(['A'], ['B'])
  const far = sim.boot('B', b).top
  const seen = arrivals(sim, far)
  near.send(marked(near, 100, 1), undefined)
  await sim.run(1)
  t.equal(seen.length, 0)
  await sim.close()
})

t.test('a plug that is pulled tells both ends and loses what is under way', async (t) => {
  const ends = cable({ delay: ms(10) })
  const { sim, near, far } = pairOf(ends)
  const [a, b] = [new Recorder(), new Recorder()]
  near.boundary.attach(a)
  far.boundary.attach(b)
  near.send(marked(near, 100, 1), undefined)
  ends.link.unplug('cat')
  near.send(marked(near, 100, 2), undefined)
  ends.link.plug()
  near.send(marked(near, 100, 3), undefined)
  await sim.run(ms(20))
  t.strictSame(
    b.packets.map((octets) => octets[0]),
    [3],
  )
  t.strictSame(dropsOf(near), { linkDown: 2 })
  for (const { links } of [a, b]) t.strictSame(links, ['down cat', 'up plugged'])
  ends.link.setMtu(1280)
  t.equal(near.mtu, 1298)
  t.equal(a.links.at(-1), 'up mtu')
  await sim.close()
})

t.test('a blocked sender is told ready when the plug is pulled', async (t) => {
  const ends = cable({ delay: ms(10), rate: 1000, queue: 4 })
  const { sim, near } = pairOf(ends)
  const sender = new Recorder()
  near.boundary.attach(sender)
  while (near.send(marked(near, 100, 1), undefined));
  ends.link.unplug()
  t.equal(sender.readies, 1)
  t.equal(packetsInUse(), 0)
  await sim.close()
})

t.test('an end that closes is down for the other, and may be booted again', async (t) => {
  const sim = new Simulation()
  const [a, b] = cable({ delay: ms(10) })
  const near = sim.boot('A', a).top
  const first = sim.boot('B', b)
  const recorder = new Recorder()
  near.boundary.attach(recorder)
  near.send(marked(near, 100, 1), undefined)
  first.top.send(marked(near, 100, 2), undefined)
  await first.close()
  t.equal(packetsInUse(), 0, 'both directions are emptied')
  near.send(marked(near, 100, 3), undefined)
  first.top.send(marked(near, 100, 4), undefined)
  await sim.run(ms(20))
  t.strictSame(dropsOf(near), { linkDown: 2 })
  const seen = arrivals(sim, sim.boot('C', b).top)
  near.send(marked(near, 100, 5), undefined)
  await sim.run(ms(20))
  t.equal(seen.length, 1)
  t.strictSame(recorder.links, ['down peerClosed', 'up peerAttached'])
  await sim.close()
})
