/** PAUSE and bridges: a frame ends at the port it came by, and a port that is full has those stop who fill it. */
import t from 'tap'
import { type BridgeOptions, bridge } from '../../../../layers/datalink/ethernet/bridge.ts'
import { type EthernetService, ethernet } from '../../../../layers/datalink/ethernet/ethernet.ts'
import { LinkAddressing } from '../../../../layers/datalink/service.ts'
import { cable } from '../../../../layers/physical/cable.ts'
import { ms } from '../../../../src/kernel/clock.ts'
import { packetsInUse, poisonReleased } from '../../../../src/kernel/packet.ts'
import { beside, stack } from '../../../../src/kernel/stack.ts'
import type { AnyBoundary } from '../../../../src/runtime/node.ts'
import { Simulation } from '../../../../src/runtime/simulation.ts'
import { payloadFor } from '../stations.ts'

poisonReleased(true)

const TYPE = 0x88b5
const mac = (n: number): string => `02:00:00:00:00:0${n}`

/** A station that counts what comes, and sends as long as it is let. */
class Talker {
  readonly link: EthernetService
  readonly got: number[] = []
  sent = 0
  private limit = 0
  private readonly to = new LinkAddressing()

  constructor(link: EthernetService) {
    this.link = link
    this.to.protocol = TYPE
    link.boundary.attach({
      receive: (packet) => {
        this.got.push(packet.view.getUint16(packet.start))
        packet.release()
      },
      ready: () => this.go(),
    })
  }

  /** Sends so many frames of 1000 octets in all, as fast as they are taken. */
  send(to: EthernetService, limit: number): void {
    this.to.peer = to.address
    this.limit = limit
    this.go()
  }

  private go(): void {
    for (let open = true; open && this.sent < this.limit; ) {
      const octets = new Uint8Array(1000)
      octets[0] = this.sent >> 8
      octets[1] = this.sent++
      open = this.link.send(payloadFor(this.link, octets), this.to)
    }
  }
}

/** What was dropped for want of room, anywhere. */
const full = (boundaries: Iterable<AnyBoundary>): number =>
  [...boundaries].reduce((sum, { drops }) => sum + (drops.get('queueFull') ?? 0), 0)

/**
 * Stations 1 and 2 on fast lines of a bridge; 3 behind a second one, which a slow line leads to; 4 is the first
 * bridge's node.
 */
function world(options: BridgeOptions, pause: boolean, medium: 'frames' | 'ethernet') {
  const sim = new Simulation({ seed: 1 })
  const line = (rate: number, queue: number) => cable({ medium, rate, queue })
  const [one, two, middle, slow] = [line(1e9, 32), line(1e9, 32), line(1e9, 32), line(1e7, 1024)]
  const [near, far] = [beside({ one: one[0], two: two[0], up: middle[0] }), beside({ up: middle[1], slow: slow[0] })]
  const first = sim.boot('near', stack(near, bridge(options), ethernet({ address: mac(4), pause })))
  const second = sim.boot('far', stack(far, bridge(options)))
  const stations = [one, two, slow].map(([, end], i) =>
    sim.boot(`S${i + 1}`, stack(end, ethernet({ address: mac(i + 1), pause }))),
  )
  const [a, b, c] = stations.map(({ top }) => new Talker(top)) as [Talker, Talker, Talker]
  const own = new Talker(first.top)
  const nodes = [first, second, ...stations]
  return { sim, a, b, c, own, first, full: () => full(nodes.flatMap(({ boundaries }) => [...boundaries])) }
}

for (const medium of ['frames', 'ethernet'] as const) {
  t.test(`two fast lines into a slow one, through two bridges, over ${medium}`, async (t) => {
    const before = packetsInUse()
    for (const pause of [true, false]) {
      const { sim, a, b, c, full } = world({ pause, stormLimit: 1e9 }, pause, medium)
      // Who is where is known then.
      c.send(a.link, 1)
      b.send(a.link, 1)
      await sim.run(ms(10))
      a.send(c.link, 2000)
      b.send(c.link, 2001)
      await sim.run(ms(10_000))
      t.strictSame([a.sent, b.sent], [2000, 2001])
      if (pause) t.strictSame([c.got.length, full()], [4000, 0])
      else t.ok(full() > 1000, `${full()} dropped without PAUSE`)
      await sim.close()
    }
    t.equal(packetsInUse(), before)
  })
}

t.test('a neighbour that cannot take more is obeyed by its port, and no other neighbour hears of it', async (t) => {
  const { sim, a, b, c, first } = world({ pause: true }, true, 'frames')
  c.send(a.link, 1)
  await sim.run(ms(10))
  const heard = (talker: Talker): number => talker.link.boundary.drops.get('macControl') ?? 0
  const letGo = a.link.hold()
  b.send(a.link, 10)
  c.send(a.link, 11)
  b.send(c.link, 20)
  await sim.run(ms(100))
  t.equal(a.got.length, 1)
  t.equal(c.got.length, 10, 'the other ports go on')
  letGo()
  await sim.run(ms(100))
  t.equal(a.got.length, 21)
  t.strictSame([heard(b), heard(c), first.top.boundary.drops.get('macControl')], [0, 0, 0])
  await sim.close()
})

t.test('the bridge’s own station has the neighbours of all ports stop', async (t) => {
  const { sim, a, b, own } = world({ pause: true }, true, 'ethernet')
  own.send(a.link, 1)
  own.send(b.link, 2)
  await sim.run(ms(10))
  const letGo = own.link.hold()
  await sim.run(ms(100))
  a.send(own.link, 10)
  b.send(a.link, 10)
  await sim.run(ms(100))
  t.strictSame([own.got.length, a.got.length], [0, 1])
  letGo()
  await sim.run(ms(10))
  t.strictSame([own.got.length, a.got.length], [10, 11])
  await sim.close()
})

t.test('a bridge without the option neither obeys nor passes on', async (t) => {
  const { sim, a, b, c, first } = world({}, true, 'frames')
  c.send(a.link, 1)
  await sim.run(ms(10))
  a.link.hold()
  first.top.hold()
  b.send(a.link, 10)
  await sim.run(ms(10))
  t.equal(a.got.length, 11)
  const reserved = [...first.boundaries].find(({ name }) => name.endsWith('/bridge'))?.drops.get('reserved')
  t.equal(reserved, 2)
  await sim.close()
})

t.test('a long pause fills the port: neighbours stop, and what others send is dropped', async (t) => {
  const before = packetsInUse()
  const { sim, a, b, c, own, first } = world({ pause: true }, true, 'frames')
  c.send(a.link, 1)
  await sim.run(ms(10))
  a.link.hold()
  b.send(a.link, 1000)
  await sim.run(ms(100))
  t.ok(b.sent < 1000, `${b.sent} were taken before B was held`)
  t.equal(full(first.boundaries), 0)
  const to = new LinkAddressing()
  to.peer = a.link.address
  for (let i = 0; i < 200; i++) own.link.send(payloadFor(own.link, Uint8Array.of(i)), to)
  const bridges = [...first.boundaries].filter(({ name }) => name.endsWith('/bridge'))
  t.ok(full(bridges) >= 200 - 128, 'no more than 128 wait at the port')
  await sim.close()
  t.equal(packetsInUse(), before)
})
