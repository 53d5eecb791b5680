/** IPv6 between two doubles: what is on the wire, octet by octet, and what becomes of what comes from it. */
import assert from 'node:assert'
import fc from 'fast-check'
import t from 'tap'
import { NetworkAddressing, Path } from '../../../../layers/network/service.ts'
import { parseAddress } from '../../../../src/kernel/address.ts'
import { Packet, packetsInUse } from '../../../../src/kernel/packet.ts'
import { holds } from '../../../property.ts'
import type { TestLink } from '../ipv4/link.ts'
import {
  addressOctets,
  bare,
  DESTINATION,
  extension,
  FRAGMENT,
  fragmentHeader,
  HOP_BY_HOP,
  ICMPV6,
  icmp,
  NONE,
  newDrops,
  packet,
  ROUTING,
  sentOn,
  stand,
  told,
  twoLinks,
} from './bare.ts'
import { drops, PROBE, pattern } from './stand.ts'

const hex = (octets: Uint8Array | undefined): string => Buffer.from(octets ?? []).toString('hex')

bare('a packet as it is on the wire', async (t, { network, wire }) => {
  const to = new NetworkAddressing()
  to.source.set(parseAddress('fd00::1'))
  to.destination.set(parseAddress('2001:db8::7'))
  Object.assign(to, { protocol: 17, ttl: 3, trafficClass: 0x2e << 2 })
  const send = (ports: number) => {
    const octets = Packet.take(network.headroom, 8 + network.tailroom)
    octets.view.setInt32(octets.put(8), ports)
    t.equal(network.send(octets, to), true)
    return hex(wire.sent.at(-1))
  }
  const text = send(0x0035_0400)
  const addresses = `fd0000000000000000000000000000${'01'}20010db8000000000000000000000007`
  t.match(text, new RegExp(`^6b8[0-9a-f]{5}00081103${addresses}00350400`))
  const flow = text.slice(3, 8)
  t.equal(send(0x0035_0400).slice(3, 8), flow, 'a flow keeps its label (RFC 6437 §3)')
  t.not(send(0x0035_0401).slice(3, 8), flow, 'another has another')
  t.equal(network.boundary.txPackets, 3)
})

bare('what must not be sent', async (t, { network, wire, sim }) => {
  const to = new NetworkAddressing()
  const send = (source: string, destination: string, length = 8) => {
    to.source.set(parseAddress(source))
    to.destination.set(parseAddress(destination))
    to.protocol = PROBE
    const packet = Packet.take(network.headroom, length + network.tailroom)
    packet.put(length)
    network.send(packet, to)
  }
  send('fd00::7', 'fd00::2')
  send('::1', 'fd00::2')
  send('::', 'fd00::2')
  send('fd00::1', '::')
  send('fd00::1', 'ff01::5')
  send('fd00::1', 'fd00::2', 65_536)
  await sim.run(1)
  t.strictSame(sentOn(wire), [])
  t.strictSame(drops(network), { badSource: 3, noRoute: 2, tooLong: 1 })
})

bare('what comes in', async (t, { network, wire, sink }) => {
  wire.inject(packet())
  wire.inject(Uint8Array.of(...packet(), 0, 0, 0))
  wire.inject(packet({ source: '2001:db8::9', hopLimit: 9, trafficClass: 3, flow: 0xabcde }))
  wire.inject(packet({ destination: 'ff02::1', payload: pattern(3) }), 'multicast')
  t.match(sink.got, [
    { source: 'fd00::2', ttl: 64, octets: pattern(16) },
    { octets: pattern(16) },
    { source: '2001:db8::9', ttl: 9 },
    { destination: 'ff02::1', octets: pattern(3) },
  ])
  for (const [reason, octets, cast] of [
    ['short', packet().subarray(0, 39)],
    ['version', packet({ version: 4 })],
    ['badLength', packet({ length: 1 })],
    ['badLength', packet({ next: HOP_BY_HOP, payload: pattern(0) })],
    ['martianSource', packet({ source: 'ff02::9' })],
    ['martianSource', packet({ source: '::1' })],
    ['martianSource', packet({ source: '::' })],
    ['martianSource', packet({ source: 'fd00::1' })],
    ['martianDestination', packet({ destination: '::' })],
    ['martianDestination', packet({ destination: '::1' })],
    ['mappedAddress', packet({ source: '::ffff:10.0.0.1' })],
    ['mappedAddress', packet({ destination: '::ffff:10.0.0.1' })],
    ['scope', packet({ destination: 'ff01::1' })],
    ['scope', packet({ destination: 'ff00::1' })],
    ['notMember', packet({ destination: 'ff02::99' })],
    ['notForUs', packet({ destination: 'fd00::3' })],
    ['notForUs', packet({ destination: 'fe80::3' })],
    ['linkBroadcast', packet(), 'multicast'],
    ['noNextHeader', packet({ next: NONE })],
    ['protocolUnreachable', packet({ next: 254 })],
  ] as const) {
    t.strictSame(
      newDrops(network, () => wire.inject(octets, cast)),
      [reason],
      reason,
    )
  }
})

bare('extension headers are walked, and not acted upon', async (t, { wire, sink }) => {
  const routed = extension(DESTINATION, [0, 0, 0, 0, 0, 0])
  const chain = [...extension(ROUTING, [1, 4, 0, 0, 0, 0]), ...routed, ...extension(PROBE, [0x1e, 2, 7, 7, 0])]
  wire.inject(packet({ next: HOP_BY_HOP, payload: Uint8Array.of(...chain, 1, 2, 3) }))
  t.strictSame(
    sink.got.map(({ octets }) => [...octets]),
    [[1, 2, 3]],
  )
})

bare('what extension headers ask for in vain', async (t, { network, wire }) => {
  const option = (type: number, next = PROBE) => extension(next, [type, 1, 0])
  const many = new Array(9).fill([0x1e, 0]).flat()
  for (const [reason, answer, next, chain, destination] of [
    ['unknownOption', undefined, DESTINATION, option(0x41)],
    ['unknownOption', '4 2 42', DESTINATION, option(0x81)],
    ['unknownOption', '4 2 42', DESTINATION, option(0xc1)],
    ['unknownOption', '4 2 42', HOP_BY_HOP, option(0x81), 'ff02::1'],
    ['unknownOption', undefined, HOP_BY_HOP, option(0xc1), 'ff02::1'],
    ['routingHeader', '4 0 42', ROUTING, extension(PROBE, [0, 1, 0, 0, 0, 0])],
    ['routingHeader', '4 0 42', ROUTING, extension(PROBE, [77, 2, 0, 0, 0, 0])],
    ['misplacedHeader', '4 1 40', DESTINATION, [...extension(HOP_BY_HOP, []), ...extension(PROBE, [])]],
    ['protocolUnreachable', '4 1 40', DESTINATION, extension(254, [])],
    ['truncatedChain', undefined, DESTINATION, [PROBE, 9, 0, 0, 0, 0, 0, 0]],
    ['truncatedChain', undefined, DESTINATION, [PROBE, 0, 0]],
    ['badOption', undefined, DESTINATION, extension(PROBE, [0x1e, 9, 0])],
    ['tooManyHeaders', undefined, DESTINATION, extension(PROBE, many)],
    ['tooManyHeaders', undefined, DESTINATION, new Array(9).fill(extension(DESTINATION, [])).flat()],
  ] as const) {
    const before = wire.sent.length
    const octets = packet({
      next,
      payload: Uint8Array.from([...chain, ...pattern(20)]),
      destination: destination ?? 'fd00::1',
    })
    const payload = reason === 'truncatedChain' ? packet({ next, payload: Uint8Array.from(chain) }) : octets
    t.strictSame(
      newDrops(network, () => wire.inject(payload, destination === undefined ? 'unicast' : 'multicast')),
      [reason],
    )
    t.equal(told(wire.sent[before]), answer, `${reason}: what its sender is told`)
  }
})

bare('echo', async (t, { network, wire }) => {
  wire.inject(icmp(128, 0, 0x0007_0001, pattern(33)))
  t.equal(told(wire.sent[0]), `129 0 ${0x0007_0001}`)
  t.strictSame(wire.sent[0]?.subarray(48), pattern(33))
  wire.inject(icmp(128, 0, 1, pattern(8), { destination: 'ff02::1' }), 'multicast')
  t.equal(told(wire.sent[1]), '129 0 1', 'also one to all nodes (RFC 4443 §4.2), from an address of ours')
  t.equal(hex(wire.sent[1]?.subarray(8, 24)), `fd${'00'.repeat(14)}01`)
  const wrong = icmp(128, 0, 1, pattern(8))
  wrong[50] = (wrong[50] as number) ^ 1
  t.strictSame(
    newDrops(network, () => wire.inject(wrong)),
    ['icmpChecksum'],
  )
  t.strictSame(
    newDrops(network, () => wire.inject(icmp(200, 0, 0, []))),
    ['icmpType'],
  )
  t.strictSame(
    newDrops(network, () => wire.inject(icmp(135, 0, 0, pattern(16), { hopLimit: 254 }))),
    ['icmpHopLimit'],
  )
  const coded = icmp(135, 1, 0, addressOctets('fd00::1'), { hopLimit: 255 })
  t.strictSame(
    newDrops(network, () => wire.inject(coded)),
    ['icmpHopLimit'],
    'discovery has no codes (RFC 4861 §7.1.1)',
  )
  t.equal(wire.sent.length, 2)
})

bare('discovery that came in pieces is ignored (RFC 6980 §5)', async (t, { network, wire }) => {
  const whole = icmp(135, 0, 0, addressOctets('fd00::1'), { hopLimit: 255 })
  const message = whole.subarray(40)
  const piece = (offset: number, end: number, id: number) =>
    packet({
      next: FRAGMENT,
      hopLimit: 255,
      payload: Uint8Array.from([
        ...fragmentHeader(ICMPV6, offset, end < message.length, id),
        ...message.subarray(offset, end),
      ]),
    })
  for (const [id, pieces] of [[piece(0, 16, 1), piece(16, 24, 1)], [piece(0, 24, 2)]].entries()) {
    const reasons = newDrops(network, () => {
      for (const octets of pieces) wire.inject(octets)
    })
    t.strictSame(reasons, ['icmpFragmented'], id === 0 ? 'joined' : 'alone, but with the header of fragments')
  }
  t.equal(wire.sent.length, 0)
  t.strictSame(
    newDrops(network, () => wire.inject(whole)),
    [],
    'the same in one piece',
  )
  t.equal(wire.sent.length, 1)
})

bare('nobody is answered who has not said where he is', async (t, { network, wire }) => {
  const nameless = icmp(128, 0, 1, pattern(8), { source: '::', destination: 'ff02::1' })
  t.strictSame(
    newDrops(network, () => wire.inject(nameless, 'multicast')),
    ['icmpGroupEcho'],
  )
  t.equal(wire.sent.length, 0)
})

bare('about whom errors are sent, and about whom not', async (t, { network, wire }) => {
  const refused = (fields: Parameters<typeof packet>[0]) => {
    const before = wire.sent.length
    wire.inject(packet({ next: 254, ...fields }), fields?.destination?.startsWith('ff') ? 'multicast' : 'unicast')
    return told(wire.sent[before])
  }
  t.equal(refused({}), '4 1 6')
  t.equal(refused({ destination: 'ff02::1' }), undefined, 'not about what was for many')
  t.equal(refused({ source: '::', destination: 'ff02::1' }), undefined, 'not to nobody')
  const error = icmp(1, 4, 0, packet({ source: 'fd00::1', destination: 'fd00::77' }))
  t.strictSame(
    newDrops(network, () => wire.inject(error)),
    ['icmpQuote'],
  )
  const nested = Uint8Array.from([...fragmentHeader(254, 0, false, 1), ...pattern(16)])
  t.equal(refused({ next: 44, payload: nested }), '4 1 6', 'quoted without its fragment header')
  const long = wire.sent.length
  wire.inject(packet({ next: 254, payload: pattern(1400) }))
  t.equal(wire.sent[long]?.length, 1280, 'as much is quoted as fits into the smallest MTU (RFC 4443 §2.4 (c))')
  for (let i = 0; i < 100; i++) refused({})
  t.ok(wire.sent.length <= 53, 'a burst of 50')
})

bare('what others say of our packets', async (t, { network, wire, sink }) => {
  const path = new Path()
  const mtu = () => {
    network.path(parseAddress('2001:db8::5'), parseAddress('::'), 0, path)
    return path.mtu
  }
  sink.send('2001:db8::5', pattern(1400))
  const [sent] = wire.sent as [Uint8Array]
  const quote = sent.subarray(0, 1232)
  const from = { source: '2001:db8::99' }
  wire.inject(icmp(1, 4, 0, quote, from))
  t.match(sink.reports, [{ code: 'ECONNREFUSED', reason: 'portUnreachable', from: '2001:db8::99' }])
  t.strictSame(sink.reports[0]?.quote, pattern(1400).subarray(0, 1192))
  t.equal(mtu(), 1500)
  wire.inject(icmp(2, 0, 1279, quote, from))
  t.equal(sink.reports.length, 1, 'no path is narrower than 1280 octets (RFC 8201 §4)')
  wire.inject(icmp(2, 0, 1460, quote, from))
  t.equal(mtu(), 1500, 'it fitted')
  wire.inject(icmp(2, 0, 1300, quote, from))
  t.match(sink.reports.at(-1), { code: 'EMSGSIZE', mtu: 1300 })
  t.equal(mtu(), 1300)
  const stranger = packet({ source: 'fd00::1', destination: '2001:db8::6', payload: pattern(50) })
  t.strictSame(
    newDrops(network, () => wire.inject(icmp(1, 0, 0, stranger, from))),
    ['icmpQuote'],
  )
  t.strictSame(
    newDrops(network, () => wire.inject(icmp(1, 9, 0, quote, from))),
    ['icmpType'],
  )
  wire.sent.length = 0
  sink.send('2001:db8::5', pattern(2000))
  t.strictSame(
    wire.sent.map((octets) => octets.length),
    [1296, 800],
    'fragments for the path',
  )
})

bare('what is for us is taken in whatever is left of its hop limit (RFC 8200 §3)', async (t, { wire, sink }) => {
  for (const hopLimit of [0, 1]) wire.inject(packet({ hopLimit, payload: pattern(8) }))
  t.strictSame(
    sink.got.map(({ ttl }) => ttl),
    [0, 1],
  )
  t.strictSame(sentOn(wire), [])
})

bare('no error is sent about an error, whatever is in front of it', async (t, { wire }) => {
  const options = extension(ICMPV6, [0x81, 1, 0])
  for (const [type, answer] of [
    [1, undefined],
    [4, undefined],
    [99, undefined],
    [128, '4 2 42'],
  ] as const) {
    const message = icmp(type, 0, 0, pattern(40)).subarray(40)
    wire.inject(packet({ next: DESTINATION, payload: Uint8Array.from([...options, ...message]) }))
    t.equal(told(wire.sent.pop()), answer, `${type}`)
  }
})

t.test('what is link-local belongs to one link', async (t) => {
  const { sim, network, wires } = twoLinks()
  const [a, b] = wires as [TestLink, TestLink]
  b.inject(icmp(128, 0, 1, [], { destination: 'fe80::b', source: 'fe80::9' }))
  t.equal(told(b.sent.pop()), '129 0 1')
  const elsewhere = icmp(128, 0, 1, [], { destination: 'fe80::b', source: 'fe80::9' })
  t.strictSame(
    newDrops(network, () => a.inject(elsewhere)),
    ['scope'],
    'an address of the other link',
  )
  b.inject(packet({ destination: 'fd00:b::1', source: 'fe80::9', next: 254 }))
  t.equal(told(b.sent.pop()), '4 1 6', 'an error leaves by the link its cause came by')
  t.strictSame([a.sent, b.sent], [[], []])
  const path = new Path()
  const source = () => {
    network.path(parseAddress('fe80::9'), parseAddress('::'), network.linkIndex('a'), path)
    return path.source.toString()
  }
  t.match(source(), /^fe80:/)
  network.control.removeAddress('a', source())
  t.equal(source(), 'fd00:a::1', 'rather a larger scope than an address of the other link')
  await sim.close()
})

t.test('arbitrary octets', async (t) => {
  const before = packetsInUse()
  const { sim, network, wire } = stand({ forwarding: true })
  const chains = fc.array(
    fc.tuple(fc.constantFrom(0, 43, 44, 59, 60, 58, 17, PROBE), fc.uint8Array({ maxLength: 30 })),
    { maxLength: 10 },
  )
  holds(
    t,
    'never throw, and never leave anything behind',
    fc.property(
      chains,
      fc.uint8Array({ maxLength: 60 }),
      fc.constantFrom('fd00::1', 'ff02::1', '2001:db8::1'),
      (headers, rest, destination) => {
        const payload = headers.flatMap(([, contents], i) => {
          const next = headers[i + 1]?.[0] ?? PROBE
          return headers[i]?.[0] === 44
            ? fragmentHeader(next, (contents[0] ?? 0) & ~7, contents.length % 2 === 0, 1)
            : extension(next, [...contents])
        })
        const octets = packet({
          destination,
          next: headers[0]?.[0] ?? PROBE,
          payload: Uint8Array.from([...payload, ...rest]),
        })
        wire.inject(octets)
        wire.inject(octets.subarray(0, Math.max(0, octets.length - rest.length - 1)))
        wire.inject(rest)
      },
    ),
    { numRuns: 1000 },
  )
  t.ok(Object.keys(drops(network)).length > 8, 'many ways to be refused were tried')
  await sim.close()
  assert.equal(packetsInUse(), before)
})
