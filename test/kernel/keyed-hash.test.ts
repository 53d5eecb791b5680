import t from 'tap'
import { hashKey, keyedHash, keyedHash64 } from '../../src/kernel/keyed-hash.ts'

/**
 * SipHash-2-4 with the key 00 01 … 0f of the messages 00 01 02 … of 0, 4, 8, … 60 octets: every fourth row of the table
 * `vectors_sip64` of the reference implementation (Aumasson and Bernstein), octets in its order.
 */
const VECTORS = [
  '310e0edd47db6f72',
  'b7877127e09427cf',
  '6224939a79f5f593',
  'fbe50e86bc8f1e75',
  'db9bc2577fcc2a3f',
  '98eea21af25cd6be',
  '94af49f6c650adb8',
  'a5c91da7acaa4dde',
  'ce7cf2722f512771',
  'b4a31508beff4d31',
  'd0a704536ba93e0e',
  'f21df2e41d4535f9',
  '51a9cb9ecba312e6',
  'b274cb8ebf87870a',
  'bd838d3aafbf8db7',
  'e1915f5cb1eca46c',
]

const octets = Uint8Array.from({ length: 64 }, (_, i) => i)
const key = hashKey(octets.subarray(0, 16))

t.test('the vectors of the reference implementation', async (t) => {
  for (const [n, expected] of VECTORS.entries()) {
    const words = new Int32Array(octets.buffer, 0, n)
    const digest = Buffer.alloc(8)
    const [low, high] = keyedHash64(key, words)
    digest.writeInt32LE(low, 0)
    digest.writeInt32LE(high, 4)
    t.equal(digest.toString('hex'), expected, `${4 * n} octets`)
    t.equal(keyedHash(key, words), low, 'the short form is its low half')
  }
})

t.test('the key is read where the octets are, and every bit of it counts', async (t) => {
  t.same(hashKey(octets.subarray(1, 17)), [0x0403_0201, 0x0807_0605, 0x0c0b_0a09, 0x100f_0e0d])
  const words = Int32Array.of(1, 2, 3)
  const seen = new Set([keyedHash64(key, words).join()])
  for (let bit = 0; bit < 128; bit++) {
    const other = octets.slice(0, 16)
    other[bit >> 3] = (other[bit >> 3] as number) ^ (1 << (bit & 7))
    seen.add(keyedHash64(hashKey(other), words).join())
  }
  t.equal(seen.size, 129)
})
