/** Bulk transfers over one connection, through any module in the shape of `node:net`, or through the small API. */
import type net from 'node:net'
import type { Connection, Sockets } from '../src/api/sockets.ts'
import type { IpAddress } from '../src/kernel/address.ts'
import { type Subject, sleep } from './harness.ts'
import type { Pair } from './hosts.ts'

/** What is written at a time. */
export const CHUNK_OCTETS = 65_536

/** A part of `node:net` that ours has, too. */
export interface NetLike {
  createServer(listener: (socket: net.Socket) => void): net.Server
  connect(port: number, host: string): net.Socket
  connect(options: net.NetConnectOpts): net.Socket
}

/** Ours is meant to be used in place of Node's; its types say so of the parts, not of the module. */
export const netOf = ({ net }: Pair['a']): NetLike => net as unknown as NetLike

/** Writes without end, as long as it is let. */
export interface Source {
  start(): void
  stop(): void
  /** Octets handed over so far. */
  readonly sent: number
  /** Says that this was all; the other end may still answer. */
  end(): void
  close(): void
}

/** The data: the octet at a position of the stream tells the position, within a chunk. */
export const CHUNK: Uint8Array = Uint8Array.from({ length: CHUNK_OCTETS }, (_, i) => (i * 7 + (i >> 8)) & 255)

/** Counts what arrives, and looks at both ends of every piece of it. */
export class Sink {
  received = 0

  take(octets: Uint8Array, length: number): void {
    if (length === 0) return
    this.check(octets[0] as number)
    this.received += length
    this.received--
    this.check(octets[length - 1] as number)
    this.received++
  }

  private check(octet: number): void {
    if (octet !== CHUNK[this.received % CHUNK_OCTETS]) throw new Error(`wrong data at octet ${this.received}`)
  }
}

/** Gbit/s of a stream from `source` to `sink`. */
export function throughput(source: Source, sink: { readonly received: number }, close: () => Promise<void>): Subject {
  return {
    async measure(ms) {
      const before = sink.received
      const started = performance.now()
      source.start()
      await sleep(ms)
      const rate = ((sink.received - before) * 8) / (performance.now() - started) / 1e6
      source.stop()
      await until(() => sink.received === source.sent)
      return rate
    },
    async close() {
      source.close()
      await close()
    },
  }
}

/** Waits for what must come true within 10 seconds. */
export async function until(condition: () => boolean): Promise<void> {
  const limit = performance.now() + 10_000
  while (!condition()) {
    if (performance.now() > limit) throw new Error('what was sent did not all arrive')
    await sleep(2)
  }
}

/** Through `server` and `client`: Node's own module, or that of a node. */
export async function netThroughput(server: NetLike, client: NetLike, host: string): Promise<Subject> {
  const sink = new Sink()
  const listening = server.createServer((socket) => {
    socket.on('data', (chunk) => sink.take(chunk, chunk.length))
    socket.on('error', () => {})
  })
  const port = await listen(listening, host)
  const socket = client.connect(port, host)
  await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject))
  return throughput(netSource(socket), sink, () => new Promise((resolve) => listening.close(() => resolve())))
}

/** The same, received by `onread` into one buffer. Only who connects can do that, so the server sends. */
export async function onreadThroughput(server: NetLike, client: NetLike, host: string): Promise<Subject> {
  const sink = new Sink()
  let accepted = (_socket: net.Socket): void => {}
  const source = new Promise<net.Socket>((resolve) => {
    accepted = resolve
  })
  const listening = server.createServer((socket) => accepted(socket.resume()))
  const port = await listen(listening, host)
  const callback = (length: number, buffer: Uint8Array): boolean => {
    sink.take(buffer, length)
    return true
  }
  client.connect({ port, host, onread: { buffer: new Uint8Array(CHUNK_OCTETS), callback } })
  const close = (): Promise<void> => new Promise((resolve) => listening.close(() => resolve()))
  return throughput(netSource(await source), sink, close)
}

/** Lets a server listen on a port of its choice. */
export async function listen(server: net.Server, host: string): Promise<number> {
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, host, resolve))
  return (server.address() as net.AddressInfo).port
}

/** Writes 64 KB at a time, until the stream is full, and again when it has drained. */
export function netSource(socket: net.Socket): Source {
  let running = false
  const source = {
    sent: 0,
    start() {
      running = true
      pump()
    },
    stop() {
      running = false
    },
    end() {
      socket.end()
    },
    close() {
      socket.end()
    },
  }
  const pump = (): void => {
    while (running) {
      source.sent += CHUNK_OCTETS
      if (!socket.write(CHUNK)) break
    }
  }
  socket.on('drain', pump)
  return source
}

/** Through the small API, from one node to the other. */
export async function smallThroughput(server: Sockets, client: Sockets, address: IpAddress): Promise<Subject> {
  const sink = new Sink()
  const listener = server.stream.listen(
    { port: 0 },
    {
      acceptable(ready) {
        for (let c = ready.accept(); c !== undefined; c = ready.accept()) c.handler = smallSink(sink)
      },
    },
  )
  const source = await smallSource(client, address, listener.local.port)
  return throughput(source, sink, async () => listener.close())
}

/** A handler that reads everything at once. */
export function smallSink(sink: Sink): Connection['handler'] {
  const buffer = new Uint8Array(CHUNK_OCTETS)
  return {
    readable(connection) {
      for (let n = connection.read(buffer); n > 0; n = connection.read(buffer)) sink.take(buffer, n)
      if (connection.ended) connection.close()
    },
  }
}

/**
 * Connects, and then writes 64 KB at a time.
 * @param first what is written before. @param readable what to do with what arrives.
 */
export async function smallSource(
  client: Sockets,
  address: IpAddress,
  port: number,
  first: Uint8Array = new Uint8Array(),
  readable: (connection: Connection) => void = () => {},
): Promise<Source> {
  let running = false
  let offset = 0
  let established = (): void => {}
  const done = new Promise<void>((resolve) => {
    established = resolve
  })
  const source = {
    sent: 0,
    start() {
      running = true
      pump()
    },
    stop() {
      running = false
    },
    end() {
      connection.shutdown('write')
    },
    close() {
      connection.close()
    },
  }
  const pump = (): void => {
    while (running) {
      const taken = connection.write(CHUNK, offset)
      source.sent += taken
      offset = (offset + taken) % CHUNK_OCTETS
      if (offset !== 0 || taken === 0) break
    }
  }
  const connection = client.stream.connect({ address, port }, { established, readable, writable: pump })
  await done
  connection.write(first)
  return source
}
