/** What the dump says of a small conversation over IPv6. */
import { Writable } from 'node:stream'
import pc from 'picocolors'
import t from 'tap'
import {
  CaptureReader,
  type CaptureRecord,
  cable,
  ethernet,
  ip,
  ipv6,
  ms,
  Simulation,
  seconds,
  sockets,
  stack,
  tcp,
  udp,
} from '../../src/index.ts'
import { fold, sumOctets } from '../../src/kernel/checksum.ts'
import { decode } from '../../tools/dump/decode.ts'
import { Flows } from '../../tools/dump/flows.ts'
import { line } from '../../tools/dump/render.ts'

const plain = pc.createColors(false)

/** A ping in two fragments, a page of five octets, a port without a server: the same at every run. */
async function conversation(): Promise<CaptureRecord[]> {
  const reader = new CaptureReader()
  const records: CaptureRecord[] = []
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      records.push(...reader.push(chunk))
      done()
    },
  })
  const sim = new Simulation({ seed: 4 })
  const ends = cable({ delay: ms(5) })
  const boot = (name: string, end: (typeof ends)[0], n: number) =>
    sim.boot(
      name,
      stack(
        end,
        ethernet({ address: `02:00:00:00:00:0${n}` }),
        ip(ipv6({ address: `fd00::${n}/64`, interfaceIdentifier: 'eui64' })),
        sockets(tcp(), udp()),
      ),
    )
  const [a, b] = [boot('A', ends[0], 1), boot('B', ends[1], 2)]
  await sim.run(seconds(4))
  const capture = sim.capture(sink, { filter: ({ boundary }) => boundary.startsWith('B/') })
  b.net.createServer((socket) => socket.end('hello')).listen(80)
  const pong = a.icmp.ping('fd00::2', { size: 1500 })
  await sim.run(seconds(1))
  await pong
  a.net.connect(80, 'fd00::2').resume()
  const datagrams = a.dgram.createSocket('udp6')
  datagrams.on('error', () => {}).send('hi', 9, 'fd00::2')
  await sim.run(ms(900))
  await capture.stop()
  await sim.close()
  return records
}

/** Numbers of chance, by what they are. */
const unchanced = (text: string): string =>
  text
    .replace(/TS val \d+ ecr \d+/g, 'TS')
    .replace(/\bseq \d{6,}/g, 'seq ISS')
    .replace(/\bid \d+ seq \d+/g, 'id N seq N')
    .replace(/fragment 0x[0-9a-f]+/g, 'fragment ID')
    .replace(/(TCP|UDP) (\d{5}) > /g, '$1 PORT > ')
    .replace(/ > (\d{5}) \[/g, ' > PORT [')

t.test('one line a packet', async (t) => {
  const records = await conversation()
  const flows = new Flows()
  const lines = records.map((record) => unchanced(line(record, decode(record, flows), () => '', plain)).trim())
  t.same(
    lines.map((text) => text.replace(/^B\/\S+ /, '')),
    [
      '< fd00::1 > ff02::1:ff00:2 ICMPv6 who has fd00::2? 02:00:00:00:00:01',
      '> fd00::2 > fd00::1 ICMPv6 fd00::2 is here (solicited override) 02:00:00:00:00:02',
      '< fd00::1 > fd00::2 fragment ID at 0, more follow',
      '< fd00::1 > fd00::2 fragment ID at 1448, last',
      '> fd00::2 > fd00::1 fragment ID at 0, more follow',
      '> fd00::2 > fd00::1 fragment ID at 1448, last',
      '< fd00::1 > fd00::2 UDP PORT > 9 length 2 {dropped by B/ipv6: portUnreachable (RFC 4443 §3.1)}',
      '> fd00::2 > fd00::1 ICMPv6 port unreachable fd00::1 > fd00::2 UDP PORT > 9 length 2',
      '< fd00::1 > fd00::2 TCP PORT > 80 [S] seq ISS win 65535 <mss 1440, sackOK, TS, wscale 8> length 0',
      '> fd00::2 > fd00::1 TCP 80 > PORT [S.] seq ISS ack 1 win 65535 <mss 1440, sackOK, TS, wscale 8> length 0',
      '< fd00::1 > fd00::2 TCP PORT > 80 [.] seq 1 ack 1 win 4096 <TS> length 0',
      '> fd00::2 > fd00::1 TCP 80 > PORT [FP.] seq 1:6 ack 1 win 4096 <TS> length 5',
      '< fd00::1 > fd00::2 TCP PORT > 80 [F.] seq 1 ack 7 win 4096 <TS> length 0',
      '> fd00::2 > fd00::1 TCP 80 > PORT [.] seq 7 ack 2 win 4096 <TS> length 0',
    ],
  )
})

/** An IPv6 packet from fe80::1 to ff02::1, with headers and a message in hexadecimal; its checksum is made right. */
function packet(next: number, hex: string, message: string): CaptureRecord {
  const headers = Buffer.from(hex.replaceAll(' ', ''), 'hex')
  const icmp = Buffer.from(message.replaceAll(' ', ''), 'hex')
  const octets = Buffer.concat([Buffer.alloc(40), headers, icmp])
  octets.writeUInt32BE(0x6000_0000)
  octets.writeUInt16BE(octets.length - 40, 4)
  octets.set([next, 255], 6)
  octets.set(Buffer.from('fe800000000000000000000000000001ff020000000000000000000000000001', 'hex'), 8)
  if (icmp.length > 0) {
    const sum = fold(sumOctets(icmp, 0, icmp.length, sumOctets(octets, 8, 32, 58 + icmp.length)))
    octets.writeUInt16BE(~sum & 0xffff, 40 + headers.length + 2)
  }
  const link = { name: 'x', linkType: 229, fcsOctets: 0 }
  return {
    octets,
    wireLength: octets.length,
    interface: link,
    seconds: 0,
    nanoseconds: 0,
    direction: 'in',
    comments: [],
  }
}

const LLA = 'fe80::1 > ff02::1'
const PREFIX = '0304 40c0 00015180 00003840 00000000 fd000000000000000000000000000000'

t.test('messages, their options, and the headers before them', async (t) => {
  for (const [next, headers, message, said] of [
    [58, '', `86000000 4080 0708 00000000 00000000 0101 0200 0000 0001 ${PREFIX} 0501 0000 000005dc`, 'router'],
    [58, '', `87000000 00000000 fd000000000000000000000000000002`, 'who has fd00::2?'],
    [58, '', '85000000 00000000 0100', 'router solicitation [ICMPv6: an option of no length]'],
    [58, '', '85000000 00000000 0102', 'router solicitation [ICMPv6: an option beyond the end]'],
    [58, '', '02000000 00000500 60000000 00001140 fd000000000000000000000000000001', 'packet too big, MTU 1280'],
    [0, '3a00 0502 0000 0100', '8f000000 00000001', 'hop-by-hop ICMPv6 listener report, 1 records'],
    [43, '3a00 0400 00000000', '80000000 00070001', 'routing ICMPv6 echo request id 7 seq 1'],
    [60, '2c00 0104 00000000 3a00 0000 00000001', '80000000 00070001', 'destination-options fragment 0x00000001 at 0'],
    [99, '', '', 'protocol 99'],
    [59, '', '', ''],
  ] as const) {
    const record = packet(next, headers, message)
    const layers = decode(record)
    const text = line(record, layers, () => '', plain).replace(' x < ', '')
    t.ok(text.startsWith(LLA) && text.includes(said), `${said}: ${text}`)
    if (!said.includes('[')) t.same(layers[0]?.faults, [])
  }
  const [, advertisement] = decode(
    packet(58, '', `86000000 4080 0708 00000000 00000000 ${PREFIX} 1903 0000 ffffffff fd00 ${'00'.repeat(13)}53`),
  )
  t.equal(
    advertisement?.summary,
    'ICMPv6 router advertisement lifetime 1800 s hop limit 64 M prefix fd00::/64 DNS fd00::53',
  )
  t.same(
    advertisement?.fields.slice(-2).map(({ value }) => value),
    ['fd00::/64 on-link autonomous valid for 86400 s, preferred for 14400 s', 'fd00::53 for ever'],
  )
})

t.test('a wrong checksum is a fault, and so is none of UDP', async (t) => {
  const wrong = packet(58, '', '80000000 00070001')
  wrong.octets[47] = (wrong.octets[47] as number) ^ 1
  t.same(
    decode(wrong).flatMap(({ faults }) => faults),
    ['bad checksum'],
  )
  t.same(
    decode(packet(17, '0001 0002 0008 0000', '')).flatMap(({ faults }) => faults),
    ['no checksum'],
  )
})
