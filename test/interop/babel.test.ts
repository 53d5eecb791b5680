/**
 * Our machine between babeld and bird, with the kernel's forwarding: routes of both families, HMAC and BLAKE2s towards bird, a link that
 * is cut and healed, and tshark's opinion of every packet.
 *
 *    a: babeld ── b: ours ══ c: bird        ══ with HMAC-SHA256
 */
import { mkdtempSync, rmSync } from 'node:fs'
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
import { babeld, babelIn, bird, comes, KEY, kernelRouter, pings } from './babel-peers.ts'
import type { SpeakerOptions } from './babel-speaker.ts'
import { type Namespace, oracle, run } from './helpers.ts'

t.setTimeout(600_000)
const skip = oracle('root', 'tun', 'ip', 'ping', 'tshark', 'tcpdump', 'babeld', 'bird')

const SPEAKER = fileURLToPath(new URL('./babel-speaker.ts', import.meta.url))

/** Joins two namespaces by a link called by both their letters. */
function link(a: Namespace, b: Namespace, near: string, far: string, net: string): void {
  a.ip('link', 'add', near, 'type', 'veth', 'peer', 'name', far, 'netns', b.name)
  for (const [end, device, host] of [[a, near, 1] as const, [b, far, 2] as const]) {
    end.ip('addr', 'add', `${net}.${host}/24`, 'dev', device)
    end.ip('link', 'set', device, 'up')
  }
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

  t.ok(await comes(pings(a, '10.255.0.1', '10.255.0.3'), 60_000), 'IPv4 from end to end')
  t.ok(await comes(pings(a, 'fd00:255::1', 'fd00:255::3'), 60_000), 'IPv6 from end to end')
  t.ok(await comes(pings(a, '10.255.0.1', '10.255.0.2'), 60_000), 'babeld has our own')
  t.ok(await comes(pings(c, 'fd00:255::3', 'fd00:255::2'), 60_000), 'bird has our own')
  const { output: neighbours } = await run('birdc', '-s', control, 'show', 'babel', 'neighbors')
  t.match(neighbours, /fe80:\S+\s+ecb\s+96\s/, 'bird takes us for a neighbour, at what a wired link costs')

  a.ip('link', 'set', 'eab', 'down')
  const gone = async (): Promise<boolean> => !/^10\.255\.0\.1 via/m.test(c.ip('route', 'show'))
  t.ok(await comes(gone, 60_000), 'bird hears that the cut link leads nowhere')
  a.ip('link', 'set', 'eab', 'up')
  a.ip('addr', 'replace', '10.1.2.1/24', 'dev', 'eab')
  t.ok(await comes(pings(c, '10.255.0.3', '10.255.0.1'), 60_000), 'IPv4 when it is healed')
  t.ok(await comes(pings(c, 'fd00:255::3', 'fd00:255::1'), 60_000), 'and IPv6')

  const { packets, malformed, types } = await babelIn(b, capture)
  t.ok(packets > 20, `${packets} packets captured`)
  t.equal(malformed, 0, 'none is malformed')
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
  t.ok(await comes(pings(a, '10.255.0.1', '10.255.0.3'), 60_000), 'IPv4 from end to end')
  t.ok(await comes(pings(c, 'fd00:255::3', 'fd00:255::1'), 60_000), 'IPv6 from end to end')
  t.match(node.top.network.routes.lookup('10.255.0.3'), { via: '10.2.3.2', link: 'right', origin: 'babel' })
  t.notOk(node.top.babel.drops.has('wrongMac'))
  await node.close()
  const left = async (): Promise<boolean> => !/^10\.255\.0\.1 via/m.test(c.ip('route', 'show'))
  t.ok(await comes(left, 4_000), 'bird hears that we have closed')
})
