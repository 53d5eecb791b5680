/** Reloads that tell routing protocols something else, between two routers of ours: all of it or nothing. */
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { IpAddress } from '../../../src/index.ts'
import { configOf, type RouterConfig, type RouterFile } from '../../../tools/router/config.ts'
import { contradictions } from '../../../tools/router/contradictions.ts'
import { describeStep } from '../../../tools/router/plan.ts'
import { Router } from '../../../tools/router/router.ts'
import { freePorts } from '../running.ts'

const ports = (await freePorts(2)) as [number, number]

function config(number: 1 | 2, more: Partial<RouterFile> = {}): RouterConfig {
  const [own, other] = number === 1 ? ports : ports.toReversed()
  const file: RouterFile = {
    name: `R${number}`,
    links: { way: { link: `udp:127.0.0.1:${own},peer=127.0.0.1:${other}`, addresses: [`10.0.0.${number}/24`] } },
    babel: { interfaces: { way: { helloInterval: '1s' } }, announce: [`10.${number}.0.0/16`] },
    ...{ routes: [], clampMss: false, reversePath: 'off', faults: false, hosts: {} },
    ...more,
  }
  t.same(contradictions(file), [])
  return configOf(file)
}

const leads = (router: Router, to: string): boolean => router.node.top.network.routes.lookup(to)?.action === 'forward'

async function comes(holds: () => boolean): Promise<void> {
  while (!holds()) await sleep(20)
}

t.test('all of it or nothing, and a link that is exchanged is spoken on again', { timeout: 120_000 }, async (t) => {
  const { fixture, state } = config(1)
  await using near = await Router.start({ fixture, state })
  await using far = await Router.start(config(2))
  await comes(() => leads(near, '10.2.0.9') && leads(far, '10.1.0.9'))
  const { babel } = near
  const own = () => babel?.routes().flatMap(({ prefix, via }) => (via === undefined ? [prefix] : []))

  const wanted = config(1, {
    babel: { interfaces: { way: { helloInterval: '1s', rxcost: 300 } }, announce: ['10.77.0.0/16'] },
    rip: { interfaces: { way: {} } },
  })
  const squatter = near.node.top.datagram.bind({ address: IpAddress.ipv4(0), port: 520, link: 'way' }, {})
  await t.rejects(near.reload(wanted.state), { message: /^'\+ RIP on way' failed .*; nothing was changed$/ })
  t.strictSame(own(), ['10.1.0.0/16'])
  t.strictSame(near.state, state)
  squatter.close()
  t.strictSame((await near.reload(wanted.state)).map(describeStep), [
    '~ Babel: announce +10.77.0.0/16 -10.1.0.0/16; rxcost of way default → 300',
    '+ RIP on way',
  ])
  t.strictSame(own()?.includes('10.1.0.0/16'), false)
  await comes(() => leads(far, '10.77.0.9') && !leads(far, '10.1.0.9'))
  await comes(() => far.babel?.neighbours()[0]?.cost === 300)
  t.strictSame((await near.reload({ ...state, services: [] })).map(describeStep), ['- Babel on way', '- RIP on way'])

  await near.reload(state)
  await comes(() => leads(near, '10.2.0.9') && leads(far, '10.1.0.9'))
  const { babel: next } = near
  const links = state.links.map((link) => ({ ...link, faults: true }))
  t.match((await near.reload({ ...state, links })).map(describeStep), [/^- address/, /^- link/, /^\+ link/, /^\+ add/])
  t.equal(near.babel, next, 'Babel goes on')
  await comes(() => !leads(near, '10.2.0.9'))
  await comes(() => leads(near, '10.2.0.9') && leads(far, '10.1.0.9'))
})
