/** What stands in front of a frame: octet for octet, and what is refused by its reason. */
import t from 'tap'
import type { Codec } from '../../../layers/physical/udp-tunnel/codec.ts'
import { geneve } from '../../../layers/physical/udp-tunnel/geneve.ts'
import { l2tpv3 } from '../../../layers/physical/udp-tunnel/l2tpv3.ts'
import { vxlan } from '../../../layers/physical/udp-tunnel/vxlan.ts'
import { Packet } from '../../../src/kernel/packet.ts'

const FRAME = '02000000000a02000000000b88b5'
const COOKIE = '0102030405060708'
const HERE = { session: 0xffff_fffe, peerSession: 5, cookie: Buffer.from(COOKIE, 'hex'), sublayer: true }
const THERE = { session: 5, peerSession: 0xffff_fffe, peerCookie: Buffer.from(COOKIE, 'hex'), sublayer: true }

function packetOf(hex: string): Packet {
  const packet = Packet.take(32, 200)
  packet.append(Buffer.from(hex, 'hex'))
  return packet
}

/** The datagram that carries the frame. */
function pushed(codec: Codec): string {
  const packet = packetOf(FRAME)
  codec.push(packet)
  const hex = Buffer.from(packet.bytes()).toString('hex')
  packet.release()
  return hex
}

/** What becomes of a datagram: the frame, or the reason; then nothing was taken off. */
function pulled(codec: Codec, hex: string): string {
  const packet = packetOf(hex)
  const { length } = packet
  const fault = codec.pull(packet)
  if (fault !== undefined) t.equal(packet.length, length, `${fault}: the packet is as it was`)
  const what = fault ?? Buffer.from(packet.bytes()).toString('hex')
  packet.release()
  return what
}

t.test('headers as they are sent', async (t) => {
  t.equal(pushed(vxlan(0xabcdef)), `08000000abcdef00${FRAME}`)
  t.equal(pushed(geneve(0xabcdef)), `00006558abcdef00${FRAME}`)
  t.equal(pushed(l2tpv3(THERE)), `00030000fffffffe${COOKIE}00000000${FRAME}`)
  t.equal(pushed(l2tpv3({ session: 1, peerSession: 2 })), `0003000000000002${FRAME}`)
})

t.test('what one end sends the other takes', async (t) => {
  for (const codec of [vxlan(7), geneve(7)]) t.equal(pulled(codec, pushed(codec)), FRAME)
  t.equal(pulled(l2tpv3(HERE), pushed(l2tpv3(THERE))), FRAME)
})

t.test('VXLAN: reserved bits are ignored, the rest must be right', async (t) => {
  const codec = vxlan(7)
  t.equal(pulled(codec, `ffffffff000007ff${FRAME}`), FRAME)
  t.equal(pulled(codec, `f7ffffff00000700${FRAME}`), 'badFlags')
  t.equal(pulled(codec, `0800000000000800${FRAME}`), 'wrongVni')
  t.equal(pulled(codec, '08000000000007'), 'truncated')
})

t.test('Geneve: options are passed over, unless they are critical', async (t) => {
  const codec = geneve(7)
  t.equal(pulled(codec, `023f6558000007ff0102030405060708${FRAME}`), FRAME)
  t.equal(pulled(codec, `01406558000007000000000000${FRAME}`), 'criticalOption')
  t.equal(pulled(codec, `4000655800000700${FRAME}`), 'badVersion')
  t.equal(pulled(codec, `0080655800000700${FRAME}`), 'control')
  t.equal(pulled(codec, `0000080000000700${FRAME}`), 'badType')
  t.equal(pulled(codec, `0000655800000800${FRAME}`), 'wrongVni')
  t.equal(pulled(codec, `3f00655800000700${FRAME}`), 'truncated')
  t.equal(pulled(codec, '00006558000007'), 'truncated')
})

t.test('L2TPv3: of our session alone, with its cookie', async (t) => {
  const codec = l2tpv3(HERE)
  t.equal(pulled(codec, `00030000fffffffe${COOKIE}40abcdef${FRAME}`), FRAME, 'sequence numbers are passed over')
  t.equal(pulled(codec, `80030000fffffffe${COOKIE}00000000${FRAME}`), 'control')
  t.equal(pulled(codec, `00020000fffffffe${COOKIE}00000000${FRAME}`), 'badVersion')
  t.equal(pulled(codec, `00030000fffffffd${COOKIE}00000000${FRAME}`), 'wrongSession')
  t.equal(pulled(codec, `00030000fffffffe010203040506070900000000${FRAME}`), 'wrongCookie')
  t.equal(pulled(codec, `00030000fffffffe${COOKIE}000000`), 'truncated')
})
