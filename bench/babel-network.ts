/**
 * A network of Babel's machines on virtual time, in one process: links are queues of octets, and every change of a way is
 * compared with the truth at once. Each node, or some of them evenly spread, announces one IPv6 host, which is a target here;
 * a pair is a node and a target.
 */
import type { Interface } from '../layers/middleware/routing/babel/interface.ts'
import { Babel } from '../layers/middleware/routing/babel/machine.ts'
import type { LinkType } from '../layers/middleware/routing/babel/neighbour.ts'
import type { Destination } from '../layers/middleware/routing/babel/tables.ts'
import { IpAddress } from '../src/kernel/address.ts'
import { type Duration, type Instant, ms, seconds } from '../src/kernel/clock.ts'
import { Drive } from '../src/kernel/drive.ts'
import { fraction, SeededRandom } from '../src/kernel/random.ts'
import { Timer, Timers } from '../src/kernel/timers.ts'
import { Forwarding } from './babel-forwarding.ts'
import { distances, type Edge, type Topology, UNREACHABLE } from './babel-topology.ts'

const LINK_LOCAL = 0xfe800000 | 0
const PREFIX = 0xfd000000 | 0
/** UDP, IPv6 and Ethernet, which each packet costs besides its own octets. */
const OVERHEAD_OCTETS = 8 + 40 + 18

export interface NetworkOptions {
  readonly type?: LinkType
  readonly helloInterval?: Duration
  readonly updateInterval?: Duration
  /** Probability that a link loses a packet. */
  readonly loss?: number
  /** One way. */
  readonly delay?: Duration
  readonly seed?: number
  /** Nodes that announce something: 1 to all of them. Default all. */
  readonly targets?: number
}

/** One direction of an edge: octets on their way. */
class Way {
  readonly edge: Edge
  readonly to: Node
  /** The interfaces at its ends. */
  near!: Interface
  far!: Interface
  private readonly network: Network
  private readonly queue: { at: Instant; octets: Uint8Array; group: boolean }[] = []
  private readonly timer: Timer

  constructor(network: Network, edge: Edge, to: Node) {
    this.network = network
    this.edge = edge
    this.to = to
    this.timer = new Timer(this)
  }

  carry(octets: Uint8Array, group: boolean, now: Instant): void {
    this.network.packets++
    this.network.octets += octets.length + OVERHEAD_OCTETS
    if (this.edge.cost === 0 || fraction(this.network.random) < this.network.loss) return
    this.queue.push({ at: now + this.network.delay, octets: octets.slice(), group })
    if (!this.timer.armed) this.network.timers.arm(this.timer, now + this.network.delay)
  }

  expire(now: Instant): void {
    while (this.queue[0] !== undefined && this.queue[0].at <= now) {
      const { octets, group } = this.queue.shift() as { octets: Uint8Array; group: boolean }
      const { address } = this.near.settings
      if (this.edge.cost === 0) continue
      this.to.babel.input(this.far, octets, 0, octets.length, address, group ? null : this.far.settings.address, now)
      this.to.drive.run(now)
    }
    if (this.queue[0] !== undefined) this.network.timers.arm(this.timer, this.queue[0].at)
  }
}

export class Node {
  readonly index: number
  readonly babel: Babel
  readonly drive: Drive
  readonly ways: Map<Interface, Way> = new Map()
  private readonly network: Network

  constructor(network: Network, index: number, seed: number) {
    this.network = network
    this.index = index
    const random = new SeededRandom([seed, index + 1, 0x6261, 0x62656c])
    this.babel = new Babel({ routerHigh: 0, routerLow: index + 1, random })
    this.drive = new Drive(this.babel, network.timers, this)
  }

  pump(now: Instant): void {
    for (let packet = this.babel.output(); packet !== undefined; packet = this.babel.output()) {
      this.ways.get(packet.interface)?.carry(packet.octets.subarray(0, packet.length), packet.to === null, now)
    }
    for (let changed = this.babel.take(); changed !== undefined; changed = this.babel.take()) {
      this.network.changed(this, changed, now)
    }
  }
}

export class Network {
  readonly topology: Topology
  readonly timers: Timers = new Timers()
  readonly nodes: Node[] = []
  readonly random: SeededRandom
  readonly delay: Duration
  loss: number
  now: Instant = 0
  packets = 0
  octets = 0
  /** Ways that came to lead back to where they began. */
  loops = 0
  /** Pairs whose metric is not the true distance, and pairs that have no way though there is one. */
  wrong = 0
  holes = 0
  /** When each of the two last became 0; and the integral of the second, pairs times µs. */
  exactAt: Instant = 0
  reachedAt: Instant = 0
  holeTime = 0
  private holesSince: Instant = 0
  /** By node and target, as the next two. */
  private truth: Uint16Array
  /** What each node uses towards each target: the metric, and where it leads next. */
  private readonly metrics: Uint16Array
  private readonly forwarding: Forwarding
  private readonly targets: readonly number[]
  /** The place of each node among `targets`, or -1. */
  private readonly targetOf: Int16Array

  constructor(topology: Topology, options: NetworkOptions = {}) {
    const { type = 'wired', helloInterval = seconds(4), updateInterval = seconds(16), seed = 1 } = options
    this.topology = topology
    this.loss = options.loss ?? 0
    this.delay = options.delay ?? ms(1)
    this.random = new SeededRandom([seed, 1, 2, 3])
    const { nodes: count } = topology
    const { targets = count } = options
    this.targets = Array.from({ length: targets }, (_, i) => Math.floor((i * count) / targets))
    this.targetOf = new Int16Array(count).fill(-1)
    this.metrics = new Uint16Array(count * targets).fill(UNREACHABLE)
    this.forwarding = new Forwarding(topology, this.targets)
    for (let i = 0; i < count; i++) this.nodes.push(new Node(this, i, seed))
    for (const [target, node] of this.targets.entries()) {
      this.targetOf[node] = target
      this.metrics[node * targets + target] = 0
    }
    for (const [index, edge] of topology.edges.entries())
      this.join(edge, index, { type, helloInterval, updateInterval })
    this.truth = distances(topology, this.targets)
    this.recount()
    for (const node of this.nodes) {
      const address = new IpAddress(PREFIX, 0, 0, node.index + 1)
      if (this.targetOf[node.index] !== -1) node.babel.announce({ address, length: 128, isIpv4: false }, 0, 0)
      node.drive.run(0)
    }
  }

  /** Lets time go by. */
  run(duration: Duration): void {
    const until = this.now + duration
    for (let at = this.timers.next(); at <= until; at = this.timers.next()) {
      this.now = at
      this.timers.advance(at)
    }
    this.now = until
    this.account(until)
  }

  /** Runs until every pair is exact, or reached, or for as long as `most`. @returns how long it took, or Infinity. */
  runUntil(what: 'exact' | 'reached', most: Duration): Duration {
    const began = this.now
    while (this.now - began < most) {
      if ((what === 'exact' ? this.wrong : this.holes) === 0) {
        return Math.max(0, (what === 'exact' ? this.exactAt : this.reachedAt) - began)
      }
      this.run(ms(100))
    }
    return Number.POSITIVE_INFINITY
  }

  /** Changes what edges cost, both ways; 0 cuts them. */
  recost(changes: readonly (readonly [edge: Edge, cost: number])[]): void {
    for (const [edge, cost] of changes) {
      edge.cost = cost
      for (const { ways } of [this.nodes[edge.a] as Node, this.nodes[edge.b] as Node]) {
        for (const way of ways.values()) if (way.edge === edge && cost > 0) way.near.rxcost = cost
      }
    }
    this.account(this.now)
    this.truth = distances(this.topology, this.targets)
    this.recount()
  }

  /** Follows the ways of all pairs that have one. @returns the share that arrive, and their length over the least. */
  walk(): { arrived: number; stretch: number } {
    let pairs = 0
    let arrived = 0
    let stretch = 0
    for (const [target] of this.targets.entries()) {
      const lengths = this.forwarding.lengths(target)
      for (let node = 0; node < lengths.length; node++) {
        const least = this.truth[node * this.targets.length + target] as number
        if (least === 0 || least === UNREACHABLE) continue
        pairs++
        const length = lengths[node] as number
        if (length < 0) continue
        arrived++
        stretch += length / least
      }
    }
    return { arrived: arrived / pairs, stretch: stretch / arrived }
  }

  /** Runs until packets of every pair arrive, or for as long as `most`. @returns how long it took, or Infinity. */
  runUntilArrived(most: Duration, step: Duration = ms(500)): Duration {
    const began = this.now
    while (this.now - began < most) {
      if (this.walk().arrived === 1) return this.now - began
      this.run(step)
    }
    return Number.POSITIVE_INFINITY
  }

  /** A node has another word on a destination: is it true, and does it lead in a circle? */
  changed(node: Node, { address, own, selected }: Destination, now: Instant): void {
    if (own >= 0) return
    const target = this.targetOf[address.w3 - 1] as number
    const at = node.index * this.targets.length + target
    this.account(now)
    this.weigh(at, -1)
    this.metrics[at] = selected?.metric ?? UNREACHABLE
    this.weigh(at, 1)
    if (this.wrong === 0) this.exactAt = now
    if (this.holes === 0) this.reachedAt = now
    const hop = selected === null ? -1 : (node.ways.get(selected.neighbour.interface)?.to.index ?? -1)
    if (!this.forwarding.lead(node.index, target, hop)) this.loops++
  }

  private join(
    edge: Edge,
    index: number,
    how: { type: LinkType; helloInterval: Duration; updateInterval: Duration },
  ): void {
    const [a, b] = [this.nodes[edge.a] as Node, this.nodes[edge.b] as Node]
    const [there, back] = [new Way(this, edge, b), new Way(this, edge, a)]
    const attach = (node: Node, side: number): Interface =>
      node.babel.attach(
        {
          ...how,
          name: `edge${index}`,
          rxcost: edge.cost,
          splitHorizon: true,
          maxOctets: 1400,
          address: new IpAddress(LINK_LOCAL, 0, index + 1, side),
          nextHop4: null,
          authenticator: null,
        },
        0,
      )
    there.near = back.far = attach(a, 1)
    there.far = back.near = attach(b, 2)
    a.ways.set(there.near, there)
    b.ways.set(back.near, back)
  }

  private weigh(at: number, by: number): void {
    const truth = this.truth[at] as number
    const metric = this.metrics[at] as number
    if (metric !== truth) this.wrong += by
    if (metric === UNREACHABLE && truth !== UNREACHABLE) this.holes += by
  }

  private recount(): void {
    this.wrong = this.holes = 0
    for (let at = 0; at < this.truth.length; at++) this.weigh(at, 1)
    this.holesSince = this.now
  }

  private account(now: Instant): void {
    this.holeTime += this.holes * (now - this.holesSince)
    this.holesSince = now
  }
}
