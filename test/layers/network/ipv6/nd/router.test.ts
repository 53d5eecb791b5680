import assert from 'node:assert/strict'
import t from 'tap'
import type { AdvertiseOptions } from '../../../../../layers/network/ipv6/discovery.ts'
import { type AdvertiseSettings, checkAdvertise } from '../../../../../layers/network/ipv6/nd/advertise-options.ts'
import * as message from '../../../../../layers/network/ipv6/nd/message.ts'
import {
  MOST_ADVERTISEMENT_OCTETS,
  writeRouterAdvertisement,
} from '../../../../../layers/network/ipv6/nd/router-advertisement.ts'
import { seconds } from '../../../../../src/kernel/clock.ts'
import { Packet, poisonReleased } from '../../../../../src/kernel/packet.ts'
import { Simulation } from '../../../../../src/runtime/simulation.ts'
import { Segment } from '../../arp-link.ts'
import * as octets from './octets.ts'
import { type Station, station } from './stand.ts'

poisonReleased(true)

/** A router, with its addresses, and a host that has just been switched on. */
function routerAndHost(advertise: AdvertiseOptions = {}): { sim: Simulation; router: Station; host: Station } {
  const sim = new Simulation()
  const segment = new Segment()
  const router = station(sim, segment, 1, { forwarding: true, duplicateTransmits: 0, advertise })
  const host = station(sim, segment, 2, { secret: '00112233445566778899aabbccddeeff' })
  router.claim('fe80::1')
  router.claim('2001:db8:1::1')
  router.claim('2001:db8:1::2')
  host.claim('fe80::2')
  return { sim, router, host }
}

const at = (line: string | undefined): number => Number.parseInt(line ?? '', 10) / 1000
const advertised = (of: Station): string[] => of.sent.filter((line) => line.includes(' RA '))

t.test('a host finds the router, takes an address of its prefix, and checks it', async (t) => {
  const { sim, host } = routerAndHost({ preference: 'high', mtu: 1400, nameServers: ['2001:db8:1::53'] })
  await sim.run(seconds(10))
  const told = host.told.map((line) => line.replace(/^\d+ /, ''))
  const address = told.find((line) => line.startsWith('address'))?.slice('address '.length, -'/64'.length)
  t.match(address, /^2001:db8:1::?[0-9a-f:]+$/)
  const claims = told.filter((line) => line.startsWith('claimed'))
  t.same(claims.sort(), [`claimed ${address}`, 'claimed fe80::2'])
  t.same(
    told.filter((line) => !line.startsWith('claimed')),
    [
      'route ::/0 via fe80::1 high',
      'hop limit 64',
      'mtu 1400',
      'route 2001:db8:1::/64 via null medium',
      `address ${address}/64`,
      'names 2001:db8:1::53 in ',
    ],
  )
  t.equal(host.discovery.list().find((entry) => `${entry.address}` === 'fe80::1')?.linkAddress, 0x0200_0000_0001)
  await sim.close()
})

t.test('on its own: three times soon, then at random between the intervals', async (t) => {
  const { sim, router, host } = routerAndHost({ minInterval: seconds(200), maxInterval: seconds(600) })
  await host.close()
  await sim.run(seconds(36_000))
  const times = advertised(router).map(at)
  const gaps = times.slice(1).map((time, i) => time - (times[i] as number))
  t.ok((times[0] as number) <= 0.5)
  for (const gap of gaps.slice(0, 2)) t.ok(gap <= 16.001 && gap >= 3, `${gap} s at first`)
  for (const gap of gaps.slice(2)) t.ok(gap >= 199.9 && gap <= 600.1, `${gap} s later`)
  t.ok(new Set(gaps.slice(2).map(Math.round)).size > 20, 'not in step')
  await sim.close()
})

t.test('hosts that ask are answered soon and together, but not more often than every 3 s', async (t) => {
  const { sim, router, host } = routerAndHost()
  await host.close()
  await sim.run(seconds(1000))
  const before = advertised(router).length
  for (let n = 0; n < 300; n++) {
    t.equal(router.hear(octets.rs(octets.at(1, 7)), 'fe80::7', 'ff02::2'), undefined)
    await sim.run(seconds(0.1))
  }
  const times = advertised(router).slice(before).map(at)
  t.ok(times.length >= 8 && times.length <= 11, `${times.length} answers in 30 s`)
  for (const [i, time] of times.slice(1).entries()) t.ok(time - (times[i] as number) >= 2.999)
  t.equal(router.discovery.list()[0]?.state, 'stale', 'who asks is entered')
  await sim.close()
})

t.test('goodbye: hosts give up the route and the names, not their addresses', async (t) => {
  const { sim, router, host } = routerAndHost({ nameServers: ['2001:db8:1::53'], searchDomains: ['example.net'] })
  await sim.run(seconds(10))
  host.told.length = 0
  router.discovery.close()
  await sim.run(seconds(1))
  t.match(advertised(router).at(-1), /RA of 0 s/)
  t.same(
    host.told.map((line) => line.replace(/^\d+ /, '')),
    ['no route ::/0 via fe80::1', 'names  in '],
  )
  await sim.close()
})

t.test('without a router it is looked for more and more seldom (RFC 7559)', async (t) => {
  const sim = new Simulation()
  const segment = new Segment()
  const host = station(sim, segment, 2, { duplicateTransmits: 0 })
  host.claim('fe80::2')
  await sim.run(seconds(40_000))
  const times = host.sent.filter((line) => line.includes(' RS: fe80::2 > ff02::2')).map(at)
  const gaps = times.slice(1).map((time, i) => time - (times[i] as number))
  t.ok((times[0] as number) <= 1)
  for (const [i, gap] of gaps.entries()) {
    const expected = Math.min(4 * 2 ** i, 3600)
    t.ok(gap >= expected * 0.899 && gap <= expected * 1.101, `${gap} s, about ${expected}`)
  }
  t.ok(gaps.length > 15)
  host.hear(octets.ra(1800, 0, 0), 'fe80::9', 'ff02::1')
  host.sent.length = 0
  await sim.run(seconds(40_000))
  t.same(host.sent, [], 'and no more once one has been heard')
  await sim.close()
})

t.test('a router heeds no routers, unless it is told to', async (t) => {
  for (const accept of [undefined, true]) {
    const sim = new Simulation()
    const router = station(sim, new Segment(), 1, {
      forwarding: true,
      ...(accept && { accept }),
      duplicateTransmits: 0,
    })
    router.claim('fe80::1')
    const reason = router.hear(octets.ra(1800, 0, 64), 'fe80::9', 'ff02::1')
    t.equal(reason, accept ? undefined : 'advertisementIgnored')
    await sim.close()
  }
})

/** An advertisement as octets, with a zero checksum. */
function written(settings: AdvertiseSettings, link: number | null, goodbye = false): number[] {
  const packet = Packet.take(0, MOST_ADVERTISEMENT_OCTETS)
  writeRouterAdvertisement(packet, settings, settings.prefixes ?? [], link, goodbye)
  assert.equal(message.fault(packet), undefined)
  const octets = [...packet.bytes()]
  packet.release()
  return octets
}

t.test('everything that can be said, octet by octet', (t) => {
  const settings = checkAdvertise({
    prefixes: [
      '2001:db8:1::5/64',
      { prefix: '2001:db8:2::/48', autonomous: false, valid: seconds(100), preferred: seconds(50.9) },
      { prefix: '2001:db8:3::/64', onLink: false },
    ],
    lifetime: seconds(1800),
    preference: 'low',
    managed: true,
    other: true,
    mtu: 1400,
    hopLimit: 99,
    reachable: seconds(30),
    retransmit: seconds(1),
    nameServers: ['2001:db8::53', 'fe80::53'],
    searchDomains: ['Example.net', 'a.b'],
    routes: [
      { prefix: '::/0', preference: 'high', lifetime: seconds(9) },
      { prefix: '2001:db8:4::/48' },
      { prefix: '2001:db8::1/128', preference: 'low' },
    ],
  })
  const expected = (lifetime: number, preference: number, routes: number[], names: number) => {
    const message = octets.ra(lifetime, 0xc0 | preference, 99)
    message.splice(8, 8, ...octets.word(30_000), ...octets.word(1000))
    return [
      ...message,
      ...octets.at(1, 1),
      ...octets.mtu(1400),
      ...octets.prefix('2001:db8:1::', 64, 0xc0, 2_592_000, 604_800),
      ...octets.prefix('2001:db8:2::', 48, 0x80, 100, 50),
      ...octets.prefix('2001:db8:3::', 64, 0x40, 2_592_000, 604_800),
      ...octets.route('::', 0, 1, routes[0] as number),
      ...octets.route('2001:db8:4::', 48, 0, routes[1] as number),
      ...octets.route('2001:db8::1', 128, 3, routes[2] as number),
      ...octets.servers(names, '2001:db8::53', 'fe80::53'),
      ...octets.domains(names, [...octets.labels('example.net'), ...octets.labels('a.b')]),
    ]
  }
  t.same(written(settings, 0x0200_0000_0001), expected(1800, 0x18, [9, 1800, 1800], 1800))
  t.same(written(settings, 0x0200_0000_0001, true), expected(0, 0, [0, 0, 0], 0), 'goodbye')
  t.same(written(checkAdvertise({ prefixes: [] }), null), octets.ra(1800, 0, 64), 'on a link without addresses')
  t.end()
})

t.test('options that make no sense are refused at once', (t) => {
  const cases: [AdvertiseOptions, string][] = [
    [{ prefixes: ['10.0.0.0/24'] }, 'ERR_INVALID_ARG_VALUE'],
    [{ prefixes: ['2001:db8::'] }, 'ERR_INVALID_ARG_VALUE'],
    [{ prefixes: ['fe80::/64'] }, 'ERR_INVALID_ARG_VALUE'],
    [{ prefixes: ['ff02::/64'] }, 'ERR_INVALID_ARG_VALUE'],
    [{ prefixes: ['2001:db8::/56'] }, 'ERR_INVALID_ARG_VALUE'],
    [{ prefixes: [{ prefix: '2001:db8::/64', valid: seconds(1), preferred: seconds(2) }] }, 'ERR_INVALID_ARG_VALUE'],
    [{ prefixes: new Array(40).fill('2001:db8::/64') }, 'ERR_INVALID_ARG_VALUE'],
    [{ lifetime: seconds(9001) }, 'ERR_OUT_OF_RANGE'],
    [{ lifetime: seconds(599) }, 'ERR_INVALID_ARG_VALUE'],
    [{ mtu: 1279 }, 'ERR_OUT_OF_RANGE'],
    [{ hopLimit: 256 }, 'ERR_OUT_OF_RANGE'],
    [{ reachable: seconds(3601) }, 'ERR_OUT_OF_RANGE'],
    [{ maxInterval: seconds(3) }, 'ERR_OUT_OF_RANGE'],
    [{ maxInterval: seconds(10), minInterval: seconds(8) }, 'ERR_OUT_OF_RANGE'],
    [{ preference: 'best' as 'high' }, 'ERR_INVALID_ARG_VALUE'],
    [{ nameServers: ['10.0.0.1'] }, 'ERR_INVALID_ARG_VALUE'],
    [{ nameServers: new Array(9).fill('2001:db8::1') }, 'ERR_INVALID_ARG_VALUE'],
    [{ searchDomains: ['a b'] }, 'ERR_INVALID_ARG_VALUE'],
    [{ searchDomains: ['x'.repeat(64)] }, 'ERR_INVALID_ARG_VALUE'],
    [{ routes: [{ prefix: 'ff00::/8' }] }, 'ERR_INVALID_ARG_VALUE'],
  ]
  for (const [options, code] of cases) t.throws(() => checkAdvertise(options), { code }, JSON.stringify(options))
  t.equal(checkAdvertise({ lifetime: 0 }).fields.lifetime, 0)
  const most = checkAdvertise({ prefixes: Array.from({ length: 38 }, (_, n) => `2001:db8:${n}::/64`) })
  t.ok(written(most, 1).length <= MOST_ADVERTISEMENT_OCTETS)
  t.end()
})
