/** Any octets from a neighbour: nothing is thrown, what is kept stays within its bounds, and good neighbours keep their routes. */
import { deepStrictEqual, ok } from 'node:assert'
import fc from 'fast-check'
import t from 'tap'
import { ms } from '../../../../../src/kernel/clock.ts'
import { holds } from '../../../../property.ts'
import { Peer, Stand } from './pair.ts'

const NET = 'fd00:5::/64'
/** TLVs that are nearly right: known types, lengths that nearly fit, and octets that mean something somewhere. */
const octet = fc.oneof(fc.constantFrom(0, 1, 2, 3, 4, 8, 64, 128, 0xc0, 255), fc.integer({ min: 0, max: 255 }))
const tlv = fc
  .tuple(fc.integer({ min: 0, max: 20 }), fc.array(octet, { maxLength: 30 }), fc.integer({ min: -1, max: 1 }))
  .map(([type, value, off]) => [type, Math.max(0, value.length + off), ...value])
const packet = fc.array(tlv, { maxLength: 12 }).map((tlvs) => {
  const body = tlvs.flat()
  return Uint8Array.of(42, 2, body.length >> 8, body.length, ...body)
})

t.test('a neighbour that says anything', async (t) => {
  holds(
    t,
    'is bounded, and harms nobody else',
    fc.property(fc.array(fc.tuple(packet, fc.boolean()), { minLength: 1, maxLength: 30 }), (said) => {
      const stand = new Stand({ destinations: 20, routesPerNeighbour: 10, neighbours: 4 })
      const [good, bad] = [new Peer(0, 2).meet(stand), new Peer(1, 3).meet(stand)]
      good.update(stand, NET, 0, 1, 9)
      for (const [octets, known] of said) {
        stand.hearOctets(known ? bad : new Peer(1, 4), octets)
        stand.run(ms(20))
      }
      const { all } = stand.babel.table.destinations
      ok(all.length <= 20)
      for (const { neighbours } of stand.links) {
        ok(neighbours.length <= 4)
        for (const { routeCount } of neighbours) ok(routeCount <= 10)
      }
      deepStrictEqual(stand.way(NET), 'fe80::2 96')
      // What it made us say is right.
      ok(!stand.said.some((line) => line.includes('FAULT')))
    }),
    { numRuns: 300 },
  )
})
