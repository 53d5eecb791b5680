/** IPv6 with kernels: echo of every size both ways, and a router of ours between two of them. */
import { once } from 'node:events'
import { pipeline } from 'node:stream/promises'
import t from 'tap'
import {
  beside,
  boot,
  ethernet,
  ip,
  ipv6,
  type Node,
  type Sockets,
  sockets,
  stack,
  tapDevice,
  tcp,
  udp,
} from '../../src/index.ts'
import { packetsInUse, poisonReleased } from '../../src/kernel/packet.ts'
import { answered, flooded } from './echoes.ts'
import { type Cleaning, type Namespace, namespace, oracle } from './helpers.ts'
import { answers, OURS, pair, THEIRS } from './ipv6-stand.ts'
import { payload, payloadFile, payloadHash } from './payload.ts'
import { dropsOf } from './stand.ts'

poisonReleased(true)
t.setTimeout(600_000)
const skip = oracle('root', 'tun', 'ip', 'ping', 'traceroute', 'socat')

const BULK_OCTETS = 8 << 20

for (const vnetHdr of [false, true]) {
  t.test(`echo, ${vnetHdr ? 'with' : 'without'} offload`, { skip }, async (t) => {
    const before = packetsInUse()
    const { kernel, node } = await pair(t, vnetHdr)
    for (const size of [0, 1, 56, 1452, 1453, 8972, 65_507]) {
      const options = ['-6', '-i', '0.02', '-s', `${size}`, OURS]
      t.equal(await answered(kernel, 5, ...options), 5, `the kernel, ${size} octets`)
      const reply = await node.icmp.ping(THEIRS, { size })
      t.match(reply, { address: THEIRS, outcome: 'reply', octets: size, ttl: 64 }, `ours, ${size} octets`)
    }
    t.equal(await flooded(kernel, 2000, '-6', OURS), 2000, 'a flood')
    const { output: all } = await kernel.run('ping', '-6', '-c', '1', '-w', '60', 'ff02::1%x0')
    t.match(all, /from fe80::[0-9a-f:]+%x0/, 'all nodes of the link')
    t.same(
      // While its addresses are looked for, ours answers for none of them.
      dropsOf(node).filter((drop) => !/notMember|icmpType|notOurNeighbour/.test(drop)),
      [],
    )
    await node.close()
    t.equal(packetsInUse(), before)
  })
}

for (const vnetHdr of [false, true]) {
  t.test(`bulk over TCP, ${vnetHdr ? 'with' : 'without'} offload`, { skip }, async (t) => {
    const before = packetsInUse()
    const { kernel, node } = await pair(t, vnetHdr)
    const server = node.net.createServer((socket) => socket.pipe(socket))
    await once(server.listen(7), 'listening')
    const file = await payloadFile(t, BULK_OCTETS)
    const { output } = await kernel.run('sh', '-c', `cat ${file} | socat -t 30 - TCP6:[${OURS}]:7 | sha256sum`)
    t.match(output, payloadHash(BULK_OCTETS), 'there and back')
    await kernel.start(/listening/, 'socat', '-d', '-d', '-t', '30', 'TCP6-LISTEN:8', 'SYSTEM:sha256sum')
    const socket = await node.net.connect({ host: THEIRS, port: 8 })
    await pipeline(payload((sent) => sent < BULK_OCTETS).stream, socket, { end: false })
    socket.end()
    t.match(`${Buffer.concat(await socket.toArray())}`, payloadHash(BULK_OCTETS), 'to the kernel')
    server.close()
    await node.close()
    t.equal(packetsInUse(), before)
  })
}

/** fd01::1 ── fd01::fe router fd02::fe ── fd02::1 */
async function routed(t: Cleaning, mtu: number): Promise<{ left: Namespace; right: Namespace; router: Node<Sockets> }> {
  const left = namespace(t)
  const right = namespace(t)
  const links = {
    left: stack(tapDevice({ name: 'x0', netns: left.name, vnetHdr: true }), ethernet()),
    right: stack(tapDevice({ name: 'x0', netns: right.name, mtu }), ethernet()),
  }
  const network = ip(ipv6({ addresses: { left: 'fd01::fe/64', right: 'fd02::fe/64' }, forwarding: true }))
  const router = await boot(stack(beside(links), network, sockets(tcp(), udp())), 'router')
  t.teardown(() => router.close())
  for (const [side, net] of [[left, 'fd01'] as const, [right, 'fd02'] as const]) {
    side.ip('addr', 'add', `${net}::1/64`, 'dev', 'x0', 'nodad')
    side.ip('route', 'add', 'default', 'via', `${net}::fe`)
    await answers(side, `${net}::fe`)
  }
  await answers(left, 'fd02::1')
  return { left, right, router }
}

/** The addresses of the hops. */
const hops = (output: string): string[] => [...output.matchAll(/^ *\d+ {2}(\S+)/gm)].map(([, hop]) => hop as string)

t.test('through a router of ours, by a narrow link', { skip }, async (t) => {
  const before = packetsInUse()
  const { left, right, router } = await routed(t, 1300)
  for (const method of ['udp', 'icmp', 'tcp']) {
    const { output } = await left.run('traceroute', '-6', '-n', '-w', '30', '-q', '1', '-M', method, 'fd02::1')
    t.same(hops(output), ['fd01::fe', 'fd02::1'], `by ${method}`)
  }
  const { output: nowhere } = await left.run('traceroute', '-6', '-n', '-w', '30', '-q', '1', '-m', '3', '2001:db8::1')
  t.match(nowhere, / fd01::fe .*!N/, 'no route')
  const { output: nobody } = await left.run('traceroute', '-6', '-n', '-w', '30', '-q', '1', '-m', '3', 'fd02::99')
  t.match(nobody, / fd01::fe .*!H/, 'nobody has that address')
  const { output: refused } = await left.run('ping', '-6', '-c', '1', '-w', '60', '-M', 'do', '-s', '1400', 'fd02::1')
  t.match(refused, /[Pp]acket too big.*1300|mtu[ :=]+1300/i, 'what is too big for the narrow link')
  const many = await answered(left, 5, '-6', '-i', '0.02', '-s', '20000', 'fd02::1')
  const file = await payloadFile(t, BULK_OCTETS)
  await right.start(/listening/, 'socat', '-d', '-d', '-u', `OPEN:${file}`, 'TCP6-LISTEN:7000')
  const { output: down } = await left.run('sh', '-c', 'socat -u TCP6:[fd02::1]:7000 - | sha256sum')
  t.match(down, payloadHash(BULK_OCTETS), 'TCP from the narrow side')
  await left.start(/listening/, 'socat', '-d', '-d', '-u', `OPEN:${file}`, 'TCP6-LISTEN:7000')
  const { output: up } = await right.run('sh', '-c', 'socat -u TCP6:[fd01::1]:7000 - | sha256sum')
  t.match(up, payloadHash(BULK_OCTETS), 'and to it: super-segments are cut for it')
  t.equal(many, 5, 'the kernel has learnt the MTU of the path, and fragments for it')
  await router.close()
  t.equal(packetsInUse(), before)
})
