/** What a machine that runs makes of other rules, costs and times, and what its neighbours hear of it. */
import t from 'tap'
import { rip2 } from '../../../../../layers/middleware/routing/rip/rip2.ts'
import type { Interface, InterfaceSettings, Times } from '../../../../../layers/middleware/routing/rip/route.ts'
import { filter, type RouteRule, type SaidFilters } from '../../../../../layers/middleware/routing/service.ts'
import { seconds } from '../../../../../src/kernel/clock.ts'
import { Stand } from './pair.ts'

const ONE = '10.8.0.0/16'
const TWO = '10.9.0.0/16'
const TIMES: Times = { update: seconds(30), timeout: seconds(180), garbage: seconds(120) }

const rules = (...all: RouteRule[]) => filter(all, 'allow', 16)

function become(
  stand: Stand,
  filters: Partial<SaidFilters>,
  use: Partial<InterfaceSettings> | undefined = undefined,
  times: Times = TIMES,
): string[] {
  const [on] = stand.links as [Interface]
  const uses = new Map(use === undefined ? [] : [[on, { ...on.settings, ...use }]])
  stand.rip.reconfigure(filters, times, uses, stand.now)
  return stand.lately()
}

/** A stand that knows two ways by `eth0`, and has nothing to say. */
function learnt(): Stand {
  const stand = new Stand(rip2).hear(0, '10.0.0.2', [ONE, 1], [TWO, 2]).run(seconds(10))
  stand.lately()
  return stand
}

t.test('what is refused now leads nowhere, and all is asked for again', async (t) => {
  const stand = learnt()
  t.strictSame(become(stand, { accept: rules({ prefix: ONE, action: 'deny' }) }), [
    'eth0 * request everything',
    'eth1 * request everything',
    `eth0 * response ${ONE}=16`,
    `eth1 * response ${ONE}=16`,
  ])
  t.equal(stand.way(ONE), 'unreachable')
  t.equal(stand.way(TWO), '10.0.0.2 eth0 3')
  become(stand, { accept: rules() })
  stand.hear(0, '10.0.0.2', [ONE, 1])
  t.equal(stand.way(ONE), '10.0.0.2 eth0 2')
})

t.test('rules that add, and costs, are those of what was said, whatever they were before', async (t) => {
  const stand = learnt()
  t.strictSame(become(stand, { accept: rules({ prefix: ONE, action: 'allow', metric: 4 }) }).slice(-2), [
    `eth0 * response ${ONE}=16`,
    `eth1 * response ${ONE}=6`,
  ])
  t.equal(stand.way(ONE), '10.0.0.2 eth0 6')
  become(stand, {}, { cost: 3 })
  t.equal(stand.way(ONE), '10.0.0.2 eth0 8')
  become(stand, { accept: rules() })
  t.equal(stand.way(ONE), '10.0.0.2 eth0 4')
  become(stand, {}, { cost: 15 })
  t.equal(stand.way(ONE), 'unreachable')
})

t.test('links hear what they may hear now, and of the rest that it leads nowhere', async (t) => {
  const stand = learnt()
  t.strictSame(become(stand, { announce: rules({ prefix: ONE, action: 'deny' }) }), [`eth1 * response ${ONE}=16`])
  t.strictSame(become(stand, { announce: rules({ prefix: TWO, action: 'allow', metric: 5 }) }), [
    `eth1 * response ${ONE}=2 ${TWO}=8`,
  ])
})

t.test('a link that only listens from now on takes leave, and one that speaks again asks', async (t) => {
  const stand = learnt()
  t.strictSame(become(stand, {}, { passive: true }), [`eth0 * response ${ONE}=16 ${TWO}=16`])
  t.strictSame(become(stand, {}, { passive: false }), [
    'eth0 * request everything',
    `eth0 * response ${ONE}=16 ${TWO}=16`,
  ])
})

t.test('updates come as often as they are to, and ways last as long', async (t) => {
  const stand = learnt()
  become(stand, {}, undefined, { update: seconds(2), timeout: seconds(8), garbage: seconds(4) })
  stand.hear(0, '10.0.0.2', [ONE, 1]).run(seconds(7))
  t.ok(stand.lately().length >= 4)
  t.equal(stand.way(ONE), '10.0.0.2 eth0 2')
  stand.run(seconds(2))
  t.equal(stand.way(ONE), 'unreachable')
  stand.lately()
  t.strictSame(become(stand, {}), [], 'nothing is said where nothing differs')
})
