/** What the dump says of a small conversation, line by line. */
import { Writable } from 'node:stream'
import pc from 'picocolors'
import t from 'tap'
import { CaptureReader, type CaptureRecord, ms, seconds } from '../../src/index.ts'
import { network } from '../../src/testing.ts'
import { decode } from '../../tools/dump/decode.ts'
import { Flows } from '../../tools/dump/flows.ts'
import { clockTime, hexDump, json, line, relativeTime, tree } from '../../tools/dump/render.ts'

const plain = pc.createColors(false)

/** A ping, a page of five octets, a port without a server, of both protocols: the same at every run. */
async function conversation(): Promise<CaptureRecord[]> {
  const reader = new CaptureReader()
  const records: CaptureRecord[] = []
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      records.push(...reader.push(chunk))
      done()
    },
  })
  const net = network({ seed: 4, hosts: { A: {}, B: {} }, links: [{ between: ['A', 'B'], delay: ms(5) }] })
  const { A, B } = net.nodes
  const capture = net.sim.capture(sink, { filter: ({ boundary }) => boundary.startsWith('B/') })
  B.net.createServer((socket) => socket.end('hello')).listen(80)
  const pong = A.icmp.ping('B', { size: 8 })
  await net.sim.run(seconds(1))
  await pong
  A.net.connect(80, 'B').resume()
  A.net.connect(81, 'B').on('error', () => {})
  const datagrams = A.dgram.createSocket('udp4')
  datagrams.on('error', () => {}).send('hi', 9, net.address('B'))
  await net.sim.run(ms(900))
  await capture.stop()
  await net.close()
  return records
}

/** Numbers of chance, by what they are. */
const unchanced = (text: string): string =>
  text
    .replace(/\b(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b/g, 'MAC')
    .replace(/TS val \d+ ecr \d+/g, 'TS')
    .replace(/\bseq \d{6,}/g, 'seq ISS')
    .replace(/\bid \d+ seq \d+/g, 'id N seq N')
    .replace(/(TCP|UDP) (\d{5}) > /g, '$1 PORT > ')
    .replace(/ > (\d{5}) \[/g, ' > PORT [')

t.test('one line a packet', async (t) => {
  const records = await conversation()
  const flows = new Flows()
  const time = relativeTime()
  const lines = records.map((record) => unchanced(line(record, decode(record, flows), time, plain)))
  const syn = 'TCP PORT > 80 [S] seq ISS win 65535 <mss 1460, sackOK, TS, wscale 8> length 0'
  t.same(
    lines.map((line) => line.replace(' B/eth0/impair', '')),
    [
      '0.000000000 > ARP announcement of 10.0.1.2',
      '0.005000000 < ARP who has 10.0.1.2? tell 10.0.1.1',
      '0.005000000 > ARP 10.0.1.2 is at MAC',
      '0.005000000 < ARP announcement of 10.0.1.1',
      '0.010000000 < 10.0.1.1 > 10.0.1.2 ICMP echo request id N seq N',
      '0.010000000 > 10.0.1.2 > 10.0.1.1 ICMP echo reply id N seq N',
      '1.005000000 < 10.0.1.1 > 10.0.1.2 UDP PORT > 9 length 2 {dropped by B/ipv4: portUnreachable (RFC 1122 §3.2.2.1)}',
      '1.005000000 > 10.0.1.2 > 10.0.1.1 ICMP port unreachable 10.0.1.1 > 10.0.1.2 UDP PORT > 9 length 2',
      `1.005000000 < 10.0.1.1 > 10.0.1.2 ${syn}`,
      `1.005000000 < 10.0.1.1 > 10.0.1.2 ${syn.replace('80', '81')} {dropped by B/tcp: noListener (RFC 9293 §3.10.7.1)}`,
      '1.005000000 > 10.0.1.2 > 10.0.1.1 TCP 81 > PORT [R.] seq 0 ack 1 win 0 length 0',
      '1.005000000 > 10.0.1.2 > 10.0.1.1 TCP 80 > PORT [S.] seq ISS ack 1 win 65535 <mss 1460, sackOK, TS, wscale 8> length 0',
      '1.015000000 < 10.0.1.1 > 10.0.1.2 TCP PORT > 80 [.] seq 1 ack 1 win 4096 <TS> length 0',
      '1.015000000 > 10.0.1.2 > 10.0.1.1 TCP 80 > PORT [FP.] seq 1:6 ack 1 win 4096 <TS> length 5',
      '1.025000000 < 10.0.1.1 > 10.0.1.2 TCP PORT > 80 [F.] seq 1 ack 7 win 4096 <TS> length 0',
      '1.025000000 > 10.0.1.2 > 10.0.1.1 TCP 80 > PORT [.] seq 7 ack 2 win 4096 <TS> length 0',
    ],
  )
  const page = records[13] as CaptureRecord
  t.match(
    line(page, decode(page), clockTime, plain),
    /^00:00:01\.015000000 B.* seq \d{6,}:\d{6,} ack \d{6,} /,
    'as they are',
  )
})

t.test('the tree, the octets and the object of a packet', async (t) => {
  const records = await conversation()
  const syn = records[8] as CaptureRecord
  const layers = decode(syn, new Flows())
  const shown = tree(layers, plain).split('\n')
  t.equal(shown[0], '  Ethernet, 14 octets at 0')
  t.match(shown[4], /^ {4}FCS: 0x[0-9a-f]{8} good$/)
  t.equal(shown[5], '  IPv4, 20 octets at 14')
  t.ok(shown.includes('    flags and fragment offset: DF, offset 0'))
  t.ok(shown.includes('  TCP, 40 octets at 34'))
  t.ok(shown.includes('    option: mss 1460'))

  const octets = hexDump(syn.octets, layers, plain).split('\n')
  t.equal(octets.length, Math.ceil(syn.octets.length / 16))
  t.match(octets[0], /^ {2}0000 {2}(?:[0-9a-f]{2} ){8} (?:[0-9a-f]{2} ){8} .{16}$/)

  const object = json(syn, layers, true)
  t.match(object, {
    seconds: 1,
    nanoseconds: 5_000_000,
    interface: 'B/eth0/impair',
    direction: 'in',
    hex: Buffer.from(syn.octets).toString('hex'),
    layers: [
      { protocol: 'Ethernet', fields: { type: '0x0800 IPv4' } },
      { protocol: 'IPv4', fields: { source: '10.0.1.1', destination: '10.0.1.2', 'time to live': 64 } },
      {
        protocol: 'TCP',
        faults: [],
        fields: { 'destination port': 80, option: ['mss 1460', 'sackOK', String, 'wscale 8'] },
      },
    ],
  })
  t.equal(JSON.stringify(object).includes('\n'), false)
})

t.test('what is wrong is said', async (t) => {
  const records = await conversation()
  const damaged = (index: number, at: number): string => {
    const record = records[index] as CaptureRecord
    const octets = Uint8Array.from(record.octets)
    octets[at] = (octets[at] ?? 0) ^ 0x10
    const layers = decode({ ...record, octets }, new Flows())
    return /\[[^[\]]*\](?= \{|$)/.exec(line({ ...record, octets }, layers, clockTime, plain))?.[0] ?? 'nothing'
  }
  t.match(damaged(4, 3), /^\[Ethernet: bad FCS 0x[0-9a-f]{8}, should be 0x[0-9a-f]{8}\]$/)
  t.match(damaged(4, 22), /IPv4: bad checksum/)
  t.match(damaged(4, 40), /ICMP: bad checksum/)
  t.match(damaged(6, 42), /UDP: bad checksum/)
  t.match(damaged(8, 40), /TCP: bad checksum/)
  t.match(damaged(8, 14), /IPv4: version 5/)
})

t.test('a packet that was cut is not blamed for it', async (t) => {
  const page = (await conversation())[13] as CaptureRecord
  for (let length = page.octets.length - 5; length >= 14 + 20 + 20; length--) {
    const cut = { ...page, octets: page.octets.slice(0, length) }
    const faults = decode(cut, new Flows()).flatMap((layer) => layer.faults)
    t.same(faults, [], `${length} octets`)
  }
})
