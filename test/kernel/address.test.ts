import assert from 'node:assert/strict'
import { isIPv4, isIPv6 } from 'node:net'
import fc from 'fast-check'
import t from 'tap'
import {
  formatIpv4,
  formatMac,
  formatScoped,
  IpAddress,
  maskIpv4,
  parseAddress,
  parseMac,
  parsePrefix,
  splitZone,
  tryParseAddress,
  tryParseIpv4,
} from '../../src/kernel/address.ts'
import { holds } from '../property.ts'

const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
/** Text that is nearly an address. */
const nearly = fc
  .tuple(
    fc.oneof(fc.ipV4(), fc.ipV6()),
    fc.nat(40),
    fc.constantFrom('', '.', ':', '::', '0', 'f', 'g', '%eth0', ' ', '-', '256', '/'),
  )
  .map(([text, at, junk]) => text.slice(0, at) + junk + text.slice(at + (at & 1)))

t.test('IPv4', async (t) => {
  t.equal(tryParseIpv4('10.0.0.1'), 0x0a00_0001)
  t.equal(tryParseIpv4('255.255.255.255'), -1, 'int32')
  t.equal(formatIpv4(-1), '255.255.255.255')
  t.equal(formatIpv4(0xc0a8_0001), '192.168.0.1', 'uint32 too')
  for (const bad of [
    '',
    '1.2.3',
    '1.2.3.4.5',
    '1.2.3.256',
    '01.2.3.4',
    '1.2.3.',
    ' 1.2.3.4',
    '1.2.3.4 ',
    '1e1.2.3.4',
    '1.2.3.-4',
  ]) {
    t.equal(tryParseIpv4(bad), undefined, JSON.stringify(bad))
  }
  holds(
    t,
    'text and back',
    fc.property(int32, (word) => assert.equal(tryParseIpv4(formatIpv4(word)), word)),
  )
})

t.test('IPv6: the canonical text of RFC 5952', async (t) => {
  for (const [text, canonical] of [
    ['::', '::'],
    ['::1', '::1'],
    ['1::', '1::'],
    ['2001:db8::0001', '2001:db8::1'], // §4.1: no leading zeros
    ['2001:0db8:0:0:0:0:2:1', '2001:db8::2:1'], // §4.2.1: as short as can be
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'], // §4.2.2: one group is not shortened
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'], // §4.2.3: the longest run
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'], // §4.2.3: the first of equals
    ['2001:DB8::ABCD', '2001:db8::abcd'], // §4.3: lower case
    ['0:0:0:0:0:0:0:0', '::'],
    ['fe80:0:0:0:0:0:0:1', 'fe80::1'],
    ['1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7:8'],
    ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
    ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
    ['::ffff:192.0.2.1', '192.0.2.1'], // RFC 4291 §2.5.5.2: IPv4 itself, here
  ] as const) {
    t.equal(parseAddress(text).toString(), canonical, text)
  }
  for (const bad of [
    ':',
    ':::',
    '1',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1::2::3',
    '12345::',
    'g::',
    ':1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:',
    '::1.2.3',
    '1.2.3.4::',
    '1:2:3:4:5:6:7:1.2.3.4',
    '::1%eth0',
    '1:2:3:4::5:6:7:8',
    '[::1]',
  ]) {
    t.equal(tryParseAddress(bad), undefined, bad)
  }
})

t.test('any address survives text and back', async (t) => {
  holds(
    t,
    'equal',
    fc.property(
      fc.tuple(...[0, 1, 2, 3].map(() => fc.oneof(int32, fc.constantFrom(0, 1, 0xffff, 0x1_0000)))),
      (words) => {
        const address = new IpAddress(...(words as [number, number, number, number]))
        const text = address.toString()
        assert.ok(address.isIpv4 ? isIPv4(text) : isIPv6(text))
        assert.ok(parseAddress(text).equals(address))
        assert.equal(text, text.toLowerCase())
        assert.ok(!/(^|:)0[0-9a-f]/.test(text), 'no leading zeros')
      },
    ),
    { numRuns: 1000 },
  )
})

t.test('Node agrees on what is an address', async (t) => {
  holds(
    t,
    'same judgement',
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6(), nearly, fc.string({ maxLength: 20 })), (text) => {
      if (text.includes('%')) return // zones are Node's alone
      assert.equal(tryParseAddress(text) !== undefined, isIPv4(text) || isIPv6(text), text)
    }),
    { numRuns: 3000 },
  )
})

t.test('IpAddress', async (t) => {
  const any = new IpAddress()
  t.match(any, { isIpv4: true, isUnspecified: true })
  t.equal(any.toString(), '0.0.0.0')
  t.equal(new IpAddress(0, 0, 0, 0).isUnspecified, true)
  t.equal(new IpAddress(0, 0, 0, 0).isIpv4, false)
  t.equal(parseAddress('::1').isUnspecified, false)
  const scratch = parseAddress('fd00::1')
  const copy = scratch.clone()
  t.equal(scratch.setIpv4(0xc000_0201), scratch)
  t.equal(scratch.toString(), '192.0.2.1')
  t.equal(scratch.w3, 0xc000_0201 | 0, 'words are int32')
  t.equal(copy.toString(), 'fd00::1')
  t.ok(scratch.set(copy).equals(copy))
  t.notOk(IpAddress.ipv4(1).equals(new IpAddress(0, 0, 0, 1)))
  t.equal(new IpAddress(0xffff_ffff, 0, 0, 0).w0, -1)
})

t.test('prefixes', async (t) => {
  for (const [text, address, length] of [
    ['10.0.0.1/24', '10.0.0.1', 24],
    ['0.0.0.0/0', '0.0.0.0', 0],
    ['192.0.2.7', '192.0.2.7', 32],
    ['2001:db8::/32', '2001:db8::', 32],
    ['::1', '::1', 128],
    ['fd00::/128', 'fd00::', 128],
  ] as const) {
    const prefix = parsePrefix(text)
    t.equal(prefix.address.toString(), address)
    t.equal(prefix.length, length)
  }
  for (const bad of [
    '10.0.0.0/33',
    '::/129',
    '10.0.0.0/',
    '10.0.0.0/-1',
    '10.0.0.0/8/8',
    '10.0.0.0/8.5',
    '/8',
    'x/8',
    '10.0.0.0/1e1',
  ]) {
    t.throws(() => parsePrefix(bad), { code: 'ERR_INVALID_ARG_VALUE', name: 'TypeError' }, bad)
  }
  t.throws(() => parsePrefix(7 as unknown as string), { code: 'ERR_INVALID_ARG_VALUE' })
  t.same([0, 1, 8, 24, 31, 32].map(maskIpv4), [0, -(2 ** 31), 0xff00_0000 | 0, 0xffff_ff00 | 0, -2, -1])
})

t.test('what is no address is refused with its name and a model', async (t) => {
  t.throws(() => parseAddress('10.0.0', 'gateway'), {
    name: 'TypeError',
    code: 'ERR_INVALID_ARG_VALUE',
    message: "The argument 'gateway' must be an IP address such as '10.0.0.1'. Received '10.0.0'",
  })
  t.throws(() => parseAddress(undefined as unknown as string), {
    code: 'ERR_INVALID_ARG_VALUE',
    message: /Received undefined/,
  })
})

t.test('MAC addresses', async (t) => {
  t.equal(parseMac('02:00:00:00:00:2a'), 0x0200_0000_002a)
  t.equal(parseMac('FF-FF-FF-FF-FF-FF'), 0xffff_ffff_ffff)
  t.equal(formatMac(0x2a), '00:00:00:00:00:2a')
  for (const bad of [
    '',
    '02:00:00:00:00',
    '02:00:00:00:00:2a:00',
    '2:0:0:0:0:2a',
    '02:00:00:00:00:2g',
    '0200.0000.002a',
  ]) {
    t.throws(() => parseMac(bad), { code: 'ERR_INVALID_ARG_VALUE' }, bad)
  }
  holds(
    t,
    'text and back',
    fc.property(fc.integer({ min: 0, max: 2 ** 48 - 1 }), (mac) => assert.equal(parseMac(formatMac(mac)), mac)),
  )
})

t.test('IPv6 as the URL standard writes it, too', async (t) => {
  holds(
    t,
    'the same text',
    fc.property(fc.ipV6(), (text) => {
      const address = parseAddress(text)
      // URLs know no mapped addresses, and write their groups.
      if (address.isIpv4) return
      assert.equal(`[${address}]`, new URL(`http://[${text}]/`).hostname)
    }),
  )
})

t.test('zones, and what needs one', async (t) => {
  t.same(splitZone('fe80::1%eth0'), ['fe80::1', 'eth0'])
  t.same(splitZone('fe80::1'), ['fe80::1', ''])
  t.same(splitZone('fe80::1%'), ['fe80::1', ''])
  for (const [text, isScoped] of [
    ['fe80::1', true],
    ['febf:ffff::1', true],
    ['fec0::1', false],
    ['fe7f::1', false],
    ['ff02::1', true],
    ['ff12::1', true],
    ['ff01::1', false],
    ['ff05::1', false],
    ['fd00::1', false],
    ['::1', false],
    ['::', false],
    ['169.254.1.1', false],
  ] as const) {
    const address = parseAddress(text)
    t.equal(address.isScoped, isScoped, text)
    t.equal(formatScoped(address, 'eth0'), isScoped ? `${text}%eth0` : text)
    t.equal(formatScoped(address, ''), text)
  }
})
