/** The routing table against a model that tries every route. */
import assert from 'node:assert'
import fc from 'fast-check'
import t from 'tap'
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
  t.equal(table.add(route('10.255.0.0/8', 4, 7)), false, 'same prefix, metric and origin')
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
    table.removeWhere((other) => other.length === IPV4_BITS_BEFORE + 8),
    2,
  )
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
  holds(
    t,
    'look-up, listing and removal agree',
    fc.property(script, ({ routes, removed, down, targets }) => {
      const table = new RouteTable()
      const model: Route[] = []
      for (const added of routes) if (table.add(added)) model.push(added)
      for (const link of down) table.setLink(link, false)
      const check = () => {
        assert.equal(table.size, model.length)
        assert.deepEqual(new Set(table.routes()), new Set(model))
        for (const target of [...targets, ...model.map(({ prefix }) => prefix)]) {
          assert.equal(show(table.lookup(target)), show(linear(model, new Set(down), target)))
        }
      }
      check()
      for (const index of removed) {
        const [gone] = model.splice(index, 1)
        if (gone !== undefined) assert.ok(table.remove(gone))
      }
      check()
    }),
    { numRuns: 300 },
  )
})
