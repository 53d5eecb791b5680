/** Messages of RIPv2 and RIPng, octet by octet, and what is refused. */
import t from 'tap'
import { type Codec, Entry, REQUEST, RESPONSE } from '../../../../../layers/middleware/routing/rip/pdu.ts'
import { rip2 } from '../../../../../layers/middleware/routing/rip/rip2.ts'
import { ripng } from '../../../../../layers/middleware/routing/rip/ripng.ts'
import { message } from './pair.ts'

const hex = (octets: Uint8Array): string => Buffer.from(octets).toString('hex')

function read(codec: Codec, text: string, command = RESPONSE): string {
  const octets = Buffer.from(text.replaceAll(' ', ''), 'hex')
  const entry = new Entry()
  const kind = codec.read(new DataView(octets.buffer, octets.byteOffset, octets.length), 0, command, entry)
  if (kind === 'nextHop') return `via ${entry.nextHop}`
  if (kind !== 'route') return kind
  return `${entry.address}/${entry.length} tag ${entry.tag} metric ${entry.metric} via ${entry.nextHop}`
}

t.test('written', async (t) => {
  t.equal(
    hex(message(rip2, RESPONSE, [['10.1.0.0/16', 3, { tag: 5 }]])),
    '02020000' + '0002' + '0005' + '0a010000' + 'ffff0000' + '00000000' + '00000003',
  )
  t.equal(
    hex(message(ripng, RESPONSE, [['fd00:1::/32', 3, { tag: 5 }]])),
    `02010000${'fd000001'}${'00000000'.repeat(3)}${'0005'}${'20'}${'03'}`,
  )
  const octets = new Uint8Array(20).fill(9)
  for (const codec of [rip2, ripng]) {
    codec.writeEverything(new DataView(octets.buffer), 0)
    t.equal(hex(octets), `${'00'.repeat(19)}10`, `everything, of ${codec.name}`)
    t.equal(read(codec, hex(octets), REQUEST), 'everything')
  }
})

t.test('read', async (t) => {
  t.equal(read(rip2, '0002 0007 0a010000 ffff0000 0a000005 00000010'), '10.1.0.0/16 tag 7 metric 16 via 10.0.0.5')
  t.match(read(rip2, '0002 0000 00000000 00000000 00000000 00000001'), /^0\.0\.0\.0\/0 /, 'the default route')
  t.match(read(rip2, '0002 0000 0a000001 ffffffff 00000000 00000001'), /^10\.0\.0\.1\/32 /, 'a host')
  t.equal(read(ripng, `fd000001 ${'0'.repeat(24)} 0007 20 0f`), 'fd00:1::/32 tag 7 metric 15 via 0.0.0.0')
  t.match(
    read(ripng, `fd000001 ffffffff ${'f'.repeat(16)} 0000 21 01`),
    /^fd00:1:8000::\/33 /,
    'bits beyond its length are 0',
  )
  t.match(read(ripng, `${'0'.repeat(32)} 0000 00 10`), /^::\/0 .* metric 16/, 'the default route is taken back')
  t.equal(read(ripng, `fe800000 ${'0'.repeat(16)} 00000005 0000 00 ff`), 'via fe80::5')
})

t.test('refused', async (t) => {
  const tail = '00000000 00000001'
  t.equal(read(rip2, `ffff 0002 0a010000 ffff0000 ${tail}`), 'authenticated')
  t.equal(read(rip2, `0001 0000 0a010000 ffff0000 ${tail}`), 'badFamily')
  t.equal(read(rip2, `0000 0000 00000000 00000000 00000000 00000010`), 'badFamily', 'everything is no route')
  t.equal(read(rip2, `0002 0000 0a010000 ff00ff00 ${tail}`), 'badPrefix', 'a mask with a hole')
  t.equal(read(rip2, `0002 0000 0a010001 ffff0000 ${tail}`), 'badPrefix', 'bits beyond the mask')
  for (const address of ['7f000000', 'e0000000', 'f0000000', '00010000']) {
    t.equal(read(rip2, `0002 0000 ${address} ffff0000 ${tail}`), 'badPrefix', address)
  }
  for (const metric of ['00000000', '00000011', 'ffffffff']) {
    t.equal(read(rip2, `0002 0000 0a010000 ffff0000 00000000 ${metric}`), 'badMetric', metric)
  }
  t.equal(read(ripng, `fd000001 ${'0'.repeat(24)} 0000 81 01`), 'badPrefix', '129 bits')
  for (const address of [
    `fe80${'0'.repeat(28)}`,
    `ff0e${'0'.repeat(28)}`,
    `${'0'.repeat(31)}1`,
    `${'0'.repeat(20)}ffff0a000001`,
  ]) {
    t.equal(read(ripng, `${address} 0000 80 01`), 'badPrefix', address)
  }
  for (const metric of ['00', '11', 'fe'])
    t.equal(read(ripng, `fd000001 ${'0'.repeat(24)} 0000 20 ${metric}`), 'badMetric')
})
