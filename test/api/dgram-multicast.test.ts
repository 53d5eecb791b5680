/** Groups, in the shape of Node's dgram, on one Ethernet of three hosts; what calls refuse is what Node refuses. */
import nodeDgram from 'node:dgram'
import { once } from 'node:events'
import t, { type Test } from 'tap'
import {
  ethernet,
  hub,
  ip,
  ipv4,
  ipv6,
  type Node,
  Simulation,
  type Sockets,
  seconds,
  sockets,
  stack,
  tcp,
  udp,
} from '../../src/index.ts'
import { packetsInUse, poisonReleased } from '../../src/kernel/packet.ts'

poisonReleased(true)

interface Lan {
  readonly sim: Simulation
  readonly hosts: readonly [Node<Sockets>, Node<Sockets>, Node<Sockets>]
  /** Ethernet frames on the wire to these groups, as text of their last octets. */
  readonly seen: string[]
}

function lan(): Lan {
  const sim = new Simulation({ seed: 4 })
  const ports = hub(4)
  const boot = (port: (typeof ports)[0], n: number) =>
    sim.boot(
      `H${n}`,
      stack(
        port,
        ethernet(),
        ip(ipv4({ address: `10.0.0.${n}/24` }), ipv6({ address: `fd00::${n}/64` })),
        sockets(tcp(), udp()),
      ),
    )
  const hosts = [boot(ports[0], 1), boot(ports[1], 2), boot(ports[2], 3)] as const
  const seen: string[] = []
  sim.boot('tap', ports[3]).top.boundary.attach({
    receive(packet) {
      const octets = Buffer.from(packet.bytes())
      const igmp = octets.readUInt16BE(12) === 0x0800 && octets[23] === 2
      const mld = octets.readUInt16BE(12) === 0x86dd && octets[20] === 0
      if (igmp) seen.push(`igmp ${octets[38]?.toString(16)} ${octets.subarray(46, 54).toString('hex')}`)
      if (mld) seen.push(`mld ${octets[62]} ${octets.subarray(70, 90).toString('hex')}`)
      packet.release()
    },
  })
  return { sim, hosts, seen }
}

type Socket = ReturnType<Node<Sockets>['dgram']['createSocket']>

async function open(
  node: Node<Sockets>,
  type: 'udp4' | 'udp6',
  port = 5000,
): Promise<{ socket: Socket; got: string[] }> {
  const got: string[] = []
  const socket = node.dgram.createSocket({ type, reuseAddr: true })
  socket.on('message', (message, from) => got.push(`${message} ${from.address}`))
  socket.bind(port)
  await once(socket, 'listening')
  return { socket, got }
}

const say = (socket: Socket, text: string, group: string) => socket.send(text, 5000, group)

async function closed(t: Test, { sim }: Lan): Promise<void> {
  await sim.close()
  t.equal(packetsInUse(), 0)
}

for (const [type, group, other, from] of [
  ['udp4', '239.1.2.3', '239.1.2.4', '10.0.0.'],
  ['udp6', 'ff15::1:2', 'ff15::1:3', 'fd00::'],
] as const) {
  t.test(`${type}: who joins a group hears it, and who leaves does not`, async (t) => {
    const on = lan()
    const { sim, hosts } = on
    await sim.run(seconds(4))
    const [a, b, c] = [await open(hosts[0], type), await open(hosts[1], type), await open(hosts[2], type)]
    b.socket.addMembership(group)
    say(a.socket, 'one', group)
    await sim.run(seconds(1))
    t.strictSame([a.got, b.got, c.got], [[], [`one ${from}1`], []])
    c.socket.addMembership(group)
    b.socket.dropMembership(group)
    say(a.socket, 'two', group)
    say(a.socket, 'three', other)
    await sim.run(seconds(1))
    t.strictSame([b.got.splice(1), c.got], [[], [`two ${from}1`]])
    c.socket.close()
    say(a.socket, 'four', group)
    await sim.run(seconds(1))
    t.equal(c.got.length, 1)
    await closed(t, on)
  })

  t.test(`${type}: some sources alone`, async (t) => {
    const on = lan()
    const { sim, hosts } = on
    await sim.run(seconds(4))
    const [a, b, c] = [await open(hosts[0], type), await open(hosts[1], type), await open(hosts[2], type)]
    b.socket.addSourceSpecificMembership(`${from}3`, group)
    for (const { socket } of [a, c]) say(socket, 'x', group)
    await sim.run(seconds(1))
    t.strictSame(b.got.splice(0), [`x ${from}3`])
    b.socket.addSourceSpecificMembership(`${from}1`, group)
    b.socket.dropSourceSpecificMembership(`${from}3`, group)
    for (const { socket } of [a, c]) say(socket, 'y', group)
    await sim.run(seconds(1))
    t.strictSame(b.got.splice(0), [`y ${from}1`])
    b.socket.dropSourceSpecificMembership(`${from}1`, group)
    for (const { socket } of [a, c]) say(socket, 'z', group)
    await sim.run(seconds(1))
    t.strictSame(b.got, [])
    // Another socket of the host wants everybody: the first still has its filter.
    const b2 = await open(hosts[1], type)
    b2.socket.addMembership(group)
    b.socket.addSourceSpecificMembership(`${from}3`, group)
    for (const { socket } of [a, c]) say(socket, 'w', group)
    await sim.run(seconds(1))
    t.strictSame([b.got, b2.got.sort()], [[`w ${from}3`], [`w ${from}1`, `w ${from}3`]])
    await closed(t, on)
  })

  t.test(`${type}: what one sends comes back, unless it says otherwise`, async (t) => {
    const on = lan()
    const { sim, hosts } = on
    await sim.run(seconds(4))
    const [a, a2] = [await open(hosts[0], type), await open(hosts[0], type)]
    for (const { socket } of [a, a2]) socket.addMembership(group)
    say(a.socket, 'one', group)
    await sim.run(seconds(1))
    t.strictSame([a.got.splice(0), a2.got.splice(0)], [[`one ${from}1`], [`one ${from}1`]])
    a.socket.setMulticastLoopback(false)
    say(a.socket, 'two', group)
    await sim.run(seconds(1))
    t.strictSame([a.got, a2.got], [[], []])
    await closed(t, on)
  })
}

t.test('routers are told', async (t) => {
  const on = lan()
  const { sim, hosts, seen } = on
  await sim.run(seconds(4))
  seen.length = 0
  const a = await open(hosts[0], 'udp4')
  a.socket.addMembership('239.1.2.3')
  await sim.run(seconds(2))
  t.strictSame(seen, ['igmp 22 04000000ef010203', 'igmp 22 04000000ef010203'])
  seen.length = 0
  a.socket.close()
  await sim.run(seconds(2))
  t.strictSame(seen, ['igmp 22 03000000ef010203', 'igmp 22 03000000ef010203'])
  seen.length = 0
  const six = await open(hosts[0], 'udp6')
  six.socket.addMembership('ff15::1')
  await sim.run(seconds(2))
  t.equal(seen.length, 2)
  t.match(seen[0], /^mld 143 04000000ff15/)
  await closed(t, on)
})

t.test('by which link', async (t) => {
  const on = lan()
  const { sim, hosts } = on
  await sim.run(seconds(4))
  const [a, b] = [await open(hosts[0], 'udp4'), await open(hosts[1], 'udp4')]
  b.socket.addMembership('239.1.2.3', '10.0.0.2')
  a.socket.setMulticastInterface('10.0.0.1')
  say(a.socket, 'one', '239.1.2.3')
  await sim.run(seconds(1))
  t.strictSame(b.got, ['one 10.0.0.1'])
  t.throws(() => b.socket.addMembership('239.1.2.3', '10.9.9.9'), { code: 'ENODEV', syscall: 'addMembership' })
  t.throws(() => a.socket.setMulticastInterface('10.9.9.9'), { code: 'ENODEV' })
  const six = await open(hosts[0], 'udp6', 5001)
  six.socket.setMulticastInterface('::%eth0')
  six.socket.addMembership('ff02::1:2', '::%eth0')
  t.throws(() => six.socket.addMembership('ff02::1:2', '::%eth9'), { code: 'ENODEV' })
  await closed(t, on)
})

t.test('one that joins before it is bound is bound', async (t) => {
  const on = lan()
  const { sim, hosts } = on
  const socket = hosts[0].dgram.createSocket('udp4')
  socket.addMembership('239.1.2.3')
  await once(socket, 'listening')
  t.not(socket.address().port, 0)
  const failing = hosts[0].dgram.createSocket('udp4')
  t.throws(() => failing.addMembership('10.0.0.1'), { code: 'EINVAL', syscall: 'addMembership' })
  failing.addMembership('239.1.2.3', '::%eth9')
  const [error] = await once(failing, 'error')
  t.match(error, { syscall: 'addMembership' })
  await closed(t, on)
  await sim.close()
})

t.test('refusals are those of Node', async (t) => {
  const on = lan()
  const [node] = on.hosts
  const real = nodeDgram.createSocket('udp4')
  t.teardown(() => real.close())
  real.bind(0, '127.0.0.1')
  await once(real, 'listening')
  const ours = (await open(node, 'udp4')).socket
  const calls: [string, (socket: Socket | nodeDgram.Socket, on: string) => void][] = [
    ['no text', (socket) => socket.addMembership(1 as never)],
    ['nothing', (socket) => socket.addMembership(undefined as never)],
    ['no text as a source', (socket) => socket.addSourceSpecificMembership(0 as never, '239.1.1.2')],
    ['no text as a group', (socket) => socket.dropSourceSpecificMembership('10.0.0.7', 0 as never)],
    ['no text as an interface', (socket) => socket.setMulticastInterface(1 as never)],
    ['no address', (socket) => socket.addMembership('nowhere')],
    ['no group', (socket, on) => socket.addMembership('10.0.0.1', on)],
    ['a group not joined', (socket, on) => socket.dropMembership('239.9.9.9', on)],
    ['a source not asked for', (socket, on) => socket.dropSourceSpecificMembership('10.0.0.7', '239.9.9.9', on)],
    ['a group', (socket, on) => socket.addMembership('239.1.1.1', on)],
    ['a group twice', (socket, on) => socket.addMembership('239.1.1.1', on)],
    ['a source that is none', (socket, on) => socket.addSourceSpecificMembership('nowhere', '239.1.1.2', on)],
  ]
  for (const [what, call] of calls) {
    const outcome = (socket: Socket | nodeDgram.Socket, on: string) => {
      try {
        call(socket, on)
        return 'done'
      } catch (error) {
        return (error as NodeJS.ErrnoException).code
      }
    }
    t.equal(outcome(ours, '10.0.0.1'), outcome(real, '127.0.0.1'), what)
  }
  await closed(t, on)
})
