/** What mutated frames do not bring about in UDP tunnels. */
import type { EngineUser } from '../../layers/physical/udp-tunnel/engine.ts'
import { boot, type UdpTunnelOptions, udpTunnel } from '../../src/index.ts'
import { Packet } from '../../src/kernel/packet.ts'
import type { Tally } from './tally.ts'
import { packetFor, send } from './zeros.ts'

/** What stands in front of frames in other tunnels. */
export async function codecCorners(tally: Tally): Promise<void> {
  const session = { session: 1, peerSession: 2, cookie: Uint8Array.from([1, 2, 3, 4]) }
  const wrong: readonly [UdpTunnelOptions, readonly (readonly number[])[]][] = [
    [
      { codec: 'geneve' },
      [
        [0x40, 0, 0x65, 0x58, 0, 0, 1, 0], // badVersion
        [0, 0x80, 0x65, 0x58, 0, 0, 1, 0], // control
        [0, 0x40, 0x65, 0x58, 0, 0, 1, 0], // criticalOption
        [0, 0, 0x08, 0x00, 0, 0, 1, 0], // badType
      ],
    ],
    [
      { codec: 'l2tpv3', l2tpv3: session },
      [
        [0, 3, 0, 0, 0, 0, 0, 9, 1, 2, 3, 4], // wrongSession
        [0, 3, 0, 0, 0, 0, 0, 1, 1, 2, 3, 5], // wrongCookie
      ],
    ],
  ]
  for (const [options, datagrams] of wrong) {
    const peers = [{ host: '127.0.0.1', port: 9 }]
    const node = await boot(udpTunnel({ local: { host: '127.0.0.1', port: 0 }, peers, ...options }), 'tunnel')
    tally.add(node.boundaries)
    for (const octets of datagrams) {
      const packet = Packet.take(64, octets.length)
      packet.append(Uint8Array.from(octets))
      const user = node.top as unknown as EngineUser
      user.datagram(packet, '127.0.0.1', 9, 0)
    }
    await node.close()
  }
}

/** VXLAN over real sockets of this machine, as the tunnel has no virtual ones. */
export async function tunnelCorner(tally: Tally): Promise<void> {
  const node = await boot(udpTunnel({ local: { host: '127.0.0.1', port: 0 }, vni: 1 }), 'tunnel')
  tally.add(node.boundaries)
  const tunnel = node.top
  // What its engine calls; our system never lets a queue of datagrams to itself grow.
  const user = tunnel as unknown as EngineUser
  const arrive = (octets: readonly number[], host = '127.0.0.1'): void => {
    const packet = Packet.take(64, octets.length)
    packet.append(Uint8Array.from(octets))
    user.datagram(packet, host, 9, 0)
  }
  const frame = new Array<number>(60).fill(0)
  send(tunnel) // noPeer
  tunnel.addPeer({ host: '127.0.0.1', port: 9 })
  arrive([8, 0, 0, 0, 0, 0, 1, 0, ...frame]) // noUser
  arrive([8, 0, 0, 0]) // truncated
  arrive([0, 0, 0, 0, 0, 0, 1, 0, ...frame]) // badFlags
  arrive([8, 0, 0, 0, 0, 0, 2, 0, ...frame]) // wrongVni
  arrive([8, 0, 0, 0, 0, 0, 1, 0, ...frame], '127.0.0.2') // unknownPeer
  send(tunnel, 5) // runt
  send(tunnel, 2000) // tooLong
  const partial = packetFor(tunnel, 60)
  partial.checksum = 'partial'
  partial.checksumStart = partial.end
  tunnel.send(partial, undefined) // badOffload: the place of its sum is not inside
  user.overflowed(packetFor(tunnel, 60)) // queueFull
  tunnel.removePeer({ host: '127.0.0.1', port: 9 })
  tunnel.addPeer({ host: '255.255.255.255', port: 9 })
  send(tunnel) // sendFailed: not without SO_BROADCAST
  for (let i = 0; i < 100 && tunnel.boundary.drops.get('sendFailed' as never) === 0; i++) {
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  await node.close()
  send(tunnel) // linkDown
}
