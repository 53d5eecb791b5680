/** Addresses as Linux has them (ip(7), ipv6(7)), octet by octet. */
import { networkInterfaces } from 'node:os'
import t from 'tap'
import {
  ADDRESS_WORDS,
  SocketAddressReader,
  socketAddress,
} from '../../../layers/physical/udp-tunnel/socket-address.ts'

const SCOPE = 7
const encode = (host: string, port: number): string => {
  const { words, octets } = socketAddress({ host, port }, () => SCOPE)
  return Buffer.from(words.buffer, 0, octets).toString('hex')
}

t.test('as the system takes them', async (t) => {
  t.equal(encode('192.0.2.255', 4789), `0200${'12b5'}${'c00002ff'}${'00'.repeat(8)}`)
  t.equal(encode('2001:db8::1', 65_535), `0a00${'ffff'}${'00000000'}20010db8${'00'.repeat(11)}01${'00000000'}`)
  t.equal(encode('fe80::1%eth9', 1), `0a00${'0001'}${'00000000'}fe80${'00'.repeat(13)}01${'07000000'}`)
})

t.test('as the system gives them, one after the other', async (t) => {
  const reader = new SocketAddressReader()
  const words = new Uint32Array(2 * ADDRESS_WORDS)
  const read = (host: string, port: number): string => {
    words.set(socketAddress({ host, port }, () => SCOPE).words, ADDRESS_WORDS)
    reader.read(words, ADDRESS_WORDS)
    return `${reader.host} ${reader.port}`
  }
  for (const [host, port] of [
    ['127.0.0.1', 4789],
    ['127.0.0.1', 255],
    ['255.255.255.255', 65_535],
    ['::1', 256],
    ['2001:db8::ff00:42:8329', 1],
    ['2001:db8::ff00:42:8329', 2],
    ['127.0.0.1', 2],
    ['::', 2],
    ['0.0.0.0', 2],
  ] as const) {
    t.equal(read(host, port), `${host} ${port}`)
  }
})

t.test('the zone of a link-local address is the name of its interface, where there is one', async (t) => {
  const [name, address] =
    Object.entries(networkInterfaces())
      .flatMap(([name, addresses]) => (addresses ?? []).map((address) => [name, address] as const))
      .find(([, address]) => address.family === 'IPv6' && (address.scopeid ?? 0) > 0) ?? []
  const reader = new SocketAddressReader()
  const scope = address?.family === 'IPv6' ? address.scopeid : 4_000_000
  reader.read(socketAddress({ host: 'fe80::2%x', port: 3 }, () => scope ?? 0).words, 0)
  t.equal(reader.host, `fe80::2%${name ?? '4000000'}`)
})
