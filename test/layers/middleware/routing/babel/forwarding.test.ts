/** What finds loops in simulated networks is held against following every way to its end. */
import { deepStrictEqual } from 'node:assert'
import fc from 'fast-check'
import t from 'tap'
import { Forwarding } from '../../../../../bench/babel-forwarding.ts'
import { topology } from '../../../../../bench/babel-topology.ts'
import { SeededRandom } from '../../../../../src/kernel/random.ts'
import { holds } from '../../../../property.ts'

const NODES = 12
const TARGET = 3
const graph = topology('random4', NODES, 7, new SeededRandom([1, 2, 3, 4]))
const neighbours = (of: number): number[] =>
  graph.edges.flatMap(({ a, b }) => (a === of ? [b] : b === of ? [a] : [])).toSorted((a, b) => a - b)

/** What the way of a node costs, or -1; and whether it comes back to the node. */
function follow(hops: readonly number[], from: number): { length: number; circle: boolean } {
  let at = from
  for (let length = 0; length <= NODES * 7; length += 7) {
    if (at === TARGET) return { length, circle: false }
    at = hops[at] as number
    if (at < 0) return { length: -1, circle: false }
    if (at === from) return { length: -1, circle: true }
  }
  return { length: -1, circle: false }
}

t.test('loops are seen when they come about, and lengths are those of the ways', async (t) => {
  const turn = fc.tuple(fc.nat(NODES - 1), fc.integer({ min: -1, max: 3 }))
  let circles = 0
  holds(
    t,
    'as by following',
    fc.property(fc.array(turn, { maxLength: 200, size: 'max' }), (turns) => {
      const forwarding = new Forwarding(graph, [TARGET])
      const hops = new Array<number>(NODES).fill(-1)
      for (const [node, which] of turns) {
        if (node === TARGET) continue
        hops[node] = neighbours(node)[which] ?? -1
        const { circle } = follow(hops, node)
        deepStrictEqual(forwarding.lead(node, 0, hops[node] as number), !circle)
        const lengths = hops.map((_, from) => follow(hops, from).length)
        deepStrictEqual([...forwarding.lengths(0)], lengths)
        if (circle) {
          circles++
          return
        }
      }
    }),
    { numRuns: 300 },
  )
  t.ok(circles > 50, `${circles} circles`)
})
