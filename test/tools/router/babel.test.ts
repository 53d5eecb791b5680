/** Babel between two routers of ours: ways are found, survive a reload of what has nothing to do with them, and are taken back. */
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { configOf, type RouterConfig, type RouterFile } from '../../../tools/router/config.ts'
import { contradictions } from '../../../tools/router/contradictions.ts'
import { describeStep, planned } from '../../../tools/router/plan.ts'
import { Router } from '../../../tools/router/router.ts'
import { freePorts } from '../running.ts'

const [a, b] = (await freePorts(2)) as [number, number]

const speaking = (helloInterval: string, updateInterval: string): NonNullable<RouterFile['babel']> => ({
  interfaces: { way: { helloInterval, updateInterval } },
  redistribute: [{ origin: 'link', prefix: '10.0.0.0/8', action: 'allow' }],
})

function config(name: string, number: number, more: Partial<RouterFile> = {}): RouterConfig {
  const [own, other] = number === 1 ? [a, b] : [b, a]
  const file: RouterFile = {
    name,
    links: {
      lan: { link: 'udp:127.0.0.1:0', addresses: [`10.${number}.0.1/24`] },
      way: { link: `udp:127.0.0.1:${own},peer=127.0.0.1:${other}`, addresses: [`10.0.0.${number}/24`] },
    },
    routes: [],
    babel: speaking('3s', '6s'),
    ...{ clampMss: false, reversePath: 'off', faults: false, hosts: {} },
    ...more,
  }
  t.same(contradictions(file), [])
  return configOf(file)
}

const way = (router: Router, to: string) => router.node.top.network.routes.lookup(to)

async function comes(holds: () => boolean): Promise<void> {
  while (!holds()) await sleep(20)
}

t.test('between two routers', { timeout: 120_000 }, async (t) => {
  await using near = await Router.start(config('near', 1))
  {
    const { fixture, state } = config('far', 2)
    await using far = await Router.start({ fixture, state: { ...state, links: state.links.slice(0, 1) } })
    await far.reload(state)
    // Until far's link has its IPv4 address, near may hear of a way that then leads nowhere.
    await comes(() => way(near, '10.2.0.9')?.via === '10.0.0.2' && way(far, '10.1.0.9') !== undefined)
    t.match(way(near, '10.2.0.9'), { prefix: '10.2.0.0/24', via: '10.0.0.2', link: 'way', origin: 'babel' })
    t.equal(near.babel?.neighbours().length, 1)

    const links = { lab: { link: 'udp:127.0.0.1:0', addresses: ['10.7.0.1/24'] } }
    const { routerId } = near.babel ?? {}
    const file = config('near', 1).state
    const lab = configOf({
      name: 'x',
      links,
      routes: [],
      clampMss: false,
      reversePath: 'off',
      faults: false,
      hosts: {},
    })
    await near.reload({ ...file, links: [...file.links.filter(({ name }) => name === 'way'), ...lab.state.links] })
    t.equal(near.babel?.routerId, routerId, 'another link is no concern of it')
    await comes(() => way(far, '10.7.0.9') !== undefined && way(far, '10.1.0.9')?.action !== 'forward')
    t.match(way(near, '10.2.0.9'), { origin: 'babel' })

    await near.reload({ ...file, services: [] })
    t.equal(near.babel, undefined)
    t.equal(way(near, '10.2.0.9'), undefined, 'without Babel, its routes are gone')
    await comes(() => way(far, '10.1.0.9')?.action !== 'forward')
    await near.reload(file)
    await comes(() => way(near, '10.2.0.9') !== undefined && way(far, '10.1.0.9')?.action === 'forward')
    await far.reload({ ...far.state, links: far.state.links.filter(({ name }) => name !== 'lan') })
    await far.reload(config('far', 2).state)
    await comes(() => way(near, '10.2.0.9')?.action === 'forward')
  }
  await comes(() => way(near, '10.2.0.9')?.action !== 'forward')
  // Nobody has noticed by its silence: it was told.
  t.match(near.babel?.neighbours(), [{ hellos: /^1/ }], 'a router that ends takes back what it announced')
})

t.test('keys are exchanged by reloads, and no way is gone meanwhile', { timeout: 120_000 }, async (t) => {
  const keyed = (name: string, number: number, ...keys: string[]): RouterConfig => {
    const plain = config(name, number, { babel: speaking('0.5s', '1s') })
    const services = plain.state.services.map((service) => {
      if (service.kind !== 'Babel') return service
      const all = keys.map((key) => ({ algorithm: 'blake2s', key }) as const)
      return { ...service, babel: { ...service.babel, keys: all } }
    })
    return { ...plain, state: { ...plain.state, services } }
  }
  await using near = await Router.start(keyed('near', 1, '11'))
  await using far = await Router.start(keyed('far', 2, '11'))
  await comes(() => way(near, '10.2.0.9')?.via === '10.0.0.2' && way(far, '10.1.0.9') !== undefined)
  const { babel } = near
  let changes = 0
  near.node.top.network.routes.follow(() => changes++)
  for (const keys of [['11', '22'], ['22']]) {
    for (const [router, name, number] of [
      [near, 'near', 1],
      [far, 'far', 2],
    ] as const) {
      t.same((await router.reload(keyed(name, number, ...keys).state)).map(describeStep), ['~ Babel: keys of way'])
      const heard = babel?.traffic()[0]?.rxPackets ?? 0
      await comes(() => (babel?.traffic()[0]?.rxPackets ?? 0) > heard + 1)
    }
  }
  t.equal(near.babel, babel)
  t.equal(changes, 0)
  t.notOk(babel?.drops.has('wrongMac'))
  await near.reload(keyed('near', 1, '33').state)
  await comes(() => babel?.drops.has('wrongMac') === true)
})

t.test('a link that comes, goes, moves or is exchanged for another is no change of Babel', async (t) => {
  const { state } = config('near', 1)
  const [lan, wayLink] = state.links
  if (lan === undefined || wayLink === undefined) throw new Error('no links')
  for (const links of [
    [wayLink],
    [lan, { ...wayLink, faults: true }],
    [lan, { ...wayLink, addresses: ['10.0.0.9/24'] }],
  ])
    t.notMatch(
      planned(state, { ...state, links })
        .map(describeStep)
        .join(),
      /Babel/,
    )
})
