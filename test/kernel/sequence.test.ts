import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { after, afterOrAt, before, beforeOrAt, distance, earliest, latest } from '../../src/kernel/sequence.ts'
import { holds } from '../property.ts'

const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })

t.test('around the wrap (RFC 9293 §3.4)', async (t) => {
  const last = -1 // 2^32 - 1
  t.equal(distance(0, last), 1)
  t.ok(before(last, 0))
  t.ok(after(0, last))
  t.ok(before(0x7fff_ffff, -0x8000_0000), '2^31 - 1 comes before 2^31')
  t.equal(latest(last, 5), 5)
  t.equal(earliest(last, 5), last)
})

t.test('comparison is by the shorter way round, wherever the two are', async (t) => {
  holds(
    t,
    'shifted comparison',
    fc.property(int32, fc.integer({ min: -(2 ** 31) + 1, max: 2 ** 31 - 1 }), (a, n) => {
      const b = (a + n) | 0
      assert.equal(distance(b, a), n)
      assert.equal(before(a, b), n > 0)
      assert.equal(after(a, b), n < 0)
      assert.equal(beforeOrAt(a, b), n >= 0)
      assert.equal(afterOrAt(a, b), n <= 0)
      assert.equal(latest(a, b), n > 0 ? b : a)
      assert.equal(earliest(a, b), n < 0 ? b : a)
    }),
  )
})
