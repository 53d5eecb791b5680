/** The native engine over calls of the test's own: what a system rarely answers; and bursts over the real ones. */
import t, { type Test } from 'tap'
import { type DatagramCalls, datagramCalls, ERRNO } from '../../../layers/physical/libc.ts'
import type { Endpoint } from '../../../layers/physical/udp-tunnel/endpoint.ts'
import type { Engine, EngineUser } from '../../../layers/physical/udp-tunnel/engine.ts'
import { nativeEngine } from '../../../layers/physical/udp-tunnel/native-engine.ts'
import { type UdpTunnelService, udpTunnel } from '../../../layers/physical/udp-tunnel/udp-tunnel.ts'
import { Packet, packetsInUse, poisonReleased } from '../../../src/kernel/packet.ts'
import type { Node } from '../../../src/runtime/node.ts'
import { boot } from '../../../src/runtime/real-time.ts'
import { nativeMissing, until } from './udp-engines.ts'

poisonReleased(true)
const LOOPBACK = '127.0.0.1'
const QUEUE = 4

const skip = nativeMissing()

/** The system's calls, except that sending answers as it is told. */
class Calls {
  /** What the next calls end with, the first at first; then they succeed. */
  readonly errors: number[] = []
  /** What each call was asked to send, in messages. */
  readonly asked: number[] = []
  /** Messages a call takes at the most. */
  takes = Number.POSITIVE_INFINITY
  private last = 0
  readonly calls: DatagramCalls

  constructor() {
    const real = datagramCalls('Native UDP tunnels')
    this.calls = {
      ...real,
      sendmmsg: (fd, messages, count, flags) => {
        this.asked.push(count)
        this.last = this.errors.shift() ?? 0
        return this.last === 0 ? real.sendmmsg(fd, messages, Math.min(count, this.takes), flags) : -1
      },
      errno: () => (this.last === 0 ? real.errno() : this.last),
    }
  }
}

class User implements EngineUser {
  readonly arrived: Buffer[] = []
  overflows = 0
  refusals = 0
  readies = 0
  onDatagram: () => void = () => {}

  datagram(packet: Packet): void {
    this.arrived.push(Buffer.from(packet.bytes()))
    packet.release()
    this.onDatagram()
  }
  overflowed(packet: Packet): void {
    this.overflows++
    packet.release()
  }
  refused(): void {
    this.refusals++
  }
  ready(): void {
    this.readies++
  }
}

interface Side {
  readonly engine: Engine
  readonly user: User
  readonly node: Node<Engine>
}

async function side(calls?: DatagramCalls, queueLength = QUEUE): Promise<Side> {
  const user = new User()
  const local = { host: LOOPBACK, port: 0 }
  const options = { local, family: 4, sourcePorts: 0, bufferOctets: 1 << 20, queueLength } as const
  const node = await boot((env) => {
    const engine = nativeEngine(env, options, user, calls)
    env.defer(() => engine.close())
    env.starting(engine.start())
    return engine
  })
  return { engine: node.top, user, node }
}

function datagram(octets: number, mark: number): Packet {
  const packet = Packet.take(0, octets)
  packet.append(Buffer.alloc(octets, mark))
  return packet
}

/** From a side over `double` to one over the system. */
async function pair(
  t: Test,
  double: Calls,
  queueLength = QUEUE,
): Promise<{ from: Side; to: Side; close(): Promise<void> }> {
  const from = await side(double.calls, queueLength)
  const to = await side()
  const close = async (): Promise<void> => {
    await from.node.close()
    await to.node.close()
  }
  t.teardown(close)
  return { from, to, close }
}

t.test('a burst of any sizes arrives unchanged, in order, with few calls', { skip }, async (t) => {
  const before = packetsInUse()
  const double = new Calls()
  const { from, to, close } = await pair(t, double, 1024)
  const sizes = [...Array(100).fill(1400), 1399, 1400, 1401, 1, 0, 0, 9000, 9000, 8999, 65_507, ...Array(50).fill(64)]
  const peer: Endpoint = to.engine.local
  for (const [i, size] of sizes.entries()) t.ok(from.engine.send(datagram(size, i), peer, 0))
  t.equal(to.user.arrived.length, 0, 'nothing arrives before send has returned')
  await until(() => to.user.arrived.length === sizes.length, 'all')
  t.strictSame(
    to.user.arrived,
    sizes.map((size, i) => Buffer.alloc(size, i)),
  )
  t.ok(double.asked.length <= 4, `${double.asked} messages`)
  t.equal(from.user.refusals, 0)
  await close()
  t.equal(packetsInUse(), before)
})

for (const reason of ['EAGAIN', 'ENOBUFS'] as const) {
  t.test(`${reason}: a bounded queue, then drops, then one ready`, { skip }, async (t) => {
    const before = packetsInUse()
    const double = new Calls()
    const { from, to, close } = await pair(t, double)
    double.errors.push(ERRNO[reason], ERRNO[reason])
    const answers: boolean[] = []
    for (let i = 0; i < 3 * QUEUE; i++) answers.push(from.engine.send(datagram(60, i), to.engine.local, 0))
    t.same(answers.indexOf(false), QUEUE - 1, 'false when the queue is full')
    t.equal(from.user.overflows, QUEUE, 'twice as many are kept')
    t.equal(from.user.readies, 0, 'not before send has returned')
    await until(() => from.user.readies > 0, 'ready')
    await until(() => to.user.arrived.length === 2 * QUEUE, 'what was kept')
    t.same(
      to.user.arrived.map((octets) => octets[0]),
      [...Array(2 * QUEUE).keys()],
    )
    for (let i = 0; i < 3; i++) t.ok(from.engine.send(datagram(60, i), to.engine.local, 0))
    await until(() => to.user.arrived.length === 2 * QUEUE + 3, 'more')
    t.equal(from.user.readies, 1)
    t.equal(from.user.refusals, 0)
    await close()
    t.equal(packetsInUse(), before)
  })
}

t.test('what is refused is lost and counted; what is behind it goes out', { skip }, async (t) => {
  const double = new Calls()
  const { from, to, close } = await pair(t, double, 64)
  double.errors.push(ERRNO.EHOSTUNREACH, ERRNO.EINTR, ERRNO.ECONNREFUSED)
  from.engine.send(datagram(60, 1), to.engine.local, 0)
  from.engine.send(datagram(61, 2), to.engine.local, 0)
  from.engine.send(datagram(62, 3), to.engine.local, 0)
  await until(() => to.user.arrived.length === 1, 'the third')
  t.equal(from.user.refusals, 2)
  t.equal(to.user.arrived[0]?.[0], 3)
  await close()
})

t.test('what the system would not cut goes one by one, and from then on', { skip }, async (t) => {
  const double = new Calls()
  const { from, to, close } = await pair(t, double, 64)
  double.errors.push(ERRNO.EINVAL)
  for (let i = 0; i < 5; i++) from.engine.send(datagram(1400, i), to.engine.local, 0)
  await until(() => to.user.arrived.length === 5, 'all five')
  t.same(double.asked, [1, 5])
  for (let i = 0; i < 5; i++) from.engine.send(datagram(1400, i), to.engine.local, 0)
  for (let i = 0; i < 5; i++) from.engine.send(datagram(1399, i), to.engine.local, 0)
  await until(() => to.user.arrived.length === 15, 'ten more')
  t.same(double.asked, [1, 5, 6], 'shorter ones are still joined')
  t.equal(from.user.refusals, 0)
  await close()
})

t.test('a call that takes a part of the messages', { skip }, async (t) => {
  const double = new Calls()
  const { from, to, close } = await pair(t, double, 64)
  double.takes = 2
  for (let i = 0; i < 10; i++) from.engine.send(datagram(100 + i, i), to.engine.local, 0)
  await until(() => to.user.arrived.length === 10, 'all')
  t.same(
    to.user.arrived.map((octets) => octets[0]),
    [...Array(10).keys()],
  )
  t.same(double.asked, [10, 8, 6, 4, 2])
  await close()
})

t.test('closed while it drains, and while it waits', { skip }, async (t) => {
  const before = packetsInUse()
  const double = new Calls()
  const { from, to, close } = await pair(t, double, 64)
  let closed: Promise<void> | undefined
  to.user.onDatagram = () => {
    closed ??= to.node.close()
  }
  for (let i = 0; i < 40; i++) from.engine.send(datagram(200 + (i >> 1), i), to.engine.local, 0)
  await until(() => closed !== undefined, 'the first datagram')
  await closed
  t.equal(to.user.arrived.length, 1, 'nothing after it')
  double.errors.push(ERRNO.EAGAIN)
  from.engine.send(datagram(200, 0), to.engine.local, 0)
  await new Promise(setImmediate)
  await close()
  t.equal(packetsInUse(), before)
})

t.test('a super-segment leaves as frames of the wire, with one call', { skip }, async (t) => {
  const received: Buffer[] = []
  const to = await boot(udpTunnel({ engine: 'native', local: { host: LOOPBACK, port: 0 }, learnPeers: true }))
  const from = await boot(udpTunnel({ engine: 'native', local: { host: LOOPBACK, port: 0 }, peers: [to.top.local] }))
  t.teardown(() => from.close())
  t.teardown(() => to.close())
  to.top.boundary.attach({
    receive(packet) {
      received.push(Buffer.from(packet.bytes()))
      packet.release()
    },
  })
  from.top.send(superSegment(from.top, 1000, 4500), undefined)
  await until(() => received.length === 5, 'five frames')
  t.same(
    received.map((frame) => frame.length),
    [1054, 1054, 1054, 1054, 554],
  )
  t.same(
    received.map((frame) => frame.readInt32BE(14 + 20 + 4)),
    [7, 1007, 2007, 3007, 4007],
    'sequence numbers',
  )
  t.equal(from.top.boundary.txPackets, 5)
  from.top.send(superSegment(from.top, 1450, 2900), undefined)
  t.equal(from.top.boundary.drops.get('tooLong'), 2, 'frames that would be too long')
})

/** IPv4 and TCP without options, the checksum left open. */
function superSegment(service: UdpTunnelService, segment: number, payload: number): Packet {
  const headers = 14 + 20 + 20
  const packet = Packet.take(service.headroom, headers + payload)
  const at = packet.put(headers + payload)
  packet.octets.fill(0, at, packet.end)
  packet.view.setUint16(at + 12, 0x0800)
  packet.view.setUint8(at + 14, 0x45)
  packet.view.setUint8(at + 14 + 9, 6)
  packet.view.setInt32(at + 14 + 20 + 4, 7)
  packet.view.setUint8(at + 14 + 20 + 12, 0x50)
  packet.segmentOctets = segment
  packet.headerOctets = 20
  packet.checksum = 'partial'
  packet.checksumStart = at + 14 + 20
  packet.checksumOffset = 16
  return packet
}
