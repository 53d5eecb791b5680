/** Networks that lose, cut up, reorder, repeat and spoil what they carry, and paths that are narrower than they say. */
import t from 'tap'
import { ms, seconds } from '../../src/index.ts'
import { network, type TestLink } from '../../src/testing.ts'
import { scenario } from './scenario.ts'
import { drops, octetsOf, Stream } from './world.ts'

const two = (link: Omit<TestLink, 'between'>) => (seed: number) =>
  network({ seed, hosts: { A: {}, B: {} }, links: [{ between: ['A', 'B'], ...link }] })

const everything = two({
  delay: ms(5),
  rate: 20_000_000,
  queue: 512,
  loss: 0.01,
  corruption: 0.01,
  corruptBits: 4,
  duplication: 0.02,
  reordering: 0.02,
})

await scenario(t, 'loss, corruption, duplication and reordering at once', everything, async (t, net, seed) => {
  const stream = new Stream(net.nodes.A, net.nodes.B, net.address('B'), octetsOf(seed, 600_000))
  t.ok(await net.sim.runUntil(() => stream.senderClosed && stream.receiverClosed, seconds(600)))
  t.equal(stream.senderError, null)
  t.equal(stream.receiverError, null)
  t.ok(stream.complete)
  t.ok(drops(net.sim, 'ethernet', 'fcs') > 0, 'what was spoilt was noticed')
  t.ok(drops(net.sim, 'impair', 'loss') > 0)
})

const fragmenting = two({ delay: ms(1) })

await scenario(t, 'every second fragment is lost', fragmenting, async (t, net) => {
  const { A, B } = net.nodes
  const { sim } = net
  let received = 0
  B.top.datagram.bind({ port: 5 }, { message: () => void received++ })
  const socket = A.dgram.createSocket('udp4')
  const send = (length: number) => socket.send(new Uint8Array(length), 5, net.address('B'))
  send(10)
  await sim.run(seconds(1))
  t.equal(received, 1)
  let index = 0
  net.link('A-B').set({ dropIf: (_index, packet) => packet.length > 200 && index++ % 2 === 1 })
  for (let i = 0; i < 50; i++) send(4000)
  await sim.run(seconds(1))
  t.equal(received, 1, 'none is whole')
  t.equal(drops(sim, 'ipv4', 'reassemblyTimeout'), 0)
  await sim.run(seconds(40))
  t.ok(drops(sim, 'ipv4', 'reassemblyTimeout') > 0, 'those that wait are given up')
  net.link('A-B').set({ dropIf: null })
  for (let i = 0; i < 50; i++) send(4000)
  await sim.run(seconds(1))
  t.equal(received, 51)
  socket.close()
})

/** The middle is narrower than the ends, and says so unless it is not allowed to. */
const narrow = (perSecond: number) => (seed: number) =>
  network({
    seed,
    hosts: { A: {}, B: {} },
    routers: { R1: { ipv4: { errors: { perSecond, burst: perSecond } } }, R2: {} },
    links: [
      { between: ['A', 'R1'], delay: ms(2), rate: 20_000_000, queue: 512 },
      { between: ['R1', 'R2'], delay: ms(2), mtu: 600 },
      { between: ['R2', 'B'], delay: ms(2) },
    ],
  })

await scenario(t, 'a narrow path that says so', narrow(1000), async (t, net, seed) => {
  const stream = new Stream(net.nodes.A, net.nodes.B, net.address('B'), octetsOf(seed, 300_000))
  t.ok(await net.sim.runUntil(() => stream.senderClosed, seconds(120)))
  t.ok(stream.complete)
  t.equal(stream.connection.info().maxSegment, 600 - 40 - 12)
})

await scenario(t, 'a narrow path that says nothing: a black hole', narrow(0), async (t, net, seed) => {
  const probing = new Stream(net.nodes.A, net.nodes.B, net.address('B'), octetsOf(seed, 300_000))
  t.ok(await net.sim.runUntil(() => probing.senderClosed, seconds(10)))
  t.ok(probing.complete, 'smaller segments get through (RFC 4821)')
  t.same(probing.softErrors, [])
  const { pathMtu } = probing.connection.info()
  t.ok(pathMtu > 552 && pathMtu <= 600, `${pathMtu}`)
  const fragments = new Stream(net.nodes.A, net.nodes.B, net.address('B'), octetsOf(seed, 300_000), {
    port: 9001,
    sender: { pathMtuDiscovery: false },
  })
  t.ok(await net.sim.runUntil(() => fragments.senderClosed, seconds(120)))
  t.ok(fragments.complete, 'without DF routers fragment')
  const small = new Stream(net.nodes.A, net.nodes.B, net.address('B'), octetsOf(seed, 300_000), {
    port: 9002,
    sender: { maxSegment: 536 },
  })
  t.ok(await net.sim.runUntil(() => small.senderClosed, seconds(120)))
  t.ok(small.complete, 'and small segments fit')
})
