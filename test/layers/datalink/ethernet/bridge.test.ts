import t from 'tap'
import { type BridgeOptions, bridge } from '../../../../layers/datalink/ethernet/bridge.ts'
import { ethernet } from '../../../../layers/datalink/ethernet/ethernet.ts'
import { putPaddingAndFcs } from '../../../../layers/datalink/ethernet/frame.ts'
import { type CableOptions, cable } from '../../../../layers/physical/cable.ts'
import { hub } from '../../../../layers/physical/hub.ts'
import type { PhysicalService } from '../../../../layers/physical/service.ts'
import { ip, ipv4, sockets, tcp, udp } from '../../../../src/index.ts'
import { formatMac, parseMac } from '../../../../src/kernel/address.ts'
import { ms, seconds } from '../../../../src/kernel/clock.ts'
import type { Blueprint } from '../../../../src/kernel/layer.ts'
import { Packet, packetsInUse, poisonReleased } from '../../../../src/kernel/packet.ts'
import { beside, stack } from '../../../../src/kernel/stack.ts'
import { Simulation } from '../../../../src/runtime/simulation.ts'
import { physicalConformance, Recorder } from '../../../conformance/physical.ts'
import { dropsOf, pairOf } from '../../physical/ends.ts'

poisonReleased(true)

const ALL = 'ff:ff:ff:ff:ff:ff'
const octetsOf = (mac: string) => mac.split(':').map((pair) => Number.parseInt(pair, 16))
const station = (n: number) => `02:00:00:00:00:0${n}`

/** Three stations, each at the other end of a cable of a bridge: what they send and get, by their numbers from 1. */
async function three(options: BridgeOptions = {}) {
  const cables = [cable({ medium: 'ethernet' }), cable({ medium: 'ethernet' }), cable({ medium: 'ethernet' })] as const
  const sim = new Simulation({ seed: 3 })
  const [[a], [b], [c]] = cables
  const top = sim.boot('bridge', stack(beside({ a, b, c }), bridge(options))).top
  const own = new Recorder()
  top.boundary.attach(own)
  const ends = cables.map(([, end], i) => sim.boot(`S${i + 1}`, end).top)
  const recorders = ends.map((end) => {
    const recorder = new Recorder()
    end.boundary.attach(recorder)
    return recorder
  })
  const send = async (service: PhysicalService, destination: string, source: string, mark: number) => {
    const packet = Packet.take(service.headroom, 60 + service.tailroom)
    packet.append(Uint8Array.from([...octetsOf(destination), ...octetsOf(source), 0x08, 0, mark, ...new Array(45)]))
    service.send(packet, undefined)
    await sim.run(1)
  }
  /** The marks of what each got since it was last asked; the node's own station first. */
  const got = () => [own, ...recorders].map(({ packets }) => packets.splice(0).map((octets) => octets[14]))
  return {
    sim,
    cables,
    top,
    own,
    ends,
    got,
    from: (n: number, destination: string, mark: number, source = station(n)) =>
      send(ends[n - 1] as PhysicalService, destination, source, mark),
    fromSelf: (destination: string, mark: number) => send(top, destination, station(9), mark),
    where: () => Object.fromEntries(top.stations().map(({ address, port }) => [formatMac(address), port])),
  }
}

t.test('what nobody has been heard of goes everywhere, and then the way it was heard', async (t) => {
  const { sim, from, got, where } = await three()
  await from(1, station(2), 1)
  t.strictSame(got(), [[1], [], [1], [1]])
  await from(2, station(1), 2)
  t.strictSame(got(), [[], [2], [], []], 'station 1 is where it was heard')
  await from(1, station(2), 3)
  t.strictSame(got(), [[], [], [3], []])
  t.strictSame(where(), { [station(1)]: 'a', [station(2)]: 'b' })
  await sim.close()
  t.equal(packetsInUse(), 0)
})

t.test('groups go to all but the one who sent it, and to the node itself', async (t) => {
  const { sim, from, fromSelf, got } = await three()
  await from(3, ALL, 1)
  t.strictSame(got(), [[1], [1], [1], []])
  await from(3, '01:00:5e:00:00:01', 2)
  t.strictSame(got(), [[2], [2], [2], []])
  await fromSelf(ALL, 3)
  t.strictSame(got(), [[], [3], [3], [3]])
  await sim.close()
  t.equal(packetsInUse(), 0)
})

t.test('the node is a station like another', async (t) => {
  const { sim, from, fromSelf, got } = await three()
  await from(1, ALL, 1)
  await fromSelf(station(1), 2)
  got()
  await fromSelf(station(1), 3)
  t.strictSame(got(), [[], [3], [], []])
  await from(2, station(9), 4)
  t.strictSame(got(), [[4], [], [], []])
  await from(2, station(8), 5)
  t.strictSame(got(), [[], [5], [], [5]], 'an unknown station is not the node, whose address has been seen')
  await sim.close()
})

t.test('stations are forgotten in time, and follow who they are heard from', async (t) => {
  const { sim, from, got, where, top } = await three({ ageing: seconds(10) })
  await from(1, ALL, 1)
  await sim.run(seconds(4))
  t.match(top.stations(), [{ address: parseMac(station(1)), port: 'a', age: seconds(4) + 1 }])
  await from(3, ALL, 2, station(1))
  t.strictSame(where(), { [station(1)]: 'c' }, 'it has moved')
  got()
  await from(2, station(1), 3)
  t.strictSame(got(), [[], [], [], [3]])
  await sim.run(seconds(11))
  t.strictSame(where(), {})
  await from(2, station(1), 4)
  t.strictSame(got(), [[4], [4], [], [4]])
  await sim.close()
})

t.test('a port that is down is spared, and what was behind it sought anew', async (t) => {
  const { sim, cables, own, from, got, where } = await three()
  await from(1, ALL, 1)
  await from(2, ALL, 1)
  got()
  cables[1]?.link.unplug('pulled')
  t.strictSame(where(), { [station(1)]: 'a' })
  t.equal(own.links.at(-1), 'up b: pulled')
  await from(3, station(2), 2)
  t.strictSame(got(), [[2], [2], [], []])
  cables[1]?.link.plug()
  await from(3, station(2), 3)
  t.strictSame(got(), [[3], [3], [3], []])
  for (const { link } of cables) link.unplug('all')
  t.match(own.links.at(-1), /^down c: all/, 'without any port the node has no link')
  await sim.close()
})

t.test('what may not pass', async (t) => {
  const { sim, top, from, got } = await three()
  await from(1, '01:80:c2:00:00:01', 1)
  await from(1, '01:80:c2:00:00:0e', 1)
  await from(1, ALL, 1, '03:00:00:00:00:01')
  t.strictSame(got(), [[], [], [], []])
  await from(1, '01:80:c2:00:00:10', 2)
  t.strictSame(got(), [[2], [], [2], [2]], 'beyond the reserved ones it is a group like others')
  await from(1, station(1), 3)
  t.strictSame(got(), [[], [], [], []])
  t.strictSame(dropsOf(top), { groupSource: 1, reserved: 2, sameSide: 1 })
  await sim.close()
  t.equal(packetsInUse(), 0)
})

t.test('a frame that is none passes neither from below nor from above', async (t) => {
  const { sim, top, got, ends } = await three()
  for (const service of [ends[0] as PhysicalService, top]) {
    const packet = Packet.take(service.headroom, 60 + service.tailroom)
    packet.append(Uint8Array.from([...octetsOf(ALL), ...octetsOf(station(1)), 8]))
    service.send(packet, undefined)
    await sim.run(1)
  }
  t.strictSame(got(), [[], [], [], []])
  t.strictSame(dropsOf(top), { truncated: 2 })
  await sim.close()
  t.equal(packetsInUse(), 0)
})

t.test('a frame that a line has damaged ends here', async (t) => {
  const sim = new Simulation({ seed: 3 })
  const [[a, end], [b, other]] = [cable({ medium: 'frames' }), cable({ medium: 'frames' })]
  const { top } = sim.boot('bridge', stack(beside({ a, b }), bridge()))
  const [line, far] = [sim.boot('S1', end).top, new Recorder()]
  sim.boot('S2', other).top.boundary.attach(far)
  for (const damage of [0, 1]) {
    const packet = Packet.take(line.headroom, 64 + line.tailroom)
    packet.append(Uint8Array.from([...octetsOf(ALL), ...octetsOf(station(1)), 8, 0, ...new Array(46).fill(7)]))
    putPaddingAndFcs(packet)
    packet.octets[packet.start + 20] = 7 ^ damage
    line.send(packet, undefined)
    await sim.run(seconds(1))
  }
  t.equal(far.packets.length, 1)
  t.strictSame(dropsOf(top), { fcs: 1, noUser: 1 })
  await sim.close()
  t.equal(packetsInUse(), 0)
})

t.test('a port that is down is not even tried', async (t) => {
  const { sim, cables, from, got, fromSelf } = await three()
  cables[1]?.link.unplug('pulled')
  await from(1, ALL, 1)
  await fromSelf(ALL, 2)
  t.strictSame(got(), [[1], [2], [], [1, 2]])
  const drops = [...sim.nodes.values()].flatMap(({ boundaries }) => [...boundaries].map(({ drops }) => drops))
  t.equal(
    drops.reduce((sum, some) => sum + (some.get('linkDown') ?? 0), 0),
    0,
  )
  await sim.close()
})

t.test('the node itself is under no limit of storms', async (t) => {
  const { sim, top, fromSelf, got } = await three({ stormLimit: 10 })
  for (let i = 0; i < 50; i++) await fromSelf(ALL, 1)
  t.equal(got()[1]?.length, 50)
  t.strictSame(dropsOf(top), {})
  await sim.close()
})

t.test('a storm is kept within its limit, and others are not kept from speaking', async (t) => {
  const { sim, cables, top, from, fromSelf, got } = await three({ stormLimit: 100 })
  for (let i = 0; i < 50; i++) await from(1, ALL, 1)
  const [self = [], , second = []] = got()
  t.strictSame([self.length, second.length], [10, 10], 'a tenth of the limit at once')
  t.strictSame(dropsOf(top), { storm: 40 })
  t.strictSame(top.ports()[0], { name: 'a', state: 'up', flooded: 10, stormDrops: 40 })
  await from(2, ALL, 2)
  await from(2, station(1), 3)
  t.strictSame(got(), [[2], [2, 3], [], [2]], 'each port has a limit of its own; what has one address has none')
  await sim.run(seconds(1))
  for (let i = 0; i < 50; i++) await from(1, ALL, 1)
  t.equal(got()[1 + 2]?.length, 10)
  cables[2].link.unplug('gone')
  await fromSelf(station(5), 4)
  await fromSelf(station(1), 5)
  t.strictSame(top.ports(), [
    { name: 'a', state: 'up', flooded: 20, stormDrops: 80 },
    { name: 'b', state: 'up', flooded: 1, stormDrops: 0 },
    { name: 'c', state: 'down', flooded: 0, stormDrops: 0 },
    { name: undefined, state: 'up', flooded: 1, stormDrops: 0 },
  ])
  await sim.close()
  t.equal(packetsInUse(), 0)
})

type Options = CableOptions<'frames' | 'ethernet'>
type Frames = Blueprint<PhysicalService<'frames' | 'ethernet'>>

/** Hosts 1 and 2 at the ends of cables to a bridge, which is host 3, and what 2 sends arrives at 1 and at 3. */
async function transfer(first: Options, second: Options) {
  const sim = new Simulation({ seed: 5 })
  const host = (end: Frames, n: number) =>
    sim.boot(`H${n}`, stack(end, ethernet(), ip(ipv4({ address: `10.0.0.${n}/24` })), sockets(tcp(), udp())))
  const [a, b] = [cable(first), cable(second)]
  const one = host(a[0], 1)
  const two = host(b[0], 2)
  const three = host(stack(beside({ a: a[1], b: b[1] }), bridge()), 3)
  const sent = Buffer.from(Uint8Array.from({ length: 300_000 }, (_, i) => (i * 7) ^ (i >> 8)))
  const results: boolean[] = []
  for (const server of [one, three]) {
    server.net
      .createServer((socket) => {
        const chunks: Buffer[] = []
        socket.on('data', (chunk: Buffer) => chunks.push(chunk))
        socket.on('end', () => results.push(Buffer.concat(chunks).equals(sent)))
      })
      .listen(80)
  }
  for (const address of ['10.0.0.1', '10.0.0.3']) two.net.connect({ host: address, port: 80 }).end(sent)
  await sim.runUntil(() => results.length === 2, seconds(20))
  await sim.close()
  return results
}

t.test('transfers between media that take different things', async (t) => {
  const media: Record<string, Options> = {
    'frames with FCS': { medium: 'frames', rate: 1e9, delay: ms(1) },
    'frames without': { medium: 'ethernet', rate: 1e9, delay: ms(1) },
    'super-segments': { medium: 'ethernet', offload: true },
  }
  for (const [from, first] of Object.entries(media)) {
    for (const [to, second] of Object.entries(media)) {
      t.strictSame(await transfer(first, second), [true, true], `${to} to ${from}`)
    }
  }
  t.equal(packetsInUse(), 0)
})

t.test('sizes are those that all ports can have', async (t) => {
  const [a] = cable({ medium: 'frames', mtu: 1500 })
  const [b] = cable({ medium: 'ethernet', mtu: 1400, offload: true })
  const sim = new Simulation()
  const { mtu, offload, tailroom } = sim.boot('A', stack(beside({ a, b }), bridge())).top
  t.equal(mtu, 1414)
  t.equal(tailroom, 50, 'padding and FCS')
  t.strictSame([offload.segment > 60_000, offload.checksum], [true, true], 'the bridge segments for those who cannot')
  await sim.close()
})

t.test('options that cannot be', async (t) => {
  for (const options of [{ ageing: 0 }, { stations: 7 }, { stormLimit: 0 }]) {
    t.throws(() => bridge(options), { code: 'ERR_OUT_OF_RANGE' })
  }
  const sim = new Simulation()
  t.throws(() => sim.boot('A', stack(beside({}), bridge())), { code: 'ERR_INVALID_ARG_VALUE' })
  await sim.close()
})

await physicalConformance(t, 'a bridge of one cable', {
  shortest: 14,
  // To all, from one station.
  shape: (octets) => octets.set([...octetsOf(ALL), ...octetsOf(station(1))].slice(0, octets.length)),
  make: () => {
    const [near, far] = cable({ medium: 'ethernet' })
    return pairOf([stack(beside({ a: near }), bridge({ stormLimit: 1e6 })), far])
  },
})
await physicalConformance(t, 'a bridge of a hub', {
  shortest: 60,
  shape: (octets) => octets.set([...octetsOf(ALL), ...octetsOf(station(1))].slice(0, octets.length)),
  make: () => {
    const [near, far] = hub(2)
    return pairOf([
      stack(beside({ a: near }), bridge({ stormLimit: 1e6 })),
      stack(beside({ a: far }), bridge({ stormLimit: 1e6 })),
    ])
  },
})
