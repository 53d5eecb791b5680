/** Whole networks on virtual time, against Dijkstra's distances; see bench/babel.ts for large ones. */
import t from 'tap'
import { Network, type NetworkOptions } from '../../../../../bench/babel-network.ts'
import { type TopologyName, topology } from '../../../../../bench/babel-topology.ts'
import { seconds } from '../../../../../src/kernel/clock.ts'
import { SeededRandom } from '../../../../../src/kernel/random.ts'

const network = (name: TopologyName, nodes: number, options: NetworkOptions = {}): Network =>
  new Network(topology(name, nodes, 96, new SeededRandom([7, 7, 7, 7])), options)

for (const name of ['line', 'grid', 'random4', 'scale-free', 'star'] as const) {
  t.test(`${name}: cold start, cut, heal, other costs`, async (t) => {
    const net = network(name, 40)
    const [edge] = net.topology.edges.slice(net.topology.edges.length >> 1)
    if (edge === undefined) throw new Error('no edge')
    t.ok(net.runUntil('exact', seconds(60)) < seconds(30), 'all distances are true within half a minute')
    t.strictSame(net.walk(), { arrived: 1, stretch: 1 })
    net.recost([[edge, 0]])
    t.ok(net.runUntil('exact', seconds(120)) < seconds(90), 'a cut')
    net.recost([[edge, 96]])
    t.ok(net.runUntil('exact', seconds(120)) < seconds(90), 'healed')
    net.recost([[edge, 32]])
    t.ok(net.runUntil('exact', seconds(400)) < seconds(300), 'cheaper: small changes go with the updates of each hop')
    net.recost([[edge, 500]])
    t.ok(net.runUntil('reached', seconds(120)) < seconds(90), 'dearer')
    net.run(seconds(120))
    t.ok(net.walk().stretch < 1.01)
    t.equal(net.walk().arrived, 1)
    t.equal(net.loops, 0, 'never a loop, at no instant')
  })
}

t.test('with a fifth of all packets lost there are still no loops, and ways to everybody', async (t) => {
  const net = network('random4', 30, { loss: 0.2, type: 'wireless' })
  net.run(seconds(120))
  t.ok(net.walk().arrived > 0.97)
  const half = net.topology.edges.filter(({ a, b }) => a < 15 !== b < 15)
  net.recost(half.map((edge) => [edge, 0]))
  net.run(seconds(120))
  net.recost(half.map((edge) => [edge, 96]))
  net.run(seconds(120))
  t.ok(net.walk().arrived > 0.97)
  t.equal(net.loops, 0)
})

t.test('the same seed tells the same story', async (t) => {
  const story = (seed: number): string => {
    const net = network('grid', 16, { loss: 0.05, seed })
    net.run(seconds(60))
    return `${net.packets} ${net.octets}`
  }
  t.equal(story(1), story(1))
  t.not(story(1), story(2))
})
