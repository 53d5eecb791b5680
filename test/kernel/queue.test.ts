import assert from 'node:assert/strict'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import t from 'tap'
import { Queue } from '../../src/kernel/queue.ts'
import { holds } from '../property.ts'

t.test('a queue is a list with two marks, whatever is done to it', async (t) => {
  const steps = fc.array(
    fc.oneof(
      { weight: 3, arbitrary: fc.record({ op: fc.constant('push' as const), times: fc.integer({ min: 1, max: 40 }) }) },
      {
        weight: 3,
        arbitrary: fc.record({ op: fc.constant('shift' as const), times: fc.integer({ min: 1, max: 40 }) }),
      },
      fc.record({ op: fc.constant('drained' as const), times: fc.constant(1) }),
    ),
  )
  holds(
    t,
    'same as a list',
    fc.property(fc.integer({ min: 1, max: 100 }), fc.nat(100), steps, (high, more, steps) => {
      const limit = high + more
      const queue = new Queue<number>(high, limit)
      const list: number[] = []
      let wasFull = false
      let next = 0
      for (const { op, times } of steps) {
        for (let i = 0; i < times; i++) {
          if (op === 'push') {
            const taken = queue.push(next)
            assert.equal(taken, list.length < limit)
            if (taken) list.push(next)
            wasFull ||= list.length >= high
            next++
          } else if (op === 'shift') {
            assert.equal(queue.peek(), list[0])
            assert.equal(queue.shift(), list.shift())
          } else {
            const expected: boolean = wasFull && list.length <= high / 2
            assert.equal(queue.drained(), expected)
            if (expected) wasFull = false
          }
          assert.equal(queue.length, list.length)
          assert.equal(queue.open, list.length < high)
        }
      }
    }),
  )
})

t.test('the limit is twice the high mark by default', async (t) => {
  const queue = new Queue<string>(2)
  t.same(
    ['a', 'b', 'c', 'd', 'e'].map((item) => queue.push(item)),
    [true, true, true, true, false],
  )
  t.same([queue.shift(), queue.shift(), queue.shift(), queue.shift(), queue.shift()], ['a', 'b', 'c', 'd', undefined])
})

t.test('drained is told once each time', async (t) => {
  const queue = new Queue<number>(4)
  queue.push(1)
  t.equal(queue.drained(), false, 'it was never full')
  for (let i = 0; i < 3; i++) queue.push(i)
  t.equal(queue.drained(), false)
  queue.shift()
  t.equal(queue.drained(), false, 'still more than half')
  queue.shift()
  t.equal(queue.drained(), true)
  t.equal(queue.drained(), false)
})

t.test('what was taken out is not held on to', async (t) => {
  const queue = new Queue<object>(4)
  let item: object | undefined = {}
  const weak = new WeakRef(item)
  queue.push(item)
  queue.shift()
  item = undefined
  setFlagsFromString('--expose_gc')
  const gc = runInNewContext('gc') as () => void
  await new Promise((resolve) => setImmediate(resolve)) // a WeakRef keeps its target until the turn ends
  gc()
  t.equal(weak.deref(), undefined)
})
