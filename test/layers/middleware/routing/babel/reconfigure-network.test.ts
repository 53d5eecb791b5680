/** Networks whose routers are told other rules and costs while they run: never a loop, and no way is gone that need not go. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { Network } from '../../../../../bench/babel-network.ts'
import { topology } from '../../../../../bench/babel-topology.ts'
import { INFINITY } from '../../../../../layers/middleware/routing/babel/tlv.ts'
import type { Filter } from '../../../../../layers/middleware/routing/service.ts'
import { ms, seconds } from '../../../../../src/kernel/clock.ts'
import { SeededRandom } from '../../../../../src/kernel/random.ts'
import { holds } from '../../../../property.ts'

const NODES = 12

/** What one router is told at once; `after`: what passes before, in tenths of a second. */
interface Turn {
  readonly node: number
  readonly after: number
  /** What is added to the metric of each destination as it comes in and goes out; INFINITY: it is denied. By the destination's number. */
  readonly accept: readonly number[]
  readonly announce: readonly number[]
  readonly rxcost: number
  readonly helloInterval: number
  readonly splitHorizon: boolean
}

const turns = (metric: fc.Arbitrary<number>): fc.Arbitrary<Turn[]> => {
  const metrics = fc.array(metric, { minLength: NODES, maxLength: NODES })
  const turn = fc.record({
    node: fc.nat(NODES - 1),
    after: fc.nat(80),
    accept: metrics,
    announce: metrics,
    rxcost: fc.integer({ min: 1, max: 1000 }),
    helloInterval: fc.constantFrom(seconds(2), seconds(4), seconds(8)),
    splitHorizon: fc.boolean(),
  })
  return fc.array(turn, { minLength: 1, maxLength: 12 })
}

const by =
  (metrics: readonly number[]): Filter =>
  ({ address }, metric) => {
    const more = metrics[address.w3 - 1] as number
    return more === INFINITY ? INFINITY : Math.min(INFINITY - 1, metric + more)
  }

function take(net: Network, { node, accept, announce, rxcost, helloInterval, splitHorizon }: Turn): void {
  const { babel, drive } = net.nodes[node] as (typeof net.nodes)[number]
  const uses = new Map(babel.interfaces.map((on) => [on, { ...on.settings, rxcost, helloInterval, splitHorizon }]))
  babel.reconfigure({ accept: by(accept), announce: by(announce) }, uses, net.now)
  drive.run(net.now)
}

function begin(seed: number): Network {
  const net = new Network(topology('random4', NODES, 96, new SeededRandom([seed, 7, 7, 7])), { seed })
  assert.ok(net.runUntil('exact', seconds(60)) < seconds(60))
  return net
}

t.test('while nothing is denied, every way is there at every instant', async (t) => {
  const some = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 2000 }))
  holds(
    t,
    'no loop, no hole',
    fc.property(turns(some), fc.integer({ min: 1, max: 1000 }), (all, seed) => {
      const net = begin(seed)
      const { holeTime } = net
      for (const turn of all) {
        net.run(ms(100 * turn.after))
        take(net, turn)
        assert.deepEqual(net.walk().arrived, 1)
      }
      net.run(seconds(60))
      assert.equal(net.loops, 0)
      assert.equal(net.holeTime, holeTime)
      assert.equal(net.walk().arrived, 1)
    }),
    { numRuns: 15 },
  )
})

t.test('what is denied and allowed again never leads in a circle, and comes back', async (t) => {
  const some = fc.oneof(fc.constant(0), fc.constant(INFINITY), fc.integer({ min: 0, max: 2000 }))
  const none = new Array<number>(NODES).fill(0)
  holds(
    t,
    'no loop',
    fc.property(turns(some), fc.integer({ min: 1, max: 1000 }), (all, seed) => {
      const net = begin(seed)
      for (const turn of all) {
        net.run(ms(100 * turn.after))
        take(net, turn)
      }
      for (const { index } of net.nodes) take(net, { ...(all[0] as Turn), node: index, accept: none, announce: none })
      assert.ok(net.runUntilArrived(seconds(30)) < seconds(30), 'all ways are back')
      assert.equal(net.loops, 0)
    }),
    { numRuns: 15 },
  )
})
