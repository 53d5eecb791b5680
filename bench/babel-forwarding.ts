/**
 * Where packets go in a network: of each node, the next one towards each target. A way that comes to lead back to where it began
 * is seen at once, without following it: nodes have ranks that fall along every way, so that a node which turns to one of lower
 * rank closes no circle. Where it is not of lower rank, the node and those that send by it are raised, and only a circle leads
 * the raising back to where it began (as in the online topological order of Pearce and Kelly 2007).
 */
import type { Edge, Topology } from './babel-topology.ts'

export class Forwarding {
  private readonly nodes: number
  private readonly targets: readonly number[]
  private readonly neighbours: readonly { readonly to: number; readonly edge: Edge }[][]
  /** By node and target: the next node, or -1; and the rank. */
  private readonly hops: Int16Array
  private readonly ranks: Int32Array
  private readonly raised: number[] = []

  constructor({ nodes, edges }: Topology, targets: readonly number[]) {
    this.nodes = nodes
    this.targets = targets
    this.neighbours = Array.from({ length: nodes }, () => [])
    for (const edge of edges) {
      this.neighbours[edge.a]?.push({ to: edge.b, edge })
      this.neighbours[edge.b]?.push({ to: edge.a, edge })
    }
    this.hops = new Int16Array(nodes * targets.length).fill(-1)
    this.ranks = new Int32Array(nodes * targets.length)
  }

  /**
   * A node sends to another, or to nobody (-1), what is for a target.
   * @returns false when that leads in a circle; of further circles the ranks tell nothing.
   */
  lead(node: number, target: number, hop: number): boolean {
    const { hops, ranks } = this
    const { length } = this.targets
    hops[node * length + target] = hop
    if (hop < 0 || (ranks[hop * length + target] as number) < (ranks[node * length + target] as number)) return true
    ranks[node * length + target] = (ranks[hop * length + target] as number) + 1
    this.raised.push(node)
    for (let at = this.raised.pop(); at !== undefined; at = this.raised.pop()) {
      const rank = ranks[at * length + target] as number
      for (const { to } of this.neighbours[at] ?? []) {
        if (hops[to * length + target] !== at || (ranks[to * length + target] as number) > rank) continue
        if (to === node) {
          this.raised.length = 0
          return false
        }
        ranks[to * length + target] = rank + 1
        this.raised.push(to)
      }
    }
    return true
  }

  /** @returns by node, what its way to a target costs; -1: it does not arrive. */
  lengths(target: number): Int32Array {
    const { nodes, hops, targets } = this
    const lengths = new Int32Array(nodes).fill(UNKNOWN)
    lengths[targets[target] as number] = 0
    const way: number[] = []
    for (let from = 0; from < nodes; from++) {
      let at = from
      while (at >= 0 && lengths[at] === UNKNOWN) {
        lengths[at] = LOST // until it is known better: who comes here again goes in a circle
        way.push(at)
        at = hops[at * targets.length + target] as number
      }
      let length = at < 0 ? LOST : (lengths[at] as number)
      for (let node = way.pop(); node !== undefined; node = way.pop()) {
        const cost = this.cost(node, hops[node * targets.length + target] as number)
        length = length === LOST || cost === 0 ? LOST : length + cost
        lengths[node] = length
      }
    }
    return lengths
  }

  private cost(from: number, to: number): number {
    for (const neighbour of this.neighbours[from] ?? []) if (neighbour.to === to) return neighbour.edge.cost
    return 0
  }
}

const UNKNOWN = -2
const LOST = -1
