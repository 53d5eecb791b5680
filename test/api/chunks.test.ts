/** Memory for what streams are handed: new for each, aligned, and no more of the heap than was said. */
import v8 from 'node:v8'
import vm from 'node:vm'
import t from 'tap'
import { cutChunk } from '../../src/api/node-net/chunks.ts'

const MIB = 1_048_576

/** Octets of objects that have pages of their own. The whole heap also shrinks, by code that V8 lets go of in between. */
function largeObjects(): number {
  const space = v8.getHeapSpaceStatistics().find(({ space_name }) => space_name === 'large_object_space')
  return space?.space_used_size ?? Number.NaN
}

t.test('however much is received, the heap holds 8 MB for it', async (t) => {
  v8.setFlagsFromString('--expose-gc')
  const gc = vm.runInNewContext('gc') as () => void
  gc()
  const before = largeObjects()
  for (let octets = 0; octets < 2048 * MIB; octets += 65_536) cutChunk(65_536)
  gc()
  const grown = (largeObjects() - before) / MIB
  t.ok(grown > 7 && grown < 9, `${grown.toFixed(1)} MB`)
})

t.test('chunks do not overlap, and begin where words may', async (t) => {
  const lengths = [16_384, 65_536, 16_385, 40_001, 65_160, 262_144, 131_071, 16_391, 262_145, 100, 0]
  const chunks = Array.from({ length: 300 }, (_, i) => cutChunk(lengths[i % lengths.length] as number))
  for (const [i, chunk] of chunks.entries()) chunk.fill(i & 255)
  const whole = chunks.every(
    (chunk, i) => chunk.length === lengths[i % lengths.length] && chunk.every((octet) => octet === (i & 255)),
  )
  t.ok(whole, 'each has its length, and holds what was written to it')
  const large = chunks.filter(({ length }) => length >= 16_384)
  t.same(large.filter(({ byteOffset }) => byteOffset % 8 !== 0).length, 0, 'large ones begin at a multiple of 8')
})

t.test('small chunks keep no block alive', async (t) => {
  t.ok(cutChunk(16_383).buffer.byteLength < 262_144)
})
