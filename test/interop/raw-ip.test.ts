/** EtherIP through the system's raw sockets: with scapy as another who speaks it, and between two nodes of ours. */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import t from 'tap'
import {
  boot,
  ethernet,
  ip,
  ipv4,
  type Node,
  type RawSocketModule,
  rawIp,
  type Sockets,
  sockets,
  stack,
  tcp,
  udp,
} from '../../src/index.ts'
import { Daemons } from './daemons.ts'
import { type Cleaning, type Namespace, namespace, oracle, run, within } from './helpers.ts'
import { payload, payloadHash, received } from './payload.ts'

const FILE_OCTETS = 2 << 20
const CACHE = join(import.meta.dirname, '../../node_modules/.cache')
/** The package is compiled when it is installed, which nobody but this test needs. */
const folder = join(CACHE, 'netstrata-raw-socket')
t.setTimeout(600_000)
const skip = oracle('root', 'ip', 'tshark', 'scapy', 'g++', 'make')

async function compiled(): Promise<RawSocketModule> {
  if (!existsSync(join(folder, 'node_modules/raw-socket/build/Release/raw.node'))) {
    mkdirSync(folder, { recursive: true })
    const options = ['--prefix', folder, '--no-audit', '--no-fund', '--ignore-scripts=false']
    const { code, output } = await run('npm', 'install', ...options, 'raw-socket@1.8.1')
    if (code !== 0) throw new Error(output)
  }
  return createRequire(join(folder, 'index.js'))('raw-socket')
}

/** Two namespaces on one wire, 192.0.2.1 and 192.0.2.2. */
function wired(t: Cleaning): [Namespace, Namespace] {
  const [left, right] = [namespace(t), namespace(t)]
  left.ip('link', 'add', 'w0', 'type', 'veth', 'peer', 'name', 'w0', 'netns', right.name)
  for (const [side, n] of [[left, 1] as const, [right, 2] as const]) {
    side.ip('addr', 'add', `192.0.2.${n}/24`, 'dev', 'w0')
    side.ip('link', 'set', 'w0', 'up')
  }
  return [left, right]
}

async function host(t: Cleaning, inside: Namespace, n: number): Promise<Node<Sockets>> {
  // Installed from outside: a namespace has no way to a registry.
  const module = await compiled()
  const link = rawIp({ peer: `192.0.2.${3 - n}` }, async () => module)
  const blueprint = stack(link, ethernet(), ip(ipv4({ address: `10.9.0.${n}/24` })), sockets(tcp(), udp()))
  const node = await within(inside, () => boot(blueprint, `host${n}`))
  t.teardown(() => node.close())
  return node
}

t.test('scapy answers', { skip }, async (t) => {
  const [left, right] = wired(t)
  const node = await host(t, left, 1)
  const program = join(import.meta.dirname, 'etherip.py')
  const addresses = ['192.0.2.2', '192.0.2.1', '10.9.0.2', '02:00:00:00:00:02']
  await right.start(/listening/, '/usr/bin/python3', program, 'w0', ...addresses)
  for (const size of [0, 56, 1400]) {
    t.match(await node.icmp.ping('10.9.0.2', { size }), { outcome: 'reply', address: '10.9.0.2' }, `${size} octets`)
  }
})

t.test('between two of us, with tshark as the witness', { skip }, async (t) => {
  const [left, right] = wired(t)
  const [one, two] = [await host(t, left, 1), await host(t, right, 2)]
  const fields = ['etherip.ver', '_ws.malformed', 'eth.type', 'tcp.len'].flatMap((name) => ['-e', name])
  const which = ['-i', 'w0', '-f', 'ip proto 97', '-c', '100', '-a', 'duration:110']
  const watched = left.run('tshark', '-Q', '-l', ...which, '-T', 'fields', ...fields)
  let seen = false
  void watched.then(() => (seen = true))
  one.net.createServer((socket) => payload((n) => n < FILE_OCTETS).stream.pipe(socket)).listen(80)
  // tshark does not say when it has begun.
  while (!seen) {
    const socket = await two.net.connect({ host: '10.9.0.1', port: 80 })
    t.strictSame(await received(socket), { octets: FILE_OCTETS, hash: payloadHash(FILE_OCTETS) })
    socket.destroy()
  }
  const lines = (await watched).output.split('\n').filter((line) => /\t/.test(line))
  t.ok(lines.length >= 100, 'tshark has seen it')
  t.ok(
    lines.some((line) => /^3\t\t0x0800,0x0800\t1[34]/.test(line)),
    'full segments',
  )
  t.strictSame(
    lines.filter((line) => !/^3\t\t0x0800,0x080[06]\t/.test(line)),
    [],
    'version 3, and nothing malformed',
  )
})

const inside = ({ name }: Namespace): string[] => ['ip', 'netns', 'exec', name]

t.test('by the command line', { skip }, async (t) => {
  await compiled()
  const [left, right] = wired(t)
  const { commands } = new Daemons(t, folder)
  const link = (peer: number): string[] => ['--link', `etherip:192.0.2.${peer}`, '--address', `10.9.0.${3 - peer}/24`]
  const ear = commands.start(['nc', '-l', '9', ...link(2)], undefined, inside(left))
  await ear.said(/listening/)
  const pinged = await commands.start(['ping', '10.9.0.1', '-c', '1', ...link(1)], undefined, inside(right)).ended()
  t.match(pinged, { code: 0, out: /64 octets from 10\.9\.0\.1: seq=1 ttl=64/ })
  const mouth = commands.start(['nc', '10.9.0.1', '9', ...link(1)], 'over IP\n', inside(right))
  await ear.said(/over IP/)
  mouth.child.stdin?.end()
  t.equal((await mouth.ended()).code, 0)
  t.match(await ear.ended(), { code: 0, out: 'over IP\n' })
  const without = ['setpriv', '--bounding-set=-net_raw']
  const refused = await commands.start(['ping', '10.9.0.1', ...link(1)], undefined, without).ended()
  t.match(refused, { code: 1, err: /EPERM: no raw socket for EtherIP: .*it takes root, or CAP_NET_RAW\n$/ })
})

t.test('the command line without the package, and with one that was not compiled', { skip }, async (t) => {
  const ping = ['ping', '10.9.0.1', '--link', 'etherip:192.0.2.1', '--address', '10.9.0.2/24']
  t.match(await new Daemons(t).commands.run(...ping), { code: 1, err: /ENOTSUP: .*: npm install raw-socket \(it is/ })
  mkdirSync(CACHE, { recursive: true })
  const shelf = mkdtempSync(join(CACHE, 'uncompiled-'))
  t.teardown(() => rmSync(shelf, { recursive: true }))
  const installed = join(shelf, 'node_modules/raw-socket')
  mkdirSync(installed, { recursive: true })
  writeFileSync(join(installed, 'index.js'), "require('./build/Release/raw.node')")
  t.match(await new Daemons(t, shelf).commands.run(...ping), { code: 1, err: /ENOTSUP: .*: npm rebuild raw-socket/ })
})
