/** What a running node answers on its control socket. */
import { Writable } from 'node:stream'
import type { Node, Sockets } from '../../src/index.ts'
import type { ControlMethods } from './server.ts'

export function nodeMethods(node: Node<Sockets>): ControlMethods {
  return {
    calls: {
      status: () => ({ name: node.name, pid: process.pid, version: 1 }),
      links: () => links(node),
      sockets: () => [...streams(node), ...datagrams(node)],
      counters: () => node.snapshot(),
      routes: () => node.top.network.routes.list(),
      neighbours: () => node.top.network.neighbours(),
    },
    streams: {
      /** A pcapng, in pieces of base64. */
      capture: (emit) => {
        const target = new Writable({
          write(chunk: Buffer, _encoding, done) {
            emit(chunk.toString('base64'))
            done()
          },
        })
        const capture = node.capture(target)
        return () => void capture.stop()
      },
    },
  }
}

/** Each link with the counters of its boundaries, the lowest of which is the wire. */
function links(node: Node<Sockets>): object[] {
  const counters = node.snapshot()
  return node.top.network.links().map((link) => {
    const own = counters.filter(({ name }) => name.startsWith(`${node.name}/${link.name}/`))
    const wire = own[0]
    const drops: Record<string, number> = {}
    for (const boundary of own) {
      for (const [reason, count] of Object.entries(boundary.drops)) drops[reason] = (drops[reason] ?? 0) + count
    }
    return {
      ...link,
      rxPackets: wire?.rxPackets ?? 0,
      rxOctets: wire?.rxOctets ?? 0,
      txPackets: wire?.txPackets ?? 0,
      txOctets: wire?.txOctets ?? 0,
      drops,
    }
  })
}

function streams(node: Node<Sockets>): object[] {
  return [...node.top.stream.list()].map((stream) => {
    const { state, local, remote } = stream
    const figures = stream.info()
    return {
      protocol: 'tcp',
      state,
      local: endpoint(local),
      remote: remote === undefined ? undefined : endpoint(remote),
      sendQueue: figures?.sendQueue ?? 0,
      receiveQueue: figures?.receiveQueue ?? 0,
      info: figures,
    }
  })
}

function datagrams(node: Node<Sockets>): object[] {
  return [...node.top.datagram.list()].map(({ local, remote, queuedOctets }) => ({
    protocol: 'udp',
    state: remote === undefined ? 'bound' : 'connected',
    local: endpoint(local),
    remote: remote === undefined ? undefined : endpoint(remote),
    sendQueue: 0,
    receiveQueue: queuedOctets,
  }))
}

const endpoint = ({ address, port }: { address: { toString(): string }; port: number }): string => `${address}:${port}`
