/** Connections while links, ways, addresses and routers go away and come back: they survive, or fail with the right code. */
import t from 'tap'
import {
  beside,
  cable,
  ethernet,
  ip,
  ipv4,
  ms,
  type Node,
  Simulation,
  type Sockets,
  seconds,
  sockets,
  stack,
  tcp,
  udp,
} from '../../src/index.ts'
import { network } from '../../src/testing.ts'
import { scenario } from './scenario.ts'
import { octetsOf, Stream } from './world.ts'

const OCTETS = 1_000_000

/** A ── R ── B, 8 Mbit/s: a megabyte takes a second at least. */
const line = (seed: number) =>
  network({
    seed,
    hosts: { A: {}, B: {} },
    routers: { R: {} },
    links: [
      { between: ['A', 'R'], rate: 8_000_000, delay: ms(5), queue: 512, loss: 0.002 },
      { between: ['R', 'B'], delay: ms(5) },
    ],
  })

const streamOf = (net: ReturnType<typeof line>, seed: number, options = {}): Stream =>
  new Stream(net.nodes.A, net.nodes.B, net.address('B'), octetsOf(seed, OCTETS), options)

await scenario(t, 'a link goes down and comes back', line, async (t, net, seed) => {
  const stream = streamOf(net, seed)
  await net.sim.run(ms(400))
  t.ok(stream.read > 0 && stream.read < OCTETS, 'in the middle of it')
  net.link('A-R').unplug()
  await net.sim.run(seconds(10))
  const { read } = stream
  await net.sim.run(seconds(5))
  t.equal(stream.read, read, 'nothing moves')
  net.link('A-R').plug()
  t.ok(await net.sim.runUntil(() => stream.senderClosed && stream.receiverClosed, seconds(300)))
  t.equal(stream.senderError, null)
  t.equal(stream.receiverError, null)
  t.ok(stream.complete)
})

for (const [from, to] of [
  ['A', 'R'],
  ['R', 'A'],
] as const) {
  await scenario(
    t,
    `what ${from} sends to ${to} is lost for a while, the other way works`,
    line,
    async (t, net, seed) => {
      const stream = streamOf(net, seed)
      await net.sim.run(ms(400))
      const cut = net.sim.cut([from], [to])
      await net.sim.run(seconds(15))
      t.ok(!stream.senderClosed && stream.read < OCTETS)
      t.ok(stream.acknowledged <= stream.received)
      cut.heal()
      t.ok(await net.sim.runUntil(() => stream.senderClosed && stream.receiverClosed, seconds(300)))
      t.equal(stream.senderError, null)
      t.ok(stream.complete)
    },
  )
}

await scenario(t, 'a partition longer than the user timeout', line, async (t, net, seed) => {
  const receiver = { keepAlive: true, keepAliveIdle: seconds(20), keepAliveInterval: seconds(5), keepAliveCount: 3 }
  const stream = streamOf(net, seed, { sender: { userTimeout: seconds(10) }, receiver })
  await net.sim.run(ms(400))
  const at = net.sim.now()
  const partition = net.partition(['R'], ['B'])
  t.ok(await net.sim.runUntil(() => stream.over, seconds(60)))
  t.equal(stream.senderError?.code, 'ETIMEDOUT')
  const waited = net.sim.now() - at
  t.ok(waited >= seconds(9) && waited < seconds(14), `given up after ${waited} us`)
  t.ok(stream.acknowledged > 0 && stream.acknowledged <= stream.received, 'what was acknowledged is there')
  t.ok(stream.intact)
  t.ok(await net.sim.runUntil(() => stream.receiverClosed, seconds(120)), 'the receiver notices by keepalive')
  // Blamed on its router, if that was found absent meanwhile.
  t.match(stream.receiverError?.code, /^(ETIMEDOUT|EHOSTUNREACH)$/)
  partition.heal()
  const again = streamOf(net, seed, { port: 9001 })
  t.ok(await net.sim.runUntil(() => again.senderClosed, seconds(300)))
  t.ok(again.complete, 'and afterwards all is well')
})

await scenario(t, 'the address of a live connection is removed', line, async (t, net, seed) => {
  const receiver = { keepAlive: true, keepAliveIdle: seconds(20), keepAliveInterval: seconds(5), keepAliveCount: 3 }
  const stream = streamOf(net, seed, { receiver })
  await net.sim.run(ms(400))
  net.nodes.A.top.network.removeAddress('eth0', net.address('A'))
  t.ok(await net.sim.runUntil(() => stream.over, seconds(1)))
  t.equal(stream.senderError?.code, 'EADDRNOTAVAIL')
  t.ok(await net.sim.runUntil(() => stream.receiverClosed, seconds(300)))
  t.match(stream.receiverError?.code, /^(ETIMEDOUT|EHOSTUNREACH)$/)
  t.ok(stream.intact && stream.read < OCTETS)
})

/** The same line, of nodes that can be closed and booted again one by one. */
function restartable(seed: number) {
  const sim = new Simulation({ seed })
  const left = cable({ rate: 8_000_000, delay: ms(5), queue: 512 })
  const right = cable({ delay: ms(5) })
  const host = (end: (typeof left)[0], address: string, gateway: string) =>
    stack(end, ethernet(), ip(ipv4({ address, gateway })), sockets(tcp(), udp()))
  const router = stack(
    beside({ eth0: stack(left[1], ethernet()), eth1: stack(right[0], ethernet()) }),
    ip(ipv4({ forwarding: true, addresses: { eth0: '10.0.1.1/24', eth1: '10.0.2.1/24' } })),
    sockets(tcp(), udp()),
  )
  const a = sim.boot('A', host(left[0], '10.0.1.2/24', '10.0.1.1'))
  let running: Node<Sockets> = sim.boot('R', router)
  const b = sim.boot('B', host(right[1], '10.0.2.2/24', '10.0.2.1'))
  return {
    sim,
    a,
    b,
    stop: () => running.close(),
    start: () => {
      running = sim.boot('R', router)
    },
    close: () => sim.close(),
  }
}

await scenario(t, 'a router is restarted', restartable, async (t, { sim, a, b, stop, start }, seed) => {
  const stream = new Stream(a, b, '10.0.2.2', octetsOf(seed, OCTETS))
  await sim.run(ms(400))
  t.ok(stream.read > 0 && stream.read < OCTETS)
  await stop()
  await sim.run(seconds(8))
  t.ok(!stream.senderClosed && !stream.receiverClosed)
  start()
  t.ok(await sim.runUntil(() => stream.senderClosed && stream.receiverClosed, seconds(300)))
  t.equal(stream.senderError, null)
  t.ok(stream.complete, 'another router of the same address has another MAC address')
})

t.test(
  'a neighbour that is not there ends an open as soon as it is found absent, and no connection that was made',
  async (t) => {
    const net = network({ seed: 1, hosts: { A: {}, B: {} }, links: [{ between: ['A', 'B'], delay: ms(5) }] })
    const absent = net.address('B').replace(/\d+$/, '77')
    const failed = new Promise<NodeJS.ErrnoException>((resolve) =>
      net.nodes.A.net.connect(80, absent).on('error', resolve),
    )
    let error: NodeJS.ErrnoException | undefined
    void failed.then((reason) => {
      error = reason
    })
    t.ok(
      await net.sim.runUntil(() => error !== undefined, seconds(5)),
      'within a few seconds, not after all retransmissions',
    )
    t.match(error, { code: 'EHOSTUNREACH', syscall: 'connect', address: absent, port: 80 })
    await net.sim.close()
  },
)
