/** The free ports of a translation, against a set of them. */
import assert from 'node:assert'
import fc from 'fast-check'
import t from 'tap'
import { FreePorts, NO_PORT } from '../../../../layers/network/nat/ports.ts'
import { SeededRandom } from '../../../../src/kernel/random.ts'
import { holds } from '../../../property.ts'

const ALL = Array.from({ length: 65_536 }, (_, port) => port)
const range = (port: number) => (port < 1024 ? 'well-known' : 'other')

/** Where one that wants a port is served, in this order. */
const choices = (wanted: number): ((port: number) => boolean)[] => [
  (port) => port === wanted,
  (port) => range(port) === range(wanted) && (port & 1) === (wanted & 1),
  (port) => range(port) === range(wanted),
  (port) => wanted < 1024 && (port & 1) === (wanted & 1),
  () => wanted < 1024,
]

t.test('a port is the one that is wanted, or the best that is left', async (t) => {
  // Runs of ports that are taken, so that whole sets of them are.
  const from = fc.oneof(fc.constantFrom(0, 1, 1024, 1025), fc.nat(65_535))
  const run = fc.tuple(from, fc.constantFrom(7, 1024, 65_536), fc.constantFrom(1, 2))
  const step = fc.record({ give: fc.boolean(), wanted: fc.oneof(fc.nat(1023), fc.nat(65_535)) })
  holds(
    t,
    'as a set of free ports would have it',
    fc.property(fc.array(run, { maxLength: 4 }), fc.array(step, { maxLength: 12 }), fc.nat(), (runs, steps, seed) => {
      const ports = new FreePorts()
      const random = new SeededRandom([seed, 1, 2, 3])
      const free = new Set(ALL)
      for (const [from, length, step] of runs) {
        for (let port = from; port < Math.min(from + length, 65_536); port += step) {
          assert.equal(ports.take(port), free.delete(port))
        }
      }
      for (const { give, wanted } of steps) {
        if (give) {
          if (!free.has(wanted)) ports.give(wanted)
          free.add(wanted)
          continue
        }
        const got = ports.assign(wanted, random)
        const fits = choices(wanted).find((choice) => ALL.some((port) => free.has(port) && choice(port)))
        if (fits === undefined) assert.equal(got, NO_PORT)
        else assert.ok(free.delete(got) && fits(got), `${got} for ${wanted}`)
      }
    }),
    { numRuns: 30 },
  )
})

/** Counts how often the words of all sets are read from now on. */
function counted(ports: FreePorts): { reads: number } {
  const count = { reads: 0 }
  for (const set of Reflect.get(ports, 'sets') as object[]) {
    const words = Reflect.get(set, 'words') as Int32Array
    const get = (_: object, key: string) => {
      if (/^\d+$/.test(key)) count.reads++
      return Reflect.get(words, key) as unknown
    }
    Reflect.set(set, 'words', new Proxy(words, { get }))
  }
  return count
}

t.test('the last one is found, and none is refused, in a bounded number of steps', async (t) => {
  const random = new SeededRandom([1, 2, 3, 4])
  const ports = new FreePorts()
  const count = counted(ports)
  for (const port of ALL) if (port !== 5001) ports.take(port)
  for (let i = 0; i < 20; i++) {
    count.reads = 0
    t.equal(ports.assign(40_001, random), 5001)
    // 32 to a word.
    t.ok(count.reads <= 32_256 / 32 + 5, `${count.reads}`)
    count.reads = 0
    t.equal(ports.assign(40_001, random), NO_PORT)
    t.equal(count.reads, 1, 'the one that is wanted')
    ports.give(5001)
  }
})

t.test('which one it is cannot be told from the one before', async (t) => {
  const ports = new FreePorts()
  const random = new SeededRandom([1, 2, 3, 4])
  ports.take(40_000)
  const got = Array.from({ length: 2000 }, () => ports.assign(40_000, random))
  const near = got.filter((port, i) => Math.abs(port - (got[i - 1] ?? 0)) < 64).length
  t.ok(near < 20, `${near} of 2000 are near the one before`)
  t.ok(Math.min(...got) < 2000 && Math.max(...got) > 65_000)
})
