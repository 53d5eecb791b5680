import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import t from 'tap'
import { CaptureReader, type CaptureRecord } from '../../src/capture/reader.ts'
import {
  type Blueprint,
  type Cable,
  cable,
  ethernet,
  impair,
  ip,
  ipv4,
  type Medium,
  ms,
  type Node,
  parseAddress,
  Simulation,
  type Sockets,
  seconds,
  sockets,
  stack,
  tcp,
  udp,
} from '../../src/index.ts'
import type { CaptureRequest } from '../../src/runtime/captures.ts'
import { decode } from '../../tools/dump/decode.ts'

const folder = mkdtempSync(join(tmpdir(), 'netstrata-capture-'))
t.teardown(() => rmSync(folder, { recursive: true }))

interface World {
  readonly sim: Simulation
  readonly a: Node<Sockets>
  readonly b: Node<Sockets>
}

function world<M extends Medium>(
  wire: Cable<M>,
  join: (end: Cable<M>[0], address: string) => Blueprint<Sockets>,
): World {
  const sim = new Simulation({ seed: 3 })
  return { sim, a: sim.boot('A', join(wire[0], '10.0.0.1/24')), b: sim.boot('B', join(wire[1], '10.0.0.2/24')) }
}

function recordsOf(path: string): CaptureRecord[] {
  const reader = new CaptureReader()
  const records = reader.push(readFileSync(path))
  reader.end()
  return records
}

/** Sends `octets` from A to B and waits for all of them. */
async function transfer({ sim, a, b }: World, octets: number): Promise<void> {
  let received = 0
  const into = new Uint8Array(65_536)
  b.top.stream.listen(
    { port: 80 },
    {
      acceptable(listener) {
        const connection = listener.accept()
        if (connection === undefined) return
        connection.handler = {
          readable: (c) => {
            for (let n = c.read(into); n > 0; n = c.read(into)) received += n
          },
        }
      },
    },
  )
  const chunk = new Uint8Array(octets)
  a.top.stream.connect({ address: parseAddress('10.0.0.2'), port: 80 }, { established: (c) => void c.write(chunk) })
  t.ok(await sim.runUntil(() => received === octets, seconds(60)), 'everything arrived')
}

t.test('links are told apart, directions and times are right, checksums are good', async (t) => {
  const path = join(folder, 'plain.pcapng')
  const w = world(cable({ delay: ms(5) }), (end, address) =>
    stack(end, ethernet(), ip(ipv4({ address })), sockets(tcp(), udp())),
  )
  const capture = w.sim.capture(path)
  await transfer(w, 20_000)
  await capture.stop() // what a closing node sends into a link that is down is shown, too
  await w.sim.close()
  const records = recordsOf(path)
  t.same([...new Set(records.map((record) => record.interface.name))].sort(), ['A/cable', 'B/cable'])
  t.ok(records.every((record) => record.interface.fcsOctets === 4))
  const sent = records.filter(({ interface: { name }, direction }) => name === 'A/cable' && direction === 'out')
  const arrived = records.filter(({ interface: { name }, direction }) => name === 'B/cable' && direction === 'in')
  t.equal(arrived.length, sent.length)
  for (const [i, record] of sent.entries()) {
    const twin = arrived[i] as CaptureRecord
    t.ok(Buffer.from(record.octets).equals(Buffer.from(twin.octets)))
    t.equal(twin.seconds * 1e9 + twin.nanoseconds - record.seconds * 1e9 - record.nanoseconds, 5_000_000)
  }
  t.same(
    records.flatMap((record) => decode(record).flatMap((layer) => layer.faults)),
    [],
  )
})

t.test('super-segments are written as the packets of the wire, with their checksums', async (t) => {
  const path = join(folder, 'offload.pcapng')
  const w = world(cable({ medium: 'ethernet', offload: true }), (end, address) =>
    stack(end, ethernet(), ip(ipv4({ address })), sockets(tcp(), udp())),
  )
  let largest = 0
  const wire = w.a.boundaries.find(({ name }) => name === 'A/cable')
  wire?.watch({
    packet: (packet) => {
      largest = Math.max(largest, packet.length)
    },
  })
  w.sim.capture(path)
  await transfer(w, 100_000)
  await w.sim.close()
  t.ok(largest > 5000, 'there were super-segments')
  const records = recordsOf(path)
  t.ok(records.every((record) => record.octets.length <= 1514))
  t.same(
    records.flatMap((record) => decode(record).flatMap((layer) => layer.faults)),
    [],
  )
})

t.test('what was lost and what was sent again say so', async (t) => {
  const path = join(folder, 'lossy.pcapng')
  const w = world(cable({ delay: ms(5) }), (end, address) =>
    stack(end, impair({ down: { loss: 0.05 } }), ethernet(), ip(ipv4({ address })), sockets(tcp(), udp())),
  )
  w.sim.capture(path)
  await transfer(w, 300_000)
  const lost =
    w.sim.nodes
      .get('A')
      ?.snapshot()
      .find(({ name }) => name === 'A/impair')?.drops.loss ?? 0
  await w.sim.close()
  const records = recordsOf(path)
  const remarks = records.flatMap((record) => record.comments)
  t.ok(lost > 3)
  t.equal(remarks.filter((remark) => remark === 'dropped by A/impair: loss').length, lost)
  const again = records.filter(({ comments }) => comments.some((remark) => remark.startsWith('retransmit: ')))
  t.ok(again.length > 0)
  for (const record of again) {
    t.equal(record.interface.name.slice(2), 'impair', 'the topmost of what makes up the link')
    const segment = decode(record).find(({ protocol }) => protocol === 'TCP')
    t.match(segment?.summary, /length [1-9]/)
  }
})

t.test(
  'what is dropped when its frame has long passed, or before it had one, is shown where it was dropped',
  async (t) => {
    const path = join(folder, 'late.pcapng')
    const w = world(cable(), (end, address) =>
      stack(
        end,
        impair({ down: { dropIf: (_index, packet) => packet.length === 1518 } }),
        ethernet(),
        ip(ipv4({ address })),
        sockets(tcp(), udp()),
      ),
    )
    w.sim.capture(path)
    const socket = w.a.top.datagram.bind({}, {})
    socket.send(new Uint8Array(2000), 0, 2000, parseAddress('10.0.0.2'), 9)
    socket.send(new Uint8Array(30), 0, 30, parseAddress('10.0.0.77'), 9)
    await w.sim.run(seconds(40))
    await w.sim.close()
    const late = recordsOf(path).filter(({ interface: { name } }) => name.endsWith('/ipv4'))
    t.same(
      late.map(({ interface: { name }, comments, octets }) => [name, octets.length, ...comments]),
      [
        ['A/ipv4', 58, 'dropped by A/ipv4: hostUnreachable (RFC 1122 §3.2.2.1)'],
        ['B/ipv4', 548, 'dropped by B/ipv4: reassemblyTimeout (RFC 1122 §3.3.2)'],
      ],
    )
    for (const record of late) t.equal(decode(record)[0]?.protocol, 'IPv4')
    t.same(
      decode(late[0] as CaptureRecord).flatMap((layer) => layer.faults),
      [],
    )
  },
)

t.test('what the receiver drops is not told of the sender', async (t) => {
  const path = join(folder, 'receiver.pcapng')
  const w = world(cable(), (end, address) =>
    stack(
      end,
      impair({ up: { dropIf: (index) => index === 2 } }),
      ethernet(),
      ip(ipv4({ address })),
      sockets(tcp(), udp()),
    ),
  )
  w.sim.capture(path)
  await transfer(w, 20_000)
  await w.sim.close()
  const records = recordsOf(path)
  const lost = records.filter(({ comments }) => comments.some((remark) => remark.startsWith('dropped by B/impair')))
  t.equal(lost.length, 1)
  t.equal(lost[0]?.interface.name, 'B/impair')
  t.equal(lost[0]?.direction, undefined, 'it did not get that far')
})

t.test('a filter, a Writable, and the end of a capture', async (t) => {
  const w = world(cable(), (end, address) => stack(end, ethernet(), ip(ipv4({ address })), sockets(tcp(), udp())))
  const chunks: Buffer[] = []
  const target = new Writable({
    write(chunk: Buffer, _encoding, done) {
      chunks.push(chunk)
      done()
    },
  })
  const request: CaptureRequest = {
    filter: ({ octets, direction }) => direction === 'out' && octets[12] === 0x08 && octets[13] === 0x00,
  }
  const capture = w.a.capture(target, request)
  const ping = w.a.icmp.ping('10.0.0.2')
  await w.sim.run(seconds(1))
  t.equal((await ping).outcome, 'reply')
  await capture.stop()
  const length = chunks.length
  const later = w.a.icmp.ping('10.0.0.2')
  await w.sim.run(seconds(1))
  await later
  t.equal(chunks.length, length, 'nothing after the end')
  const reader = new CaptureReader()
  const records = reader.push(Buffer.concat(chunks))
  t.same(
    records.map((record) => decode(record).map(({ protocol }) => protocol)[1]),
    ['IPv4'],
  )
  t.notOk(target.destroyed, 'a Writable stays its owner’s')
  t.throws(() => w.a.capture('/nonexistent/x.pcapng'), { code: 'ENOENT', message: /cannot be written/ })
  await w.sim.close()
})
