import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { Groups } from '../../../../layers/network/membership/groups.ts'
import { type Query, RECORD, type Report, Reporter } from '../../../../layers/network/membership/reporter.ts'
import {
  EVERYBODY,
  has,
  lets,
  NOBODY,
  type SourceFilter,
  together,
  without,
} from '../../../../layers/network/membership/source-filter.ts'
import { IpAddress, parseAddress } from '../../../../src/kernel/address.ts'
import { ms, seconds } from '../../../../src/kernel/clock.ts'
import { SeededRandom } from '../../../../src/kernel/random.ts'
import { holds } from '../../../property.ts'

const GROUP = parseAddress('239.1.2.3')
const OTHER = parseAddress('239.1.2.4')
const source = (n: number) => IpAddress.ipv4(0x0a00_0000 + n)
const sourceSet = fc.uniqueArray(fc.integer({ min: 1, max: 6 }), { maxLength: 5 }).map((all) => all.map(source))
const filter: fc.Arbitrary<SourceFilter> = fc.record({
  mode: fc.constantFrom('include', 'exclude'),
  sources: sourceSet,
})
const text = ({ mode, sources }: SourceFilter) => `${mode} ${sources.map(String).sort().join()}`

const reporter = (seed = 1) => new Reporter(new SeededRandom([seed, 2, 3, 4]))
const query = (over: Partial<Query> = {}): Query => ({
  ...{ generation: 3, group: undefined, sources: [], mostDelay: seconds(10), robustness: 2, interval: seconds(125) },
  ...over,
})

/** Lets time pass to `until`. @returns when what was said. */
function run(machine: Reporter, until: number): [at: number, report: Report][] {
  const said: [number, Report][] = []
  while (machine.deadline <= until) {
    const now = machine.deadline
    machine.expire(now)
    for (let report = machine.output(); report !== undefined; report = machine.output()) said.push([now, report])
  }
  return said
}

const words = (said: readonly [number, Report][]) =>
  said.flatMap(([, report]) => {
    if (report.kind !== 'records') return `${report.kind} ${report.group}`
    return report.records.map(({ type, group, sources }) => `${type} ${group} ${sources.map(String).join()}`.trim())
  })

t.test('several wishes together let through what any of them does', async (t) => {
  const filters = fc.array(filter, { minLength: 1, maxLength: 5 })
  const property = fc.property(filters, (all) => {
    const both = together(all)
    for (let n = 1; n <= 7; n++) {
      assert.equal(
        lets(both, source(n)),
        all.some((one) => lets(one, source(n))),
        `${n} by ${text(both)}`,
      )
    }
  })
  holds(t, 'filters of members', property)
})

t.test('members come and go', async (t) => {
  const groups = new Groups()
  const told: string[] = []
  groups.report((group, wanted) => told.push(`${group} ${text(wanted)}`))
  groups.join(GROUP)
  groups.join(GROUP)
  t.ok(groups.leave(GROUP))
  t.ok(groups.has(GROUP))
  const one = groups.enter(OTHER, { mode: 'include', sources: [source(1)] })
  const two = groups.enter(OTHER, { mode: 'include', sources: [source(2)] })
  t.ok(groups.takes(OTHER, source(2)))
  t.notOk(groups.takes(OTHER, source(3)))
  one.change({ mode: 'exclude', sources: [source(2), source(3)] })
  t.ok(groups.takes(OTHER, source(2)))
  t.notOk(groups.takes(OTHER, source(3)))
  two.leave()
  two.leave()
  t.notOk(groups.takes(OTHER, source(2)))
  one.leave()
  t.ok(groups.leave(GROUP))
  t.notOk(groups.leave(GROUP))
  t.notOk(groups.has(GROUP))
  t.strictSame(groups.list(), [])
  t.strictSame(told, [
    '239.1.2.3 exclude ',
    '239.1.2.4 include 10.0.0.1',
    '239.1.2.4 include 10.0.0.1,10.0.0.2',
    '239.1.2.4 exclude 10.0.0.3',
    '239.1.2.4 exclude 10.0.0.2,10.0.0.3',
    '239.1.2.4 include ',
    '239.1.2.3 include ',
  ])
})

t.test('changes are told at once, and again within a second', async (t) => {
  const machine = reporter()
  machine.changed(GROUP, EVERYBODY, 0)
  const joined = run(machine, seconds(5))
  t.strictSame(words(joined), [`${RECORD.toExclude} 239.1.2.3`, `${RECORD.toExclude} 239.1.2.3`])
  t.equal(joined[0]?.[0], 0)
  t.ok((joined[1]?.[0] ?? 0) <= seconds(1))
  machine.changed(GROUP, NOBODY, seconds(5))
  t.strictSame(words(run(machine, seconds(9))), [`${RECORD.toInclude} 239.1.2.3`, `${RECORD.toInclude} 239.1.2.3`])
  machine.query(query(), seconds(9))
  t.strictSame(run(machine, seconds(30)), [], 'there is nothing to tell any more')
  machine.changed(GROUP, { mode: 'include', sources: [source(1)] }, seconds(30))
  machine.changed(GROUP, { mode: 'include', sources: [source(2)] }, seconds(30))
  t.strictSame(words(run(machine, seconds(40))), [
    `${RECORD.allow} 239.1.2.3 10.0.0.2`,
    `${RECORD.block} 239.1.2.3 10.0.0.1`,
    `${RECORD.allow} 239.1.2.3 10.0.0.2`,
    `${RECORD.block} 239.1.2.3 10.0.0.1`,
  ])
  t.equal(machine.deadline, Number.POSITIVE_INFINITY)
})

/** What a router believes of a group by the records it hears (RFC 3376 §6.4, without its timers). */
class Router {
  filter: SourceFilter = NOBODY

  hear(report: Report): void {
    if (report.kind !== 'records') return
    for (const { type, sources } of report.records) {
      const { mode, sources: known } = this.filter
      const adds = (type === RECORD.allow) === (mode === 'include')
      if (type === RECORD.isInclude || type === RECORD.toInclude) this.filter = { mode: 'include', sources }
      else if (type === RECORD.isExclude || type === RECORD.toExclude) this.filter = { mode: 'exclude', sources }
      else if (adds) this.filter = { mode, sources: [...known, ...without(sources, known)] }
      else this.filter = { mode, sources: without(known, sources) }
    }
  }
}

t.test('a router that hears every second report knows what we want', async (t) => {
  const step = fc.record({ wanted: filter, wait: fc.constantFrom(0, ms(100), ms(700), seconds(3)) })
  const property = fc.property(
    fc.array(step, { minLength: 1, maxLength: 12 }),
    fc.boolean(),
    fc.nat(),
    (steps, odd, seed) => {
      const machine = reporter(seed)
      const [all, some] = [new Router(), new Router()]
      let now = 0
      let count = odd ? 1 : 0
      const hear = (said: readonly [number, Report][]) => {
        for (const [, report] of said) {
          all.hear(report)
          if (++count % 2 === 0) some.hear(report)
        }
      }
      let last: SourceFilter = NOBODY
      for (const { wanted, wait } of steps) {
        machine.changed(GROUP, wanted, now)
        last = wanted
        now += wait
        hear(run(machine, now))
      }
      hear(run(machine, now + seconds(5)))
      assert.equal(text(all.filter), text(last), 'all reports')
      // With changes that overlap, two reports may be of two changes: losing every second can lose one of them wholly.
      if (steps.every(({ wait }) => wait === seconds(3))) assert.equal(text(some.filter), text(last), 'every second')
      assert.equal(machine.deadline, Number.POSITIVE_INFINITY)
    },
  )
  holds(t, 'what it believes', property, { numRuns: 300 })
})

t.test('queries are answered when chance will have it', async (t) => {
  const machine = reporter()
  machine.changed(GROUP, EVERYBODY, 0)
  machine.changed(OTHER, { mode: 'include', sources: [source(1), source(2)] }, 0)
  run(machine, seconds(5))
  machine.query(query(), seconds(10))
  const general = run(machine, seconds(30))
  t.equal(general.length, 1)
  t.ok((general[0]?.[0] ?? 0) < seconds(20))
  t.strictSame(words(general), [`${RECORD.isExclude} 239.1.2.3`, `${RECORD.isInclude} 239.1.2.4 10.0.0.1,10.0.0.2`])

  machine.query(query({ group: GROUP, mostDelay: seconds(1) }), seconds(40))
  machine.query(query({ group: parseAddress('239.9.9.9') }), seconds(40))
  t.strictSame(words(run(machine, seconds(50))), [`${RECORD.isExclude} 239.1.2.3`])

  machine.query(query({ group: OTHER, sources: [source(2), source(3)] }), seconds(60))
  machine.query(query({ group: OTHER, sources: [source(1)] }), seconds(60))
  t.strictSame(
    words(run(machine, seconds(80))),
    [`${RECORD.isInclude} 239.1.2.4 10.0.0.2,10.0.0.1`],
    'those asked for that are wanted',
  )
  machine.query(query({ group: OTHER, sources: [source(3)] }), seconds(90))
  t.strictSame(run(machine, seconds(120)), [], 'nothing to say')
  machine.query(query({ group: OTHER, sources: [source(3)] }), seconds(130))
  machine.query(query({ group: OTHER }), seconds(130))
  t.strictSame(
    words(run(machine, seconds(150))),
    [`${RECORD.isInclude} 239.1.2.4 10.0.0.1,10.0.0.2`],
    'all, where all were asked for too',
  )

  machine.query(query({ mostDelay: 1 }), seconds(160))
  machine.query(query({ group: GROUP }), seconds(160))
  t.equal(run(machine, seconds(180)).length, 1, 'one answer to all does for one of them')
})

t.test('older routers are spoken to in their way, as long as they are heard', async (t) => {
  const machine = reporter()
  machine.query(query({ generation: 2, robustness: 0, interval: 0, mostDelay: seconds(10) }), 0)
  machine.changed(GROUP, { mode: 'include', sources: [source(1)] }, seconds(1))
  const said = run(machine, seconds(30))
  t.strictSame(words(said), ['member 239.1.2.3', 'member 239.1.2.3'])
  t.match(said[0]?.[1], { generation: 2 })
  machine.query(query({ generation: 2, group: GROUP }), seconds(40))
  machine.heard(GROUP)
  t.strictSame(run(machine, seconds(60)), [], 'another has told for us')
  machine.changed(GROUP, NOBODY, seconds(60))
  t.strictSame(words([...run(machine, seconds(61))]), [])
  t.equal(machine.output(), undefined, 'the last to tell says that it leaves, and that was another')

  machine.changed(GROUP, EVERYBODY, seconds(70))
  run(machine, seconds(90))
  machine.changed(GROUP, NOBODY, seconds(100))
  t.match(machine.output(), { kind: 'leave' })

  machine.query(query({ generation: 1, mostDelay: seconds(10) }), seconds(110))
  machine.changed(GROUP, EVERYBODY, seconds(111))
  t.match(run(machine, seconds(112))[0]?.[1], { kind: 'member', generation: 1 })
  run(machine, seconds(130))
  machine.changed(GROUP, NOBODY, seconds(131))
  t.equal(machine.output(), undefined, 'version 1 knows no leaving')

  machine.changed(GROUP, EVERYBODY, seconds(1000))
  t.strictSame(words(run(machine, seconds(1010))), [`${RECORD.toExclude} 239.1.2.3`, `${RECORD.toExclude} 239.1.2.3`])
})

t.test('nothing in it grows with what routers ask', async (t) => {
  const machine = reporter()
  machine.changed(GROUP, { mode: 'exclude', sources: [] }, 0)
  run(machine, seconds(5))
  for (let n = 0; n < 2000; n++) machine.query(query({ group: GROUP, sources: [source(n)] }), seconds(6))
  const [[, report] = []] = run(machine, seconds(30))
  t.match(report, { records: [{ type: RECORD.isExclude, sources: [] }] }, 'beyond some, all is told')
  t.equal(has([source(1)], source(1)), true)
})
