/** The routing table against a model that tries every route. */
import assert from 'node:assert'
import fc from 'fast-check'
import t from 'tap'
import { chosenWay, flowHash } from '../../../layers/network/flow.ts'
import { IPV4_BITS_BEFORE, Route, RouteTable } from '../../../layers/network/routes.ts'
import { IpAddress, parseAddress, parsePrefix } from '../../../src/kernel/address.ts'
import { holds } from '../../property.ts'

function route(text: string, link = 1, metric = 0, origin = 'static'): Route {
  const { address, length } = parsePrefix(text)
  return new Route(address, length + (address.isIpv4 ? IPV4_BITS_BEFORE : 0), null, link, metric, origin, 'forward')
}

const show = (found: Route | null): string | undefined =>
  found === null ? undefined : `${found.prefix} ${found.length} ${found.link} ${found.metric} ${found.origin}`

t.test('the longest prefix wins, in both families', async (t) => {
  const table = new RouteTable()
  const links: [string, number][] = [
    ['0.0.0.0/0', 1],
    ['10.0.0.0/8', 2],
    ['10.1.0.0/16', 3],
    ['10.1.2.3/32', 4],
    ['::/0', 5],
    ['fd00::/8', 6],
    ['fd00::1/128', 7],
    ['fd00:0:0:1::/64', 8],
  ]
  for (const [prefix, link] of links) t.equal(table.add(route(prefix, link)), true)
  const link = (text: string) => table.lookup(parseAddress(text))?.link
  t.strictSame(
    ['192.0.2.1', '10.2.0.1', '10.1.0.1', '10.1.2.3', '10.1.2.2', '255.255.255.255', '128.0.0.0'].map(link),
    [1, 2, 3, 4, 3, 1, 1],
  )
  t.strictSame(['2001:db8::1', 'fd00::2', 'fd00::1', 'fd00:0:0:1::5', 'ff02::1'].map(link), [5, 6, 7, 8, 5])
  t.equal(table.lookupOn(parseAddress('10.1.2.3'), 2)?.length, IPV4_BITS_BEFORE + 8)
  t.equal(table.lookupOn(parseAddress('10.1.2.3'), 9), null)
  t.equal(table.size, 8)
})

t.test('metric, links that are down, and duplicates', async (t) => {
  const table = new RouteTable()
  const [near, far] = [route('10.0.0.0/8', 1, 5), route('10.0.0.0/8', 2, 7)]
  table.add(far)
  table.add(near)
  table.add(route('0.0.0.0/0', 3))
  t.equal(table.add(route('10.255.0.0/8', 2, 7)), false, 'the same way, said by the same')
  t.equal(table.add(route('10.0.0.0/8', 4, 7, 'babel')), true)
  const at = (text: string) => table.lookup(parseAddress(text))
  t.equal(at('10.0.0.1'), near)
  table.setLink(1, false)
  t.equal(at('10.0.0.1'), far)
  table.setLink(2, false)
  table.setLink(4, false)
  t.equal(at('10.0.0.1'), near, 'all are down: still not the default route')
  table.setLink(2, true)
  t.equal(at('10.0.0.1'), far)
  t.equal(table.remove(far), true)
  t.equal(table.remove(far), false)
  t.equal(
    table.removeAt(near.prefix, near.length, (other) => other.metric > 5),
    1,
  )
  t.equal(at('10.0.0.1'), near)
  table.removeLink(1)
  t.equal(at('10.0.0.1')?.link, 3)
})

/** Words with few distinct bits, so that prefixes nest and addresses hit them. */
const word = fc.oneof(
  fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff }),
  fc.constantFrom(0, -1, 0x0a00_0000, 0x0a00_0001, 0x0a01_0000, 0x0a80_0000, 0x7fff_ffff, -0x8000_0000),
)
const address = fc
  .tuple(word, word, word, word, fc.boolean())
  .map(([a, b, c, d, v4]) => (v4 ? IpAddress.ipv4(d) : new IpAddress(a, b, c | 0x0001_0000, d)))
const aRoute = fc
  .tuple(address, fc.integer({ min: 0, max: 128 }), fc.integer({ min: 1, max: 3 }), fc.integer({ min: 0, max: 2 }))
  .map(([prefix, bits, link, metric]) => {
    const length = prefix.isIpv4 ? IPV4_BITS_BEFORE + (bits % 33) : bits
    return new Route(prefix, length, null, link, metric, 'static', 'forward')
  })

function covers(candidate: Route, target: IpAddress): boolean {
  if (candidate.prefix.isIpv4 !== target.isIpv4 && (target.isIpv4 || candidate.length >= IPV4_BITS_BEFORE)) return false
  const same = new Route(target, candidate.length, null, 0, 0, '', 'forward')
  return same.prefix.equals(candidate.prefix)
}

function linear(routes: readonly Route[], down: ReadonlySet<number>, target: IpAddress): Route | null {
  const matching = routes.filter((candidate) => covers(candidate, target))
  const longest = Math.max(...matching.map(({ length }) => length))
  const best = matching.filter(({ length }) => length === longest).sort((a, b) => a.metric - b.metric)
  return best.find(({ link }) => !down.has(link)) ?? best[0] ?? null
}

t.test('against the linear model', async (t) => {
  const script = fc.record({
    routes: fc.array(aRoute, { maxLength: 60 }),
    removed: fc.array(fc.nat(59), { maxLength: 40 }),
    down: fc.uniqueArray(fc.integer({ min: 1, max: 3 })),
    targets: fc.array(address, { minLength: 1, maxLength: 20 }),
  })
  const indexFrom = fc.constantFrom(1, 5, undefined)
  holds(
    t,
    'look-up, listing and removal agree, with an index and without',
    fc.property(script, indexFrom, ({ routes, removed, down, targets }, from) => {
      const table = new RouteTable(from)
      const model: Route[] = []
      for (const added of routes) if (table.add(added)) model.push(added)
      for (const link of down) table.setLink(link, false)
      const check = () => {
        assert.equal(table.size, model.length)
        assert.deepEqual(new Set(table.routes()), new Set(model))
        for (const target of [...targets, ...model.map(({ prefix }) => prefix)]) {
          const expected = linear(model, new Set(down), target)
          assert.equal(show(table.lookup(target)), show(expected))
          assert.equal(show(table.matching(target)[0] ?? null), show(linear(model, new Set(), target)))
          assert.equal(table.matching(target).length, model.filter((candidate) => covers(candidate, target)).length)
          const over2 = model.filter(({ link }) => link === 2)
          assert.equal(show(table.lookupOn(target, 2)), show(linear(over2, new Set(), target)))
        }
      }
      check()
      for (const index of removed) {
        const [gone] = model.splice(index, 1)
        if (gone !== undefined) assert.ok(table.remove(gone))
      }
      check()
      for (const link of down) {
        table.removeLink(link)
        model.splice(0, model.length, ...model.filter((other) => other.link !== link))
      }
      check()
    }),
    { numRuns: 600 },
  )
})

t.test('the index follows what changes above and below it', async (t) => {
  const table = new RouteTable(1)
  const link = (text: string) => table.lookup(parseAddress(text))?.link
  const wide = route('10.0.0.0/8', 1)
  const narrow = route('10.1.0.0/16', 2)
  const narrower = route('10.1.2.0/24', 3)
  table.add(narrower)
  t.strictSame(['10.1.2.3', '10.1.3.3', '10.2.0.1'].map(link), [3, undefined, undefined])
  table.add(wide)
  t.strictSame(['10.1.2.3', '10.1.3.3', '10.2.0.1', '11.0.0.1'].map(link), [3, 1, 1, undefined])
  table.add(narrow)
  t.strictSame(['10.1.2.3', '10.1.3.3', '10.2.0.1'].map(link), [3, 2, 1])
  table.remove(narrower)
  table.remove(wide)
  t.strictSame(['10.1.2.3', '10.1.3.3', '10.2.0.1'].map(link), [2, 2, undefined])
  table.remove(narrow)
  t.equal(link('10.1.2.3'), undefined)
})

t.test('memory of what is removed is used again', async (t) => {
  const table = new RouteTable()
  const fill = () => {
    const added = Array.from({ length: 5000 }, (_, i) => route(`10.${i >> 8}.${i & 255}.0/24`))
    for (const each of added) table.add(each)
    for (const each of added) table.remove(each)
  }
  fill()
  const { octets } = table
  for (let i = 0; i < 3; i++) fill()
  t.equal(table.octets, octets)
  t.equal(table.size, 0)
})

t.test('equal ways: each flow keeps its own, and only those of a way that goes move', async (t) => {
  const table = new RouteTable()
  const ways = [1, 2, 3, 4].map((link) => route('10.0.0.0/8', link, 5, 'babel'))
  for (const way of ways) t.equal(table.add(way), true)
  table.add(route('10.0.0.0/8', 5, 6, 'babel'))
  table.add(route('10.0.0.0/8', 6, 5, 'static'))
  const best = () => table.lookup(parseAddress('10.0.0.1')) as Route
  t.strictSame(best().equals, ways, 'neither the dearer one nor that of another origin')
  const flows = Array.from({ length: 4000 }, (_, i) => flowHash(99, 0x0a00_0001, 0x0a00_0002, 6, (i << 16) | 80))
  const linksOf = () => flows.map((flow) => chosenWay(flow, best().equals).link)
  const before = linksOf()
  for (const { link } of ways) {
    const share = before.filter((other) => other === link).length
    t.ok(share > 850 && share < 1150, `link ${link} has ${share} of 4000 flows`)
  }
  table.setLink(2, false)
  const without = linksOf()
  t.ok(
    before.every((link, i) => link === 2 || without[i] === link),
    'the others stay',
  )
  t.notOk(without.includes(2))
  table.setLink(2, true)
  t.strictSame(linksOf(), before, 'and come back')
  table.remove(ways[2] as Route)
  t.ok(linksOf().every((link, i) => before[i] === 3 || before[i] === link))
  for (const link of [1, 2, 4, 5, 6]) table.setLink(link, false)
  t.strictSame(best().equals, [ways[0]], 'all down: one of them, which says so')
})

t.test('networks of links are not spread', async (t) => {
  const table = new RouteTable()
  table.add(route('10.0.0.0/24', 1, 0, 'link'))
  table.add(route('10.0.0.0/24', 2, 0, 'link'))
  t.strictSame(
    table.lookup(parseAddress('10.0.0.7'))?.equals.map(({ link }) => link),
    [1],
  )
})
