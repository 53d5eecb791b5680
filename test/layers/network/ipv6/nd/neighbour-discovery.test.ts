import fc from 'fast-check'
import t from 'tap'
import { parseAddress as parse } from '../../../../../src/kernel/address.ts'
import { ms, seconds } from '../../../../../src/kernel/clock.ts'
import { packetsInUse, poisonReleased } from '../../../../../src/kernel/packet.ts'
import { Simulation } from '../../../../../src/runtime/simulation.ts'
import { holds } from '../../../../property.ts'
import { Segment } from '../../arp-link.ts'
import * as octets from './octets.ts'
import { type Station, type StationOptions, station } from './stand.ts'

poisonReleased(true)

const QUIET: StationOptions = { accept: false, duplicateTransmits: 0 }

/** Two stations that have their link-local addresses; their logs start empty. */
async function pair(
  options: StationOptions = {},
): Promise<{ sim: Simulation; segment: Segment; a: Station; b: Station }> {
  const sim = new Simulation()
  const segment = new Segment()
  const a = station(sim, segment, 1, { ...QUIET, ...options })
  const b = station(sim, segment, 2, QUIET)
  a.claim('fe80::1')
  b.claim('fe80::2')
  await sim.run(seconds(5))
  for (const { sent, told } of [a, b]) sent.length = told.length = 0
  return { sim, segment, a, b }
}

const stateOf = (of: Station, address: string): string | undefined =>
  of.discovery.list().find((entry) => String(entry.address) === address)?.state

t.test('one solicitation for several packets, which leave in order when the answer comes', async (t) => {
  const { sim, a, b } = await pair()
  for (const n of [1, 2, 3]) a.send('fe80::2', n)
  await sim.run(ms(1))
  t.same(b.got, [1, 2, 3])
  t.same(a.sent, ['5000 NS for fe80::2: fe80::1 > ff02::1:ff00:2'])
  t.same(b.sent, ['5000 NA SO for fe80::2: fe80::2 > fe80::1 at 1'])
  t.equal(stateOf(a, 'fe80::2'), 'reachable')
  t.equal(stateOf(b, 'fe80::1'), 'stale', 'who asks is entered, but not proven reachable')
  await sim.close()
})

t.test('a silent neighbour is asked three times, then its packets are undeliverable', async (t) => {
  const { sim, a } = await pair()
  a.send('fe80::9', 7)
  await sim.run(seconds(4))
  t.same(
    a.sent,
    [5000, 6000, 7000].map((at) => `${at} NS for fe80::9: fe80::1 > ff02::1:ff00:9`),
  )
  t.same(a.told, ['8000 undeliverable 7 to fe80::9'])
  await sim.close()
})

t.test('what waits for a neighbour is bounded: the oldest gives way (RFC 4861 §7.2.2)', async (t) => {
  const { sim, a, b } = await pair({ waiting: 2 })
  for (const n of [1, 2, 3]) a.send('fe80::2', n)
  await sim.run(ms(1))
  t.same(b.got, [2, 3])
  t.same(a.reasons, { neighbourQueueFull: 1 })
  await sim.close()
})

t.test('nobody is asked for as an address that is still being checked', async (t) => {
  const sim = new Simulation()
  const a = station(sim, new Segment(), 1, { ...QUIET, duplicateTransmits: 1 })
  a.claim('fe80::1')
  a.send('fe80::9', 1)
  await sim.run(ms(1100))
  t.same(
    a.sent.map((line) => line.replace(/^\d+ /, '')),
    ['NS for fe80::1: :: > ff02::1:ff00:1'],
  )
  await sim.close()
})

t.test('routers say that they are, in every answer (RFC 4861 §7.2.4)', async (t) => {
  const { sim, a } = await pair({ forwarding: true })
  a.hear(octets.ns('fe80::1', octets.at(1, 2)), 'fe80::2', 'ff02::1:ff00:1')
  t.same(a.sent, ['5000 NA RSO for fe80::1: fe80::1 > fe80::2 at 2'])
  await sim.close()
})

t.test('a neighbour that falls silent is asked alone, where it was', async (t) => {
  const { sim, segment, a, b } = await pair()
  a.send('fe80::2', 1)
  await sim.run(seconds(60))
  segment.cut.add(b.link)
  a.sent.length = 0
  a.send('fe80::2', 2)
  await sim.run(seconds(10))
  t.same(
    a.sent.map((line) => line.replace(/^\d+ /, '')),
    new Array(3).fill('NS for fe80::2: fe80::1 > fe80::2 at 2'),
  )
  t.equal(stateOf(a, 'fe80::2'), undefined)
  await sim.close()
})

t.test(
  'we ask as an address of the network of whom we ask, else as the link-local one, and as none not at all',
  async (t) => {
    const { sim, a } = await pair()
    a.claim('2001:db8::1')
    a.send('2001:db8::9', 1)
    a.send('2001:db8:1::9', 1)
    a.discovery.renounce(parse('fe80::1'))
    a.discovery.renounce(parse('2001:db8::1'))
    a.send('2001:db8::8', 1)
    t.same(a.sent, [
      '5000 NS for 2001:db8::9: 2001:db8::1 > ff02::1:ff00:9',
      '5000 NS for 2001:db8:1::9: fe80::1 > ff02::1:ff00:9',
    ])
    await sim.close()
  },
)

t.test('what an advertisement changes (RFC 4861 §7.2.5)', async (t) => {
  const { sim, a } = await pair()
  const known = (): string[] => a.discovery.list().map(({ state, linkAddress = 0 }) => `${state} ${linkAddress % 256}`)
  const hear = (flags: string, n: number, to = 'fe80::1') =>
    a.hear(octets.na('fe80::9', flags, octets.at(2, n)), 'fe80::9', to)
  t.equal(hear('SO', 9), 'unsolicitedNeighbour')
  t.same(known(), [], 'nobody asked, nobody is entered')
  a.send('fe80::9', 1)
  t.equal(a.hear(octets.na('fe80::9', 'SO'), 'fe80::9', 'fe80::1'), 'discoveryLinkAddress')
  t.equal(hear('S', 9), undefined)
  t.same(known(), ['reachable 9'], 'while nothing is known, override does not matter')
  t.equal(hear('', 8), undefined)
  t.same(known(), ['stale 9'], 'without override the known one stays, but is checked at its next use')
  t.equal(hear('S', 8), undefined)
  t.same(known(), ['stale 9'])
  t.equal(hear('O', 8, 'ff02::1'), undefined)
  t.same(known(), ['stale 8'], 'with it, another takes its place')
  t.equal(hear('SO', 8, 'ff02::1'), 'solicitedGroup')
  await sim.close()
})

t.test('what must not take the place of a router does not say that it is none either', async (t) => {
  const { sim, a } = await pair({ accept: true })
  const routes = () => a.told.filter((line) => line.includes('route ::/0')).map((line) => line.replace(/^\d+ /, ''))
  a.hear(octets.ra(1800, 0, 64, octets.at(1, 9)), 'fe80::9', 'ff02::1')
  t.same(routes(), ['route ::/0 via fe80::9 medium'])
  t.equal(a.hear(octets.na('fe80::9', '', octets.at(2, 8)), 'fe80::9', 'ff02::1'), undefined)
  t.equal(routes().length, 1)
  a.hear(octets.na('fe80::9', '', octets.at(2, 9)), 'fe80::9', 'ff02::1')
  t.same(routes()[1], 'no route ::/0 via fe80::9', 'it does so itself')
  await sim.close()
})

t.test('redirects are heeded from who forwards our packets, by hosts (RFC 4861 §8)', async (t) => {
  const FAR = '2001:db8:5::5'
  const { sim, a } = await pair({ accept: true })
  const hear = (of: Station, source: string, target: string, to = FAR) =>
    of.hear(octets.redirect(target, to, octets.at(2, 7)), source, 'fe80::1')
  t.equal(hear(a, '2001:db8::9', 'fe80::7'), 'discoverySource')
  t.equal(hear(a, 'fe80::9', '2001:db8::7'), 'discoveryTarget', 'neither a router nor the destination')
  t.equal(hear(a, 'fe80::9', 'fe80::7', 'ff05::1'), 'discoveryTarget')
  t.equal(hear(a, 'fe80::9', 'fe80::7', 'fe80::8'), 'discoveryTarget')
  t.equal(hear(a, 'fe80::8', 'fe80::7'), 'redirectIgnored', 'not our router')
  t.equal(hear(a, 'fe80::9', 'fe80::1'), 'redirectIgnored', 'that is we')
  t.same(a.told, [])
  t.same(a.discovery.list(), [])
  t.equal(hear(a, 'fe80::9', 'fe80::7'), undefined)
  t.match(a.told[0], `route ${FAR}/128 via fe80::7`)
  t.equal(stateOf(a, 'fe80::7'), 'stale', 'and it is told where that is')
  a.send('fe80::7', 1)
  await sim.run(seconds(60))
  a.send('fe80::7', 1)
  await sim.run(seconds(60))
  t.match(a.told.at(-2), `no route ${FAR}/128 via fe80::7`, 'nobody is there')
  await sim.close()
  for (const options of [{ accept: true, redirects: false }, { accept: true, forwarding: true }, { accept: false }]) {
    const { sim, a } = await pair(options)
    t.equal(hear(a, 'fe80::9', 'fe80::7'), 'redirectIgnored', JSON.stringify(options))
    await sim.close()
  }
})

t.test('an address is asked for before it is used (RFC 4862 §5.4)', async (t) => {
  const { sim, a } = await pair({ duplicateTransmits: 2, retransmit: seconds(2) })
  t.equal(a.claim('2001:db8::1'), false)
  t.equal(a.groups.get('ff02::1:ff00:1'), 2, 'both of its addresses are of this group')
  t.equal(
    a.hear(octets.ns('2001:db8::1', octets.at(1, 2)), 'fe80::2', 'ff02::1:ff00:1'),
    'notOurNeighbour',
    'nobody is answered meanwhile',
  )
  await sim.run(seconds(6))
  t.same(
    a.sent.map((line) => line.replace(/^\d+ /, '')),
    new Array(2).fill('NS for 2001:db8::1: :: > ff02::1:ff00:1'),
  )
  const first = Number.parseInt(a.sent[0] as string, 10)
  t.ok(first >= 5000 && first < 6000)
  t.same(a.told, [`${first + 4000} claimed 2001:db8::1`])
  a.discovery.renounce(parse('2001:db8::1'))
  t.equal(a.groups.get('ff02::1:ff00:1'), 1)
  await sim.close()
})

t.test('of two stations the one that has an address keeps it', async (t) => {
  const { sim, a, b } = await pair({ duplicateTransmits: 1 })
  t.equal(b.claim('2001:db8::7'), true)
  a.claim('2001:db8::7')
  await sim.run(seconds(3))
  t.match(a.told, [/conflict 2001:db8::7 with 2, lost/])
  t.match(b.sent, [/NA O for 2001:db8::7: 2001:db8::7 > ff02::1$/])
  t.same([a.reasons, b.told], [{ addressConflict: 1 }, []])
  t.equal(a.groups.get('ff02::1:ff00:7'), 0)
  t.equal(
    a.hear(octets.ns('2001:db8::7', octets.at(1, 2)), 'fe80::2', 'ff02::1:ff00:7'),
    'notOurNeighbour',
    'it answers for it no more',
  )
  await sim.close()
})

t.test('of two that ask for the same address no more than one gets it', async (t) => {
  for (let seed = 0; seed < 20; seed++) {
    const sim = new Simulation({ seed })
    const segment = new Segment()
    const stations = [1, 2].map((n) => station(sim, segment, n, { ...QUIET, duplicateTransmits: 1 }))
    for (const one of stations) one.claim('2001:db8::7')
    await sim.run(seconds(3))
    const told = stations.map((one) => one.told.join().replace(/\d+ /, ''))
    t.ok(told.includes('conflict 2001:db8::7 with 255, lost'), told.join('; '))
    await sim.close()
  }
})

t.test('a solicitation that the link gives back says nothing, and is sent once more (RFC 7527)', async (t) => {
  const { sim, a } = await pair({ duplicateTransmits: 1 })
  a.claim('2001:db8::7')
  let loops = 2
  const stop = a.link.boundary.watch({
    packet(packet, _to, direction) {
      if (direction !== 'down' || packet.view.getUint8(packet.start + 32) !== 135 || loops-- <= 0) return
      const copy = Buffer.from(packet.bytes().subarray(32))
      setTimer(() => t.equal(a.hear(copy, '::', 'ff02::1:ff00:7'), 'ownDiscovery'))
    },
  })
  const later: (() => void)[] = []
  const setTimer = (task: () => void) => void later.push(task)
  for (let n = 0; n < 60; n++) {
    await sim.run(ms(100))
    for (const task of later.splice(0)) task()
  }
  stop()
  t.equal(a.sent.length, 3)
  t.match(a.told, [/claimed 2001:db8::7/])
  const foreign = octets.ns('2001:db8::8', [14, 1, 1, 2, 3, 4, 5, 6])
  a.claim('2001:db8::8')
  t.equal(a.hear(foreign, '::', 'ff02::1:ff00:8'), 'addressConflict', "another's nonce is another station")
  await sim.close()
})

t.test('our address in the mouth of another is told, and kept', async (t) => {
  const { sim, a } = await pair()
  t.equal(a.hear(octets.na('fe80::1', 'O', octets.at(2, 9)), 'fe80::1', 'ff02::1'), 'addressConflict')
  t.equal(a.hear(octets.ns('fe80::1', octets.at(1, 9)), 'fe80::1', 'ff02::1:ff00:1'), 'addressConflict')
  t.same(a.told, new Array(2).fill('5000 conflict fe80::1 with 9, kept'))
  t.same(a.discovery.list(), [])
  await sim.close()
})

t.test('what is refused, and why', async (t) => {
  const { sim, a } = await pair({ accept: true })
  const { ns, na, rs, ra, at, redirect } = octets
  const group = 'ff02::1:ff00:1'
  const cases: [string, number[], string, string][] = [
    ['discoveryShort', ns('fe80::1').slice(0, 23), 'fe80::2', group],
    ['discoveryShort', ra(0, 0, 0).slice(0, 15), 'fe80::2', 'ff02::1'],
    ['discoveryShort', redirect().slice(0, 39), 'fe80::2', 'fe80::1'],
    ['discoveryOption', ns('fe80::1', [1, 0, 0, 0, 0, 0, 0, 0]), 'fe80::2', group],
    ['discoveryOption', ns('fe80::1', [200, 2, 0, 0, 0, 0, 0, 0]), 'fe80::2', group],
    ['discoveryOption', ns('fe80::1', [1, 2], new Array(14).fill(0)), 'fe80::2', group],
    ['discoveryOption', ra(9, 0, 0, octets.prefix('2001:db8::', 129, 0, 9, 9)), 'fe80::2', 'ff02::1'],
    ['discoveryOption', ra(9, 0, 0, [25, 2], new Array(14).fill(0)), 'fe80::2', 'ff02::1'],
    ['discoveryOption', ra(9, 0, 0, [24, 2, 65], new Array(13).fill(0)), 'fe80::2', 'ff02::1'],
    ['discoveryOption', ra(9, 0, 0, [5, 1, 0]), 'fe80::2', 'ff02::1'],
    ['discoveryTarget', ns('ff02::1', at(1, 2)), 'fe80::2', group],
    ['discoveryTarget', na('ff02::1', 'S', at(2, 2)), 'fe80::2', 'fe80::1'],
    ['discoverySource', ns('fe80::1', at(1, 2)), '::', group],
    ['discoverySource', ns('fe80::1'), '::', 'ff02::1'],
    ['discoverySource', na('fe80::2', 'S', at(2, 2)), '::', 'fe80::1'],
    ['discoverySource', rs(at(1, 2)), '::', 'ff02::2'],
    ['discoverySource', ra(1800, 0, 64, at(1, 9)), '2001:db8::9', 'ff02::1'],
    ['discoverySource', redirect(), '2001:db8::9', 'fe80::1'],
    ['redirectIgnored', redirect(), 'fe80::8', 'fe80::1'],
    ['discoveryLinkAddress', ns('fe80::1', [1, 1, 1, 0, 94, 0, 0, 1]), 'fe80::2', group],
    ['discoveryLinkAddress', ns('fe80::1', [1, 1, 0, 0, 0, 0, 0, 0]), 'fe80::2', group],
    ['ownDiscovery', ns('fe80::1', at(1, 1)), 'fe80::2', group],
    ['ownDiscovery', ra(1800, 0, 64, at(1, 1)), 'fe80::2', 'ff02::1'],
    ['notOurNeighbour', ns('fe80::2', at(1, 9)), 'fe80::9', 'ff02::1:ff00:2'],
    ['solicitationIgnored', rs(at(1, 2)), 'fe80::2', 'ff02::2'],
    ['addressConflict', ra(1800, 0, 64, at(1, 9)), 'fe80::1', 'ff02::1'],
  ]
  for (const [reason, message, source, destination] of cases) {
    t.equal(a.hear(message, source, destination), reason, `${reason} of ${message[0]}`)
  }
  t.same(a.discovery.list(), [])
  t.same([a.sent, a.told], [[], ['5000 conflict fe80::1 with 9, kept']])
  t.equal(
    a.hear(ns('fe80::1', [77, 1, 0, 0, 0, 0, 0, 0], at(1, 2)), 'fe80::2', group),
    undefined,
    'options that are not known do no harm',
  )
  await sim.close()
})

t.test('a scan of the network takes neither the cache nor the link', async (t) => {
  const { sim, a, b } = await pair({ entries: 64 })
  a.send('fe80::2', 1)
  await sim.run(seconds(1))
  a.sent.length = 0
  for (let n = 0; n < 1000; n++) a.send(`2001:db8::${(n + 16).toString(16)}`, 0)
  t.ok(a.discovery.list().length <= 33, 'half of it for what is only sought')
  t.equal(stateOf(a, 'fe80::2'), 'reachable')
  t.equal(a.sent.length, 256, 'and no more than so many are asked for in a second (RFC 6583)')
  a.send('fe80::2', 2)
  await sim.run(ms(1))
  t.same(b.got, [1, 2])
  await sim.close()
})

t.test(
  'the link comes up: our addresses are told, routers are looked for; down: neighbours are forgotten',
  async (t) => {
    const { sim, a } = await pair({ accept: true })
    a.claim('2001:db8::1')
    a.sent.length = 0
    a.send('fe80::2', 1)
    await sim.run(ms(1))
    a.link.boundary.linkChanged('down', 'test')
    t.same(a.discovery.list(), [])
    await sim.run(seconds(100))
    a.sent.length = 0
    a.link.boundary.linkChanged('up', 'test')
    await sim.run(seconds(2))
    t.match(a.sent, [
      /NA O for fe80::1: fe80::1 > ff02::1$/,
      /NA O for 2001:db8::1: 2001:db8::1 > ff02::1$/,
      /RS: fe80::1 > ff02::2$/,
    ])
    await sim.close()
  },
)

t.test('closing releases what waits, and leaves no timer', async (t) => {
  const before = packetsInUse()
  const { sim, a } = await pair({ accept: true, duplicateTransmits: 3 })
  a.send('fe80::9', 1)
  a.claim('2001:db8::1')
  await a.close()
  t.equal(a.reasons.discoveryClosed, 1)
  a.sent.length = 0
  await sim.run(seconds(3600))
  t.same(a.sent, [])
  await sim.close()
  t.equal(packetsInUse(), before)
})

t.test('property: arbitrary octets neither throw nor leak, and what is kept stays bounded', async (t) => {
  const { sim, a } = await pair({ accept: true, entries: 16, advertise: {} })
  a.claim('2001:db8::1')
  const before = packetsInUse()
  const source = fc.constantFrom('::', 'fe80::1', 'fe80::2', 'fe80::3', '2001:db8::2', 'fe80::4')
  const destination = fc.constantFrom('ff02::1', 'ff02::2', 'fe80::1', 'ff02::1:ff00:1')
  const fixed = fc.constantFrom(
    octets.ns('fe80::1'),
    octets.na('fe80::2', 'SO'),
    octets.ra(1800, 8, 64),
    octets.rs(),
    octets.redirect(),
  )
  const option = fc.oneof(
    fc.constantFrom(octets.at(1, 2), octets.at(2, 3), octets.mtu(1400), octets.servers(9, '::2'), [0]),
    fc.integer({ min: 0, max: 0xffff }).map((n) => octets.prefix(`2001:${n.toString(16)}::`, 64, 0xc0, n, n)),
    fc.integer({ min: 0, max: 0xffff }).map((n) => octets.route(`2001:${n.toString(16)}::`, n % 129, n & 3, n)),
    fc.array(fc.integer({ min: 0, max: 255 }), { maxLength: 40 }),
    fc.array(fc.integer({ min: 0, max: 255 }), { maxLength: 40 }).map((names) => octets.domains(9, names)),
  )
  const heard = fc.record({ source, destination, fixed, options: fc.array(option, { maxLength: 6 }) })
  holds(
    t,
    'nothing is thrown',
    fc.property(heard, (one) => {
      a.hear([...one.fixed, ...one.options.flat()], one.source, one.destination)
    }),
    { numRuns: 2000 },
  )
  t.ok(a.discovery.list().length <= 16)
  await sim.run(seconds(30))
  t.equal(packetsInUse(), before)
  await sim.close()
})
