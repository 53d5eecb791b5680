/** The two implementations behind `#crc32` agree with each other, with an independent one, and with known values. */

import oracle from 'crc/calculators/crc32'
import fc from 'fast-check'
import t from 'tap'
import { crc32 as chosen } from '#crc32'
import { crc32 as native } from '../../../layers/datalink/crc32/node.ts'
import { crc32 as portable } from '../../../layers/datalink/crc32/portable.ts'
import { holds } from '../../property.ts'

const implementations = { native, portable, chosen }

for (const [name, crc32] of Object.entries(implementations)) {
  t.test(name, async (t) => {
    t.equal(crc32(new TextEncoder().encode('123456789')), 0xcbf43926, 'the check value of CRC-32')
    t.equal(crc32(new Uint8Array(0)), 0, 'of nothing')
    t.equal(crc32(new Uint8Array(4)), 0x2144df1c, 'leading zeros count')

    holds(
      t,
      'the crc package agrees on any octets',
      fc.property(fc.uint8Array({ maxLength: 2000 }), (octets) => {
        // biome-ignore lint/suspicious/noExplicitAny: the package's types ask for a Node Buffer where it takes any octets
        return crc32(octets) === oracle(octets as any) >>> 0
      }),
    )

    holds(
      t,
      'goes on where it stopped',
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.uint8Array({ maxLength: 200 }), (a, b) => {
        const joined = new Uint8Array([...a, ...b])
        return crc32(b, crc32(a)) === crc32(joined)
      }),
    )

    holds(
      t,
      'the residue of data and its FCS is constant',
      fc.property(fc.uint8Array({ maxLength: 200 }), (octets) => {
        const fcs = crc32(octets)
        const sent = new Uint8Array([...octets, fcs & 255, (fcs >>> 8) & 255, (fcs >>> 16) & 255, fcs >>> 24])
        return crc32(sent) === 0x2144df1c
      }),
    )
  })
}
