import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { AX25, parametersOf } from '../../../../layers/datalink/hdlc/abm/variant.ts'
import { agree, decodeXid, encodeXid, type XidAgreement, xidOf } from '../../../../layers/datalink/hdlc/xid.ts'
import { ms, seconds } from '../../../../src/kernel/clock.ts'
import { holds } from '../../../property.ts'

/** The example that AX.25 v2.2 prints in §4.3.3.7. */
const PRINTED = Uint8Array.of(
  ...[0x82, 0x80, 0x00, 0x17, 0x02, 0x02, 0x21, 0x00, 0x03, 0x03, 0x86, 0xa8, 0x02],
  ...[0x06, 0x02, 0x04, 0x00, 0x08, 0x01, 0x02, 0x09, 0x02, 0x10, 0x00, 0x0a, 0x01, 0x03],
)
const EXAMPLE: XidAgreement = {
  halfDuplex: true,
  modulus: 128,
  recovery: 'srej',
  segments: false,
  n1: 128,
  k: 2,
  t1: ms(4096),
  n2: 3,
}

t.test('the example of the standard', async (t) => {
  t.strictSame(decodeXid(PRINTED), EXAMPLE)
  t.strictSame(encodeXid(EXAMPLE), PRINTED)
})

t.test('what direwolf 1.6 answers: lists in SREJ, and no bit for SREJ itself', async (t) => {
  const answer = Buffer.from('8280001702022100030380a82206021f4008013f090207d00a0114', 'hex')
  const { recovery, k, n1, halfDuplex } = decodeXid(answer) ?? {}
  t.strictSame([recovery, k, n1, halfDuplex], ['multi-srej', 63, 1000, true])
})

t.test('what nobody knows is passed over, and what is cut off is none', async (t) => {
  t.strictSame(decodeXid(Uint8Array.of(0x82, 0x80, 0, 0)), {})
  t.strictSame(decodeXid(Uint8Array.of(0x82, 0x40, 0, 2, 9, 9, 0x80, 0, 6, 0x77, 1, 5, 8, 1, 9, 0xff, 1)), { k: 9 })
  t.strictSame(decodeXid(Uint8Array.of(0x82, 0x80, 0, 5, 8, 1, 0, 6, 0)), {}, 'a window of 0, a length of nothing')
  t.equal(decodeXid(Uint8Array.of(0x81, 3, 0x40, 0)), undefined, 'the format of LLC')
  for (let n = 0; n < PRINTED.length; n++) t.equal(decodeXid(PRINTED.subarray(0, n)), undefined, `${n} octets of it`)
  t.equal(decodeXid(Uint8Array.of(0x82, 0x80, 0, 3, 8, 2, 1)), undefined, 'a value longer than its group')
})

const parameters: fc.Arbitrary<XidAgreement> = fc.record(
  {
    halfDuplex: fc.boolean(),
    modulus: fc.constantFrom(8 as const, 128 as const),
    recovery: fc.constantFrom('rej' as const, 'srej' as const, 'multi-srej' as const),
    segments: fc.boolean(),
    n1: fc.integer({ min: 1, max: 8191 }),
    k: fc.integer({ min: 1, max: 7 }),
    t1: fc.integer({ min: 1, max: 65_535 }).map(ms),
    n2: fc.integer({ min: 1, max: 255 }),
  },
  { noNullPrototype: true },
)

t.test('properties', async (t) => {
  holds(
    t,
    'there and back',
    fc.property(parameters, (told) => assert.deepEqual(decodeXid(encodeXid(told)), told)),
  )
  holds(
    t,
    'any octets',
    fc.property(fc.uint8Array({ maxLength: 40 }), (octets) => void decodeXid(Uint8Array.of(0x82, 0x80, 0, ...octets))),
  )
  holds(
    t,
    'both ends agree on the same',
    fc.property(parameters, parameters, (a, b) => assert.deepEqual(agree(a, b), agree(b, a))),
  )
})

t.test('what is agreed on', async (t) => {
  const ours = xidOf(parametersOf(AX25, { modulus: 128, recovery: 'multi-srej', k: 32, n1: 256, t1: seconds(3) }), true)
  t.strictSame(agree(ours, {}), ours, 'a peer that tells nothing')
  t.strictSame(agree(ours, EXAMPLE), { ...EXAMPLE, halfDuplex: true, n2: 10 })
  const { k, modulus } = agree(ours, { modulus: 8 })
  t.strictSame([modulus, k], [8, 7], 'no more frames than can be told apart')
})
