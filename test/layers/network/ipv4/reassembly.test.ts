/** Fragmentation and reassembly: any order, duplicates, overlaps, limits, time. */
import assert from 'node:assert'
import fc from 'fast-check'
import t from 'tap'
import { fragment } from '../../../../layers/network/ipv4/fragment.ts'
import * as header from '../../../../layers/network/ipv4/header.ts'
import { IPV4_FRAGMENTS } from '../../../../layers/network/ipv4/reassembly.ts'
import { Reassembly } from '../../../../layers/network/reassembly.ts'
import { Packet, packetsInUse } from '../../../../src/kernel/packet.ts'
import { holds } from '../../../property.ts'
import { pattern, referenceChecksum } from './stand.ts'

const [SOURCE, DESTINATION] = [0x0a00_0001, 0x0a00_0002]

interface Shape {
  readonly id?: number
  readonly flags?: number
  readonly protocol?: number
  readonly source?: number
  readonly destination?: number
  readonly options?: readonly number[]
}

/** A datagram, or by `flags` a fragment. */
function datagram(payload: Uint8Array, shape: Shape = {}): Packet {
  const options = shape.options ?? []
  const octets = header.HEADER_OCTETS + options.length
  const packet = Packet.take(40, octets + payload.length)
  const at = packet.put(octets)
  packet.append(payload)
  const { id = 7, flags = 0, protocol = 17, source = SOURCE, destination = DESTINATION } = shape
  header.write(packet.view, at, 0, packet.length, id, flags, 64, protocol, source, destination)
  packet.octets.set(options, at + header.HEADER_OCTETS)
  packet.view.setUint8(at, 0x40 | (octets / 4))
  header.rewrite(packet.view, at, packet.length, flags)
  return packet
}

function cut(packet: Packet, mtu: number): Packet[] {
  const pieces: Packet[] = []
  fragment(packet, mtu, 20, 4, { fragment: (piece) => pieces.push(piece) > 0 })
  return pieces
}

/** A reassembly that records what it gives up. */
function reassembly(limits = {}) {
  const reasons: string[] = []
  const machine = new Reassembly(
    IPV4_FRAGMENTS,
    (packet, reason) => {
      reasons.push(reason)
      packet.release()
    },
    limits,
  )
  return { machine, reasons }
}

const payloadOf = (packet: Packet): Uint8Array => {
  const octets = packet.bytes().slice(header.headerOctets(packet.view, packet.start))
  packet.release()
  return octets
}

t.test('fragments are datagrams of their own', async (t) => {
  const pieces = cut(datagram(pattern(3000), { options: [7, 3, 4, 1, 0x94, 4, 0, 0], flags: header.DF }), 580)
  const seen = pieces.map((piece) => {
    const { view, start } = piece
    t.equal(referenceChecksum(piece.bytes().slice(0, header.headerOctets(view, start))), 0)
    t.equal(header.totalLength(view, start), piece.length)
    t.ok(piece.length <= 580)
    const line = `${header.headerOctets(view, start)} ${header.fragmentOffset(view, start)} ${header.moreFragments(view, start)}`
    piece.release()
    return line
  })
  t.strictSame(
    seen,
    ['28 0 true', '24 552 true', '24 1104 true', '24 1656 true', '24 2208 true', '24 2760 false'],
    'only the option marked as copied is in later ones (RFC 791 §3.1)',
  )
})

t.test('a first header longer than the others must leave room for the whole', async (t) => {
  for (const [payload, fits] of [
    [65_504, false],
    [65_475, true],
  ] as const) {
    const { machine, reasons } = reassembly()
    const last = datagram(pattern(payload - 65_472), { flags: 65_472 / 8 })
    machine.input(last, 0)
    let whole: Packet | undefined
    for (let at = 0; at < 65_472; at += 16_368) {
      const options = at === 0 ? new Array<number>(40).fill(1) : []
      const share = datagram(pattern(16_368), { flags: header.MF | (at / 8), options })
      whole = machine.input(share, 0) ?? whole
    }
    t.equal(whole !== undefined, fits)
    if (whole !== undefined) t.equal(header.totalLength(whole.view, whole.start), 60 + payload)
    whole?.release()
    t.strictSame(reasons, fits ? [] : new Array(5).fill('badFragment'))
    t.equal(machine.memory, 0)
    machine.clear()
  }
  t.equal(packetsInUse(), 0)
})

t.test('whatever is cut comes together', async (t) => {
  const before = packetsInUse()
  const script = fc.record({
    length: fc.oneof(fc.integer({ min: 1, max: 4000 }), fc.constantFrom(65_515, 65_000)),
    mtu: fc.constantFrom(68, 576, 577, 1280, 1500),
    second: fc.constantFrom(0, 68, 300, 500),
    order: fc.array(fc.nat(), { minLength: 1, maxLength: 50 }),
    doubled: fc.array(fc.nat(), { maxLength: 5 }),
  })
  holds(
    t,
    'in any order, cut again on the way, with duplicates',
    fc.property(script, ({ length, mtu, second, order, doubled }) => {
      // So many small slots are more than one source's share.
      if (length > 10_000 && (mtu === 68 || second === 68)) return
      const { machine, reasons } = reassembly()
      const payload = pattern(length, length)
      let pieces = cut(datagram(payload), mtu)
      if (second > 0) pieces = pieces.flatMap((piece) => (piece.length > second ? cut(piece, second) : [piece]))
      // Whatever comes after the last missing piece would begin a new datagram, so duplicates go in front.
      const copies = doubled.map((index) => (pieces[index % pieces.length] as Packet).copy(0, 0))
      const shuffled = pieces.map((piece, i) => ({ piece, key: (order[i % order.length] as number) ^ i }))
      shuffled.sort((a, b) => a.key - b.key)
      const last = shuffled.pop()?.piece as Packet
      const early = copies.filter(
        (copy) => header.fragmentOffset(copy.view, copy.start) !== header.fragmentOffset(last.view, last.start),
      )
      for (const copy of copies) if (!early.includes(copy)) copy.release()
      for (const packet of [...early, ...shuffled.map(({ piece }) => piece)])
        assert.equal(machine.input(packet, 0), undefined)
      const whole = machine.input(last, 0) ?? assert.fail('the last piece completes it')
      assert.equal(referenceChecksum(whole.bytes().slice(0, 20)), 0)
      assert.deepEqual(payloadOf(whole), payload)
      assert.deepEqual([machine.size, machine.memory], [0, 0])
      assert.ok(reasons.every((reason) => reason === 'fragmentDuplicate') && reasons.length === early.length)
    }),
    { numRuns: 200 },
  )
  t.equal(packetsInUse(), before)
})

t.test('fragments that overlap end the datagram, and the rest of it', async (t) => {
  const before = packetsInUse()
  const bent = pattern(24)
  bent[0] = (bent[0] as number) ^ 1
  for (const [name, offset, payload, more] of [
    ['the middle of the first', 1, pattern(8, 99), true],
    ['the end of the first and the gap', 2, pattern(24, 99), true],
    ['all of the last', 6, pattern(24, 99), false],
    ['the same place, other octets', 0, pattern(24, 99), true],
    ['the same place, another first octet', 0, bent, true],
    ['the first, as if it were the last', 0, pattern(24), false],
    ['the last, as if others followed', 6, pattern(16), true],
    ['an end before what is there', 3, pattern(8, 99), false],
    ['beyond the end', 10, pattern(8, 99), true],
    ['another end, beyond the first', 10, pattern(8, 99), false],
  ] as const) {
    const { machine, reasons } = reassembly()
    machine.input(datagram(pattern(24), { flags: header.MF }), 0)
    machine.input(datagram(pattern(16), { flags: 6 }), 0)
    const other = datagram(payload, { flags: (more ? header.MF : 0) | offset })
    t.equal(machine.input(other, 0), undefined)
    t.strictSame(reasons, ['fragmentOverlap', 'fragmentOverlap', 'fragmentOverlap'], name)
    t.equal(machine.input(datagram(pattern(24), { flags: header.MF | 3 }), 0), undefined)
    t.equal(reasons.length, 4, 'what still comes is refused')
    t.equal(machine.memory, 0)
    machine.expire(IPV4_FRAGMENTS.life)
    t.equal(machine.size, 0)
  }
  t.equal(packetsInUse(), before)
})

t.test('an end that comes before what is there already ends the datagram', async (t) => {
  const { machine, reasons } = reassembly()
  machine.input(datagram(pattern(8), { flags: header.MF | 6 }), 0)
  machine.input(datagram(pattern(8), { flags: 3 }), 0)
  t.strictSame(reasons, ['fragmentOverlap', 'fragmentOverlap'])
  machine.clear()
})

t.test('datagrams are told apart by all that identifies them (RFC 791 §3.2)', async (t) => {
  for (const change of [
    { id: 8 },
    { protocol: 6 },
    { source: SOURCE + 1 },
    { destination: DESTINATION + 1 },
  ] satisfies Shape[]) {
    const { machine, reasons } = reassembly()
    machine.input(datagram(pattern(24), { flags: header.MF }), 0)
    t.equal(machine.input(datagram(pattern(8), { flags: 3, ...change }), 0), undefined)
    t.equal(machine.size, 2)
    t.strictSame(reasons, [])
    payloadOf(machine.input(datagram(pattern(8), { flags: 3 }), 0) as Packet)
    machine.clear()
  }
})

t.test('fragments that cannot be', async (t) => {
  const { machine, reasons } = reassembly()
  machine.input(datagram(pattern(0), { flags: header.MF }), 0)
  machine.input(datagram(pattern(12), { flags: header.MF }), 0)
  machine.input(datagram(pattern(24), { flags: 0x1fff }), 0)
  machine.input(datagram(pattern(24), { flags: 1, protocol: 6 }), 0)
  t.strictSame(reasons, ['badFragment', 'badFragment', 'badFragment', 'tinyFragment'])
  t.equal(machine.size, 0)
})

t.test('time runs out', async (t) => {
  const { machine, reasons } = reassembly()
  t.equal(machine.deadline, Number.POSITIVE_INFINITY)
  machine.input(datagram(pattern(24), { flags: header.MF }), 100)
  machine.input(datagram(pattern(24), { flags: header.MF, id: 8 }), 200)
  t.equal(machine.deadline, 100 + IPV4_FRAGMENTS.life)
  machine.expire(100 + IPV4_FRAGMENTS.life)
  const expired = machine.output()
  t.equal(expired?.length, 44)
  expired?.release()
  t.equal(machine.output(), undefined)
  t.equal(machine.deadline, 200 + IPV4_FRAGMENTS.life)
  machine.clear()
  t.strictSame([machine.size, machine.memory, reasons.length], [0, 0, 0])
})

t.test('memory is bounded, for all and for one source', async (t) => {
  const before = packetsInUse()
  const { machine, reasons } = reassembly({ octets: 2048 * 40, datagrams: 20 })
  for (let id = 0; id < 10; id++) machine.input(datagram(pattern(8), { flags: header.MF, id, source: 1 }), 0)
  t.equal(machine.size, 5, 'a quarter of the datagrams for one source')
  for (let source = 2; source < 60; source++) machine.input(datagram(pattern(8), { flags: header.MF, source }), 0)
  t.equal(machine.size, 20)
  for (let offset = 0; offset < 60; offset += 2) {
    machine.input(datagram(pattern(8), { flags: header.MF | offset, source: 99 }), 0)
    t.ok(machine.memory <= 2048 * 40)
  }
  t.ok(reasons.every((reason) => reason === 'reassemblyMemory'))
  machine.clear()
  t.equal(packetsInUse(), before)
})

t.test(
  'what gives way to memory: the oldest of the source, then the oldest of all, what has just grown last',
  async (t) => {
    const before = packetsInUse()
    const sample = datagram(pattern(8))
    const slot = sample.limit - sample.base
    sample.release()
    const { machine, reasons } = reassembly({ octets: slot * 16 })
    const piece = (id: number, n: number, source: number, flags: number = header.MF) =>
      machine.input(datagram(pattern(8), { flags: flags | n, id, source }), 0)
    for (const [id, n] of [
      [1, 0],
      [2, 0],
      [3, 0],
      [1, 1],
      [1, 2],
    ] as const) {
      t.equal(piece(id, n, 1), undefined)
    }
    t.equal(machine.memory, slot * 4, 'a quarter for one source')
    t.strictSame([machine.size, reasons], [2, ['reassemblyMemory']])
    payloadOf(piece(1, 3, 1, 0) as Packet)
    t.equal(piece(2, 1, 1, 0), undefined, 'that one had to go')
    machine.clear()
    for (let source = 1; source <= 5; source++) for (let n = 0; n < 4; n++) piece(source, n, source)
    t.equal(machine.memory, slot * 16, 'of five sources the first has lost')
    payloadOf(piece(2, 4, 2, 0) as Packet)
    t.equal(piece(1, 4, 1, 0), undefined)
    machine.clear()
    t.equal(packetsInUse(), before)
  },
)
