/** Parts of a router that end with a failure, or cannot begin: what it says of itself stays what is so. */
import t from 'tap'
import { packetsInUse } from '../../../src/kernel/packet.ts'
import type { ReloadError } from '../../../tools/router/apply.ts'
import { configOf, type FileLink, type RouterConfig } from '../../../tools/router/config.ts'
import { Router } from '../../../tools/router/router.ts'

const lan: FileLink = { link: 'udp:127.0.0.1:0,engine=dgram', addresses: ['10.0.0.1/24'] }
/** Too little for IPv6. */
const narrow: FileLink = { link: 'udp:127.0.0.1:0,engine=dgram,mtu=1000', addresses: [] }

const config = (links: Record<string, FileLink>, speaks = false): RouterConfig =>
  configOf({
    ...{ name: 'R', ipv6: true, clampMss: false, reversePath: 'off', faults: false, hosts: {}, routes: [], links },
    ...(speaks ? { babel: { interfaces: { lan: {} } } } : {}),
  })

/** A router all of whose later parts fail when they end. */
async function failing(): Promise<{ router: Router; told: string[] }> {
  const told: string[] = []
  const router = await Router.start(config({ lan }), undefined, (part, error) => told.push(`${part}: ${error}`))
  const attach = router.node.attach.bind(router.node)
  router.node.attach = async (name, blueprint) => {
    const part = await attach(name, blueprint)
    part.env.defer(() => Promise.reject(new Error('no end')))
    return part
  }
  return { router, told }
}

const shown = ({ node }: Router) => node.top.network.links().map(({ name, addresses }) => `${name} ${addresses[0]}`)

t.test('a link whose end fails is gone all the same, and may come again', async (t) => {
  const before = packetsInUse()
  const { router, told } = await failing()
  const both = config({ lan, wan: { ...lan, addresses: ['10.1.0.1/24'] } }).state
  const one = config({ lan }).state
  for (const round of [1, 2]) {
    t.equal((await router.reload(both)).length, 2)
    t.strictSame(shown(router).sort(), ['lan 10.0.0.1/24', 'wan 10.1.0.1/24'], `round ${round}`)
    t.ok((await router.reload(one)).length > 0)
    t.strictSame(told.splice(0), ['wan: Error: no end'])
    t.strictSame(shown(router), ['lan 10.0.0.1/24'])
    t.strictSame(router.state, one)
  }
  await router.close()
  t.equal(packetsInUse(), before)
})

t.test('a service whose end fails has ended, and may begin again', async (t) => {
  const { router, told } = await failing()
  const silent = config({ lan }).state
  await router.reload(config({ lan }, true).state)
  t.ok(router.babel)
  await router.reload(silent)
  t.strictSame(told.splice(0), ['routing Babel: Error: no end'])
  t.equal(router.babel, undefined)
  t.strictSame(router.state, silent)
  await router.reload(config({ lan }, true).state)
  t.ok(router.babel)
  await router.close()
  t.strictSame(told, ['routing Babel: Error: no end'], 'also at the very end, which comes all the same')
  t.strictSame(shown(router), [])
})

t.test('a link that cannot be attached is told for what it is, whatever its end is like', async (t) => {
  const { router, told } = await failing()
  const before = router.state
  const error = await router.reload(config({ lan, narrow }).state).then(
    () => undefined,
    (error: ReloadError) => error,
  )
  t.match(error?.message, /'\+ link narrow: .*' failed \(.*needs 1280 at least\); nothing was changed/)
  t.strictSame(told, ['narrow: Error: no end'])
  t.strictSame(router.state, before)
  t.strictSame(shown(router), ['lan 10.0.0.1/24'])
  const wan = { ...lan, addresses: ['10.1.0.1/24'] }
  const again = await router.reload(config({ lan, wan, narrow }).state).catch((error: unknown) => error)
  t.match(again, { lasting: [], message: /nothing was changed/ })
  t.strictSame(shown(router), ['lan 10.0.0.1/24'], 'and what came before it is undone')
  t.strictSame(told.splice(0).sort(), ['narrow: Error: no end', 'narrow: Error: no end', 'wan: Error: no end'])
  await router.close()
})
