/** Geneve (RFC 8926) with Open vSwitch's userspace switch as the other end, and tshark as the witness. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { join } from 'node:path'
import t from 'tap'
import { boot, ethernet, ip, ipv4, sockets, stack, tcp, udp, udpTunnel } from '../../src/index.ts'
import { answered } from './echoes.ts'
import { type Cleaning, type Namespace, namespace, oracle, run, within } from './helpers.ts'
import { folder, payload, payloadHash } from './payload.ts'

t.setTimeout(600_000)
const VNI = 0xabcdef
const FILE_OCTETS = 4 << 20
const skip = oracle('root', 'tun', 'ip', 'ping', 'curl', 'ethtool', 'tshark', 'ovs-vswitchd')

/** A switch whose port is a Geneve tunnel to 192.0.2.2; its own end of the network inside is 10.9.0.1. */
async function openVswitch(t: Cleaning & Parameters<typeof folder>[0], ours: Namespace): Promise<Namespace> {
  const inside = namespace(t)
  const home = folder(t)
  const socket = `unix:${join(home, 'db.sock')}`
  const start = (ready: RegExp, program: string, ...args: string[]) =>
    inside.start(ready, 'env', `OVS_RUNDIR=${home}`, `OVS_LOGDIR=${home}`, program, ...args)
  const database = join(home, 'conf.db')
  await run('ovsdb-tool', 'create', database, '/usr/share/openvswitch/vswitch.ovsschema')
  await start(/ovsdb-server \(Open vSwitch\)/, 'ovsdb-server', database, `--remote=p${socket}`)
  const configure = async (...args: string[]) => {
    const { code, output } = await inside.run('ovs-vsctl', `--db=${socket}`, '--timeout=60', ...args)
    if (code !== 0) throw new Error(output)
  }
  await configure('--no-wait', 'init')
  await start(/ovs-vswitchd \(Open vSwitch\)/, 'ovs-vswitchd', socket)

  inside.ip('link', 'add', 'u0', 'type', 'veth', 'peer', 'name', 'w0', 'netns', ours.name)
  inside.ip('link', 'set', 'u0', 'up')
  ours.ip('addr', 'add', '192.0.2.2/24', 'dev', 'w0')
  ours.ip('link', 'set', 'w0', 'up')
  for (const [where, device] of [[inside, 'u0'] as const, [ours, 'w0'] as const])
    await where.run('ethtool', '-K', device, 'tx', 'off')
  const bridge = (name: string, port: string) => [
    'add-br',
    name,
    '--',
    'set',
    'bridge',
    name,
    'datapath_type=netdev',
    '--',
    'add-port',
    name,
    port,
  ]
  await configure(...bridge('outer', 'u0'))
  inside.ip('addr', 'add', '192.0.2.1/24', 'dev', 'outer')
  inside.ip('link', 'set', 'outer', 'up')
  const remote = ['type=geneve', 'options:remote_ip=192.0.2.2', `options:key=${VNI}`]
  await configure(...bridge('inner', 'tunnel'), '--', 'set', 'interface', 'tunnel', ...remote)
  await inside.run('ethtool', '-K', 'inner', 'tx', 'off')
  inside.ip('addr', 'add', '10.9.0.1/24', 'dev', 'inner')
  inside.ip('link', 'set', 'inner', 'mtu', '1450', 'up')
  return inside
}

for (const engine of ['dgram', 'native'] as const) {
  t.test(`${engine}: Open vSwitch is the other end`, { skip }, async (t) => {
    const ours = namespace(t)
    const inside = await openVswitch(t, ours)
    const tunnel = udpTunnel({ codec: 'geneve', engine, vni: VNI, peers: [{ host: '192.0.2.1' }] })
    const host = stack(tunnel, ethernet(), ip(ipv4({ address: '10.9.0.2/24' })), sockets(tcp(), udp()))
    const node = await within(ours, () => boot(host))
    t.teardown(() => node.close())
    const server = createServer((_request, response) => void payload((n) => n < FILE_OCTETS).stream.pipe(response))
    await once(node.net.attach(server).listen(80), 'listening')

    const fields = ['udp.dstport', 'geneve.vni', 'geneve.proto_type', '_ws.malformed'].flatMap((name) => ['-e', name])
    const watched = ours.run(
      'tshark',
      ...['-Q', '-l', '-i', 'w0', '-f', 'udp dst port 6081 and src host 192.0.2.2', '-c', '40', '-a', 'duration:110'],
      ...['-T', 'fields', ...fields],
    )
    let seen = false
    void watched.then(() => (seen = true))
    for (const size of ['0', '1400', '20000']) {
      t.equal(await answered(inside, 5, '-i', '0.05', '-s', size, '10.9.0.2'), 5, `pings of ${size} octets`)
    }
    await node.icmp.ping('10.9.0.1', { size: 1000 })
    const { output } = await inside.run('sh', '-c', 'curl -s http://10.9.0.2/ | sha256sum')
    t.equal(output.split(' ')[0], payloadHash(FILE_OCTETS), 'every octet arrives')
    // tshark does not say when it has begun.
    while (!seen) await answered(inside, 5, '-i', '0.05', '10.9.0.2')
    const lines = (await watched).output.split('\n').filter((line) => line.startsWith('6081'))
    t.equal(lines.length, 40)
    t.same([...new Set(lines.map((line) => line.trim()))], ['6081\t0xabcdef\t0x6558'], 'nothing is malformed')
  })
}
