/**
 * The daemon among routers of others: it finds ways for both families between babeld and bird, alone and as two in a row, loses and finds
 * them again with a link, and what its commands say of that is what the kernels on both sides say.
 *
 *    a: babeld ── r: ours ══ c: bird                  ══ with HMAC-SHA256
 *    a: babeld ── r1: ours ── r2: ours ══ c: bird     r1 and r2 by a tunnel over UDP
 */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { babeld, babelIn, bird, comes, KEY, kernelRouter, pings, rekeyBird } from './babel-peers.ts'
import { Daemons, type Told } from './daemons.ts'
import { answered } from './echoes.ts'
import { type Namespace, namespace, oracle } from './helpers.ts'

t.setTimeout(600_000)
// They wait more than they work.
t.jobs = 2
const skip = oracle('root', 'tun', 'ip', 'ping', 'traceroute', 'tshark', 'tcpdump', 'babeld', 'bird')

const HOW = { helloInterval: '1s', updateInterval: '4s' }
const SIGNED = { ...HOW, keys: [{ algorithm: 'hmac-sha256', key: KEY }] }

/** What a kernel says of its end of a link. */
function endOf({ ip }: Namespace): { mac: string; linkLocal: string } {
  const [device] = JSON.parse(ip('-6', '-j', 'addr', 'show', 'dev', 'x0'))
  const [{ address: mac }] = JSON.parse(ip('-j', 'link', 'show', 'dev', 'x0'))
  return { mac, linkLocal: device.addr_info[0].local }
}

const noRouteIn = (kernel: Namespace, prefix: string) => async (): Promise<boolean> =>
  !kernel.ip('route', 'show', prefix).includes(' via ')

/** Heals what `ip link set … down` cut: the kernel has forgotten its routes. */
function heal({ ip }: Namespace): void {
  ip('link', 'set', 'x0', 'up')
  ip('addr', 'replace', '10.1.2.1/24', 'dev', 'x0')
}

t.test('between babeld and bird', { skip, buffered: true }, async (t) => {
  const daemons = new Daemons(t)
  const [a, r, c] = [await kernelRouter(t, 1), namespace(t), await kernelRouter(t, 3)]
  const signedBy = (...keys: string[]) => ({
    links: {
      left: {
        link: `tap:x0,netns=${a.name}`,
        addresses: ['10.1.2.2/24', '10.255.0.2/32', 'fd00:255::2/128'],
      },
      right: { link: `tap:x0,netns=${c.name}`, addresses: ['10.2.3.1/24'] },
    },
    babel: {
      interfaces: { left: HOW, right: { ...HOW, keys: keys.map((key) => ({ algorithm: 'hmac-sha256', key })) } },
      announce: ['10.255.0.2/32', 'fd00:255::2/128'],
    },
  })
  const router = await daemons.start(r, 'r', signedBy(KEY))
  a.ip('addr', 'add', '10.1.2.1/24', 'dev', 'x0')
  c.ip('addr', 'add', '10.2.3.2/24', 'dev', 'x0')
  // As long as an address can be in text.
  c.ip('addr', 'add', 'fd00:255:1111:2222:3333:4444:5555:6666/128', 'dev', 'lo')
  const captures = [join(daemons.folder, 'a.pcap'), join(daemons.folder, 'c.pcap')] as const
  await a.start(/listening/, 'tcpdump', '-U', '-i', 'x0', '-w', captures[0], 'udp', 'port', '6696')
  await c.start(/listening/, 'tcpdump', '-U', '-i', 'x0', '-w', captures[1], 'udp', 'port', '6696')
  await babeld(a, daemons.folder, 'x0')
  const control = await bird(c, daemons.folder, 'x0', 'hmac sha256')

  t.ok(await comes(pings(a, '10.255.0.1', '10.255.0.3'), 60_000), 'IPv4 from end to end')
  t.ok(await comes(pings(a, 'fd00:255::1', 'fd00:255::3'), 60_000), 'IPv6 from end to end')
  t.ok(await comes(pings(c, '10.255.0.3', '10.255.0.2'), 60_000), 'what the router announces, from bird')
  t.ok(await comes(pings(a, 'fd00:255::1', 'fd00:255::2'), 60_000), 'and from babeld')

  const [left, right] = [endOf(a), endOf(c)]
  const [routes, [spoken = {}], neighbours, [explained], [traced], doctor, text] = await Promise.all([
    daemons.ask(['routes', '@r']),
    daemons.ask(['babel', '@r']),
    daemons.ask(['neigh', '@r']),
    daemons.ask(['explain', 'route', '10.255.0.3', '@r']),
    daemons.ask(['trace', '@r', 'fd00:255::3', '-q', '1']),
    daemons.ask(['doctor', '@r']),
    daemons.shown(80, 'babel', '@r'),
  ])
  const ways = {
    '10.255.0.1/32': { via: '10.1.2.1', link: 'left', origin: 'babel' },
    '10.255.0.3/32': { via: '10.2.3.2', link: 'right', origin: 'babel' },
    'fd00:255::1/128': { via: left.linkLocal, link: 'left', origin: 'babel' },
    'fd00:255::3/128': { via: right.linkLocal, link: 'right', origin: 'babel' },
  }
  for (const [prefix, way] of Object.entries(ways)) {
    t.match(
      routes.find((route) => route.prefix === prefix),
      way,
      `routes: ${prefix}`,
    )
  }
  const costs = { rxcost: 96, txcost: 96, cost: 96 }
  t.match(spoken.neighbours, [
    { address: left.linkLocal, link: 'left', ...costs },
    { address: right.linkLocal, link: 'right', ...costs },
  ])
  const taken = spoken.routes.filter(({ selected }: Told) => selected)
  t.match(
    taken.find(({ prefix }: Told) => prefix === '10.255.0.3/32'),
    { metric: 96, refmetric: 0, routerId: '000000000aff0003', feasible: true },
    'the way to bird, by its router-id',
  )
  for (const [address, mac] of [
    ['10.1.2.1', left.mac],
    ['10.2.3.2', right.mac],
    [left.linkLocal, left.mac],
    [right.linkLocal, right.mac],
  ]) {
    t.match(
      neighbours.find((neighbour) => neighbour.address === address),
      { linkAddress: mac },
      `neigh: ${address}`,
    )
  }
  t.match(explained, { local: false, chosen: { prefix: '10.255.0.3/32', ...ways['10.255.0.3/32'] } })
  t.match(traced, { hop: 1, probes: [{ address: 'fd00:255::3', outcome: 'reply' }], way: ways['fd00:255::3/128'] })
  t.strictSame(
    doctor.filter(({ result }) => result !== 'ok'),
    [],
    'nothing is wrong',
  )
  // Link-local addresses differ in length: the column is as wide as the longer of the two.
  const way = new RegExp(`^ {20}${right.linkLocal} +right +96$`)
  t.ok(
    text.some((line) => way.test(line)),
    'a way below a prefix that takes the line',
  )
  t.strictSame(
    text.filter((line) => line.length > 80),
    [],
    'babel fits 80 columns',
  )
  const { output: hops } = await a.run('traceroute', '-n', '-w', '2', '-q', '1', '-s', '10.255.0.1', '10.255.0.3')
  t.match(hops, /^ 1 {2}10\.1\.2\.2 [\s\S]*^ 2 {2}10\.255\.0\.3 /m, 'the router is on the way')

  const next = KEY.replace(/^00/, 'ff')
  const rekey = async (...keys: string[]): Promise<void> => {
    daemons.write('r', signedBy(...keys))
    t.match(await daemons.ask(['reload', '@r']), [{ steps: ['~ Babel: keys of right'] }])
  }
  await rekey(KEY, next)
  await rekeyBird(c, daemons.folder, 'x0', 'hmac sha256', [next], control)
  await rekey(next)
  // More than three of bird's hellos: those that are not believed would end it.
  await sleep(4000)
  const [exchanged = {}] = await daemons.ask(['babel', '@r'])
  t.match(exchanged.neighbours, [{ link: 'left' }, { link: 'right', address: right.linkLocal, hellos: /^111/ }])
  t.equal(exchanged.routerId, spoken.routerId, 'Babel did not begin anew for another key')
  t.ok(await pings(a, '10.255.0.1', '10.255.0.3')(), 'and the way is there')

  a.ip('link', 'set', 'x0', 'down')
  t.ok(await comes(noRouteIn(c, '10.255.0.1'), 60_000), 'bird hears that the cut link leads nowhere')
  const [[unreachable], [alone = {}], [cut]] = await Promise.all([
    daemons.ask(['explain', 'route', '10.255.0.1', '@r'], 4),
    daemons.ask(['babel', '@r']),
    daemons.ask(['links', '@r']),
  ])
  t.match(unreachable, { chosen: { prefix: '10.255.0.1/32', origin: 'babel', action: 'unreachable' } })
  t.strictSame(
    alone.neighbours.map(({ link }: Told) => link),
    ['right'],
    'one neighbour is left',
  )
  t.match(cut, { name: 'left', state: 'down' })
  heal(a)
  t.ok(await comes(pings(c, '10.255.0.3', '10.255.0.1'), 60_000), 'IPv4 when it is healed')
  t.ok(await comes(pings(c, 'fd00:255::3', 'fd00:255::1'), 60_000), 'and IPv6')

  t.match(await router.interrupt('SIGTERM'), { code: 0 })
  for (const [i, side] of [a, c].entries()) {
    const { packets, malformed, types } = await babelIn(side, captures[i] as string)
    t.ok(packets > 20, `${packets} packets captured`)
    t.equal(malformed, 0, 'none is malformed')
    for (const type of ['4', '5', '6', '7', '8']) t.ok(types.has(type), `TLV ${type} was there`)
    t.equal(types.has('16'), side === c, 'authentication towards bird alone')
  }
})

t.test('told something else while packets pass', { skip, buffered: true }, async (t) => {
  const daemons = new Daemons(t)
  const [a, r, c] = [await kernelRouter(t, 1), namespace(t), await kernelRouter(t, 3)]
  const told = (babel: object, right: object = {}) => ({
    links: {
      left: { link: `tap:x0,netns=${a.name}`, addresses: ['10.1.2.2/24'] },
      right: { link: `tap:x0,netns=${c.name}`, addresses: ['10.2.3.1/24'] },
    },
    babel: { interfaces: { left: HOW, right: { ...SIGNED, ...right } }, announce: ['10.71.0.0/16'], ...babel },
  })
  await daemons.start(r, 'r', told({}))
  a.ip('addr', 'add', '10.1.2.1/24', 'dev', 'x0')
  c.ip('addr', 'add', '10.2.3.2/24', 'dev', 'x0')
  for (const [side, address] of [[a, '10.255.0.11/32'] as const, [c, '10.255.0.33/32'] as const])
    side.ip('addr', 'add', address, 'dev', 'lo')
  await babeld(a, daemons.folder, 'x0')
  const control = await bird(c, daemons.folder, 'x0', 'hmac sha256')
  const routeIn = (kernel: Namespace, prefix: string) => async () => !(await noRouteIn(kernel, prefix)())
  const inBird = async (what: string) => (await c.run('birdc', '-s', control, 'show', 'babel', what)).output
  for (const way of [routeIn(a, '10.255.0.33'), routeIn(c, '10.255.0.11'), pings(a, '10.255.0.1', '10.255.0.3')])
    t.ok(await comes(way, 60_000), 'ways are found')
  const [{ routerId } = {}] = await daemons.ask(['babel', '@r'])

  let going = true
  t.teardown(() => (going = false))
  const flood = (async () => {
    const received: number[] = []
    while (going) received.push(await answered(a, 10, '-i', '0.1', '-I', '10.255.0.1', '10.255.0.3'))
    return received
  })()
  const reload = async (step: string, ...now: Parameters<typeof told>): Promise<void> => {
    daemons.write('r', told(...now))
    t.match(await daemons.ask(['router', '--config', daemons.fileOf('r'), '--dry-run']), [
      { verb: 'change', what: 'routing', protocol: 'Babel', changes: step.split('; ') },
    ])
    t.strictSame(await daemons.ask(['reload', '@r']), [{ steps: [`~ Babel: ${step}`] }])
  }
  const announce = ['10.72.0.0/16']
  await reload('announce +10.72.0.0/16 -10.71.0.0/16', { announce })
  t.ok(await comes(routeIn(c, '10.72.0.0/16'), 10_000), 'bird has what is announced now')
  t.ok(await comes(routeIn(a, '10.72.0.0/16'), 10_000), 'and babeld')
  t.ok(await comes(noRouteIn(c, '10.71.0.0/16'), 10_000), 'and bird not what is announced no more')
  t.match(await inBird('entries'), /^10\.71\.0\.0\/16 .* 65535 /m, 'by a retraction')
  t.ok(await comes(noRouteIn(a, '10.71.0.0/16'), 10_000), 'nor babeld')

  const filters = {
    in: [{ prefix: '10.255.0.33/32', action: 'deny' }],
    out: [{ prefix: '10.255.0.11/32', interface: 'right', action: 'deny' }],
  }
  await reload('filters.in; filters.out', { announce, filters })
  t.ok(await comes(noRouteIn(a, '10.255.0.33'), 10_000), 'babeld hears that what is refused leads nowhere')
  t.ok(await comes(noRouteIn(c, '10.255.0.11'), 10_000), 'and bird of what it is not to hear')
  t.match(await inBird('entries'), /^10\.255\.0\.11\/32 .* 65535 /m)
  await reload('filters.in; filters.out', { announce })
  t.ok(await comes(routeIn(c, '10.255.0.11'), 10_000), 'what may be said again is said')
  t.ok(await comes(routeIn(a, '10.255.0.33'), 10_000), 'and what was refused is asked for')

  await reload(
    'helloInterval of right 1s → 0.5s; rxcost of right default → 300',
    { announce },
    { rxcost: 300, helloInterval: '0.5s' },
  )
  const dearer = async () => /^10\.255\.0\.1\/32 .* 396 /m.test(await inBird('routes'))
  t.ok(await comes(dearer, 10_000), 'bird has another cost of the link')
  await reload('metric default → 900', { announce, metric: 900 }, { rxcost: 300, helloInterval: '0.5s' })
  const routes = await daemons.ask(['routes', '@r'])
  const metrics = routes.filter(({ origin }) => origin === 'babel').map(({ metric }) => metric)
  t.strictSame([...new Set(metrics)], [900], `${metrics.length} routes have another metric`)
  going = false
  const received = await flood
  t.strictSame([...new Set(received)], [10], `of ${received.length} × 10 packets meanwhile none was lost`)
  t.match(await daemons.ask(['babel', '@r']), [{ routerId }], 'and it is the router that it was')
})

t.test('two of ours in a row', { skip, buffered: true }, async (t) => {
  const daemons = new Daemons(t)
  const [a, r1, r2, c] = [await kernelRouter(t, 1), namespace(t), namespace(t), await kernelRouter(t, 3)]
  r1.ip('link', 'add', 'w0', 'type', 'veth', 'peer', 'name', 'w0', 'netns', r2.name)
  for (const [side, address] of [[r1, '192.0.2.1/24'] as const, [r2, '192.0.2.2/24'] as const]) {
    side.ip('addr', 'add', address, 'dev', 'w0')
    side.ip('link', 'set', 'w0', 'up')
  }
  await Promise.all([
    daemons.start(r1, 'r1', {
      links: {
        left: { link: `tap:x0,netns=${a.name}`, addresses: ['10.1.2.2/24'] },
        right: { link: 'udp:192.0.2.1:7000,peer=192.0.2.2:7000', addresses: ['10.12.0.1/24'] },
      },
      babel: { interfaces: { left: HOW, right: HOW } },
    }),
    daemons.start(r2, 'r2', {
      links: {
        left: { link: 'udp:192.0.2.2:7000,peer=192.0.2.1:7000', addresses: ['10.12.0.2/24'] },
        right: { link: `tap:x0,netns=${c.name}`, addresses: ['10.2.3.1/24'] },
      },
      babel: { interfaces: { left: HOW, right: SIGNED } },
    }),
  ])
  a.ip('addr', 'add', '10.1.2.1/24', 'dev', 'x0')
  c.ip('addr', 'add', '10.2.3.2/24', 'dev', 'x0')
  await babeld(a, daemons.folder, 'x0')
  await bird(c, daemons.folder, 'x0', 'hmac sha256')
  t.ok(await comes(pings(a, '10.255.0.1', '10.255.0.3'), 60_000), 'IPv4 from end to end')
  t.ok(await comes(pings(a, 'fd00:255::1', 'fd00:255::3'), 60_000), 'IPv6 from end to end')
  const [[spoken = {}], [explained]] = await Promise.all([
    daemons.ask(['babel', '@r1']),
    daemons.ask(['explain', 'route', '10.255.0.3', '@r1']),
  ])
  const way = { via: '10.12.0.2', link: 'right' }
  t.match(
    spoken.routes.filter(({ prefix, selected }: Told) => prefix === '10.255.0.3/32' && selected),
    [{ ...way, metric: 192, refmetric: 96 }],
    'each link costs 96',
  )
  t.match(explained, { chosen: { ...way, origin: 'babel' } })

  r1.ip('link', 'set', 'w0', 'down')
  t.ok(await comes(noRouteIn(c, '10.255.0.1'), 60_000), 'bird hears of a cut between the two')
  t.ok(await comes(noRouteIn(a, '10.255.0.3'), 60_000), 'and babeld')
  const [lost] = await daemons.ask(['explain', 'route', '10.255.0.3', '@r1'], 4)
  t.match(lost, { chosen: { action: 'unreachable' } })
  r1.ip('link', 'set', 'w0', 'up')
  t.ok(await comes(pings(a, '10.255.0.1', '10.255.0.3'), 60_000), 'IPv4 when it is healed')
  t.ok(await comes(pings(c, 'fd00:255::3', 'fd00:255::1'), 60_000), 'and IPv6')
})
