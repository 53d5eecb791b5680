/** Offload fields from outside, as a virtio_net_hdr brings them: held against the datagram, whatever they say. */
import t from 'tap'
import type { Packet } from '../../../../src/kernel/packet.ts'
import { bare, datagram, PROBE } from './bare.ts'
import { drops, pattern, referenceChecksum } from './stand.ts'

/** A checksum left open `at` octets behind the start of the IP header. */
const partial =
  (at: number, offset = 16) =>
  (packet: Packet): void => {
    packet.checksum = 'partial'
    packet.checksumStart = packet.start + at
    packet.checksumOffset = offset
    packet.headerOctets = 0
  }

const superSegment =
  (at: number, headerOctets: number, segmentOctets: number) =>
  (packet: Packet): void => {
    partial(at)(packet)
    Object.assign(packet, { headerOctets, segmentOctets })
  }

/** A datagram with so many octets behind it that its header does not count. */
const followed = (octets: number, protocol = PROBE, destination = '10.0.0.1'): Uint8Array =>
  Uint8Array.of(...datagram({ protocol, destination, payload: pattern(40) }), ...pattern(octets))

for (const destination of ['10.0.0.1', '192.0.2.9']) {
  bare(
    `fields that point outside of a datagram to ${destination}`,
    async (t, { network, wire, sink }) => {
      const inject = (octets: Uint8Array, leave: (packet: Packet) => void) => wire.inject(octets, 'unicast', leave)
      inject(followed(3000, PROBE, destination), partial(2900))
      inject(followed(3000, PROBE, destination), partial(43))
      inject(followed(0, PROBE, destination), partial(0, 18))
      inject(followed(3000, 6, destination), superSegment(2900, 20, 100))
      inject(followed(3000, 6, destination), superSegment(20, 60, 100))
      inject(followed(0, 6, destination), superSegment(20, 8, 10))
      inject(followed(0, PROBE, destination), superSegment(20, 20, 10))
      t.strictSame(drops(network), { badLength: 7 })
      t.strictSame(wire.sent, [], 'nothing was made of them')
      t.equal(sink.got.length, 0)
    },
    { forwarding: true },
  )
}

bare('a checksum of something inside is completed before it is handed up', async (t, { wire, sink }) => {
  const inner = Uint8Array.of(...pattern(16), 0x12, 0x34, ...pattern(31, 2))
  wire.inject(datagram({ payload: Uint8Array.of(...pattern(8), ...inner) }), 'unicast', partial(28))
  wire.inject(datagram({ payload: Uint8Array.of(...inner) }), 'unicast', partial(20))
  const [completed, vouched] = sink.got.map(({ octets }) => octets)
  t.strictSame(vouched, inner, 'of the packet itself, the medium vouches')
  const field = completed?.subarray(24, 26) ?? []
  t.notSame(field, [0x12, 0x34])
  t.equal(referenceChecksum(Uint8Array.of(0x12, 0x34, ...(completed?.subarray(8) ?? []))), 0)
})

bare(
  'what is complained about is quoted with its checksum complete',
  async (t, { network, wire }) => {
    const udp = Uint8Array.of(0x30, 0x39, 0, 7, 0, 24, 0x12, 0x34, ...pattern(16))
    wire.inject(datagram({ protocol: 17, payload: udp }), 'unicast', partial(20, 6))
    wire.inject(datagram({ protocol: 17, destination: '192.0.2.9', ttl: 1, payload: udp }), 'unicast', partial(20, 6))
    t.strictSame(drops(network), { protocolUnreachable: 1, ttlExceeded: 1 })
    t.equal(wire.sent.length, 2)
    for (const error of wire.sent) {
      const quote = error.subarray(20 + 8 + 20)
      t.equal(quote.length, udp.length)
      t.notSame(quote, udp)
      // The field held the sum of the pseudo-header, as it now does not show any more.
      t.equal(referenceChecksum(Uint8Array.of(...udp.subarray(6, 8), ...quote)), 0)
    }
  },
  { forwarding: true },
)

t.end()
