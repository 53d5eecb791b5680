/** Three routers in a chain, as processes over UDP on loopback, operated by the commands. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { ms } from '../../../src/index.ts'
import { ask } from '../../../tools/control/client.ts'
import type { PingAnswer } from '../../../tools/control/node-methods.ts'
import { Commands, freePorts, type Running } from '../running.ts'

t.setTimeout(600_000)
const commands = new Commands(t)
const { folder } = commands
process.env.XDG_RUNTIME_DIR = folder
const ports = await freePorts(6)
const [a, b, c, d, stub, spare] = ports as [number, number, number, number, number, number]

/** r1 ─ 10.12.0.0/24 ─ r2 ─ 10.23.0.0/24 ─ r3 ─ 10.3.0.0/24 */
const FILES: Readonly<Record<string, string>> = {
  r1: `name: r1
links:
  right: { link: 'udp:127.0.0.1:${a},peer=127.0.0.1:${b}', addresses: [10.12.0.1/24, 'fd12::1/64'] }
gateway: 10.12.0.2
hosts: { far: 10.3.0.1 }
routes: [{ prefix: '::/0', via: 'fd12::2' }]
`,
  r2: `name: r2
links:
  left: { link: 'udp:127.0.0.1:${b},peer=127.0.0.1:${a}', addresses: [10.12.0.2/24, 'fd12::2/64'] }
  right: { link: 'udp:127.0.0.1:${c},peer=127.0.0.1:${d}', addresses: [10.23.0.2/24, 'fd23::2/64'] }
routes:
  - { prefix: 10.3.0.0/24, via: 10.23.0.3 }
`,
  r3: `name: r3
links:
  left: { link: 'udp:127.0.0.1:${d},peer=127.0.0.1:${c}', addresses: [10.23.0.3/24, 'fd23::3/64'] }
  stub: { link: 'udp:127.0.0.1:${stub}', addresses: [10.3.0.1/24] }
gateway: 10.23.0.2
routes: [{ prefix: '::/0', via: 'fd23::2' }]
`,
}
const fileOf = (name: string): string => join(folder, `${name}.yaml`)
const write = (name: string, text: string): void => writeFileSync(fileOf(name), text)
const routers = new Map<string, Running>()

function start(name: string, ...more: string[]): Running {
  write(name, FILES[name] as string)
  const router = commands.start(['router', '--config', fileOf(name), ...more])
  routers.set(name, router)
  return router
}

const ping = (node: string, host: string, timeout = 30_000): Promise<PingAnswer> =>
  ask(node, 'ping', { host, timeout }) as Promise<PingAnswer>

t.before(async () => {
  const started = [start('r1'), start('r2', '--metrics', '0'), start('r3')]
  await Promise.all(started.map((router) => router.said(/"forwarding"/)))
})

t.test('a ping from a router names the way', async (t) => {
  const [pinged, traced, lost, silent] = await Promise.all([
    commands.run('ping', '@r1', 'far', '-c', '2', '-i', '0.1', '-W', '30'),
    commands.run('trace', '@r1', '10.3.0.1', '-q', '1'),
    commands.run('ping', '@r3', '10.3.0.9', '-c', '1', '-W', '0.1'),
    commands.run('trace', '@r3', '10.3.0.8', '-q', '1', '-m', '1', '-W', '0.1'),
  ])
  t.match(pinged, { code: 0, out: /seq=2 ttl=63 time=[\d.]+ ms via 10\.12\.0\.2 on right\n/ })
  t.match(traced, { code: 0, out: /^ 1 {2}10\.12\.0\.2 .* ms {2}via 10\.12\.0\.2 on right\n 2 {2}10\.3\.0\.1 / })
  t.match(lost, { code: 4, out: /^seq=1 no answer within 0\.1 s on stub\n/ }, 'where nobody answers, the routes say it')
  t.match(silent, { code: 4, out: /^ 1 {2}\* {2}on stub\n/ })
})

t.test('what the commands show', async (t) => {
  const [routes, explained, status, doctor, links] = await Promise.all([
    commands.run('routes', '@r2'),
    commands.run('explain', 'route', '10.3.0.1', '@r2'),
    commands.run('status', '@r2'),
    commands.run('doctor', '@r1'),
    commands.run('links', '@r3'),
  ])
  t.match(routes.out, /^PREFIX +VIA +LINK +METRIC +ORIGIN\n10\.3\.0\.0\/24 +10\.23\.0\.3 +right +0 +static\n/)
  t.match(explained, { code: 0, out: /^10\.3\.0\.1 takes 10\.3\.0\.0\/24 via 10\.23\.0\.3 on right/ })
  t.match(status.out, /node +r2 \(process \d+\), up[\s\S]*links +2 up\n[\s\S]*reloads +0 done, 0 refused/)
  t.match(doctor, {
    code: 0,
    out: /ok {4}next hop 10\.12\.0\.2 on right: it answers .* also to packets of 1450 octets/,
  })
  const neighbours = (await ask('r2', 'neighbours')) as { readonly address: string }[]
  const known = new Set(neighbours.map(({ address }) => address))
  t.ok(known.has('10.12.0.1') && known.has('10.23.0.3'))
  t.match(links.out, /stub +up[^\n]*\n {8}10\.3\.0\.1\/24/)
  for (const { out } of [routes, explained, status, links]) {
    const wide = out.split('\n').filter((line) => line.length > 80 && !line.includes(folder) && !line.startsWith('{'))
    t.same(wide, [], 'fits a terminal')
  }
})

t.test('IPv6 goes the same way', async (t) => {
  const answer = await ping('r1', 'fd23::3')
  t.match(answer, { reply: { outcome: 'reply', ttl: 63 }, way: { prefix: '::/0', via: 'fd12::2', link: 'right' } })
})

t.test('figures for Prometheus, and whether it is ready', async (t) => {
  const port = /"port":(\d+)/.exec(routers.get('r2')?.err ?? '')?.[1]
  const get = (path: string): Promise<Response> => fetch(`http://127.0.0.1:${port}${path}`)
  const metrics = await (await get('/metrics')).text()
  t.match(metrics, /\nnetstrata_link_up\{link="left"\} 1\n/)
  t.match(metrics, /\nnetstrata_boundary_packets_total\{boundary="r2\/left\/ethernet",direction="received"\} [1-9]/)
  t.match(metrics, /\nnetstrata_routes\{origin="static"\} 1\n/)
  t.match(metrics, /\nnetstrata_reloads_total\{result="done"\} 0\n/)
  t.match(metrics, /\nprocess_resident_memory_bytes \d/)
  t.same(await (await get('/readyz')).json(), { ready: true, linksDown: [] })
  t.equal((await get('/healthz')).status, 200)
  t.equal((await get('/nothing')).status, 404)
})

t.test('a reload disturbs no traffic of what stays', async (t) => {
  const traffic = commands.start(['ping', '@r1', '10.3.0.1', '-c', '40', '-i', '0.05', '-W', '30', '--json'])
  await traffic.said(/"sequence":3,/)
  const more = `  lab: { link: 'udp:127.0.0.1:${spare}', addresses: [10.44.0.1/24] }\n`
  write('r2', `${FILES.r2?.replace('routes:', `${more}routes:`)}  - { prefix: 10.55.0.0/16, via: 10.44.0.9 }\n`)
  const dry = await commands.run('router', '--config', fileOf('r2'), '--dry-run')
  t.match(dry, {
    code: 0,
    out: `+ link lab: udp:127.0.0.1:${spare}\n+ address 10.44.0.1/24 on lab\n+ route 10.55.0.0/16 via`,
  })
  const r2 = routers.get('r2') as Running
  r2.child.kill('SIGHUP')
  await r2.said(/"the configuration was reloaded"/)
  const { out } = await traffic.ended()
  t.match(out, /"sent":40,"received":40,/)
})

t.test('a bad file leaves what ran before, and says why', async (t) => {
  const r2 = routers.get('r2') as Running
  write('r2', `${FILES.r2}  - { prefix: 10.66.0.0/16, via: 10.99.0.1 }\n`)
  r2.child.kill('SIGHUP')
  await r2.said(/not reloaded[^\n]*\n/)
  t.match(await ask('r2', 'status'), {
    ...{ reloads: 1, failedReloads: 1 },
    lastReload: { error: /r2\.yaml:7:5: routes\.1: 10\.99\.0\.1 is on no network of any link/ },
  })
  t.match(await commands.run('doctor', '@r2'), { code: 1, out: /FAIL {2}configuration: [\s\S]*--check/ })
  t.match(await ping('r1', '10.3.0.1'), { reply: { outcome: 'reply' } })
})

t.test('a link that cannot be had leaves what ran before', async (t) => {
  const r2 = routers.get('r2') as Running
  const device = `  tap: { link: 'tap:none0,netns=absent', addresses: [10.77.0.1/24] }\n`
  write('r2', FILES.r2?.replace('routes:', `${device}routes:`) as string)
  r2.child.kill('SIGHUP')
  await r2.said(/link tap: tap:none0[^\n]*nothing was changed/)
  t.match(await ping('r1', '10.3.0.1'), { reply: { outcome: 'reply' } })
  t.match(await ask('r2', 'configuration'), { links: [{ name: 'left' }, { name: 'right' }, { name: 'lab' }] })
  write('r2', FILES.r2?.replace('name: r2', 'name: other') as string)
  t.match(await ask('r2', 'reload'), { error: /^name: only a restart/ })
})

t.test('a link is made worse only where that is allowed, and for a time', async (t) => {
  const refused = await commands.run('link', '@r2', 'right', 'set', 'loss=100%')
  t.match(refused, { code: 1, err: /faults: true.*--yes/ })
  const fault = (params: object): Promise<unknown> => ask('r2', 'fault', { link: 'right', force: false, ...params })
  await t.rejects(fault({ link: 'nowhere' }), { message: /there are: left, right/ })
  t.match(await commands.run('link', '@r2', 'right', 'set', 'delay=500ms', '--yes'), { code: 0 })
  const slow = await ping('r1', '10.3.0.1')
  t.ok(slow.reply.outcome === 'reply' && slow.reply.roundTrip >= ms(1000), 'each way')
  await fault({ impairment: { loss: 1 } })
  await t.rejects(ping('r1', '10.3.0.1', 100), { code: 'ETIMEDOUT' })
  await fault({ impairment: { loss: 1 }, seconds: 0.3 })
  await (routers.get('r2') as Running).said(/a link is as it was/)
  const again = await ping('r1', '10.3.0.1')
  t.ok(again.reply.outcome === 'reply' && again.reply.roundTrip < ms(1000), 'the file has no delay')
  await fault({ impairment: { loss: 1 } })
  await fault({})
  t.match(await ping('r1', '10.3.0.1'), { reply: { outcome: 'reply' } })
})

t.test('a start that fails leaves nothing', async (t) => {
  const taken = createServer()
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
  const { port } = taken.address() as { port: number }
  write('r9', FILES.r3?.replace('r3', 'r9').replace(`:${stub}`, ':0').replace(`:${d}`, `:0`) as string)
  const end = await commands.run('router', '--config', fileOf('r9'), '--metrics', String(port))
  t.match(end, { code: 1, err: /EADDRINUSE/ })
  taken.close()
  t.same(commands.sockets().sort(), ['r1.sock', 'r2.sock', 'r3.sock'])
})

t.test('SIGTERM ends it in good order', async (t) => {
  for (const [name, router] of routers) t.match(await router.interrupt('SIGTERM'), { code: 0, out: '' }, name)
  t.same(commands.sockets(), [])
  t.notOk(existsSync(join(folder, 'netstrata')))
  t.match(readFileSync(fileOf('r1'), 'utf8'), FILES.r1)
})
