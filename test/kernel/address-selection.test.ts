/** Sources and destinations by RFC 6724: the examples of its §10, and what must hold of any order. */
import assert from 'node:assert'
import fc from 'fast-check'
import t from 'tap'
import { IpAddress, parseAddress, parsePrefix } from '../../src/kernel/address.ts'
import {
  commonPrefix,
  isBetterSource,
  labelOf,
  orderDestinations,
  precedenceOf,
  type SourceCandidate,
  scopeOf,
} from '../../src/kernel/address-selection.ts'
import { holds } from '../property.ts'

/** '2001:db8::1/64 deprecated @2': an address of the link 1 unless another is named. */
function candidate(text: string): SourceCandidate {
  const [prefix = '', ...words] = text.split(' ')
  const { address, length } = parsePrefix(prefix)
  const link = words.find((word) => word.startsWith('@'))?.slice(1) ?? '1'
  return {
    address,
    length: address.isIpv4 ? 96 + length : length,
    deprecated: words.includes('deprecated'),
    link: Number(link),
  }
}

t.test('scopes, labels, precedences', async (t) => {
  for (const [text, scope, label, precedence] of [
    ['::1', 2, 0, 50],
    ['::', 14, 3, 1],
    ['fe80::1', 2, 1, 40],
    ['febf::1', 2, 1, 40],
    ['fec0::1', 5, 11, 1],
    ['fd00::1', 14, 13, 3],
    ['2001:db8::1', 14, 1, 40],
    ['2001::1', 14, 5, 5],
    ['2002:c633:6401::1', 14, 2, 30],
    ['3ffe::1', 14, 12, 1],
    ['::192.0.2.1', 14, 3, 1],
    ['192.0.2.1', 14, 4, 35],
    ['169.254.1.1', 2, 4, 35],
    ['127.0.0.1', 2, 4, 35],
    ['10.0.0.1', 14, 4, 35],
    ['ff02::1', 2, 1, 40],
    ['ff05::1', 5, 1, 40],
    ['ff0e::1', 14, 1, 40],
  ] as const) {
    const address = parseAddress(text)
    t.strictSame([scopeOf(address), labelOf(address), precedenceOf(address)], [scope, label, precedence], text)
  }
})

t.test('the bits that two addresses share', async (t) => {
  for (const [a, b, bits] of [
    ['::', '8000::', 0],
    ['2001:db8::', '2001:db8:8000::', 32],
    ['fd00::1', 'fd00::', 127],
    ['fd00:0:0:1::', 'fd00::', 63],
    ['fd00::1:0:0:0', 'fd00::', 79],
    ['fd00::', 'fd00::', 128],
  ] as const) {
    t.equal(commonPrefix(parseAddress(a), parseAddress(b)), bits, `${a} ${b}`)
  }
})

/** The first of those than which none is better. */
function bestSource(
  all: readonly SourceCandidate[],
  destination: IpAddress,
  link: number,
): SourceCandidate | undefined {
  return all
    .slice(1)
    .reduce((best, one) => (isBetterSource(one, best as SourceCandidate, destination, link) ? one : best), all[0])
}

t.test('the source to send from (RFC 6724 §5, §10.1)', async (t) => {
  for (const [rule, destination, link, best, ...others] of [
    ['1: the destination itself', '2001:db8::1', 1, '2001:db8::1/64 deprecated', '2001:db8::2/64'],
    ['2: a scope that suffices', '2001:db8:1::1', 1, '2001:db8:3::1/64', 'fe80::1/64'],
    ['2: the least that suffices', 'ff05::1', 1, '2001:db8:3::1/64', 'fe80::1/64'],
    ['2: link-local to link-local', 'fe80::5', 1, 'fe80::1/64', '2001:db8::1/64'],
    ['2: rather a scope too large than one too small', 'fec0::5', 1, '2001:db8::1/64', 'fe80::1/64'],
    ['3: not deprecated', '2001:db8:1::1', 1, '2001:db8:3::2/64', '2001:db8:1::2/64 deprecated'],
    ['3: yet rather that than too small a scope', '2001:db8:1::1', 1, '2001:db8:1::2/64 deprecated', 'fe80::1/64'],
    ['5: of the link it leaves by', '2001:db8:1::1', 2, '2001:db8:9::2/64 @2', '2001:db8:1::2/64'],
    ['6: of the same label', '2002:c633:6401::1', 1, '2002:c633:6401::d5e3/64', '2001:db8:1::2/64'],
    ['6: of the same label', '2001:db8:1::1', 1, '2001:db8:f::2/64', 'fd00::1/64', '2002:c633:6401::9/64'],
    ['8: the longest prefix', '2001:db8:1::1', 1, '2001:db8:1::2/64', '2001:db8:3::2/64', '2001:db9::1/64'],
    ['8: the prefix, not what is behind it', '2001:db8:1::5', 1, '2001:db8:1::9/64', '2001:db8:1::4/64'],
  ] as const) {
    const wanted = candidate(best)
    const all = [wanted, ...others.map(candidate)]
    t.equal(bestSource(all, parseAddress(destination), link), wanted, rule)
    // The first of equals stays, so the last row holds in its own order alone.
    if (!rule.startsWith('8: the prefix,')) {
      t.equal(bestSource(all.toReversed(), parseAddress(destination), link), wanted, `${rule}, in any order`)
    }
  }
})

t.test('the destination to try first (RFC 6724 §6, §10.2)', async (t) => {
  for (const [rule, ...lines] of [
    ['1: with a way', '2001:db8::1 2001:db8::2/64', '2001:db8::9'],
    ['2: of the scope of its source', '192.0.2.1 192.0.2.7/24', '2001:db8:1::1 fe80::1/64'],
    ['2: the same', '2001:db8:1::1 2001:db8:1::2/64', '198.51.100.121 169.254.13.78/16'],
    ['3: from an address in use', '2001:db8:2::1 2001:db8:2::2/64', '2001:db8:1::1 2001:db8:1::2/64 deprecated'],
    ['5: of the label of its source', '192.0.2.1 192.0.2.7/24', '2002:c633:6401::1 2001:db8::2/64'],
    ['6: by precedence', '2001:db8:1::1 2001:db8:1::2/64', '10.1.2.3 10.1.2.4/24'],
    ['6: by precedence', '2001:db8:1::1 2001:db8:1::2/64', '2002:c633:6401::1 2002:c633:6401::2/64'],
    ['8: the smaller scope', 'fe80::1 fe80::2/64', '2001:db8:1::1 2001:db8:1::2/64'],
    ['9: nearer to its source', '2001:db8:1::1 2001:db8:1::2/64', '2001:db8:3ffe::1 2001:db8:3f44::2/64'],
    ['10: as they came', '2001:db8:1::1 2001:db8:1::9/64', '2001:db8:1::2 2001:db8:1::9/64'],
  ] as const) {
    const all = lines.map((text) => {
      const [address = '', ...source] = text.split(' ')
      return { address: parseAddress(address), source: source.length > 0 ? candidate(source.join(' ')) : undefined }
    })
    const wanted = all.map(({ address }) => `${address}`)
    const order = (list: typeof all) => orderDestinations(list).map(({ address }) => `${address}`)
    t.strictSame(order(all), wanted, rule)
    if (!rule.startsWith('10')) t.strictSame(order(all.toReversed()), wanted, `${rule}, in any order`)
  }
})

const word = fc.constantFrom(
  0,
  1,
  0x2001_0db8 | 0,
  0x2002_0000,
  0xfe80_0000 | 0,
  0xfd00_0000 | 0,
  0xffff,
  0xfec0_0000 | 0,
)
const addresses = fc.tuple(word, word, word, word).map((words) => new IpAddress(...words))
const candidates = fc.record({
  address: addresses,
  length: fc.constantFrom(10, 64, 128),
  deprecated: fc.boolean(),
  link: fc.constantFrom(1, 2),
})

holds(
  t,
  'no source is better than another that is better than it, or than one that beats it',
  fc.property(candidates, candidates, candidates, addresses, (a, b, c, destination) => {
    const better = (x: SourceCandidate, y: SourceCandidate) => isBetterSource(x, y, destination, 1)
    assert.ok(!better(a, a))
    assert.ok(!(better(a, b) && better(b, a)))
    if (better(a, b) && better(b, c)) assert.ok(better(a, c))
  }),
  { numRuns: 5000 },
)
