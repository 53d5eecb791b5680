/** A bridge of ours joins two kernels, and is a station beside them. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import t from 'tap'
import {
  beside,
  boot,
  bridge,
  ethernet,
  formatMac,
  ip,
  ipv4,
  sockets,
  stack,
  tapDevice,
  tcp,
  udp,
} from '../../src/index.ts'
import { packetsInUse, poisonReleased } from '../../src/kernel/packet.ts'
import { answered } from './echoes.ts'
import { addAddress, namespace, oracle } from './helpers.ts'
import { payload, payloadFile, payloadHash } from './payload.ts'

poisonReleased(true)
t.setTimeout(600_000)
const FILE_OCTETS = 20 << 20
const skip = oracle('root', 'tun', 'ip', 'ping', 'curl', 'socat', 'traceroute')

t.test('two kernels and we on one Ethernet', { skip }, async (t) => {
  const before = packetsInUse()
  const left = namespace(t)
  const right = namespace(t)
  const media = beside({
    // Super-segments from the left are cut for the right.
    left: tapDevice({ name: 'x0', netns: left.name, vnetHdr: true }),
    right: tapDevice({ name: 'x0', netns: right.name }),
  })
  const switched = stack(media, bridge())
  let stations: () => { address: number; port: string | undefined }[] = () => []
  const ours = stack(
    switched,
    (below) => {
      stations = () => below.stations()
      return below
    },
    ethernet(),
    ip(ipv4({ address: '10.1.0.3/24' })),
    sockets(tcp(), udp()),
  )
  const node = await boot(ours, 'bridge')
  t.teardown(() => node.close())
  addAddress(left, 'x0', '10.1.0.1/24')
  addAddress(right, 'x0', '10.1.0.2/24')
  for (const [side, n] of [[left, 1] as const, [right, 2] as const])
    side.ip('addr', 'add', `fd00::${n}/64`, 'dev', 'x0', 'nodad')

  for (const [address, size] of [
    ['10.1.0.2', '56'] as const,
    ['10.1.0.2', '65507'] as const,
    ['10.1.0.3', '20000'] as const,
  ]) {
    t.equal(await answered(left, 10, '-i', '0.02', '-s', size, address), 10, `${size} octets to ${address}`)
  }
  t.equal(await answered(left, 10, '-i', '0.02', 'fd00::2'), 10, 'what the bridge need not understand')
  const { output: hops } = await left.run('traceroute', '-n', '-w', '30', '10.1.0.2')
  t.match(hops, /^ *1 {2}10\.1\.0\.2/m, 'there is no router in between')

  const file = await payloadFile(t, FILE_OCTETS)
  for (const [from, to, address] of [[left, right, '10.1.0.2'] as const, [right, left, '10.1.0.1'] as const]) {
    await to.start(/listening/, 'socat', '-d', '-d', '-u', `OPEN:${file}`, 'TCP4-LISTEN:7000')
    const { output } = await from.run('sh', '-c', `socat -u TCP4:${address}:7000 - | sha256sum`)
    t.match(output, payloadHash(FILE_OCTETS), 'a file between the kernels')
  }
  const server = createServer((_request, response) => void payload((n) => n < FILE_OCTETS).stream.pipe(response))
  await once(node.net.attach(server).listen(80), 'listening')
  for (const side of [left, right]) {
    const { output } = await side.run('sh', '-c', 'curl -s http://10.1.0.3/ | sha256sum')
    t.match(output, payloadHash(FILE_OCTETS), 'a file of ours')
  }
  const known = stations().map(({ address, port }) => [port, formatMac(address)])
  for (const [side, port] of [[left, 'left'] as const, [right, 'right'] as const]) {
    const mac = /link\/ether (\S+)/.exec(side.ip('link', 'show', 'x0'))?.[1]
    t.ok(
      known.some(([where, address]) => where === port && address === mac),
      `the station of the ${port} is known`,
    )
  }
  await node.close()
  t.equal(packetsInUse(), before)
})
