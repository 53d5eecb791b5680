/** Plans of reloads: from any configuration to any other, in a model and in routers that run. */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import t from 'tap'
import { applyPlan, ReloadError } from '../../../tools/router/apply.ts'
import { configOf, NOTHING, type RouterState } from '../../../tools/router/config.ts'
import { packetRules } from '../../../tools/router/packet-rules.ts'
import { after, describeStep, opposite, planned, shownStep } from '../../../tools/router/plan.ts'
import { Router } from '../../../tools/router/router.ts'
import { holds } from '../../property.ts'
import { states } from './states.ts'

/** What is so, whatever the order of links and routes. */
const essence = ({ links, routes, services, ...rules }: RouterState) => ({
  ...packetRules(rules),
  services: [...services].sort(byText),
  links: [...links].sort(byText),
  routes: [...routes].sort(byText),
})
const byText = (a: unknown, b: unknown): number => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)

/** Nothing but a Babel, and a RIP, that is told something else. */
const retold = (state: RouterState): RouterState => ({
  ...state,
  services: state.services.map((service) => {
    const more = { announce: ['10.98.0.0/16'], metric: 7 }
    if (service.kind === 'RIP') return { ...service, rip: { ...service.rip, ...more } }
    return service.kind === 'Babel' ? { ...service, babel: { ...service.babel, ...more } } : service
  }),
})

t.test('in a model', async (t) => {
  holds(
    t,
    'a plan leads from any state to any other, and its opposite back',
    fc.property(states(), states(), fc.boolean(), (old, other, routingAlone) => {
      const wanted = routingAlone ? retold(old) : other
      const steps = planned(old, wanted)
      const then = steps.reduce(after, old)
      assert.deepEqual(essence(then), essence(wanted))
      assert.deepEqual(planned(then, wanted), [])
      assert.deepEqual(planned(wanted, wanted), [])
      const back = steps.map(opposite).reverse().reduce(after, then)
      assert.deepEqual(essence(back).routes, essence(old).routes)
      assert.deepEqual(essence(back).services, essence(old).services)
      assert.deepEqual(packetRules(back), packetRules(old))
    }),
  )
})

t.test('what is shown has no secrets in it', async (t) => {
  const keys = [{ algorithm: 'blake2s', key: 'deadbeef' }] as const
  const { state } = configOf({
    ...{ name: 'R', routes: [], clampMss: false, reversePath: 'off', faults: false, hosts: {} },
    links: {
      ser: { link: 'ppp:/dev/ttyS0,user=me,secret=deadbeef,default', addresses: [] },
      far: { link: 'udp:1,codec=l2tpv3,session=1,peer-session=2,cookie=deadbeef', addresses: [] },
    },
    babel: { interfaces: { far: { rxcost: 9, keys } }, keys },
  })
  const steps = planned(NOTHING, state).map(shownStep)
  t.notMatch(JSON.stringify(steps), /deadbeef|222|"spec"/)
  t.match(steps, [
    { verb: 'add', what: 'link', link: { name: 'ser', text: 'ppp:/dev/ttyS0,user=me,secret=…,default' } },
    { link: { text: /cookie=…$/ } },
    { route: { prefix: '0.0.0.0/0' } },
    { service: { babel: { interfaces: { far: { rxcost: 9, keys: [{ algorithm: 'blake2s', key: '…' }] } } } } },
  ])
  const [babel] = state.services
  if (babel?.kind !== 'Babel') throw new Error('no Babel')
  const next = { ...babel, babel: { interfaces: { far: { rxcost: 9, keys: [...keys, ...keys] } }, keys } }
  t.strictSame(planned(state, { ...state, services: [next] }).map(shownStep), [
    { verb: 'change', what: 'routing', protocol: 'Babel', changes: ['keys of far'] },
  ])
})

/** Another MTU on the link 'lan' alone. */
const withMtu = (mtu: number): RouterState => ({
  services: [],
  links: [
    { name: 'lan', text: `udp:0,mtu=${mtu}`, spec: udp(mtu), addresses: ['10.0.0.1/24'], faults: false },
    { name: 'wan', text: 'udp:0', spec: udp(undefined), addresses: ['10.1.0.1/24', '10.1.0.2/24'], faults: false },
  ],
  routes: [
    { prefix: '0.0.0.0/0', via: '10.1.0.9', link: 'wan', metric: 0, action: 'forward' },
    { prefix: '10.9.0.0/16', via: '10.0.0.9', link: 'lan', metric: 0, action: 'forward' },
  ],
})
const udp = (mtu: number | undefined): RouterState['links'][number]['spec'] => ({
  ...{ type: 'udp', name: undefined, mac: undefined, impairment: undefined, codec: 'vxlan', engine: undefined },
  ...{ local: { host: '127.0.0.1', port: 0 }, peers: [], vni: 1, l2tpv3: undefined, mtu },
})

t.test('a link that changes takes with it what is on it, and nothing else', async (t) => {
  t.same(planned(withMtu(1400), withMtu(1300)).map(describeStep), [
    '- route 10.9.0.0/16 via 10.0.0.9 on lan',
    '- address 10.0.0.1/24 on lan',
    '- link lan: udp:0,mtu=1400',
    '+ link lan: udp:0,mtu=1300',
    '+ address 10.0.0.1/24 on lan',
    '+ route 10.9.0.0/16 via 10.0.0.9 on lan',
  ])
  const [lan, wan] = withMtu(1400).links as [RouterState['links'][number], RouterState['links'][number]]
  const less: RouterState = { links: [lan, { ...wan, addresses: ['10.1.0.2/24'] }], routes: [], services: [] }
  t.same(planned(withMtu(1400), less).map(describeStep), [
    '- route 0.0.0.0/0 via 10.1.0.9 on wan',
    '- route 10.9.0.0/16 via 10.0.0.9 on lan',
    '- address 10.1.0.1/24 on wan',
  ])
})

t.test('whichever step fails, all is undone', async (t) => {
  const [old, wanted] = [withMtu(1400), withMtu(1300)]
  const steps = planned(old, wanted)
  for (const [at, failing] of steps.entries()) {
    let now = old
    const perform = (step: (typeof steps)[number]): void => {
      if (step === failing) throw new Error('it broke')
      now = after(now, step)
    }
    const error = await applyPlan(old, steps, perform).catch((error: unknown) => error)
    t.ok(error instanceof ReloadError, `step ${at}`)
    t.match(error, { step: failing, state: old, lasting: [], message: /it broke.*nothing was changed/ })
    t.same(essence(now), essence(old))
  }
})

t.test('what cannot be undone is told, and the rest is undone', async (t) => {
  const [old, wanted] = [withMtu(1400), withMtu(1300)]
  const perform = (step: { verb: string; what: string }): void => {
    if (step.verb === 'add' && step.what === 'link') throw new Error('no link')
  }
  const error = await applyPlan(old, planned(old, wanted), perform).catch((error: unknown) => error)
  t.match(error, { lasting: [/link lan.*no link/], message: /could not be undone/ })
  const { state } = error as ReloadError
  t.same(state.routes.length, 2)
  t.same(
    state.links.map(({ name }) => name),
    ['wan'],
  )
})

/** Every link of IPv6 has one fe80::… besides, which the node makes up. */
const isConfigured = (address: string): boolean => !address.startsWith('fe80:')

/** All that can be seen of a router's configuration from outside. */
function seen(router: Router) {
  const { network, datagram } = router.node.top
  return {
    ports: [...datagram.list()].map(({ local }) => local.port).sort(),
    links: network
      .links()
      .map(({ name, mtu, addresses }) => ({ name, mtu, addresses: addresses.filter(isConfigured) }))
      .sort(byText),
    routes: network.routes.list().sort(byText),
    boundaries: router.node.boundaries.map(({ name }) => name).sort(),
    policy: network.policy().map(({ packets: _packets, ...rule }) => rule),
    translation: network.translation(),
    groups: network.groups(),
  }
}

/** What a routing protocol sees of links by itself it sees within a moment. */
async function alike(one: Router, other: Router): Promise<void> {
  for (let i = 0; i < 20 && !isDeepStrictEqual(seen(one), seen(other)); i++) await sleep(10)
  assert.deepEqual(seen(one), seen(other))
}

t.test('a router after a reload is as one that began so', async (t) => {
  const fixture = { name: 'R', ipv6: true, clampMss: false, reversePath: 'off', hosts: {}, leases: undefined } as const
  const check = fc.asyncProperty(states(), states(), async (old, wanted) => {
    await using reloaded = await Router.start({ fixture, state: old })
    await using fresh = await Router.start({ fixture, state: wanted })
    await reloaded.reload(wanted)
    await alike(reloaded, fresh)
    await reloaded.reload(old)
    await reloaded.reload(wanted)
    await alike(reloaded, fresh)
  })
  const { failed, errorInstance } = await fc.check(check, { numRuns: 40 })
  t.notOk(failed, String(errorInstance))
})

t.test('a link that cannot be had leaves the router as it was', async (t) => {
  const fixture = { name: 'R', ipv6: true, clampMss: false, reversePath: 'off', hosts: {}, leases: undefined } as const
  const state = withMtu(1400)
  await using router = await Router.start({ fixture, state })
  const before = seen(router)
  const [lan, wan] = state.links as [RouterState['links'][number], RouterState['links'][number]]
  const device = { ...lan, spec: { ...udp(undefined), local: { host: '192.0.2.1', port: 1 } } as typeof lan.spec }
  await t.rejects(router.reload({ links: [wan, device], routes: [], services: [] }), { message: /nothing was changed/ })
  t.same(seen(router), before)
  t.same(router.state, state)
})
