import crc16 from 'crc/calculators/crc16'
import crc16kermit from 'crc/calculators/crc16kermit'
import fc from 'fast-check'
import t from 'tap'
import { crc16Arc, FCS16_GOOD, fcs16 } from '../../../layers/datalink/fcs.ts'

const DIGITS = new TextEncoder().encode('123456789')
const view = (octets: Uint8Array): DataView => new DataView(octets.buffer, octets.byteOffset, octets.byteLength)

t.test('the check values of the catalogues', async (t) => {
  t.equal(fcs16(view(DIGITS), 0, 9) ^ 0xffff, 0x906e, 'CRC-16/X-25')
  t.equal(crc16Arc(view(DIGITS), 0, 9), 0xbb3d, 'CRC-16/ARC')
  t.equal(fcs16(view(DIGITS), 4, 4), 0xffff, 'of nothing')
})

t.test('property: as the package crc computes them, of any part', async (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), fc.nat(20), (octets, skip) => {
      const start = Math.min(skip, octets.length)
      const part = octets.subarray(start)
      return (
        fcs16(view(octets), start, octets.length) === crc16kermit(part, 0xffff) &&
        crc16Arc(view(octets), start, octets.length) === crc16(part)
      )
    }),
  )
  t.pass()
})

t.test('property: a frame with its FCS leaves the good remainder', async (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), (octets) => {
      const fcs = fcs16(view(octets), 0, octets.length) ^ 0xffff
      const frame = Uint8Array.of(...octets, fcs & 0xff, fcs >> 8)
      return fcs16(view(frame), 0, frame.length) === FCS16_GOOD
    }),
  )
  t.pass()
})
