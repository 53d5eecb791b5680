import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { type Duration, type Instant, seconds } from '../../src/kernel/clock.ts'
import { type Expiring, Timer, Timers } from '../../src/kernel/timers.ts'
import { holds } from '../property.ts'

const DAY = seconds(86_400)

/** What the wheel stands for: a list, sorted by (deadline, age). */
class Model {
  private readonly armed = new Map<number, { deadline: Instant; age: number }>()
  private ages = 0

  get size(): number {
    return this.armed.size
  }

  get next(): Instant {
    return Math.min(Number.POSITIVE_INFINITY, ...[...this.armed.values()].map(({ deadline }) => deadline))
  }

  get nextAge(): number {
    return this.ages
  }

  arm(id: number, deadline: Instant): void {
    this.armed.set(id, { deadline, age: this.ages++ })
  }

  cancel(id: number): void {
    this.armed.delete(id)
  }

  /** The next to fire, taken out; undefined when nothing older than `untilAge` is due. */
  take(now: Instant, untilAge: number): number | undefined {
    const [first] = [...this.armed]
      .filter(([, { deadline, age }]) => deadline <= now && age < untilAge)
      .sort(([, a], [, b]) => a.deadline - b.deadline || a.age - b.age)
    if (first === undefined) return undefined
    this.armed.delete(first[0])
    return first[0]
  }

  due(now: Instant): boolean {
    return [...this.armed.values()].some(({ deadline }) => deadline <= now)
  }
}

const TIMERS = 10
const id = fc.nat(TIMERS - 1)
const delay = fc.oneof(
  fc.integer({ min: -2000, max: 3000 }),
  fc.integer({ min: 0, max: 200_000 }),
  fc.integer({ min: 0, max: 10_000_000 }),
  fc.integer({ min: 0, max: 40 * DAY }),
)
/** What a timer does when it fires, besides saying so. */
const reaction = fc.oneof(
  { weight: 3, arbitrary: fc.constant({ kind: 'none' as const }) },
  fc.record({ kind: fc.constant('arm' as const), id, delay: fc.integer({ min: -1500, max: 3000 }) }),
  fc.record({ kind: fc.constant('cancel' as const), id }),
)
const operations = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.record({ op: fc.constant('arm' as const), id, delay }) },
    fc.record({ op: fc.constant('cancel' as const), id }),
    fc.record({ op: fc.constant('advance' as const), by: fc.nat(3000), once: fc.boolean() }),
    fc.record({ op: fc.constant('advance' as const), by: fc.nat(5_000_000), once: fc.boolean() }),
    fc.record({ op: fc.constant('advance' as const), by: fc.nat(20 * DAY), once: fc.boolean() }),
    fc.record({ op: fc.constant('toNext' as const) }),
  ),
  { maxLength: 60 },
)
const reactions = fc.array(reaction, { minLength: TIMERS, maxLength: TIMERS })

t.test('the wheel fires as a sorted list would, whatever is armed, cancelled and done on the way', async (t) => {
  holds(
    t,
    'same order',
    fc.property(operations, reactions, fc.nat(50 * DAY), (steps, does, origin) => {
      let now = origin
      const wheel = new Timers()
      wheel.advance(now)
      const model = new Model()
      const fired: number[] = []
      let budget = 0 // reactions may go on for ever; those of one advance end here
      const timers = Array.from({ length: TIMERS }, (_, i) => {
        return new Timer({
          expire(at) {
            assert.equal(at, now)
            assert.equal(timers[i]?.armed, false)
            fired.push(i)
            react(wheel, i)
          },
        })
      })
      const react = (what: Timers | Model, i: number) => {
        const does1 = does[i]
        if (does1 === undefined || does1.kind === 'none' || budget-- <= 0) return
        const target = what === wheel ? (timers[does1.id] as Timer) : does1.id
        if (does1.kind === 'cancel') (what.cancel as (target: unknown) => void).call(what, target)
        else (what.arm as (target: unknown, at: Instant) => void).call(what, target, now + does1.delay)
      }
      const advance = (once: boolean) => {
        budget = 20
        const untilAge = once ? model.nextAge : Number.POSITIVE_INFINITY
        fired.length = 0
        const left = wheel.advance(now, untilAge)
        budget = 20
        const expected: number[] = []
        for (let i = model.take(now, untilAge); i !== undefined; i = model.take(now, untilAge)) {
          expected.push(i)
          react(model, i)
        }
        assert.deepEqual(fired, expected)
        assert.equal(left, model.due(now), 'says whether something due was left')
      }
      for (const step of steps) {
        if (step.op === 'arm') {
          wheel.arm(timers[step.id] as Timer, now + step.delay)
          model.arm(step.id, now + step.delay)
        } else if (step.op === 'cancel') {
          wheel.cancel(timers[step.id] as Timer)
          model.cancel(step.id)
        } else if (step.op === 'advance') {
          now += step.by
          advance(step.once)
        } else {
          assert.equal(wheel.next(), model.next)
          if (model.next === Number.POSITIVE_INFINITY) continue
          now = Math.max(now, model.next)
          advance(false)
        }
        assert.equal(wheel.size, model.size)
        assert.equal(wheel.nextAge, model.nextAge)
        assert.ok(wheel.wakeAt() <= model.next, 'wakeAt is never too late')
        assert.equal(wheel.wakeAt() === Number.POSITIVE_INFINITY, model.size === 0)
      }
    }),
    { numRuns: 1500 },
  )
})

/** A wheel, and a log of what fired: [name, instant]. */
function logged(): { wheel: Timers; log: [string, Instant][]; timer(name: string, then?: () => void): Timer } {
  const log: [string, Instant][] = []
  return {
    wheel: new Timers(),
    log,
    timer: (name, then) =>
      new Timer({
        expire(now) {
          log.push([name, now])
          then?.()
        },
      }),
  }
}

t.test('a real-time runtime wakes a few times for a far deadline, not once a tick', async (t) => {
  for (const wait of [seconds(1), seconds(3600), DAY, 11 * DAY, 13 * DAY, 100 * DAY] satisfies Duration[]) {
    const { wheel, log, timer } = logged()
    const origin = 123_456_789
    wheel.advance(origin)
    wheel.arm(timer('far'), origin + wait)
    let wakes = 0
    for (let now = wheel.wakeAt(); now < Number.POSITIVE_INFINITY; now = wheel.wakeAt()) {
      t.ok(now <= origin + wait)
      wheel.advance(now)
      wakes++
    }
    t.same(log, [['far', origin + wait]])
    t.ok(wakes <= 6 + wait / (11 * DAY), `${wakes} wakes for ${wait / 1e6} s`)
  }
})

t.test('10,000 timers of one tick fire in order and in no time', async (t) => {
  const wheel = new Timers()
  const order: number[] = []
  const timers = Array.from({ length: 10_000 }, (_, i) => new Timer({ expire: () => order.push(i) }))
  const deadline = (i: number) => 5000 + ((i * 7919) % 1000)
  for (const [i, timer] of timers.entries()) wheel.arm(timer, deadline(i))
  wheel.advance(6000, wheel.nextAge)
  const sorted = timers.map((_, i) => i).sort((a, b) => deadline(a) - deadline(b) || a - b)
  t.same(order, sorted)
  t.equal(wheel.size, 0)
})

t.test('10,000 due timers and one armed before them: the old ones first, without a search for each', async (t) => {
  const wheel = new Timers()
  let fired = 0
  const early = new Timer({ expire: () => t.equal(fired, 10_000, 'fires on the next turn') })
  const late = (): Expiring => ({
    expire() {
      if (fired++ === 0) wheel.arm(early, 1)
    },
  })
  for (let i = 0; i < 10_000; i++) wheel.arm(new Timer(late()), 5000)
  t.equal(wheel.advance(6000, wheel.nextAge), true, 'the early one is left')
  t.equal(fired, 10_000)
  t.equal(wheel.wakeAt(), 1)
  t.equal(wheel.advance(6000, wheel.nextAge), false)
  t.equal(wheel.size, 0)
})

t.test('a timer re-armed for now in its own expiry waits for the next turn, and does not hang this one', async (t) => {
  const { wheel, log, timer } = logged()
  const again = timer('again', () => wheel.arm(again, 100))
  wheel.arm(again, 100)
  for (let turn = 1; turn <= 3; turn++) {
    t.equal(wheel.advance(100, wheel.nextAge), true)
    t.equal(log.length, turn)
  }
})

t.test('those put off can be moved and cancelled before their turn comes', async (t) => {
  const { wheel, log, timer } = logged()
  const a = timer('a')
  const b = timer('b')
  const c = timer('c')
  // `first` arms all three in the past, so they are put off before `second` runs, which then changes its mind.
  const first = timer('first', () => {
    for (const each of [a, b, c]) wheel.arm(each, 1)
  })
  const second = timer('second', () => {
    wheel.cancel(a)
    wheel.arm(b, 5000)
  })
  wheel.arm(first, 10)
  wheel.arm(second, 20)
  t.equal(wheel.advance(30, wheel.nextAge), true)
  t.equal(wheel.size, 2)
  wheel.advance(30)
  t.equal(wheel.advance(6000), false)
  t.same(
    log.map(([name]) => name),
    ['first', 'second', 'c', 'b'],
  )
})

t.test('an expiry that throws loses no other timer', async (t) => {
  const { wheel, log, timer } = logged()
  const bad = timer('bad', () => {
    wheel.arm(timer('put off'), 1)
    wheel.arm(bomb, 2)
  })
  const bomb = new Timer({
    expire() {
      throw new Error('a bug above')
    },
  })
  wheel.arm(bad, 10)
  wheel.arm(new Timer(bomb.target), 20)
  wheel.arm(timer('good'), 30)
  t.throws(() => wheel.advance(100, wheel.nextAge), { message: 'a bug above' })
  t.throws(() => wheel.advance(100), { message: 'a bug above' })
  wheel.advance(100)
  t.same(
    log.map(([name]) => name),
    ['bad', 'put off', 'good'],
  )
  t.equal(wheel.size, 0)
})

t.test('the runtime is told of every deadline armed', async (t) => {
  const told: Instant[] = []
  const wheel = new Timers((deadline) => told.push(deadline))
  const timer = new Timer({ expire() {} })
  wheel.arm(timer, 500)
  wheel.arm(timer, 300)
  wheel.cancel(timer)
  wheel.cancel(timer)
  t.same(told, [500, 300])
  t.equal(timer.deadline, Number.POSITIVE_INFINITY)
  t.equal(wheel.next(), Number.POSITIVE_INFINITY)
})
