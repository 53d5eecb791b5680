/** A line between two processes that is two TCP connections. */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import type t from 'tap'

/** Joins whoever connects first with whoever connects next. @returns where, as HOST:PORT. */
export async function line(test: Pick<typeof t, 'teardown'>): Promise<string> {
  const sockets: Socket[] = []
  const server = createServer((socket) => {
    socket.on('error', () => {})
    const [other] = sockets
    if (sockets.push(socket) === 2) other?.pipe(socket).pipe(other)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  test.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}
