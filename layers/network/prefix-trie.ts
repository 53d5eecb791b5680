/**
 * From prefixes to numbers, by longest match: a path-compressed binary trie (Morrison 1968) whose nodes are runs of int32 in
 * one pool, 20 octets each for IPv4 and 32 for IPv6, so that a million prefixes are one allocation and no work for the
 * collector.
 *
 *              0.0.0.0/0                    a node:  prefix, 1 or 4 words
 *             /         \                            length in bits
 *      10.0.0.0/8     192.168.0.0/16                 below it, where the next bit is 0
 *        /      \                                    below it, where the next bit is 1
 *   10.0.0.0/24  10.128.0.0/9                        value; 0 for a mere fork
 *
 * A large trie also has an index by the first 16 bits, a very large one by the first 20: the best value among shorter
 * prefixes, and where to walk on. It is filled as it is asked for, and what a change concerns is forgotten.
 */
import type { IpAddress } from '../../src/kernel/address.ts'

/** No node: where a node would begin that is never used. */
const NONE = 0
const INDEX_BITS = 16
const LONG_INDEX_BITS = 20
/** Prefixes from which on the index is worth its 512 KB, and how many times as many for the 8 MB of the longer one. */
const INDEX_FROM = 4096
const LONG_INDEX_TIMES = 32
/** A slot of the index that is to be filled. */
const UNKNOWN = -1
/** Nodes there is room for at first. */
const FIRST_NODES = 8

export class PrefixTrie {
  private pool: Int32Array
  /** Words of an address that count: the last one, or all four. */
  private readonly words: 1 | 4
  private readonly stride: number
  private readonly root: number
  /** Where in the pool nothing has been yet. */
  private unused: number
  /** Freed nodes, chained by the first of their links. */
  private free = NONE
  private count = 0
  /** By the first bits: the first node that has them all, and the best value before it. */
  private index: Int32Array | null = null
  private indexBits = 0

  private readonly indexFrom: number

  /** @param words of an address: 1 for IPv4, 4 for IPv6. @param indexFrom prefixes from which on there is an index. */
  constructor(words: 1 | 4, indexFrom: number = INDEX_FROM) {
    this.words = words
    this.indexFrom = indexFrom
    this.stride = words + 4
    this.pool = new Int32Array(this.stride * FIRST_NODES)
    this.root = this.stride
    this.unused = 2 * this.stride
  }

  /** Octets held, whether in use or not. */
  get octets(): number {
    return this.pool.byteLength + (this.index?.byteLength ?? 0)
  }

  /** The value of the longest prefix of an IPv4 address, or 0. For a trie of one word. */
  lookupWord(word: number): number {
    const { pool } = this
    let best: number
    let node: number
    const { index } = this
    if (index === null) {
      best = pool[this.root + 4] as number
      node = pool[this.root + (word < 0 ? 3 : 2)] as number
    } else {
      const slot = (word >>> (32 - this.indexBits)) * 2
      if (index[slot] === UNKNOWN) this.fill(index, slot)
      node = index[slot] as number
      best = index[slot + 1] as number
    }
    while (node !== NONE) {
      const length = pool[node + 1] as number
      if ((word ^ (pool[node] as number)) >>> (32 - length) !== 0) break
      const value = pool[node + 4] as number
      if (value !== 0) best = value
      node = pool[node + (word << length < 0 ? 3 : 2)] as number
    }
    return best
  }

  /** The value of the longest prefix of an address of four words, or 0. For a trie of four. */
  lookup(address: IpAddress): number {
    const { pool } = this
    const { w0 } = address
    let best: number
    let node: number
    const { index } = this
    if (index === null) {
      best = pool[this.root + 7] as number
      node = pool[this.root + (w0 < 0 ? 6 : 5)] as number
    } else {
      const slot = (w0 >>> (32 - this.indexBits)) * 2
      if (index[slot] === UNKNOWN) this.fill(index, slot)
      node = index[slot] as number
      best = index[slot + 1] as number
    }
    while (node !== NONE) {
      const length = pool[node + 4] as number
      if (!this.holds(node, length, address)) break
      const value = pool[node + 7] as number
      if (value !== 0) best = value
      node = pool[node + (bitOf(address, length) ? 6 : 5)] as number
    }
    return best
  }

  /** Does an address begin with the prefix of a node? The node is one of four words, and not the root. */
  private holds(node: number, length: number, { w0, w1, w2, w3 }: IpAddress): boolean {
    const { pool } = this
    if (length <= 32) return (w0 ^ (pool[node] as number)) >>> (32 - length) === 0
    if (w0 !== pool[node]) return false
    if (length <= 64) return (w1 ^ (pool[node + 1] as number)) >>> (64 - length) === 0
    if (w1 !== pool[node + 1]) return false
    if (length <= 96) return (w2 ^ (pool[node + 2] as number)) >>> (96 - length) === 0
    return w2 === pool[node + 2] && (w3 ^ (pool[node + 3] as number)) >>> (128 - length) === 0
  }

  /** The values of all prefixes of an address, the shortest first. @param values filled. @returns how many. */
  path(address: IpAddress, values: number[]): number {
    let found = 0
    for (let node = this.root; node !== NONE && this.matches(node, address); node = this.child(node, address)) {
      const value = this.valueOf(node)
      if (value !== 0) values[found++] = value
    }
    return found
  }

  /** The value of exactly this prefix, or 0. @param length in bits of the family's addresses. */
  get(prefix: IpAddress, length: number): number {
    const node = this.find(prefix, length)
    return node === NONE ? 0 : this.valueOf(node)
  }

  /** Gives a prefix a value that is not 0. Bits beyond `length` must be 0. */
  set(prefix: IpAddress, length: number, value: number): void {
    const node = this.place(prefix, length)
    if (this.valueOf(node) === 0) this.count++
    this.pool[node + this.words + 3] = value
    if (this.count >= this.indexFrom) this.startIndex()
    this.forget(prefix, length)
  }

  /** Takes a prefix out, with the forks that held it. */
  delete(prefix: IpAddress, length: number): void {
    const node = this.find(prefix, length)
    if (node === NONE || this.valueOf(node) === 0) return
    this.pool[node + this.words + 3] = 0
    this.count--
    this.prune(prefix, length)
    this.forget(prefix, length)
  }

  /** All values, in the order of their prefixes. */
  *values(): IterableIterator<number> {
    const waiting = [this.root]
    for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
      const value = this.valueOf(node)
      if (value !== 0) yield value
      for (const link of [3, 2]) {
        const below = this.pool[node + this.words - 1 + link] as number
        if (below !== NONE) waiting.push(below)
      }
    }
  }

  private lengthOf(node: number): number {
    return this.pool[node + this.words] as number
  }

  private valueOf(node: number): number {
    return this.pool[node + this.words + 3] as number
  }

  private matches(node: number, address: IpAddress): boolean {
    return this.common(node, address) >= this.lengthOf(node)
  }

  /** How many leading bits an address shares with what the prefix of a node is filled up to. */
  private common(node: number, address: IpAddress): number {
    for (let i = 0; i < this.words; i++) {
      const difference = (this.pool[node + i] as number) ^ wordOf(address, 4 - this.words + i)
      if (difference !== 0) return 32 * i + Math.clz32(difference)
    }
    return 32 * this.words
  }

  /** Where in the pool the link is that leads on from a node to an address. */
  private link(node: number, address: IpAddress): number {
    const length = this.lengthOf(node) + 32 * (4 - this.words)
    return node + this.words + (bitOf(address, length) ? 2 : 1)
  }

  private child(node: number, address: IpAddress): number {
    return this.pool[this.link(node, address)] as number
  }

  private find(prefix: IpAddress, length: number): number {
    let node = this.root
    while (node !== NONE && this.lengthOf(node) < length && this.matches(node, prefix)) node = this.child(node, prefix)
    return node !== NONE && this.lengthOf(node) === length && this.matches(node, prefix) ? node : NONE
  }

  /** The node of a prefix, made if necessary. */
  private place(prefix: IpAddress, length: number): number {
    let node = this.root
    while (this.lengthOf(node) < length) {
      const child = this.child(node, prefix)
      const common = child === NONE ? length : Math.min(this.common(child, prefix), this.lengthOf(child), length)
      if (child !== NONE && common === this.lengthOf(child)) {
        node = child
        continue
      }
      const made = this.make(prefix, common)
      if (child !== NONE) this.adopt(made, child)
      this.pool[this.link(node, prefix)] = made
      node = made
    }
    return node
  }

  private make(prefix: IpAddress, length: number): number {
    let node = this.free
    if (node === NONE) {
      node = this.unused
      this.unused += this.stride
      if (this.unused > this.pool.length) this.grow()
    } else {
      this.free = this.pool[node + this.words + 1] as number
    }
    const { pool, words } = this
    for (let i = 0; i < words; i++) pool[node + i] = wordOf(prefix, 4 - words + i) & maskOf(length, i)
    pool[node + words] = length
    pool[node + words + 1] = NONE
    pool[node + words + 2] = NONE
    pool[node + words + 3] = 0
    return node
  }

  private grow(): void {
    const larger = new Int32Array(Math.ceil((this.pool.length * 1.5) / this.stride) * this.stride)
    larger.set(this.pool)
    this.pool = larger
  }

  /** Hangs a node below a fork, by the bit its own prefix has there. */
  private adopt(fork: number, child: number): void {
    const length = this.lengthOf(fork)
    const one = (this.pool[child + (length >> 5)] as number) << (length & 31) < 0
    this.pool[fork + this.words + (one ? 2 : 1)] = child
  }

  /** Takes out the node of a prefix, and its fork above, where they hold nothing any more. */
  private prune(prefix: IpAddress, length: number): void {
    const way: number[] = []
    let node = this.root
    while (node !== NONE && this.lengthOf(node) <= length && this.matches(node, prefix)) {
      way.push(node)
      node = this.child(node, prefix)
    }
    for (let i = way.length - 1; i > 0; i--) {
      const idle = way[i] as number
      const zero = this.pool[idle + this.words + 1] as number
      const one = this.pool[idle + this.words + 2] as number
      if (this.valueOf(idle) !== 0 || (zero !== NONE && one !== NONE)) return
      this.pool[this.link(way[i - 1] as number, prefix)] = zero === NONE ? one : zero
      this.pool[idle + this.words + 1] = this.free
      this.free = idle
    }
  }

  private startIndex(): void {
    const bits = this.count >= this.indexFrom * LONG_INDEX_TIMES ? LONG_INDEX_BITS : INDEX_BITS
    if (bits <= this.indexBits) return
    this.indexBits = bits
    this.index = new Int32Array(2 ** (bits + 1)).fill(UNKNOWN)
  }

  /** Fills a slot of the index: what is shorter than its bits holds for all of its addresses. */
  private fill(index: Int32Array, slot: number): void {
    const { words, indexBits } = this
    const first = (slot / 2) << (32 - indexBits)
    let best = 0
    let node = this.root
    while (node !== NONE && this.holdsSlot(node, first)) {
      const length = this.lengthOf(node)
      if (length >= indexBits) break
      const value = this.valueOf(node)
      if (value !== 0) best = value
      node = this.pool[node + words + (first << length < 0 ? 2 : 1)] as number
    }
    if (node !== NONE && !this.holdsSlot(node, first)) node = NONE
    index[slot] = node
    index[slot + 1] = best
  }

  /** Does a node agree with the bits of a slot, as far as it has them? */
  private holdsSlot(node: number, first: number): boolean {
    const length = Math.min(this.lengthOf(node), this.indexBits)
    return length === 0 || ((this.pool[node] as number) ^ first) >>> (32 - length) === 0
  }

  /** Forgets what the index has of the addresses of a prefix. */
  private forget(prefix: IpAddress, length: number): void {
    const { index, indexBits } = this
    if (index === null) return
    const first = (wordOf(prefix, 4 - this.words) >>> (32 - indexBits)) * 2
    if (length >= indexBits) index[first] = UNKNOWN
    else index.fill(UNKNOWN, first, first + 2 ** (indexBits - length + 1))
  }
}

/** Word 0 to 3 of an address. */
function wordOf(address: IpAddress, word: number): number {
  return word === 0 ? address.w0 : word === 1 ? address.w1 : word === 2 ? address.w2 : address.w3
}

/** Bit 0 to 127 of an address; false beyond. */
function bitOf(address: IpAddress, bit: number): boolean {
  return bit < 128 && wordOf(address, bit >> 5) << (bit & 31) < 0
}

/** The mask that a prefix of `length` bits has in one of the words. */
export function maskOf(length: number, word: number): number {
  const bits = length - 32 * word
  return bits <= 0 ? 0 : bits >= 32 ? -1 : -1 << (32 - bits)
}
