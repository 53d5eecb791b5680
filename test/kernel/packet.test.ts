import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { MAX_PACKET_OCTETS, Packet, packetsInUse, poisonReleased } from '../../src/kernel/packet.ts'
import { PAGE_OCTETS, slab } from '../../src/kernel/slab.ts'
import { holds } from '../property.ts'

t.afterEach(() => {
  t.equal(packetsInUse(), 0, 'no packet is left')
  poisonReleased(false)
})

const counting = (n: number): Uint8Array => Uint8Array.from({ length: n }, (_, i) => i)

t.test('grows and shrinks at both ends', async (t) => {
  const packet = Packet.take(40, 100)
  t.equal(packet.length, 0)
  t.equal(packet.start - packet.base, 40)
  packet.append(counting(10))
  t.equal(packet.push(4), packet.start)
  packet.octets.set([90, 91, 92, 93], packet.start)
  t.same([...packet.bytes()], [90, 91, 92, 93, ...counting(10)])
  const removed = packet.pull(6)
  t.same([...packet.octets.subarray(removed, removed + 6)], [90, 91, 92, 93, 0, 1])
  const added = packet.put(2)
  t.equal(added, packet.end - 2)
  packet.view.setUint16(added, 0xbeef)
  packet.trim(9)
  t.same([...packet.bytes()], [2, 3, 4, 5, 6, 7, 8, 9, 0xbe])
  packet.release()
})

t.test('refuses to leave its slot or turn inside out, and stays as it was', async (t) => {
  const packet = Packet.take(4, 100)
  packet.append(counting(3))
  const { start, end } = packet
  const room = packet.limit - packet.end
  t.throws(() => packet.push(5), RangeError)
  t.throws(() => packet.pull(4), RangeError)
  t.throws(() => packet.put(room + 1), RangeError)
  t.throws(() => packet.trim(4), RangeError)
  t.throws(() => packet.append(new Uint8Array(room + 1)), RangeError)
  t.same([packet.start, packet.end], [start, end])
  packet.put(room)
  packet.push(4)
  t.equal(packet.length, packet.limit - packet.base)
  packet.release()
})

t.test('size classes: 2 KB, 10 KB and 64 KB with room', async (t) => {
  for (const [need, slot] of [
    [0, 2048],
    [2048, 2048],
    [2049, 10_240],
    [10_240, 10_240],
    [10_241, MAX_PACKET_OCTETS],
    [MAX_PACKET_OCTETS, MAX_PACKET_OCTETS],
  ] as const) {
    const packet = Packet.take(Math.min(need, 100), Math.max(0, need - 100))
    t.equal(packet.limit - packet.base, slot, `${need} octets`)
    packet.release()
  }
  t.ok(MAX_PACKET_OCTETS >= 65_535 + 128, 'the largest IP packet fits with all headers below it')
  t.throws(() => Packet.take(100, MAX_PACKET_OCTETS), RangeError)
})

t.test('packets in use at one time never share an octet', async (t) => {
  const wanted = [100, 3000, 2048, 60_000, 10_240, 1, 20_000, 9000, 1500]
  const packets = Array.from({ length: 90 }, (_, i) => Packet.take(0, wanted[i % wanted.length] as number))
  const slots = packets.map(({ base, limit }) => ({ base, limit })).sort((a, b) => a.base - b.base)
  for (const [i, { base, limit }] of slots.entries()) {
    t.ok(base >= 0 && limit <= slab().octets.length)
    t.ok(limit <= (slots[i + 1]?.base ?? Number.POSITIVE_INFINITY))
  }
  t.equal(packetsInUse(), 90)
  t.equal(new Set(packets.map(({ id }) => id)).size, 90, 'and have ids of their own')
  for (const packet of packets) packet.release()
})

t.test('the pool gives released slots again, so that a steady flow takes no more memory', async (t) => {
  Packet.take(0, 1000).release()
  const before = slab().reservedOctets
  for (let i = 0; i < 10_000; i++) {
    const packet = Packet.take(0, 1000)
    packet.put(1000)
    packet.segmentOctets = 5
    packet.checksum = 'partial'
    packet.networkStart = packet.start
    packet.release()
  }
  t.equal(slab().reservedOctets, before)
  const fresh = Packet.take(0, 1000)
  t.match(
    fresh,
    { length: 0, segmentOctets: 0, checksum: 'none', networkStart: -1 },
    'nothing of the last life is left',
  )
  const copy = fresh.copy(50, 0)
  t.equal(copy.networkStart, -1, 'nor in a copy')
  copy.release()
  fresh.release()
})

t.test('the end of a life', async (t) => {
  const packet = Packet.take(10, 10)
  packet.append(counting(5))
  const { start } = packet
  poisonReleased(true)
  packet.release()
  t.throws(() => packet.release(), { message: 'packet released twice' })
  t.equal(packet.octets[start], 0xdb, 'the octets are poisoned')
  t.throws(() => packet.view.getUint8(packet.start), RangeError, 'and the offsets point nowhere')
  const again = Packet.take(10, 10)
  t.equal(again, packet, 'the same slot')
  t.equal(again.start - again.base, 10)
  again.release()
})

t.test('segments: what a super-segment stands for on the wire', async (t) => {
  const packet = Packet.take(100, 10_000)
  packet.put(54 + 4380)
  t.equal(packet.segments, 1)
  packet.checksumStart = packet.start + 34
  packet.headerOctets = 20
  for (const [segmentOctets, segments] of [
    [1460, 3],
    [1459, 4],
    [4380, 1],
    [5000, 1],
    [1, 4380],
    [0, 1],
  ] as const) {
    packet.segmentOctets = segmentOctets
    t.equal(packet.segments, segments, `${segmentOctets} octets a segment`)
    t.equal(packet.wireOctets, 54 * segments + 4380)
  }
  packet.segmentOctets = 1460
  packet.trim(54)
  t.equal(packet.segments, 1, 'a header alone is one')
  packet.release()
})

/** Everything that must survive a move, with offsets relative to the data. */
function essence(packet: Packet): object {
  return {
    octets: Buffer.from(packet.bytes()).toString('hex'),
    segmentOctets: packet.segmentOctets,
    checksum: packet.checksum,
    checksumStart: packet.checksumStart - packet.start,
    checksumOffset: packet.checksumOffset,
    headerOctets: packet.headerOctets,
    networkStart: packet.networkStart - packet.start,
  }
}

t.test('withRoom and copy keep the data and translate every offset', async (t) => {
  const room = fc.oneof(fc.nat(200), fc.nat(9000))
  holds(
    t,
    'the same packet, elsewhere',
    fc.property(fc.nat(100), fc.uint8Array({ maxLength: 1500 }), room, room, (headroom, data, head, tail) => {
      const packet = Packet.take(headroom, data.length)
      packet.append(data)
      packet.segmentOctets = 100
      packet.checksum = 'partial'
      packet.checksumStart = packet.start + 20
      packet.checksumOffset = 16
      packet.headerOctets = 32
      packet.networkStart = packet.start - 4 // pulled already: in front of the data
      const before = essence(packet)
      const { id, base } = packet
      const enough = packet.start - packet.base >= head && packet.limit - packet.end >= tail
      const copy = packet.copy(head, tail)
      assert.notEqual(copy.base, base)
      assert.notEqual(copy.id, id)
      assert.deepEqual(essence(copy), before)
      copy.octets.fill(0, copy.base, copy.limit)
      copy.release()
      const moved = packet.withRoom(head, tail)
      assert.equal(moved === packet, enough, 'moves only when it must')
      assert.equal(moved.id, id)
      assert.deepEqual(essence(moved), before)
      assert.ok(moved.start - moved.base >= head)
      assert.ok(moved.limit - moved.end >= tail)
      moved.release()
      assert.equal(packetsInUse(), 0)
    }),
  )
})

t.test('a packet that cannot be moved is still the caller’s', async (t) => {
  const packet = Packet.take(0, 60_000)
  packet.put(60_000)
  t.throws(() => packet.withRoom(20_000, 0), RangeError)
  packet.release()
})

t.test('any course of operations keeps base <= start <= end <= limit', async (t) => {
  const step = fc.record({ op: fc.constantFrom('push', 'pull', 'put', 'trim'), n: fc.nat(3000) })
  holds(
    t,
    'within the slot',
    fc.property(fc.nat(2048), fc.array(step), (headroom, steps) => {
      const packet = Packet.take(headroom, 0)
      try {
        for (const { op, n } of steps) {
          try {
            packet[op as 'push'](n)
          } catch (error) {
            assert.ok(error instanceof RangeError)
          }
          assert.ok(packet.base <= packet.start && packet.start <= packet.end && packet.end <= packet.limit)
        }
      } finally {
        packet.release()
      }
    }),
  )
  t.ok(slab().reservedOctets % PAGE_OCTETS === 0)
})
