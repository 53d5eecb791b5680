/**
 * The commands of a running daemon, and its figures: each is asked with `--json`, and held against what the kernels on both sides know.
 *
 *    a: 10.1.0.1, fd00:1::1 ── r ── c: 10.2.0.1, fd00:2::1
 */
import t from 'tap'
import { comes } from './babel-peers.ts'
import { Daemons, type Told } from './daemons.ts'
import { answered } from './echoes.ts'
import { type Metric, parseExposition } from './exposition.ts'
import { type Namespace, namespace, oracle } from './helpers.ts'

t.setTimeout(600_000)
const skip = oracle('root', 'tun', 'ip', 'ping', 'curl', 'busybox')

const daemons = new Daemons(t)

interface Place {
  readonly a: Namespace
  readonly c: Namespace
  readonly r: Namespace
}

async function place(): Promise<Place> {
  const [a, c, r] = [namespace(t), namespace(t), namespace(t)]
  const configuration = {
    links: {
      left: {
        link: `tap:x0,netns=${a.name}`,
        addresses: ['10.1.0.254/24', 'fd00:1::254/64'],
        dhcp: { pool: ['10.1.0.100', '10.1.0.109'] },
      },
      right: { link: `tap:x0,netns=${c.name},mtu=1400`, addresses: ['10.2.0.254/24', 'fd00:2::254/64'] },
    },
    routes: [
      { prefix: '10.2.0.0/16', via: '10.1.0.1' },
      { prefix: '10.9.0.0/16', via: '10.2.0.1', metric: 5 },
      { prefix: '10.9.0.0/16', via: '10.1.0.1', metric: 10 },
      { prefix: '10.66.0.0/16', action: 'blackhole' },
    ],
    babel: { interfaces: { right: {} }, announce: ['10.1.0.0/24'] },
    faults: true,
    hosts: { printer: '10.2.0.1' },
  }
  await daemons.start(r, 'r', configuration, '--metrics', '9100')
  for (const [side, net] of [[a, 1] as const, [c, 2] as const]) {
    side.ip('addr', 'add', `10.${net}.0.1/24`, 'dev', 'x0')
    side.ip('addr', 'add', `fd00:${net}::1/64`, 'dev', 'x0', 'nodad')
    side.ip('route', 'add', 'default', 'via', `10.${net}.0.254`)
    side.ip('-6', 'route', 'add', 'default', 'via', `fd00:${net}::254`)
  }
  c.ip('addr', 'add', '10.9.0.1/32', 'dev', 'lo')
  return { a, c, r }
}

const macOf = ({ ip }: Namespace): string => JSON.parse(ip('-j', 'link', 'show', 'dev', 'x0'))[0].address
const named = (all: readonly Told[], name: string): Told | undefined => all.find((one) => one.name === name)
const received = async ({ run }: Namespace, ...args: string[]): Promise<number> =>
  Number(/(\d+) received/.exec((await run('ping', '-q', '-W', '1', '-i', '0.02', ...args)).output)?.[1])

async function shown({ r }: Place, path: string): Promise<{ head: string; body: string }> {
  const { output } = await r.run('curl', '-sS', '-i', `http://127.0.0.1:9100${path}`)
  const end = output.indexOf('\r\n\r\n')
  return { head: output.slice(0, end), body: output.slice(end + 4) }
}

const figure = (metrics: Map<string, Metric>, name: string, labels: Told): number | undefined =>
  metrics
    .get(name)
    ?.samples.find((sample) => Object.entries(labels).every(([label, value]) => sample.labels[label] === value))?.value

t.test('a daemon that runs', { skip }, async (t) => {
  const there = await place()
  const { a, c } = there
  const reached =
    (...to: string[]) =>
    async (): Promise<boolean> =>
      (await answered(a, 5, '-i', '0.02', ...to)) === 5
  t.ok(await comes(reached('10.2.0.1'), 60_000), 'it forwards IPv4')
  t.ok(await comes(reached('-6', 'fd00:2::1'), 60_000), 'and IPv6')
  await a.run('busybox', 'udhcpc', '-f', '-q', '-n', '-i', 'x0', '-s', '/bin/true')

  await t.test('what there is', async (t) => {
    const questions = ['status', 'routes', 'neigh', 'sockets', 'links', 'counters', 'leases', 'babel', 'doctor']
    const answers = await Promise.all(questions.map((question) => daemons.ask([question, '@r'])))
    const [status, routes, neigh, sockets, links, counters, leases, babel, doctor] = answers as Told[][]
    t.match(status, [{ name: 'r', links: { up: 2, down: 0 }, routes: 8, reloads: 0, failedReloads: 0 }])
    t.match(
      routes?.filter(({ origin }) => origin === 'static').map(({ prefix, via, metric }) => [prefix, via, metric]),
      [
        ['10.2.0.0/16', '10.1.0.1', 0],
        ['10.9.0.0/16', '10.2.0.1', 5],
        ['10.9.0.0/16', '10.1.0.1', 10],
        ['10.66.0.0/16', undefined, 0],
      ],
    )
    for (const [address, link, side] of [
      ['10.1.0.1', 'left', a],
      ['fd00:1::1', 'left', a],
      ['10.2.0.1', 'right', c],
      ['fd00:2::1', 'right', c],
    ] as const) {
      t.match(
        neigh?.find((one) => one.address === address),
        { link, linkAddress: macOf(side) },
        `neigh: ${address}`,
      )
    }
    t.strictSame(sockets?.map(({ protocol, local }) => `${protocol} ${local}`).sort(), [
      'udp 0.0.0.0%left:67',
      'udp [::%right]:6696',
    ])
    t.match(named(links ?? [], 'right'), {
      state: 'up',
      mtu: 1400,
      addresses: ['10.2.0.254/24', /^fe80:/, 'fd00:2::254/64'],
    })
    const [{ stats64: kernel }] = JSON.parse(c.ip('-j', '-s', 'link', 'show', 'dev', 'x0'))
    const tap = named(counters ?? [], 'r/right/tap') as Told
    t.ok(tap.rxPackets >= 10 && tap.rxPackets <= kernel.tx.packets, 'as many packets as the kernel has sent')
    t.ok(tap.txPackets >= 10 && tap.txPackets <= kernel.rx.packets, 'and received')
    t.match(leases, [{ address: /^10\.1\.0\.10\d$/, link: 'left', hardware: macOf(a), state: 'leased' }])
    t.match(babel, [
      { routerId: /^[0-9a-f]{16}$/, neighbours: [], routes: [{ prefix: '10.1.0.0/24', selected: true }] },
    ])
    t.strictSame(
      doctor?.filter(({ result }) => result !== 'ok'),
      [],
      'nothing is wrong',
    )
    t.ok(doctor?.some(({ detail }) => /also to packets of 1400 octets/.test(detail)))
  })

  await t.test('which way, and why', async (t) => {
    const explain = (to: string, code = 0) => daemons.ask(['explain', 'route', to, '@r'], code)
    const [longest, metric, hole, own, none] = await Promise.all([
      explain('10.2.0.1'),
      explain('10.9.1.1'),
      explain('10.66.0.1', 4),
      explain('10.2.0.254'),
      explain('192.0.2.1', 4),
    ])
    t.match(longest, [
      { chosen: { prefix: '10.2.0.0/24', link: 'right' }, candidates: { length: 2, 1: { rule: 'longestPrefix' } } },
    ])
    t.match(metric, [{ chosen: { via: '10.2.0.1' }, candidates: { length: 2, 1: { rule: 'metric' } } }])
    t.match(hole, [{ chosen: { action: 'blackhole' } }])
    t.match(own, [{ local: true }])
    t.strictSame(none, [{ destination: '192.0.2.1', local: false, candidates: [] }])
  })

  await t.test('ping and trace name the way', async (t) => {
    const [pings, large, trace] = await Promise.all([
      daemons.ask(['ping', '@r', 'printer', '-c', '2', '-i', '0.1']),
      daemons.ask(['ping', '@r', 'fd00:2::1', '-c', '1', '-s', '4000']),
      daemons.ask(['trace', '@r', '10.9.0.1', '-q', '1']),
    ])
    const way = { prefix: '10.2.0.0/24', link: 'right' }
    t.match(pings, [
      { sequence: 1, outcome: 'reply', way },
      { sequence: 2, way },
      { host: 'printer', sent: 2, received: 2 },
    ])
    t.match(large, [{ outcome: 'reply', octets: 4000 }, { received: 1 }])
    t.match(trace, [{ hop: 1, probes: [{ address: '10.9.0.1' }], way: { prefix: '10.9.0.0/16', via: '10.2.0.1' } }])
    const nowhere = await daemons.commands.run('ping', '@r', '192.0.2.1', '-c', '1', '--json')
    t.match(nowhere, { code: 4, err: /"ENETUNREACH"/ })
  })

  await t.test('a link is made worse', async (t) => {
    const set = (...words: string[]) => daemons.ask(['link', '@r', 'right', ...words])
    t.match(await set('set', 'loss=100%'), [{ link: 'right', impairment: { loss: 1 } }])
    t.equal(await received(a, '-c', '3', '10.2.0.1'), 0, 'nothing passes')
    t.match(await set('set', 'loss=0'), [{ link: 'right', impairment: { loss: 0 } }])
    t.equal(await answered(a, 5, '-i', '0.02', '10.2.0.1'), 5, 'all passes again')
    t.match(await set('set', 'delay=60ms'), [{ impairment: { delay: 60_000 } }])
    const { output } = await a.run('ping', '-c', '1', '-W', '30', '10.2.0.1')
    t.ok(Number(/time=([\d.]+)/.exec(output)?.[1]) >= 120, 'each way')
    t.match(await set('clear'), [{ link: 'right' }])
    const drops = named(await daemons.ask(['counters', '@r']), 'r/right/impair')?.drops
    t.ok(drops.loss >= 3, 'what was lost is counted')
    const { code, err } = await daemons.commands.run('link', '@r', 'nowhere', 'clear', '--json')
    t.match([code, JSON.parse(err)], [1, { error: { code: 'ENODEV', message: /left, right/ } }])
  })

  await t.test('for Prometheus', async (t) => {
    const { head, body } = await shown(there, '/metrics')
    t.match(head, /^HTTP\/1\.1 200 [\s\S]*content-type: text\/plain; version=0\.0\.4/i)
    const metrics = parseExposition(body)
    for (const line of ['x{a="b} 1', 'x 1\nx 1', 'x one', '# TYPE x thing', 'x 1'])
      t.throws(() => parseExposition(`${body}${line}\n`), `the parser refuses ${line}`)
    const tap = named(await daemons.ask(['counters', '@r']), 'r/left/tap') as Told
    const seen =
      figure(metrics, 'netstrata_boundary_packets_total', { boundary: 'r/left/tap', direction: 'received' }) ?? 0
    t.ok(seen > 10 && seen <= tap.rxPackets, 'what counters say')
    t.equal(figure(metrics, 'netstrata_routes', { origin: 'static' }), 4)
    t.equal(figure(metrics, 'netstrata_link_mtu_octets', { link: 'right' }), 1400)
    t.ok((figure(metrics, 'netstrata_drops_total', { boundary: 'r/right/impair', reason: 'loss' }) ?? 0) >= 3)
    t.match(await shown(there, '/healthz'), { head: /^HTTP\/1\.1 200 /, body: '{"healthy":true}' })
    t.match(await shown(there, '/readyz'), { head: /^HTTP\/1\.1 200 /, body: '{"ready":true,"linksDown":[]}' })
    t.match(await shown(there, '/other'), { head: /^HTTP\/1\.1 404 / })
  })

  await t.test('a link that is down', async (t) => {
    c.ip('link', 'set', 'x0', 'down')
    t.ok(await comes(async () => (await shown(there, '/readyz')).body.includes('"right"'), 60_000), 'readyz names it')
    const [links, explained, doctor] = await Promise.all([
      daemons.ask(['links', '@r']),
      daemons.ask(['explain', 'route', '10.9.1.1', '@r']),
      daemons.ask(['doctor', '@r'], 1),
    ])
    t.match(named(links, 'right'), { state: 'down' })
    t.match(explained, [{ chosen: { via: '10.1.0.1', link: 'left' }, candidates: { 1: { rule: 'linkDown' } } }])
    t.match(
      doctor.find(({ check }) => check === 'link right'),
      { result: 'failed', advice: /./ },
    )
    t.match(parseExposition((await shown(there, '/metrics')).body).get('netstrata_link_up')?.samples, [
      { value: 1 },
      { value: 0 },
    ])
  })

  t.match(await daemons.ask(['reload', '@r']), [{ steps: [] }])
  t.match(await daemons.ask(['status', '@r']), [{ reloads: 1, lastReload: { at: Number } }])
  const nobody = await daemons.commands.run('status', '@nobody', '--json')
  t.match([nobody.code, JSON.parse(nobody.err)], [4, { error: { code: 'ENOENT', message: /running here: @r/ } }])
})
