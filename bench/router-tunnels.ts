/**
 * A router between two UDP tunnels, all ends in this process: frames that are ready made go in at the one, and are counted behind
 * the other. Against the same frames through one such tunnel.
 *
 *   sender ══ tunnel ══ router ══ tunnel ══ receiver          sender ══ tunnel ══ receiver
 */
import { ethernet } from '../layers/datalink/index.ts'
import { ip, ipv4 } from '../layers/network/index.ts'
import { type UdpTunnelService, udpTunnel } from '../layers/physical/node.ts'
import type { Env } from '../src/kernel/env.ts'
import type { Blueprint } from '../src/kernel/layer.ts'
import type { Packet } from '../src/kernel/packet.ts'
import { beside, stack } from '../src/kernel/stack.ts'
import type { Node } from '../src/runtime/node.ts'
import { boot } from '../src/runtime/real-time.ts'
import { Counter, perSecond } from './datagrams.ts'
import type { Subject } from './harness.ts'
import { destinationOf, frameOf, ROUTER_IN, ROUTER_OUT, templateFrame } from './router-frames.ts'
import { Receiver } from './router-stand.ts'

const LOCALHOST = '127.0.0.1'
const settings = { engine: 'native', codec: 'raw', mtu: 1514, local: { host: LOCALHOST } } as const
const anyone = (): Blueprint<UdpTunnelService> => udpTunnel({ ...settings, learnPeers: true })
const towards = ({ local }: UdpTunnelService): Blueprint<UdpTunnelService> =>
  udpTunnel({ ...settings, peers: [{ host: LOCALHOST, port: local.port }] })

/** Packets per second through a router. @param octets of each IP packet. */
export async function throughRoutedTunnels(octets: number): Promise<Subject> {
  const receiving = await boot(anyone(), 'receiver')
  let entrance: UdpTunnelService | undefined
  const links = {
    in0: stack((env: Env) => (entrance = anyone()(env)), ethernet({ address: ROUTER_IN })),
    out0: stack(towards(receiving.top), ethernet({ address: ROUTER_OUT })),
  }
  const addresses = { in0: '10.0.0.1/24', out0: '10.0.1.1/24' }
  const router = await boot(stack(beside(links), ip(ipv4({ addresses, forwarding: true }))), 'router')
  const receiver = new Receiver(receiving.top, octets, destinationOf(0))
  receiving.top.boundary.attach(receiver)
  return flow(await boot(towards(entrance as UdpTunnelService), 'sender'), octets, receiver, [router, receiving])
}

/** The same frames through one tunnel. */
export async function throughTunnel(octets: number): Promise<Subject> {
  const receiving = await boot(anyone(), 'receiver')
  const counter = new Counter()
  receiving.top.boundary.attach({
    receive(packet: Packet) {
      counter.received++
      packet.release()
    },
  })
  return flow(await boot(towards(receiving.top), 'sender'), octets, counter, [receiving])
}

function flow(
  sender: Node<UdpTunnelService>,
  octets: number,
  counter: Counter,
  others: readonly { close(): Promise<void> }[],
): Subject {
  const template = templateFrame(octets, 0)
  return perSecond(
    {
      send: () => sender.top.send(frameOf(template), undefined),
      async close() {
        for (const node of [sender, ...others]) await node.close()
      },
    },
    counter,
  )
}
