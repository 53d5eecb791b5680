import fc from 'fast-check'
import t from 'tap'
import { complete } from '../../../layers/offload/complete.ts'
import { networkHeader } from '../../../layers/offload/header.ts'
import { Segmenter } from '../../../layers/offload/segment.ts'
import { Packet, packetsInUse, poisonReleased } from '../../../src/kernel/packet.ts'

poisonReleased(true)

/** RFC 1071 as it is written there, over plain octets: shares nothing with the code under test. */
function rfc1071(octets: readonly number[]): number {
  let total = 0
  for (let i = 0; i < octets.length; i += 2) total += (octets[i] as number) * 256 + (octets[i + 1] ?? 0)
  while (total >= 65_536) total = Math.floor(total / 65_536) + (total % 65_536)
  return 65_535 - total
}

const word = (octets: readonly number[], at: number) => (octets[at] as number) * 256 + (octets[at + 1] as number)
const long = (octets: readonly number[], at: number) => word(octets, at) * 65_536 + word(octets, at + 2)

interface Shape {
  readonly version: 4 | 6
  readonly linkOctets: number
  /** Octets of IPv4's options, or of IPv6's extension headers. */
  readonly ipOptions: number
  readonly tcpOptions: number
  readonly payload: number
  readonly mss: number
  readonly flags: number
  readonly seq: number
  readonly id: number
}

const PLAIN: Shape = {
  version: 4,
  linkOctets: 0,
  ipOptions: 0,
  tcpOptions: 0,
  payload: 0,
  mss: 0,
  flags: 0,
  seq: 0,
  id: 0,
}

const ipOctetsOf = ({ version, ipOptions }: Shape): number => (version === 4 ? 20 : 40) + ipOptions

/** A super-segment as TCP and IP would have built it; the header checksum is left as garbage. */
function superSegment(shape: Shape): Packet {
  const { version, linkOctets, tcpOptions, payload, mss, flags, seq, id } = shape
  const ipOctets = ipOctetsOf(shape)
  const tcpOctets = 20 + tcpOptions
  const packet = Packet.take(7, linkOctets + ipOctets + tcpOctets + payload)
  const start = packet.put(linkOctets + ipOctets + tcpOctets + payload)
  const { view, octets } = packet
  for (let at = start; at < packet.end; at++) octets[at] = (at * 7 + seq) & 255
  const ip = start + linkOctets
  const tcp = ip + ipOctets
  if (version === 4) {
    view.setUint8(ip, 0x40 + ipOctets / 4)
    view.setUint16(ip + 2, (ipOctets + tcpOctets + payload) & 0xffff)
    view.setUint16(ip + 4, id)
    view.setUint8(ip + 9, 6)
  } else {
    view.setUint8(ip, 0x60)
    view.setUint16(ip + 4, (ipOctets - 40 + tcpOctets + payload) & 0xffff)
    // An extension header of destination options, or TCP.
    view.setUint8(ip + 6, ipOctets > 40 ? 60 : 6)
  }
  view.setUint32(tcp + 4, seq)
  view.setUint8(tcp + 12, (tcpOctets / 4) << 4)
  view.setUint8(tcp + 13, flags)
  packet.networkStart = ip
  packet.checksum = 'partial'
  packet.checksumStart = tcp
  packet.checksumOffset = 16
  packet.headerOctets = tcpOctets
  packet.segmentOctets = mss
  return packet
}

function split(packet: Packet, headroom = 0, tailroom = 0): number[][] {
  const segmenter = new Segmenter()
  const pieces: number[][] = []
  segmenter.start(packet, headroom, tailroom)
  for (let segment = segmenter.next(); segment !== undefined; segment = segmenter.next()) {
    t.ok(segment.start - segment.base >= headroom && segment.limit - segment.end >= tailroom, 'room as asked for')
    t.equal(segment.checksum, 'none')
    t.equal(segment.segments, 1)
    pieces.push([...segment.bytes()])
    segment.release()
  }
  t.equal(segmenter.next(), undefined)
  return pieces
}

const shapes: fc.Arbitrary<Shape> = fc.record({
  version: fc.constantFrom(4, 6),
  linkOctets: fc.constantFrom(0, 14, 18),
  ipOptions: fc.constantFrom(0, 8, 40),
  tcpOptions: fc.constantFrom(0, 12, 40),
  payload: fc.oneof(fc.nat(5000), fc.constantFrom(0, 1, 1460, 2920, 60_000)),
  mss: fc.oneof(fc.integer({ min: 1, max: 3000 }), fc.constantFrom(536, 1460, 8960)),
  flags: fc.nat(255),
  seq: fc.oneof(fc.nat(0xffff_ffff), fc.constantFrom(0xffff_ffff, 0xffff_fa00)),
  id: fc.oneof(fc.nat(65_535), fc.constant(65_535)),
})

t.test('property: the segments are what the super-segment stands for, each valid on its own', (t) => {
  fc.assert(
    fc.property(shapes, (shape) => {
      if (shape.payload / shape.mss > 60) return
      const packet = superSegment(shape)
      const before = [...packet.bytes()]
      const pieces = split(packet, 64, 4)
      t.same([...packet.bytes()], before, 'the original is untouched')
      t.equal(pieces.length, packet.segments)
      packet.release()
      const ip = shape.linkOctets
      const tcp = ip + ipOctetsOf(shape)
      const data = tcp + 20 + shape.tcpOptions
      const joined: number[] = []
      for (const [i, piece] of pieces.entries()) {
        const last = i === pieces.length - 1
        t.ok(piece.length - data <= shape.mss && (last || piece.length - data === shape.mss))
        t.same(piece.slice(0, ip), before.slice(0, ip), 'link header')
        if (shape.version === 4) {
          t.equal(word(piece, ip + 2), piece.length - ip, 'total length')
          t.equal(word(piece, ip + 4), (shape.id + i) % 65_536, 'identification')
          t.equal(rfc1071(piece.slice(ip, tcp)), 0, 'header checksum')
        } else {
          t.equal(word(piece, ip + 4), piece.length - ip - 40, 'payload length')
          t.same(piece.slice(ip + 6, tcp), before.slice(ip + 6, tcp), 'the rest of the headers')
        }
        t.equal(long(piece, tcp + 4), (shape.seq + joined.length) % 0x1_0000_0000, 'sequence number')
        const hidden = (last ? 0 : 0x09) | (i > 0 ? 0x80 : 0)
        t.equal(piece[tcp + 13], shape.flags & ~hidden, 'flags')
        const segment = piece.slice(tcp)
        const addresses = shape.version === 4 ? piece.slice(ip + 12, ip + 20) : piece.slice(ip + 8, ip + 40)
        const pseudo = [...addresses, 0, 6, segment.length >> 8, segment.length & 255]
        t.equal(rfc1071([...pseudo, ...segment]), 0, 'TCP checksum')
        t.same(piece.slice(tcp + 20, data), before.slice(tcp + 20, data), 'TCP options')
        joined.push(...piece.slice(data))
      }
      t.same(joined, before.slice(data))
    }),
    { numRuns: 60 },
  )
  t.equal(packetsInUse(), 0)
  t.end()
})

t.test('a header of IPv6 is found behind any link header', (t) => {
  for (const linkOctets of [0, 14, 18]) {
    const packet = superSegment({ ...PLAIN, version: 6, linkOctets, ipOptions: 8 })
    packet.networkStart = 0
    // What stands before it may look like one.
    if (linkOctets > 0) packet.view.setUint8(packet.start, 0x60)
    if (linkOctets > 14) packet.view.setUint8(packet.start + 14, 0x60)
    t.equal(networkHeader(packet), packet.start + linkOctets, `${linkOctets} octets`)
    packet.release()
  }
  t.end()
})

t.test('the network header is found where no network layer has been', (t) => {
  const packet = superSegment({ ...PLAIN, linkOctets: 14, ipOptions: 4, payload: 9, mss: 4 })
  t.equal(networkHeader(packet), packet.start + 14)
  packet.networkStart = packet.start + 3
  t.equal(networkHeader(packet), packet.start + 14, 'what an earlier use of the packet left is not believed')
  packet.networkStart = 0
  packet.view.setUint8(packet.start + 14, 0x66)
  t.equal(networkHeader(packet), -1)
  packet.release()
  t.end()
})

t.test('what is not a super-segment of TCP comes as one copy', (t) => {
  const packet = superSegment({ ...PLAIN, payload: 99, mss: 10 })
  packet.view.setUint8(packet.start, 0x60)
  const [only, more] = split(packet)
  t.equal(only?.length, packet.length)
  t.equal(more, undefined)
  packet.release()
  t.equal(packetsInUse(), 0)
  t.end()
})

t.test('property: complete finishes what the pseudo-header began', (t) => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 8, maxLength: 300 }),
      fc.nat(0xffff),
      fc.constantFrom(4, 6),
      (data, pseudo, at) => {
        const packet = Packet.take(3, data.length)
        packet.append(data)
        packet.view.setUint16(packet.start + at, pseudo)
        packet.checksum = 'partial'
        packet.checksumStart = packet.start
        packet.checksumOffset = at
        complete(packet)
        const octets = [...packet.bytes()]
        const field = word(octets, at)
        t.equal(packet.checksum, 'none')
        t.equal(rfc1071([pseudo >> 8, pseudo & 255, ...octets]) % 65_535, 0)
        if (at === 6) t.not(field, 0, 'UDP has no checksum of 0')
        complete(packet)
        t.equal(packet.view.getUint16(packet.start + at), field, 'once is enough')
        packet.release()
      },
    ),
  )
  t.equal(packetsInUse(), 0)
  t.end()
})

t.test('padding of a link behind the datagram is no part of its checksum', (t) => {
  for (const version of [4, 6] as const)
    for (const padding of [0, 1, 26]) {
      const packet = superSegment({ ...PLAIN, version, linkOctets: 14, ipOptions: 8, payload: 2, seq: 1, id: 1 })
      packet.networkStart = 0
      packet.view.setUint16(packet.checksumStart + 16, 0x1234)
      const end = packet.end
      const covered = [...packet.octets.subarray(packet.checksumStart, end)]
      packet.octets.fill(0x99, packet.put(padding), packet.end)
      complete(packet)
      t.equal(packet.view.getUint16(packet.checksumStart + 16), rfc1071(covered))
      t.equal(packet.end, end + padding)
      packet.release()
    }
  t.end()
})

t.test('a sum of 0 is written in its other form for UDP alone', (t) => {
  for (const [offset, written] of [
    [6, 0xffff],
    [4, 0],
  ] as const) {
    const packet = Packet.take(0, 8)
    packet.put(8)
    packet.octets.fill(0, packet.start, packet.end)
    packet.view.setUint16(packet.start + offset, 0x1234)
    packet.view.setUint16(packet.start, 0xffff - 0x1234)
    packet.checksum = 'partial'
    packet.checksumStart = packet.start
    packet.checksumOffset = offset
    complete(packet)
    t.equal(packet.view.getUint16(packet.start + offset), written)
    packet.release()
  }
  t.end()
})
