import fc from 'fast-check'
import t from 'tap'
import { decode } from '../../tools/dump/decode.ts'
import { Flows } from '../../tools/dump/flows.ts'

/** The summaries of the layers of a packet. */
function summaries(octets: Uint8Array, linkType = 1, flows?: Flows): string[] {
  const record = { octets, wireLength: octets.length, interface: { linkType, fcsOctets: 0 } }
  return decode(record as Parameters<typeof decode>[0], flows).map(({ summary }) => summary)
}

const MACS = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2]
const ethernet = (type: number, ...payload: number[]): Uint8Array =>
  Uint8Array.of(...MACS, type >> 8, type & 255, ...payload, ...new Array(20).fill(0))
const call = (text: string, flags: number): number[] => [
  ...[...text.padEnd(6)].map((c) => c.charCodeAt(0) << 1),
  0x60 | flags,
]

t.test('LLC: what its control field says, and SNAP', async (t) => {
  t.equal(summaries(ethernet(3, 0x70, 0x74, 0x7f))[1], 'LLC 0x74 > 0x70 command SABME P')
  t.equal(summaries(ethernet(4, 0x74, 0x71, 0x01, 0x0b))[1], 'LLC 0x70 > 0x74 response RR N(R)=5 F')
  t.equal(summaries(ethernet(5, 0x70, 0x74, 0x08, 0x0a, 1))[1], 'LLC 0x74 > 0x70 command I N(S)=4 N(R)=5')
  const snap = summaries(ethernet(9 + 4, 0xaa, 0xaa, 0x00, 0x00, 0, 0, 0, 8, 0, 0x45, 0, 0, 0))
  t.equal(snap[1], 'LLC 0xaa > 0xaa command I N(S)=0 N(R)=0')
  t.equal(snap[2], 'IPv4 truncated')
})

t.test('AX.25, in Ethernet and alone', async (t) => {
  const frame = [...call('NODEB', 0x80 | (1 << 1)), ...call('NODEA', 1), 0x22, 0xf0, 0x41]
  const said = 'AX.25 NODEA > NODEB-1 command I N(S)=1 N(R)=1'
  t.equal(summaries(ethernet(0x08ff, frame.length + 5, 0, ...frame))[2], said)
  t.strictSame(summaries(Uint8Array.from(frame), 3), [said, '1 octets'])
  t.strictSame(summaries(Uint8Array.of(0x10, ...frame), 202), ['KISS port 1 data', said, '1 octets'])
  const segment = (header: number): Uint8Array => Uint8Array.from([...frame.slice(0, 15), 8, header, 0xf0, 0x41])
  t.strictSame(summaries(segment(0x82), 3), [said, 'segment, the first, 2 to come', '2 octets'])
  t.strictSame(summaries(segment(0), 3)[1], 'segment, 0 to come')
  t.strictSame(summaries(Uint8Array.of(1, 30), 202), ['KISS port 0 TXDELAY', '1 octets'])
  t.strictSame(summaries(Uint8Array.of(0xff), 202), ['KISS return'])
})

t.test('AX.25 counts modulo 128 from an SABME on, both ways, and modulo 8 from an SABM', async (t) => {
  const flows = new Flows()
  const frame = (to: string, from: string, command: boolean, ...rest: number[]) => {
    const [bit, none] = command ? [0x80, 0] : [0, 0x80]
    return summaries(Uint8Array.of(...call(to, bit), ...call(from, 1 | none), ...rest), 3, flows)[0]
  }
  const numbered = [0x08, 0xc8, 0xf0, 0x41]
  t.equal(frame('A', 'B', true, ...numbered), 'AX.25 B > A command I N(S)=4 N(R)=0')
  t.equal(frame('A', 'B', true, 0x7f), 'AX.25 B > A command SABME P')
  t.equal(frame('A', 'B', true, ...numbered), 'AX.25 B > A command I N(S)=4 N(R)=100')
  t.equal(frame('B', 'A', false, 0x01, 0x0b), 'AX.25 A > B response RR N(R)=5 F')
  t.equal(frame('C', 'A', true, ...numbered), 'AX.25 A > C command I N(S)=4 N(R)=0', 'another link')
  t.equal(frame('B', 'A', true, 0x3f), 'AX.25 A > B command SABM P')
  t.equal(frame('A', 'B', true, ...numbered), 'AX.25 B > A command I N(S)=4 N(R)=0')
})

t.test('what stations tell by XID', async (t) => {
  t.equal(summaries(ethernet(6, 0x70, 0x74, 0xbf, 0x81, 3, 64))[2], 'XID types 1,2, window 32')
  const asked = [...call('NODEB', 0x80), ...call('NODEA', 1), 0xbf]
  const printed = [
    0x82, 0x80, 0, 0x17, 2, 2, 0x21, 0, 3, 3, 0x86, 0xa8, 2, 6, 2, 4, 0, 8, 1, 2, 9, 2, 0x10, 0, 10, 1, 3,
  ]
  t.strictSame(summaries(Uint8Array.of(...asked, ...printed), 3), [
    'AX.25 NODEA > NODEB command XID P',
    'XID half duplex, modulo 128, srej, N1 128, k 2, T1 4096 ms, N2 3',
  ])
  t.equal(summaries(Uint8Array.of(...asked, 0x82, 0x80, 0, 0), 3)[1], 'XID nothing')
  t.equal(summaries(Uint8Array.of(...asked, 0x82, 0x80, 0, 9), 3)[1], 'XID of a format nobody knows, or cut')
  t.match(summaries(Uint8Array.of(...asked, 0x81, 3), 3)[1], /truncated/)
})

t.test('LAPB in both moduli, with packets of IP and without', async (t) => {
  t.strictSame(summaries(Uint8Array.of(1, 0x3f), 147), ['LAPB B SABM P/F'])
  t.strictSame(summaries(Uint8Array.of(3, 0xa9), 147), ['LAPB A REJ N(R)=5'])
  t.strictSame(summaries(Uint8Array.of(1, 6, 201, 9), 148), ['LAPB B I N(S)=3 N(R)=100 P/F', '1 octets'])
  t.strictSame(summaries(Uint8Array.of(1, 0, 0, 0, 0x21, 0x45), 148), ['LAPB B I N(S)=0 N(R)=0', 'IPv4 truncated'])
  t.strictSame(summaries(Uint8Array.of(1, 0), 148), ['LAPB truncated'])
})

t.test('PAUSE', async (t) => {
  t.strictSame(summaries(ethernet(0x8808, 0, 1, 0xff, 0xff)).slice(1), ['PAUSE 65535 quanta'])
})

t.test('arbitrary octets never throw', async (t) => {
  fc.assert(
    fc.property(fc.constantFrom(10, 0x8808, 0x08ff), fc.uint8Array({ maxLength: 60 }), (type, octets) => {
      summaries(Uint8Array.of(...MACS, type >> 8, type & 255, ...octets))
      summaries(octets, 3)
    }),
  )
  t.pass()
})
