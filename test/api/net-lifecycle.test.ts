/** From connect to close: the order of events, half-open connections, and every way to end. */
import type { Socket } from '../../src/api/node-net.ts'
import { listen, once, pair, readAll, record } from './events.ts'
import { check } from './subjects.ts'

const LIFE = ['connect', 'ready', 'end', 'finish', 'error', 'close']

check('an orderly exchange', async (t, subject) => {
  const log: string[] = []
  const server = subject.server.createServer((socket) => {
    record(socket, 'far', log, LIFE)
    socket.on('data', (data) => socket.end(data))
  })
  const port = await listen(server, subject)
  const near = subject.client.connect(port, subject.address)
  record(near, 'near', log, LIFE)
  t.equal(near.readyState, 'opening')
  t.equal(near.connecting, true)
  t.equal(near.pending, true)
  near.write('hello')
  const text = await readAll(near)
  t.equal(String(text), 'hello')
  await Promise.all([log.includes('near close false') || once(near, 'close'), once(server.close(), 'close')])
  await subject.sleep(10)
  t.strictSame(
    log.filter((line) => line.startsWith('near')),
    ['near connect', 'near ready', 'near end', 'near finish', 'near close false'],
  )
  t.strictSame(
    log.filter((line) => line.startsWith('far')),
    ['far finish', 'far end', 'far close false'],
  )
  t.equal(near.readyState, 'closed')
  t.equal(near.bytesRead, 5)
  t.equal(near.bytesWritten, 5)
})

check('addresses of both ends', async (t, subject) => {
  const { server, near, far, port } = await pair(subject)
  t.equal(near.remotePort, port)
  t.equal(near.remoteAddress, subject.address)
  t.equal(near.remoteFamily, 'IPv4')
  t.equal(near.localAddress, subject.clientAddress)
  t.equal(near.localFamily, 'IPv4')
  t.strictSame(near.address(), { address: subject.clientAddress, family: 'IPv4', port: near.localPort })
  t.equal(far.remotePort, near.localPort)
  t.equal(far.remoteAddress, subject.clientAddress)
  t.equal(far.localPort, port)
  t.strictSame(server.address(), { address: subject.address, family: 'IPv4', port })
  t.equal(near.readyState, 'open')
  t.equal(near.pending, false)
  near.destroy()
  await once(near, 'close')
  t.equal(near.remotePort, port, 'what was asked for before stays known')
  t.strictSame(near.address(), {})
  far.destroy()
  server.close()
  await once(server, 'close')
  t.equal(server.address(), null)
})

check('the other side ends, and allowHalfOpen is off: this side ends too', async (t, subject) => {
  const { server, near, far } = await pair(subject)
  far.on('data', () => {})
  near.end()
  near.resume()
  await Promise.all([once(near, 'close'), once(far, 'close')])
  t.equal(far.writableEnded, true)
  server.close()
})

check('the other side ends, and allowHalfOpen is on: this side goes on', async (t, subject) => {
  const { server, near, far } = await pair(subject, { allowHalfOpen: true })
  near.end('last words')
  const said = await readAll(far.on('end', () => {}) as Socket).catch(() => Buffer.alloc(0))
  t.equal(String(said), 'last words')
  server.close()
  near.destroy()
  far.destroy()
})

check('half open: octets still flow the other way', async (t, subject) => {
  const { server, near, far } = await pair(subject, { allowHalfOpen: true }, { allowHalfOpen: true })
  const ended = once(far, 'end')
  far.resume()
  near.end()
  await ended
  t.equal(far.readyState, 'writeOnly')
  await subject.sleep(20)
  t.equal(far.destroyed, false)
  far.end('answer')
  t.equal(String(await readAll(near)), 'answer')
  server.close()
  await once(server, 'close')
})

check('writing after the other side has ended', async (t, subject) => {
  const { server, near, far } = await pair(subject)
  far.end()
  near.resume()
  const failed = once<Error & { code: string }>(near, 'error')
  // Between the automatic end and the automatic destruction.
  near.once('finish', () => {
    near.write('too late')
  })
  t.match(await failed, { code: 'EPIPE', message: /ended by the other party/ })
  if (!near.closed) await once(near, 'close')
  far.destroy()
  server.close()
})

check('destroy with an error, and without', async (t, subject) => {
  const log: string[] = []
  const { server, near, far } = await pair(subject)
  record(near, 'near', log, LIFE)
  far.resume()
  const closed = once(near, 'close')
  near.destroy(Object.assign(new Error('mine'), { code: 'EMINE' }))
  await closed
  t.strictSame(log, ['near error EMINE', 'near close true'])
  if (!far.closed) await once(far, 'close')
  t.equal(near.destroyed, true)
  server.close()
  await once(server, 'close')
})

check('destroy while connecting: no connect event', async (t, subject) => {
  const log: string[] = []
  const server = subject.server.createServer((socket) => socket.on('error', () => {}).resume())
  const port = await listen(server, subject)
  const near = subject.client.connect(port, subject.address)
  record(near, 'near', log, LIFE)
  near.destroy()
  await once(near, 'close')
  await subject.sleep(20)
  t.strictSame(log, ['near close false'])
  server.close()
})

check('resetAndDestroy: the other side sees ECONNRESET', async (t, subject) => {
  const { server, near, far } = await pair(subject)
  const log: string[] = []
  record(far, 'far', log, LIFE)
  far.resume()
  const closed = once(far, 'close')
  near.resetAndDestroy()
  await closed
  t.strictSame(log, ['far error ECONNRESET', 'far close true'])
  server.close()
})

check('resetAndDestroy: what was written has gone before it', async (t, subject) => {
  const { server, near, far } = await pair(subject, {}, { noDelay: true })
  const log: string[] = []
  let read = 0
  far.on('data', (chunk: Uint8Array) => {
    read += chunk.length
  })
  record(near, 'near', log, LIFE)
  far.on('error', () => {})
  const closed = once(far, 'close')
  near.write('first')
  near.write('and second')
  near.resetAndDestroy()
  await closed
  t.equal(read, 15)
  t.strictSame(log, ['near close false'])
  server.close()
})

check('a reset after the end of its peer is nothing to a socket that does not write', async (t, subject) => {
  const log: string[] = []
  const { server, near, far } = await pair(subject, { allowHalfOpen: true })
  record(far, 'far', log, LIFE)
  far.resume()
  near.end()
  await once(far, 'end')
  near.resetAndDestroy()
  await subject.sleep(20)
  t.strictSame(log, ['far end'])
  t.equal(far.readyState, 'writeOnly')
  far.end()
  await once(far, 'close')
  t.strictSame(log, ['far end', 'far finish', 'far close false'])
  server.close()
})

check('and EPIPE to one that does', async (t, subject) => {
  for (const before of [true, false]) {
    const log: string[] = []
    const { server, near, far } = await pair(subject, { allowHalfOpen: true }, { allowHalfOpen: true })
    record(far, 'far', log, LIFE)
    far.resume()
    near.pause()
    near.end()
    await once(far, 'end')
    if (before) far.write(Buffer.alloc(20 << 20))
    await subject.sleep(20)
    near.resetAndDestroy()
    await subject.sleep(20)
    if (!before) {
      far.write('x')
      far.write('y')
    }
    if (!far.closed) await once(far, 'close')
    t.strictSame(log, ['far end', 'far error EPIPE', 'far close true'])
    server.close()
  }
})

check('resetAndDestroy of what was never connected', async (t, subject) => {
  const near = new subject.client.Socket()
  const failed = once<Error & { code: string }>(near, 'error')
  near.resetAndDestroy()
  t.match(await failed, { code: 'ERR_SOCKET_CLOSED' })
})

check('resetAndDestroy while connecting: once it is connected', async (t, subject) => {
  const log: string[] = []
  const server = subject.server.createServer((far) => far.on('error', () => {}).resume())
  const port = await listen(server, subject)
  const near = subject.client.connect(port, subject.address)
  record(near, 'near', log, LIFE)
  near.resetAndDestroy()
  t.equal(near.connecting, true)
  await once(near, 'close')
  t.strictSame(log, ['near connect', 'near ready', 'near close false'])
  server.close()
})

check('destroySoon sends everything first', async (t, subject) => {
  const { server, near, far } = await pair(subject)
  const all = readAll(far)
  near.write(Buffer.alloc(500_000, 1))
  near.destroySoon()
  t.equal((await all).length, 500_000)
  if (!near.closed) await once(near, 'close')
  server.close()
})

check('writing to what was never connected, and to what was destroyed', async (t, subject) => {
  const near = new subject.client.Socket()
  t.equal(near.pending, true)
  const failed = once<Error & { code: string }>(near, 'error')
  type Told = (Error & { code?: string }) | null | undefined
  const told = new Promise<Told>((resolve) => near.write('x', (error) => resolve(error)))
  t.match(await failed, { code: 'ERR_SOCKET_CLOSED' })
  t.match(await told, { code: 'ERR_SOCKET_CLOSED' })
  const after = await new Promise<Told>((resolve) => near.write('x', (error) => resolve(error)))
  t.match(after, { code: 'ERR_STREAM_DESTROYED' })
})

check('end before connect: sent once connected', async (t, subject) => {
  const server = subject.server.createServer()
  const port = await listen(server, subject)
  const accepted = once<Socket>(server, 'connection')
  const near = new subject.client.Socket()
  near.connect({ port, host: subject.address })
  near.write('early, ')
  near.end('and the end')
  t.equal(String(await readAll(await accepted)), 'early, and the end')
  server.close()
})

check('connect again after close', async (t, subject) => {
  const { server, near, far, port } = await pair(subject)
  far.end('one')
  t.equal(String(await readAll(near)), 'one')
  if (!near.closed) await once(near, 'close')
  const accepted = once<Socket>(server, 'connection')
  near.connect(port, subject.address)
  ;(await accepted).end('two')
  const got: string[] = []
  near.on('data', (data) => got.push(String(data)))
  await once(near, 'close')
  t.strictSame(got, ['two'])
  server.close()
})

check('an abort signal destroys the socket', async (t, subject) => {
  const control = new AbortController()
  const { server, near, far } = await pair(subject, {}, { signal: control.signal })
  far.resume()
  const failed = once<Error & { code: string }>(near, 'error')
  control.abort()
  t.match(await failed, { name: 'AbortError', code: 'ABORT_ERR' })
  server.close()
})
