/** The options of a SYN on the wire: what is written is what is read, whichever are offered, and a cut option is refused. */
import assert from 'node:assert'
import fc from 'fast-check'
import t from 'tap'
import {
  decode,
  HEADER_OCTETS,
  Segment,
  SYN,
  synOptionsOctets,
  writeHeader,
  writeSynOptions,
} from '../../../../layers/transport/tcp/segment.ts'
import { Packet } from '../../../../src/kernel/packet.ts'
import { holds } from '../../../property.ts'

const offers = fc.record({
  sack: fc.boolean(),
  timestamps: fc.boolean(),
  tsval: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
  tsecr: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
  windowShift: fc.integer({ min: -1, max: 14 }),
  userTimeout: fc.integer({ min: -1, max: 0xffff }),
  cookie: fc.option(
    fc.integer({ min: 2, max: 8 }).chain((pairs) => fc.uint8Array({ minLength: 2 * pairs, maxLength: 2 * pairs })),
  ),
  cookieExperimental: fc.boolean(),
})

t.test('options of a SYN', (t) => {
  holds(
    t,
    'are read as they were written, and not when they are cut',
    fc.property(offers, fc.integer({ min: 1, max: 65_535 }), fc.nat(), (drawn, mss, cut) => {
      const full = drawn.cookie !== null && drawn.cookie.length > 12
      const offer = { ...drawn, userTimeout: full ? -1 : drawn.userTimeout }
      const octets = synOptionsOctets(offer)
      assert(octets % 4 === 0 && octets <= 40)
      const header = HEADER_OCTETS + octets
      const packet = Packet.take(0, header)
      try {
        packet.put(header)
        writeHeader(packet.view, packet.start, 0, 0, 0, header, SYN, 0)
        writeSynOptions(packet.view, packet.start + HEADER_OCTETS, mss, offer)
        const seg = new Segment()
        assert.equal(decode(packet, seg), undefined)
        assert.equal(seg.mss, mss)
        assert.equal(seg.hasTimestamps, offer.timestamps)
        if (offer.timestamps) assert.deepEqual([seg.tsval, seg.tsecr], [offer.tsval, offer.tsecr])
        assert.equal(seg.sackPermitted, offer.sack)
        assert.equal(seg.windowShift, offer.windowShift)
        assert.equal(seg.userTimeout, offer.userTimeout)
        assert.equal(seg.cookieOctets, offer.cookie === null ? -1 : offer.cookie.length)
        if (offer.cookie !== null) {
          const cookie = packet.octets.slice(seg.cookieStart, seg.cookieStart + seg.cookieOctets)
          assert.deepEqual([...cookie], [...offer.cookie])
          assert.equal(seg.cookieExperimental, offer.cookieExperimental)
        }
        packet.trim(cut % header)
        assert.equal(decode(packet, seg), 'truncated')
      } finally {
        packet.release()
      }
    }),
  )
  t.end()
})

t.test('lengths that cannot be are refused, or passed over', (t) => {
  const read = (...options: number[]): Segment | string => {
    const packet = Packet.take(0, HEADER_OCTETS + options.length)
    packet.put(HEADER_OCTETS + options.length)
    writeHeader(packet.view, packet.start, 0, 0, 0, HEADER_OCTETS + options.length, SYN, 0)
    packet.octets.set(options, packet.start + HEADER_OCTETS)
    const seg = new Segment()
    const fault = decode(packet, seg)
    packet.release()
    return fault ?? seg
  }
  t.equal(read(34, 6, 1, 2), 'malformedOption')
  t.equal(read(34, 1, 0, 0), 'malformedOption')
  t.match(read(34, 2, 1, 1), { cookieOctets: 0, cookieExperimental: false })
  t.match(read(34, 4, 1, 2), { cookieOctets: -2 })
  t.match(read(34, 3, 1, 0), { cookieOctets: -1 }, 'an odd one')
  t.match(read(254, 4, 0xf9, 0x89), { cookieOctets: 0, cookieExperimental: true })
  t.match(read(254, 4, 0xf9, 0x88), { cookieOctets: -1 }, 'another experiment')
  t.match(read(254, 2, 0, 0), { cookieOctets: -1 })
  t.match(read(28, 4, 0x80, 1), { userTimeout: 0x8001 })
  t.match(read(28, 3, 0x80, 0), { userTimeout: -1 })
  t.end()
})
