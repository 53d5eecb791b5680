/** Waiting for events, and writing them down. */
import type { EventEmitter } from 'node:events'
import type { Server, Socket } from '../../src/api/node-net.ts'
import type { Subject } from './subjects.ts'

/** Settles with the first argument of an event; errors do not reject. */
export function once<T = unknown>(emitter: EventEmitter, event: string): Promise<T> {
  return new Promise((resolve) => emitter.once(event, resolve))
}

/** Writes the socket's events to `log`, as 'name event'. */
export function record(socket: EventEmitter, name: string, log: string[], events: readonly string[]): void {
  for (const event of events) {
    socket.on(event, (value: unknown) => {
      const detail = event === 'close' ? ` ${value}` : event === 'error' ? ` ${(value as { code?: string }).code}` : ''
      log.push(`${name} ${event}${detail}`)
    })
  }
}

export interface Pair {
  readonly server: Server
  readonly near: Socket
  readonly far: Socket
  readonly port: number
}

type Options = Readonly<Record<string, unknown>>

/** A server, and one connection to it: `near` is the client's socket, `far` the server's. */
export async function pair(subject: Subject, serverOptions: Options = {}, clientOptions: Options = {}): Promise<Pair> {
  const server = subject.server.createServer(serverOptions)
  const port = await listen(server, subject)
  const accepted = once<Socket>(server, 'connection')
  const near = subject.client.connect({ port, host: subject.address, ...clientOptions })
  await once(near, 'connect')
  return { server, near, far: await accepted, port }
}

/** @returns the port. */
export async function listen(server: Server, subject: Subject): Promise<number> {
  const listening = once(server, 'listening')
  server.listen(0, subject.address)
  await listening
  return (server.address() as { port: number }).port
}

/** All that a socket gives until its end; it is left as it is then. */
export function readAll(socket: EventEmitter): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Uint8Array[] = []
    socket.on('data', (chunk: Uint8Array) => chunks.push(chunk))
    socket.once('end', () => resolve(Buffer.concat(chunks)))
    socket.once('error', reject)
  })
}

/** Octets that are not all alike. */
export function pattern(length: number): Buffer {
  const octets = Buffer.alloc(length)
  for (let i = 0; i < length; i++) octets[i] = (i * 31 + (i >> 8)) & 255
  return octets
}
