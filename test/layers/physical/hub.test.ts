import t from 'tap'
import { hub } from '../../../layers/physical/hub.ts'
import { ms } from '../../../src/kernel/clock.ts'
import { packetsInUse, poisonReleased } from '../../../src/kernel/packet.ts'
import { Simulation } from '../../../src/runtime/simulation.ts'
import { physicalConformance, Recorder } from '../../conformance/physical.ts'
import { arrivals, dropsOf, marked, pairOf } from './ends.ts'

poisonReleased(true)

await physicalConformance(t, 'a hub', {
  make: () => {
    const [a, b] = hub(2)
    return pairOf([a, b])
  },
})
await physicalConformance(t, 'a slow hub with a third, silent port', {
  make: () => {
    const [a, b, c] = hub(3, { rate: 100_000_000, delay: ms(3) })
    const pair = pairOf([a, b])
    pair.sim.boot('C', c).top.boundary.attach(new Recorder())
    return pair
  },
})

function three() {
  const ports = hub(3)
  const sim = new Simulation()
  const services = ports.map((port, i) => sim.boot('ABC'[i] as string, port).top)
  const seen = services.map((service) => arrivals(sim, service))
  const send = (from: number, mark: number) => {
    const service = services[from] as (typeof services)[0]
    return service.send(marked(service, 100, mark), undefined)
  }
  const got = async () => {
    await sim.run(1)
    return seen.map((arrivals) => arrivals.splice(0).map(([, mark]) => mark))
  }
  return { sim, link: ports.link, services, send, got }
}

t.test('what one sends, all others get', async (t) => {
  const { sim, send, got, services } = three()
  send(0, 1)
  send(1, 2)
  t.strictSame(await got(), [[2], [1], [1, 2]])
  t.equal(packetsInUse(), 0)
  t.equal(services[0]?.boundary.txPackets, 1)
  await sim.close()
})

t.test('each receiver has a packet of its own', async (t) => {
  const { sim, services, send } = three()
  await sim.run(1)
  const [a, b, c] = hub(3)
  const other = new Simulation()
  const near = other.boot('A', a).top
  for (const port of [b, c]) {
    const service = other.boot(port === b ? 'B' : 'C', port).top
    service.boundary.attach({
      receive(packet) {
        t.equal(packet.octets[packet.start], 9)
        packet.octets[packet.start] = 0
        packet.push(0)
        packet.release()
      },
    })
  }
  near.send(marked(near, 100, 9), undefined)
  await other.run(1)
  t.equal(packetsInUse(), 0)
  t.ok(send(0, 1) && services.length === 3)
  await sim.close()
  await other.close()
})

t.test('cuts and partitions concern pairs of ports', async (t) => {
  const { sim, link, services, send, got } = three()
  const cut = link.cut(0, 2)
  send(0, 1)
  send(2, 2)
  t.strictSame(await got(), [[2], [1, 2], []])
  cut.heal()
  const partition = sim.partition(['A'], ['B', 'C'])
  send(0, 3)
  send(1, 4)
  t.strictSame(await got(), [[], [], [4]])
  t.strictSame(services.map(dropsOf), [{ cut: 2 }, { cut: 1 }, {}])
  partition.heal()
  send(0, 5)
  t.strictSame(await got(), [[], [5], [5]])
  await sim.close()
})

t.test('a port comes and goes alone', async (t) => {
  const { sim, link, services, send, got } = three()
  link.unplug(1)
  send(0, 1)
  send(1, 2)
  t.strictSame(await got(), [[], [], [1]])
  link.plug(1)
  send(1, 3)
  t.strictSame(await got(), [[3], [], [3]])
  t.strictSame(dropsOf(services[1] as (typeof services)[0]), { linkDown: 1 })
  await sim.nodes.get('C')?.close()
  await sim.nodes.get('B')?.close()
  send(0, 4)
  t.strictSame(await got(), [[], [], []])
  t.strictSame(dropsOf(services[0] as (typeof services)[0]), { noReceiver: 1 })
  link.setMtu(576)
  t.equal(services[0]?.mtu, 594)
  await sim.close()
})

t.test('a receiver that closes another in the middle of a packet', async (t) => {
  const [a, b, c] = hub(3)
  const sim = new Simulation()
  const near = sim.boot('A', a).top
  const closing = sim.boot('B', b)
  const last = sim.boot('C', c)
  closing.top.boundary.attach({
    receive(packet) {
      packet.release()
      void last.close()
    },
  })
  near.send(marked(near, 100, 1), undefined)
  await sim.run(1)
  t.equal(packetsInUse(), 0)
  t.strictSame(dropsOf(last.top), { linkDown: 1 })
  await sim.close()
})

t.test('parameters change for one port or all', async (t) => {
  const ports = hub(2, { delay: ms(1) })
  ports.link.set({ delay: ms(7) }, 1)
  const { sim, near, far } = pairOf(ports)
  const atNear = arrivals(sim, near)
  const atFar = arrivals(sim, far)
  near.send(marked(near, 100, 1), undefined)
  far.send(marked(far, 100, 2), undefined)
  await sim.run(ms(10))
  t.strictSame([atFar, atNear], [[[1000, 1]], [[7000, 2]]])
  ports.link.set({ delay: 0 })
  far.send(marked(far, 100, 3), undefined)
  await sim.run(1)
  t.strictSame(atNear.at(-1), [10_000, 3])
  await sim.close()
})

t.test('misuse throws at once', async (t) => {
  t.throws(() => hub(1), { code: 'ERR_OUT_OF_RANGE' })
  t.throws(() => hub(257), { code: 'ERR_OUT_OF_RANGE' })
  const ports = hub(2)
  t.throws(() => ports.link.cut(0, 2), { code: 'ERR_OUT_OF_RANGE' })
  t.throws(() => ports.link.unplug(-1), { code: 'ERR_OUT_OF_RANGE' })
  const sim = new Simulation()
  sim.boot('A', ports[0])
  t.throws(() => sim.boot('B', ports[0]), { code: 'EBUSY' })
  t.throws(() => new Simulation().boot('B', ports[1]), { code: 'EINVAL' })
  await sim.close()
})
