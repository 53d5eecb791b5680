/** The port over a C library of the test's own: what a kernel rarely does. */
import { execFileSync } from 'node:child_process'
import { constants, mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { ERRNO, type Libc } from '../../../layers/physical/libc.ts'
import { type TunLimits, TunPort } from '../../../layers/physical/tun-port.ts'
import { ms } from '../../../src/kernel/clock.ts'
import { Packet, packetsInUse, poisonReleased } from '../../../src/kernel/packet.ts'
import { slab } from '../../../src/kernel/slab.ts'
import { Simulation } from '../../../src/runtime/simulation.ts'

poisonReleased(true)
const IFF_UP = 1
const SIOCGIFFLAGS = 0x8913

/** A device that answers as it is told. */
class Device implements Libc {
  /** What every write ends with; 0: it is taken. */
  writeErrno = 0
  /** Packets that wait to be read, each of `readOctets`. */
  waiting = 0
  readOctets = 60
  up = true
  /** What a read takes, and what all have taken, in microseconds. */
  readUs = 0
  spentUs = 0
  readonly written: Buffer[] = []
  private last = 0

  read(_fd: number, to: number, octets: number): number {
    if (this.waiting === 0) return this.fail(ERRNO.EAGAIN)
    this.waiting--
    this.spentUs += this.readUs
    const length = Math.min(octets, this.readOctets)
    slab().octets.fill(0, to, to + length)
    return length
  }

  write(_fd: number, from: number, octets: number): number {
    if (this.writeErrno !== 0) return this.fail(this.writeErrno)
    this.written.push(Buffer.from(slab().octets.subarray(from, from + octets)))
    return octets
  }

  ioctl(_fd: number, request: number, argument: Uint8Array): number {
    const view = new DataView(argument.buffer, argument.byteOffset)
    if (request === SIOCGIFFLAGS) view.setUint16(16, this.up ? IFF_UP : 0, true)
    else view.setInt32(16, 1500, true)
    return 0
  }

  ioctlValue(): number {
    return 0
  }
  socket(): number {
    return -1
  }
  setns(): number {
    return -1
  }
  poll(): void {}
  errno(): number {
    return this.last
  }
  slabAddress(): number {
    return 0
  }

  private fail(errno: number): number {
    this.last = errno
    return -1
  }
}

const LIMITS: TunLimits = { queueLength: 4, turnPackets: 64, turnUs: 1000 }

async function start(
  t: { teardown(cleanup: () => unknown): unknown },
  limits: Partial<TunLimits> = {},
  vnetHdr = false,
) {
  const folder = mkdtempSync(join(tmpdir(), 'netstrata-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  execFileSync('mkfifo', [join(folder, 'fifo')])
  const fd = openSync(join(folder, 'fifo'), constants.O_RDWR | constants.O_NONBLOCK)
  const control = openSync('/dev/null', 'r')
  const device = new Device()
  const open = { fd, control, name: 'x0', vnetHdr, assumedMtu: 1500 }
  const sim = new Simulation()
  const node = sim.boot('A', (env) => {
    const clock = { now: () => env.clock.now() + device.spentUs }
    return new TunPort(Object.create(env, { clock: { value: clock } }), device, open, 'ethernet', {
      ...LIMITS,
      ...limits,
    })
  })
  t.teardown(() => sim.close())
  const told: string[] = []
  let received = 0
  node.top.boundary.attach({
    receive(packet) {
      received++
      packet.release()
    },
    ready: () => told.push('ready'),
    linkChanged: (state) => told.push(state),
  })
  const send = (mark: number) => {
    const packet = Packet.take(node.top.headroom, 60)
    packet.octets.fill(mark, packet.put(60), packet.end)
    return node.top.send(packet, undefined)
  }
  const later = (duration: number) => sim.run(ms(duration))
  return { node, port: node.top, device, told, send, later, received: () => received }
}

for (const vnetHdr of [false, true]) {
  t.test(`a kernel that takes no more for now, vnet_hdr ${vnetHdr}`, async (t) => {
    const before = packetsInUse()
    const { node, port, device, told, send, later } = await start(t, {}, vnetHdr)
    device.writeErrno = ERRNO.EAGAIN
    const dropped: Buffer[] = []
    port.boundary.watch({ drop: (packet) => dropped.push(Buffer.from(packet.bytes())) })
    t.same([1, 2, 3, 4, 5].map(send), [true, true, true, false, false])
    t.same([6, 7, 8, 9].map(send), [false, false, false, false])
    t.equal(port.boundary.drops.get('queueFull'), 1)
    t.same(dropped, [Buffer.alloc(60, 9)], 'a tap sees the frame, without what we put in front')
    await later(20)
    t.same(told, [], 'nothing is ready yet')
    device.writeErrno = 0
    await later(20)
    t.same(told, ['ready'], 'once')
    t.same(
      device.written.map((octets) => octets[octets.length - 1]),
      [1, 2, 3, 4, 5, 6, 7, 8],
      'in order',
    )
    t.equal(device.written[0]?.length, vnetHdr ? 70 : 60)
    device.writeErrno = ERRNO.ENOBUFS
    send(10)
    await node.close()
    t.equal(port.boundary.drops.get('linkDown'), 1, 'what waits is dropped')
    t.equal(packetsInUse(), before)
  })
}

t.test('a write that shows that the device is down: told on a later turn, and again when it is back', async (t) => {
  const { port, device, told, send, later } = await start(t)
  device.writeErrno = ERRNO.EIO
  device.up = false
  t.ok(send(1))
  t.same(told, [])
  await later(20)
  t.same(told, ['down'])
  device.writeErrno = 0
  send(2)
  t.equal(device.written.length, 0, 'not tried')
  t.equal(port.boundary.drops.get('linkDown'), 2)
  device.up = true
  await later(400)
  t.same(told, ['down', 'up'])
  send(3)
  t.equal(device.written.length, 1)
})

t.test('a packet the kernel refuses is lost alone', async (t) => {
  const { port, device, told, send } = await start(t)
  device.writeErrno = ERRNO.EINVAL
  t.ok(send(1))
  device.writeErrno = 0
  t.ok(send(2))
  t.equal(port.boundary.drops.get('writeFailed'), 1)
  t.equal(device.written.length, 1)
  t.same(told, [])
})

t.test('a turn ends after so many packets, or so much time', async (t) => {
  const { port, device, received } = await start(t, { turnPackets: 10 })
  device.waiting = 1000
  port.woken()
  t.equal(received(), 10)
  port.woken()
  t.equal(received(), 20)
  const slow = await start(t, { turnUs: 1000 })
  slow.device.waiting = 1000
  slow.device.readUs = 100
  slow.port.woken()
  t.equal(slow.received(), 10)
})

t.test('packets longer than the device should have are counted, not delivered', async (t) => {
  const before = packetsInUse()
  const { port, device, received } = await start(t)
  device.waiting = 1
  device.readOctets = 1518
  port.woken()
  t.equal(received(), 1, 'a tag comes on top of the MTU')
  device.waiting = 1
  device.readOctets = 1519
  port.woken()
  device.waiting = 1
  port.woken()
  t.equal(received(), 1)
  t.equal(port.boundary.drops.get('truncated'), 2)
  t.equal(packetsInUse(), before)
})

t.test('with vnet_hdr small packets do not hold large slots', async (t) => {
  const { port, device } = await start(t, {}, true)
  const slots: number[] = []
  port.boundary.watch({ packet: (packet) => slots.push(packet.limit - packet.base) })
  device.waiting = 1
  device.readOctets = 70
  port.woken()
  device.waiting = 1
  device.readOctets = 9000
  port.woken()
  t.same(slots, [2048, 69_632])
})
