/** Fragments of IPv6 (RFC 8200 §4.5): cut, joined in any order, and hostile ones. */
import assert from 'node:assert'
import fc from 'fast-check'
import t from 'tap'
import { seconds } from '../../../../src/kernel/clock.ts'
import { packetsInUse } from '../../../../src/kernel/packet.ts'
import { holds } from '../../../property.ts'
import {
  type Bare,
  bare,
  DESTINATION,
  extension,
  FRAGMENT,
  fragmentHeader,
  newDrops,
  packet,
  sentOn,
  stand,
  told,
} from './bare.ts'
import { PROBE, pattern } from './stand.ts'

interface Piece {
  readonly offset: number
  readonly octets: Uint8Array
  readonly more: boolean
  readonly id?: number
  readonly source?: string
  /** Extension headers in front of the fragment header, the first of which is one of destination options. */
  readonly before?: readonly number[]
  readonly next?: number
}

function fragment({ offset, octets, more, id = 7, source = 'fd00::2', before = [], next = PROBE }: Piece): Uint8Array {
  const payload = Uint8Array.from([...before, ...fragmentHeader(next, offset, more, id), ...octets])
  return packet({ source, next: before.length > 0 ? DESTINATION : FRAGMENT, payload })
}

/** What is cut is taken in by a second node as if it had come over the wire. */
function carry(from: Bare, to: Bare, order: (octets: Uint8Array[]) => Uint8Array[]): void {
  for (const octets of order(from.wire.sent.splice(0))) to.wire.inject(octets)
}

t.test('whatever is cut comes together', async (t) => {
  const before = packetsInUse()
  const from = stand({ address: 'fd00::2/64' })
  const to = stand()
  const script = fc.record({
    length: fc.oneof(fc.integer({ min: 1400, max: 9000 }), fc.constantFrom(65_535, 65_000)),
    order: fc.array(fc.nat(), { minLength: 1, maxLength: 50 }),
    doubled: fc.boolean(),
  })
  holds(
    t,
    'in any order, with duplicates',
    fc.property(script, ({ length, order, doubled }) => {
      const payload = pattern(length, length)
      assert.equal(from.sink.send('fd00::1', payload), true)
      assert.ok(from.wire.sent.every((octets) => octets.length <= 1500))
      carry(from, to, (pieces) => {
        const keyed = pieces.map((octets, i) => ({ octets, key: (order[i % order.length] as number) ^ i }))
        const shuffled = keyed.sort((a, b) => a.key - b.key).map(({ octets }) => octets)
        return doubled && shuffled.length > 1 ? [shuffled[0] as Uint8Array, ...shuffled] : shuffled
      })
      assert.deepEqual(to.sink.got.pop()?.octets, payload)
      assert.equal(to.sink.got.length, 0)
    }),
    { numRuns: 60 },
  )
  await from.sim.close()
  await to.sim.close()
  t.equal(packetsInUse(), before)
})

bare('headers before the fragment header are those of the first fragment', async (t, { wire, sink }) => {
  const first = extension(FRAGMENT, [0x1e, 1, 5])
  const other = extension(FRAGMENT, [0x1e, 4, 5, 5, 5, 5, 0x1e, 1, 1])
  wire.inject(fragment({ offset: 24, octets: pattern(10), more: false, before: other }))
  wire.inject(fragment({ offset: 0, octets: pattern(24), more: true, before: first }))
  t.strictSame(
    sink.got.map(({ octets }) => octets),
    [Uint8Array.from([...pattern(24), ...pattern(10)])],
  )
})

bare('every overlap ends the packet, and what still comes of it', async (t, { network, wire, sink, sim }) => {
  for (const [name, offset, length, more] of [
    ['the middle of the first', 8, 8, true],
    ['the end of the first and the gap', 16, 24, true],
    ['the gap and the beginning of the last', 40, 16, true],
    ['all of the last, and beyond', 48, 24, false],
    ['the same place, other octets', 0, 24, true],
    ['all but the beginning', 8, 56, false],
    ['an end before what is there', 24, 8, false],
    ['beyond the end', 80, 8, true],
  ] as const) {
    wire.inject(fragment({ offset: 0, octets: pattern(24), more: true }))
    wire.inject(fragment({ offset: 48, octets: pattern(16), more: false }))
    const other = fragment({ offset, octets: pattern(length, 99), more })
    t.strictSame(
      newDrops(network, () => wire.inject(other)),
      ['fragmentOverlap'],
      name,
    )
    wire.inject(fragment({ offset: 24, octets: pattern(24), more: true }))
    t.strictSame(sink.got, [], 'what would have completed it does not')
    await sim.run(seconds(61))
  }
  t.equal(packetsInUse(), 0)
})

bare('a copy is only dropped', async (t, { network, wire, sink }) => {
  const first = fragment({ offset: 0, octets: pattern(24), more: true })
  wire.inject(first)
  t.strictSame(
    newDrops(network, () => wire.inject(first)),
    ['fragmentDuplicate'],
  )
  wire.inject(fragment({ offset: 24, octets: pattern(1), more: false }))
  t.equal(sink.got.length, 1)
})

bare('a packet that says it is all its fragments stands alone (RFC 6946)', async (t, { wire, sink }) => {
  wire.inject(fragment({ offset: 0, octets: pattern(24), more: true }))
  wire.inject(fragment({ offset: 0, octets: pattern(9, 5), more: false }))
  wire.inject(fragment({ offset: 0, octets: pattern(9, 6), more: false, before: extension(FRAGMENT, []) }))
  t.strictSame(
    sink.got.map(({ octets }) => octets),
    [pattern(9, 5), pattern(9, 6)],
  )
  wire.inject(fragment({ offset: 24, octets: pattern(8), more: false }))
  t.equal(sink.got.length, 3, 'the other one is not disturbed')
})

bare('fragments that cannot be', async (t, { network, wire }) => {
  const nested = Uint8Array.from([...fragmentHeader(PROBE, 0, true, 3), ...pattern(16)])
  for (const [reason, answer, piece] of [
    ['badFragment', '4 0 4', { offset: 0, octets: pattern(12), more: true }],
    ['badFragment', '4 0 42', { offset: 65_528, octets: pattern(24), more: false }],
    ['badFragment', undefined, { offset: 8, octets: pattern(0), more: true }],
    ['tinyFragment', '4 3 0', { offset: 0, octets: pattern(16), more: true, next: 6 }],
    [
      'tinyFragment',
      '4 3 0',
      { offset: 0, octets: Uint8Array.from(extension(PROBE, [])), more: true, next: DESTINATION },
    ],
    ['nestedFragment', undefined, { offset: 0, octets: nested, more: false, next: FRAGMENT }],
  ] as const) {
    const before = wire.sent.length
    t.strictSame(
      newDrops(network, () => wire.inject(fragment(piece))),
      [reason],
    )
    t.equal(told(wire.sent[before]), answer, `${reason}: what its sender is told`)
  }
  t.strictSame(
    newDrops(network, () => wire.inject(packet({ next: FRAGMENT, payload: pattern(7) }))),
    ['truncatedChain'],
  )
})

bare(
  'a first fragment with more headers than the others must leave room for the whole',
  async (t, { network, wire }) => {
    for (const [last, fits] of [
      [24, false],
      [23, true],
    ] as const) {
      for (let i = 0; i < 4; i++) {
        const before = i === 0 ? extension(FRAGMENT, []) : []
        wire.inject(fragment({ offset: i * 16_376, octets: pattern(16_376), more: true, before, id: last }))
      }
      const reasons = newDrops(network, () =>
        wire.inject(fragment({ offset: 65_504, octets: pattern(last), more: false, id: last })),
      )
      t.strictSame(reasons, fits ? [] : ['badFragment'])
    }
  },
)

bare('time runs out, and whoever sent the first fragment is told', async (t, { network, wire, sim }) => {
  wire.inject(fragment({ offset: 8, octets: pattern(8), more: true, id: 1 }))
  wire.inject(fragment({ offset: 0, octets: pattern(24), more: true, id: 2 }))
  wire.inject(fragment({ offset: 48, octets: pattern(24), more: true, id: 2 }))
  await sim.run(seconds(59))
  t.equal(sentOn(wire).length, 0)
  await sim.run(seconds(2))
  t.strictSame(sentOn(wire).map(told), ['3 1 0'])
  t.equal(network.boundary.drops.get('reassemblyTimeout'), 3)
})

bare(
  'memory is bounded, for all and for one source',
  async (t, { network, wire }) => {
    for (let id = 0; id < 40; id++) wire.inject(fragment({ offset: 0, octets: pattern(8), more: true, id }))
    t.equal(network.boundary.drops.get('reassemblyMemory'), 35, 'five of one source')
    for (let i = 0; i < 100; i++) {
      wire.inject(fragment({ offset: 0, octets: pattern(8), more: true, source: `fd00::${(i + 16).toString(16)}` }))
      t.ok(packetsInUse() <= 20)
    }
  },
  { reassembly: { octets: 2048 * 40, datagrams: 20 } },
)
