import { deepStrictEqual, ok } from 'node:assert'
import fc from 'fast-check'
import t from 'tap'
import type { TlvSink, Update } from '../../../../../layers/middleware/routing/babel/pdu.ts'
import { type Fault, Reader } from '../../../../../layers/middleware/routing/babel/reader.ts'
import { Writer } from '../../../../../layers/middleware/routing/babel/writer.ts'
import { IpAddress, parseAddress, parsePrefix } from '../../../../../src/kernel/address.ts'
import { holds } from '../../../../property.ts'

const octets = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'))
const hex = (from: Uint8Array): string => Buffer.from(from).toString('hex')
const prefix = (text: string) => {
  const { address, length } = parsePrefix(text)
  return { address, length, isIpv4: address.isIpv4 }
}

/** What a packet says, as text, one line a TLV; and what was passed over. */
function read(packet: Uint8Array, start = 0, length = packet.length): { said: string[]; faults: Fault[] } {
  const said: string[] = []
  const faults: Fault[] = []
  const sink: TlvSink = {
    hello: ({ unicast, seqno, interval }) => said.push(`hello ${unicast ? 'unicast ' : ''}${seqno} ${interval}`),
    ihu: ({ address, rxcost, interval }) => said.push(`ihu ${address ?? 'you'} ${rxcost} ${interval}`),
    update: (update) => said.push(formatUpdate(update)),
    routeRequest: ({ prefix }) => said.push(`route? ${prefix === null ? 'all' : `${prefix.address}/${prefix.length}`}`),
    seqnoRequest: ({ prefix, seqno, hopCount, routerHigh, routerLow }) =>
      said.push(`seqno? ${prefix.address}/${prefix.length} ${seqno} hops ${hopCount} of ${routerHigh}:${routerLow}`),
    ackRequest: (opaque, interval) => said.push(`ack? ${opaque} ${interval}`),
    ack: (opaque) => said.push(`ack ${opaque}`),
  }
  new Reader((fault) => faults.push(fault)).read(packet, start, length, sink)
  return { said, faults }
}

function formatUpdate({ wildcard, prefix, metric, seqno, interval, routerHigh, routerLow, nextHop }: Update): string {
  if (wildcard) return 'retract all'
  const router = metric === 0xffff ? '' : ` of ${routerHigh}:${routerLow}`
  return `${prefix.address}/${prefix.length} ${metric} ${seqno} ${interval}${router} via ${nextHop ?? 'you'}`
}

/** A packet of these TLVs. */
const packet = (tlvs: string): Uint8Array => {
  const body = octets(tlvs)
  return Uint8Array.of(42, 2, body.length >> 8, body.length, ...body)
}

/** A packet as the writer makes it. */
function written(fill: (writer: Writer) => void, limit = 1400): Uint8Array {
  const writer = new Writer(new Uint8Array(limit), limit)
  fill(writer)
  writer.finish()
  return writer.octets.slice(0, writer.length)
}

t.test('every TLV as RFC 8966 §4.6 has it', async (t) => {
  const one = written((writer) => {
    writer.hello(258, 400)
    writer.hello(1, 0, true)
    writer.ihu(parseAddress('fe80::102:304:506:708'), 96, 1200)
    writer.ihu(null, 0xffff, 3)
    writer.routeRequest(null)
    writer.routeRequest(prefix('10.0.0.0/8'))
    writer.seqnoRequest(prefix('fd00::/16'), 7, 64, 1, 2)
    writer.ackRequest(9, 10)
    writer.ack(9)
    writer.retractAll(1600)
  })
  const body = [
    '0406 0000 0102 0190',
    '0406 8000 0001 0000',
    '050e 03 00 0060 04b0 0102030405060708',
    '0506 00 00 ffff 0003',
    '0902 00 00',
    '0903 01 08 0a',
    '0a10 02 10 0007 40 00 00000001 00000002 fd00',
    '0206 0000 0009 000a',
    '0302 0009',
    '080a 00 00 00 00 0640 0000 ffff',
  ].join('')
  t.equal(hex(one), hex(packet(body)))
  t.strictSame(read(one), {
    said: [
      'hello 258 400',
      'hello unicast 1 0',
      'ihu fe80::102:304:506:708 96 1200',
      'ihu you 65535 3',
      'route? all',
      'route? 10.0.0.0/8',
      'seqno? fd00::/16 7 hops 64 of 1:2',
      'ack? 9 10',
      'ack 9',
      'retract all',
    ],
    faults: [],
  })
})

t.test('updates leave out what the packet has said', async (t) => {
  const hop = parseAddress('10.9.0.1').w3
  const one = written((writer) => {
    writer.update(prefix('10.1.2.0/24'), { routerHigh: 1, routerLow: 2, seqno: 3, metric: 4 }, 400, hop)
    writer.update(prefix('10.1.3.0/24'), { routerHigh: 1, routerLow: 2, seqno: 3, metric: 5 }, 400, hop)
    writer.update(prefix('fd00::7/128'), { routerHigh: 0, routerLow: 7, seqno: 3, metric: 6 }, 400, hop)
    writer.update(prefix('fd00::8/128'), { routerHigh: 0, routerLow: 7, seqno: 3, metric: 0xffff }, 400, hop)
  })
  t.equal(
    hex(one.subarray(4)),
    [
      '060a 0000 0000000100000002',
      '0706 01 00 0a090001',
      '080d 01 80 18 00 0190 0003 0004 0a0102',
      '080b 01 80 18 02 0190 0003 0005 03',
      '081a 02 c0 80 00 0190 0003 0006 fd000000000000000000000000000007',
      '080b 02 80 80 0f 0190 0003 ffff 08',
    ]
      .join('')
      .replaceAll(' ', ''),
  )
  t.strictSame(read(one).said, [
    '10.1.2.0/24 4 3 400 of 1:2 via 10.9.0.1',
    '10.1.3.0/24 5 3 400 of 1:2 via 10.9.0.1',
    'fd00::7/128 6 3 400 of 0:7 via you',
    'fd00::8/128 65535 3 400 via you',
  ])
})

t.test('an IPv4 destination by IPv6 (RFC 9229)', async (t) => {
  const one = written((writer) => {
    writer.update(prefix('10.1.0.0/16'), { routerHigh: 1, routerLow: 2, seqno: 3, metric: 4 }, 400, null)
  })
  t.equal(hex(one.subarray(4)), '060a00000000000100000002080c040010000190000300040a01')
  t.strictSame(read(one), { said: ['10.1.0.0/16 4 3 400 of 1:2 via you'], faults: [] })
})

const ROUTER = '060a 0000 0000000100000002'

t.test('what is malformed is passed over, and the rest is read', async (t) => {
  const hello = '0406 0000 0001 0190'
  const cases: readonly (readonly [what: string, tlvs: string, fault: Fault])[] = [
    ['a hello that is too short', '0404 0000 0001', 'badTlv'],
    ['an IHU without interval', '0506 00 00 0060 0000', 'badTlv'],
    ['an IHU with an encoding that is none', '0506 07 00 0060 0001', 'badTlv'],
    ['an IHU shorter than its address', '0508 02 00 0060 0001 0000', 'badTlv'],
    ['an update for ever', `${ROUTER} 080b 02 00 08 00 0000 0001 0001 fd`, 'badTlv'],
    ['an update whose prefix is too long', `${ROUTER} 080b 01 00 21 00 0190 0001 0001 0a`, 'badTlv'],
    ['an update shorter than its prefix', `${ROUTER} 080b 02 00 10 00 0190 0001 0001 fd`, 'badTlv'],
    ['an update that leaves out what was not said', `${ROUTER} 080a 02 00 08 01 0190 0001 0001`, 'noDefaultPrefix'],
    ['an update of nobody', '080b 02 00 08 00 0190 0001 0001 fd', 'noRouterId'],
    ['an update of IPv4 by nobody', `${ROUTER} 080b 01 00 08 00 0190 0001 0001 0a`, 'noNextHop'],
    ['a wildcard that is no retraction', '080a 00 00 00 00 0190 0001 0001', 'badTlv'],
    ['an update of link-local addresses', `${ROUTER} 080b 03 00 08 00 0190 0001 0001 00`, 'badTlv'],
    ['a request of no hops', '0a0f 02 08 0001 00 00 0000000100000002 fd', 'badTlv'],
    ['a request of everything with a length', '0902 00 08', 'badTlv'],
    ['an acknowledgment wanted at once', '0206 0000 0001 0000', 'badTlv'],
    ['a next hop of no encoding', '0702 00 00', 'badTlv'],
    ['a router-id that is too short', '0604 0000 0001', 'badTlv'],
    ['a sub-TLV that must be understood', '0408 0000 0001 0190 80 00', 'mandatorySubTlv'],
    [
      'a source-specific update (RFC 9079)',
      `${ROUTER} 0810 02 00 08 00 0190 0001 0001 fd 80 03 08 fd 00`,
      'mandatorySubTlv',
    ],
    ['a sub-TLV that has no end', '0408 0000 0001 0190 01 05', 'mandatorySubTlv'],
    ['a TLV nobody knows', '6302 0000', 'unknownTlv'],
  ]
  for (const [what, tlvs, fault] of cases) {
    const { said, faults } = read(packet(tlvs + hello))
    t.strictSame(faults, [fault], what)
    t.strictSame(said, ['hello 1 400'], 'what follows counts')
  }
  t.strictSame(read(packet('0406 0000 0001 0190 0007 0102')).said, ['hello 1 400'], 'Pad1, then a TLV nobody knows')
  t.strictSame(read(packet('0406 0000 0001 0190 0105 00')).faults, ['truncated'])
  t.strictSame(read(octets('2a02 0008 0406')).faults, ['badHeader'], 'less than the header promises')
  t.strictSame(read(octets('2a03 0000')).faults, ['badHeader'], 'another version')
  t.strictSame(read(octets('2a')).faults, ['badHeader'])
})

t.test('a sub-TLV that need not be understood, PadN and a trailer are no harm', async (t) => {
  const withTrailer = Uint8Array.of(...packet('0103 000000 0409 0000 0001 0190 01 01 00'), 16, 2, 0, 0)
  t.strictSame(read(withTrailer), { said: ['hello 1 400'], faults: [] })
})

t.test('router-id and default prefix stand although their TLV is ignored', async (t) => {
  const ignored = '0816 02 c0 50 00 0190 0001 0001 fd00 0000 0000 0000 0005 80 00'
  const { said, faults } = read(packet(`${ignored} 080a 02 00 40 08 0190 0001 0002`))
  t.strictSame(faults, ['mandatorySubTlv'])
  t.strictSame(said, ['fd00::/64 2 1 400 of 327680:0 via you'])
})

const word = fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff })
const announced = fc.record({
  isIpv4: fc.boolean(),
  words: fc.tuple(fc.constantFrom(0xfd000000 | 0, 0x20010db8), fc.constantFrom(0, 1), word, word),
  length: fc.integer({ min: 0, max: 128 }),
  routerHigh: fc.constantFrom(0, 1, -1),
  routerLow: fc.oneof(fc.constantFrom(1, 2), word),
  seqno: fc.integer({ min: 0, max: 0xffff }),
  metric: fc.oneof(fc.integer({ min: 0, max: 0xffff }), fc.constant(0xffff)),
  nextHop: fc.oneof(fc.constant(null), fc.constantFrom(1, 2)),
})

t.test('properties', async (t) => {
  holds(
    t,
    'what is written is read, with all that was left out',
    fc.property(fc.array(announced, { minLength: 1, maxLength: 20 }), (updates) => {
      const expected: string[] = []
      const one = written((writer) => {
        for (const { isIpv4, words, length, nextHop, ...announcement } of updates) {
          const bits = isIpv4 ? length >> 2 : length
          const mask = (word: number, from: number): number =>
            bits <= from ? 0 : bits >= from + 32 ? word : word & (-1 << (32 - (bits - from)))
          const address = isIpv4
            ? IpAddress.ipv4(mask(words[3], 0))
            : new IpAddress(mask(words[0], 0), mask(words[1], 32), mask(words[2], 64), mask(words[3], 96))
          ok(writer.update({ address, length: bits, isIpv4 }, announcement, 400, nextHop))
          const { metric, seqno, routerHigh, routerLow } = announcement
          const router = metric === 0xffff ? '' : ` of ${routerHigh}:${routerLow}`
          expected.push(`${address}/${bits} ${metric} ${seqno} 400${router}`)
          if (isIpv4 && nextHop !== null && metric !== 0xffff) expected.push(`${expected.pop()} via 0.0.0.${nextHop}`)
        }
      })
      const { said, faults } = read(one)
      deepStrictEqual(faults, [])
      deepStrictEqual(
        said.map((line, i) => (expected[i]?.includes(' via ') ? line : line.replace(/ via .*/, ''))),
        expected,
      )
    }),
  )
  holds(
    t,
    'a packet never grows beyond its limit, and what does not fit is not begun',
    fc.property(fc.integer({ min: 4, max: 120 }), fc.array(announced, { maxLength: 12 }), (limit, updates) => {
      const writer = new Writer(new Uint8Array(256), limit)
      for (const { words, nextHop, ...announcement } of updates) {
        const before = writer.length
        const to = { address: new IpAddress(...words), length: 128, isIpv4: false }
        if (!writer.update(to, announcement, 1, nextHop)) deepStrictEqual(writer.length, before)
        ok(writer.length <= limit)
      }
    }),
  )
  holds(
    t,
    'no octets make the reader throw, or read beyond the packet',
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (body, framed) => {
      const one = framed ? Uint8Array.of(42, 2, 0, body.length, ...body) : body
      const amid = Uint8Array.of(1, 2, 3, ...one, 4, 6, 0, 0, 0, 1, 1, 144)
      deepStrictEqual(read(amid, 3, one.length), read(one))
    }),
  )
})
