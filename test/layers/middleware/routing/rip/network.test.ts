/** Networks of RIP's machines on virtual time, against Dijkstra's distances: cold start, a cut, and healing. */
import { deepStrictEqual } from 'node:assert'
import fc from 'fast-check'
import t from 'tap'
import { distances, type Edge, UNREACHABLE } from '../../../../../bench/babel-topology.ts'
import { Rip } from '../../../../../layers/middleware/routing/rip/machine.ts'
import { type Codec, INFINITY } from '../../../../../layers/middleware/routing/rip/pdu.ts'
import { rip2 } from '../../../../../layers/middleware/routing/rip/rip2.ts'
import { ripng } from '../../../../../layers/middleware/routing/rip/ripng.ts'
import type { Interface } from '../../../../../layers/middleware/routing/rip/route.ts'
import { type IpAddress, type Prefix, parsePrefix } from '../../../../../src/kernel/address.ts'
import { type Duration, ms, seconds } from '../../../../../src/kernel/clock.ts'
import { Drive } from '../../../../../src/kernel/drive.ts'
import { SeededRandom } from '../../../../../src/kernel/random.ts'
import { Timer, Timers } from '../../../../../src/kernel/timers.ts'
import { holds } from '../../../../property.ts'

/** Where a link leads: the other end, unless it is cut. */
interface Way {
  readonly edge: Edge
  readonly to: number
  readonly from: IpAddress
  far?: Interface
}

class Network {
  private readonly timers = new Timers()
  private readonly routers: { rip: Rip; drive: Drive }[]
  private readonly ways = new Map<Interface, Way>()
  private readonly codec: Codec
  private readonly edges: readonly Edge[]
  private now = 0

  constructor(codec: Codec, nodes: number, edges: readonly Edge[], seed: number) {
    this.codec = codec
    this.edges = edges
    this.routers = Array.from({ length: nodes }, (_, i) => {
      const rip = new Rip({ codec, random: new SeededRandom([seed, i, 3, 4]) })
      return { rip, drive: new Drive(rip, this.timers, { pump: (now) => this.carry(rip, now) }) }
    })
    for (const [i, edge] of edges.entries()) this.join(edge, i)
    for (const [i, { rip, drive }] of this.routers.entries()) {
      rip.announce(this.net(i), 1, 0)
      drive.run(0)
    }
  }

  run(duration: Duration): this {
    const until = this.now + duration
    for (let at = this.timers.next(); at <= until; at = this.timers.next()) {
      this.now = at
      this.timers.advance(at)
    }
    this.now = until
    return this
  }

  /** The metric of each router towards each. */
  metrics(): number[][] {
    return this.routers.map(({ rip }) => this.routers.map((_, i) => rip.find(this.net(i))?.metric ?? INFINITY))
  }

  truth(): number[][] {
    const { length: nodes } = this.routers
    const all = distances({ name: 'line', nodes, edges: this.edges })
    return this.routers.map((_, a) =>
      this.routers.map((_, b) => {
        const distance = a === b ? 0 : (all[a * nodes + b] as number)
        return distance === UNREACHABLE ? INFINITY : Math.min(INFINITY, distance + 1)
      }),
    )
  }

  private net(i: number): Prefix {
    return parsePrefix(this.codec.isIpv4 ? `10.${100 + i}.0.0/16` : `fd00:${i + 1}::/64`)
  }

  private join(edge: Edge, i: number): void {
    const ends = [edge.a, edge.b].map((node, side) => {
      const prefix = parsePrefix(this.codec.isIpv4 ? `10.0.${i}.${side + 1}/24` : `fe80::${i + 1}:${side + 1}/64`)
      const settings = { name: `edge${i}`, cost: edge.cost, passive: false, maxOctets: 1400, prefixes: [prefix] }
      const on = this.routers[node]?.rip.attach(settings, 0) as Interface
      return { on, way: { edge, to: side === 0 ? edge.b : edge.a, from: prefix.address } as Way }
    })
    for (const [side, { on, way }] of ends.entries()) {
      way.far = ends[1 - side]?.on as Interface
      this.ways.set(on, way)
    }
  }

  private carry(rip: Rip, now: number): void {
    for (let out = rip.output(); out !== undefined; out = rip.output()) {
      const { octets, length } = out
      const { edge, to, from, far } = this.ways.get(out.interface) as Way
      const there = this.routers[to]
      const arrive = (at: number): void => {
        if (edge.cost === 0 || there === undefined) return
        there.rip.input(far as Interface, octets, 0, length, from, this.codec.port, at)
        there.drive.run(at)
      }
      this.timers.arm(new Timer({ expire: arrive }), now + ms(1))
    }
    while (rip.take() !== undefined);
  }
}

/** Trees of up to 9 with some more links: no way is longer than 14. */
const graph = fc
  .tuple(
    fc.array(fc.tuple(fc.nat(), fc.boolean()), { minLength: 2, maxLength: 8 }),
    fc.array(fc.tuple(fc.nat(), fc.nat()), { maxLength: 6 }),
  )
  .map(([tree, more]) => {
    const nodes = tree.length + 1
    const edges: Edge[] = tree.map(([parent, dear], i) => ({
      a: parent % (i + 1),
      b: i + 1,
      cost: dear && i < 4 ? 2 : 1,
    }))
    for (const [a, b] of more) if (a % nodes !== b % nodes) edges.push({ a: a % nodes, b: b % nodes, cost: 1 })
    return { nodes, edges }
  })

for (const codec of [rip2, ripng]) {
  t.test(codec.name, async (t) => {
    holds(
      t,
      'finds the shortest ways, loses them when they are cut, and finds them again',
      fc.property(graph, fc.nat(), fc.nat(), ({ nodes, edges }, which, seed) => {
        const net = new Network(codec, nodes, edges, seed)
        deepStrictEqual(net.run(seconds(60)).metrics(), net.truth(), 'cold')
        const edge = edges[which % edges.length] as Edge
        const { cost } = edge
        edge.cost = 0
        // Nobody is told: 180 s until a way is given up, and as long until neighbours' neighbours have counted to 16.
        deepStrictEqual(net.run(seconds(600)).metrics(), net.truth(), 'cut')
        edge.cost = cost
        deepStrictEqual(net.run(seconds(100)).metrics(), net.truth(), 'healed')
      }),
      { numRuns: 40 },
    )
  })
}
