/** IPv4 between two doubles: what is on the wire, octet by octet, and what becomes of what comes from it. */
import assert from 'node:assert'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import type { LinkOffload } from '../../../../layers/datalink/service.ts'
import { NetworkAddressing } from '../../../../layers/network/service.ts'
import { parseAddress } from '../../../../src/kernel/address.ts'
import { pseudoHeaderIpv4 } from '../../../../src/kernel/checksum.ts'
import { Packet, packetsInUse } from '../../../../src/kernel/packet.ts'
import { stack } from '../../../../src/kernel/stack.ts'
import { Simulation } from '../../../../src/runtime/simulation.ts'
import { holds } from '../../../property.ts'
import { TestLink } from './link.ts'
import { drops, type Ipv4Options, ip, ipv4, pattern, referenceChecksum, Sink } from './stand.ts'

const PROBE = 253
const ICMP = 1

/** A node with one point-to-point link that keeps what is sent on it. */
function stand(options: Ipv4Options = {}, offload?: LinkOffload) {
  const sim = new Simulation()
  let link: TestLink | undefined
  const node = sim.boot(
    'A',
    stack(
      (env) => {
        link = new TestLink(env, offload)
        return link
      },
      ip(ipv4({ address: '10.0.0.1/24', gateway: '10.0.0.254', ...options })),
    ),
  )
  const wire = link as unknown as TestLink
  return { sim, network: node.top, wire, sink: new Sink(node.top, PROBE) }
}

function bare(
  name: string,
  body: (test: Test, on: ReturnType<typeof stand>) => Promise<void>,
  options: Ipv4Options = {},
): void {
  t.test(name, async (test) => {
    const before = packetsInUse()
    const on = stand(options)
    await body(test, on)
    await on.sim.close()
    test.equal(packetsInUse(), before, 'every packet was released')
    test.equal(on.sim.timers.size, 0, 'no timer is left')
  })
}

interface Fields {
  readonly source?: string
  readonly destination?: string
  readonly protocol?: number
  readonly ttl?: number
  readonly id?: number
  readonly flags?: number
  readonly options?: readonly number[]
  readonly payload?: Uint8Array
  /** Added to the total length. */
  readonly length?: number
  readonly version?: number
}

/** A datagram as octets, by other code than the one under test. */
function datagram(fields: Fields = {}): Uint8Array {
  const { source = '10.0.0.2', destination = '10.0.0.1', protocol = PROBE, ttl = 64, id = 1, flags = 0 } = fields
  const { options = [], payload = pattern(16), length = 0, version = 4 } = fields
  const total = 20 + options.length + payload.length + length
  const octets = Uint8Array.from([
    (version << 4) | (5 + options.length / 4), 0, total >> 8, total & 255,
    id >> 8, id & 255, flags >> 8, flags & 255,
    ttl, protocol, 0, 0,
    ...source.split('.').map(Number), ...destination.split('.').map(Number), ...options, ...payload,
  ]) // biome-ignore format: one word of the header a line
  const sum = referenceChecksum(octets.subarray(0, 20 + options.length))
  octets[10] = sum >> 8
  octets[11] = sum & 255
  return octets
}

/** An ICMP message with its checksum. */
function icmp(type: number, code: number, rest: number, data: Uint8Array): Uint8Array {
  const octets = Uint8Array.from([
    type,
    code,
    0,
    0,
    rest >>> 24,
    (rest >> 16) & 255,
    (rest >> 8) & 255,
    rest & 255,
    ...data,
  ])
  const sum = referenceChecksum(octets)
  octets[2] = sum >> 8
  octets[3] = sum & 255
  return octets
}

const hex = (octets: Uint8Array | undefined): string => Buffer.from(octets ?? []).toString('hex')

bare('a datagram as it is on the wire', async (test, { network, wire }) => {
  const to = new NetworkAddressing()
  to.source.set(parseAddress('10.0.0.1'))
  to.destination.set(parseAddress('192.0.2.7'))
  Object.assign(to, { protocol: 17, ttl: 3, trafficClass: 0x2e << 2, dontFragment: true })
  const packet = Packet.take(network.headroom, 4 + network.tailroom)
  packet.append(Uint8Array.of(0xde, 0xad, 0xbe, 0xef))
  test.equal(network.send(packet, to), true)
  const [sent] = wire.sent
  const text = hex(sent)
  const id = text.slice(8, 12)
  test.match(text, /^45b80018[0-9a-f]{4}40000311[0-9a-f]{4}0a000001c0000207deadbeef$/)
  test.equal(referenceChecksum((sent as Uint8Array).subarray(0, 20)), 0, 'its header sums up')
  test.equal(network.boundary.txPackets, 1)
  const again = Packet.take(network.headroom, network.tailroom)
  network.send(again, to)
  test.not(hex(wire.sent[1]).slice(8, 12), id, 'identifications differ')
})

bare('what must not be sent', async (test, { network, wire, sim, sink }) => {
  const to = new NetworkAddressing()
  const send = (source: string, destination: string, length = 8) => {
    to.source.set(parseAddress(source))
    to.destination.set(parseAddress(destination))
    to.protocol = PROBE
    const packet = Packet.take(network.headroom, length + network.tailroom)
    packet.put(length)
    network.send(packet, to)
  }
  send('10.0.0.7', '10.0.0.2')
  send('127.0.0.1', '10.0.0.2')
  send('0.0.0.0', '10.0.0.2')
  send('10.0.0.1', '0.0.0.0')
  send('10.0.0.1', '240.0.0.1')
  send('10.0.0.1', '10.0.0.2', 65_516)
  await sim.run(1)
  test.strictSame(wire.sent, [])
  test.strictSame(drops(network), { badSource: 3, noRoute: 2, tooLong: 1 })
  test.strictSame(
    sink.reports.map(({ code }) => code),
    ['ENETUNREACH', 'ENETUNREACH'],
    'told on a later turn',
  )
  send('0.0.0.0', '255.255.255.255')
  test.equal(wire.sent.length, 1, 'who asks for an address has none')
})

bare('what comes in', async (test, { network, wire, sink }) => {
  wire.inject(datagram())
  wire.inject(Uint8Array.of(...datagram(), 0, 0, 0))
  wire.inject(datagram({ options: [7, 7, 4, 0, 0, 0, 0, 1], ttl: 9 }))
  test.equal(sink.got.length, 3)
  for (const { octets } of sink.got) test.strictSame(octets, pattern(16), 'without padding and options')
  test.equal(sink.got[2]?.ttl, 9)

  const broken = (name: string, octets: Uint8Array, cast: 'unicast' | 'broadcast' = 'unicast') => {
    const before = { ...drops(network) }
    wire.inject(octets, cast)
    const after = drops(network)
    const reasons = Object.keys(after).filter((reason) => after[reason] !== before[reason])
    test.strictSame(reasons, [name], name)
  }
  const flipped = datagram()
  flipped[8] = 63
  broken('headerChecksum', flipped)
  broken('short', datagram().subarray(0, 19))
  broken('version', datagram({ version: 6 }))
  broken('badLength', datagram({ length: 1 }))
  broken('badLength', datagram({ length: -17 }))
  broken('badOption', datagram({ options: [7, 1, 0, 0] }))
  broken('badOption', datagram({ options: [7, 9, 0, 0] }))
  broken('headerChecksum', datagram({ options: [1, 1, 1, 1] }).fill(2, 21, 22))
  broken('sourceRoute', datagram({ options: [131, 3, 4, 0] }))
  broken('sourceRoute', datagram({ options: [1, 137, 3, 4] }))
  for (const source of [
    '127.0.0.1',
    '224.0.0.1',
    '255.255.255.255',
    '0.0.0.0',
    '0.1.2.3',
    '10.0.0.1',
    '10.0.0.255',
    '240.0.0.1',
  ]) {
    broken('martianSource', datagram({ source }))
  }
  for (const destination of ['127.0.0.1', '0.0.0.0', '241.0.0.1'])
    broken('martianDestination', datagram({ destination }))
  broken('linkBroadcast', datagram(), 'broadcast')
  broken('notForUs', datagram({ destination: '10.0.0.2' }))
  broken('notMember', datagram({ destination: '224.0.0.5' }))
  broken('tinyFragment', datagram({ protocol: 6, flags: 1 }))
  test.strictSame(wire.sent, [], 'none of them is answered')
  broken('protocolUnreachable', datagram({ protocol: 99 }))
  test.match(hex(wire.sent[0]), /^45c0/)
})

bare('echo is answered, in place and in kind', async (test, { wire, network }) => {
  const echo = icmp(8, 0, 0x1234_0001, pattern(57))
  wire.inject(datagram({ protocol: ICMP, payload: echo, ttl: 5, options: [1, 1, 1, 1] }))
  const reply = wire.sent[0] as Uint8Array
  test.equal(hex(reply.subarray(12, 20)), '0a0000010a000002')
  test.equal(referenceChecksum(reply.subarray(20)), 0)
  test.strictSame(reply.subarray(20), icmp(0, 0, 0x1234_0001, pattern(57)))
  wire.inject(datagram({ protocol: ICMP, payload: echo, destination: '10.0.0.255' }), 'broadcast')
  wire.inject(datagram({ protocol: ICMP, payload: echo.slice(0, 20) }))
  wire.inject(datagram({ protocol: ICMP, payload: echo.slice(0, 7) }))
  wire.inject(datagram({ protocol: ICMP, payload: icmp(13, 0, 0, pattern(12)) }))
  wire.inject(datagram({ protocol: ICMP, payload: icmp(5, 1, 0x0a00_0009, datagram()) }))
  wire.inject(datagram({ protocol: ICMP, payload: icmp(0, 0, 1, pattern(3)) }))
  test.equal(wire.sent.length, 1)
  const expected = { icmpBroadcastEcho: 1, icmpChecksum: 1, icmpShort: 1, icmpType: 1, icmpRedirect: 1, icmpNoUser: 1 }
  test.strictSame(drops(network), expected)
})

bare('errors are about packets only that may be complained about', async (test, { wire, network }) => {
  const unknown = (fields: Fields) => {
    wire.sent.length = 0
    wire.inject(datagram({ protocol: 99, ...fields }), fields.destination === undefined ? 'unicast' : 'broadcast')
    return wire.sent.length
  }
  test.equal(unknown({}), 1)
  test.equal(unknown({ destination: '10.0.0.255' }), 0, 'not about broadcasts')
  test.equal(unknown({ destination: '255.255.255.255' }), 0)
  test.equal(unknown({ destination: '224.0.0.1' }), 0, 'nor multicasts')
  const from = new NetworkAddressing()
  const refuse = (octets: Uint8Array) => {
    wire.sent.length = 0
    const packet = Packet.take(0, octets.length)
    packet.append(octets)
    packet.networkStart = packet.pull(20)
    network.refuse(packet, from, 'portUnreachable')
    return wire.sent.length
  }
  test.equal(refuse(datagram()), 1)
  test.equal(refuse(datagram({ flags: 1 })), 0, 'nor any but the first fragment')
  test.equal(refuse(datagram({ protocol: ICMP, payload: icmp(3, 3, 0, datagram()) })), 0, 'nor errors')
  test.equal(refuse(datagram({ protocol: ICMP, payload: icmp(8, 0, 0, pattern(4)) })), 1, 'but queries')
  for (const source of ['0.0.0.0', '127.0.0.1', '224.0.0.1', '255.255.255.255', '10.0.0.255']) {
    test.equal(refuse(datagram({ source, destination: '10.0.0.5' })), 0, `nor to ${source}`)
  }
  test.equal(refuse(datagram({ payload: pattern(3000) })), 1)
  const error = wire.sent[0] as Uint8Array
  test.equal(error.length, 576, 'no longer than 576 octets')
  test.equal(referenceChecksum(error.subarray(20)), 0)
  test.strictSame(error.subarray(28), datagram({ payload: pattern(3000) }).subarray(0, 548))
})

bare(
  'errors are rationed',
  async (test, { wire, sim }) => {
    const flood = () => {
      wire.sent.length = 0
      for (let i = 0; i < 40; i++) wire.inject(datagram({ protocol: 99 }))
      return wire.sent.length
    }
    test.equal(flood(), 3, 'a burst')
    await sim.run(1_000_000)
    test.equal(flood(), 2, 'then so many a second')
  },
  { errors: { perSecond: 2, burst: 3 } },
)

bare('errors of others are believed as far as they can be true', async (test, { wire, network, sink, sim }) => {
  const report = (payload: Uint8Array) => {
    sink.reports.length = 0
    wire.inject(datagram({ source: '192.0.2.254', protocol: ICMP, payload }))
    return sink.reports.length
  }
  const ours = (fields: Fields = {}) =>
    datagram({ source: '10.0.0.1', destination: '192.0.2.7', flags: 0x4000, payload: pattern(1000), ...fields })
  const mtu = () => {
    sink.send('192.0.2.7', pattern(1))
    return sink.path.mtu
  }
  test.equal(report(icmp(3, 3, 0, ours().subarray(0, 28))), 0, 'we sent nothing there')
  test.equal(mtu(), 1500)
  test.equal(report(icmp(3, 3, 0, ours().subarray(0, 28))), 1)
  test.match(sink.reports, [
    { code: 'ECONNREFUSED', reason: 'portUnreachable', from: '192.0.2.254', quote: pattern(8) },
  ])
  test.equal(report(icmp(3, 3, 0, ours().subarray(0, 27))), 0, 'too short a quote')
  test.equal(report(icmp(3, 3, 0, ours({ source: '10.0.0.9' }))), 0, 'not our source')
  test.equal(report(icmp(3, 3, 0, ours({ version: 6 }))), 0)
  test.equal(report(icmp(3, 16, 0, ours())), 0, 'an unknown code')
  test.equal(report(icmp(4, 0, 0, ours())), 0, 'source quench is no longer an error (RFC 6633)')
  test.equal(report(icmp(12, 0, 0, ours())), 1)
  test.equal(sink.reports[0]?.code, 'EPROTO')

  report(icmp(3, 4, 1400, ours()))
  test.equal(mtu(), 1500, 'a packet of 1020 octets fits into 1400')
  report(icmp(3, 4, 900, ours({ flags: 0 })))
  test.equal(mtu(), 1500, 'one without DF is not in the way')
  report(icmp(3, 4, 0, ours()))
  test.equal(mtu(), 1006, 'without a figure: the next plateau')
  report(icmp(3, 4, 900, ours()))
  test.equal(mtu(), 900)
  report(icmp(3, 4, 1000, ours()))
  test.equal(mtu(), 900, 'no report widens a path')
  report(icmp(3, 4, 68, ours()))
  test.equal(mtu(), 552, 'and no report narrows it below what we care for')
  wire.sent.length = 0
  sink.send('192.0.2.7', pattern(1000), { dontFragment: true })
  test.strictSame(
    wire.sent.map((octets) => octets[6] as number),
    [0x20, 0x00],
    'then it may be fragmented',
  )
  await sim.run(601_000_000)
  test.equal(mtu(), 1500)
  test.equal(drops(network).icmpQuote, 4)
})

t.test('checksums and segments are left to the link as far as it can', async (test) => {
  const before = packetsInUse()
  /** A TCP super-segment: two and a half of 1000 octets. */
  const send = ({ network }: ReturnType<typeof stand>, segmentOctets: number, payload: number) => {
    const to = new NetworkAddressing()
    to.source.set(parseAddress('10.0.0.1'))
    to.destination.set(parseAddress('10.0.0.2'))
    Object.assign(to, { protocol: 6, dontFragment: true })
    const packet = Packet.take(network.headroom, 20 + payload + network.tailroom)
    const at = packet.put(20)
    packet.octets.fill(0, at, at + 20)
    packet.view.setUint8(at + 12, 5 << 4)
    packet.append(pattern(payload))
    const pseudo = pseudoHeaderIpv4(0x0a00_0001, 0x0a00_0002, 6, packet.length)
    packet.view.setUint16(at + 16, (pseudo & 0xffff) + (pseudo >>> 16))
    Object.assign(packet, {
      segmentOctets,
      checksum: 'partial',
      checksumStart: at,
      checksumOffset: 16,
      headerOctets: 20,
    })
    network.send(packet, to)
  }
  /** The TCP checksum by the judge: over the pseudo-header of zero-sum form. */
  const right = (octets: Uint8Array) => {
    const length = octets.length - 20
    const pseudo = Uint8Array.of(...octets.subarray(12, 20), 0, 6, length >> 8, length & 255)
    return referenceChecksum(Uint8Array.of(...pseudo, ...octets.subarray(20))) === 0
  }
  const none = stand()
  send(none, 1000, 2500)
  test.strictSame(
    none.wire.sent.map(({ length }) => length),
    [1040, 1040, 540],
  )
  const ids = none.wire.sent.map((octets) => ((octets[4] as number) << 8) | (octets[5] as number))
  test.strictSame(
    ids.map((id) => (id - (ids[0] as number)) & 0xffff),
    [0, 1, 2],
  )
  send(none, 0, 700)
  send(none, 1000, 700)
  test.equal(none.wire.sent.length, 5)
  for (const octets of none.wire.sent) test.ok(right(octets) && referenceChecksum(octets.subarray(0, 20)) === 0)
  send(none, 1480, 3000)
  await none.sim.run(1)
  test.match(drops(none.network), { fragmentationNeeded: 1 }, 'segments that do not fit')

  const all = stand({}, { segment: 65_535, checksum: true })
  send(all, 1000, 2500)
  test.strictSame(
    all.wire.sent.map(({ length }) => length),
    [2540],
    'whole',
  )
  test.equal(all.wire.states[0], 'partial 1000')
  const some = stand({}, { segment: 0, checksum: true })
  send(some, 0, 700)
  send(some, 1000, 2500)
  test.strictSame(some.wire.states.slice(0, 1), ['partial 0'])
  test.equal(some.wire.sent.length, 4)
  for (const { sim } of [none, all, some]) await sim.close()
  test.equal(packetsInUse(), before)
})

t.test('a router leaves checksums partial, and changes nothing but TTL and header checksum', async (test) => {
  const before = packetsInUse()
  const { sim, network, wire } = stand({ forwarding: true })
  for (const ttl of [2, 64, 255]) {
    for (const id of [0, 1, 0xfeff, 0xff00, 0xffff]) {
      const octets = datagram({ source: '10.0.0.7', destination: '192.0.2.9', ttl, id })
      wire.sent.length = 0
      wire.inject(octets)
      test.strictSame(wire.sent[0], datagram({ source: '10.0.0.7', destination: '192.0.2.9', ttl: ttl - 1, id }))
    }
  }
  wire.inject(datagram({ source: '10.0.0.7', destination: '192.0.2.9', ttl: 1 }))
  wire.inject(datagram({ source: '10.0.0.7', destination: '192.0.2.9' }), 'broadcast')
  test.strictSame(drops(network), { ttlExceeded: 1, linkBroadcast: 1 })
  await sim.close()
  test.equal(packetsInUse(), before)
})

t.test('arbitrary octets', async (test) => {
  const before = packetsInUse()
  const { sim, network, wire } = stand({ forwarding: true, reassembly: { octets: 200_000, datagrams: 50 } })
  const address = fc.constantFrom(
    '10.0.0.1',
    '10.0.0.2',
    '10.0.0.255',
    '255.255.255.255',
    '127.0.0.1',
    '192.0.2.1',
    '224.0.0.1',
  )
  const likely = fc
    .record({
      source: address,
      destination: address,
      protocol: fc.constantFrom(1, 6, 17, PROBE, 99),
      ttl: fc.constantFrom(0, 1, 64),
      id: fc.nat(3),
      flags: fc.oneof(
        fc.constantFrom(0, 0x4000, 0x2000),
        fc.nat(0xffff),
        fc.nat(8),
        fc.nat(8).map((n) => n | 0x2000),
      ),
      options: fc.array(fc.nat(255), { maxLength: 10 }).map((list) => list.slice(0, 4 * Math.floor(list.length / 4))),
      payload: fc.oneof(
        fc.uint8Array({ maxLength: 64 }),
        fc
          .tuple(fc.nat(18), fc.nat(16), fc.nat(), fc.uint8Array({ maxLength: 60 }))
          .map(([type, code, rest, data]) => icmp(type, code, rest, data)),
        fc
          .tuple(fc.constantFrom(3, 11, 12), fc.nat(15), fc.nat(1500))
          .map(([type, code, rest]) =>
            icmp(type, code, rest, datagram({ source: '10.0.0.1', destination: '192.0.2.1', flags: 0x4000 })),
          ),
      ),
    })
    .map((fields) => datagram(fields))
  const octets = fc.oneof({ weight: 1, arbitrary: fc.uint8Array({ maxLength: 80 }) }, { weight: 5, arbitrary: likely })
  const cast = fc.constantFrom('unicast' as const, 'broadcast' as const, 'multicast' as const)
  holds(
    test,
    'nothing throws, and nothing is kept beyond the fragments that may wait',
    fc.property(octets, cast, (run, how) => {
      wire.inject(run, how)
      wire.sent.length = wire.states.length = 0
      assert.ok(packetsInUse() - before < 200)
    }),
    { numRuns: 5000 },
  )
  await sim.run(31_000_000)
  test.ok(Object.keys(drops(network)).length > 15, 'many reasons were met')
  await sim.close()
  test.equal(packetsInUse(), before)
})
