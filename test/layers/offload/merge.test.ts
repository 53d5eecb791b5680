import assert from 'node:assert'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { Merger } from '../../../layers/offload/merge.ts'
import { Segmenter } from '../../../layers/offload/segment.ts'
import { type IpAddress, parseAddress } from '../../../src/kernel/address.ts'
import { checksum, pseudoHeaderIpv4, pseudoHeaderIpv6 } from '../../../src/kernel/checksum.ts'
import { Packet, packetsInUse, poisonReleased } from '../../../src/kernel/packet.ts'
import { Timers } from '../../../src/kernel/timers.ts'
import { holds } from '../../property.ts'

poisonReleased(true)
const ACK = 0x10
const PSH = 0x08

interface Segment {
  version: 4 | 6
  seq: number
  data: number
  flags: number
  ack: number
  window: number
  /** Of the timestamps option; undefined: no options. */
  tsval: number | undefined
  port: number
  ttl: number
  tos: number
  fragment: number
  id: number
  dataOffset: number | undefined
  ihl: number
  flowLabel: number
  /** The last octet of the source address. */
  source: number
  urgent: number
}

const PLAIN: Segment = {
  version: 4,
  seq: 1000,
  data: 100,
  flags: ACK,
  ack: 5,
  window: 500,
  tsval: 77,
  port: 80,
  ttl: 64,
  tos: 0,
  fragment: 0x4000,
  id: 1,
  dataOffset: undefined,
  ihl: 5,
  flowLabel: 7,
  source: 1,
  urgent: 0,
}

/** The octet at a place of the stream. */
const octetAt = (seq: number): number => (seq * 31 + (seq >> 8)) & 255

function packetOf(fields: Partial<Segment> = {}): Packet {
  const s = { ...PLAIN, ...fields }
  const ip = s.version === 6 ? 40 : s.ihl * 4
  const tcpOctets = s.tsval === undefined ? 20 : 32
  const packet = Packet.take(2, ip + tcpOctets + s.data)
  const at = packet.put(ip + tcpOctets + s.data)
  const { view } = packet
  packet.octets.fill(0, at, packet.end)
  if (s.version === 4) writeIpv4(packet, s)
  else writeIpv6(packet, s)
  const tcp = at + ip
  view.setUint16(tcp, s.port)
  view.setUint16(tcp + 2, 9)
  view.setInt32(tcp + 4, s.seq)
  view.setInt32(tcp + 8, s.ack)
  view.setUint16(tcp + 12, ((s.dataOffset ?? tcpOctets / 4) << 12) | s.flags)
  view.setUint16(tcp + 14, s.window)
  view.setUint16(tcp + 18, s.urgent)
  if (s.tsval !== undefined) {
    view.setUint32(tcp + 20, 0x0101_080a)
    view.setInt32(tcp + 24, s.tsval)
  }
  for (let i = 0; i < s.data; i++) view.setUint8(tcp + tcpOctets + i, octetAt(s.seq + i))
  const length = packet.end - tcp
  const pseudo =
    s.version === 4
      ? pseudoHeaderIpv4(0x0a00_0000 + s.source, 0x0a00_0002, 6, length)
      : pseudoHeaderIpv6(sourceOf(s), DESTINATION, 6, length)
  view.setUint16(tcp + 16, checksum(tcp, length, pseudo))
  packet.networkStart = at
  return packet
}

const DESTINATION = parseAddress('fd00::2')
const sourceOf = ({ source }: Segment): IpAddress => parseAddress(`fd00::${source}`)

function writeIpv4({ view, start, length }: Packet, s: Segment): void {
  view.setUint8(start, 0x40 + s.ihl)
  view.setUint8(start + 1, s.tos)
  view.setUint16(start + 2, length)
  view.setUint16(start + 4, s.id)
  view.setUint16(start + 6, s.fragment)
  view.setUint8(start + 8, s.ttl)
  view.setUint8(start + 9, 6)
  view.setUint32(start + 12, 0x0a00_0000 + s.source)
  view.setUint32(start + 16, 0x0a00_0002)
  view.setUint16(start + 10, checksum(start, s.ihl * 4))
}

function writeIpv6({ view, start, length }: Packet, s: Segment): void {
  view.setInt32(start, (6 << 28) | (s.tos << 20) | s.flowLabel)
  view.setUint16(start + 4, length - 40)
  view.setUint8(start + 6, 6)
  view.setUint8(start + 7, s.ttl)
  for (const [at, { w0, w1, w2, w3 }] of [
    [8, sourceOf(s)],
    [24, DESTINATION],
  ] as const) {
    for (const [i, word] of [w0, w1, w2, w3].entries()) view.setInt32(start + at + 4 * i, word)
  }
}

/** A merger, what it handed up, and a clock that stands still. */
function stand(): { merger: Merger; up: Packet[]; timers: Timers } {
  const up: Packet[] = []
  const timers = new Timers()
  const merger = new Merger(timers, { now: () => 5 }, { merged: (packet) => up.push(packet) })
  return { merger, up, timers }
}

/** What comes of a burst: sequence number and octets of data of each segment handed up. */
function burst(...packets: Packet[]): { shape: number[][]; up: Packet[] } {
  const { merger, up, timers } = stand()
  for (const packet of packets) merger.input(packet)
  timers.advance(5)
  return { shape: up.map(shapeOf), up }
}

function shapeOf({ view, start, length }: Packet): number[] {
  const ip = view.getUint8(start) >> 4 === 6 ? 40 : (view.getUint8(start) & 15) * 4
  const tcp = start + ip
  return [view.getInt32(tcp + 4), length - ip - (view.getUint8(tcp + 12) >> 4) * 4]
}

function release(up: readonly Packet[]): void {
  for (const packet of up) packet.release()
}

/** Two segments, the second with something of its own, stay two. */
async function stays(t: Test, what: string, second: Partial<Segment>, first: Partial<Segment> = {}): Promise<void> {
  const { shape, up } = burst(packetOf(first), packetOf({ seq: 1100, id: 2, ...second }))
  t.equal(shape.length, 2, what)
  t.equal(shape[0]?.[0], 1000, `${what}: in order`)
  t.ok(
    up.every(({ segmentOctets, checksum }) => segmentOctets === 0 && checksum === 'none'),
    `${what}: as they came`,
  )
  release(up)
}

t.test('segments that continue each other become one', async (t) => {
  const { shape, up } = burst(packetOf(), packetOf({ seq: 1100, id: 2 }), packetOf({ seq: 1200, id: 9, data: 30 }))
  t.same(shape, [[1000, 230]])
  const packet = up[0] as Packet
  t.equal(packet.segmentOctets, 100)
  t.equal(packet.segments, 3)
  t.equal(packet.checksum, 'verified')
  t.equal(packet.headerOctets, 32)
  t.equal(packet.checksumStart, packet.start + 20)
  t.equal(packet.networkStart, packet.start)
  t.equal(checksum(packet.start, 20), 0, "IPv4's checksum")
  t.equal(packet.view.getUint16(packet.start + 2), packet.length, "IPv4's length")
  for (let i = 0; i < 230; i++) {
    if (packet.octets[packet.start + 52 + i] !== octetAt(1000 + i)) t.fail(`octet ${i}`)
  }
  release(up)
})

t.test('those of IPv6 too', async (t) => {
  const six = { version: 6 } as const
  const { shape, up } = burst(
    packetOf(six),
    packetOf({ ...six, seq: 1100, flags: ACK | PSH }),
    packetOf({ ...six, seq: 1200, data: 30 }),
  )
  t.same(shape, [
    [1000, 200],
    [1200, 30],
  ])
  const packet = up[0] as Packet
  t.equal(packet.segments, 2)
  t.equal(packet.checksum, 'verified')
  t.equal(packet.checksumStart, packet.start + 40)
  t.equal(packet.headerOctets, 32)
  t.equal(packet.view.getUint16(packet.start + 4), packet.length - 40, 'payload length')
  t.equal(packet.view.getUint8(packet.start + 53), ACK | PSH, 'PSH is handed up')
  for (let i = 0; i < 200; i++) {
    if (packet.octets[packet.start + 72 + i] !== octetAt(1000 + i)) t.fail(`octet ${i}`)
  }
  release(up)
  await stays(t, 'another hop limit', { ...six, ttl: 63 }, six)
  await stays(t, 'another flow label', { ...six, flowLabel: 8 }, six)
  await stays(t, 'congestion experienced', { ...six, tos: 3 }, six)
  await stays(t, 'another source', { ...six, source: 3 }, six)
  await stays(t, 'another port', { ...six, port: 81 }, six)
  await stays(t, 'another window', { ...six, window: 501 }, six)
  await stays(t, 'the other family', {}, six)
  await stays(t, 'the other family first', six)
  const bad = packetOf({ ...six, seq: 1100 })
  bad.view.setUint8(bad.end - 1, bad.view.getUint8(bad.end - 1) ^ 0x10)
  const damaged = burst(packetOf(six), bad)
  t.equal(damaged.shape.length, 2, 'a wrong checksum')
  release(damaged.up)
})

t.test('bursts one after another, of flows that have nothing in common, and a pointer to nothing urgent', async (t) => {
  const { merger, up, timers } = stand()
  for (const flow of [
    {},
    { port: 81, ack: 900, tsval: 5 },
    { version: 6 },
    { source: 3, window: 9, tsval: undefined },
  ] as const) {
    merger.input(packetOf(flow))
    merger.input(packetOf({ ...flow, seq: 1100, id: 2, urgent: 77 }))
    timers.advance(5)
  }
  t.same(up.map(shapeOf), new Array(4).fill([1000, 200]))
  for (const packet of up) packet.release()
})

t.test('what says something of its own does not join', async (t) => {
  await stays(t, 'a hole', { seq: 1101 })
  await stays(t, 'the same again', { seq: 1000 })
  await stays(t, 'another ACK', { ack: 6 })
  await stays(t, 'another window', { window: 501 })
  await stays(t, 'other timestamps', { tsval: 78 })
  await stays(t, 'no options', { tsval: undefined })
  await stays(t, 'another flow', { port: 81 })
  await stays(t, 'another source', { source: 3 })
  await stays(t, 'another TTL', { ttl: 63 })
  await stays(t, 'congestion experienced', { tos: 3 })
  await stays(t, 'DF', { fragment: 0 })
  await stays(t, 'more data than the first', { data: 101 })
  await stays(t, 'no data', { data: 0 })
  await stays(t, 'options of IPv4', { ihl: 6 })
  await stays(t, 'a header longer than the segment', { dataOffset: 15, data: 20 })
  for (const flag of [0x01, 0x02, 0x04, 0x20, 0x40, 0x80, 0x100]) {
    await stays(t, `flag ${flag}`, { flags: ACK | flag })
    await stays(t, `flag ${flag} of the first`, {}, { flags: ACK | flag })
    await stays(t, `flag ${flag} of both`, { flags: ACK | flag }, { flags: ACK | flag })
  }
  await stays(t, 'no ACK', { flags: 0 })
  await stays(t, 'a first without data', { seq: 1000 }, { data: 0 })
})

t.test('PSH and short data end it', async (t) => {
  const more = { seq: 1200, id: 3 }
  const pushed = burst(packetOf(), packetOf({ seq: 1100, flags: ACK | PSH }), packetOf(more))
  t.same(pushed.shape, [
    [1000, 200],
    [1200, 100],
  ])
  t.equal(pushed.up[0]?.view.getUint8(pushed.up[0].start + 33), ACK | PSH, 'and PSH is handed up')
  release(pushed.up)
  const first = burst(packetOf({ flags: ACK | PSH }), packetOf({ seq: 1100 }))
  t.same(first.shape.length, 2)
  release(first.up)
  const short = burst(packetOf(), packetOf({ seq: 1100, data: 99 }), packetOf({ seq: 1199, data: 99 }))
  t.same(short.shape, [
    [1000, 199],
    [1199, 99],
  ])
  release(short.up)
})

t.test('a wrong checksum is left for the transport to find', async (t) => {
  for (const wrong of [0, 1, 2]) {
    const packets = [packetOf(), packetOf({ seq: 1100 }), packetOf({ seq: 1200 })]
    const bad = packets[wrong] as Packet
    bad.view.setUint8(bad.end - 1, bad.view.getUint8(bad.end - 1) ^ 0x10)
    const { shape, up } = burst(...packets)
    t.same(
      shape,
      wrong === 0
        ? [
            [1000, 100],
            [1100, 200],
          ]
        : wrong === 1
          ? [
              [1000, 100],
              [1100, 100],
              [1200, 100],
            ]
          : [
              [1000, 200],
              [1200, 100],
            ],
    )
    t.equal(up.filter(({ checksum }) => checksum === 'none').length >= 1, true)
    release(up)
  }
})

t.test('it ends with the longest datagram', async (t) => {
  const packets = Array.from({ length: 100 }, (_, i) => packetOf({ seq: 1000 + 1400 * i, data: 1400, id: i }))
  const { shape, up } = burst(...packets)
  t.same(shape, [
    [1000, 46 * 1400],
    [1000 + 46 * 1400, 46 * 1400],
    [1000 + 92 * 1400, 8 * 1400],
  ])
  release(up)
})

t.test('large data goes up as it comes, and in its place', async (t) => {
  const of = (data: number): readonly (readonly number[])[] => {
    const packets = [
      packetOf(),
      packetOf({ seq: 1100 }),
      packetOf({ seq: 1200, data }),
      packetOf({ seq: 1200 + data, data }),
    ]
    const { shape, up } = burst(...packets)
    release(up)
    return shape
  }
  const small = [1000, 200]
  t.same(of(4097), [small, [1200, 4097], [5297, 4097]])
  t.same(of(4096), [small, [1200, 8192]])
})

t.test('flows side by side, as many as are held; the oldest gives way', async (t) => {
  const { merger, up, timers } = stand()
  for (const seq of [1000, 1100]) for (let port = 1; port <= 8; port++) merger.input(packetOf({ port, seq }))
  t.equal(up.length, 0, 'until the burst is over')
  merger.input(packetOf({ port: 9 }))
  t.same(up.map(shapeOf), [[1000, 200]])
  t.equal(up[0]?.view.getUint16(up[0].start + 20), 1)
  timers.advance(5)
  t.same(
    up.map(({ view, start }) => view.getUint16(start + 20)),
    [1, 2, 3, 4, 5, 6, 7, 8, 9],
  )
  t.equal(timers.size, 0)
  release(up)
})

t.test('closed while it holds something', async (t) => {
  const { merger, up, timers } = stand()
  merger.input(packetOf())
  merger.input(packetOf({ port: 81 }))
  merger.close()
  t.equal(up.length, 0)
  t.equal(timers.size, 0)
})

t.test('what was split is whole again', async (t) => {
  const shapes = fc.record({
    version: fc.constantFrom(4, 6),
    data: fc.integer({ min: 1, max: 20_000 }),
    mss: fc.integer({ min: 1, max: 3000 }),
    seq: fc.integer(),
    push: fc.boolean(),
    tsval: fc.option(fc.integer(), { nil: undefined }),
  })
  holds(
    t,
    'any shape',
    fc.property(shapes, ({ version, data, mss, seq, push, tsval }) => {
      const whole = packetOf({ version, data, seq, tsval, flags: push ? ACK | PSH : ACK })
      const ip = version === 4 ? 20 : 40
      const before = [...whole.bytes()]
      whole.segmentOctets = mss
      whole.checksum = 'partial'
      whole.checksumStart = whole.start + ip
      whole.checksumOffset = 16
      whole.headerOctets = tsval === undefined ? 20 : 32
      const segmenter = new Segmenter()
      const pieces: Packet[] = []
      segmenter.start(whole, 0, 0)
      for (let piece = segmenter.next(); piece !== undefined; piece = segmenter.next()) pieces.push(piece)
      whole.release()
      const { up } = burst(...pieces)
      const [packet] = up as [Packet]
      const after = [...packet.bytes()]
      // The checksum of TCP is vouched for instead.
      before.splice(ip + 16, 2)
      after.splice(ip + 16, 2)
      const same = up.length === 1 && before.every((octet, i) => octet === after[i]) && before.length === after.length
      release(up)
      return same
    }),
  )
})

t.test('arbitrary octets behind a good header never throw, and all come out', async (t) => {
  const segments = fc.array(fc.tuple(fc.uint8Array({ maxLength: 60 }), fc.integer({ min: 0, max: 2 })), {
    maxLength: 20,
  })
  holds(
    t,
    'no packet is lost',
    fc.property(segments, (all) => {
      const before = packetsInUse()
      const packets = all.map(([octets, kind]) => {
        const packet = packetOf({ data: octets.length, seq: 1000 + octets.length * kind })
        // Anywhere behind the header of IPv4, and the length as the header has it.
        if (kind > 0) packet.octets.set(octets, packet.end - octets.length - (kind === 2 ? 32 : 0))
        return packet
      })
      const { up } = burst(...packets)
      const octets = up.reduce((sum, packet) => sum + packet.length, 0)
      const joined = up.reduce((sum, packet) => sum + packet.segments - 1, 0)
      release(up)
      assert.equal(packetsInUse(), before)
      if (joined === 0)
        assert.equal(
          octets,
          all.reduce((sum, [data]) => sum + 52 + data.length, 0),
        )
    }),
  )
})

t.test('no packet is left behind', async (t) => {
  t.equal(packetsInUse(), 0)
})
