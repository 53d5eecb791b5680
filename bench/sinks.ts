/**
 * Bulk transfers to a sink in another process: each measurement is a connection of its own, at whose end the sink says how
 * much has arrived; the time counts until then.
 */
import net from 'node:net'
import type { Connection, Sockets } from '../src/api/sockets.ts'
import type { IpAddress } from '../src/kernel/address.ts'
import { type Subject, sleep } from './harness.ts'
import { peer } from './processes.ts'
import { CHUNK_OCTETS, type NetLike, netSource, Sink, type Source, smallSource } from './streams.ts'

/** Gbit/s through `api`, Node's or that of a node. @param close when all measurements are done. */
export function toSink(api: NetLike, host: string, port: number, close: () => Promise<void>): Subject {
  return {
    async measure(ms) {
      const socket = await connected(api, host, port)
      let answer = ''
      socket.on('data', (chunk) => {
        answer += chunk
      })
      const ended = new Promise<void>((resolve) => socket.once('end', resolve))
      const source = netSource(socket)
      return rate(source, ms, async () => {
        socket.end()
        await ended
        return answer
      })
    },
    close,
  }
}

/** `node:net` here, and in another process: the peer of benches between two processes. */
export async function netInTwoProcesses(): Promise<Subject> {
  const sink = await peer('sink', '127.0.0.1')
  return toSink(net, '127.0.0.1', sink.port, () => sink.stop())
}

/** The same through the small API. */
export function toSmallSink(sockets: Sockets, host: IpAddress, port: number, close: () => Promise<void>): Subject {
  return {
    async measure(ms) {
      let answer = ''
      let settle = (): void => {}
      const ended = new Promise<void>((resolve) => {
        settle = resolve
      })
      const buffer = new Uint8Array(64)
      const source = await smallSource(sockets, host, port, undefined, (connection) => {
        for (let n = connection.read(buffer); n > 0; n = connection.read(buffer))
          answer += Buffer.from(buffer.subarray(0, n))
        if (!connection.ended) return
        connection.close()
        settle()
      })
      return rate(source, ms, async () => {
        source.end()
        await ended
        return answer
      })
    },
    close,
  }
}

/** A sink for connections of the small API. It checks what it reads. */
export function smallCountingSink(): Connection['handler'] {
  const sink = new Sink()
  const buffer = new Uint8Array(CHUNK_OCTETS)
  return {
    readable(connection) {
      for (let n = connection.read(buffer); n > 0; n = connection.read(buffer)) sink.take(buffer, n)
      if (!connection.ended) return
      connection.write(Buffer.from(String(sink.received)))
      connection.close()
    },
  }
}

/** A sink for sockets in the shape of Node's. It checks what it reads. */
export function countingSink(socket: net.Socket): void {
  const sink = new Sink()
  socket.on('error', () => socket.destroy())
  socket.on('data', (chunk) => sink.take(chunk, chunk.length))
  socket.on('end', () => socket.end(String(sink.received)))
}

/** A connection, when it is established. */
export async function connected(api: NetLike, host: string, port: number): Promise<net.Socket> {
  const socket = api.connect(port, host)
  await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject))
  return socket
}

/** @param finish ends the stream. @returns what the sink says. */
async function rate(source: Source, ms: number, finish: () => Promise<string>): Promise<number> {
  const started = performance.now()
  source.start()
  await sleep(ms)
  source.stop()
  const answer = await finish()
  // With what was still on its way: the time counts until all of it has arrived.
  const elapsed = performance.now() - started
  if (Number(answer) !== source.sent) throw new Error(`${answer} octets of ${source.sent} arrived`)
  return (source.sent * 8) / elapsed / 1e6
}
