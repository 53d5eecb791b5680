/**
 * A sender that sends any segment there is, at any place of the stream and with any ACK: nothing throws, what is read is
 * the stream and in order, challenges stay within their limit, and nothing is left in the end.
 */
import assert from 'node:assert'
import fc from 'fast-check'
import t from 'tap'
import { records } from '../../../layers/transport/tcp/records.ts'
import { ms, seconds } from '../../../src/kernel/clock.ts'
import { holds } from '../../property.ts'
import { Script } from './tcp/script.ts'

/** More by `RUNS=5000`. */
const RUNS = Number(process.env.RUNS ?? 300)
const RECEIVE_BUFFER = 20_000
/** Slots of what may wait out of order for a buffer of that size, and what is under way. */
const MOST_PACKETS = 200
const EMPTY_ANSWERS_PER_SECOND = 10

const FLAGS = ['.', 'P.', 'F.', 'S', 'S.', 'R', 'R.', 'F', '-', 'U.', 'FP.', 'SF', 'SR', 'FPU', 'SFRPU.']
/** Near what is expected, in the window or about its edges, or half the circle away. */
const place = fc.oneof(
  fc.integer({ min: -5, max: 5 }),
  fc.integer({ min: -2 * RECEIVE_BUFFER, max: 2 * RECEIVE_BUFFER }),
  fc.constantFrom(2 ** 31 - 1, -(2 ** 31), 2 ** 30, -(2 ** 30)),
)
const segment = fc.record({
  flags: fc.oneof(
    { arbitrary: fc.constantFrom('.', 'P.'), weight: 3 },
    { arbitrary: fc.constantFrom(...FLAGS), weight: 2 },
  ),
  at: place,
  length: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 1400 })),
  ack: fc.oneof({ arbitrary: fc.constant(0), weight: 3 }, { arbitrary: place, weight: 1 }),
  win: fc.nat(65_535),
  age: fc.oneof({ arbitrary: fc.constant(0), weight: 4 }, { arbitrary: place, weight: 1 }),
  wait: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: ms(300) })),
  read: fc.boolean(),
  write: fc.oneof(fc.constant(0), fc.nat(5000)),
})

const plot = fc.record({
  irs: fc.constantFrom(1000, 2 ** 31 - 10_000, 2 ** 32 - 10_000),
  timestamps: fc.boolean(),
  segments: fc.array(segment, { maxLength: 60 }),
})

/** `value` modulo 2^32, as a number of the wire. */
const word = (value: number): number => value >>> 0

t.test('segments by chance', async (t) => {
  holds(
    t,
    'do no harm',
    fc.property(plot, ({ irs, timestamps, segments }) => {
      const before = records.used
      const s = new Script({ irs })
      const c = s.passive(`mss 1000,sackOK${timestamps ? ',ts 1000 0' : ''}`, { receiveBuffer: RECEIVE_BUFFER })
      let tsval = 1000
      let got = 0
      let written = 0
      for (const { flags, at, length, ack, win, age, wait, read, write } of segments) {
        const expected = 1 + got + c.readableOctets
        const from = (expected + at) | 0
        tsval++
        const options = timestamps ? ` <ts ${word(tsval + age)} 0>` : ''
        const acked = (1 + written - c.queuedOctets + ack) | 0
        s.in(`${flags} ${from}:${from + length} ack ${acked} win ${win}${options}`)
        s.run(wait)
        if (write > 0 && c.state === 'ESTABLISHED') written += s.write(c, write, written)
        if (read) got += s.read(c, RECEIVE_BUFFER, got)
        assert.ok(c.readableOctets <= RECEIVE_BUFFER, `${c.readableOctets} octets wait to be read`)
        assert.ok(s.packets <= MOST_PACKETS, `${s.packets} packets are kept`)
      }
      if (c.state !== 'CLOSED') c.abort()
      s.run(seconds(1))
      s.close()
      assert.equal(s.packets, 0)
      assert.equal(s.chunks, 0)
      assert.equal(records.used, before)
    }),
    { numRuns: RUNS },
  )
})

t.test('whatever is repeated without data is answered a few times a second', async (t) => {
  const empty = FLAGS.filter((flags) => !flags.includes('F'))
  for (const flags of empty)
    for (const at of [-1, 1, 500, 2 ** 30, -(2 ** 30)])
      for (const ack of [1, 2, 2 ** 30, -(2 ** 30)]) {
        const s = new Script()
        const c = s.established()
        let answers = 0
        for (let i = 0; i < 50 && c.state === 'ESTABLISHED'; i++) {
          s.in(`${flags} ${1 + at}:${1 + at} ack ${ack}`)
          answers += s.skip()
        }
        if (answers > EMPTY_ANSWERS_PER_SECOND) t.fail(`${flags} at ${at}, ack ${ack}: ${answers} answers`)
        s.close()
      }
  t.pass('ten at the most')
})
