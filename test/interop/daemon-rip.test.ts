/**
 * The daemon between a network of RIP and one of Babel, both of others: each finds ways into the other through it, and loses them
 * with what they lead to.
 *
 *    a: bird, RIPv2 and RIPng ── r: ours ── c: babeld
 */
import t from 'tap'
import { babeld, comes, kernelRouter, pings } from './babel-peers.ts'
import { Daemons, type Told } from './daemons.ts'
import { namespace, oracle } from './helpers.ts'
import { ripBird } from './rip-bird.ts'

t.setTimeout(600_000)
const skip = oracle('root', 'tun', 'ip', 'ping', 'babeld', 'bird')

t.test('between bird by RIP and babeld', { skip }, async (t) => {
  const daemons = new Daemons(t)
  const [a, r, c] = [await kernelRouter(t, 1), namespace(t), await kernelRouter(t, 3)]
  const links = { origin: 'link', action: 'allow' }
  const router = await daemons.start(r, 'r', {
    links: {
      left: { link: `tap:x0,netns=${a.name}`, addresses: ['10.1.2.2/24'] },
      right: { link: `tap:x0,netns=${c.name}`, addresses: ['10.2.3.1/24'] },
    },
    rip: {
      interfaces: { left: { cost: 2 } },
      redistribute: [links, { origin: 'babel', action: 'allow', metric: 3 }],
      ...{ updateInterval: '2s', timeout: '6s', garbage: '6s' },
    },
    babel: {
      interfaces: { right: { helloInterval: '1s', updateInterval: '4s' } },
      redistribute: [links, { origin: 'rip', action: 'allow', metric: 32 }],
    },
  })
  a.ip('addr', 'add', '10.1.2.1/24', 'dev', 'x0')
  c.ip('addr', 'add', '10.2.3.2/24', 'dev', 'x0')
  await ripBird(a, daemons.folder, 1)
  await babeld(c, daemons.folder, 'x0')
  t.ok(await comes(pings(a, '10.255.0.1', '10.255.0.3'), 60_000), 'IPv4 from end to end')
  t.ok(await comes(pings(c, 'fd00:255::3', 'fd00:255::1'), 60_000), 'IPv6 from end to end')

  const [[spoken = {}], [babel = {}], routes, text] = await Promise.all([
    daemons.ask(['rip', '@r']),
    daemons.ask(['babel', '@r']),
    daemons.ask(['routes', '@r']),
    daemons.shown(80, 'rip', '@r'),
  ])
  t.match(spoken.neighbours, [
    { version: 'rip2', address: '10.1.2.1', link: 'left' },
    { version: 'ripng', address: /^fe80:/, link: 'left' },
  ])
  const metricOf = (prefix: string) => spoken.routes.find((route: Told) => route.prefix === prefix)?.metric
  t.equal(metricOf('10.255.0.1/32'), 3, "bird's one, and the cost of two")
  t.equal(metricOf('10.255.0.3/32'), 4, 'one, and three of the rule')
  t.match(
    babel.routes.find(({ prefix }: Told) => prefix === '10.255.0.1/32'),
    { metric: 32, via: undefined },
    'what RIP has found is told of as our own',
  )
  const way = { via: '10.1.2.1', link: 'left', origin: 'rip' }
  t.match(
    routes.find(({ prefix }) => prefix === '10.255.0.1/32'),
    way,
  )
  t.strictSame(
    text.filter((line) => line.length > 80),
    [],
    'rip fits 80 columns',
  )

  c.ip('link', 'set', 'x0', 'down')
  const noWay = async (): Promise<boolean> => !a.ip('route', 'show', '10.255.0.3').includes(' via ')
  t.ok(await comes(noWay, 60_000), 'bird hears that nothing leads to babeld any more')
  t.match(await router.interrupt('SIGTERM'), { code: 0 })
  const none = async (): Promise<boolean> => !a.ip('route', 'show').includes('proto bird')
  t.ok(await comes(none, 60_000), 'and takes back the rest when the router leaves')
})
