/** Addresses and ports changed in place: the sums that follow against sums made anew. */
import assert from 'node:assert'
import fc from 'fast-check'
import t from 'tap'
import { DESTINATION, rewriteAddress, rewritePort, SOURCE } from '../../../../layers/network/ipv4/rewrite.ts'
import { complete } from '../../../../layers/offload/complete.ts'
import { formatIpv4 } from '../../../../src/kernel/address.ts'
import { Packet } from '../../../../src/kernel/packet.ts'
import { holds } from '../../../property.ts'
import { datagram, hex } from './bare.ts'
import { referenceChecksum } from './stand.ts'

const [ICMP, TCP, UDP] = [1, 6, 17] as const
const FIELD: Readonly<Record<number, number>> = { [ICMP]: 2, [TCP]: 16, [UDP]: 6 }
const HEADERS: Readonly<Record<number, number>> = { [ICMP]: 8, [TCP]: 20, [UDP]: 8 }

interface Shape {
  readonly protocol: number
  readonly source: number
  readonly destination: number
  readonly ports: readonly [number, number]
  readonly data: Uint8Array
}

const pseudo = (source: number, destination: number, protocol: number, length: number) => {
  const octets = new Uint8Array(12)
  const view = new DataView(octets.buffer)
  view.setInt32(0, source)
  view.setInt32(4, destination)
  view.setUint16(8, protocol)
  view.setUint16(10, length)
  return octets
}

/** A datagram with every checksum made by hand. @param open only the pseudo-header is summed. */
function made({ protocol, source, destination, ports, data }: Shape, open = false): Uint8Array {
  const segment = new Uint8Array((HEADERS[protocol] as number) + data.length)
  const view = new DataView(segment.buffer)
  segment.set(data, HEADERS[protocol])
  if (protocol === ICMP) {
    view.setUint8(0, 8)
    view.setUint16(4, ports[0])
  } else {
    view.setUint16(0, ports[0])
    view.setUint16(2, ports[1])
  }
  if (protocol === UDP) view.setUint16(4, segment.length)
  if (protocol === TCP) view.setUint8(12, 5 << 4)
  const before = protocol === ICMP ? new Uint8Array() : pseudo(source, destination, protocol, segment.length)
  const sum = referenceChecksum(open ? before : Uint8Array.from([...before, ...segment]))
  const field = open ? 0xffff - sum : sum === 0 && protocol === UDP ? 0xffff : sum
  view.setUint16(FIELD[protocol] as number, field)
  const [from, to] = [formatIpv4(source), formatIpv4(destination)]
  return datagram({ source: from, destination: to, protocol, payload: segment })
}

function packetOf(octets: Uint8Array): Packet {
  const packet = Packet.take(0, octets.length)
  packet.append(octets)
  packet.networkStart = packet.start
  return packet
}

function rewrite(packet: Packet, after: Shape): void {
  const { start, end } = packet
  rewriteAddress(packet, start, end, SOURCE, after.source)
  rewritePort(packet, start, end, SOURCE, after.ports[0])
  rewriteAddress(packet, start, end, DESTINATION, after.destination)
  if (after.protocol !== ICMP) rewritePort(packet, start, end, DESTINATION, after.ports[1])
}

const word = fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff })
const port = fc.integer({ min: 0, max: 0xffff })
const shape = fc.record({
  protocol: fc.constantFrom(ICMP, TCP, UDP),
  source: word,
  destination: word,
  ports: fc.tuple(port, port),
  data: fc.uint8Array({ maxLength: 40 }),
})
const change = fc.record({ source: word, destination: word, ports: fc.tuple(port, port) })

/** 0 and 0xffff are the same sum, but a checksum of 0xffff can be written as 0 where that has no meaning of its own. */
const same = (packet: Packet, expected: Uint8Array, protocol: number) => {
  const octets = packet.bytes().slice()
  for (const field of [10, 20 + (FIELD[protocol] as number)]) {
    for (const each of [octets, expected]) {
      if (each[field] === 0xff && each[field + 1] === 0xff) each.fill(0, field, field + 2)
    }
  }
  assert.equal(hex(octets), hex(expected))
}

t.test('rewriting', async (t) => {
  holds(
    t,
    'gives what would have been sent so',
    fc.property(shape, change, (before, to) => {
      const after = { ...before, ...to }
      const packet = packetOf(made(before))
      rewrite(packet, after)
      same(packet, made(after), before.protocol)
      packet.release()
    }),
    { numRuns: 500 },
  )
  holds(
    t,
    'leaves open what the link completes, and that comes out right',
    fc.property(
      shape.filter(({ protocol }) => protocol !== ICMP),
      change,
      (before, to) => {
        const after = { ...before, ...to }
        const packet = packetOf(made(before, true))
        packet.checksum = 'partial'
        packet.checksumStart = packet.start + 20
        packet.checksumOffset = FIELD[before.protocol] as number
        rewrite(packet, after)
        complete(packet)
        same(packet, made(after), before.protocol)
        packet.release()
      },
    ),
    { numRuns: 500 },
  )
  holds(
    t,
    'does not make good what was damaged',
    fc.property(shape, change, fc.integer({ min: 1, max: 0xfffe }), (before, to, damage) => {
      const octets = made({ ...before, data: Uint8Array.of(...before.data, 1, 2) })
      const at = octets.length - 2 - (octets.length % 2)
      octets[at] = (octets[at] as number) ^ (damage >> 8)
      octets[at + 1] = (octets[at + 1] as number) ^ (damage & 255)
      const packet = packetOf(octets)
      const after = { ...before, ...to }
      rewrite(packet, after)
      const segment = packet.bytes().subarray(20)
      const first =
        before.protocol === ICMP ? [] : pseudo(after.source, after.destination, before.protocol, segment.length)
      assert.notEqual(referenceChecksum(Uint8Array.from([...first, ...segment])) % 0xffff, 0)
      packet.release()
    }),
    { numRuns: 300 },
  )
})

t.test('UDP without a checksum stays without', async (t) => {
  const octets = made({ protocol: UDP, source: 1, destination: 2, ports: [3, 4], data: new Uint8Array(5) })
  octets.fill(0, 26, 28)
  const packet = packetOf(octets)
  rewrite(packet, { protocol: UDP, source: 0x0a00_0001, destination: 9, ports: [7, 8], data: new Uint8Array(5) })
  t.strictSame(packet.bytes().slice(26, 28), new Uint8Array(2))
  packet.release()
})
