import fc from 'fast-check'
import t from 'tap'
import { ETHERTYPE } from '../../../layers/datalink/service.ts'
import { type ArpOptions, arp } from '../../../layers/network/ipv4/arp.ts'
import { type NeighbourOwner, type Neighbours, UNRESOLVED } from '../../../layers/network/neighbours.ts'
import { parseAddress } from '../../../src/kernel/address.ts'
import { ms, seconds } from '../../../src/kernel/clock.ts'
import type { Env } from '../../../src/kernel/env.ts'
import { type Packet, packetsInUse, poisonReleased } from '../../../src/kernel/packet.ts'
import { Simulation } from '../../../src/runtime/simulation.ts'
import { Segment, StationLink } from './arp-link.ts'

poisonReleased(true)

interface Station {
  readonly name: string
  readonly link: StationLink
  readonly arp: Neighbours
  /** First octets of packets that arrived, and what the owner was told. */
  readonly got: number[]
  readonly told: string[]
  packet(first: number): Packet
  drops(): Record<string, number>
  /** Sends a packet whose first octet is `first`, as the network layer does. */
  send(to: string, first: number): void
}

function station(
  sim: Simulation,
  segment: Segment,
  n: number,
  options: ArpOptions = {},
  address = `10.0.0.${n}`,
): Station {
  const name = String.fromCharCode(64 + n)
  const got: number[] = []
  const told: string[] = []
  const node = sim.boot(name, (env: Env) => {
    const link = new StationLink(segment, env, 0x0200_0000_0000 + n)
    const receive = (packet: Packet) => {
      got.push(packet.view.getUint8(packet.start))
      packet.release()
    }
    link.boundary.attach({ receive }, ETHERTYPE.ipv4)
    const owner: NeighbourOwner = {
      undeliverable(packet, nextHop) {
        told.push(`undeliverable ${packet.view.getUint8(packet.start)} to ${nextHop}`)
        packet.release()
      },
      claimed: (claimed) => void told.push(`claimed ${claimed}`),
      conflict: (conflicting, peer, lost) => void told.push(`conflict ${conflicting} with ${peer % 256}, lost ${lost}`),
    }
    const neighbours = arp(link, env, owner, options)
    env.defer(() => neighbours.close())
    return { env, link, neighbours }
  })
  const { env, link, neighbours } = node.top
  neighbours.claim(parseAddress(address), 24)
  const packet = (first: number): Packet => {
    const made = env.packet(16, 104)
    made.view.setUint8(made.put(100), first)
    return made
  }
  const to = { peer: 0, protocol: ETHERTYPE.ipv4, cast: 'unicast' as const }
  return {
    name,
    link,
    arp: neighbours,
    got,
    told,
    packet,
    drops: () => node.snapshot().find((b) => b.name.endsWith('/arp'))?.drops ?? {},
    send(target, first) {
      const made = packet(first)
      const peer = neighbours.resolve(parseAddress(target), made)
      if (peer === UNRESOLVED) return
      to.peer = peer
      link.send(made, to)
    },
  }
}

/** Two stations whose announcements are over; the log starts empty. */
async function pair(options: ArpOptions = {}): Promise<{ sim: Simulation; segment: Segment; a: Station; b: Station }> {
  const sim = new Simulation()
  const segment = new Segment()
  const a = station(sim, segment, 1, options)
  const b = station(sim, segment, 2)
  await sim.run(seconds(5))
  segment.log.length = 0
  return { sim, segment, a, b }
}

const stateOf = (of: Station, address: string): string | undefined =>
  of.arp.list().find((entry) => String(entry.address) === address)?.state

const arpOctets = (
  op: number,
  sha: number,
  spa: string,
  tha: number,
  tpa: string,
  over: Record<number, number> = {},
) => {
  const mac = (n: number) => [2, 0, 0, 0, 0, n]
  const ip = (text: string) => text.split('.').map(Number)
  const octets = [0, 1, 8, 0, 6, 4, 0, op, ...mac(sha), ...ip(spa), ...mac(tha), ...ip(tpa)]
  for (const [at, value] of Object.entries(over)) octets[Number(at)] = value
  return octets
}

t.test('one request for several packets, which leave in order when the answer comes', async (t) => {
  const { sim, segment, a, b } = await pair()
  for (const n of [1, 2, 3]) a.send('10.0.0.2', n)
  await sim.run(ms(1))
  t.same(b.got, [1, 2, 3])
  t.same(segment.log, [
    '5000 A > all who has 10.0.0.2 tell 10.0.0.1',
    '5000 B > 01 reply to 10.0.0.1 tell 10.0.0.2',
    '5000 A > 02 data 1',
    '5000 A > 02 data 2',
    '5000 A > 02 data 3',
  ])
  t.equal(stateOf(a, '10.0.0.2'), 'reachable')
  t.equal(stateOf(b, '10.0.0.1'), 'stale', 'who asks is entered, but not proven reachable')
  await sim.close()
})

t.test('addresses are announced twice, and again when the link comes up', async (t) => {
  const sim = new Simulation()
  const segment = new Segment()
  const a = station(sim, segment, 1)
  await sim.run(seconds(10))
  a.link.boundary.linkChanged('down', 'test')
  a.link.boundary.linkChanged('up', 'test')
  await sim.run(seconds(10))
  t.same(
    segment.log,
    [0, 2000, 10_000, 12_000].map((at) => `${at} A > all who has 10.0.0.1 tell 10.0.0.1`),
  )
  await sim.close()
})

t.test('a silent neighbour is asked three times, then its packets are undeliverable', async (t) => {
  const { sim, segment, a } = await pair()
  a.send('10.0.0.9', 7)
  await sim.run(ms(2999))
  t.same(
    segment.log,
    [5000, 6000, 7000].map((at) => `${at} A > all who has 10.0.0.9 tell 10.0.0.1`),
  )
  t.same(a.told, [])
  await sim.run(ms(1))
  t.same(a.told, ['undeliverable 7 to 10.0.0.9'])
  a.send('10.0.0.9', 8)
  t.equal(a.told.length, 1, 'never told within resolve')
  await sim.run(0)
  t.same(a.told.slice(1), ['undeliverable 8 to 10.0.0.9'], 'and at once while it is held as failed')
  t.equal(segment.log.length, 3, 'without asking again')
  await sim.run(seconds(1))
  a.send('10.0.0.9', 9)
  t.equal(segment.log.length, 4, 'after which it is asked for again')
  await sim.close()
  t.equal(packetsInUse(), 0)
})

t.test('the queue of a neighbour is bounded: the oldest gives way', async (t) => {
  const { sim, a, b } = await pair({ waiting: 4 })
  for (let n = 0; n < 10; n++) a.send('10.0.0.2', n)
  t.match(a.drops(), { queueFull: 6 })
  await sim.run(ms(1))
  t.same(b.got, [6, 7, 8, 9])
  await sim.close()
})

t.test('the packets that wait for all neighbours together are bounded', async (t) => {
  const { sim, a } = await pair({ waiting: 4, waitingInAll: 6 })
  for (let n = 0; n < 20; n++) a.send(`10.0.0.${50 + (n % 5)}`, n)
  t.equal(a.drops().queueFull, 14)
  await sim.run(seconds(4))
  t.equal(a.told.length, 6)
  await sim.close()
  t.equal(packetsInUse(), 0)
})

t.test('a stale address is used, probed by unicast, and given up when nobody answers', async (t) => {
  const { sim, segment, a, b } = await pair({ reachable: seconds(10) })
  a.send('10.0.0.2', 1)
  await sim.run(seconds(16))
  t.equal(stateOf(a, '10.0.0.2'), 'stale')
  a.send('10.0.0.2', 2)
  t.equal(stateOf(a, '10.0.0.2'), 'delay')
  await sim.run(ms(5001))
  t.match(segment.log.slice(-2), ['26000 A > 02 who has 10.0.0.2 tell 10.0.0.1', '26000 B > 01 reply to 10.0.0.1'])
  t.equal(stateOf(a, '10.0.0.2'), 'reachable')
  await sim.run(seconds(16))
  segment.cut.add(b.link)
  segment.log.length = 0
  a.send('10.0.0.2', 3)
  await sim.run(seconds(9))
  t.equal(stateOf(a, '10.0.0.2'), undefined)
  t.match(
    segment.log.slice(1).map((line) => line.split('> ')[1]),
    new Array(3).fill('02 who has 10.0.0.2'),
  )
  segment.cut.clear()
  a.send('10.0.0.2', 4)
  await sim.run(ms(1))
  t.same(b.got, [1, 2, 4], 'then all stations are asked')
  await sim.close()
})

t.test('a hint from above keeps a neighbour reachable without probes', async (t) => {
  const { sim, segment, a } = await pair({ reachable: seconds(10) })
  a.send('10.0.0.2', 1)
  await sim.run(seconds(1))
  segment.log.length = 0
  for (let i = 0; i < 20; i++) {
    a.send('10.0.0.2', 2)
    a.arp.confirm(parseAddress('10.0.0.2'))
    await sim.run(seconds(4))
  }
  t.equal(segment.log.filter((line) => line.includes('who has')).length, 0)
  await sim.close()
})

t.test('a doubt from above asks the neighbour at once', async (t) => {
  const { sim, segment, a } = await pair({ reachable: seconds(100) })
  a.send('10.0.0.2', 1)
  await sim.run(seconds(1))
  segment.log.length = 0
  a.arp.doubt(parseAddress('10.0.0.2'))
  await sim.run(ms(10))
  t.equal(segment.log.filter((line) => line.includes('who has')).length, 1)
  t.match(a.arp.list(), [{ state: 'reachable' }], 'it has answered')
  await sim.close()
})

t.test('an announcement updates who is known, and enters nobody', async (t) => {
  const { sim, a } = await pair()
  a.send('10.0.0.2', 1)
  await sim.run(ms(1))
  a.link.inject(arpOctets(1, 0x77, '10.0.0.2', 0, '10.0.0.2'), 0x0200_0000_0077)
  t.match(a.arp.list(), [{ linkAddress: 0x0200_0000_0077, state: 'stale' }], 'a new address has to be proven')
  a.link.inject(arpOctets(1, 0x33, '10.0.0.3', 0, '10.0.0.3'), 0x0200_0000_0033)
  a.link.inject(arpOctets(2, 0x33, '10.0.0.3', 1, '10.0.0.1'), 0x0200_0000_0033)
  t.equal(a.arp.list().length, 1)
  t.match(a.drops(), { notForUs: 2 + 1, unsolicited: 1 }, 'two are the announcements of B')
  await sim.close()
})

t.test('bogus packets are dropped with a reason and change nothing', async (t) => {
  const { sim, segment, a } = await pair()
  const request = (over: Record<number, number>) => arpOctets(1, 0x33, '10.0.0.3', 0, '10.0.0.1', over)
  const cases: Record<string, number[][]> = {
    short: [request({}).slice(0, 27), []],
    hardwareType: [request({ 1: 6 })],
    protocolType: [request({ 3: 6 })],
    addressLength: [request({ 4: 8 }), request({ 5: 16 })],
    operation: [request({ 7: 3 }), request({ 6: 1 })],
    senderHardware: [request({ 8: 3 }), request({ 8: 0, 13: 0 }), request({ 8: 255, 9: 255, 10: 255 })],
    senderProtocol: [
      request({ 14: 224 }),
      request({ 14: 255 }),
      request({ 14: 127 }),
      arpOctets(2, 0x33, '0.0.0.0', 1, '10.0.0.1'),
    ],
    ownPacket: [arpOctets(1, 1, '10.0.0.3', 0, '10.0.0.1')],
  }
  for (const octets of Object.values(cases).flat()) a.link.inject(octets, 0x0200_0000_0033)
  const { notForUs, ...drops } = a.drops()
  t.equal(notForUs, 2, 'the announcements of B')
  t.same(drops, Object.fromEntries(Object.entries(cases).map(([reason, list]) => [reason, list.length])))
  t.same(a.arp.list(), [])
  t.same(segment.log, [])
  await sim.close()
})

t.test('every address claimed is answered for, with a source on the prefix of whom we ask', async (t) => {
  const { sim, segment, a, b } = await pair()
  a.arp.claim(parseAddress('192.168.5.1'), 24)
  b.arp.claim(parseAddress('192.168.5.2'), 24)
  await sim.run(seconds(3))
  segment.log.length = 0
  b.send('192.168.5.1', 1)
  await sim.run(ms(1))
  t.same(a.got, [1])
  t.match(segment.log[0], 'who has 192.168.5.1 tell 192.168.5.2')
  a.arp.renounce(parseAddress('192.168.5.1'))
  b.arp.forget(parseAddress('192.168.5.1'))
  b.send('192.168.5.1', 2)
  await sim.run(seconds(4))
  t.same(b.told, ['undeliverable 2 to 192.168.5.1'])
  await sim.close()
})

t.test('a permanent neighbour is never asked for and never changed', async (t) => {
  const { sim, segment, a, b } = await pair()
  a.send('10.0.0.2', 1)
  a.arp.setPermanent(parseAddress('10.0.0.2'), 0x0200_0000_0002)
  a.link.inject(arpOctets(1, 0x77, '10.0.0.2', 0, '10.0.0.2'), 0x0200_0000_0077)
  await sim.run(seconds(100))
  a.send('10.0.0.2', 2)
  await sim.run(seconds(100))
  t.same(b.got, [1, 2])
  t.same(segment.log.filter((line) => line.includes('who has')).length, 1, 'only the request that was out already')
  t.equal(stateOf(a, '10.0.0.2'), 'permanent')
  await sim.close()
})

t.test('an address in use elsewhere is not claimed', async (t) => {
  const sim = new Simulation()
  const segment = new Segment()
  station(sim, segment, 1)
  await sim.run(seconds(5))
  const b = station(sim, segment, 2, { detectConflicts: true }, '10.0.0.1')
  await sim.run(seconds(10))
  t.same(b.told, ['conflict 10.0.0.1 with 1, lost true'])
  t.equal(segment.log.filter((line) => line.includes(' B ') && line.includes('tell 10.0.0.1')).length, 0)
  await sim.close()
})

t.test('of two that probe for the same address at once neither gets it', async (t) => {
  const sim = new Simulation()
  const segment = new Segment()
  const a = station(sim, segment, 1, { detectConflicts: true }, '10.0.0.5')
  const b = station(sim, segment, 2, { detectConflicts: true }, '10.0.0.5')
  await sim.run(seconds(15))
  t.match(a.told.concat(b.told), [/lost true/])
  t.notMatch(a.told.concat(b.told).join(), /claimed.*claimed/s)
  await sim.close()
})

t.test('a free address is claimed after three probes', async (t) => {
  const sim = new Simulation()
  const segment = new Segment()
  const a = station(sim, segment, 1, { detectConflicts: true })
  t.same(a.told, [])
  await sim.run(seconds(10))
  t.same(a.told, ['claimed 10.0.0.1'])
  t.same(
    segment.log.map((line) => line.split('> ')[1]),
    [
      ...new Array(3).fill('all who has 10.0.0.1 tell 0.0.0.0'),
      ...new Array(2).fill('all who has 10.0.0.1 tell 10.0.0.1'),
    ],
  )
  await sim.close()
})

t.test('a claim is defended once in ten seconds', async (t) => {
  const { sim, segment, a } = await pair()
  for (let i = 0; i < 25; i++) {
    a.link.inject(arpOctets(1, 0x66, '10.0.0.1', 0, '10.0.0.1'), 0x0200_0000_0066)
    await sim.run(seconds(1))
  }
  t.same(
    segment.log.filter((line) => line.includes('A >')),
    [5000, 15_000, 25_000].map((at) => `${at} A > all who has 10.0.0.1 tell 10.0.0.1`),
  )
  t.equal(a.told.length, 25)
  t.equal(a.drops().conflict, 25)
  await sim.close()
})

t.test('the cache is bounded, and a scan does not push out who works', async (t) => {
  const { sim, a, b } = await pair({ entries: 16, waitingInAll: 1000 })
  a.send('10.0.0.2', 1)
  await sim.run(ms(1))
  for (let n = 0; n < 200; n++) a.send(`10.0.0.${20 + n}`, 3)
  t.ok(a.arp.list().length <= 16)
  t.equal(stateOf(a, '10.0.0.2'), 'reachable')
  for (let n = 0; n < 200; n++)
    a.link.inject(arpOctets(1, n + 20, `10.0.0.${20 + n}`, 0, '10.0.0.1'), 0x0200_0000_0000 + n)
  t.ok(a.arp.list().length <= 16)
  t.equal(stateOf(a, '10.0.0.2'), 'reachable')
  a.send('10.0.0.2', 2)
  await sim.run(seconds(10))
  t.same(b.got, [1, 2])
  await sim.close()
  t.equal(packetsInUse(), 0)
})

t.test('closing releases what waits and leaves no timer', async (t) => {
  const { sim, a } = await pair()
  a.send('10.0.0.9', 1)
  await sim.close()
  t.equal(packetsInUse(), 0)
  t.equal(sim.timers.size, 0)
  t.match(a.drops(), { closed: 1 })
})

t.test('property: arbitrary octets neither throw nor leak, and enter only who asks for us', async (t) => {
  const { sim, a } = await pair({ entries: 8 })
  const field = fc.oneof(fc.constantFrom(0, 1, 2, 4, 6, 8, 10, 255), fc.nat(255))
  const noise = fc.oneof(
    fc.uint8Array({ maxLength: 60 }),
    fc
      .record({ at: fc.nat(27), value: field })
      .map(({ at, value }) => Uint8Array.from(arpOctets(1, 9, '10.0.0.9', 0, '10.0.0.1', { [at]: value }))),
  )
  fc.assert(
    fc.property(noise, (octets) => {
      a.link.inject(octets, 0x0200_0000_0009)
      return a.arp.list().length <= 8
    }),
    { numRuns: 2000 },
  )
  await sim.run(seconds(1))
  await sim.close()
  t.equal(packetsInUse(), 0)
})
