/** The codec raw with socat, which puts a kernel's Ethernet frames into datagrams as they are. */
import { createSocket } from 'node:dgram'
import t from 'tap'
import { udpTunnel } from '../../layers/physical/udp-tunnel/udp-tunnel.ts'
import { packetsInUse, poisonReleased } from '../../src/kernel/packet.ts'
import { boot } from '../../src/runtime/real-time.ts'
import { answered } from './echoes.ts'
import { answerFrame, enter, namespace, oracle, until } from './helpers.ts'

poisonReleased(true)
t.setTimeout(600_000)

for (const engine of ['dgram', 'native'] as const) {
  t.test(
    `${engine}: a kernel pings us through socat`,
    { skip: oracle('root', 'tun', 'ip', 'ping', 'socat') },
    async (t) => {
      const before = packetsInUse()
      const ns = namespace(t)
      enter(t, ns)
      // Ports of the namespace's own: nobody else can have taken them.
      const node = await boot(
        udpTunnel({
          engine,
          codec: 'raw',
          local: { host: '127.0.0.1', port: 7001 },
          peers: [{ host: '127.0.0.1', port: 7000 }],
          mtu: 1500,
        }),
      )
      t.teardown(() => node.close())
      const { top } = node
      top.boundary.attach({
        receive(packet) {
          if (answerFrame(packet, 0x02_00_00_00_be_ef, 0x0a09_0002))
            top.send(packet.withRoom(top.headroom, 0), undefined)
          else packet.release()
        },
      })
      await ns.start(
        /starting data transfer loop/,
        'socat',
        ...[
          '-d',
          '-d',
          'TUN:10.9.0.1/24,tun-type=tap,iff-no-pi,tun-name=x0,iff-up',
          'UDP4-DATAGRAM:127.0.0.1:7001,bind=127.0.0.1:7000',
        ],
      )
      for (const size of ['0', '1472']) {
        const options = ['-i', '0.005', '-M', 'do', '-s', size, '10.9.0.2']
        t.equal(await answered(ns, 20, ...options), 20, `${size} octets`)
      }
      // Somebody else on the same loopback is not let in.
      const stranger = createSocket('udp4')
      const heard = top.boundary.rxPackets
      stranger.send(Buffer.alloc(60), 7001, '127.0.0.1')
      await until(() => top.boundary.drops.get('unknownPeer') === 1, 'the drop')
      stranger.close()
      t.ok(top.boundary.rxPackets >= heard)
      await node.close()
      t.equal(packetsInUse(), before)
    },
  )
}
