/** TAP and TUN devices with the kernel of this machine on the other side. */
import { closeSync, constants, mkdtempSync, openSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { type DeviceService, tapDevice } from '../../layers/physical/tap-device.ts'
import { tunDevice } from '../../layers/physical/tun-device.ts'
import { checksum, pseudoHeaderIpv4 } from '../../src/kernel/checksum.ts'
import { Packet, packetsInUse, poisonReleased } from '../../src/kernel/packet.ts'
import { boot } from '../../src/runtime/real-time.ts'
import { answered, flooded } from './echoes.ts'
import { answerEcho, answerFrame, namespace, oracle, run, until } from './helpers.ts'

poisonReleased(true)
t.setTimeout(600_000)
const MAC = 0x02_00_00_00_be_ef
/** 10.9.0.2 */
const ADDRESS = 0x0a09_0002
const skip = oracle('root', 'tun', 'ip', 'ping')

function answering(service: DeviceService<'ethernet'>): void {
  service.boundary.attach({
    receive(packet) {
      if (answerFrame(packet, MAC, ADDRESS)) service.send(packet.withRoom(service.headroom, 0), undefined)
      else packet.release()
    },
  })
}

for (const vnetHdr of [false, true]) {
  t.test(`the kernel pings us through TAP, vnet_hdr ${vnetHdr}`, { skip }, async (t) => {
    const before = packetsInUse()
    const ns = namespace(t)
    const node = await boot(tapDevice({ name: 'x0', netns: ns.name, vnetHdr, mtu: 9000 }))
    t.teardown(() => node.close())
    t.equal(node.top.mtu, 9014)
    t.match(ns.ip('-br', 'link', 'show', 'x0'), /UP/, 'what we create is brought up')
    answering(node.top)
    ns.ip('addr', 'add', '10.9.0.1/24', 'dev', 'x0')
    for (const size of ['0', '56', '1472', '8972']) {
      const options = ['-i', '0.005', '-M', 'do', '-s', size, '10.9.0.2']
      t.equal(await answered(ns, 20, ...options), 20, `${size} octets`)
    }
    t.equal(await flooded(ns, 2000, '10.9.0.2'), 2000, 'a flood')
    t.same(
      [...node.top.boundary.drops.values()].filter((n) => n > 0),
      [],
    )
    await node.close()
    t.throws(() => ns.ip('link', 'show', 'x0'), 'the device goes with the node')
    t.equal(packetsInUse(), before)
  })
}

t.test('the kernel pings us through TUN', { skip }, async (t) => {
  const ns = namespace(t)
  const node = await boot(tunDevice({ name: 'u0', netns: ns.name }))
  t.teardown(() => node.close())
  t.equal(node.top.mtu, 1500)
  node.top.boundary.attach({
    receive(packet) {
      if (packet.length >= 20 && answerEcho(packet, packet.start, ADDRESS)) node.top.send(packet, undefined)
      else packet.release()
    },
  })
  ns.ip('addr', 'add', '10.9.0.1/24', 'dev', 'u0')
  t.equal(await answered(ns, 50, '-i', '0.005', '-s', '1472', '10.9.0.2'), 50)
})

t.test('checksums are left open both ways over vnet_hdr', { skip: skip || oracle('socat') }, async (t) => {
  const ns = namespace(t)
  const node = await boot(tapDevice({ name: 'x0', netns: ns.name, vnetHdr: true }))
  t.teardown(() => node.close())
  const { top } = node
  t.same(top.offload, { segment: 65_549, checksum: true })
  ns.ip('addr', 'add', '10.9.0.1/24', 'dev', 'x0')
  ns.ip('neigh', 'add', '10.9.0.2', 'lladdr', '02:00:00:00:be:ef', 'dev', 'x0')
  let seen = 0
  top.boundary.attach({
    receive(packet) {
      const { view, octets, start } = packet
      const udp = start + 34
      if (view.getUint16(start + 12) !== 0x0800 || view.getUint8(start + 23) !== 17) return packet.release()
      seen++
      t.equal(packet.checksum, 'partial')
      t.equal(packet.checksumStart, udp)
      t.equal(packet.checksumOffset, 6)
      // The echo: addresses and ports change places, which leaves the pseudo-header's sum as it is.
      octets.copyWithin(start, start + 6, start + 12)
      view.setInt32(start + 6, 0x0200_0000)
      view.setUint16(start + 10, 0xbeef)
      const source = view.getInt32(start + 26)
      view.setInt32(start + 26, view.getInt32(start + 30))
      view.setInt32(start + 30, source)
      const port = view.getUint16(udp)
      view.setUint16(udp, view.getUint16(udp + 2))
      view.setUint16(udp + 2, port)
      const length = view.getUint16(udp + 4)
      const pseudo = pseudoHeaderIpv4(source, view.getInt32(start + 26), 17, length)
      t.equal(view.getUint16(udp + 6), ~checksum(udp, 0, pseudo) & 0xffff, 'the field holds the pseudo-header')
      top.send(packet.withRoom(top.headroom, 0), undefined)
    },
  })
  const { output } = await ns.run('sh', '-c', 'echo over to you | socat -t 60 - UDP4:10.9.0.2:7,readbytes=12')
  t.equal(output, 'over to you\n', 'the kernel has completed and verified what we sent')
  t.equal(seen, 1)
})

for (const vnetHdr of [false, true]) {
  t.test(
    `TCP between two kernels through two devices, vnet_hdr ${vnetHdr}`,
    { skip: skip || oracle('iperf3') },
    async (t) => {
      const before = packetsInUse()
      const client = namespace(t)
      const server = namespace(t)
      const a = await boot(tapDevice({ name: 'x0', netns: client.name, vnetHdr }))
      t.teardown(() => a.close())
      const b = await boot(tapDevice({ name: 'x0', netns: server.name, vnetHdr }))
      t.teardown(() => b.close())
      let superSegments = 0
      for (const [from, to] of [[a.top, b.top] as const, [b.top, a.top] as const]) {
        from.boundary.attach({
          receive(packet) {
            if (packet.segments > 1) superSegments++
            to.send(packet.withRoom(to.headroom, to.tailroom), undefined)
          },
        })
      }
      client.ip('addr', 'add', '10.9.0.1/24', 'dev', 'x0')
      server.ip('addr', 'add', '10.9.0.2/24', 'dev', 'x0')
      await server.start(/listening/, 'iperf3', '-s', '-1', '--forceflush')
      const { code, output } = await client.run('iperf3', '-c', '10.9.0.2', '-n', '30M', '-J')
      t.equal(code, 0, output)
      const { end } = JSON.parse(output)
      t.ok(end.sum_received.bytes > 25_000_000, `${Math.round(end.sum_received.bits_per_second / 1e6)} Mbit/s`)
      t.equal(superSegments > 0, vnetHdr, `${superSegments} super-segments`)
      const octets = a.top.boundary.rxOctets / a.top.boundary.rxPackets
      t.ok(octets <= 1514, 'packets are counted as those of the wire')
      await a.close()
      await b.close()
      t.equal(packetsInUse(), before)
    },
  )
}

t.test('a device that goes down, changes, comes back and is removed', { skip }, async (t) => {
  const ns = namespace(t)
  ns.ip('tuntap', 'add', 'dev', 'x0', 'mode', 'tap')
  const node = await boot(tapDevice({ name: 'x0', netns: ns.name }))
  t.teardown(() => node.close())
  const told: string[] = []
  node.top.boundary.attach({
    receive: (packet) => packet.release(),
    linkChanged: (state, reason) => told.push(`${state}: ${reason}`),
  })
  const frame = (): Packet => {
    const packet = Packet.take(node.top.headroom, 60)
    packet.octets.fill(0xff, packet.put(60), packet.end)
    return packet
  }
  await until(() => told.length === 1, 'it is down at first')
  node.top.send(frame(), undefined)
  t.equal(node.top.boundary.drops.get('linkDown'), 1)
  ns.ip('link', 'set', 'x0', 'up')
  await until(() => told.length === 2, 'up')
  node.top.send(frame(), undefined)
  t.equal(node.top.boundary.drops.get('linkDown'), 1, 'a frame passes')
  ns.ip('link', 'set', 'x0', 'mtu', '1400')
  await until(() => told.length === 3, 'MTU')
  t.equal(node.top.mtu, 1414)
  ns.ip('link', 'set', 'x0', 'down')
  node.top.send(frame(), undefined)
  t.equal(node.top.boundary.drops.get('linkDown'), 2, 'noticed by the write')
  t.equal(told.length, 3, 'told later')
  await until(() => told.length === 4, 'down')
  ns.ip('link', 'del', 'x0')
  await until(() => !/x0/.test(ns.ip('-br', 'link')), 'removed')
  node.top.send(frame(), undefined)
  t.equal(node.top.boundary.drops.get('linkDown'), 3)
  t.same(told, ['down: x0 is down', 'up: x0 is up', 'up: the MTU of x0 is now 1400', 'down: x0 is down'])
})

t.test('what cannot be opened: one sentence, and nothing is left behind', { skip }, async (t) => {
  const ns = namespace(t)
  const open = () => readdirSync('/proc/self/fd').length
  const node = await boot(tapDevice({ name: 'x0', netns: ns.name }))
  const before = open()
  const fails = async (blueprint: ReturnType<typeof tapDevice>, code: string, message: RegExp) =>
    t.rejects(boot(blueprint), { code, message })
  await fails(tapDevice({ name: 'x0', netns: ns.name }), 'EBUSY', /'x0' in namespace .* is in use by another process/)
  await fails(tapDevice({ name: 'lo', netns: ns.name }), 'EINVAL', /'lo' exists, but is not a single-queue TAP device/)
  await fails(tapDevice({ name: 'x1', netns: 'nst-none' }), 'ENOENT', /make it with 'ip netns add nst-none'/)
  await fails(tapDevice({ name: 'x1', netns: '/dev/null' }), 'EINVAL', /is not a network namespace/)
  await fails(tapDevice({ fd: 0x7fff_0000 }), 'EINVAL', /file descriptor 2147418112 is not open/)
  t.equal(open(), before)
  t.notMatch(ns.ip('-br', 'link'), /x1/)
  await node.close()
  const again = await boot(tapDevice({ name: 'x0', netns: ns.name, persist: true }))
  await again.close()
  t.match(ns.ip('-br', 'link'), /x0/, 'a persistent device stays')
})

t.test('a macvtap by its descriptor', { skip }, async (t) => {
  const ns = namespace(t)
  ns.ip('link', 'add', 'v0', 'type', 'veth', 'peer', 'name', 'v1')
  ns.ip('link', 'set', 'v0', 'up')
  ns.ip('link', 'set', 'v1', 'up')
  ns.ip('addr', 'add', '10.9.0.1/24', 'dev', 'v0')
  ns.ip(
    'link',
    'add',
    'link',
    'v1',
    'name',
    'm0',
    'address',
    '02:00:00:00:be:ef',
    'type',
    'macvtap',
    'mode',
    'passthru',
  )
  ns.ip('link', 'set', 'm0', 'up')
  const numbers = (await ns.run('sh', '-c', 'cat /sys/class/net/m0/macvtap/tap*/dev')).output.trim().split(':')
  const folder = mkdtempSync(join(tmpdir(), 'netstrata-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'tap')
  t.equal((await run('mknod', path, 'c', ...numbers)).code, 0)
  const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK)
  const node = await boot(tapDevice({ fd })).catch((error) => {
    closeSync(fd)
    throw error
  })
  t.teardown(() => node.close())
  t.ok(node.top.offload.checksum, 'a macvtap always has vnet_hdr')
  answering(node.top)
  t.equal(await answered(ns, 20, '-i', '0.005', '10.9.0.2'), 20)
})
