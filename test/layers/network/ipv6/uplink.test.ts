/** Routers are heeded link by link: a router has an uplink, and hosts behind it. */
import t from 'tap'
import type { AdvertiseOptions } from '../../../../layers/network/ipv6/discovery.ts'
import { ipv6 } from '../../../../layers/network/ipv6/ipv6.ts'
import type { Ipv6Options } from '../../../../layers/network/ipv6/options.ts'
import { seconds } from '../../../../src/kernel/clock.ts'
import { packetsInUse } from '../../../../src/kernel/packet.ts'
import type { TestLink } from '../ipv4/link.ts'
import { ICMPV6, icmp, newDrops, packet, sentOn, twoLinks } from './bare.ts'
import * as octets from './nd/octets.ts'

const PREFIX = '2001:db8:77::'

/** A router speaks: it is one of default for this many seconds, and has a prefix. */
function hear(wire: TestLink | undefined, lifetime = 1800): void {
  const message = octets.ra(lifetime, 0, 64, octets.prefix(PREFIX, 64, 0xc0, 1000, 1000))
  const from = { source: 'fe80::9', destination: 'ff02::1', hopLimit: 255 }
  wire?.inject(icmp(134, 0, (64 << 24) | lifetime, message.slice(8), from), 'multicast')
}

/** How many messages of a type of ICMPv6 were sent. */
const told = (wire: TestLink | undefined, type: number): number =>
  wire === undefined ? 0 : sentOn(wire).filter((sent) => sent[6] === ICMPV6 && sent[40] === type).length

const SOLICITATION = 133
const ADVERTISEMENT = 134

const ADVERTISE = { b: {} }
const uplinks: [string, Ipv6Options][] = [
  ['by name', { autoconfigure: { a: true }, advertise: ADVERTISE }],
  ['one that others are asked about, too', { autoconfigure: { a: true, b: false, c: true }, advertise: ADVERTISE }],
  ['as a function says', { autoconfigure: (link) => (link === 'a' ? true : undefined), advertise: ADVERTISE }],
  ['all that do not advertise', { autoconfigure: true, advertise: ADVERTISE }],
]
for (const [name, options] of uplinks) {
  t.test(`an uplink: ${name}`, async (t) => {
    const before = packetsInUse()
    const { sim, network, wires } = twoLinks({ forwarding: true, ...options })
    const [a, b] = wires
    await sim.run(seconds(20))
    t.ok(told(a, SOLICITATION) > 0, 'asks for routers on the one')
    t.equal(told(a, ADVERTISEMENT), 0)
    t.equal(told(b, SOLICITATION), 0)
    t.ok(told(b, ADVERTISEMENT) > 0, 'is one on the other')
    t.same(
      newDrops(network, () => hear(b)),
      ['advertisementIgnored'],
      'and heeds no others there',
    )
    t.same(
      newDrops(network, () => hear(a)),
      [],
    )
    await sim.run(seconds(2))
    const addresses = network.control
      .links()
      .map((link) => link.addresses.filter((own) => own.startsWith('2001:')).length)
    t.same(addresses, [1, 0])
    const way = { prefix: '::/0', via: 'fe80::9', link: 'a', origin: 'ra' }
    const ways = () => network.control.routes.list().filter(({ prefix }) => prefix === '::/0')
    t.match(ways(), [way])
    hear(a, 0)
    await sim.run(seconds(1))
    t.same(ways(), [], 'the way of a router that says goodbye goes')
    hear(a)
    await sim.run(seconds(1))
    t.match(ways(), [way])

    for (const wire of wires) wire.sent.length = 0
    b?.inject(packet({ source: 'fd00:b::9', destination: '2001:db8:1::1' }))
    t.equal(a?.sent.length, 1, 'what comes from hosts leaves by the uplink')
    network.detach('a')
    t.same(
      network.control.routes.list().filter(({ origin }) => origin === 'ra'),
      [],
      'what was told goes with the link',
    )
    await sim.close()
    t.equal(packetsInUse(), before)
  })
}

t.test('by itself, hosts heed routers and routers do not', async (t) => {
  const cases: [Ipv6Options, readonly string[]][] = [
    [{ autoconfigure: undefined }, ['a', 'b']],
    [{ autoconfigure: { b: false } }, ['a']],
    [{ autoconfigure: undefined, advertise: ADVERTISE }, ['a']],
    [{ autoconfigure: undefined, forwarding: true }, []],
    [{ autoconfigure: {}, forwarding: true }, []],
  ]
  for (const [options, heeded] of cases) {
    const { sim, network, wires } = twoLinks(options)
    for (const wire of wires) hear(wire)
    const links = network.control.routes.list().filter(({ prefix }) => prefix === '::/0')
    t.same(links.map(({ link }) => link).sort(), heeded, JSON.stringify(options))
    await sim.close()
  }
})

t.test('a link that both heeds and advertises', async (t) => {
  const error = { code: 'ERR_INVALID_ARG_VALUE', message: /'autoconfigure\.b'/ }
  const options = { forwarding: true, autoconfigure: { a: true, b: true }, advertise: ADVERTISE }
  t.throws(() => ipv6(options), error, 'at once')
  const advertise = (link: string): AdvertiseOptions | undefined => (link === 'b' ? {} : undefined)
  const before = packetsInUse()
  t.throws(() => twoLinks({ ...options, advertise }), error, 'when it is attached')
  t.equal(packetsInUse(), before)
})
