/** Packets as octets: what is written is read again, and nothing damaged passes. */
import t from 'tap'
import { parseAddress } from '../../src/index.ts'
import type { TcpBody, TcpOption } from './language/script.ts'
import { Outbox } from './run/outbox.ts'
import { merged, unmergeable } from './wire/compare.ts'
import type { IpHeader } from './wire/ip.ts'
import { decodePacket, encodeIcmpError, encodeTcpPacket, type TcpPacket } from './wire/packet.ts'
import { FLAG, formatFlags } from './wire/tcp-flags.ts'

const IP: IpHeader = {
  source: parseAddress('192.168.0.1'),
  destination: parseAddress('192.0.2.1'),
  tos: 3,
  ttl: 9,
  dontFragment: true,
  flowLabel: 0,
}
const OPTIONS: TcpOption[] = [
  { name: 'mss', value: 1460 },
  { name: 'sackOK' },
  { name: 'TS', value: 0xffffffff, echo: 1 },
  { name: 'nop' },
  { name: 'wscale', value: 14 },
  { name: 'eol' },
]
const PACKET: TcpPacket = {
  kind: 'tcp',
  ...IP,
  sourcePort: 8080,
  destinationPort: 40_000,
  seq: 0xffff_fffe,
  ack: 7,
  flags: FLAG.psh | FLAG.ack | FLAG.ae,
  window: 0xffff,
  urgent: 1,
  options: [...OPTIONS, { name: 'eol' }, { name: 'eol' }, { name: 'eol' }],
  payload: Uint8Array.of(1, 2, 3),
}

t.test('a packet is read as it was written', async (t) => {
  t.strictSame(decodePacket(encodeTcpPacket(PACKET)), PACKET)
  const sack: TcpOption = { name: 'sack', blocks: [[0xffff_ff00, 5]] }
  const short = {
    ...PACKET,
    options: [{ name: 'nop' } as const, { name: 'nop' } as const, sack],
    payload: new Uint8Array(0),
  }
  t.strictSame(decodePacket(encodeTcpPacket(short)), short)
})

t.test('any damage is found', async (t) => {
  const octets = encodeTcpPacket(PACKET)
  for (let i = 0; i < octets.length; i++) {
    const damaged = octets.slice()
    damaged[i] = (damaged[i] as number) ^ 0x10
    t.equal(decodePacket(damaged).kind, 'bad', `octet ${i}`)
  }
  for (let length = 0; length < octets.length; length++) {
    t.equal(decodePacket(octets.subarray(0, length)).kind, 'bad', `cut to ${length}`)
  }
  const wrong = octets.slice()
  new DataView(wrong.buffer).setUint16(36, 0)
  t.strictSame(decodePacket(wrong), { kind: 'bad', fault: 'wrong TCP checksum' })
})

t.test('a damaged packet that is sent is a failure, whether or not it was expected', async (t) => {
  const captured = [{ at: 5, octets: encodeTcpPacket(PACKET) }]
  const outbox = new Outbox(captured, (instant) => instant - 2)
  t.strictSame(outbox.look(1), [{ at: 3, packet: PACKET }])
  t.equal(outbox.dontFragment, true)
  t.equal(
    outbox.take(({ packet }) => packet.kind === 'icmp'),
    undefined,
  )
  t.strictSame(outbox.take(() => true)?.packet, PACKET)
  captured.push({ at: 6, octets: encodeTcpPacket(PACKET).fill(0, 40, 41) })
  t.throws(() => outbox.look(9), { line: 9, message: 'a malformed packet was sent: wrong TCP checksum' })
})

t.test('an ICMP error quotes the packet it is about', async (t) => {
  const message = { type: 3, code: 4, mtu: 1200 }
  const octets = encodeIcmpError(IP, message, { ...IP, sourcePort: 1, destinationPort: 2, seq: 3, length: 1000 })
  t.strictSame(decodePacket(octets), { kind: 'icmp', ...IP, type: 3, code: 4 })
  const view = new DataView(octets.buffer)
  t.equal(view.getUint16(26), 1200)
  t.equal(view.getUint16(30), 1040, 'the total length of what was sent')
  t.equal(view.getUint16(34), 0x4000, 'DF')
  t.strictSame([view.getUint16(48), view.getUint16(50), view.getUint32(52)], [1, 2, 3])
})

t.test('flags, with such as nobody should set', async (t) => {
  t.equal(formatFlags(FLAG.syn | FLAG.ece | FLAG.cwr | FLAG.ack), 'SEW.')
  t.equal(formatFlags(0), '-')
  t.equal(formatFlags(FLAG.ack | 0x400), '.+0x400')
})

t.test('segments that can be one of the script, and such that cannot', async (t) => {
  const first: TcpBody = {
    kind: 'tcp',
    ports: undefined,
    flags: FLAG.ack | FLAG.cwr,
    seq: 0xffff_fff0,
    length: 100,
    ack: 1,
    window: 5,
    urgent: 0,
    options: [],
  }
  const last: TcpBody = { ...first, flags: FLAG.ack | FLAG.psh | FLAG.fin, seq: 84, length: 60 }
  t.equal(unmergeable(first, last, true), undefined)
  t.equal(unmergeable(first, last, false), 'length: expected 100, got 60')
  t.match(unmergeable(first, { ...last, seq: 85 }, true), /^seq/)
  t.match(unmergeable(first, { ...last, ack: 2 }, true), /^ack/)
  t.match(unmergeable(first, { ...last, window: 6 }, true), /^win/)
  t.match(unmergeable(first, { ...last, flags: FLAG.ack | FLAG.ece }, true), /^flags/)
  t.match(merged([first, last]), { seq: 0xffff_fff0, length: 160, flags: FLAG.ack | FLAG.psh | FLAG.fin | FLAG.cwr })
})
