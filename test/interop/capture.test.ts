/** tshark reads what we capture, of real links and of simulated ones, and our own dump says the same as tshark. */
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import t from 'tap'
import { CaptureReader, type CaptureRecord } from '../../src/capture/reader.ts'
import {
  cable,
  ethernet,
  impair,
  ip,
  ipv4,
  ms,
  Simulation,
  seconds,
  sockets,
  stack,
  tcp,
  udp,
} from '../../src/index.ts'
import { decode } from '../../tools/dump/decode.ts'
import type { DumpLayer } from '../../tools/dump/model.ts'
import { type Namespace, oracle } from './helpers.ts'
import { folder, payload, payloadHash, received } from './payload.ts'
import { MEDIA, OURS, type Stand, stand, THEIRS } from './stand.ts'
import { type Asserting, assertCleanCapture, dissect } from './tshark.ts'

t.setTimeout(600_000)
const FILE_OCTETS = 2 << 20
const skip = oracle('root', 'tun', 'ip', 'ping', 'curl', 'socat', 'bridge', 'ethtool', 'tshark')

for (const medium of MEDIA) {
  t.test(`a capture of ${medium}`, { skip }, async (t) => {
    const path = join(folder(t), 'capture.pcapng')
    const place = await stand(t, medium)
    const capture = place.node.capture(path)
    await everything(place)
    await capture.stop()
    const { frames, good, interfaces } = await assertCleanCapture(t, path, {
      kernelQuotesUnfinished: medium === 'tap+vnet',
    })
    t.ok(good.tcp > 500 && good.udp >= 4 && good.icmp >= 6 && good.ip >= frames - 10, JSON.stringify(good))
    t.match([...interfaces.keys()], [/^ours\/(tap|udp-tunnel|x0|vxlan)/], 'one link')
    for (const { in: came, out: went, none } of interfaces.values()) {
      t.ok(came > 20 && went > 20, `${came} in, ${went} out`)
      t.equal(none, 0, 'every frame says which way it went')
    }
    await sameAsTshark(t, path)
  })
}

/** Something of every protocol, both ways. */
async function everything({ node, kernel }: Stand): Promise<void> {
  const server = createServer((request, response) => {
    if (request.method === 'GET') payload((octets) => octets < FILE_OCTETS).stream.pipe(response)
    else void received(request).then(({ hash }) => response.end(hash))
  })
  await once(node.net.attach(server).listen(80), 'listening')
  for (const size of ['0', '1473', '65507']) await kernel.run('ping', '-c', '1', '-s', size, OURS)
  await node.icmp.ping(THEIRS, { size: 4000 })
  const url = `http://${OURS}/`
  await kernel.run('sh', '-c', `curl -s ${url} -o - | curl -s -T - ${url}`)
  await kernel.run('curl', '-s', `http://${OURS}:81/`) // Refused.
  await datagrams(kernel, node)
}

async function datagrams(kernel: Namespace, node: Stand['node']): Promise<void> {
  const socket = node.dgram.createSocket('udp4')
  socket.on('message', (message, { port, address }) => socket.send(message, port, address))
  socket.bind(7)
  await once(socket, 'listening')
  await kernel.run('sh', '-c', `head -c 5000 /dev/zero | socat -b 5000 -t 60 - UDP4:${OURS}:7,readbytes=5000`)
  await kernel.run('sh', '-c', `echo over to you | socat -t 60 - UDP4:${OURS}:9`) // Nobody there.
  socket.send('hello', 9, THEIRS)
  await node.icmp.ping(THEIRS)
}

t.test('a capture of a simulation: FCS, and what was lost and sent again', { skip: oracle('tshark') }, async (t) => {
  const path = join(folder(t), 'simulation.pcapng')
  const simulation = new Simulation({ seed: 42 })
  const [a, b] = cable({ delay: ms(5) })
  const host = (end: typeof a, address: string, loss: number) =>
    stack(stack(end, impair({ loss })<'frames'>), ethernet(), ip(ipv4({ address })), sockets(tcp(), udp()))
  const client = simulation.boot('client', host(a, '10.0.0.1/24', 0))
  const server = simulation.boot('server', host(b, '10.0.0.2/24', 0.02))
  const capture = simulation.capture(path)
  const listener = server.net.createServer((socket) => void payload((n) => n < FILE_OCTETS).stream.pipe(socket))
  listener.listen(80)
  const arrived = received(client.net.connect(80, '10.0.0.2'))
  await simulation.run(seconds(60))
  t.same(await arrived, { octets: FILE_OCTETS, hash: payloadHash(FILE_OCTETS) })
  await capture.stop()
  await simulation.close()
  const { frames, good, interfaces, comments } = await assertCleanCapture(t, path)
  t.equal(good.fcs, frames, 'every FCS was there and good')
  // tshark guesses where the file does not say.
  t.ok(
    (await records(path)).every((record) => record.interface.fcsOctets === 4),
    'and the file says so',
  )
  t.ok(good.tcp > 2000)
  t.match([...interfaces.keys()].sort(), [/^client\//, /^server\//])
  t.ok(
    comments.some((comment) => /dropped by server\/.*loss/.test(comment)),
    'losses are told',
  )
  t.ok(
    comments.some((comment) => /retransmit.*RFC/i.test(comment)),
    'and what was done about them',
  )
  await sameAsTshark(t, path)
})

/** tshark's name of a field; in which of our layers it is, what we call it, and how to read what we say. */
type Counterpart = readonly [layer: string, field: string, read: (value: string) => string | undefined]

const asIs = (value: string): string => value
const firstWord = (value: string): string => value.split(' ')[0] ?? ''
const number = (value: string): string => String(Number(firstWord(value)))
const option = (pattern: RegExp) => (value: string) => pattern.exec(value)?.[1]
/** The left edges of all blocks. */
const sackEdges = (value: string): string | undefined =>
  value.startsWith('sack ') ? [...value.matchAll(/(\d+):\d+/g)].map(([, edge]) => edge).join() : undefined

const COUNTERPARTS: Readonly<Record<string, Counterpart>> = {
  'eth.dst': ['Ethernet', 'destination', asIs],
  'eth.src': ['Ethernet', 'source', asIs],
  'eth.type': ['Ethernet', 'type', firstWord],
  'arp.opcode': ['ARP', 'operation', firstWord],
  'arp.src.hw_mac': ['ARP', 'sender hardware address', asIs],
  'arp.src.proto_ipv4': ['ARP', 'sender protocol address', asIs],
  'arp.dst.hw_mac': ['ARP', 'target hardware address', asIs],
  'arp.dst.proto_ipv4': ['ARP', 'target protocol address', asIs],
  'ip.src': ['IPv4', 'source', asIs],
  'ip.dst': ['IPv4', 'destination', asIs],
  'ip.hdr_len': ['IPv4', 'header length', asIs],
  'ip.len': ['IPv4', 'total length', asIs],
  'ip.id': ['IPv4', 'identification', number],
  'ip.flags.df': ['IPv4', 'flags and fragment offset', (value) => (/DF/.test(value) ? '1' : '0')],
  'ip.flags.mf': ['IPv4', 'flags and fragment offset', (value) => (/MF/.test(value) ? '1' : '0')],
  'ip.frag_offset': [
    'IPv4',
    'flags and fragment offset',
    (value) => String(Number(/offset (\d+)/.exec(value)?.[1]) / 8),
  ],
  'ip.ttl': ['IPv4', 'time to live', asIs],
  'ip.proto': ['IPv4', 'protocol', firstWord],
  'ip.checksum': ['IPv4', 'header checksum', number],
  'icmp.type': ['ICMP', 'type', asIs],
  'icmp.code': ['ICMP', 'code', asIs],
  'icmp.checksum': ['ICMP', 'checksum', number],
  'icmp.ident': ['ICMP', 'identifier', number],
  'icmp.seq': ['ICMP', 'sequence', asIs],
  'udp.srcport': ['UDP', 'source port', asIs],
  'udp.dstport': ['UDP', 'destination port', asIs],
  'udp.length': ['UDP', 'length', asIs],
  'udp.checksum': ['UDP', 'checksum', number],
  'tcp.srcport': ['TCP', 'source port', asIs],
  'tcp.dstport': ['TCP', 'destination port', asIs],
  'tcp.seq': ['TCP', 'sequence number', asIs],
  'tcp.ack': ['TCP', 'acknowledgment number', asIs],
  'tcp.hdr_len': ['TCP', 'data offset', asIs],
  'tcp.flags': ['TCP', 'flags', number],
  'tcp.window_size_value': ['TCP', 'window', asIs],
  'tcp.checksum': ['TCP', 'checksum', number],
  'tcp.urgent_pointer': ['TCP', 'urgent pointer', asIs],
  'tcp.options.mss_val': ['TCP', 'option', option(/^mss (\d+)/)],
  'tcp.options.wscale.shift': ['TCP', 'option', option(/^wscale (\d+)/)],
  'tcp.options.timestamp.tsval': ['TCP', 'option', option(/^TS val (\d+)/)],
  'tcp.options.timestamp.tsecr': ['TCP', 'option', option(/^TS val \d+ ecr (\d+)/)],
  'tcp.options.sack_le': ['TCP', 'option', sackEdges],
}
/** Of a fragment only the network header is compared: we do not look into it. */
const ABOVE_IP = /^(icmp|udp|tcp)\./

/** Holds that `netstrata dump` and tshark read the same values from the same file. */
async function sameAsTshark(t: Asserting, path: string): Promise<void> {
  const names = Object.keys(COUNTERPARTS)
  const theirs = await dissect(path, names, '-o', 'ip.defragment:FALSE')
  const ours = await records(path)
  t.equal(ours.length, theirs.length, 'as many frames')
  const different: string[] = []
  let compared = 0
  for (const [i, record] of ours.entries()) {
    const layers = decode(record)
    const fragment = theirs[i]?.['ip.flags.mf']?.[0] === '1' || Number(theirs[i]?.['ip.frag_offset']?.[0] ?? 0) > 0
    for (const name of names) {
      if (fragment && ABOVE_IP.test(name)) continue
      const wanted = (theirs[i]?.[name] ?? []).map(plain)
      const found = valuesOf(layers, COUNTERPARTS[name] as Counterpart)
      compared += wanted.length
      if (wanted.join() !== found.join()) different.push(`frame ${i + 1}: ${name} is ${wanted}, we say ${found}`)
    }
  }
  t.same(different.slice(0, 10), [], `${compared} values compared`)
  t.equal(compared > theirs.length * 10, true, 'there was something to compare')
}

/** tshark writes some numbers in hexadecimal and flags as words. */
function plain(value: string): string {
  if (value === 'True') return '1'
  if (value === 'False') return '0'
  return /^0x[0-9a-f]+$/.test(value) ? String(Number(value)) : value
}

function valuesOf(layers: readonly DumpLayer[], [protocol, name, read]: Counterpart): string[] {
  return layers
    .filter((layer) => layer.protocol === protocol)
    .flatMap((layer) => layer.fields)
    .filter((field) => field.name === name)
    .map((field) => read(String(field.value)))
    .filter((value) => value !== undefined)
    .map(plain)
}

async function records(path: string): Promise<CaptureRecord[]> {
  const reader = new CaptureReader()
  const all: CaptureRecord[] = []
  for await (const chunk of createReadStream(path)) all.push(...reader.push(chunk))
  reader.end()
  return all
}
