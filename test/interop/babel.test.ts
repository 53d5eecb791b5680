/**
 * Our machine between babeld and bird, with the kernel's forwarding: routes of both families, HMAC and BLAKE2s towards bird, a link that
 * is cut and healed, and tshark's opinion of every packet.
 *
 *    a: babeld ── b: ours ══ c: bird        ══ with HMAC-SHA256
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import {
  babel,
  beside,
  boot,
  ethernet,
  ip,
  ipv4,
  ipv6,
  seconds,
  sockets,
  stack,
  tapDevice,
  tcp,
  udp,
} from '../../src/index.ts'
import type { SpeakerOptions } from './babel-speaker.ts'
import { type Cleaning, type Namespace, namespace, oracle, run } from './helpers.ts'

t.setTimeout(120_000)
const skip = oracle('root', 'tun', 'ip', 'ping', 'tshark', 'tcpdump', 'babeld', 'bird')

const KEY = '00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff'
const SPEAKER = fileURLToPath(new URL('./babel-speaker.ts', import.meta.url))

/** Joins two namespaces by a link called by both their letters. */
function link(a: Namespace, b: Namespace, near: string, far: string, net: string): void {
  a.ip('link', 'add', near, 'type', 'veth', 'peer', 'name', far, 'netns', b.name)
  for (const [end, device, host] of [[a, near, 1] as const, [b, far, 2] as const]) {
    end.ip('addr', 'add', `${net}.${host}/24`, 'dev', device)
    end.ip('link', 'set', device, 'up')
  }
}

/** Starts a daemon that says nothing when it is ready. */
const begin = (inside: Namespace, ...command: readonly string[]): Promise<void> =>
  inside.start(/started/, 'sh', '-c', 'echo started; exec "$@"', 'sh', ...command)

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

/** babeld on a device; it announces the namespace's addresses 10.255.0.0/16 and fd00:255::/32. */
function babeld(inside: Namespace, folder: string, device: string): Promise<void> {
  const local = ['ip 10.255.0.0/16', 'ip fd00:255::/32', 'deny'].flatMap((rule) => ['-C', `redistribute local ${rule}`])
  return begin(
    inside,
    'babeld',
    ...['-I', join(folder, 'babeld.pid'), '-S', join(folder, 'babeld.state'), '-h', '1', '-H', '1'],
    ...['-C', 'default type wired', ...local, device],
  )
}

/** bird on a device, authenticated; it announces what is on the loopback. @returns the path of its control socket. */
async function bird(
  inside: Namespace,
  folder: string,
  device: string,
  algorithm: 'hmac sha256' | 'blake2s128',
): Promise<string> {
  const file = join(folder, 'bird.conf')
  writeFileSync(
    file,
    `router id 10.255.0.3;
     protocol device { scan time 1; }
     protocol direct { ipv4; ipv6; interface "lo"; }
     protocol kernel { ipv4 { export where source = RTS_BABEL; }; }
     protocol kernel { ipv6 { export where source = RTS_BABEL; }; }
     protocol babel {
       interface "${device}" {
         type wired; hello interval 1 s; update interval 4 s;
         authentication mac; password ${KEY.replace(/(..)(?!$)/g, '$1:')} { algorithm ${algorithm}; };
       };
       ipv4 { import all; export all; };
       ipv6 { import all; export all; };
     }`,
  )
  const control = join(folder, 'bird.ctl')
  await begin(inside, 'bird', '-f', '-c', file, '-s', control, '-P', join(folder, 'bird.pid'))
  return control
}

/** A router of the kernel's, with addresses of its own that are to be found by others. */
async function kernelRouter(t: Cleaning, number: number): Promise<Namespace> {
  const router = namespace(t)
  await router.run('sysctl', '-q', '-w', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1')
  await router.run('sysctl', '-q', '-w', 'net.ipv6.conf.default.accept_dad=0', 'net.ipv6.conf.all.accept_dad=0')
  router.ip('addr', 'add', `10.255.0.${number}/32`, 'dev', 'lo')
  router.ip('addr', 'add', `fd00:255::${number}/128`, 'dev', 'lo')
  return router
}

t.test('between babeld and bird', { skip }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'babel-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const [a, b, c] = [await kernelRouter(t, 1), await kernelRouter(t, 2), await kernelRouter(t, 3)]
  link(a, b, 'eab', 'eba', '10.1.2')
  link(b, c, 'ebc', 'ecb', '10.2.3')

  const capture = join(folder, 'babel.pcap')
  await b.start(/listening/, 'tcpdump', '-U', '-i', 'any', '-w', capture, 'udp', 'port', '6696')
  await babeld(a, folder, 'eab')
  const control = await bird(c, folder, 'ecb', 'hmac sha256')
  const options: SpeakerOptions = {
    seed: 1,
    interfaces: [
      { name: 'eba', nextHop4: '10.1.2.2' },
      { name: 'ebc', nextHop4: '10.2.3.1', key: KEY },
    ],
    announce: ['10.255.0.2/32', 'fd00:255::2/128'],
  }
  await b.start(/READY/, process.execPath, '--import=tsx', SPEAKER, JSON.stringify(options))

  t.ok(await comes(pings(a, '10.255.0.1', '10.255.0.3'), 15_000), 'IPv4 from end to end')
  t.ok(await comes(pings(a, 'fd00:255::1', 'fd00:255::3'), 5_000), 'IPv6 from end to end')
  t.ok(await comes(pings(a, '10.255.0.1', '10.255.0.2'), 5_000), 'babeld has our own')
  t.ok(await comes(pings(c, 'fd00:255::3', 'fd00:255::2'), 5_000), 'bird has our own')
  const { output: neighbours } = await run('birdc', '-s', control, 'show', 'babel', 'neighbors')
  t.match(neighbours, /fe80:\S+\s+ecb\s+96\s/, 'bird takes us for a neighbour, at what a wired link costs')

  a.ip('link', 'set', 'eab', 'down')
  const gone = async (): Promise<boolean> => !/^10\.255\.0\.1 via/m.test(c.ip('route', 'show'))
  t.ok(await comes(gone, 15_000), 'bird hears that the cut link leads nowhere')
  a.ip('link', 'set', 'eab', 'up')
  a.ip('addr', 'replace', '10.1.2.1/24', 'dev', 'eab')
  t.ok(await comes(pings(c, '10.255.0.3', '10.255.0.1'), 15_000), 'IPv4 when it is healed')
  t.ok(await comes(pings(c, 'fd00:255::3', 'fd00:255::1'), 5_000), 'and IPv6')

  const fields = ['-T', 'fields', '-e', 'babel.message.type', '-e', '_ws.malformed']
  const { output } = await run('tshark', '-n', '-r', capture, '-Y', 'babel || _ws.malformed', ...fields)
  const packets = output.split('\n').filter((line) => /^[\d,]+\t/.test(line))
  t.ok(packets.length > 20, `${packets.length} packets captured`)
  t.notOk(
    packets.some((line) => /malformed/i.test(line)),
    'none is malformed',
  )
  const types = new Set(packets.flatMap((line) => (line.split('\t')[0] ?? '').split(',')))
  for (const type of ['4', '5', '6', '7', '8', '9', '16', '17']) t.ok(types.has(type), `TLV ${type} was there`)
})

t.test('a node of ours between babeld and bird, with BLAKE2s', { skip }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'babel-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const [a, c] = [await kernelRouter(t, 1), await kernelRouter(t, 3)]
  const tap = (inside: Namespace) => stack(tapDevice({ name: 'x0', netns: inside.name }), ethernet())
  const how = { helloInterval: seconds(1), updateInterval: seconds(4) }
  const key = { algorithm: 'blake2s', key: Buffer.from(KEY, 'hex') } as const
  const node = await boot(
    stack(
      beside({ left: tap(a), right: tap(c) }),
      ip(
        ipv4({ addresses: { left: '10.1.2.2/24', right: '10.2.3.1/24' }, forwarding: true }),
        ipv6({ forwarding: true }),
      ),
      sockets(tcp(), udp()),
      babel({
        interfaces: { left: how, right: { ...how, keys: [key] } },
        redistribute: [{ origin: 'link', prefix: '10.0.0.0/8', action: 'allow' }],
      }),
    ),
    'router',
  )
  t.teardown(() => node.close())
  a.ip('addr', 'add', '10.1.2.1/24', 'dev', 'x0')
  c.ip('addr', 'add', '10.2.3.2/24', 'dev', 'x0')
  await babeld(a, folder, 'x0')
  await bird(c, folder, 'x0', 'blake2s128')
  t.ok(await comes(pings(a, '10.255.0.1', '10.255.0.3'), 15_000), 'IPv4 from end to end')
  t.ok(await comes(pings(c, 'fd00:255::3', 'fd00:255::1'), 5_000), 'IPv6 from end to end')
  t.match(node.top.network.routes.lookup('10.255.0.3'), { via: '10.2.3.2', link: 'right', origin: 'babel' })
  t.notOk(node.top.babel.drops.has('wrongMac'))
  await node.close()
  const left = async (): Promise<boolean> => !/^10\.255\.0\.1 via/m.test(c.ip('route', 'show'))
  t.ok(await comes(left, 2_000), 'bird hears that we have closed')
})
