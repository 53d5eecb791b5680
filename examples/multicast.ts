/**
 * One sender, two groups of receivers behind a router, which sends on only what it is told to: each receiver joins a group, and
 * one of them hears a single source of it. On virtual time.
 * Run: npx tsx examples/multicast.ts
 */
import { once } from 'node:events'
import { type Node, type Sockets, seconds } from '../src/index.ts'
import { network } from '../src/testing.ts'

const GROUP = '239.1.2.3'
const PORT = 5000

async function main(): Promise<void> {
  const router = { groups: [{ group: GROUP, from: 'eth0', to: ['eth1'] }] }
  await using net = network({
    hosts: { clock: {}, forger: {}, hall: {}, tower: {} },
    routers: { router: { ipv4: router } },
    links: [
      { between: ['router', 'clock', 'forger'], prefix: '10.0.1.0/24' },
      { between: ['router', 'hall', 'tower'], prefix: '10.0.2.0/24' },
    ],
  })
  const { clock, forger, hall, tower } = net.nodes

  const listen = async (node: Node<Sockets>, source?: string): Promise<void> => {
    const socket = node.dgram.createSocket('udp4')
    socket.on('message', (text, from) => process.stdout.write(`${node.name} hears ${from.address}: ${String(text)}\n`))
    socket.bind(PORT)
    await once(socket, 'listening')
    if (source === undefined) socket.addMembership(GROUP)
    else socket.addSourceSpecificMembership(source, GROUP)
  }
  await listen(hall)
  await listen(tower, '10.0.1.2')

  for (const [node, text] of [
    [clock, 'it is noon'],
    [forger, 'it is midnight'],
  ] as const) {
    const socket = node.dgram.createSocket('udp4')
    socket.bind(() => {
      // The default reaches only this link, as everywhere.
      socket.setMulticastTTL(8)
      socket.send(text, PORT, GROUP)
    })
    await net.sim.run(seconds(1))
  }
}

void main()
