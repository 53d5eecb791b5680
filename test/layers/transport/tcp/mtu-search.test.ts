/** The search for a path's MTU as a machine (RFC 4821 §7): whatever the path takes, it is found, and found again when it changes. */
import fc from 'fast-check'
import t from 'tap'
import { GRANULARITY, MtuSearch, RAISE_INTERVAL } from '../../../../layers/transport/tcp/mtu-search.ts'

/** Probes until there is nothing to probe. @param takes what the path takes. @returns how many probes that took. */
function search(machine: MtuSearch, most: number, takes: number, now = 0): number {
  for (let n = 0; n < 100; n++) {
    const size = machine.next(most, now)
    if (size === 0) return n
    if (size > most || size <= machine.low) throw new Error(`a probe of ${size} is of no use`)
    machine.begin(size, 0, size)
    if (size <= takes) machine.passed(now)
    else machine.failed(now)
  }
  throw new Error('it never ends')
}

t.test('what most paths take costs one probe', async (t) => {
  const machine = new MtuSearch(1064)
  t.equal(machine.next(1500, 0), 1500)
  machine.begin(1500, 10, 1470)
  t.equal(machine.next(1500, 0), 0, 'one at a time')
  machine.passed(0)
  t.equal(machine.low, 1500)
  t.equal(machine.next(1500, RAISE_INTERVAL), 0)
})

t.test('any path is found to within eight octets, by a bounded number of probes', async (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 68, max: 9000 }), fc.nat(9000), fc.nat(9000), (low, more, less) => {
      const most = low + more
      const takes = Math.max(low, most - less)
      const machine = new MtuSearch(low)
      const probes = search(machine, most, takes)
      const off = takes - machine.low
      return off >= 0 && off < GRANULARITY && probes <= 2 * Math.ceil(Math.log2(more + 2)) + 2
    }),
  )
  t.pass('every one')
})

t.test('a size is given up when it was lost twice, and not before', async (t) => {
  const machine = new MtuSearch(1064)
  machine.begin(1500, 0, 1)
  machine.failed(0)
  t.equal(machine.next(1500, 0), 1500)
  machine.begin(1500, 0, 1)
  machine.inconclusive()
  t.equal(machine.next(1500, 0), 1500, 'nobody knows what became of that one')
  machine.begin(1500, 0, 1)
  machine.failed(0)
  t.equal(machine.next(1500, 0), (1064 + 1499 + 1) >> 1)
})

t.test('a path that becomes wider is noticed after ten minutes, by one probe that gets through', async (t) => {
  const machine = new MtuSearch(1064)
  search(machine, 1500, 1300)
  const narrow = machine.low
  t.equal(machine.next(1500, RAISE_INTERVAL - 1), 0)
  t.equal(search(machine, 1500, 1300, RAISE_INTERVAL), 2, 'one that does not costs two probes')
  t.equal(machine.low, narrow)
  t.equal(search(machine, 1500, 1500, 2 * RAISE_INTERVAL), 2)
  t.equal(machine.low, 1500)
})

t.test('what a router says is probed next; it is not believed to get through', async (t) => {
  const machine = new MtuSearch(1064)
  machine.begin(1500, 0, 1)
  machine.narrow(1300)
  t.equal(machine.low, 1064)
  t.equal(machine.next(1300, 0), 1300)
  machine.narrow(1000)
  t.equal(machine.low, 1000, 'less than what had got through')
  t.equal(machine.next(1000, 0), 0)
})

t.test('after a silence, what used to get through is probed first', async (t) => {
  const machine = new MtuSearch(1400)
  machine.fall(1064)
  machine.fall(552)
  t.equal(machine.low, 552)
  t.equal(machine.next(1500, 0), 1400)
  machine.restore()
  t.equal(machine.low, 1400, 'it had been a delay')
  machine.fall(1064)
  machine.settle()
  machine.restore()
  t.equal(machine.low, 1064, 'that had been long ago')
})
