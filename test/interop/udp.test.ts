/** Datagrams between us and the kernel, and what either says when nobody takes them. */
import { once } from 'node:events'
import t from 'tap'
import { packetsInUse, poisonReleased } from '../../src/kernel/packet.ts'
import { oracle } from './helpers.ts'
import { MEDIA, OURS, stand, THEIRS } from './stand.ts'

poisonReleased(true)
t.setTimeout(600_000)
/** The longest is what one datagram can carry: many fragments. */
const SIZES = [1, 1472, 1473, 9000, 65_507]
const skip = oracle('root', 'tun', 'ip', 'ping', 'socat', 'bridge', 'ethtool')

for (const medium of MEDIA) {
  t.test(`UDP over ${medium}`, { skip }, async (t) => {
    const before = packetsInUse()
    const { node, kernel } = await stand(t, medium)
    const server = node.dgram.createSocket('udp4')
    server.on('message', (message, { port, address }) => server.send(message, port, address))
    server.bind(7)
    await once(server, 'listening')
    for (const size of SIZES) {
      const echo = `head -c ${size} /dev/zero | tr '\\0' x | socat -b 65507 -t 60 - UDP4:${OURS}:7,readbytes=${size} | wc -c`
      t.equal((await kernel.run('sh', '-c', echo)).output.trim(), `${size}`, `${size} octets from the kernel and back`)
    }

    await kernel.start(/listening/, 'socat', '-d', '-d', '-b', '65507', 'UDP4-LISTEN:7,fork', 'PIPE')
    const client = node.dgram.createSocket('udp4')
    client.connect(7, THEIRS)
    await once(client, 'connect')
    for (const size of SIZES) {
      const message = Buffer.alloc(size, 'y')
      client.send(message)
      const [answer] = await once(client, 'message', { signal: AbortSignal.timeout(60_000) })
      t.ok(message.equals(answer), `${size} octets to the kernel and back`)
    }

    const { output } = await kernel.run('sh', '-c', `echo x | socat -t 60 - UDP4:${OURS}:9`)
    t.match(output, /Connection refused/, 'the kernel hears of our port unreachable')
    const lost = node.dgram.createSocket('udp4')
    lost.connect(9, THEIRS)
    await once(lost, 'connect')
    lost.send('x')
    const [error] = await once(lost, 'error', { signal: AbortSignal.timeout(60_000) })
    t.equal(error.code, 'ECONNREFUSED', "and we of the kernel's")

    const broadcast = node.dgram.createSocket('udp4')
    broadcast.bind(6)
    await once(broadcast, 'listening')
    const heard = once(broadcast, 'message', { signal: AbortSignal.timeout(60_000) })
    await kernel.run('sh', '-c', 'echo all | socat - UDP4-DATAGRAM:10.9.0.255:6,broadcast')
    const [message, { address }] = await heard
    t.same([String(message), address], ['all\n', THEIRS], 'a broadcast')
    await node.close()
    t.equal(packetsInUse(), before)
  })
}
