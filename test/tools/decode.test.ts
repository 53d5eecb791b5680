/** Whatever is in a capture, the dump shows it: no octets make a decoder throw, and every layer lies within the packet. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import pc from 'picocolors'
import t from 'tap'
import type { CaptureRecord } from '../../src/index.ts'
import { IpAddress } from '../../src/kernel/address.ts'
import { decode } from '../../tools/dump/decode.ts'
import { Flows } from '../../tools/dump/flows.ts'
import { clockTime, hexDump, json, line, tree } from '../../tools/dump/render.ts'
import { holds } from '../property.ts'

const plain = pc.createColors(false)
const NUM_RUNS = 3000

/** Ethernet, raw IP of both kinds, PPP of both kinds, and a link type without a decoder. */
const linkType = fc.constantFrom(1, 101, 228, 229, 9, 50, 147)

function recordOf(octets: Uint8Array, type: number, fcsOctets: number, missing: number): CaptureRecord {
  return {
    interface: { name: 'A/eth0', linkType: type, fcsOctets },
    seconds: 1,
    nanoseconds: 2,
    octets,
    wireLength: octets.length + missing,
    direction: 'in',
    comments: [],
  }
}

/** Every rendering of a record, and whether its layers make sense. */
function show(record: CaptureRecord, flows: Flows): void {
  const layers = decode(record, flows)
  assert.ok(layers.length >= 1 && layers.length <= 32)
  for (const { offset, octets, fields } of layers) {
    assert.ok(offset >= 0 && octets >= 0 && offset + octets <= record.octets.length, `layer at ${offset}, ${octets}`)
    for (const field of fields) {
      assert.ok(field.offset + field.octets <= record.octets.length, `${field.name} at ${field.offset}`)
    }
  }
  assert.ok(!line(record, layers, clockTime, plain).includes('\n'), 'one line')
  assert.ok(!/undefined|NaN/.test(tree(layers, plain)), 'every field has a value')
  hexDump(record.octets, layers, plain)
  JSON.stringify(json(record, layers, true))
}

/** Headers that lead a decoder on: Ethernet, IPv4 and what may follow, before arbitrary octets. */
const enticing = fc
  .record({
    type: fc.constantFrom(0x0800, 0x0806, 0x86dd, 0x8100),
    first: fc.integer({ min: 0x40, max: 0x4f }),
    protocol: fc.constantFrom(1, 6, 17, 99),
    fragment: fc.constantFrom(0, 0, 0, 0x2000, 0x0001),
    length: fc.integer({ min: 0, max: 200 }),
    rest: fc.uint8Array({ maxLength: 160 }),
    port: fc.constantFrom(4789, 6081, 80),
  })
  .map(({ type, first, protocol, fragment, length, rest, port }) => {
    const octets = new Uint8Array(14 + 20 + 8 + rest.length)
    const view = new DataView(octets.buffer)
    octets.set(rest, 42)
    view.setUint16(12, type)
    view.setUint8(14, first)
    view.setUint16(16, length)
    view.setUint16(20, fragment)
    view.setUint8(23, protocol)
    // A type of ICMP, or the ports of TCP and UDP: VXLAN and Geneve lead to Ethernet again.
    view.setUint16(34, port)
    view.setUint16(36, port)
    view.setUint16(38, octets.length - 34)
    return octets
  })

/** The same of IPv6: with extension headers, and messages of ICMPv6 with options. */
const enticingIpv6 = fc
  .record({
    next: fc.constantFrom(0, 6, 17, 43, 44, 58, 59, 60, 99),
    behind: fc.constantFrom(0, 6, 17, 43, 44, 58, 60),
    type: fc.constantFrom(1, 2, 3, 4, 128, 130, 133, 134, 135, 136, 137, 143),
    option: fc.constantFrom(1, 2, 3, 4, 5, 14, 24, 25, 31, 99),
    units: fc.nat(5),
    length: fc.nat(200),
    rest: fc.uint8Array({ maxLength: 160 }),
  })
  .map(({ next, behind, type, option, units, length, rest }) => {
    const octets = new Uint8Array(14 + 40 + 8 + rest.length)
    const view = new DataView(octets.buffer)
    octets.set(rest, 62)
    view.setUint16(12, 0x86dd)
    view.setUint8(14, 0x60)
    view.setUint16(18, length)
    view.setUint8(20, next)
    // The type of a message, or the next header of an extension; then a message, or an option, behind it.
    view.setUint8(54, next === 58 ? type : behind)
    view.setUint8(55, 0)
    for (const at of [62, 70, 78, 94]) {
      if (at + 2 > octets.length) break
      view.setUint8(at, next === 58 ? option : type)
      view.setUint8(at + 1, units)
    }
    return octets
  })

t.test('arbitrary octets', async (t) => {
  const flows = new Flows()
  holds(
    t,
    'no decoder throws',
    fc.property(
      fc.oneof(fc.uint8Array({ maxLength: 120 }), enticing, enticingIpv6),
      linkType,
      fc.constantFrom(0, 4),
      fc.nat(8),
      (octets, type, fcs, missing) => show(recordOf(octets, type, fcs, missing), flows),
    ),
    { numRuns: NUM_RUNS },
  )
})

t.test('every beginning of a packet with options, errors and tunnels', async (t) => {
  const flows = new Flows()
  holds(
    t,
    'no truncation throws',
    fc.property(fc.oneof(enticing, enticingIpv6), fc.nat(250), (octets, length) =>
      show(recordOf(octets.slice(0, length), 1, 0, 0), flows),
    ),
    { numRuns: NUM_RUNS },
  )
})

t.test('control packets of PPP with any options', async (t) => {
  const control = fc
    .tuple(fc.constantFrom(0xc021, 0x8021, 0x8057, 0xc223, 0x0021), fc.nat(12), fc.uint8Array({ maxLength: 30 }))
    .map(([protocol, code, rest]) =>
      Uint8Array.of(0xff, 3, protocol >> 8, protocol & 0xff, code, 1, 0, rest.length + 4, ...rest),
    )
  holds(
    t,
    'no decoder throws',
    fc.property(control, fc.constantFrom(0, 2, 4), fc.nat(40), (octets, fcs, length) =>
      show(recordOf(octets.slice(0, length), 50, fcs, 0), new Flows()),
    ),
    { numRuns: NUM_RUNS },
  )
  const request = '7eff03c021 0101000e 010405dc 0506 12345678 b000'.replaceAll(/ |7e/g, '')
  const layers = decode(recordOf(Uint8Array.from(Buffer.from(request, 'hex')), 50, 2, 0))
  t.equal(layers[1]?.summary, 'LCP Configure-Request 1, MRU 1500, magic number 12345678')
  t.match(layers[0]?.faults[0], /bad FCS 0x00b0, should be 0x/)
})

t.test('tunnels within tunnels come to an end', async (t) => {
  // An ICMP error that quotes an ICMP error that quotes …
  const octets = new Uint8Array(28 * 60)
  const view = new DataView(octets.buffer)
  for (let at = 0; at < octets.length; at += 28) {
    octets[at] = 0x45
    view.setUint16(at + 2, octets.length - at)
    octets[at + 9] = 1
    octets[at + 20] = 3
  }
  const layers = decode(recordOf(octets, 101, 0, 0))
  t.equal(layers.length, 32)
})

t.test('the memory of connections is bounded', async (t) => {
  const flows = new Flows()
  const destination = IpAddress.ipv4(1)
  const flow = (source: number) => ({
    source: IpAddress.ipv4(source),
    destination,
    sourcePort: 1,
    destinationPort: 80,
  })
  for (let n = 0; n < 70_000; n++) flows.see(flow(n), 1000, true, undefined)
  t.equal(flows.relative(flow(69_999), 1001), 1)
  t.equal(flows.relative(flow(0), 1001), 1001, 'the first one is forgotten, and shown as it is')
})

t.test('numbers wrap, and a port used again counts anew', async (t) => {
  const flows = new Flows()
  const [one, two] = [IpAddress.ipv4(1), IpAddress.ipv4(2)]
  const flow = { source: one, destination: two, sourcePort: 3, destinationPort: 4 }
  const back = { source: two, destination: one, sourcePort: 4, destinationPort: 3 }
  flows.see(flow, 0xffff_fffe, true, undefined)
  t.equal(flows.relative(flow, 3), 5)
  t.equal(flows.relative(back, 77), 77, 'nothing is known of the other direction')
  flows.see(flow, 0xffff_ffff, false, 501)
  t.equal(flows.relative(back, 501), 1, 'what the peer acknowledges is its first octet at the latest')
  flows.see(flow, 5000, true, undefined)
  t.equal(flows.relative(flow, 5001), 1)
})
