/** Options of every kind and length, true or not (RFC 9293 §3.1 and §3.2): none throws, ends a connection or changes its data. */
import assert from 'node:assert'
import fc from 'fast-check'
import t from 'tap'
import { holds } from '../../property.ts'
import { Script } from './tcp/script.ts'

const HEADER_OCTETS = 20
const MOST_OPTION_OCTETS = 40
const SYN = 'S 0:0 win 1000'
const END = 0
const NOP = 1

/** The segment of a line with these octets for options; padded to words, or cut off within one. */
function withOptions(s: Script, line: string, options: Uint8Array): Uint8Array {
  const plain = s.bytes(line)
  const padded = Math.ceil(options.length / 4) * 4
  const octets = new Uint8Array(plain.length + padded)
  octets.set(plain.subarray(0, HEADER_OCTETS))
  octets.set(options, HEADER_OCTETS)
  octets.set(plain.subarray(HEADER_OCTETS), HEADER_OCTETS + padded)
  octets[12] = ((HEADER_OCTETS + padded) / 4) << 4
  return octets
}

/** Can an option of this length stand alone in so many octets? */
const isTrue = (kind: number, length: number, room: number): boolean =>
  kind === END || kind === NOP || (length >= 2 && length <= room)

t.test('every kind with every length, in every room, on a connection', async (t) => {
  const s = new Script()
  const c = s.established()
  let received = 0
  let malformed = 0
  for (let kind = 0; kind < 256; kind++)
    for (let room = 4; room <= MOST_OPTION_OCTETS; room += 4)
      for (const length of [0, 1, 2, 3, 4, 8, 9, 10, 11, room - 1, room, room + 1, 255]) {
        const option = new Uint8Array(room).fill(END)
        option[0] = kind
        // Behind a NOP or an end there would be a second option.
        if (kind > NOP) option[1] = length
        s.raw(withOptions(s, `. ${1 + received}:${2 + received} ack 1`, option))
        if (isTrue(kind, length, room)) received++
        else malformed++
        if (c.readableOctets !== 1 && isTrue(kind, length, room))
          t.fail(`kind ${kind}, length ${length} in ${room} octets: ${c.readableOctets} octets are there to be read`)
        if (s.drops('malformedOption') !== malformed) t.fail(`kind ${kind}, length ${length} in ${room} octets`)
        s.read(c, 10)
        s.skip()
      }
  t.equal(c.state, 'ESTABLISHED')
  t.equal(c.info().octetsReceived, received)
  t.ok(received > 20_000, `${received} segments were good`)
  t.ok(malformed > 5000, `${malformed} were malformed`)
  s.close()
  t.equal(s.packets, 0)
})

t.test('the same on a SYN', async (t) => {
  const s = new Script()
  s.listen()
  let begun = 0
  let answered = 0
  for (let kind = 0; kind < 256; kind++)
    for (let room = 4; room <= MOST_OPTION_OCTETS; room += 12)
      for (const length of [0, 1, 2, 3, 4, 9, 10, room, room + 1]) {
        const option = new Uint8Array(room).fill(END)
        option[0] = kind
        if (kind > NOP) option[1] = length
        s.ports[1] = 20_000 + begun
        s.raw(withOptions(s, SYN, option))
        answered += s.skip()
        if (!isTrue(kind, length, room)) continue
        begun++
        s.in(`R 1:1`)
      }
  t.equal(answered, begun, 'each good SYN is answered once, the others not at all')
  t.ok(begun > 5000)
  s.close()
  t.equal(s.packets, 0)
})

t.test('data offsets of every value', async (t) => {
  const s = new Script()
  const c = s.established()
  const octets = s.bytes('. 1:41 ack 1')
  for (let words = 0; words < 16; words++) {
    octets[12] = words << 4
    for (const length of [0, 1, 19, 20, 21, 40, 59, 60]) s.raw(octets.subarray(0, length))
    s.skip()
  }
  t.equal(c.state, 'ESTABLISHED')
  t.ok(s.drops('badDataOffset') > 0)
  t.ok(s.drops('truncated') > 0)
  s.close()
  t.equal(s.packets, 0)
})

const octets = fc.uint8Array({ maxLength: MOST_OPTION_OCTETS })

t.test('octets by chance', async (t) => {
  holds(
    t,
    'for options of a SYN: the connection that follows carries its data',
    fc.property(octets, (options) => {
      const s = new Script()
      s.listen()
      s.raw(withOptions(s, SYN, options))
      const answered = s.skip()
      assert.equal(answered, 1 - s.drops('malformedOption'), 'answered, or malformed')
      if (answered === 1 && s.lastPacket?.options.includes('ts') !== true) {
        s.in('. 1:101 ack 1 win 1000')
        s.run(0)
        const [c] = s.accepted
        assert.ok(c)
        assert.equal(s.read(c, 1000, 0), 100)
        s.write(c, 10_000)
        s.skip()
        const segment = s.lastPacket?.length ?? 0
        assert.ok(segment > 0 && segment <= 1000, `whatever the MSS, segments of ${segment} octets`)
      }
      s.close()
      assert.equal(s.packets, 0)
    }),
    { numRuns: 500 },
  )
  holds(
    t,
    'for options of data: counted, or taken without them',
    fc.property(fc.array(octets, { maxLength: 20 }), (all) => {
      const s = new Script()
      const c = s.passive('mss 1000,sackOK')
      s.write(c, 5000)
      s.skip()
      let received = 0
      for (const options of all) {
        s.raw(withOptions(s, `. ${1 + received}:${11 + received} ack 1`, options))
        s.run(0)
        const got = s.read(c, 100)
        assert.ok(got === 10 || got === 0)
        received += got
      }
      assert.equal(received, (all.length - s.drops('malformedOption')) * 10)
      assert.equal(c.state, 'ESTABLISHED')
      s.close()
      assert.equal(s.packets, 0)
    }),
    { numRuns: 300 },
  )
})
