import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import fc from 'fast-check'
import t from 'tap'
import { build } from '../../scripts/build-checksum.ts'
import { IpAddress } from '../../src/kernel/address.ts'
import {
  adjust,
  checksum,
  copyAndSum,
  fold,
  portableEngine,
  pseudoHeaderIpv4,
  pseudoHeaderIpv6,
  simdEngine,
  sum,
  sumOctets,
  sumView,
} from '../../src/kernel/checksum.ts'
import { slab } from '../../src/kernel/slab.ts'
import { holds } from '../property.ts'

const { octets, view } = slab()
const RUN = slab().takePages(40)
const COPY = slab().takePages(40)
const BIG = 40 * 65_536

/** The definition, in exact arithmetic: big-endian words modulo 2^16 - 1, where 0 stands for itself only when all is 0. */
function defined(data: Uint8Array, partial: number): number {
  let total = BigInt(partial)
  for (let i = 0; i < data.length; i++) total += BigInt(data[i] as number) << (i & 1 ? 0n : 8n)
  return total === 0n ? 0 : Number(((total - 1n) % 0xffffn) + 1n)
}

t.test('the examples of the standards', async (t) => {
  // RFC 1071 §3: 0001 f203 f4f5 f6f7 sum to ddf2 with the carries folded in.
  const data = Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7)
  t.equal(fold(sumOctets(data, 0, 8, 0)), 0xddf2)
  octets.set(data, RUN)
  t.equal(fold(sum(RUN, 8, 0)), 0xddf2)
  t.equal(checksum(RUN, 8), 0x220d)
  // A run with its own checksum in it comes out as 0.
  view.setUint16(RUN + 8, 0x220d)
  t.equal(checksum(RUN, 10), 0)
})

t.test('the module is the one that checksum.wat builds', async (t) => {
  const source = await readFile(new URL('../../src/kernel/checksum.wat', import.meta.url), 'utf8')
  const built = await readFile(new URL('../../src/kernel/checksum-wasm.ts', import.meta.url), 'utf8')
  t.equal(await build(source), built)
})

const simd = simdEngine(slab())
t.ok(simd, 'WebAssembly SIMD is there, so the tests below compare it')
const engines = { simd: simd ?? portableEngine(slab()), portable: portableEngine(slab()) }

const partials = fc.oneof(
  fc.constantFrom(0, 1, 0xffff, 0x1_0000, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe, 0xffff_ffff),
  fc.integer({ min: 0, max: 0xffff_ffff }),
)
const runs = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  fc.uint8Array({ maxLength: 2000 }),
  fc.integer({ min: 0, max: 1600 }).map((n) => new Uint8Array(n).fill(0xff)),
  fc.integer({ min: 0, max: 1600 }).map((n) => new Uint8Array(n)),
)

t.test('every way to sum agrees with the definition, at any alignment, length and partial sum', async (t) => {
  holds(
    t,
    'every engine',
    fc.property(runs, fc.nat(70), partials, (data, shift, partial) => {
      const at = RUN + shift
      octets.fill(0xa5, RUN, RUN + 2200) // what is around the run must not count
      octets.set(data, at)
      const expected = defined(data, partial)
      assert.equal(fold(sum(at, data.length, partial)), expected)
      assert.equal(sumOctets(octets, at, data.length, partial), expected)
      assert.equal(sumView(view, at, data.length, partial), expected)
      for (const engine of Object.values(engines)) assert.equal(fold(engine.sum(at, data.length, partial)), expected)
    }),
    { numRuns: 500 },
  )
})

t.test('copying on the way gives the same sum and exactly the same octets', async (t) => {
  holds(
    t,
    'same sum, same octets',
    fc.property(runs, fc.nat(70), fc.nat(70), partials, (data, shift, toShift, partial) => {
      const expected = defined(data, partial)
      octets.set(data, RUN + shift)
      for (const copy of [copyAndSum, engines.simd.copyAndSum, engines.portable.copyAndSum]) {
        octets.fill(0xa5, COPY, COPY + 2200)
        assert.equal(fold(copy(RUN + shift, COPY + toShift, data.length, partial)), expected)
        const end = toShift + data.length
        assert.ok(
          octets.subarray(COPY, COPY + toShift).every((octet) => octet === 0xa5),
          'nothing before',
        )
        assert.equal(Buffer.compare(octets.subarray(COPY + toShift, COPY + end), data), 0)
        assert.ok(
          octets.subarray(COPY + end, COPY + 2200).every((octet) => octet === 0xa5),
          'nothing after',
        )
      }
    }),
    { numRuns: 200 },
  )
})

t.test('runs so long that lanes of 32 bits would overflow', async (t) => {
  octets.fill(0xff, RUN, RUN + BIG)
  for (const length of [32_767, 32_768, 32_769, 65_535, 0x40000, 0x40001, 0x40000 + 63, 0x40000 + 65, BIG]) {
    const expected = defined(octets.subarray(RUN, RUN + length), 0xffff_ffff)
    t.equal(sum(RUN, length, 0xffff_ffff), expected, `${length} octets`)
    t.equal(engines.portable.sum(RUN, length, 0xffff_ffff), expected, `${length} octets, portable`)
    t.equal(copyAndSum(RUN, COPY, length, 0xffff_ffff), expected, `${length} octets, copied`)
  }
})

t.test('a sum may be carried on over runs of even lengths', async (t) => {
  holds(
    t,
    'whole or in two runs',
    fc.property(fc.uint8Array({ minLength: 2, maxLength: 400 }), fc.nat(199), partials, (data, at, partial) => {
      const cut = Math.min(at, data.length >> 1) * 2
      octets.set(data, RUN)
      const whole = fold(sum(RUN, data.length, partial))
      assert.equal(fold(sum(RUN + cut, data.length - cut, sum(RUN, cut, partial))), whole)
      assert.equal(fold(sumOctets(octets, RUN + cut, data.length - cut, sumOctets(octets, RUN, cut, partial))), whole)
    }),
  )
})

t.test('fold takes every partial sum to 16 bits', async (t) => {
  t.equal(fold(0), 0)
  t.equal(fold(0xffff), 0xffff)
  t.equal(fold(0x1_0000), 1)
  t.equal(fold(0xffff_ffff), 0xffff)
  t.equal(fold(0xffff_0001), 1, 'two carries in a row')
})

t.test('the pseudo-header', async (t) => {
  // The words of 192.0.2.1, 198.51.100.2, protocol 6, 20 octets.
  const expected = 0xc000 + 0x0201 + 0xc633 + 0x6402 + 6 + 20
  t.equal(pseudoHeaderIpv4(0xc000_0201 | 0, 0xc633_6402 | 0, 6, 20), expected)
  t.equal(pseudoHeaderIpv4(-1, -1, 255, 65_535), 4 * 0xffff + 255 + 65_535, 'below 2^32 at its largest')
  // RFC 8200 §8.1: 2001:db8::1, fe80::2:3, an ICMPv6 message of 0x1_0004 octets.
  const source = new IpAddress(0x2001_0db8, 0, 0, 1)
  const destination = new IpAddress(0xfe80_0000, 0, 0, 0x0002_0003)
  const words = 0x2001 + 0x0db8 + 1 + 0xfe80 + 2 + 3 + 1 + 4 + 58
  t.equal(pseudoHeaderIpv6(source, destination, 58, 0x1_0004), words)
})

t.test('adjust gives what summing again would (RFC 1624)', async (t) => {
  // The standard's example (§4): checksum dd2f, a word of 5555 becomes 3285, the new checksum is 0000.
  t.equal(adjust(0xdd2f, 0x5555, 0x3285), 0x0000)
  holds(
    t,
    'adjusted or summed again',
    fc.property(
      fc.uint8Array({ minLength: 20, maxLength: 20 }),
      fc.nat(9),
      fc.integer({ min: 0, max: 0xffff }),
      (data, word, to) => {
        data[0] = 0x45 // a header is never all zeros; there the two zeros of the arithmetic would differ
        octets.set(data, RUN)
        const old = checksum(RUN, 20)
        const from = view.getUint16(RUN + 2 * word)
        if (word === 0) return
        view.setUint16(RUN + 2 * word, to)
        assert.equal(adjust(old, from, to), checksum(RUN, 20))
      },
    ),
  )
})
