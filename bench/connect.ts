/**
 * Connections set up, closed by FIN from both sides and left to TIME-WAIT, per second; both ends in this process, 32 at
 * a time.
 */
import net from 'node:net'
import type { Connection, Listener } from '../src/api/sockets.ts'
import { alternateApart, type Subjects } from './apart.ts'
import { type Bench, figure, type Subject } from './harness.ts'
import { cablePair } from './hosts.ts'
import { listen, type NetLike, netOf } from './streams.ts'

const CONCURRENT = 32
/** Ports that are connected to in turn: a port in TIME-WAIT with one of them can be used for the next. */
const PORTS = 16

export const SUBJECTS: Subjects<'net' | 'small' | 'peer'> = {
  net: throughOurs,
  small: throughSmall,
  peer: () => throughNet(net, net, '127.0.0.1'),
}

export const connectBench: Bench = async (effort, tell) => {
  const rates = await alternateApart(import.meta.url, SUBJECTS, effort)
  const gate = { bench: 'connect', unit: 'connections/s', peer: 'node:net, one process', target: 2 }
  tell(figure({ ...gate, metric: 'set up and closed, node.net' }, rates.net, rates.peer, effort))
  tell(figure({ ...gate, metric: 'set up and closed, small API' }, rates.small, rates.peer, effort))
}

/** Lets so many of `one` go on at a time, and counts them. `one` calls back when its connection is closed. */
function cycles(one: (closed: (error?: Error | null) => void) => void, close: () => void): Subject {
  return {
    measure: (ms) =>
      new Promise((resolve, reject) => {
        let done = 0
        let active = CONCURRENT
        const started = performance.now()
        const next = (error?: Error | null): void => {
          if (error) reject(error)
          else if (performance.now() - started < ms) {
            done++
            one(next)
          } else if (--active === 0) resolve((done * 1000) / (performance.now() - started))
        }
        for (let i = 0; i < CONCURRENT; i++) one(next)
      }),
    async close() {
      close()
    },
  }
}

async function throughOurs(): Promise<Subject> {
  const { a, b, address } = await cablePair()
  return throughNet(netOf(b), netOf(a), address)
}

async function throughNet(server: NetLike, client: NetLike, host: string): Promise<Subject> {
  // It ends when the client has: the default without allowHalfOpen.
  const servers = Array.from({ length: PORTS }, () => server.createServer((socket) => socket.resume()))
  const ports = await Promise.all(servers.map((listening) => listen(listening, host)))
  let turn = 0
  return cycles(
    (closed) => {
      const socket = client.connect(ports[turn++ % PORTS] as number, host)
      socket.once('connect', () => socket.end())
      socket.once('error', closed)
      socket.once('close', (hadError) => (hadError ? undefined : closed()))
      socket.resume()
    },
    () => {
      for (const listening of servers) listening.close()
    },
  )
}

async function throughSmall(): Promise<Subject> {
  const { a, b, ip } = await cablePair()
  const ended = (connection: Connection): void => {
    if (connection.ended) connection.close()
  }
  const listener = {
    acceptable(ready: Listener) {
      for (let c = ready.accept(); c !== undefined; c = ready.accept()) {
        c.handler = { readable: ended }
        ended(c)
      }
    },
  }
  const listeners = Array.from({ length: PORTS }, () => b.top.stream.listen({ port: 0 }, listener))
  let turn = 0
  return cycles(
    (closed) => {
      a.top.stream.connect(
        { address: ip, port: (listeners[turn++ % PORTS] as Listener).local.port },
        {
          established: (connection) => connection.shutdown('write'),
          readable: ended,
          closed: (_connection, error) => closed(error),
        },
      )
    },
    () => {
      for (const listening of listeners) listening.close()
    },
  )
}
