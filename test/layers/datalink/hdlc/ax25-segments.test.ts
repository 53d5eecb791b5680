import fc from 'fast-check'
import t from 'tap'
import { ethernet } from '../../../../layers/datalink/ethernet/ethernet.ts'
import { type Ax25Options, ax25, bpq } from '../../../../layers/datalink/hdlc/ax25.ts'
import { parseCall } from '../../../../layers/datalink/hdlc/ax25-address.ts'
import { cutSegment, Joiner, longestOf, segmentsOf } from '../../../../layers/datalink/hdlc/ax25-segments.ts'
import type { RecordConnection } from '../../../../layers/datalink/hdlc/records.ts'
import { ETHERTYPE, LinkAddressing } from '../../../../layers/datalink/service.ts'
import { cable } from '../../../../layers/physical/cable.ts'
import { impair } from '../../../../layers/physical/impair/impair.ts'
import { ms, seconds } from '../../../../src/kernel/clock.ts'
import type { Env } from '../../../../src/kernel/env.ts'
import { Packet, packetsInUse, poisonReleased } from '../../../../src/kernel/packet.ts'
import { stack } from '../../../../src/kernel/stack.ts'
import { Simulation } from '../../../../src/runtime/simulation.ts'
import { linkDrops, payloadFor, stationOver } from '../stations.ts'

poisonReleased(true)

/** All that segments need of their surroundings. */
const env = { packet: (headroom: number, room: number) => Packet.take(headroom, room) } as unknown as Env
const NO_ROOM = { headroom: 0, tailroom: 0 }

function packetOf(octets: ArrayLike<number>): Packet {
  const packet = Packet.take(0, octets.length)
  packet.octets.set(Array.from(octets), packet.put(octets.length))
  return packet
}

function cut(octets: ArrayLike<number>, n1: number): number[][] {
  const field = packetOf(octets)
  const count = segmentsOf(octets.length, n1)
  const segments = Array.from({ length: count }, (_, i) => {
    const segment = cutSegment(env, field, { n1, remaining: count - 1 - i, first: i === 0 }, NO_ROOM)
    const copy = [...segment.bytes()]
    segment.release()
    return copy
  })
  field.release()
  return segments
}

/** Joins what comes. `said` has each field, and 'badSegment' for each packet that was dropped. */
function joined(): { readonly joiner: Joiner; readonly said: string[]; input(octets: ArrayLike<number>): void } {
  const said: string[] = []
  const joiner = new Joiner(env, (packet, reason) => {
    said.push(reason)
    packet.release()
  })
  return {
    joiner,
    said,
    input(octets) {
      const field = joiner.input(packetOf(octets))
      if (field === null) return
      said.push(Buffer.from(field.bytes()).toString('hex'))
      field.release()
    },
  }
}

t.test('segments as Linux and direwolf have them', async (t) => {
  t.strictSame(cut([0xf0, 1, 2, 3, 4, 5, 6], 5), [
    [8, 0x82, 0xf0, 1, 2],
    [8, 0x01, 3, 4, 5],
    [8, 0x00, 6],
  ])
  t.strictSame([segmentsOf(255, 257), segmentsOf(256, 257), segmentsOf(9, 2)], [1, 2, 129])
  t.strictSame([longestOf(128, 256), longestOf(3, 1)], [32_512, 0])
})

t.test('what does not fit together is dropped, and the next field is whole', async (t) => {
  const before = packetsInUse()
  const { joiner, said, input } = joined()
  for (const [segments, expected] of [
    [[[8, 0x00, 1]], ['badSegment']], // not begun
    [[[8, 0x81]], ['badSegment']], // nothing in it
    [[[8]], ['badSegment']],
    [
      [
        [8, 0x82, 0xf0, 1],
        [8, 0, 1],
      ],
      ['badSegment', 'badSegment'],
    ], // one is missing
    [
      [
        [8, 0x81, 0xf0, 1],
        [8, 0x81, 0xf0, 2],
        [8, 0, 3],
      ],
      ['badSegment', 'f00203'],
    ], // begun again
    [
      [
        [8, 0x81, 0xf0, 1],
        [0xf0, 7],
      ],
      ['badSegment', 'f007'],
    ], // a field of its own
    [
      [
        [8, 0x81, 0xf0],
        [8, 0, 1, 2],
      ],
      ['badSegment', 'badSegment'],
    ], // longer than the first
    [[[8, 0x80, 0xf0, 1]], ['f001']],
  ] as const) {
    said.length = 0
    for (const segment of segments) input(segment)
    t.strictSame(said, expected)
  }
  said.length = 0
  input([8, 0xff, ...new Array(3000).fill(1)])
  t.strictSame(said, ['badSegment'], 'more than a packet')
  input([8, 0x81, 0xf0, 1])
  joiner.clear()
  t.equal(packetsInUse(), before)
})

t.test('property: any field comes whole out of its segments; anything else leaves nothing behind', async (t) => {
  const before = packetsInUse()
  const anyField = fc.uint8Array({ minLength: 1, maxLength: 500 }).filter(([pid]) => pid !== 8)
  fc.assert(
    fc.property(fc.array(anyField, { maxLength: 4 }), fc.integer({ min: 6, max: 300 }), (fields, n1) => {
      const { said, input } = joined()
      for (const field of fields) for (const segment of field.length > n1 ? cut(field, n1) : [field]) input(segment)
      return said.join() === fields.map((field) => Buffer.from(field).toString('hex')).join()
    }),
  )
  const anySegment = fc
    .tuple(fc.integer({ min: 0, max: 255 }), fc.uint8Array({ maxLength: 20 }))
    .map(([header, piece]) => [8, header, ...piece])
  fc.assert(
    fc.property(fc.array(anySegment, { maxLength: 20 }), anyField, (segments, field) => {
      const { joiner, said, input } = joined()
      for (const segment of segments) input(segment)
      for (const segment of cut(field, 100)) input(segment)
      joiner.clear()
      return said.at(-1) === Buffer.from(field).toString('hex') && packetsInUse() === before
    }),
  )
  t.pass()
})

t.test('records and packets of 1,500 octets, on a line that loses frames', async (t) => {
  const before = packetsInUse()
  const sim = new Simulation({ seed: 7 })
  const [a, b] = cable({ medium: 'octets', delay: ms(1), rate: 100_000 })
  const station = (call: string): Ax25Options => ({ call, t1: ms(500), n2: 50, mtu: 1500 })
  const near = sim.boot('A', stack(a, impair({ loss: 0.05 }), ax25(station('NODEA')))).top
  const far = sim.boot('B', stack(b, impair({ loss: 0.05 }), ax25(station('NODEB')))).top
  t.equal(near.mtu, 1500)
  const got: string[] = []
  far.accept(() => ({
    receive(_connection, packet) {
      got.push(`record ${packet.length} ${packet.octets[packet.start]}`)
      packet.release()
    },
  }))
  far.boundary.attach(
    {
      receive(packet) {
        got.push(`packet ${packet.length} ${packet.octets[packet.start]}`)
        packet.release()
      },
    },
    ETHERTYPE.ipv4,
  )
  const to = new LinkAddressing()
  to.peer = far.address
  to.protocol = ETHERTYPE.ipv4
  let sent = 0
  const send = (connection: RecordConnection): void => {
    t.equal(connection.mtu, 1500)
    for (let open = true; open && sent < 80; sent++)
      open =
        sent % 2 === 0
          ? connection.send(payloadFor(near, new Uint8Array(1500).fill(sent)))
          : near.send(payloadFor(near, new Uint8Array(1400).fill(sent)), to)
  }
  near.open(far.address, { receive: (_connection, packet) => packet.release(), up: send, ready: send })
  await sim.run(seconds(300))
  t.strictSame(
    got,
    Array.from({ length: 80 }, (_, i) => (i % 2 === 0 ? `record 1500 ${i}` : `packet 1400 ${i}`)),
  )
  near.send(payloadFor(near, new Uint8Array(1501)), to)
  to.protocol = ETHERTYPE.arp
  near.send(payloadFor(near, new Uint8Array(256)), to)
  t.equal(linkDrops(near).tooLongToSend, 2, 'longer than the MTU; a UI frame longer than N1')
  await sim.close()
  t.equal(packetsInUse(), before)
})

t.test('all segments or none, where the queue is full', async (t) => {
  const sim = new Simulation({ seed: 7 })
  const [a, b] = cable()
  const near = sim.boot('A', stack(a, ethernet(), bpq({ call: 'NODEA', mtu: 1000, queue: 10 }))).top
  const far = sim.boot('B', stack(b, ethernet(), bpq({ call: 'NODEB' }))).top
  const got: number[] = []
  far.accept(() => ({
    receive(_connection, packet) {
      got.push(packet.length)
      packet.release()
    },
  }))
  // Nobody has answered yet: all of it waits.
  const connection = near.open(parseCall('NODEB'), { receive: (_connection, packet) => packet.release() })
  const taken = Array.from({ length: 4 }, () => connection.send(payloadFor(near, new Uint8Array(1000))))
  t.strictSame(taken, [true, false, false, false])
  t.equal(linkDrops(near).queueFull, 2)
  await sim.run(seconds(60))
  t.strictSame(got, [1000, 1000])
  t.notOk('badSegment' in linkDrops(far))
  await sim.close()
  for (const mtu of [0, 5 * 254, 1.5])
    t.throws(() => bpq({ call: 'NODEA', mtu, queue: 10 }), { code: 'ERR_OUT_OF_RANGE' })
})

t.test('a connection that begins anew or ends forgets what it had begun', async (t) => {
  const before = packetsInUse()
  const { sim, link, arrive } = stationOver('octets', ax25({ call: 'NODEA', smack: false }))
  const call = (text: string, flags: number): number[] => [
    ...[...text.padEnd(6)].map((c) => c.charCodeAt(0) << 1),
    0x60 | flags,
  ]
  const frame = (control: number, ...info: number[]): Uint8Array =>
    Uint8Array.of(0xc0, 0, ...call('NODEA', 0x80), ...call('NODEB', 1), control, ...info, 0xc0)
  arrive(frame(0x3f)) // SABM with P
  arrive(frame(0x00, 8, 0x81, 0xf0, 1))
  arrive(frame(0x3f))
  arrive(frame(0x00, 8, 0x00, 2))
  t.strictSame(linkDrops(link), { badSegment: 1 }, 'the rest has no beginning')
  arrive(frame(0x02, 8, 0x81, 0xf0, 1))
  await sim.close()
  t.equal(packetsInUse(), before)
})
