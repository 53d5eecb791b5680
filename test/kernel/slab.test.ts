import t from 'tap'
import { portableEngine, simdEngine } from '../../src/kernel/checksum.ts'
import { CHUNK_OCTETS, PAGE_OCTETS, reserveSlab, Slab, slab } from '../../src/kernel/slab.ts'

const MIB = 1 << 20

t.test('pages are handed out once, side by side, until there are none', async (t) => {
  const memory = new Slab(MIB)
  t.equal(memory.octets.length, MIB)
  t.equal(memory.view.byteLength, MIB)
  t.equal(memory.takePages(3), 0)
  t.equal(memory.takePages(1), 3 * PAGE_OCTETS)
  t.equal(memory.reservedOctets, 4 * PAGE_OCTETS)
  t.throws(() => memory.takePages(13), {
    code: 'ENOMEM',
    reason: 'slabExhausted',
    message: /of this process \(1048576 octets\) is used up/,
  })
  t.equal(memory.takePages(12), 4 * PAGE_OCTETS, 'what does not fit takes nothing away')
  t.throws(() => memory.takeChunk(), { code: 'ENOMEM' })
  t.equal(memory.chunksInUse, 0)
})

t.test('a size in between is rounded up to whole pages', async (t) => {
  t.equal(new Slab(MIB + 1).octets.length, MIB + PAGE_OCTETS)
})

t.test('chunks are taken, given back and taken again', async (t) => {
  const memory = new Slab(MIB)
  const chunks = Array.from({ length: 8 }, () => memory.takeChunk())
  t.equal(memory.chunksInUse, 8)
  t.equal(memory.reservedOctets, 2 * PAGE_OCTETS)
  t.equal(new Set(chunks).size, 8)
  for (const at of chunks) t.equal(at % CHUNK_OCTETS, 0)
  for (const at of chunks) memory.giveChunk(at)
  t.equal(memory.chunksInUse, 0)
  const again = Array.from({ length: 8 }, () => memory.takeChunk())
  t.same(again.sort(), [...chunks].sort(), 'the same memory')
  t.equal(memory.reservedOctets, 2 * PAGE_OCTETS)
})

t.test('both views show the same octets', async (t) => {
  const memory = new Slab(MIB)
  memory.view.setUint32(100, 0x0102_0304)
  t.same([...memory.octets.subarray(100, 104)], [1, 2, 3, 4])
})

t.test('reserveSlab: a range, and only before first use', async (t) => {
  for (const octets of [0, MIB - 1, 4096 * MIB, Number.NaN, Number.POSITIVE_INFINITY]) {
    t.throws(() => reserveSlab(octets), { code: 'ERR_OUT_OF_RANGE' }, `${octets}`)
  }
  reserveSlab(2 * MIB)
  t.equal(slab().octets.length, 2 * MIB)
  t.equal(slab(), slab(), 'there is one')
  t.throws(() => reserveSlab(4 * MIB), { code: 'EALREADY', message: /before booting/ })
})

t.test('a gigabyte that nobody touches costs next to nothing', async (t) => {
  const before = process.memoryUsage.rss()
  const big = new Slab(1024 * MIB)
  big.octets[512 * MIB] = 1
  t.ok(process.memoryUsage.rss() - before < 32 * MIB)
})

t.test('without WebAssembly (`node --jitless`) there is a plain buffer instead', async (t) => {
  const { WebAssembly } = globalThis as { WebAssembly?: unknown }
  t.teardown(() => Object.assign(globalThis, { WebAssembly }))
  Reflect.deleteProperty(globalThis, 'WebAssembly')
  const memory = new Slab(MIB)
  t.equal(memory.memory, undefined)
  t.equal(memory.octets.length, MIB)
  t.equal(memory.octets.buffer, memory.view.buffer)
  t.equal(simdEngine(memory), undefined, 'and the checksum falls back')
  memory.octets.fill(0xff, 0, 1000)
  memory.octets[500] = 0xfe
  // 499 words of ffff and one of feff: ffff counts for nothing.
  t.equal(portableEngine(memory).sum(0, 1000, 0), 0xfeff)
  t.equal(portableEngine(memory).copyAndSum(0, 2001, 1000, 0), 0xfeff)
  t.equal(memory.octets[2501], 0xfe)
})
