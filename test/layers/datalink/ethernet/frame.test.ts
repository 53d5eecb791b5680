import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import {
  AddressWords,
  BROADCAST,
  destinationOf,
  FCS_OCTETS,
  fault,
  fcsHolds,
  fromGroup,
  HEADER_OCTETS,
  isGroup,
  putPaddingAndFcs,
  sourceOf,
  toGroup,
  typeOf,
  vlanOf,
} from '../../../../layers/datalink/ethernet/frame.ts'
import { parseMac } from '../../../../src/kernel/address.ts'
import { Packet } from '../../../../src/kernel/packet.ts'
import { holds } from '../../../property.ts'

const mac = fc.integer({ min: 0, max: BROADCAST })
const frame = fc.record({
  destination: mac,
  source: mac,
  type: fc.integer({ min: 0, max: 0xffff }),
  payload: fc.uint8Array({ maxLength: 200 }),
})

function build(given: { destination: number; source: number; type: number; payload: Uint8Array }): Packet {
  const packet = Packet.take(HEADER_OCTETS, given.payload.length + 64)
  packet.append(given.payload)
  new AddressWords(given.destination, given.source).pushHeader(packet, given.type)
  putPaddingAndFcs(packet)
  return packet
}

t.test('a frame written by hand', async (t) => {
  // ARP request of 10.0.0.2 for 10.0.0.1, padded to 60 octets; the FCS is that of Python's zlib.
  const hex =
    'ffffffffffff02000000000208060001080006040001020000000002' +
    '0a0000020000000000000a000001000000000000000000000000000000000000'
  const octets = Uint8Array.from(hex.match(/../g) as string[], (pair) => Number.parseInt(pair, 16))
  t.equal(octets.length, 60)
  const packet = Packet.take(HEADER_OCTETS, 128)
  packet.append(octets.subarray(HEADER_OCTETS, 42))
  new AddressWords(BROADCAST, parseMac('02:00:00:00:00:02')).pushHeader(packet, 0x0806)
  putPaddingAndFcs(packet)
  t.strictSame(packet.bytes().slice(0, 60), octets)
  t.equal(Buffer.from(packet.bytes().slice(60)).toString('hex'), '4c449def')
  t.equal(fault(packet, true), undefined)
  packet.release()
})

t.test('group addresses', async (t) => {
  t.ok(isGroup(BROADCAST))
  t.ok(isGroup(parseMac('01:00:5e:00:00:01')))
  t.notOk(isGroup(parseMac('02:00:00:00:00:01')))
  t.notOk(isGroup(parseMac('fe:ff:ff:ff:ff:ff')))
  t.equal(vlanOf(0xe005), 5)
  t.equal(vlanOf(0xe000), 0)
})

holds(
  t,
  'what is written is read, padded to 60 octets and with an FCS that holds',
  fc.property(frame, (given) => {
    const packet = build(given)
    assert.equal(fault(packet, true), undefined)
    assert.equal(destinationOf(packet), given.destination)
    assert.equal(sourceOf(packet), given.source)
    assert.equal(typeOf(packet), given.type)
    assert.equal(toGroup(packet), isGroup(given.destination))
    assert.equal(fromGroup(packet), isGroup(given.source))
    assert.equal(packet.length, Math.max(60, HEADER_OCTETS + given.payload.length) + FCS_OCTETS)
    const payload = packet.bytes().slice(HEADER_OCTETS, HEADER_OCTETS + given.payload.length)
    assert.deepEqual(payload, given.payload)
    const padding = packet.bytes().slice(HEADER_OCTETS + given.payload.length, -FCS_OCTETS)
    assert(padding.every((octet) => octet === 0))
    packet.release()
  }),
)

holds(
  t,
  'every single flipped bit is detected, and every burst of up to 32 bits',
  fc.property(frame, fc.integer({ min: 1, max: 0xffff_ffff }), (given, burst) => {
    const packet = build(given)
    const bits = packet.length * 8
    const flip = (bit: number) => {
      const at = packet.start + (bit >> 3)
      packet.octets[at] = (packet.octets[at] as number) ^ (1 << (bit & 7))
    }
    for (let bit = 0; bit < bits; bit++) {
      flip(bit)
      assert(!fcsHolds(packet), `bit ${bit}`)
      flip(bit)
    }
    for (let first = 0; first + 32 <= bits; first += 37) {
      for (let i = 0; i < 32; i++) if ((burst >>> i) & 1) flip(first + i)
      assert(!fcsHolds(packet), `burst at ${first}`)
      for (let i = 0; i < 32; i++) if ((burst >>> i) & 1) flip(first + i)
    }
    assert(fcsHolds(packet))
    packet.release()
  }),
  { numRuns: 20 },
)

holds(
  t,
  'every truncation is refused',
  fc.property(frame, (given) => {
    const packet = build(given)
    const { length } = packet
    for (let n = length - 1; n >= 0; n--) {
      packet.trim(n)
      assert.equal(fault(packet, true), n < HEADER_OCTETS + FCS_OCTETS ? 'truncated' : 'fcs')
      assert.equal(fault(packet, false), n < HEADER_OCTETS ? 'truncated' : undefined)
    }
    packet.release()
  }),
  { numRuns: 30 },
)
