/**
 * The routing table with a million prefixes of each family, lengths mixed as in the Internet's: how fast it is built, what it
 * takes, and how fast addresses are looked up; against a plain Map for each length, the longest tried first.
 */
import { IPV4_BITS_BEFORE, Route, RouteTable } from '../layers/network/routes.ts'
import { IpAddress } from '../src/kernel/address.ts'
import { SeededRandom } from '../src/kernel/random.ts'
import { type Bench, figure, median } from './harness.ts'

const PREFIXES = 1_000_000
/** Addresses that are looked up in turn; a power of two. */
const ADDRESSES = 1 << 18
const LINKS = 16

/** Of a hundred prefixes, how many have this length. The rest has the longest. */
const MIX4: readonly [number, number][] = [[8, 0.01], [16, 1.4], [18, 1.5], [19, 2.6], [20, 4.5], [21, 5.4], [22, 11.5], [23, 10.5], [24, 62.59]] // biome-ignore format: pairs
const MIX6: readonly [number, number][] = [[20, 0.05], [29, 3], [32, 12], [36, 4], [40, 9], [44, 12], [46, 3], [47, 3], [48, 53.95]] // biome-ignore format: pairs

/** What is looked up in: a table, or maps. */
interface Subject {
  /** @returns a sum of links, so that no look-up can be left out. */
  lookup(addresses: readonly IpAddress[]): number
}

export const routes: Bench = async (effort, tell) => {
  for (const [family, words, mix] of [['IPv4', 1, MIX4] as const, ['IPv6', 4, MIX6] as const]) {
    const prefixes = prefixesOf(words, mix)
    const ours = built(() => table(prefixes))
    const peer = built(() => maps(prefixes, words))
    const gate = { bench: 'routes', peer: 'a Map per length', target: 0.5 }
    const rows = { runs: 1 }
    const name = `${family}, ${(PREFIXES / 1e6).toFixed(0)} million prefixes`
    const perSecond = (seconds: number) => PREFIXES / seconds
    tell(
      figure(
        { ...gate, metric: `${name}: built`, unit: 'prefixes/s', target: 0.2 },
        perSecond(ours.seconds),
        perSecond(peer.seconds),
        rows,
      ),
    )
    tell(
      figure(
        { ...gate, metric: `${name}: memory, routes included`, unit: 'octets/prefix', target: 1.5, atMost: true },
        ours.octets / PREFIXES,
        peer.octets / PREFIXES,
        rows,
      ),
    )
    const random = Array.from({ length: ADDRESSES }, addresses(words, 11))
    const used = within(prefixes, words)
    for (const [what, list] of [['random addresses', random] as const, ['addresses that are routed', used] as const]) {
      const expected = peer.subject.lookup(list)
      if (ours.subject.lookup(list) !== expected) throw new Error(`${name}: ${what} lead elsewhere`)
      const [a, b] = alternating(ours.subject, peer.subject, list, effort.runs, effort.ms)
      tell(figure({ ...gate, metric: `${name}: ${what}`, unit: 'look-ups/s' }, a, b, effort))
    }
  }
}

/** Builds something, and says how long that took and by how much the heap has grown. */
function built(build: () => Subject): { subject: Subject; seconds: number; octets: number } {
  const before = held()
  const started = performance.now()
  const subject = build()
  const seconds = (performance.now() - started) / 1000
  return { subject, seconds, octets: held() - before }
}

function held(): number {
  for (let i = 0; i < 4; i++) globalThis.gc?.()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

function alternating(
  ours: Subject,
  peer: Subject,
  list: readonly IpAddress[],
  runs: number,
  ms: number,
): [number, number] {
  const rates: [number[], number[]] = [[], []]
  for (let run = 0; run <= runs; run++) {
    for (const [i, subject] of [ours, peer].entries()) {
      const started = performance.now()
      let lookups = 0
      while (performance.now() - started < ms) {
        subject.lookup(list)
        lookups += list.length
      }
      // The first is for the compiler.
      if (run > 0) rates[i]?.push((lookups * 1000) / (performance.now() - started))
    }
  }
  return [median(rates[0]), median(rates[1])]
}

interface Prefix {
  readonly address: IpAddress
  /** In bits of the family. */
  readonly length: number
  readonly link: number
}

function addresses(words: 1 | 4, seed: number): () => IpAddress {
  const random = new SeededRandom([seed, 2, 3, words])
  const word = () => random.uint32() | 0
  // Global unicast: 2000::/3.
  return () =>
    words === 1 ? IpAddress.ipv4(word()) : new IpAddress(0x2000_0000 | (word() >>> 3), word(), word(), word())
}

function prefixesOf(words: 1 | 4, mix: readonly [number, number][]): Prefix[] {
  const draw = addresses(words, 7)
  const random = new SeededRandom([5, 6, 7, words])
  const seen = new Set<string>()
  const prefixes: Prefix[] = []
  // Allocations are in a few large blocks: prefixes are drawn below four thousand of them.
  const blocks = Array.from({ length: 4096 }, draw)
  while (prefixes.length < PREFIXES) {
    const address = draw()
    if (words === 4) address.w0 = (blocks[random.uint32() & 4095] as IpAddress).w0 ^ (address.w0 & 0x3ff)
    const length = lengthOf(mix, (random.uint32() / 2 ** 32) * 100)
    const bits = words === 1 ? length + IPV4_BITS_BEFORE : length
    const { prefix } = new Route(address, bits, null, 1, 0, '', 'forward')
    const key = `${prefix.w0},${prefix.w1},${prefix.w3},${length}`
    if (seen.has(key)) continue
    seen.add(key)
    prefixes.push({ address: prefix, length, link: 1 + (prefixes.length % LINKS) })
  }
  return prefixes
}

function lengthOf(mix: readonly [number, number][], percent: number): number {
  let left = percent
  for (const [length, share] of mix) {
    if (left < share) return length
    left -= share
  }
  return (mix.at(-1) as [number, number])[0]
}

/** Addresses below prefixes that are there. */
function within(prefixes: readonly Prefix[], words: 1 | 4): IpAddress[] {
  const random = new SeededRandom([9, 9, 9, words])
  return Array.from({ length: ADDRESSES }, () => {
    const { address, length } = prefixes[random.uint32() % PREFIXES] as Prefix
    const found = address.clone()
    if (words === 1) found.w3 |= random.uint32() >>> length
    else {
      if (length < 32) found.w0 |= random.uint32() >>> length
      found.w3 = random.uint32() | 0
    }
    return found
  })
}

function table(prefixes: readonly Prefix[]): Subject {
  const routes = new RouteTable()
  const via = IpAddress.ipv4(0x0a00_0001)
  for (const { address, length, link } of prefixes) {
    const bits = address.isIpv4 ? length + IPV4_BITS_BEFORE : length
    routes.add(new Route(address, bits, via, link, 0, 'bgp', 'forward'))
  }
  return {
    lookup(list) {
      let sum = 0
      for (const address of list) sum += routes.lookup(address)?.link ?? 0
      return sum
    },
  }
}

/** IPv4's keys are words; IPv6's are numbers too, since no length here needs more than 52 bits of the first two words. */
function maps(prefixes: readonly Prefix[], words: 1 | 4): Subject {
  const byLength = new Map<number, Map<number, Route>>()
  const via = IpAddress.ipv4(0x0a00_0001)
  for (const { address, length, link } of prefixes) {
    let map = byLength.get(length)
    if (map === undefined) {
      map = new Map()
      byLength.set(length, map)
    }
    const bits = words === 1 ? length + IPV4_BITS_BEFORE : length
    map.set(keyOf(address, length, words), new Route(address, bits, via, link, 0, 'bgp', 'forward'))
  }
  const lengths = [...byLength.keys()].sort((a, b) => b - a)
  const ordered = lengths.map((length) => byLength.get(length) as Map<number, Route>)
  return {
    lookup(list) {
      let sum = 0
      for (const address of list) {
        for (let i = 0; i < lengths.length; i++) {
          const found = ordered[i]?.get(keyOf(address, lengths[i] as number, words))
          if (found === undefined) continue
          sum += found.link
          break
        }
      }
      return sum
    },
  }
}

function keyOf({ w0, w1, w3 }: IpAddress, length: number, words: 1 | 4): number {
  if (words === 1) return w3 & (-1 << (32 - length))
  if (length <= 32) return w0 & (-1 << (32 - length))
  return (w0 >>> 0) * 65_536 + ((w1 & (-1 << (64 - length))) >>> 16)
}
