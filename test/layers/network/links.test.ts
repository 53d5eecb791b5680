/** Links that come, go and change under the network tier. */
import t from 'tap'
import { ethernet } from '../../../layers/datalink/ethernet/ethernet.ts'
import {
  ETHERTYPE,
  type LinkService,
  type Negotiated,
  type NegotiatedListener,
} from '../../../layers/datalink/service.ts'
import { babel } from '../../../layers/middleware/routing/babel/babel.ts'
import { ip } from '../../../layers/network/ip.ts'
import { ipv4 } from '../../../layers/network/ipv4/ipv4.ts'
import { ipv6 } from '../../../layers/network/ipv6/ipv6.ts'
import { LinkIndices } from '../../../layers/network/link-indices.ts'
import type { NetworkService } from '../../../layers/network/service.ts'
import { cable } from '../../../layers/physical/cable.ts'
import { sockets } from '../../../layers/transport/sockets.ts'
import { tcp } from '../../../layers/transport/tcp/tcp.ts'
import { udp } from '../../../layers/transport/udp/udp.ts'
import { parseAddress } from '../../../src/kernel/address.ts'
import { ms, seconds } from '../../../src/kernel/clock.ts'
import type { Env } from '../../../src/kernel/env.ts'
import type { Blueprint } from '../../../src/kernel/layer.ts'
import { type Packet, packetsInUse } from '../../../src/kernel/packet.ts'
import { slab } from '../../../src/kernel/slab.ts'
import { beside, stack } from '../../../src/kernel/stack.ts'
import { Simulation } from '../../../src/runtime/simulation.ts'
import { TestLink } from './ipv4/link.ts'
import { Sink } from './ipv4/stand.ts'
import * as v6 from './ipv6/bare.ts'
import * as octets from './ipv6/nd/octets.ts'
import { drops, PROBE, pattern } from './ipv6/stand.ts'

const link = (env: Env) => new TestLink(env, undefined, ETHERTYPE.ipv6)

t.test('a link that comes again has its number, and numbers do not grow with those that never do', async (t) => {
  const indices = new LinkIndices()
  t.equal(indices.take('first'), 1)
  t.equal(indices.take('second'), 2)
  indices.give('second', 2)
  indices.give('first', 1)
  t.equal(indices.take('third'), 3, 'not one that was another')
  t.equal(indices.take('second'), 2)
  t.equal(indices.take('first'), 1)
  indices.give('first', 1)
  const used = new Set<number>()
  for (let i = 0; i < 5000; i++) {
    const index = indices.take(`guest ${i}`)
    used.add(index)
    indices.give(`guest ${i}`, index)
  }
  t.ok(Math.max(...used) < 1100, `${Math.max(...used)}`)
  t.notOk(used.has(1), 'the first one is only the first one')
  t.equal(indices.take('first'), 1)
})

/** How many objects can be reached from one, entries of lists and maps included. */
function reachable(root: object): number {
  const seen = new Set<object>([root])
  let entries = 0
  for (const one of seen) {
    if (ArrayBuffer.isView(one)) continue
    const fields = Reflect.ownKeys(one).map((key) => Reflect.getOwnPropertyDescriptor(one, key)?.value as unknown)
    const members = one instanceof Map ? [...one].flat() : one instanceof Set ? [...one] : []
    if (Array.isArray(one)) entries += one.length
    for (const value of [...fields, ...members]) {
      if (typeof value !== 'object' || value === null) continue
      entries++
      seen.add(value)
    }
  }
  return entries
}

/**
 * How often a link comes and goes. For longer, with what memory there is left each time:
 *
 *   NETSTRATA_LINK_CYCLES=10000 node --expose-gc --import tsx test/layers/network/links.test.ts
 */
const CYCLES = Number(process.env.NETSTRATA_LINK_CYCLES ?? 240)
const FIRST_CYCLES = 40
const TIMEOUT_MS = Math.max(120_000, CYCLES * 100)
t.setTimeout(TIMEOUT_MS)

t.test('links that come and go leave nothing behind', { timeout: TIMEOUT_MS }, async (t) => {
  const before = packetsInUse()
  const sim = new Simulation()
  const forwarding = true
  const families = ip(
    ipv4({ forwarding, addresses: { x: '10.0.0.1/24' }, nat: { link: 'x' }, groups: [onwards('239.1.2.3')] }),
    ipv6({ forwarding, addresses: { x: 'fd00::1/64' }, advertise: { x: {} }, groups: [onwards('ff15::3')] }),
  )
  let network: NetworkService | undefined
  const node = sim.boot('A', (env) => {
    network = families(beside({ y: link })(env), env)
    const top = sockets(tcp(), udp())(network, env)
    babel({ interfaces: { x: {} }, redistribute: [{ action: 'allow' }] })(top, env)
    return top
  })
  const below = network as unknown as NetworkService
  const sink = new Sink(below, PROBE)
  const { datagram } = node.top
  const member = (group: string) => {
    const address = parseAddress(group.includes(':') ? '::' : '0.0.0.0')
    const socket = datagram.bind({ address, port: 5000, reuse: true }, { message: () => {} })
    socket.join(parseAddress(group), 'x')
    return socket
  }
  const staying: unknown[] = []
  const cycle = async (times: number): Promise<number> => {
    for (let i = 0; i < times; i++) {
      const ends = cable()
      const wire: Blueprint<LinkService> = i % 2 === 0 ? link : stack(ends[0], ethernet())
      const part = await node.attach('x', wire)
      below.attach('x', part.top)
      if (staying.length === 0) staying.push(member('239.1.2.4'), member('ff15::4'))
      const passing = ['239.1.2.3', 'ff15::3', '239.1.2.5'].map(member)
      if (i % 4 < 2) await sim.run(ms(1500))
      if (part.top instanceof TestLink)
        part.top.inject(v6.packet({ source: `fd00::${(i % 5000) + 2}`, payload: pattern(8) }))
      sink.send(`10.0.0.${(i % 200) + 2}`, pattern(8))
      sink.send(`fd00::1:${(i % 200) + 2}`, pattern(8))
      if (i % 3 === 0) for (const socket of passing) socket.close()
      below.detach('x')
      await part.close()
      if (i % 3 !== 0) for (const socket of passing) socket.close()
    }
    await sim.run(seconds(20))
    t.ok(sim.timers.size <= 1, `${sim.timers.size} timers`)
    sink.got.length = 0
    return reachable(node)
  }
  const once = await cycle(FIRST_CYCLES)
  const first = memory()
  const left = CYCLES - FIRST_CYCLES
  t.equal(await cycle(left - (left % 12) + (FIRST_CYCLES % 12)), once)
  t.comment(`after ${FIRST_CYCLES} cycles: ${first}; after ${CYCLES}: ${memory()}`)
  await sim.close()
  t.equal(packetsInUse(), before)
  t.equal(sim.timers.size, 0)
})

const onwards = (group: string) => ({ group, from: 'x', to: ['y'] })

/** After a collection where `node --expose-gc` allows it. */
function memory(): string {
  globalThis.gc?.()
  const heap = (process.memoryUsage().heapUsed / 1e6).toFixed(1)
  return `heap ${heap} MB, slab ${(slab().octets.length / 1e6).toFixed(1)} MB`
}

/** A link that is full, and does not say when it no longer is. */
class Full extends TestLink {
  override send(packet: Packet): boolean {
    super.send(packet)
    return false
  }
}

t.test('who waits for a link that goes does so no more', async (t) => {
  const sim = new Simulation()
  const full = (env: Env) => new Full(env, undefined, ETHERTYPE.ipv6)
  const options = { addresses: { x: 'fd00::1/64' }, autoconfigure: false }
  const { top } = sim.boot('A', stack(beside({ x: full, y: link }), ip(ipv6(options))))
  const sink = new Sink(top, PROBE)
  t.equal(sink.send('fd00::2', pattern(8)), false)
  t.equal(sink.readies, 0)
  top.detach('x')
  t.equal(sink.readies, 1)
  await sim.close()
})

t.test('one prefix on two links: an address of it on one of them', async (t) => {
  const { sim, network, wires } = v6.twoLinks({
    autoconfigure: true,
    addresses: {},
    neighbours: { secret: '0'.repeat(32) },
  })
  await sim.run(seconds(2))
  const message = octets.ra(1800, 0, 64, octets.prefix('2001:db8::', 64, 0xc0, 1000, 1000))
  const from = { source: 'fe80::9', destination: 'ff02::1', hopLimit: 255 }
  const packet = v6.icmp(134, 0, (64 << 24) | 1800, message.slice(8), from)
  for (const wire of wires) wire.inject(packet, 'multicast')
  await sim.run(seconds(2))
  const own = network.control.links().map(({ addresses }) => addresses.filter((one) => one.startsWith('2001:')).length)
  t.same(own, [1, 0])
  await sim.close()
})

t.test('the last address of a network takes the route of it along, and no other', async (t) => {
  const sim = new Simulation()
  const families = ip(ipv4({ addresses: { x: '10.1.0.1/24' } }), ipv6({ addresses: { x: 'fd01::1/64' } }))
  const { top } = sim.boot('A', stack(beside({ x: link, y: link }), families))
  const { control } = top
  const networks = [['10.1.0.0/24', '10.1.0.2/24'] as const, ['fd01::/64', 'fd01::2/64'] as const]
  for (const [prefix, second] of networks) {
    const shown = () => control.routes.list(prefix).map(({ link, origin }) => `${link} ${origin}`)
    const leave = (address: string) => control.removeAddress('x', address.split('/')[0] as string)
    control.routes.add({ prefix, link: 'x', metric: 9 })
    control.routes.add({ prefix, link: 'y', metric: 9, origin: 'link' })
    control.addAddress('x', second)
    leave(prefix.replace(/0?\/.*/, '1'))
    t.same(shown(), ['x link', 'x static', 'y link'], `${prefix}: the other address is of it`)
    leave(second)
    t.same(shown(), ['x static', 'y link'])
  }
  await sim.close()
})

t.test('what a link agrees on takes the place of what it had agreed on, each family for itself', async (t) => {
  const sim = new Simulation()
  let agree: NegotiatedListener = () => {}
  const negotiated: Negotiated = {
    follow: (listener) => {
      agree = listener
      return () => {}
    },
  }
  const dialled = (env: Env) => Object.assign(link(env), { negotiated })
  const { top } = sim.boot('A', stack(beside({ x: dialled }), ip(ipv4(), ipv6({ autoconfigure: false }))))
  const { control } = top
  const told = (own: string, peer: string | null) => agree(parseAddress(own), peer === null ? null : parseAddress(peer))
  const prefixes = () => control.routes.list().map(({ prefix }) => prefix)
  const addresses = () => control.links()[0]?.addresses
  told('10.0.0.1', '10.0.0.2')
  told('fe80::1', 'fe80::2')
  t.same(prefixes(), ['10.0.0.2/32', 'fe80::2/128'])
  told('10.0.0.1', '10.0.0.9')
  t.same(prefixes(), ['10.0.0.9/32', 'fe80::2/128'], 'another peer')
  told('10.0.0.3', null)
  t.same(prefixes(), ['fe80::2/128'], 'a peer that does not say who it is')
  t.same(addresses(), ['10.0.0.3/32', 'fe80::1/128'])
  await sim.close()
})

t.test('a link that comes to carry less than a family needs is sent what it drops', async (t) => {
  const sim = new Simulation()
  const wire = cable()
  const families = (n: number) => ip(ipv4({ address: `10.0.0.${n}/24` }), ipv6({ address: `fd00::${n}/64` }))
  const a = new Sink(sim.boot('A', stack(wire[0], ethernet(), families(1))).top, PROBE)
  const b = new Sink(sim.boot('B', stack(wire[1], ethernet(), families(2))).top, PROBE)
  await sim.run(seconds(3))
  for (const to of ['10.0.0.2', 'fd00::2']) a.send(to, pattern(100))
  await sim.run(seconds(1))
  t.equal(b.got.length, 2)
  wire.link.setMtu(50)
  await sim.run(seconds(1))
  for (const [to, mtu] of [
    ['10.0.0.2', 68],
    ['fd00::2', 1280],
  ] as const) {
    a.send(to, pattern(2000))
    t.equal(a.path.mtu, mtu)
  }
  await sim.run(seconds(1))
  t.equal(b.got.length, 2)
  t.same(Object.keys(drops(a.network)), ['notMember'], 'the link has dropped them, not we')
  wire.link.setMtu(1500)
  await sim.run(seconds(1))
  for (const to of ['10.0.0.2', 'fd00::2']) a.send(to, pattern(2000))
  await sim.run(seconds(1))
  t.equal(b.got.length, 4)
  await sim.close()
})
