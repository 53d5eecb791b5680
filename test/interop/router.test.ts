/** A router of ours between two kernels, and a kernel as the router in front of us. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import t from 'tap'
import {
  beside,
  boot,
  ethernet,
  ip,
  ipv4,
  type Node,
  type Sockets,
  sockets,
  stack,
  tapDevice,
  tcp,
  udp,
} from '../../src/index.ts'
import { packetsInUse, poisonReleased } from '../../src/kernel/packet.ts'
import { answered } from './echoes.ts'
import { addAddress, type Cleaning, type Namespace, namespace, oracle } from './helpers.ts'
import { payload, payloadFile, payloadHash } from './payload.ts'
import { OURS, stand, THEIRS } from './stand.ts'

poisonReleased(true)
t.setTimeout(600_000)
const skip = oracle('root', 'tun', 'ip', 'ping', 'traceroute', 'curl', 'socat', 'bridge', 'ethtool')

interface Routed {
  readonly left: Namespace
  readonly right: Namespace
  readonly router: Node<Sockets>
}

/** 10.1.0.1 ── 10.1.0.254 router 10.2.0.254 ── 10.2.0.1 */
async function routed(t: Cleaning, mtu = 1500): Promise<Routed> {
  const left = namespace(t)
  const right = namespace(t)
  const router = await boot(
    stack(
      beside({
        // Super-segments from the left must be cut for the right.
        left: stack(tapDevice({ name: 'x0', netns: left.name, vnetHdr: true }), ethernet()),
        right: stack(tapDevice({ name: 'x0', netns: right.name, mtu }), ethernet()),
      }),
      ip(ipv4({ addresses: { left: '10.1.0.254/24', right: '10.2.0.254/24' }, forwarding: true })),
      sockets(tcp(), udp()),
    ),
    'router',
  )
  t.teardown(() => router.close())
  for (const [side, net] of [[left, '10.1.0'] as const, [right, '10.2.0'] as const]) {
    await side.run('sysctl', '-q', '-w', 'net.ipv6.conf.x0.disable_ipv6=1')
    addAddress(side, 'x0', `${net}.1/24`)
    side.ip('route', 'add', 'default', 'via', `${net}.254`, 'congctl', 'cubic')
  }
  return { left, right, router }
}

/** The addresses of the hops. */
function hops(output: string): string[] {
  return [...output.matchAll(/^ *\d+ {2}(\S+)/gm)].map(([, hop]) => hop as string)
}

t.test('traceroute through a router of ours', { skip }, async (t) => {
  const before = packetsInUse()
  const { left, router } = await routed(t)
  for (const method of ['udp', 'icmp', 'tcp']) {
    const { output } = await left.run('traceroute', '-n', '-w', '30', '-M', method, '10.2.0.1')
    t.same(hops(output), ['10.1.0.254', '10.2.0.1'], `by ${method}`)
  }
  const { output: self } = await left.run('traceroute', '-n', '-w', '30', '10.2.0.254')
  t.same(hops(self), ['10.2.0.254'], 'the router itself')
  const { output: nowhere } = await left.run('traceroute', '-n', '-w', '30', '-m', '3', '192.0.2.1')
  t.match(nowhere, / 10\.1\.0\.254 .*!N/, 'no route')
  const { output: nobody } = await left.run('traceroute', '-n', '-w', '30', '-m', '3', '-q', '1', '10.2.0.99')
  t.match(nobody, / 10\.1\.0\.254 .*!H/, 'nobody has that address')
  await router.close()
  t.equal(packetsInUse(), before)
})

t.test('kernels talk through a router of ours', { skip }, async (t) => {
  const before = packetsInUse()
  const { left, right, router } = await routed(t)
  for (const size of ['56', '65507']) {
    t.equal(await answered(left, 10, '-i', '0.02', '-s', size, '10.2.0.1'), 10, `${size} octets`)
  }
  const file = await payloadFile(t, 20 << 20)
  for (const [from, to, address] of [[left, right, '10.2.0.1'] as const, [right, left, '10.1.0.1'] as const]) {
    await to.start(/listening/, 'socat', '-d', '-d', '-u', `OPEN:${file}`, 'TCP4-LISTEN:7000')
    const { output } = await from.run('sh', '-c', `socat -u TCP4:${address}:7000 - | sha256sum`)
    t.match(output, payloadHash(20 << 20), 'a file')
  }
  await router.close()
  t.equal(packetsInUse(), before)
})

t.test('a kernel learns the path MTU from us', { skip }, async (t) => {
  const { left, right, router } = await routed(t, 1300)
  const { output } = await left.run('ping', '-c', '2', '-W', '1', '-i', '0.2', '-M', 'do', '-s', '1400', '10.2.0.1')
  t.match(output, /From 10\.1\.0\.254 .*Frag needed and DF set \(mtu = 1300\)/)
  t.match(left.ip('route', 'get', '10.2.0.1'), 'mtu 1300')
  const file = await payloadFile(t, 5 << 20)
  left.ip('route', 'flush', 'cache')
  // The right offers a segment size that does not fit its link, as what stands before a tunnel does.
  right.ip('route', 'replace', 'default', 'via', '10.2.0.254', 'advmss', '1460')
  await left.start(/listening/, 'socat', '-d', '-d', '-u', `OPEN:${file}`, 'TCP4-LISTEN:7000')
  const { output: hash } = await right.run('sh', '-c', 'socat -u TCP4:10.1.0.1:7000 - | sha256sum')
  t.match(hash, payloadHash(5 << 20), 'TCP goes by it')
  t.match(left.ip('route', 'get', '10.2.0.1'), 'mtu 1300', 'and had to be told')
  await router.close()
})

t.test('we learn the path MTU from a kernel, and see it as a hop', { skip }, async (t) => {
  const { node, kernel } = await stand(t, 'tap')
  const far = namespace(t)
  await kernel.run('sysctl', '-q', '-w', 'net.ipv4.ip_forward=1')
  kernel.ip('link', 'add', 'e0', 'type', 'veth', 'peer', 'name', 'e0', 'netns', far.name)
  for (const [side, address] of [[kernel, '10.3.0.254/24'] as const, [far, '10.3.0.1/24'] as const]) {
    side.ip('addr', 'add', address, 'dev', 'e0')
    side.ip('link', 'set', 'e0', 'mtu', '1280', 'up')
    await side.run('ethtool', '-K', 'e0', 'tx', 'off', 'gro', 'off')
  }
  far.ip('route', 'add', 'default', 'via', '10.3.0.254')
  t.match(await node.icmp.ping('10.3.0.1', { ttl: 1 }), { outcome: 'timeExceeded', address: THEIRS })
  t.match(await node.icmp.ping('10.3.0.1', { ttl: 2 }), { outcome: 'reply', address: '10.3.0.1', ttl: 63 })
  t.match(await node.icmp.ping('10.3.0.1', { size: 1400, dontFragment: true }), {
    outcome: 'fragmentationNeeded',
    address: THEIRS,
  })
  t.match(await node.icmp.ping('10.3.0.1', { size: 4000 }), { outcome: 'reply', octets: 4000 })
  const server = createServer((_request, response) => payload((octets) => octets < 5 << 20).stream.pipe(response))
  await once(node.net.attach(server).listen(80), 'listening')
  // The far end offers a segment size that does not fit its link.
  far.ip('route', 'replace', 'default', 'via', '10.3.0.254', 'advmss', '1460')
  const { output } = await far.run('sh', '-c', `curl -sS http://${OURS}/ | sha256sum`)
  t.match(output, payloadHash(5 << 20), 'TCP goes by it')
})
