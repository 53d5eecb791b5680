import t from 'tap'
import { loopback } from '../../../layers/physical/loopback.ts'
import { ms } from '../../../src/kernel/clock.ts'
import { physicalConformance } from '../../conformance/physical.ts'
import { arrivals, dropsOf, marked, pairOf } from './ends.ts'

await physicalConformance(t, 'a loopback', { make: () => pairOf([loopback()]) })
await physicalConformance(t, 'a loopback for IP, with delay and rate', {
  make: () => pairOf([loopback({ medium: 'ip', delay: ms(1), rate: 1_000_000_000 })]),
})

t.test('every node has its own', async (t) => {
  const blueprint = loopback({ medium: 'ip' })
  const { sim, near, far } = pairOf([blueprint, blueprint])
  const atNear = arrivals(sim, near)
  const atFar = arrivals(sim, far)
  near.send(marked(near, 100, 1), undefined)
  await sim.run(1)
  t.strictSame([atNear, atFar], [[[0, 1]], []])
  await sim.close()
  near.send(marked(near, 100, 1), undefined)
  t.strictSame(dropsOf(near), { linkDown: 1 })
})

t.test('wrong options throw at once', async (t) => {
  t.throws(() => loopback({ queue: 0 }), { code: 'ERR_OUT_OF_RANGE' })
  t.throws(() => loopback({ mtu: -1 }), { code: 'ERR_OUT_OF_RANGE' })
  t.throws(() => loopback({ offload: true }), { code: 'ERR_INVALID_ARG_VALUE' })
})
