/** VXLAN with the kernel's own VXLAN devices as peers (RFC 7348). */
import t from 'tap'
import { type UdpTunnelService, udpTunnel } from '../../layers/physical/udp-tunnel/udp-tunnel.ts'
import { packetsInUse, poisonReleased } from '../../src/kernel/packet.ts'
import { boot } from '../../src/runtime/real-time.ts'
import { answered, flooded } from './echoes.ts'
import { answerFrame, type Cleaning, enter, type Namespace, namespace, oracle } from './helpers.ts'

poisonReleased(true)
t.setTimeout(600_000)
const VNI = 42
const skip = oracle('root', 'ip', 'ping', 'bridge')

/** A namespace with a kernel, joined to `ours` by a wire with the addresses NET.1 (the kernel's) and NET.2. */
function kernelBeside(t: Cleaning, ours: Namespace, wire: string, net: string): Namespace {
  const kernel = namespace(t)
  kernel.ip('link', 'add', 'u0', 'type', 'veth', 'peer', 'name', wire, 'netns', ours.name)
  kernel.ip('addr', 'add', `${net}.1/24`, 'dev', 'u0')
  kernel.ip('link', 'set', 'u0', 'up')
  ours.ip('addr', 'add', `${net}.2/24`, 'dev', wire)
  ours.ip('link', 'set', wire, 'up')
  return kernel
}

/** A VXLAN device on u0, with 10.9.0.HOST/24 inside; `remote` is its only peer. */
function vxlanDevice(kernel: Namespace, local: string, host: number, remote: readonly string[]): void {
  kernel.ip(
    'link',
    'add',
    'vx0',
    'type',
    'vxlan',
    'id',
    `${VNI}`,
    'local',
    local,
    ...remote,
    'dstport',
    '4789',
    'dev',
    'u0',
  )
  kernel.ip('addr', 'add', `10.9.0.${host}/24`, 'dev', 'vx0')
  kernel.ip('link', 'set', 'vx0', 'up')
}

/** Answers as the station 02:00:00:00:00:HOST with 10.9.0.HOST. */
function answering(service: UdpTunnelService, host: number): void {
  service.boundary.attach({
    receive(packet) {
      if (answerFrame(packet, 0x02_00_00_00_00_00 + host, 0x0a09_0000 + host))
        service.send(packet.withRoom(service.headroom, service.tailroom), undefined)
      else packet.release()
    },
  })
}

/** Pings 20 times. @returns how many were answered. */
function pings(kernel: Namespace, host: number, ...options: readonly string[]): Promise<number> {
  return answered(kernel, 20, '-i', '0.005', ...options, `10.9.0.${host}`)
}

for (const engine of ['dgram', 'native'] as const) {
  t.test(`${engine}: a kernel pings us through its VXLAN device`, { skip: skip || oracle('tshark') }, async (t) => {
    const before = packetsInUse()
    const ours = namespace(t)
    const kernel = kernelBeside(t, ours, 'w0', '192.0.2')
    vxlanDevice(kernel, '192.0.2.1', 1, ['remote', '192.0.2.2'])
    enter(t, ours)
    const node = await boot(udpTunnel({ engine, vni: VNI, peers: [{ host: '192.0.2.1' }] }))
    t.teardown(() => node.close())
    answering(node.top, 2)
    const capture = kernel.run(
      'tshark',
      ...['-q', '-l', '-i', 'u0', '-f', 'udp dst port 4789 and src host 192.0.2.2', '-c', '20', '-a', 'duration:110'],
      ...[
        '-Q',
        '-T',
        'fields',
        '-e',
        'udp.srcport',
        '-e',
        'vxlan.flags',
        '-e',
        'vxlan.vni',
        '-e',
        'icmp.checksum.status',
      ],
    )
    for (const size of ['0', '56', '1422']) {
      t.equal(await pings(kernel, 2, '-M', 'do', '-s', size), 20, `${size} octets`)
    }
    t.equal(await flooded(kernel, 1000, '10.9.0.2'), 1000, 'a flood')
    const fault = [...node.top.boundary.drops].filter(([, count]) => count > 0)
    t.same(fault, [])
    // tshark does not say when it has begun: ping until it has seen enough.
    let done = false
    void capture.then(() => {
      done = true
    })
    while (!done) await pings(kernel, 2)
    const lines = (await capture).output
      .trim()
      .split('\n')
      .filter((line) => /^\d+\t/.test(line))
    t.ok(lines.length >= 10, 'tshark has seen our datagrams')
    for (const line of lines) {
      const [port, flags, vni] = line.split('\t')
      t.ok(Number(port) >= 49_152, `source port ${port} is a dynamic one, by flow`)
      t.match(flags, /0x0*800$/)
      t.equal(Number(vni), VNI)
    }
    await node.close()
    t.equal(packetsInUse(), before)
  })

  t.test(`${engine}: two kernels as peers of one tunnel: flooding, then learning`, { skip }, async (t) => {
    const ours = namespace(t)
    const first = kernelBeside(t, ours, 'w0', '192.0.2')
    const second = kernelBeside(t, ours, 'w1', '198.51.100')
    vxlanDevice(first, '192.0.2.1', 11, ['remote', '192.0.2.2'])
    vxlanDevice(second, '198.51.100.1', 12, ['remote', '198.51.100.2'])
    enter(t, ours)
    const node = await boot(udpTunnel({ engine, vni: VNI, peers: [{ host: '192.0.2.1' }, { host: '198.51.100.1' }] }))
    t.teardown(() => node.close())
    answering(node.top, 2)
    t.equal(await answered(first, 200, '-i', '0.005', '10.9.0.2'), 200)
    t.equal(await answered(second, 5, '-i', '0.05', '10.9.0.2'), 5)
    t.equal(node.top.learning.learned, 2)
    t.equal(node.top.learning.moved, 0)
    // What was for the first did not reach the second: its device has seen little more than its own traffic.
    const received = (kernel: Namespace) =>
      JSON.parse(kernel.ip('-j', '-s', 'link', 'show', 'vx0'))[0].stats64.rx.packets as number
    t.ok(received(second) < 100, `${received(first)} and ${received(second)} packets`)
  })

  t.test(`${engine}: a kernel with two of our tunnels as peers learns where we are`, { skip }, async (t) => {
    const ours = namespace(t)
    const kernel = kernelBeside(t, ours, 'w0', '192.0.2')
    ours.ip('addr', 'add', '192.0.2.3/24', 'dev', 'w0')
    vxlanDevice(kernel, '192.0.2.1', 1, [])
    for (const address of ['192.0.2.2', '192.0.2.3'])
      await kernel.run('bridge', 'fdb', 'append', '00:00:00:00:00:00', 'dev', 'vx0', 'dst', address)
    enter(t, ours)
    for (const host of [2, 3]) {
      const node = await boot(
        udpTunnel({ engine, vni: VNI, local: { host: `192.0.2.${host}` }, peers: [{ host: '192.0.2.1' }] }),
        `n${host}`,
      )
      t.teardown(() => node.close())
      answering(node.top, host)
    }
    t.equal(await pings(kernel, 2), 20)
    t.equal(await pings(kernel, 3), 20)
    const { output } = await kernel.run('bridge', 'fdb', 'show', 'dev', 'vx0')
    t.match(output, /02:00:00:00:00:02 .*dst 192\.0\.2\.2/)
    t.match(output, /02:00:00:00:00:03 .*dst 192\.0\.2\.3/)
  })

  t.test(`${engine}: a kernel of another segment is not heard`, { skip }, async (t) => {
    const ours = namespace(t)
    const kernel = kernelBeside(t, ours, 'w0', '192.0.2')
    vxlanDevice(kernel, '192.0.2.1', 1, ['remote', '192.0.2.2'])
    enter(t, ours)
    const node = await boot(udpTunnel({ engine, vni: VNI + 1, peers: [{ host: '192.0.2.1' }] }))
    t.teardown(() => node.close())
    answering(node.top, 2)
    t.match((await kernel.run('ping', '-q', '-c', '2', '-W', '1', '10.9.0.2')).output, ' 0 received')
    t.ok((node.top.boundary.drops.get('wrongVni') ?? 0) > 0)
    t.equal(node.top.boundary.rxPackets, 0)
  })
}
