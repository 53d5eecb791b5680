import t from 'tap'
import { Host, type HostSettings } from '../../../../../layers/network/ipv6/nd/host.ts'
import { stableAddress } from '../../../../../layers/network/ipv6/nd/identifier.ts'
import type { Learnt } from '../../../../../layers/network/ipv6/nd/learnt.ts'
import { FOREVER } from '../../../../../layers/network/ipv6/nd/options.ts'
import { parseAddress as parse } from '../../../../../src/kernel/address.ts'
import { ms, seconds } from '../../../../../src/kernel/clock.ts'
import { Packet, packetsInUse } from '../../../../../src/kernel/packet.ts'
import * as octets from './octets.ts'

const KEY = [1, 2, 3, 4] as const
const STATION = 0x0200_0000_0001
const SETTINGS: HostSettings = { autoconfigure: true, key: KEY, link: STATION, mtu: 1500 }
const DAY = 86_400
const HOUR = 3600

const own = (network: string, counter = 0): string => `${stableAddress(KEY, parse(network), STATION, counter)}`

/** A host, what it has learnt since it was asked last, and how it hears. */
function made(settings: Partial<HostSettings> = {}) {
  const host = new Host({ ...SETTINGS, ...settings })
  const learnt = (): string[] => {
    const lines: string[] = []
    for (let one = host.output(); one !== undefined; one = host.output()) lines.push(text(one))
    return lines
  }
  const hear = (message: number[], now = 0, router = 'fe80::9'): string[] => {
    const packet = Packet.take(0, message.length)
    packet.append(Uint8Array.from(message))
    host.input(packet, parse(router), now)
    packet.release()
    return learnt()
  }
  const expire = (now: number): string[] => {
    if (host.deadline <= now) host.expire(now)
    return learnt()
  }
  return { host, learnt, hear, expire }
}

function text(learnt: Learnt): string {
  switch (learnt.kind) {
    case 'route':
      return `route ${learnt.prefix}/${learnt.length} via ${learnt.via} ${learnt.preference}`
    case 'noRoute':
      return `no route ${learnt.prefix}/${learnt.length} via ${learnt.via}`
    case 'address':
      return `address ${learnt.address}/${learnt.length}`
    case 'deprecated':
      return `${learnt.deprecated ? 'deprecated' : 'preferred'} ${learnt.address}`
    case 'expired':
      return `expired ${learnt.address}`
    case 'mtu':
      return `mtu ${learnt.mtu}`
    case 'hopLimit':
      return `hop limit ${learnt.hopLimit}`
    case 'names':
      return `names ${learnt.servers.join(' ')} in ${learnt.domains.join(' ')}`
    case 'times':
      return `times ${learnt.reachable} ${learnt.retransmit}`
  }
}

const { ra } = octets
const NET = '2001:db8:1::'

t.test('a router, its prefix and what it says of the link, each told once', (t) => {
  const { hear, host } = made()
  const message = ra(1800, 0, 60, octets.mtu(1400), octets.prefix(NET, 64, 0xc0, 30 * DAY, 7 * DAY))
  t.same(hear(message), [
    'route ::/0 via fe80::9 medium',
    'hop limit 60',
    'mtu 1400',
    'route 2001:db8:1::/64 via null medium',
    `address ${own(NET)}/64`,
  ])
  t.same(hear(message, seconds(100)), [])
  t.equal(host.deadline, seconds(1900))
  t.end()
})

t.test('everything ends with its time', (t) => {
  const { hear, expire, host } = made()
  hear(
    ra(
      ...([100, 0, 0] as const),
      octets.prefix(NET, 64, 0xc0, 3 * HOUR, 2 * HOUR),
      octets.route('2001:db8:2::', 48, 1, 50),
      octets.servers(200, '2001:db8::53', 'fe80::53'),
      octets.domains(300, octets.labels('Example.net')),
    ),
  )
  const told: [number, string[]][] = []
  while (host.deadline < Number.POSITIVE_INFINITY) told.push([host.deadline / 1e6, expire(host.deadline)])
  t.same(told, [
    [50, ['no route 2001:db8:2::/48 via fe80::9']],
    [100, ['no route ::/0 via fe80::9']],
    [200, ['names  in example.net']],
    [300, ['names  in ']],
    [7200, [`deprecated ${own(NET)}`]],
    [10_800, ['no route 2001:db8:1::/64 via null', `expired ${own(NET)}`]],
  ])
  t.end()
})

t.test('what says nothing changes nothing', (t) => {
  const { hear, host, learnt } = made()
  hear(ra(1800, 0, 60))
  t.same(hear(ra(1800, 0, 0)), [], 'a hop limit of 0 (RFC 4861 §4.2)')
  t.same(hear(ra(1800, 0, 60)), [])
  const said = (lifetime: number): boolean => {
    const packet = Packet.take(0, 16)
    packet.append(Uint8Array.from(ra(lifetime, 0, 0)))
    const router = host.input(packet, parse('fe80::8'), 0)
    packet.release()
    learnt()
    return router
  }
  t.same(
    [said(0), said(9), said(0)],
    [false, true, false],
    'who is no router of default is no reason to look no further',
  )
  t.end()
})

t.test('what is on the link stays so until that is taken back (RFC 4861 §6.3.4)', (t) => {
  const { hear } = made()
  const said = (flags: number, valid: number) => hear(ra(0, 0, 0, octets.prefix(NET, 64, flags, valid, 0)))
  t.same(said(0x80, 1000), ['route 2001:db8:1::/64 via null medium'])
  t.same(said(0, 1000), [], 'who does not say that it is does not say that it is not')
  t.same(said(0, 0), [])
  t.same(said(0x80, 0), ['no route 2001:db8:1::/64 via null'], 'at once')
  t.same(said(0x80, 0), [])
  t.end()
})

t.test('a prefix that is not preferred gives an address that is not', (t) => {
  t.same(made().hear(ra(0, 0, 0, octets.prefix(NET, 64, 0x40, 100, 0))), [
    `address ${own(NET)}/64`,
    `deprecated ${own(NET)}`,
  ])
  t.end()
})

t.test('a router that was silent is used again when it speaks', (t) => {
  const { host, hear, learnt } = made()
  for (const router of ['fe80::8', 'fe80::9']) hear(ra(1800, 0, 0), 0, router)
  host.silent(parse('fe80::9'))
  t.same(learnt(), ['no route ::/0 via fe80::9'])
  t.same(hear(ra(1800, 0, 0), 0, 'fe80::9'), ['route ::/0 via fe80::9 medium'])
  t.end()
})

t.test('nobody takes an address away by a short lifetime (RFC 4862 §5.5.3 e)', (t) => {
  const { hear, host, expire } = made()
  const prefix = (valid: number, preferred: number) => ra(0, 0, 0, octets.prefix(NET, 64, 0x40, valid, preferred))
  hear(prefix(DAY, DAY))
  t.same(hear(prefix(0, 0)), [`deprecated ${own(NET)}`], 'but it is used no more for what is new')
  t.equal(host.deadline, seconds(2 * HOUR))
  t.same(hear(prefix(60, 60), seconds(HOUR)), [`preferred ${own(NET)}`])
  host.expire(seconds(HOUR + 60))
  t.equal(host.deadline, seconds(2 * HOUR), 'less than two hours are left as they are')
  hear(prefix(2 * HOUR - 1, 0), seconds(HOUR + 60))
  t.equal(host.deadline, seconds(HOUR + 60 + 2 * HOUR - 1), 'what is longer than what is left counts')
  hear(prefix(FOREVER, FOREVER), seconds(HOUR + 60))
  t.equal(host.deadline, Number.POSITIVE_INFINITY)
  hear(prefix(3 * HOUR, 0), seconds(HOUR + 60))
  t.equal(host.deadline, seconds(HOUR + 60 + 3 * HOUR), 'more than two hours count')
  t.same(expire(seconds(5 * HOUR)), [`expired ${own(NET)}`])
  t.end()
})

t.test('prefixes of which no address is taken', (t) => {
  const { hear } = made()
  const with_ = (...args: Parameters<typeof octets.prefix>) => hear(ra(0, 0, 0, octets.prefix(...args)))
  t.same(with_('fe80::', 64, 0xc0, 100, 100), [], 'link-local')
  t.same(with_('ff02::', 64, 0xc0, 100, 100), [], 'a group')
  t.same(with_('::', 0, 0xc0, 100, 100), [], 'everything')
  t.same(with_('::ffff:0:0', 96, 0xc0, 100, 100), [], 'IPv4')
  t.same(with_('2001:db8:1::', 56, 0x40, 100, 100), [], 'not of 64 bits')
  t.same(with_('2001:db8:2::', 64, 0x40, 100, 101), [], 'preferred for longer than valid')
  t.same(with_('2001:db8:3::', 64, 0x40, 0, 0), [], 'over already')
  t.same(with_('2001:db8:4::', 64, 0x80, 100, 100), ['route 2001:db8:4::/64 via null medium'], 'not for that')
  t.same(with_('2001:db8:5:6:7::', 56, 0x80, 100, 100), ['route 2001:db8:5::/56 via null medium'], 'bits beyond')
  const without = made({ autoconfigure: false })
  t.same(without.hear(ra(0, 0, 0, octets.prefix(NET, 64, 0x40, 9, 9))), [])
  t.end()
})

t.test('an address that is taken is followed by another, three times (RFC 7217 §6)', (t) => {
  const { hear, host, learnt, expire } = made()
  hear(ra(0, 0, 0, octets.prefix(NET, 64, 0x40, DAY, DAY)))
  for (let n = 0; n < 3; n++) {
    host.duplicate(parse(own(NET, n)))
    t.same(learnt(), [`address ${own(NET, n + 1)}/64`])
  }
  host.duplicate(parse(own(NET, 3)))
  t.same(learnt(), [])
  t.same(hear(ra(0, 0, 0, octets.prefix(NET, 64, 0x40, DAY, DAY))), [], 'nor does the next advertisement begin anew')
  t.same(expire(seconds(DAY)), [])
  t.equal(new Set([0, 1, 2, 3].map((n) => own(NET, n))).size, 4)
  t.end()
})

t.test('identifiers are the same for the same network, and for nothing else', (t) => {
  const one = own(NET)
  t.equal(own('2001:db8:1::ffff'), one)
  const others = [
    own('2001:db8:2::'),
    `${stableAddress(KEY, parse(NET), STATION + 1, 0)}`,
    `${stableAddress([1, 2, 3, 5], parse(NET), STATION, 0)}`,
  ].map((text) => text.slice(-19))
  t.equal(new Set([one.slice(-19), ...others]).size, 4)
  t.end()
})

t.test('preferences of routers and routes (RFC 4191)', (t) => {
  const { hear } = made()
  t.same(hear(ra(100, 0x08, 0), 0, 'fe80::a'), ['route ::/0 via fe80::a high'])
  t.same(hear(ra(100, 0x18, 0), 0, 'fe80::b'), ['route ::/0 via fe80::b low'])
  t.same(hear(ra(100, 0x10, 0), 0, 'fe80::c'), ['route ::/0 via fe80::c medium'], 'the reserved value')
  t.same(hear(ra(100, 0, 0), 0, 'fe80::a'), ['route ::/0 via fe80::a medium'], 'it changes')
  t.same(hear(ra(0, 0, 0), 0, 'fe80::a'), ['no route ::/0 via fe80::a'])
  t.same(hear(ra(0, 0, 0), 0, 'fe80::a'), [])
  const route = (preference: number, lifetime: number) =>
    hear(ra(0, 0, 0, octets.route('2001:db8:8::', 40, preference, lifetime)))
  t.same(route(2, 9), [], 'a reserved value is no route')
  t.same(route(3, 9), ['route 2001:db8::/40 via fe80::9 low'])
  t.same(route(1, 9), ['route 2001:db8::/40 via fe80::9 high'])
  t.same(route(1, 0), ['no route 2001:db8::/40 via fe80::9'])
  t.end()
})

t.test('a router that does not answer is passed over while there is another (RFC 4861 §6.3.6)', (t) => {
  const { hear, host, learnt } = made()
  hear(ra(1800, 0x08, 0), 0, 'fe80::a')
  host.silent(parse('fe80::a'))
  t.same(learnt(), [], 'it is the only one')
  t.same(hear(ra(1800, 0, 0), 0, 'fe80::b'), ['no route ::/0 via fe80::a', 'route ::/0 via fe80::b medium'])
  host.silent(parse('fe80::b'))
  t.same(learnt(), ['route ::/0 via fe80::a high'], 'now either may be tried')
  host.answered(parse('fe80::a'), true, 0)
  t.same(learnt(), ['no route ::/0 via fe80::b'])
  host.answered(parse('fe80::b'), true, 0)
  t.same(learnt(), ['route ::/0 via fe80::b medium'])
  host.answered(parse('fe80::b'), false, 0)
  t.same(learnt(), ['no route ::/0 via fe80::b'], 'it says that it is a router no more (§7.2.5)')
  host.answered(parse('fe80::77'), false, 0)
  t.same(learnt(), [])
  t.end()
})

t.test('redirects last until their time, until the neighbour is silent, or until there are too many', (t) => {
  const { host, learnt, expire } = made()
  const told = (destination: string, target: string, now = 0): string[] => {
    host.redirect(parse(destination), parse(target), now)
    return learnt()
  }
  t.same(told('2001:db8:5::5', 'fe80::b'), ['route 2001:db8:5::5/128 via fe80::b medium'])
  t.same(told('2001:db8:5::6', '2001:db8:5::6'), ['route 2001:db8:5::6/128 via null medium'], 'it is on the link')
  t.same(told('2001:db8:5::5', 'fe80::c', seconds(10)), [
    'no route 2001:db8:5::5/128 via fe80::b',
    'route 2001:db8:5::5/128 via fe80::c medium',
  ])
  host.answered(parse('2001:db8:5::6'), false, seconds(10))
  t.same(learnt(), [], 'no router, but where its own packets go')
  t.same(expire(seconds(600)), ['no route 2001:db8:5::6/128 via null'])
  host.answered(parse('fe80::c'), true, seconds(600))
  t.same(learnt(), [])
  host.answered(parse('fe80::c'), false, seconds(600))
  t.same(learnt(), ['no route 2001:db8:5::5/128 via fe80::c'], 'it is a router no longer')
  told('2001:db8:5::5', 'fe80::d', seconds(600))
  told('2001:db8:5::6', 'fe80::d', seconds(600))
  host.silent(parse('fe80::d'))
  t.equal(learnt().length, 2, 'all by who is silent')
  const many = Array.from({ length: 1000 }, (_, i) => told(`2001:db8:6::${i}`, 'fe80::d', seconds(700)))
  t.ok(many.slice(0, 64).every(({ length }) => length === 1))
  t.same(many[64], ['no route 2001:db8:6::/128 via fe80::d', 'route 2001:db8:6::64/128 via fe80::d medium'])
  t.equal(expire(seconds(1300)).length, 64)
  t.equal(host.deadline, Number.POSITIVE_INFINITY)
  t.end()
})

t.test('times and MTUs that make no sense change nothing', (t) => {
  const { hear } = made()
  const withTimes = (reachable: number, retransmit: number) => {
    const message = ra(0, 0, 0)
    message.splice(8, 8, ...octets.word(reachable), ...octets.word(retransmit))
    return hear(message)
  }
  t.same(withTimes(0, 0), [])
  t.same(withTimes(20_000, 500), [`times ${seconds(20)} ${ms(500)}`])
  t.same(withTimes(3_600_001, 0xffff_ffff), [])
  t.same(withTimes(20_000, 1), [`times ${seconds(20)} ${ms(100)}`], 'nobody makes us flood the link')
  for (const mtu of [0, 1279, 1501, 0xffff_ffff]) t.same(hear(ra(0, 0, 0, octets.mtu(mtu))), [])
  t.same(hear(ra(0, 0, 0, octets.mtu(1280))), ['mtu 1280'])
  t.end()
})

t.test('names: the last of eight gives way to one that lasts longer; what cannot be a name is passed over', (t) => {
  const { hear } = made()
  const texts = Array.from({ length: 8 }, (_, n) => `2001:db8::${n + 1}`)
  t.same(hear(ra(0, 0, 0, octets.servers(100, ...texts))), [`names ${texts.join(' ')} in `])
  t.same(hear(ra(0, 0, 0, octets.servers(100, '2001:db8::99'))), [], 'it would not last longer')
  t.same(hear(ra(0, 0, 0, octets.servers(101, '2001:db8::99'))), [`names ${texts.slice(1).join(' ')} 2001:db8::99 in `])
  const zero = made()
  const names = [...octets.labels('a.example'), ...octets.labels('b c'), ...octets.labels('-x'), ...octets.labels('d')]
  t.same(zero.hear(ra(0, 0, 0, octets.servers(9, '::', 'ff02::1'), octets.domains(9, names))), [
    'names  in a.example d',
  ])
  for (const bad of [[63, 65], [64, 65, 0], octets.labels('a').slice(0, -1).concat([6, 65])]) {
    t.same(made().hear(ra(0, 0, 0, octets.domains(9, bad))), [], 'it does not end')
  }
  const long = octets.labels(new Array(5).fill('x'.repeat(50)).join('.'))
  t.same(made().hear(ra(0, 0, 0, octets.domains(9, long))), [], 'it is longer than names are')
  t.end()
})

t.test('whoever floods the link with advertisements fills what is bounded, and pushes nothing out', (t) => {
  const { hear, host } = made()
  hear(ra(1800, 0, 0, octets.prefix(NET, 64, 0xc0, DAY, DAY), octets.route('2001:db8:ff::', 48, 0, 1800)))
  let learnt: string[] = []
  for (let n = 1; n <= 500; n++) {
    const hex = n.toString(16)
    const options = [octets.prefix(`2001:${hex}::`, 64, 0xc0, DAY, DAY), octets.route(`2002:${hex}::`, 32, 0, 100)]
    learnt = [...learnt, ...hear(ra(1800, 0, 0, ...options), 0, `fe80::1:${hex}`)]
  }
  const count = (what: RegExp) => learnt.filter((line) => what.test(line)).length
  t.same([count(/^route ::.0/), count(/^route.*null/), count(/^route 2002/), count(/^address/)], [15, 31, 31, 15])
  t.equal(count(/^no/), 0)
  t.same(hear(ra(1800, 0, 0, octets.prefix(NET, 64, 0xc0, DAY, DAY)), seconds(1)), [], 'the first router is served')
  host.expire(seconds(DAY + 2))
  t.equal(host.deadline, Number.POSITIVE_INFINITY)
  t.end()
})

t.test('nothing is left in use', (t) => {
  t.equal(packetsInUse(), 0)
  t.end()
})
