import t from 'tap'
import { ethernet } from '../../../../layers/datalink/ethernet/ethernet.ts'
import { type Llc2Options, llc2 } from '../../../../layers/datalink/hdlc/llc2.ts'
import type { RecordConnection, RecordHandler } from '../../../../layers/datalink/hdlc/records.ts'
import type { LinkAddress, LinkService } from '../../../../layers/datalink/service.ts'
import { cable } from '../../../../layers/physical/cable.ts'
import { hub } from '../../../../layers/physical/hub.ts'
import { impair } from '../../../../layers/physical/impair/impair.ts'
import type { PhysicalService } from '../../../../layers/physical/service.ts'
import { parseMac } from '../../../../src/kernel/address.ts'
import { ms, seconds } from '../../../../src/kernel/clock.ts'
import type { Layer } from '../../../../src/kernel/layer.ts'
import { Packet, packetsInUse, poisonReleased } from '../../../../src/kernel/packet.ts'
import { stack } from '../../../../src/kernel/stack.ts'
import { Simulation } from '../../../../src/runtime/simulation.ts'
import { linkConformance } from '../../../conformance/link.ts'
import { linkDrops, stationOver, stationsOn } from '../stations.ts'

poisonReleased(true)

type Above = Layer<PhysicalService<'frames' | 'ethernet'>, LinkService>

const over =
  (address: string, options: Llc2Options = {}): Above =>
  (below, env) =>
    llc2(options)(ethernet({ address })(below, env), env)

const A = '02:00:00:00:00:01'
const B = '02:00:00:00:00:02'

await linkConformance(t, 'LLC2 over a cable', { connected: true, make: () => stationsOn(cable(), over(A), over(B)) })
await linkConformance(t, 'LLC2 over a hub', { connected: true, make: () => stationsOn(hub(2), over(A), over(B)) })

/** Sends numbered records as they are taken, and keeps what comes. */
function talker(count: number): RecordHandler & { readonly got: number[]; readonly said: string[] } {
  const got: number[] = []
  const said: string[] = []
  let next = 0
  const send = (connection: RecordConnection): void => {
    for (let open = true; open && next < count; next++) {
      const packet = Packet.take(connection.headroom, 1000 + connection.tailroom)
      packet.view.setUint32(packet.put(1000), next)
      open = connection.send(packet)
    }
  }
  return {
    got,
    said,
    up(connection) {
      said.push('up')
      send(connection)
    },
    down: (_connection, reason) => said.push(`down ${reason}`),
    ready: send,
    receive(_connection, packet) {
      got.push(packet.view.getUint32(packet.start))
      packet.release()
    },
  }
}

for (const loss of [0, 0.01, 0.05, 0.2]) {
  t.test(`records both ways over a line that loses ${loss * 100} %`, async (t) => {
    const before = packetsInUse()
    const sim = new Simulation({ seed: 7 })
    const [a, b] = cable({ delay: ms(1), rate: 10_000_000 })
    const near = sim.boot('A', stack(a, impair({ loss }), ethernet({ address: A }), llc2({ n2: 50 }))).top
    const far = sim.boot('B', stack(b, impair({ loss }), ethernet({ address: B }), llc2({ n2: 50 }))).top
    const [one, other] = [talker(1000), talker(500)]
    far.accept(0x20, () => other)
    near.open(far.address, 0x20, 0x24, one)
    await sim.run(seconds(300))
    const numbers = (n: number): number[] => Array.from({ length: n }, (_, i) => i)
    t.strictSame(other.got, numbers(1000))
    t.strictSame(one.got, numbers(500))
    t.strictSame([one.said, other.said], [['up'], ['up']])
    await sim.close()
    t.equal(packetsInUse(), before)
  })
}

for (const [k, farK, came] of [
  [32, 5, { near: 5, far: 5 }],
  [3, 32, { near: 3, far: 3 }],
] as const) {
  t.test(`windows of ${k} and ${farK} that are told by XID hold, both ways`, async (t) => {
    const sim = new Simulation({ seed: 7 })
    const [a, b] = cable({ delay: ms(300) })
    const near = sim.boot('A', stack(a, ethernet({ address: A }), llc2({ k }))).top
    const far = sim.boot('B', stack(b, ethernet({ address: B }), llc2({ k: farK }))).top
    const [one, other] = [talker(100), talker(100)]
    far.accept(0x20, () => other)
    near.open(far.address, 0x20, 0x24, one)
    await sim.run(ms(1400))
    t.strictSame({ near: one.got.length, far: other.got.length }, came)
    await sim.run(seconds(120))
    t.strictSame([one.got.length, other.got.length], [100, 100])
    await sim.close()
  })
}

t.test('a reader that pauses holds the sender', async (t) => {
  const sim = new Simulation({ seed: 7 })
  const [a, b] = cable({ delay: ms(1) })
  const near = sim.boot('A', stack(a, ethernet({ address: A }), llc2())).top
  const far = sim.boot('B', stack(b, ethernet({ address: B }), llc2({ receiveQueue: 8 }))).top
  const [one, other] = [talker(1000), talker(0)]
  let reader: RecordConnection | undefined
  far.accept(0x20, () => ({
    ...other,
    up(connection) {
      reader = connection
      connection.pause()
    },
  }))
  near.open(far.address, 0x20, 0x24, one)
  await sim.run(seconds(20))
  t.strictSame(other.got, [])
  reader?.resume()
  await sim.run(seconds(20))
  t.equal(other.got.length, 1000)
  t.strictSame(one.said, ['up'])
  await sim.close()
})

t.test('a peer that refuses, and one that is not there', async (t) => {
  const sim = new Simulation({ seed: 7 })
  const [a, b] = cable()
  const near = sim.boot('A', stack(a, ethernet({ address: A }), llc2({ n2: 2, t1: ms(100) }))).top
  const far = sim.boot('B', stack(b, ethernet({ address: B }), llc2())).top
  const [one, two] = [talker(1), talker(1)]
  near.open(far.address, 0x20, 0x24, one)
  near.open(parseMac('02:00:00:00:00:09') as LinkAddress, 0x20, 0x24, two)
  await sim.run(seconds(2))
  t.strictSame(one.said, ['down refused'])
  t.strictSame(two.said, ['down noAnswer'])
  await sim.close()
})

t.test('TEST and XID are answered; what is for nobody is counted', async (t) => {
  const { sim, link, sent, arrive } = stationOver('ethernet', over(A), { mtu: 1514 })
  const octets = (mac: string): number[] => mac.split(':').map((pair) => Number.parseInt(pair, 16))
  const frame = (...llc: number[]): Uint8Array => Uint8Array.of(...octets(A), ...octets(B), 0, llc.length, ...llc)
  arrive(frame(0x00, 0x42, 0xf3, 1, 2, 3))
  t.strictSame([...(sent[0] ?? [])], [...octets(B), ...octets(A), 0, 6, 0x42, 0x01, 0xf3, 1, 2, 3])
  arrive(frame(0x00, 0x42, 0xbf, 0x81, 1, 0))
  t.strictSame([...(sent[1] ?? [])], [...octets(B), ...octets(A), 0, 6, 0x42, 0x01, 0xbf, 0x81, 3, 64])
  arrive(frame(0x20, 0x42, 0x01, 0x01))
  arrive(frame(0xaa, 0xaa))
  arrive(frame(0xaa, 0xaa, 0x03, 1, 2, 3, 8, 0))
  arrive(frame(0xaa, 0xaa, 0x03, 0, 0, 0, 8, 0))
  t.strictSame(linkDrops(link), { truncated: 1, unknownSap: 1, badSnap: 1, unknownProtocol: 1 })
  await sim.close()
})
