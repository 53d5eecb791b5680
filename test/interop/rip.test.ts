/**
 * RIPv2 and RIPng: a node of ours between two birds, routes both ways, a way that ends, messages that are none, and tshark's
 * opinion of every packet.
 *
 *    a: bird ── ours ── c: bird
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import {
  beside,
  boot,
  ethernet,
  ip,
  ipv4,
  ipv6,
  type RipOptions,
  rip,
  seconds,
  sockets,
  stack,
  tapDevice,
  tcp,
  udp,
} from '../../src/index.ts'
import { type Cleaning, type Namespace, namespace, oracle, run } from './helpers.ts'
import { ripBird } from './rip-bird.ts'

t.setTimeout(600_000)
const skip = oracle('root', 'tun', 'ip', 'ping', 'tshark', 'tcpdump', 'bird', 'python3')

/** Asks until it holds, for `limitMs`. */
async function comes(holds: () => Promise<boolean>, limitMs: number): Promise<boolean> {
  for (const end = Date.now() + limitMs; Date.now() < end; ) {
    if (await holds()) return true
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
  return false
}

const pings = (from: Namespace, source: string, to: string) => async (): Promise<boolean> =>
  (await from.run('ping', '-c', '1', '-W', '1', '-I', source, to)).code === 0

/** A router of the kernel's, with addresses of its own that are to be found by others. */
async function kernelRouter(t: Cleaning, number: number): Promise<Namespace> {
  const router = namespace(t)
  await router.run('sysctl', '-q', '-w', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1')
  await router.run('sysctl', '-q', '-w', 'net.ipv6.conf.default.accept_dad=0', 'net.ipv6.conf.all.accept_dad=0')
  router.ip('addr', 'add', `10.255.0.${number}/32`, 'dev', 'lo')
  router.ip('addr', 'add', `fd00:255::${number}/128`, 'dev', 'lo')
  return router
}

/** Messages by UDP that are no RIP: cut short, of no version, metrics of 17, a way to this host, and one with a secret. */
const NOISE = `
import socket
entry = bytes([0, 2, 0, 0, 10, 66, 0, 0, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])
metric = entry[:19] + bytes([17])
loop = entry[:4] + bytes([127]) + entry[5:]
secret = bytes([255, 255, 0, 2]) + bytes(16)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
s.bind(('10.1.1.9', 520))
for body in [b'\\2\\2\\0', b'\\2\\0\\0\\0' + entry, b'\\7\\2\\0\\0' + entry, b'\\2\\2\\0\\0' + metric, b'\\2\\2\\0\\0' + loop, b'\\2\\2\\0\\0' + secret + entry]:
    s.sendto(body, ('10.1.1.2', 520))
`

t.test('between two birds', { skip }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'rip-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const [a, c] = [await kernelRouter(t, 1), await kernelRouter(t, 3)]
  const first: RipOptions = {
    interfaces: { left: {}, right: {} },
    announce: ['10.77.0.0/16', 'fd00:77::/64'],
    redistribute: [{ origin: 'link', prefix: '10.0.0.0/8', action: 'allow' }],
    updateInterval: seconds(2),
  }
  const tap = (inside: Namespace) => stack(tapDevice({ name: 'x0', netns: inside.name }), ethernet())
  const node = await boot(
    stack(
      beside({ left: tap(a), right: tap(c) }),
      ip(
        ipv4({ addresses: { left: '10.1.1.2/24', right: '10.1.2.2/24' }, forwarding: true }),
        ipv6({ forwarding: true }),
      ),
      sockets(tcp(), udp()),
      rip(first),
    ),
    'router',
  )
  t.teardown(() => node.close())
  a.ip('addr', 'add', '10.1.1.1/24', 'dev', 'x0')
  c.ip('addr', 'add', '10.1.2.1/24', 'dev', 'x0')
  const capture = join(folder, 'rip.pcap')
  await a.start(/listening/, 'tcpdump', '-U', '-i', 'x0', '-w', capture, 'udp port 520 or udp port 521')
  const control = await ripBird(a, folder, 1)
  await ripBird(c, folder, 3)

  t.ok(await comes(pings(a, '10.255.0.1', '10.255.0.3'), 60_000), 'IPv4 from end to end')
  t.ok(await comes(pings(c, 'fd00:255::3', 'fd00:255::1'), 60_000), 'IPv6 from end to end')
  const { routes } = node.top.network
  t.match(routes.lookup('10.255.0.3'), { via: '10.1.2.1', link: 'right', origin: 'rip' })
  t.match(routes.lookup('fd00:255::1'), { via: /^fe80::/, link: 'left', origin: 'rip' })
  const { output } = await run('birdc', '-s', control, 'show', 'route', '10.77.0.0/16', 'all')
  t.match(output, /via 10\.1\.1\.2 on x0/, 'bird has what we announce')
  t.match(output, /RIP.metric: 2/, 'at what it costs')

  a.ip('addr', 'add', '10.1.1.9/24', 'dev', 'x0')
  await a.run('python3', '-c', NOISE)
  const drops = node.top.rip.drops('rip2')
  t.ok(await comes(async () => drops.has('authenticated'), 60_000), 'what is wrong has arrived')
  for (const reason of ['badLength', 'badVersion', 'badCommand', 'badMetric', 'badPrefix', 'authenticated'] as const) {
    t.equal(drops.get(reason), 1, reason)
  }
  t.equal(routes.lookup('10.66.0.1'), undefined)
  t.match(routes.lookup('10.255.0.3'), { via: '10.1.2.1' }, 'and has done no harm')

  const kernels = (inside: Namespace, prefix: string) => async () => / via /.test(inside.ip('route', 'show', prefix))
  const filters = { in: [{ prefix: '10.255.0.1/32', action: 'deny' }] } as const
  node.top.rip.reconfigure({ ...first, announce: ['10.78.0.0/16'], filters })
  t.ok(await comes(kernels(a, '10.78.0.0/16'), 60_000), 'told otherwise, it announces something else')
  t.ok(await comes(async () => !(await kernels(a, '10.77.0.0/16')()), 60_000), 'and not what it did')
  t.ok(await comes(async () => !(await kernels(c, '10.255.0.1')()), 60_000), 'nor what it takes no more')
  node.top.rip.reconfigure({ ...first, announce: ['10.78.0.0/16'] })
  t.ok(await comes(pings(a, '10.255.0.1', '10.255.0.3'), 60_000), 'until it may again')

  c.ip('addr', 'del', '10.255.0.3/32', 'dev', 'lo')
  const gone = async (): Promise<boolean> => !/^10\.255\.0\.3 via/m.test(a.ip('route', 'show'))
  t.ok(await comes(gone, 60_000), 'a way that has ended is known at the other end')
  c.ip('link', 'set', 'x0', 'down')
  t.ok(await comes(async () => routes.lookup('fd00:255::3') === undefined, 60_000), 'and a neighbour that is silent')
  await node.close()
  t.ok(await comes(async () => !/^10\.78/m.test(a.ip('route', 'show')), 5_000), 'bird hears that we have closed')

  const fields = ['-T', 'fields', '-e', 'frame.protocols', '-e', '_ws.malformed', '-e', 'ip.src']
  const { output: seen } = await run('tshark', '-n', '-r', capture, ...fields)
  const ours = seen.split('\n').filter((line) => /:rip/.test(line) && !line.endsWith('10.1.1.9'))
  t.ok(ours.length > 10, `${ours.length} messages captured`)
  t.ok(
    ['rip\t', 'ripng\t'].every((name) => ours.some((line) => line.includes(`:${name}`))),
    'of both protocols',
  )
  t.notOk(
    ours.some((line) => /malformed/i.test(line)),
    'none is malformed',
  )
})
