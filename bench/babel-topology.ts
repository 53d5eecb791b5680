/** Graphs for networks of routers, and what is true of them: distances by Dijkstra's algorithm. */
import { below, type Random } from '../src/kernel/random.ts'

/** An edge between two nodes; its cost is the same both ways, and 0 while it is cut. */
export interface Edge {
  readonly a: number
  readonly b: number
  cost: number
}

export interface Topology {
  readonly name: string
  readonly nodes: number
  readonly edges: readonly Edge[]
}

export type TopologyName = 'line' | 'ring' | 'grid' | 'random4' | 'scale-free' | 'star'

/** @param cost of each edge. @throws RangeError — a graph of so few nodes cannot be. */
export function topology(name: TopologyName, nodes: number, cost: number, random: Random): Topology {
  if (nodes < 6) throw new RangeError('a topology has 6 nodes or more')
  const edges: Edge[] = []
  const known = new Set<number>()
  const join = (a: number, b: number): boolean => {
    const key = Math.min(a, b) * nodes + Math.max(a, b)
    if (a === b || known.has(key)) return false
    known.add(key)
    edges.push({ a, b, cost })
    return true
  }
  BUILD[name](nodes, join, random)
  return { name, nodes, edges }
}

type Join = (a: number, b: number) => boolean

const BUILD: Readonly<Record<TopologyName, (nodes: number, join: Join, random: Random) => void>> = {
  line(nodes, join) {
    for (let i = 1; i < nodes; i++) join(i - 1, i)
  },
  ring(nodes, join) {
    for (let i = 0; i < nodes; i++) join(i, (i + 1) % nodes)
  },
  grid(nodes, join) {
    const width = Math.round(Math.sqrt(nodes))
    for (let i = 0; i < nodes; i++) {
      if (i % width !== width - 1 && i + 1 < nodes) join(i, i + 1)
      if (i + width < nodes) join(i, i + width)
    }
  },
  /** Two random rings through all nodes: every node has four neighbours, and the graph is connected. */
  random4(nodes, join, random) {
    for (let ring = 0; ring < 2; ring++) {
      const order = Array.from({ length: nodes }, (_, i) => i)
      for (let i = nodes - 1; i > 0; i--) {
        const j = below(random, i + 1)
        const kept = order[i] as number
        order[i] = order[j] as number
        order[j] = kept
      }
      for (let i = 0; i < nodes; i++) join(order[i] as number, order[(i + 1) % nodes] as number)
    }
  },
  /** Each new node joins two others, the more likely the more neighbours these have (Barabási and Albert 1999). */
  'scale-free'(nodes, join, random) {
    const ends = [0, 1, 0, 1]
    join(0, 1)
    for (let i = 2; i < nodes; i++) {
      for (let links = 0; links < 2; ) {
        const other = ends[below(random, ends.length)] as number
        if (!join(i, other)) continue
        ends.push(other)
        links++
      }
      ends.push(i, i)
    }
  },
  /** Hubs in a ring, each with spokes; every spoke has a second, next hub. */
  star(nodes, join) {
    const hubs = Math.max(3, Math.round(Math.sqrt(nodes) / 2))
    for (let i = 0; i < hubs; i++) join(i, (i + 1) % hubs)
    for (let i = hubs; i < nodes; i++) {
      join(i, i % hubs)
      join(i, (i + 1) % hubs)
    }
  },
}

/** Infinite distance. */
export const UNREACHABLE = 0xffff

/** The distance of every node to each of some, or all: `[from * targets.length + target]`, UNREACHABLE where there is none. */
export function distances(
  { nodes, edges }: Topology,
  targets: readonly number[] = Array.from({ length: nodes }, (_, node) => node),
): Uint16Array {
  const all = new Uint16Array(nodes * targets.length).fill(UNREACHABLE)
  const row = new Uint16Array(nodes)
  const neighbours: { to: number; edge: Edge }[][] = Array.from({ length: nodes }, () => [])
  for (const edge of edges) {
    neighbours[edge.a]?.push({ to: edge.b, edge })
    neighbours[edge.b]?.push({ to: edge.a, edge })
  }
  for (const [target, node] of targets.entries()) {
    row.fill(UNREACHABLE)
    row[node] = 0
    // Costs are small integers, and the same both ways: nodes wait in a list for each distance (Dial 1969).
    const waiting: number[][] = [[node]]
    for (let distance = 0; distance < waiting.length; distance++) {
      for (const node of waiting[distance] ?? []) {
        if (row[node] !== distance) continue
        all[node * targets.length + target] = distance
        for (const { to, edge } of neighbours[node] ?? []) {
          const next = distance + edge.cost
          if (edge.cost === 0 || next >= (row[to] as number)) continue
          row[to] = next
          const list = waiting[next]
          if (list === undefined) waiting[next] = [to]
          else list.push(to)
        }
      }
    }
  }
  return all
}
