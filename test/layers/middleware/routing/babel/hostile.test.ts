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
/** And some that are right, but for a prefix, a router or a number that changes all the time. */
const valid = fc
  .tuple(fc.constantFrom('hello', 'ihu', 'router', 'update', 'request', 'all'), fc.integer({ min: 0, max: 255 }))
  .map(([kind, n]): number[] => {
    if (kind === 'hello') return [4, 6, 0, 0, 0, n, 1, 144]
    if (kind === 'ihu') return [5, 6, 0, 0, 0, n, 1, 144]
    if (kind === 'router') return [6, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, n]
    if (kind === 'update') return [8, 13, 2, 0, 24, 0, 1, 144, 0, n & 3, 0, n, 0xfd, 1, n]
    if (kind === 'request') return [10, 17, 2, 24, 0, n, 9, 0, 0, 0, 0, 0, 0, 0, 0, n, 0xfd, 1, n]
    return [9, 2, 0, 0]
  })
const packet = fc.array(fc.oneof(valid, valid, valid, tlv), { maxLength: 40, size: 'max' }).map((tlvs) => {
  const body = tlvs.flat()
  return Uint8Array.of(42, 2, body.length >> 8, body.length, ...body)
})

t.test('a neighbour that says anything', async (t) => {
  holds(
    t,
    'is bounded, and harms nobody else',
    fc.property(
      fc.array(fc.tuple(packet, fc.integer({ min: 3, max: 10 })), { minLength: 1, maxLength: 30, size: 'max' }),
      (said) => {
        const stand = new Stand({ destinations: 20, routesPerNeighbour: 10, neighbours: 4 })
        const [good, bad] = [new Peer(0, 2).meet(stand), new Peer(1, 3).meet(stand)]
        good.update(stand, NET, 0, 1, 9)
        for (const [octets, who] of said) {
          stand.hearOctets(who < 7 ? bad : new Peer(1, who), octets)
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
      },
    ),
    { numRuns: 200 },
  )
})
