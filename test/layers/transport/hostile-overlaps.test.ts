/** Segments that overlap in every way, also with other octets in them: each position is read once, in order, and memory is bounded. */
import assert from 'node:assert'
import fc from 'fast-check'
import t from 'tap'
import { holds } from '../../property.ts'
import { Script } from './tcp/script.ts'

const STREAM = 3000

const segments = fc.array(fc.record({ from: fc.nat(STREAM - 1), length: fc.integer({ min: 1, max: 1000 }) }), {
  maxLength: 40,
})

/** A connection, for which reading it from time to time shows nothing but the stream, in order. */
class Reader {
  readonly s = new Script({ irs: 0xffff_f800 })
  readonly c = this.s.passive('mss 1000,sackOK')
  got = 0

  take(from: number, length: number): void {
    this.s.in(`. ${1 + from}:${1 + Math.min(from + length, STREAM)} ack 1`)
  }

  read(): void {
    this.got += this.s.read(this.c, 10_000, this.got)
  }

  /** What is still missing comes, and with it all is there. */
  finish(): void {
    for (let at = 0; at < STREAM; at += 1000) this.take(at, 1000)
    this.read()
    assert.equal(this.got, STREAM)
    this.s.close()
    assert.equal(this.s.packets, 0)
    assert.equal(this.s.chunks, 0)
  }
}

t.test('overlapping segments', async (t) => {
  holds(
    t,
    'of the same stream, in any order, across the wrap of sequence numbers: the stream',
    fc.property(segments, fc.nat(5), (all, every) => {
      const reader = new Reader()
      for (const [i, { from, length }] of all.entries()) {
        reader.take(from, length)
        if (i % (every + 1) === 0) reader.read()
      }
      reader.finish()
    }),
    { numRuns: 300 },
  )
  holds(
    t,
    'with forged octets in some: what has been read stays, and each position is read once',
    fc.property(segments, fc.array(fc.boolean(), { minLength: 40, maxLength: 40 }), (all, forged) => {
      const { s, c } = new Reader()
      let got = 0
      for (const [i, { from, length }] of all.entries()) {
        const octets = s.bytes(`. ${1 + from}:${1 + Math.min(from + length, STREAM)} ack 1`)
        if (forged[i]) octets.fill(0xee, 20)
        s.raw(octets)
        got += s.read(c, 10_000)
      }
      assert.ok(got <= STREAM)
      for (let at = 0; at < STREAM; at += 1000) s.in(`. ${1 + at}:${1001 + at} ack 1`)
      got += s.read(c, 10_000)
      assert.equal(got, STREAM)
      assert.equal(c.state, 'ESTABLISHED')
      s.close()
      assert.equal(s.packets, 0)
    }),
    { numRuns: 300 },
  )
})

t.test('a flood of tiny segments out of order', async (t) => {
  const limit = 256 * 1024
  const s = new Script({ tcp: { maxReassembly: limit } })
  const c = s.passive('mss 1000,sackOK')
  let most = 0
  for (let i = 0; i < 10_000; i++) {
    const at = 3 + 2 * i
    s.in(`. ${at}:${at + 1} ack 1`)
    s.skip()
    most = Math.max(most, s.packets)
  }
  t.ok(most * 2048 <= 2 * limit, `${most} packets are kept at the most`)
  t.ok(s.drops('reassemblyFull') > 0, 'the rest was counted')
  t.equal(c.state, 'ESTABLISHED')
  for (let at = 0; at < 20_000; at += 1000) {
    s.in(`. ${1 + at}:${1001 + at} ack 1`)
    s.run(0)
  }
  t.equal(s.read(c, 30_000, 0), 20_000, 'and none of it does harm')
  s.close()
  t.equal(s.packets, 0)
})
