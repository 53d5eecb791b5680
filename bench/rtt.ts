/** One octet there and back, again and again, against the same through `node:net`. */
import net from 'node:net'
import type { Sockets } from '../src/api/sockets.ts'
import { type IpAddress, parseAddress } from '../src/kernel/address.ts'
import { alternateApart, type Subjects } from './apart.ts'
import { alternate, type Bench, type Effort, figure, type Line, type Subject } from './harness.ts'
import { cablePair } from './hosts.ts'
import { peer, tapMissing } from './processes.ts'
import { listen, type NetLike, netOf } from './streams.ts'
import { KERNEL, tapHost } from './tap.ts'

/** Over a cable. */
export const SUBJECTS: Subjects<'net' | 'small' | 'peer'> = {
  net: echoedByOurs,
  small: smallBoth,
  peer: () => echoed(net, net, '127.0.0.1'),
}

export const rtt: Bench = async (effort, tell) => {
  await overCable(effort, tell)
  await throughTap(effort, tell)
}

async function overCable(effort: Effort, tell: (line: Line) => void): Promise<void> {
  const times = await alternateApart(import.meta.url, SUBJECTS, effort)
  const gate = { bench: 'rtt', unit: 'µs', peer: 'node:net, one process', target: 0.3, atMost: true } as const
  tell(figure({ ...gate, metric: 'cable, node.net' }, times.net, times.peer, effort))
  tell(figure({ ...gate, metric: 'cable, small API' }, times.small, times.peer, effort))
}

async function throughTap(effort: Effort, tell: (line: Line) => void): Promise<void> {
  const missing = await tapMissing()
  if (missing !== undefined) {
    tell({ bench: 'rtt', metric: 'TAP', skipped: missing })
    return
  }
  const tap = await tapHost(true)
  const there = await peer('echo', KERNEL, tap.namespace.name)
  const here = await peer('echo', '127.0.0.1')
  const times = await alternate(
    {
      net: await netRoundTrips(netOf(tap.node), KERNEL, there.port),
      small: smallRoundTrips(tap.node.top, parseAddress(KERNEL, 'address'), there.port),
      peer: await netRoundTrips(net, '127.0.0.1', here.port),
    },
    effort,
  )
  await there.stop()
  await here.stop()
  await tap.close()
  const gate = { bench: 'rtt', unit: 'µs', peer: 'node:net, two processes', target: 1.5, atMost: true } as const
  tell(figure({ ...gate, metric: 'TAP to the kernel, node.net' }, times.net, times.peer, effort))
  tell(figure({ ...gate, metric: 'TAP to the kernel, small API' }, times.small, times.peer, effort))
}

async function echoedByOurs(): Promise<Subject> {
  const { a, b, address } = await cablePair()
  return echoed(netOf(b), netOf(a), address)
}

async function echoed(server: NetLike, client: NetLike, host: string): Promise<Subject> {
  const listening = server.createServer((socket) => {
    socket.setNoDelay(true)
    socket.on('data', (chunk) => socket.write(chunk))
  })
  const subject = await netRoundTrips(client, host, await listen(listening, host))
  return {
    measure: subject.measure,
    async close() {
      await subject.close()
      listening.close()
    },
  }
}

const OCTET = Uint8Array.of(42)

/** Microseconds of a round trip to somebody who echoes. */
async function netRoundTrips(api: NetLike, host: string, port: number): Promise<Subject> {
  const socket = api.connect(port, host)
  socket.setNoDelay(true)
  await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject))
  const trips = new Trips(() => socket.write(OCTET))
  socket.on('data', (chunk) => trips.arrived(chunk[0], chunk.length))
  return { measure: (ms) => trips.measure(ms), close: async () => void socket.end() }
}

/** Sends one octet whenever one has come back, as long as the time lasts. */
class Trips {
  private readonly send: () => void
  private count = 0
  private started = 0
  private until = 0
  private finish: (value: number) => void = () => {}
  private fail: (error: Error) => void = () => {}

  constructor(send: () => void) {
    this.send = send
  }

  measure(ms: number): Promise<number> {
    return new Promise((resolve, reject) => {
      this.finish = resolve
      this.fail = reject
      this.count = 0
      this.started = performance.now()
      this.until = this.started + ms
      this.send()
    })
  }

  arrived(octet: number | undefined, length: number): void {
    if (octet !== OCTET[0] || length !== 1) {
      this.fail(new Error(`${length} octets came back, the first being ${octet}`))
      return
    }
    this.count++
    const now = performance.now()
    if (now < this.until) this.send()
    else this.finish(((now - this.started) * 1000) / this.count)
  }
}

async function smallBoth(): Promise<Subject> {
  const { a, b, ip } = await cablePair()
  const buffer = new Uint8Array(64)
  const listener = b.top.stream.listen(
    { port: 0, options: { noDelay: true } },
    {
      acceptable(ready) {
        for (let c = ready.accept(); c !== undefined; c = ready.accept()) {
          c.handler = {
            readable(connection) {
              const n = connection.read(buffer)
              if (n > 0) connection.write(buffer, 0, n)
              else if (connection.ended) connection.close()
            },
          }
        }
      },
    },
  )
  const subject = smallRoundTrips(a.top, ip, listener.local.port)
  return {
    measure: subject.measure,
    async close() {
      await subject.close()
      listener.close()
    },
  }
}

function smallRoundTrips(sockets: Sockets, address: IpAddress, port: number): Subject {
  const buffer = new Uint8Array(64)
  let established = (): void => {}
  const ready = new Promise<void>((resolve) => {
    established = resolve
  })
  const connection = sockets.stream.connect(
    { address, port, options: { noDelay: true } },
    {
      established,
      readable() {
        const n = connection.read(buffer)
        if (n > 0) trips.arrived(buffer[0], n)
      },
    },
  )
  const trips = new Trips(() => connection.write(OCTET))
  return {
    async measure(ms) {
      await ready
      return trips.measure(ms)
    },
    async close() {
      connection.close()
    },
  }
}
