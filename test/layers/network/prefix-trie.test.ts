/** The trie of prefixes: where its index begins and ends, and what it costs. */
import { strictEqual } from 'node:assert'
import fc from 'fast-check'
import t from 'tap'
import { maskOf, PrefixTrie } from '../../../layers/network/prefix-trie.ts'
import { IpAddress } from '../../../src/kernel/address.ts'
import { holds } from '../../property.ts'

type Family = 1 | 4
/** An address whose first 32 bits of those that count are `word`. */
const address = (words: Family, word: number): IpAddress =>
  words === 1 ? IpAddress.ipv4(word) : new IpAddress(word, 0, 0, 0)
const prefix = (words: Family, word: number, length: number): IpAddress => address(words, word & maskOf(length, 0))
const valueAt = (trie: PrefixTrie, words: Family, word: number): number =>
  words === 1 ? trie.lookupWord(word) : trie.lookup(address(4, word))

/** Words that differ in the bits about where the indices end, 16 and 20. */
const word = fc
  .tuple(fc.constantFrom(0x0a00_0000, -0x8000_0000), fc.integer({ min: 0, max: 0x7ff }))
  .map(([high, bits]) => high | (bits << 9) | 0)
const length = fc.oneof(fc.integer({ min: 12, max: 24 }), fc.constantFrom(0, 1, 8, 16, 20, 32))
const change = fc.record({ word, length, value: fc.integer({ min: 0, max: 9 }) })

t.test('against all prefixes tried one by one, while they come and go', async (t) => {
  for (const [name, least, numRuns] of [
    ['an index of 16 bits', 0, 150],
    ['one of 20', 40, 8],
  ] as const) {
    const script = fc.array(change, { minLength: least, maxLength: least + 24, size: 'max' })
    holds(
      t,
      name,
      fc.property(script, fc.constantFrom<Family>(1, 4), fc.array(word, { minLength: 20 }), (changes, words, seen) => {
        const trie = new PrefixTrie(words, 1)
        const model = new Map<string, { word: number; length: number; value: number }>()
        for (const { word, length, value } of changes) {
          const masked = word & maskOf(length, 0)
          if (value === 0 && least === 0) trie.delete(prefix(words, word, length), length)
          else trie.set(prefix(words, word, length), length, value + 1)
          if (value === 0 && least === 0) model.delete(`${masked}/${length}`)
          else model.set(`${masked}/${length}`, { word: masked, length, value: value + 1 })
          for (const target of [...seen, word]) {
            const found = [...model.values()].filter((one) => (target & maskOf(one.length, 0)) === one.word)
            const best = found.sort((a, b) => b.length - a.length)[0]
            strictEqual(valueAt(trie, words, target), best?.value ?? 0)
          }
        }
      }),
      { numRuns },
    )
  }
})

t.test('a change is seen in all of its part of the index', async (t) => {
  for (const words of [1, 4] as const) {
    const trie = new PrefixTrie(words, 1)
    const ends = [0x0a00_0000, 0x0a80_0000, 0x0aff_ffff, 0x0900_0000, 0x0b00_0000]
    const values = () => ends.map((end) => valueAt(trie, words, end))
    trie.set(prefix(words, 0, 0), 0, 1)
    t.strictSame(values(), [1, 1, 1, 1, 1])
    trie.set(prefix(words, 0x0a00_0000, 8), 8, 2)
    t.strictSame(values(), [2, 2, 2, 1, 1])
    trie.delete(prefix(words, 0x0a00_0000, 8), 8)
    t.strictSame(values(), [1, 1, 1, 1, 1])
  }
})

t.test('an index is for many prefixes, and a long one for very many', async (t) => {
  const trie = new PrefixTrie(1, 3)
  const octets = trie.octets
  const set = (i: number): void => trie.set(IpAddress.ipv4(i << 16), 16, 1)
  for (let i = 0; i < 9; i++) {
    set(1)
    trie.set(IpAddress.ipv4(1 << 16), 16, 2)
    trie.delete(IpAddress.ipv4(1 << 16), 16)
  }
  for (let i = 0; i < 2; i++) set(i)
  t.equal(trie.octets, octets, 'two are not many, however often they change')
  set(2)
  t.equal(trie.octets, octets + 2 ** 17 * 4)
  for (let i = 3; i < 95; i++) set(i)
  t.ok(trie.octets < 2 ** 20)
  set(95)
  t.ok(trie.octets >= 2 ** 23 && trie.octets < 2 ** 23 + 2 ** 16)
})

t.test('what held only what is gone goes with it', async (t) => {
  for (const words of [1, 4] as const) {
    const trie = new PrefixTrie(words)
    const { octets } = trie
    trie.set(prefix(words, 0x0a00_0000, 24), 24, 1)
    for (let length = 1; length < 24; length++) {
      trie.set(prefix(words, 0x0a00_0000, length), length, 2)
      trie.delete(prefix(words, 0x0a00_0000, length), length)
      trie.set(prefix(words, 0x0a00_0000 ^ (1 << (31 - length)), 32), 32, 3) // makes a fork
      trie.delete(prefix(words, 0x0a00_0000 ^ (1 << (31 - length)), 32), 32)
    }
    t.strictSame([...trie.values()], [1])
    t.equal(trie.octets, octets)
  }
})
