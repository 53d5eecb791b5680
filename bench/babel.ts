/**
 * Babel at scale: networks of up to 3,000 routers on virtual time, in one process each. `npm run bench -- babel` holds some of
 * it against what is asked for; `node --import=tsx --expose-gc bench/babel.ts TOPOLOGY NODES[/TARGETS] LOSS…` makes the rows of
 * docs/routing-scale.md: with TARGETS, so many of the routers announce something, and all find the ways to these.
 */
import { fileURLToPath } from 'node:url'
import { type Duration, seconds } from '../src/kernel/clock.ts'
import { SeededRandom } from '../src/kernel/random.ts'
import { Network } from './babel-network.ts'
import { type Edge, type TopologyName, topology } from './babel-topology.ts'
import { type Bench, figure } from './harness.ts'

export interface Scenario {
  readonly topology: TopologyName
  readonly nodes: number
  /** Routers that announce something; default all. */
  readonly targets?: number
  /** Probability that a packet is lost. With any, links are 'wireless'. */
  readonly loss: number
  /** Virtual time that is idle and measured; default 60 s. */
  readonly idle?: Duration
}

/** Times in seconds of virtual time; Infinity: not within the time given. */
export interface Result {
  /** Until every node has a way to every other one, and until all are the shortest. */
  readonly cold: number
  readonly coldExact: number
  /** After a link in the middle is cut without anybody being told: until packets arrive, and by the shortest ways. */
  readonly cut: number
  readonly cutExact: number
  /** After a network that was in two halves for three minutes is whole again: until packets of all arrive. */
  readonly heal: number
  /** After the cost of one link has grown threefold, until all ways are the shortest. */
  readonly metric: number
  /** Ways that led in a circle, at any instant. */
  readonly loops: number
  /** Mean time in seconds that a pair had no way in the whole run, though there was one. */
  readonly hole: number
  /** Length of ways over the shortest, at the end, and the share of pairs that reach each other. */
  readonly stretch: number
  readonly arrived: number
  /** On the wire, of one node, while nothing changes. */
  readonly octetsPerSecond: number
  /** Of the process, per node, KB. */
  readonly memory: number
  /** Milliseconds of the processor for a second of virtual time, while nothing changes. */
  readonly processor: number
  /** The whole run: of virtual time, of the processor, of the clock, in seconds. */
  readonly virtual: number
  readonly worked: number
  readonly real: number
}

/** What a link costs: 600 hops must be less than infinity. */
const COST = 96
const LINE_COST = 16

export function measure({ topology: name, nodes, targets = nodes, loss, idle = seconds(60) }: Scenario): Result {
  const [began, worked] = [performance.now(), process.cpuUsage()]
  const cost = name === 'line' ? LINE_COST : COST
  const graph = topology(name, nodes, cost, new SeededRandom([nodes, 2, 3, 4]))
  const before = process.memoryUsage().rss
  const net = new Network(graph, { loss, targets, type: loss > 0 ? 'wireless' : 'wired' })
  const patience = seconds(180)
  const until = (what: 'exact' | 'reached'): number => net.runUntil(what, patience) / 1e6
  const started = net.now
  const coldReached = until('reached')
  const coldExact = loss > 0 ? Number.NaN : after(net, started, until('exact'))
  net.run(seconds(30))
  const [octets, spent, at] = [net.octets, cpu(), net.now]
  net.run(idle)
  const octetsPerSecond = ((net.octets - octets) * 1e6) / (net.now - at) / nodes
  const processor = ((cpu() - spent) * 1e6) / (net.now - at)
  const memory = (process.memoryUsage().rss - before) / 1024 / nodes
  const middle = graph.edges[graph.edges.length >> 1] as Edge
  const costs = middle.cost
  const cutAt = net.now
  net.recost([[middle, 0]])
  const cut = net.runUntilArrived(patience) / 1e6
  const cutExact = loss > 0 ? Number.NaN : after(net, cutAt, until('exact'))
  const halves = graph.edges.filter(({ a, b, cost }) => cost > 0 && a < nodes >> 1 !== b < nodes >> 1)
  net.recost(halves.map((edge) => [edge, 0]))
  net.run(seconds(180))
  net.recost([...halves, middle].map((edge) => [edge, costs]))
  const heal = net.runUntilArrived(patience) / 1e6
  net.run(seconds(60))
  net.recost([[middle, costs * 3]])
  const metric = loss > 0 ? Number.NaN : until('exact')
  const { arrived, stretch } = net.walk()
  const usage = process.cpuUsage(worked)
  return {
    cold: coldReached,
    coldExact,
    cut,
    cutExact,
    heal,
    metric,
    loops: net.loops,
    hole: net.holeTime / 1e6 / (targets * (nodes - 1)),
    stretch,
    arrived,
    octetsPerSecond,
    memory,
    processor,
    virtual: net.now / 1e6,
    worked: (usage.user + usage.system) / 1e6,
    real: (performance.now() - began) / 1000,
  }
}

/** Since `from`, when a wait that began later took `waited` seconds. */
const after = (net: Network, from: number, waited: number): number =>
  waited === Number.POSITIVE_INFINITY ? waited : Math.max(0, (net.exactAt - from) / 1e6)

/** Milliseconds of the processor so far. */
function cpu(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

export const babelBench: Bench = async (effort, tell) => {
  const quick = effort.ms < 1000
  const scenarios: Scenario[] = quick
    ? [{ topology: 'grid', nodes: 50, loss: 0 }]
    : [
        { topology: 'grid', nodes: 100, loss: 0 },
        { topology: 'random4', nodes: 300, loss: 0 },
        { topology: 'random4', nodes: 1000, loss: 0 },
      ]
  for (const scenario of scenarios) {
    const result = measure(scenario)
    if (result.loops > 0) throw new Error(`${result.loops} loops: ${JSON.stringify(scenario)}`)
    const limit = (metric: string, unit: string, value: number, most: number): void => {
      const gate = { bench: 'babel', unit, peer: 'limit', target: 1, atMost: true } as const
      const name = `${scenario.topology}, ${scenario.nodes} nodes: ${metric}`
      tell(figure({ ...gate, metric: name }, value, most, { ...effort, runs: 1 }))
    }
    limit('cold start', 's', result.cold, 60)
    limit('link cut', 's', result.cut, 60)
    limit('healed', 's', result.heal, 60)
    limit('memory', 'MB', (result.memory * scenario.nodes) / 1024, 4096)
    limit('processor for 600 s of virtual time', 's', (result.worked * 600) / result.virtual, 600)
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , name = 'grid', size = '100', ...losses] = process.argv
  const [nodes = 100, targets = nodes] = size.split('/').map(Number)
  for (const loss of losses.length > 0 ? losses : ['0']) {
    const scenario = { topology: name as TopologyName, nodes, targets, loss: Number(loss) }
    console.log(JSON.stringify({ ...scenario, ...measure(scenario) }))
  }
}
