/** Servers: listening, counting, refusing, closing. */
import type { Socket } from '../../src/api/node-net.ts'
import { listen, once, pair } from './events.ts'
import { check } from './subjects.ts'

check('listen in all its forms', async (t, { server: net, address }) => {
  const forms: ((server: ReturnType<typeof net.createServer>, done: () => void) => unknown)[] = [
    (server, done) => server.listen(done),
    (server, done) => server.listen(0, done),
    (server, done) => server.listen(0, address, done),
    (server, done) => server.listen(0, address, 10, done),
    (server, done) => server.listen(0, 10, done),
    (server, done) => server.listen({ port: 0, host: address, backlog: 5, exclusive: true }, done),
    (server, done) => server.listen({ port: undefined }, done),
    (server, done) => server.listen({ port: 0, host: 'localhost' }, done),
    (server, done) => server.on('listening', done).listen(),
  ]
  for (const form of forms) {
    const server = net.createServer()
    t.equal(server.listening, false)
    await new Promise<void>((resolve) => {
      form(server, resolve)
    })
    t.equal(server.listening, true)
    t.ok((server.address() as { port: number }).port > 0)
    await new Promise<void>((resolve) => server.close(() => resolve()))
    t.equal(server.listening, false)
  }
})

check('listening twice, and closing what does not listen', async (t, subject) => {
  const server = subject.server.createServer()
  const error = await new Promise<(Error & { code?: string }) | undefined>((resolve) => server.close(resolve))
  t.match(error, { code: 'ERR_SERVER_NOT_RUNNING' })
  await listen(server, subject)
  t.throws(() => server.listen(0), { code: 'ERR_SERVER_ALREADY_LISTEN' })
  server.close()
  await once(server, 'close')
  await listen(server, subject)
  t.equal(server.listening, true, 'it can listen again')
  server.close()
  await once(server, 'close')
})

check('close waits for connections', async (t, subject) => {
  const { server, near, far } = await pair(subject)
  let closed = false
  server.close(() => {
    closed = true
  })
  await subject.sleep(20)
  t.equal(closed, false)
  t.equal(await count(server), 1)
  near.destroy()
  far.resume()
  await once(server, 'close')
  t.equal(closed, true)
  t.equal(await count(server), 0)
})

check('maxConnections drops what is too many', async (t, subject) => {
  const { server, near, far, port } = await pair(subject)
  server.maxConnections = 1
  const dropped = once<Record<string, unknown>>(server, 'drop')
  const second = subject.client.connect(port, subject.address)
  second.on('error', () => {})
  second.resume()
  const data = await dropped
  t.equal(data.localPort, port)
  t.equal(data.localAddress, subject.address)
  t.equal(data.remoteAddress, subject.clientAddress)
  t.equal(data.remoteFamily, 'IPv4')
  if (!second.closed) await once(second, 'close')
  near.destroy()
  far.destroy()
  server.close()
})

check('a signal closes the server', async (t, subject) => {
  const control = new AbortController()
  const server = subject.server.createServer()
  server.listen({ port: 0, host: subject.address, signal: control.signal })
  await once(server, 'listening')
  const closed = once(server, 'close')
  control.abort()
  await closed
  t.equal(server.listening, false)
  server.listen({ port: 0, host: subject.address, signal: control.signal })
  await once(server, 'close')
})

check('await using closes it', async (t, subject) => {
  const server = subject.server.createServer()
  await listen(server, subject)
  await server[Symbol.asyncDispose]()
  t.equal(server.listening, false)
  await server[Symbol.asyncDispose]()
})

check('many connections at once, each its own', async (t, subject) => {
  const server = subject.server.createServer((socket) => socket.pipe(socket))
  const port = await listen(server, subject)
  const answers = await Promise.all(
    Array.from({ length: 50 }, async (_, i) => {
      const socket = subject.client.connect(port, subject.address)
      socket.write(`hello ${i}`)
      const answer = await once<Buffer>(socket, 'data')
      const closed = once(socket, 'close')
      socket.end()
      socket.resume()
      await closed
      return String(answer)
    }),
  )
  t.strictSame(
    answers,
    Array.from({ length: 50 }, (_, i) => `hello ${i}`),
  )
  server.close()
  await once(server, 'close')
})

check('a listener of connection sees a socket that reads at once', async (t, subject) => {
  const server = subject.server.createServer()
  const port = await listen(server, subject)
  const accepted = once<Socket>(server, 'connection')
  const near = subject.client.connect(port, subject.address, () => near.write('now'))
  const far = await accepted
  t.ok(far instanceof subject.server.Socket)
  t.equal(String(await once(far, 'data')), 'now')
  near.destroy()
  far.destroy()
  server.close()
})

function count(server: {
  getConnections(callback: (error: Error | null, count: number) => void): unknown
}): Promise<number> {
  return new Promise((resolve, reject) => {
    server.getConnections((error, n) => (error === null ? resolve(n) : reject(error)))
  })
}

check('maxConnections of 0 is what this version of Node makes of it', async (t, subject) => {
  const log: string[] = []
  const server = subject.server.createServer((socket) => {
    log.push('connection')
    socket.end()
  })
  server.maxConnections = 0
  server.on('drop', () => log.push('drop'))
  const port = await listen(server, subject)
  const near = subject.client.connect(port, subject.address).on('error', () => {})
  near.resume()
  await once(near, 'close')
  t.strictSame(log, [Number.parseInt(process.versions.node, 10) < 21 ? 'connection' : 'drop'])
  server.close()
})
