import { deepStrictEqual } from 'node:assert'
import fc from 'fast-check'
import t from 'tap'
import { Calendar, type Dated, TICK_US } from '../../../../../layers/middleware/routing/babel/calendar.ts'
import { HelloHistory } from '../../../../../layers/middleware/routing/babel/neighbour.ts'
import { Destinations, Source } from '../../../../../layers/middleware/routing/babel/tables.ts'
import { INFINITY } from '../../../../../layers/middleware/routing/babel/tlv.ts'
import { filter } from '../../../../../layers/middleware/routing/service.ts'
import { IpAddress } from '../../../../../src/kernel/address.ts'
import { holds } from '../../../../property.ts'
import { prefix } from './pair.ts'

t.test('destinations are found until they are removed, whatever the order', async (t) => {
  const step = fc.record({ add: fc.boolean(), host: fc.integer({ min: 0, max: 40 }), length: fc.constantFrom(64, 128) })
  holds(
    t,
    'as a Map has it',
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const table = new Destinations(12345)
      const model = new Map<string, unknown>()
      for (const { add, host, length } of steps) {
        const one = { address: new IpAddress(0xfd000000 | 0, 0, 0, host), length, isIpv4: false }
        const key = `${host}/${length}`
        const found = table.find(one)
        deepStrictEqual(found, model.get(key) ?? null)
        if (add && found === null) model.set(key, table.add(one))
        if (!add && found !== null) {
          table.remove(found)
          model.delete(key)
        }
        deepStrictEqual(table.all.length, model.size)
      }
    }),
  )
})

t.test('IPv4 and IPv6 of the same number are two', async (t) => {
  const table = new Destinations(1)
  table.add(prefix('0.0.0.0/0'))
  t.equal(table.find(prefix('::/0')), null)
})

t.test('the calendar', async (t) => {
  const entry = (): Dated => ({ due: 0, previous: null, next: null })
  const moves = fc.array(fc.record({ at: fc.nat(400), which: fc.nat(5), due: fc.nat(500) }), { maxLength: 60 })
  holds(
    t,
    'each arrives once, at its last date',
    fc.property(moves, (list) => {
      const entries = Array.from({ length: 6 }, entry)
      const dates = new Map<Dated, number>()
      let now = 0
      const calendar = new Calendar<Dated>((arrived) => {
        deepStrictEqual(dates.get(arrived), now)
        dates.delete(arrived)
      })
      for (const { at, which, due } of list.toSorted((a, b) => a.at - b.at)) {
        while (now < at) calendar.advance(++now * TICK_US)
        const one = entries[which] as Dated
        // A date that moves later is only written down, as an update does.
        if (one.next !== null && due > one.due) one.due = due
        else calendar.enter(one, due)
        dates.set(one, Math.max(due, now + 1))
      }
      while (now < 1100) calendar.advance(++now * TICK_US)
      deepStrictEqual([dates.size, calendar.size], [0, 0])
    }),
  )
})

t.test('hellos heard and missed (RFC 8966 appendix A.1)', async (t) => {
  const history = new HelloHistory()
  history.heard(0xffff)
  t.equal(history.bits, 0x8000)
  t.notOk(history.steady)
  history.heard(0)
  t.equal(history.bits, 0xc000, 'past the end of the numbers')
  t.ok(history.steady)
  history.heard(2)
  t.equal(history.bits, 0xb000, 'one was lost')
  history.missed()
  history.missed()
  t.notOk(history.steady)
  history.heard(3)
  t.equal(history.bits, 0xd800, 'the interval has grown: nothing was missed after all')
  history.heard(500)
  t.equal(history.bits, 0x8000, 'it has begun anew')
})

t.test('feasibility (RFC 8966 §3.5.1)', async (t) => {
  const table = new Destinations(1)
  const destination = table.add(prefix('fd00::/64'))
  const source = new Source(destination, 0, 1)
  t.ok(source.feasible(1, 60_000), 'nothing was announced')
  source.announced(5, 100)
  t.notOk(source.feasible(5, 100))
  t.ok(source.feasible(5, 99))
  t.ok(source.feasible(6, 60_000), 'newer')
  t.notOk(source.feasible(4, 1), 'older')
  t.ok(source.feasible(4, 0xffff), 'a retraction always is')
  source.announced(5, 200)
  t.equal(source.metric, 100, 'worse words do not make it worse')
  source.announced(4, 10)
  t.equal(source.seqno, 5)
  source.announced(6, 300)
  t.strictSame([source.seqno, source.metric], [6, 300])
  source.announced(0x8005, 1)
  t.equal(source.seqno, 0x8005, 'numbers go round')
})

t.test('rules', async (t) => {
  const rules = filter(
    [
      { prefix: '10.1.0.0/16', minLength: 24, action: 'deny' },
      { prefix: '10.0.0.0/8', maxLength: 24, action: 'allow', metric: 7 },
      { interface: 'eth1', prefix: 'fd00::/8', action: 'allow' },
    ],
    'deny',
    INFINITY,
  )
  const of = (text: string, on = 'eth0'): number => rules(prefix(text), 100, on)
  t.equal(of('10.1.2.0/24'), 0xffff)
  t.equal(of('10.1.0.0/16'), 107)
  t.equal(of('10.2.0.0/25'), 0xffff)
  t.equal(of('11.0.0.0/8'), 0xffff)
  t.equal(of('fd00:1::/32'), 0xffff)
  t.equal(of('fd00:1::/32', 'eth1'), 100)
  t.throws(() => filter([{ action: 'allow', metric: 65_535 }], 'deny', INFINITY), { code: 'ERR_OUT_OF_RANGE' })
  t.throws(() => filter([{ prefix: 'x', action: 'allow' }], 'deny', INFINITY), { code: 'ERR_INVALID_ARG_VALUE' })
})
