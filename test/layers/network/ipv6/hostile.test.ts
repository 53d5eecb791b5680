/**
 * Thousands of packets of every kind, most of them wrong somewhere, into a router: nothing is thrown, lost, left behind or
 * beyond its bound, every reason for a drop is met.
 */
import assert from 'node:assert'
import t from 'tap'
import { ethernet } from '../../../../layers/datalink/ethernet/ethernet.ts'
import { ip } from '../../../../layers/network/ip.ts'
import { DISCOVERY_REASONS } from '../../../../layers/network/ipv6/discovery.ts'
import { ipv6 } from '../../../../layers/network/ipv6/ipv6.ts'
import { cable } from '../../../../layers/physical/cable.ts'
import { sockets } from '../../../../layers/transport/sockets.ts'
import { tcp } from '../../../../layers/transport/tcp/tcp.ts'
import { udp } from '../../../../layers/transport/udp/udp.ts'
import { ms, seconds } from '../../../../src/kernel/clock.ts'
import { Packet, packetsInUse, poisonReleased } from '../../../../src/kernel/packet.ts'
import { below, type Random, SeededRandom } from '../../../../src/kernel/random.ts'
import { beside, stack } from '../../../../src/kernel/stack.ts'
import { Simulation } from '../../../../src/runtime/simulation.ts'
import { withFcs } from '../../../fuzz/frames.ts'
import { checksumOf, extension, fragmentHeader, ICMPV6, packet } from './bare.ts'
import { host, PROBE, Sink } from './stand.ts'

poisonReleased(true)

const PACKETS = 40_000
const ROUTER_MAC = '02:00:00:00:00:01'
const ROUTER_ADDRESS = 'fe80::ff:fe00:1'
/** Stations of its link. */
const NEAR = ['fd00:1::1', 'fd00:1::1', 'fe80::1', 'fe80::1']
/** Sources and destinations that mean something to the router, and some that mean nothing to anybody. */
const PLACES = [
  'fd00:1::fe', 'fd00:1::1', 'fd00:1::2', 'fd00:2::1', 'fd00:2::99', 'fd00:66::1', 'fd00:67::1', 'fd00:68::1', '2001:db8::1',
  'ff02::1', 'ff02::2', 'ff02::1:ff00:fe', 'ff02::99', 'ff01::1', 'ff05::2', '::', '::1', '::ffff:10.0.0.1', 'fe80::1', 'fe80::2',
] as const // biome-ignore format: a list
/** What a drop can only be for where these packets do not come: how they are sent, or links that are not here. */
const UNREACHED = [
  'badSource',
  'queueFull',
  'linkDown',
  'policyDenied',
  'policyRejected',
  'tooLong',
  'short',
  'noFamily',
  'mappedAddress',
  'discoveryClosed',
]

class Hostile {
  private readonly random: Random
  private last: Uint8Array | null = null

  constructor(random: Random) {
    this.random = random
  }

  /** A packet, most of the time spoilt; sometimes the one before again. */
  next(): Uint8Array {
    if (this.one(10) && this.last !== null) return this.last
    const source = this.pick([...PLACES, ...NEAR])
    const destination = this.pick([...PLACES, 'fd00:1::fe', 'fd00:1::fe', 'fd00:1::fe', 'ff02::1', ROUTER_ADDRESS])
    const { next, payload } = this.wrapped(this.content(source, destination))
    const hopLimit = this.pick([0, 1, 1, 1, 2, 64, 255, 255, 255])
    const octets = packet({ source, destination, next, payload: payload.subarray(0, 1400), hopLimit })
    this.last = octets
    if (this.one(3)) octets[below(this.random, octets.length)] = below(this.random, 256)
    return this.one(8) ? octets.subarray(0, below(this.random, octets.length)) : octets
  }

  private content(source: string, destination: string): { next: number; payload: Uint8Array } {
    const { random } = this
    const next = this.pick([ICMPV6, ICMPV6, ICMPV6, 6, 17, PROBE, 254, 59, 51])
    const length = this.one(30) ? below(random, 8) : 8 + below(random, this.one(4) ? 1400 : 80)
    const payload = random.octets(next === ICMPV6 && length >= 8 && !this.one(4) ? length & ~7 : length)
    if (next === ICMPV6 && length >= 8) this.message(payload, source, destination)
    if (next === 17 && length >= 8) payload.set([payload.length >> 8, payload.length & 255], 4)
    const field = next === 6 ? 16 : next === 17 ? 6 : 2
    if (payload.length > field + 1 && next !== PROBE && !this.one(6)) {
      payload.fill(0, field, field + 2)
      const sum = checksumOf(source, destination, next, payload)
      payload.set([sum >> 8, sum & 255], field)
    }
    return { next, payload }
  }

  /** Of every type; those of discovery with options and targets that mean something, errors with what we may have sent. */
  private message(payload: Uint8Array, source: string, destination: string): void {
    const type =
      source === '::' && this.one(2)
        ? 128
        : this.pick([1, 2, 3, 4, 77, 128, 129, 130, 130, 131, 143, 133, 134, 135, 135, 136, 136, 137, 200])
    payload.set([type, this.one(8) ? 1 : 0])
    if (type < 5 && payload.length > 64) payload.set(packet({ source: destination, destination: source }), 8)
    if (type < 130 || type > 137) return
    const target = packet({ source: this.pick([...PLACES, 'ff02::1:3', '::']) }).subarray(8, 24)
    if (type < 133 && payload.length >= 24) payload.set(target, 8)
    if (type < 133) return
    if (type > 134 && payload.length >= 24) payload.set(target, 8)
    const options = type === 133 ? 8 : type === 134 ? 16 : type === 137 ? 40 : 24
    for (let at = options; at + 8 <= payload.length; at += 8) {
      payload.set([this.pick([1, 2, 2, 200]), 1, 2, 0, 0, 0, 0, below(this.random, 4)], at)
    }
  }

  /** Behind extension headers, one of which may be of a fragment. */
  private wrapped(inner: { next: number; payload: Uint8Array }): { next: number; payload: Uint8Array } {
    let { next, payload } = inner
    if (this.one(8) && next === ICMPV6) {
      return { next: 44, payload: Uint8Array.from([...fragmentHeader(next, 0, false, 1), ...payload]) }
    }
    const type = payload[0] ?? 0
    if (next === ICMPV6 && ((type >= 130 && type <= 132) || type === 143) && this.one(2)) {
      return { next: 0, payload: Uint8Array.from([...extension(next, [5, 2, 0, 0, 1, 0]), ...payload]) }
    }
    if (this.one(50)) return { next: 60, payload: Uint8Array.from(new Array(12).fill(extension(60, [1, 4])).flat()) }
    for (let count = this.pick([0, 0, 0, 1, 2, 2]); count > 0; count--) {
      const kind = this.pick([0, 43, 44, 44, 60, 60])
      const contents = [...this.random.octets(below(this.random, 12))]
      if (kind !== 43 && this.one(2)) contents.fill(1)
      if (kind === 43 && this.one(2)) contents[1] = 0
      const offset = this.pick([0, 0, 8, 16, 24, 1480, 65_528])
      const fragment = fragmentHeader(next, offset, this.one(2), below(this.random, 40))
      if (kind === 44 && this.one(2)) payload = payload.subarray(0, payload.length & ~7)
      payload = Uint8Array.from([...(kind === 44 ? fragment : extension(next, contents)), ...payload])
      next = kind
    }
    return { next, payload }
  }

  private one(of: number): boolean {
    return below(this.random, of) === 0
  }

  private pick<T>(from: readonly T[]): T {
    return from[below(this.random, from.length)] as T
  }
}

t.test('a router among the hostile', async (t) => {
  const before = packetsInUse()
  const sim = new Simulation({ seed: 6 })
  const random = new SeededRandom([6, 7, 8, 9])
  const [far, near] = cable({ queue: 4096 })
  const [out, sink] = cable({ mtu: 1300 })
  const limits = { octets: 262_144, datagrams: 24 }
  const network = ip(
    ipv6({
      forwarding: true,
      addresses: { eth0: 'fd00:1::fe/64', eth1: 'fd00:2::fe/64' },
      interfaceIdentifier: 'eui64',
      reassembly: limits,
      reversePath: 'loose',
      neighbours: { entries: 32, waiting: 4 },
      routes: [
        { prefix: '2001:db8::/32', via: 'fd00:2::1' },
        { prefix: 'fd00:66::/64', action: 'blackhole' },
        { prefix: 'fd00:67::/64', action: 'prohibit' },
        { prefix: 'fd00:68::/64', action: 'unreachable' },
      ],
    }),
  )
  const links = { eth0: stack(near, ethernet({ address: ROUTER_MAC })), eth1: stack(out, ethernet()) }
  let boundary: Sink['network']['boundary'] | undefined
  const router = sim.boot(
    'R',
    stack(beside(links), network, (below, env) => {
      boundary = below.boundary
      return sockets(tcp(), udp())(below, env)
    }),
  )
  const b = new Sink(sim.boot('B', host(sink, { address: 'fd00:2::1/64', gateway: 'fd00:2::fe' })).top, PROBE)
  const attacker = sim.boot('attacker', far)
  attacker.top.boundary.attach({ receive: (heard) => heard.release() })
  await sim.run(seconds(3))
  const hostile = new Hostile(random)
  let most = 0
  for (let i = 0; i < PACKETS; i++) {
    const octets = hostile.next()
    const many = octets[24] === 0xff && below(random, 20) > 0
    const mac = many
      ? [0x33, 0x33, ...octets.subarray(36, 40)]
      : below(random, 30) === 0
        ? [255, 255, 255, 255, 255, 255]
        : [2, 0, 0, 0, 0, 1]
    const frame = withFcs(Uint8Array.from([...mac, 2, 0, 0, 0, 0, 2 + below(random, 3), 0x86, 0xdd, ...octets]))
    const sent = Packet.take(0, frame.length)
    sent.append(frame)
    attacker.top.send(sent, undefined)
    if (i % 50 === 49) await sim.run(below(random, 20) === 0 ? seconds(70) : ms(5))
    most = Math.max(most, packetsInUse() - before)
  }
  t.ok(most < 400, `${most} packets at once`)
  t.ok(b.got.length > 0, 'some went through')
  assert.ok(boundary)
  const ofDiscovery = Object.keys(DISCOVERY_REASONS)
  const excused = [...UNREACHED, ...ofDiscovery]
  const missed = [...boundary.drops].filter(([reason, count]) => count === 0 && !excused.includes(reason))
  t.same(
    missed.map(([reason]) => reason),
    [],
    'every reason of IPv6 itself was met',
  )
  const met = ofDiscovery.filter((reason) => (boundary?.drops.get(reason) ?? 0) > 0)
  t.ok(met.length >= 8, `and of discovery: ${met.join(', ')}`)
  await router.close()
  await sim.close()
  t.equal(packetsInUse(), before)
  t.equal(sim.timers.size, 0)
})
