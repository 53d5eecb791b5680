/** Frames through a UDP tunnel on the `node:dgram` engine, against bare `node:dgram`: datagrams of 1400 octets. */
import dgram from 'node:dgram'
import { udpTunnel } from '../layers/physical/node.ts'
import type { Packet } from '../src/kernel/packet.ts'
import { boot } from '../src/runtime/real-time.ts'
import { Counter, type Flow, perSecond } from './datagrams.ts'
import { alternate, type Bench, figure, type Subject } from './harness.ts'

const OCTETS = 1400
const LOCALHOST = '127.0.0.1'

export const tunnelPps: Bench = async (effort, tell) => {
  const rates = await alternate(
    { tunnel: await throughTunnel('dgram'), native: await throughTunnel('native'), peer: await throughDgram() },
    effort,
  )
  const gate = { bench: 'tunnel-pps', unit: 'datagrams/s', peer: 'node:dgram, one process', target: 0.8 }
  tell(figure({ ...gate, metric: '1400 octets, dgram engine' }, rates.tunnel, rates.peer, effort))
  tell(figure({ ...gate, metric: '1400 octets, GSO engine', target: 5 }, rates.native, rates.peer, effort))
}

async function throughTunnel(engine: 'dgram' | 'native'): Promise<Subject> {
  const options = { engine, codec: 'raw', mtu: OCTETS, local: { host: LOCALHOST } } as const
  const to = await boot(udpTunnel({ ...options, learnPeers: true }), 'to')
  const port = to.top.local.port
  const from = await boot(udpTunnel({ ...options, peers: [{ host: LOCALHOST, port }] }), 'from')
  const counter = new Counter()
  to.top.boundary.attach({
    receive(packet: Packet) {
      if (packet.length === OCTETS) counter.received++
      packet.release()
    },
  })
  const flow: Flow = {
    send: () => from.top.send(frame(from.env.packet(from.top.headroom, OCTETS)), undefined),
    async close() {
      await from.close()
      await to.close()
    },
  }
  return perSecond(flow, counter)
}

/** From one station to another; what is behind the addresses does not matter here. */
function frame(packet: Packet): Packet {
  const at = packet.put(OCTETS)
  packet.view.setInt32(at, 0x0200_0000)
  packet.view.setInt32(at + 4, 0x0002_0200)
  packet.view.setInt32(at + 8, 1)
  packet.view.setInt32(at + 12, 0x88b5_0000 | 0)
  return packet
}

async function throughDgram(): Promise<Subject> {
  const counter = new Counter()
  const octets = new Uint8Array(OCTETS)
  const bufferSizes = { recvBufferSize: 4_194_304, sendBufferSize: 4_194_304 }
  const receiver = dgram.createSocket({ type: 'udp4', ...bufferSizes }).on('message', (message) => {
    if (message.length === OCTETS) counter.received++
  })
  await new Promise<void>((resolve) => receiver.bind(0, LOCALHOST, resolve))
  const { port } = receiver.address()
  const sender = dgram.createSocket({ type: 'udp4', ...bufferSizes })
  await new Promise<void>((resolve) => sender.bind(0, LOCALHOST, resolve))
  const flow: Flow = {
    send() {
      sender.send(octets, port, LOCALHOST)
      return true
    },
    close() {
      sender.close()
      receiver.close()
    },
  }
  return perSecond(flow, counter)
}
