/** Links made worse while something else changes. */
import t from 'tap'
import { configOf, type RouterConfig } from '../../../tools/router/config.ts'
import { Faults } from '../../../tools/router/faults.ts'
import { Router } from '../../../tools/router/router.ts'

function config(...names: readonly string[]): RouterConfig {
  const links = names.map((name, i) => [name, { link: 'udp:127.0.0.1:0', addresses: [`10.${i}.0.1/24`] }] as const)
  const rest = { routes: [], clampMss: false, reversePath: 'off', faults: false, hosts: {} } as const
  return configOf({ name: 'R', links: Object.fromEntries(links), ...rest })
}

t.test('a link that is set up anew takes nothing back of a reload under way', async (t) => {
  await using router = await Router.start(config('lan'))
  const faults = new Faults(router, () => {})
  const reload = router.reload(config('lan', 'wan').state)
  await faults.set({ link: 'lan', impairment: { loss: 1 }, force: true })
  await reload
  t.match(router.state.links, [
    { name: 'lan', faults: true },
    { name: 'wan', faults: false },
  ])
  t.ok(router.faults('lan'))
  faults.close()
})

t.test('a link that goes meanwhile is not brought back', async (t) => {
  await using router = await Router.start(config('lan', 'wan'))
  const faults = new Faults(router, () => {})
  const reload = router.reload(config('lan').state)
  await t.rejects(faults.set({ link: 'wan', impairment: { loss: 1 }, force: true }), { message: /no link 'wan'/ })
  await reload
  t.strictSame(
    router.state.links.map(({ name }) => name),
    ['lan'],
  )
})

t.test('what a link cannot be does not set it up anew', async (t) => {
  await using router = await Router.start(config('lan'))
  const faults = new Faults(router, () => {})
  const request = { link: 'lan', impairment: { loss: 2 }, force: true }
  await t.rejects(faults.set(request), { code: 'ERR_OUT_OF_RANGE' })
  t.match(router.state.links, [{ name: 'lan', faults: false }])
})
