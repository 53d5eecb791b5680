import fc from 'fast-check'
import t from 'tap'
import { pullVnetHeader, pushVnetHeader, VNET_HEADER_OCTETS } from '../../../layers/physical/tun-vnet-header.ts'
import { Packet, packetsInUse } from '../../../src/kernel/packet.ts'
import { holds } from '../../property.ts'

/** The fields of a header, in the order they lie in. */
function header(flags: number, type: number, ...fields: readonly [number, number, number, number]): Buffer {
  const octets = Buffer.alloc(VNET_HEADER_OCTETS)
  octets[0] = flags
  octets[1] = type
  for (const [i, field] of fields.entries()) octets.writeUInt16LE(field, 2 + 2 * i)
  return octets
}

function packetOf(...parts: readonly Uint8Array[]): Packet {
  const octets = Buffer.concat(parts)
  const packet = Packet.take(VNET_HEADER_OCTETS, octets.length)
  packet.append(octets)
  return packet
}

/** An Ethernet frame with IPv4 (or IPv6) and TCP headers and `payload` octets. */
function tcpFrame(payload: number, version: 4 | 6 = 4): Buffer {
  const ip = version === 4 ? 20 : 40
  const octets = Buffer.alloc(14 + ip + 20 + payload)
  octets.writeUInt16BE(version === 4 ? 0x0800 : 0x86dd, 12)
  octets[14] = version === 4 ? 0x45 : 0x60
  octets[14 + (version === 4 ? 9 : 6)] = 6
  octets[14 + ip + 12] = 5 << 4
  return octets
}

function superSegment(frame: Buffer, tcp: number, mss: number): Packet {
  const packet = packetOf(frame)
  packet.checksum = 'partial'
  packet.checksumStart = packet.start + tcp
  packet.checksumOffset = 16
  packet.headerOctets = 20
  packet.segmentOctets = mss
  return packet
}

t.test('sending', async (t) => {
  const sent = (packet: Packet) => {
    t.ok(pushVnetHeader(packet, 'ethernet'))
    const octets = Buffer.from(packet.bytes().subarray(0, VNET_HEADER_OCTETS))
    packet.release()
    return octets
  }
  t.same(sent(packetOf(tcpFrame(10))), header(0, 0, 0, 0, 0, 0), 'a complete packet')
  t.same(sent(superSegment(tcpFrame(10), 34, 0)), header(1, 0, 0, 0, 34, 16), 'a checksum left to the device')
  t.same(sent(superSegment(tcpFrame(3000), 34, 1448)), header(1, 1, 54, 1448, 34, 16), 'TCP over IPv4')
  t.same(sent(superSegment(tcpFrame(3000, 6), 54, 1428)), header(1, 4, 74, 1428, 54, 16), 'TCP over IPv6')
  t.same(sent(superSegment(tcpFrame(1448), 34, 1448)), header(1, 0, 0, 0, 34, 16), 'one segment is no super-segment')
  const verified = packetOf(tcpFrame(10))
  verified.checksum = 'verified'
  t.same(sent(verified), header(2, 0, 0, 0, 0, 0), 'a checksum vouched for')
})

t.test('what the device could not honour is not sent', async (t) => {
  const refused = (packet: Packet, why: string) => {
    const { length } = packet
    t.notOk(pushVnetHeader(packet, 'ethernet'), why)
    t.equal(packet.length, length)
    packet.release()
  }
  const complete = superSegment(tcpFrame(3000), 34, 1448)
  complete.checksum = 'none'
  refused(complete, 'a super-segment with a complete checksum')
  const udp = superSegment(tcpFrame(3000), 34, 1448)
  udp.checksumOffset = 6
  refused(udp, 'a super-segment of UDP')
  const outside = superSegment(tcpFrame(10), 34, 0)
  outside.checksumOffset = 400
  refused(outside, 'a checksum behind the end')
  const before = superSegment(tcpFrame(10), -1, 0)
  refused(before, 'a checksum before the start')
  const arp = superSegment(tcpFrame(3000), 34, 1448)
  arp.view.setUint16(arp.start + 12, 0x0806)
  refused(arp, 'a super-segment of neither IP')
})

t.test('receiving', async (t) => {
  const open = packetOf(header(1, 0, 0, 0, 34, 16), tcpFrame(10))
  t.ok(pullVnetHeader(open, 'ethernet'))
  t.same(Buffer.from(open.bytes()), tcpFrame(10))
  t.match(open, { checksum: 'partial', checksumStart: open.start + 34, checksumOffset: 16, segmentOctets: 0 })
  open.release()
  const whole = packetOf(header(1, 0x81, 999, 1448, 34, 16), tcpFrame(3000))
  t.ok(pullVnetHeader(whole, 'ethernet'))
  t.match(whole, { checksum: 'partial', segmentOctets: 1448, headerOctets: 20, segments: 3 })
  whole.release()
  const checked = packetOf(header(2, 0, 0, 0, 0, 0), tcpFrame(10, 6))
  t.ok(pullVnetHeader(checked, 'ethernet'))
  t.match(checked, { checksum: 'verified', checksumStart: checked.start + 54, checksumOffset: 16 })
  checked.release()
  const ip = packetOf(header(2, 0, 0, 0, 0, 0), tcpFrame(10).subarray(14))
  t.ok(pullVnetHeader(ip, 'ip'))
  t.match(ip, { checksum: 'verified', checksumStart: ip.start + 20 })
  ip.release()
})

t.test('a header that contradicts its packet is refused', async (t) => {
  const refused = (why: string, ...parts: readonly Uint8Array[]) => {
    const packet = packetOf(...parts)
    t.notOk(pullVnetHeader(packet, 'ethernet'), why)
    packet.release()
  }
  refused('cut short', Buffer.alloc(9))
  refused('a checksum behind the end', header(1, 0, 0, 0, 60, 16), tcpFrame(0))
  refused('UDP fragmentation', header(1, 3, 42, 1448, 34, 6), tcpFrame(3000))
  refused('a super-segment with a complete checksum', header(0, 1, 54, 1448, 0, 0), tcpFrame(3000))
  refused('segments without size', header(1, 1, 54, 0, 34, 16), tcpFrame(3000))
  const short = tcpFrame(3000)
  short[34 + 12] = 4 << 4
  refused('a TCP header below 20 octets', header(1, 1, 54, 1448, 34, 16), short)
})

t.test('what was pushed is pulled, and arbitrary octets never throw', async (t) => {
  const before = packetsInUse()
  holds(
    t,
    'pushed and pulled, nothing changes',
    fc.property(fc.integer({ min: 0, max: 9000 }), fc.integer({ min: 0, max: 1448 }), (payload, mss) => {
      const packet = superSegment(tcpFrame(payload), 34, mss)
      const segments = packet.segments
      if (!pushVnetHeader(packet, 'ethernet') || !pullVnetHeader(packet, 'ethernet')) return false
      const same = packet.checksum === 'partial' && packet.segments === segments && packet.length === 54 + payload
      packet.release()
      return same
    }),
  )
  holds(
    t,
    'what is accepted points inside the packet',
    fc.property(
      fc.uint8Array({ maxLength: 120 }),
      fc.constantFrom('ethernet' as const, 'ip' as const),
      (octets, medium) => {
        const packet = packetOf(octets)
        const good = pullVnetHeader(packet, medium)
        const inside =
          !good ||
          packet.checksum === 'none' ||
          (packet.checksumStart >= packet.start && packet.checksumStart + packet.checksumOffset + 2 <= packet.end)
        const finite = !good || Number.isFinite(packet.segments)
        packet.release()
        return inside && finite
      },
    ),
  )
  t.equal(packetsInUse(), before)
})
