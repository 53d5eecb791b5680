import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { below, fraction, type Random, SeededRandom } from '../../src/kernel/random.ts'
import { holds } from '../property.ts'

const draw = (random: Random, n: number) => Array.from({ length: n }, () => random.uint32())

t.test('xoshiro128** 1.1: what the reference implementation puts out', async (t) => {
  t.same(
    draw(new SeededRandom([1, 2, 3, 4]), 12),
    [
      11520, 0, 5927040, 70819200, 2031721883, 1637235492, 1287239034, 3734860849, 3729100597, 4258142804, 337829053,
      2142557243,
    ],
  )
  t.same(
    draw(new SeededRandom([0x964d_4a0c, 0xd40a_b895, 0xad7f_decb, 0x3006_f0f0]), 4),
    [0xf139_1922, 0x6fe5_3806, 0xa5be_2840, 0xf510_ee70],
    'words past 2^31 too',
  )
})

t.test('the one state that would never leave zero is not taken', async (t) => {
  t.ok(draw(new SeededRandom([0, 0, 0, 0]), 10).some((word) => word !== 0))
})

t.test('octets are newly allocated, and each is of a word of its own', async (t) => {
  const random = new SeededRandom([1, 2, 3, 4])
  t.same(
    [...random.octets(6)],
    [11520, 0, 5927040, 70819200, 2031721883, 1637235492].map((word) => word >>> 24),
  )
  t.not(random.octets(4).buffer, random.octets(4).buffer)
  t.equal(random.octets(0).length, 0)
})

t.test('fractions and integers stay in their ranges', async (t) => {
  const always = (word: number): Random => ({ uint32: () => word, octets: (n) => new Uint8Array(n) })
  t.equal(fraction(always(0)), 0)
  t.ok(fraction(always(0xffff_ffff)) < 1)
  holds(
    t,
    'below n',
    fc.property(fc.integer({ min: 1, max: 2 ** 32 }), fc.integer({ min: 0, max: 0xffff_ffff }), (n, word) => {
      const value = below(always(word), n)
      assert.ok(Number.isInteger(value) && value >= 0 && value < n)
    }),
  )
  const random = new SeededRandom([1, 2, 3, 4])
  const counts = new Array<number>(6).fill(0)
  for (let i = 0; i < 60_000; i++) {
    const face = below(random, 6)
    counts[face] = (counts[face] as number) + 1
  }
  for (const count of counts) t.ok(Math.abs(count - 10_000) < 400, `${count} of 10,000 expected`)
})
