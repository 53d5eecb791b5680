/**
 * A reload of the daemon while packets pass, one that is refused, and its end, as bird sees them.
 *
 *    a: a kernel ── r ══ c: bird, by VXLAN: its device stays when the daemon goes
 */
import t from 'tap'
import { bird, comes, KEY, kernelRouter, pings } from './babel-peers.ts'
import { Daemons } from './daemons.ts'
import { answered } from './echoes.ts'
import { type Namespace, namespace, oracle, run } from './helpers.ts'
import { tunnelSide } from './stand.ts'

t.setTimeout(600_000)
const skip = oracle('root', 'tun', 'ip', 'ping', 'bird', 'ethtool')

const HOW = { helloInterval: '1s', updateInterval: '4s', keys: [{ algorithm: 'hmac-sha256', key: KEY }] }

const via = (kernel: Namespace, prefix: string) => async (): Promise<boolean> =>
  kernel.ip('route', 'show', prefix).includes(' via 10.2.3.1 ')
const noRoute = (kernel: Namespace, prefix: string) => async (): Promise<boolean> => !(await via(kernel, prefix)())

t.test('reloads, and the end', { skip }, async (t) => {
  const daemons = new Daemons(t)
  const [a, c] = [namespace(t), await kernelRouter(t, 3)]
  const r = await tunnelSide(t, c)
  const configuration = (routes: readonly object[], more: object = {}) => ({
    links: {
      left: { link: `tap:x0,netns=${a.name}`, addresses: ['10.1.0.254/24'] },
      right: { link: 'udp:192.0.2.2:4789,peer=192.0.2.1:4789,vni=42', addresses: ['10.2.3.1/24'] },
      ...more,
    },
    routes,
    babel: {
      interfaces: { right: HOW },
      redistribute: [
        { origin: 'link', prefix: '10.1.0.0/24', action: 'allow' },
        { origin: 'static', prefix: '10.0.0.0/8', action: 'allow' },
      ],
    },
  })
  const first = configuration([{ prefix: '10.50.0.0/16', via: '10.1.0.1' }])
  const more = { link: `tap:y0,netns=${a.name}`, addresses: ['10.4.0.254/24'] }
  const second = configuration([{ prefix: '10.60.0.0/16', via: '10.1.0.1' }], { more })
  const router = await daemons.start(r, 'r', first)
  a.ip('addr', 'add', '10.1.0.1/24', 'dev', 'x0')
  a.ip('route', 'add', 'default', 'via', '10.1.0.254')
  c.ip('addr', 'add', '10.2.3.2/24', 'dev', 'x0')
  const control = await bird(c, daemons.folder, 'x0', 'hmac sha256')
  t.ok(await comes(via(c, '10.50.0.0/16'), 60_000), 'bird has the static route')
  t.ok(await comes(pings(a, '10.1.0.1', '10.255.0.3'), 60_000), 'and the kernel reaches it')

  const flood = answered(a, 300, '-i', '0.01', '10.255.0.3')
  daemons.write('r', second)
  const file = daemons.fileOf('r')
  const steps = await daemons.ask(['router', '--config', file, '--dry-run'])
  t.strictSame(
    steps.map(({ verb, what }) => `${verb} ${what}`).sort(),
    ['add address', 'add link', 'add route', 'remove route'],
    'what the reload will do',
  )
  router.child.kill('SIGHUP')
  t.ok(await comes(via(c, '10.60.0.0/16'), 60_000), 'bird has the new route')
  t.ok(await comes(noRoute(c, '10.50.0.0/16'), 60_000), 'and not the old one')
  a.ip('addr', 'add', '10.4.0.1/24', 'dev', 'y0')
  t.ok(await comes(pings(a, '10.4.0.1', '10.4.0.254'), 60_000), 'the new link is there')
  t.equal(await flood, 300, 'nothing was lost meanwhile')

  const before = await daemons.ask(['routes', '@r'])
  const wrong = `${file}:\\d+:\\d+: gateway: 10\\.99\\.0\\.1 is on no network of any link`
  daemons.write('r', { ...first, gateway: '10.99.0.1' })
  t.match(await daemons.commands.run('router', '--config', file, '--check'), { code: 3, err: new RegExp(wrong) })
  router.child.kill('SIGHUP')
  await router.said(new RegExp(`"level":50,.*"reason":"${wrong}`))
  const absent = { link: 'tap:x0,netns=absent', addresses: ['10.5.0.1/24'] }
  daemons.write('r', configuration([{ prefix: '10.70.0.0/16', via: '10.1.0.1' }], { more, absent }))
  const refused = await daemons.commands.run('reload', '@r', '--json')
  t.match(refused, { code: 3, out: '' })
  t.match(JSON.parse(refused.err), { error: { code: 'ERR_CONFIG', message: /absent.*; nothing was changed$/ } })
  t.strictSame(await daemons.ask(['routes', '@r']), before, 'all of it or nothing')
  const [status] = await daemons.ask(['status', '@r'])
  t.match(status, { reloads: 1, failedReloads: 2, links: { up: 3, down: 0 }, lastReload: { error: /absent/ } })
  t.ok(await via(c, '10.60.0.0/16')(), 'bird has what it had')
  t.ok(await pings(a, '10.1.0.1', '10.255.0.3')(), 'and the kernel reaches it')

  t.strictSame(daemons.commands.sockets(), ['r.sock'])
  const ended = router.interrupt('SIGTERM')
  t.ok(await comes(noRoute(c, '10.1.0.0/24'), 4000), 'bird hears at once that the routes are taken back')
  t.match(await ended, { code: 0 })
  t.strictSame(daemons.commands.sockets(), [])
  const { output: entries } = await run('birdc', '-s', control, 'show', 'babel', 'entries')
  t.match(entries, /^10\.1\.0\.0\/24 +\S+ +65535 /m, 'by a retraction')
})
