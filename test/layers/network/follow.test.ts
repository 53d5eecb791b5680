/** Who follows a node's routes knows the table without listing it. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { ETHERTYPE } from '../../../layers/datalink/service.ts'
import { ip } from '../../../layers/network/ip.ts'
import { ipv4 } from '../../../layers/network/ipv4/ipv4.ts'
import { ipv6 } from '../../../layers/network/ipv6/ipv6.ts'
import type { Env } from '../../../src/kernel/env.ts'
import { beside, stack } from '../../../src/kernel/stack.ts'
import { Simulation } from '../../../src/runtime/simulation.ts'
import { holds } from '../../property.ts'
import { TestLink } from './ipv4/link.ts'

const link = (env: Env) => new TestLink(env, undefined, ETHERTYPE.ipv6)
const PREFIXES = ['10.1.0.0/16', '10.1.0.0/24', '10.2.0.0/16', '0.0.0.0/0', 'fd01::/64', 'fd02::/64', '::/0']
const LINKS = ['x', 'y']

interface Shown {
  readonly prefix: string
  readonly link?: string | undefined
  readonly metric: number
  readonly origin: string
}

const text = ({ prefix, link, metric, origin }: Shown): string => `${prefix} ${link} ${metric} ${origin}`
const same = (a: Shown, b: Shown): boolean => text(a) === text(b)

const way = fc.record({
  prefix: fc.constantFrom(...PREFIXES),
  link: fc.constantFrom(...LINKS),
  metric: fc.integer({ min: 0, max: 2 }),
  origin: fc.constantFrom('static', 'babel'),
})
const act = fc.oneof(
  fc.record({ verb: fc.constantFrom('add' as const, 'remove' as const), way }),
  fc.record({ verb: fc.constantFrom('detach' as const, 'address' as const), link: fc.constantFrom(...LINKS) }),
)

t.test('whatever comes and goes, by whoever', async (t) => {
  const open: Simulation[] = []
  const property = fc.property(fc.array(act, { maxLength: 40 }), (acts) => {
    const sim = new Simulation({ seed: 1 })
    open.push(sim)
    const families = ip(ipv4({ addresses: { x: '10.8.0.1/24' } }), ipv6({ autoconfigure: false }))
    const { top } = sim.boot('A', stack(beside({ x: link, y: link }), families))
    const { routes } = top.control
    const has = (name: string): boolean => top.linkIndex(name) !== 0
    const known = new Map(routes.list().map(({ prefix }) => [prefix, routes.list(prefix)]))
    const changed = new Set<string>()
    const unfollow = routes.follow((prefix) => changed.add(prefix))
    let own = 0
    for (const one of acts) {
      if (one.verb === 'add' && has(one.way.link)) {
        if (!routes.list(one.way.prefix).some((other) => same(other, one.way))) routes.add(one.way)
      } else if (one.verb === 'remove') routes.remove(one.way)
      else if (one.verb === 'detach' && one.link === 'y') top.detach('y')
      else if (one.verb === 'address' && has(one.link)) {
        own++
        top.control.addAddress(one.link, `10.9.${own}.1/24`)
        if (own % 2 === 0) top.control.removeAddress(one.link, `10.9.${own}.1`)
      }
      for (const prefix of changed) known.set(prefix, routes.list(prefix))
      changed.clear()
      const all = routes.list()
      assert.deepEqual(new Set([...known.values()].flat().map(text)), new Set(all.map(text)))
    }
    unfollow()
    routes.add({ prefix: '10.99.0.0/16', link: 'x' })
    assert.equal(changed.size, 0)
  })
  holds(t, 'the model of one who follows is the table', property)
  for (const sim of open) await sim.close()
})

t.test('the routes of exactly one prefix', async (t) => {
  const sim = new Simulation({ seed: 1 })
  const { top } = sim.boot('A', stack(beside({ x: link }), ip(ipv4({ addresses: { x: '10.8.0.1/24' } }))))
  const { routes } = top.control
  routes.add({ prefix: '10.8.0.0/24', via: '10.8.0.9', metric: 7 })
  routes.add({ prefix: '10.8.0.0/16', link: 'x' })
  t.match(routes.list('10.8.0.5/24'), [{ origin: 'link' }, { via: '10.8.0.9', prefix: '10.8.0.0/24' }])
  t.equal(routes.list('10.8.0.0/24').length, 2)
  t.strictSame(routes.list('10.8.0.0/25'), [])
  t.throws(() => routes.list('10.8'), { code: 'ERR_INVALID_ARG_VALUE' })
  await sim.close()
})
