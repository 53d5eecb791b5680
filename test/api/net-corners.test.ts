/** Corners of the surface that libraries and old code come upon: Node's own sockets say what is right. */
import { EventEmitter } from 'node:events'
import type { Net, Socket } from '../../src/api/node-net.ts'
import { listen, once, pair, record } from './events.ts'
import { check } from './subjects.ts'

type Failure = Error & { code: string; syscall?: string; address?: string }
type Loose = (...args: readonly unknown[]) => unknown

check('everything can be asked and called after the end', async (t, subject) => {
  const { server, near, far } = await pair(subject)
  far.end()
  near.resume()
  await once(near, 'close')
  for (const call of ['setNoDelay', 'setKeepAlive', 'pause', 'resume', 'ref', 'unref', 'end', 'destroy'] as const) {
    t.equal((near[call] as Loose)(), near, call)
  }
  t.equal(near.setTimeout(5), near)
  t.equal(near.timeout, undefined)
  t.equal(near.bufferSize, undefined)
  t.equal(near.localAddress, undefined)
  t.strictSame(near.address(), {})
  t.equal(near.readyState, 'closed')
  t.equal(near.pending, true)
  server.close()
})

check('a socket that was never connected', async (t, { client }) => {
  const socket = new client.Socket()
  t.strictSame(socket.address(), {})
  for (const name of ['remoteAddress', 'remotePort', 'localAddress', 'localPort', 'timeout', 'bufferSize'] as const) {
    t.equal(socket[name], undefined, name)
  }
  t.equal(socket.server, null)
  t.equal(socket.readyState, 'open')
  t.equal(socket.bytesRead, 0)
  t.equal(socket.bytesWritten, 0)
  const closed = new Promise((resolve) => socket.on('close', (...told: unknown[]) => resolve(told)))
  socket.destroy()
  t.strictSame(await closed, [], 'it says nothing of an error, nor of none')
})

check('connect while connecting', async (t, subject) => {
  const server = subject.server.createServer((far) => far.on('error', () => {}).resume())
  const port = await listen(server, subject)
  const socket = subject.client.connect(port, subject.address)
  const failed = once<Failure>(socket, 'error')
  const closed = once(socket, 'close')
  socket.connect(port, subject.address)
  t.match(await failed, { code: 'EALREADY', syscall: 'connect' })
  await closed
  server.close()
})

check('connect when connected: the connection stays', async (t, subject) => {
  const { server, near, far, port } = await pair(subject)
  const { localPort } = near
  await new Promise<void>((resolve) => near.connect(port, subject.address, resolve))
  t.equal(near.localPort, localPort)
  near.write('still here')
  t.equal(String(await once(far, 'data')), 'still here')
  for (const socket of [near, far]) socket.destroy()
  server.close()
})

check('a signal that was given before', async (t, subject) => {
  const log: string[] = []
  const server = subject.server.createServer((far) => far.on('error', () => {}).resume())
  const port = await listen(server, subject)
  const socket = subject.client.connect({ port, host: subject.address, signal: AbortSignal.abort() })
  record(socket, 'socket', log, ['error', 'close'])
  await once(socket, 'close')
  t.strictSame(log, ['socket error ABORT_ERR', 'socket close undefined'])
  await subject.sleep(20)
  if (!subject.real) t.equal(socket.connecting || !socket.pending, false, 'Node connects all the same')
  socket.destroy()
  server.close()
})

check('a local address that is not ours', async (t, subject) => {
  const socket = subject.client.connect({ port: 9, host: subject.address, localAddress: '192.0.2.77' })
  const error = await once<Failure>(socket, 'error')
  t.equal(error.code, 'EADDRNOTAVAIL')
  // What the host says comes after the call, as an error of the connection.
  if (!subject.real && subject.address === subject.clientAddress) return
  t.match(error, { syscall: 'bind', address: '192.0.2.77', message: /^bind EADDRNOTAVAIL 192\.0\.2\.77/ })
})

check('what a lookup function must not answer', async (t, subject) => {
  for (const answer of [undefined, 'no.address', 1]) {
    const socket = subject.client.connect({
      ...{ port: 9, host: 'some.name', autoSelectFamily: false },
      lookup: (_name, _options, callback) => process.nextTick(callback as Loose, null, answer, 4),
    })
    t.match(await once<Failure>(socket, 'error'), { name: 'TypeError', code: 'ERR_INVALID_IP_ADDRESS' })
  }
})

check('a lookup function is not asked about addresses, nor looked at', async (t, subject) => {
  const server = subject.server.createServer((far) => far.resume())
  const port = await listen(server, subject)
  const socket = subject.client.connect({ port, host: subject.address, lookup: 'none' as never })
  await once(socket, 'connect')
  socket.destroy()
  server.close()
  t.pass('it connected')
})

check('options of connect that are checked, and that are not', async (t, { client }) => {
  const connect = client.connect as Loose
  const refused: [object, string, RegExp][] = [
    [{ host: true }, 'ERR_INVALID_ARG_TYPE', /host(name)?" .* Received type boolean \(true\)/],
    [{ host: {} }, 'ERR_INVALID_ARG_TYPE', /Received an instance of Object/],
    [{ autoSelectFamily: 'x' }, 'ERR_INVALID_ARG_TYPE', /"options.autoSelectFamily" property .* type string \('x'\)/],
    [{ autoSelectFamilyAttemptTimeout: 0 }, 'ERR_OUT_OF_RANGE', /"options.autoSelectFamilyAttemptTimeout"/],
    [{ timeout: 'x' }, 'ERR_INVALID_ARG_TYPE', /"msecs"/],
    [{ timeout: -1 }, 'ERR_OUT_OF_RANGE', /"msecs"/],
    [{ port: [] }, 'ERR_INVALID_ARG_TYPE', /Received an instance of Array/],
    [{ port: '' }, 'ERR_SOCKET_BAD_PORT', /^Port should be >= 0 and < 65536. Received type string \(''\).$/],
    [{ signal: 1 }, 'ERR_INVALID_ARG_TYPE', /"signal" argument must be an instance of AbortSignal/],
  ]
  for (const [options, code, message] of refused) {
    t.throws(() => connect({ port: 9, host: '127.0.0.1', ...options }), { code, message }, JSON.stringify(options))
  }
  for (const options of [{ host: false }, { host: '' }, { host: null }, { keepAlive: 1 }, { noDelay: 'yes' }]) {
    const socket = connect({ port: 9, ...options }) as Socket
    socket.on('error', () => {}).destroy()
  }
})

check('constructors as functions, and what is nothing as options', async (t, { client, server }) => {
  const { Socket, Server } = client as unknown as Record<string, Loose>
  t.ok(Socket?.() instanceof client.Socket)
  t.ok(Server?.() instanceof client.Server)
  t.equal(new client.Socket(null as never).pending, true)
  t.equal(client.Stream, client.Socket)
  t.equal(client.Socket.name, 'Socket')
  t.equal(new client.Socket().constructor, client.Socket)
  class Own extends client.Socket {}
  const own = new Own()
  t.ok(own instanceof Own && own instanceof client.Socket)
  t.notOk(new client.Socket() instanceof Own)
  t.equal((server.createServer as Loose)({}, 'no listener') instanceof server.Server, true)
  t.throws(() => server.createServer({ highWaterMark: 'x' as never }), { code: 'ERR_INVALID_ARG_TYPE' })
  t.equal(typeof client.getDefaultAutoSelectFamily(), 'boolean')
})

check('onread is called on its socket', async (t, subject) => {
  const selves: unknown[] = []
  const { server, near, far } = await pair(
    subject,
    {},
    {
      onread: {
        buffer: Buffer.alloc(10),
        callback(this: unknown) {
          selves.push(this)
          return true
        },
      },
    },
  )
  far.end('octets')
  await once(near, 'close')
  t.strictSame(
    selves.map((self) => self === near),
    [true],
  )
  server.close()
})

check('a rejection of a listener is the end of its connection alone', async (t, subject) => {
  EventEmitter.captureRejections = true
  const server = subject.server.createServer()
  EventEmitter.captureRejections = false
  const failed = new Promise((resolve) =>
    server.on('connection', async (far: Socket) => {
      far.on('error', resolve)
      throw new Error('kaboom')
    }),
  )
  server.on('error', (error) => t.fail(`the server says: ${error.message}`))
  const near = subject.client.connect(await listen(server, subject), subject.address)
  near.on('error', () => {}).resume()
  t.match(await failed, { message: 'kaboom' })
  if (!near.closed) await once(near, 'close')
  server.close()
})

check('servers: listening anew before the host is known, closing with what is no function', async (t, subject) => {
  const server = subject.server.createServer()
  server.listen(0, subject.address)
  server.listen(0, subject.address)
  await once(server, 'listening')
  t.throws(() => server.listen(0), { code: 'ERR_SERVER_ALREADY_LISTEN' })
  t.equal((server.close as Loose).call(server, 'not a function'), server)
  await once(server, 'close')
  const host = subject.server as { createServer: Net['createServer'] }
  for (const name of [1, true, {}]) {
    t.throws(() => host.createServer().listen({ port: 0, host: name as never }), { code: 'ERR_INVALID_ARG_TYPE' })
  }
})

check('servers: closed in the tick in which they were told to listen', async (t, subject) => {
  for (const place of [{ port: 0 }, { port: 0, host: subject.address }]) {
    const log: string[] = []
    const server = subject.server.createServer()
    server.on('listening', () => log.push('listening'))
    server.listen(place)
    const closed = once(server, 'close')
    server.close()
    await closed
    await subject.sleep(10)
    if (server.listening) server.close()
    t.notOk(log.includes('listening') && place.host === undefined)
  }
})

check('servers: after an error they can listen elsewhere, and the first callback is kept', async (t, subject) => {
  const { server, near, far, port } = await pair(subject)
  const second = subject.server.createServer()
  let told = 0
  second.listen(port, subject.address, () => told++)
  t.match(await once<Failure>(second, 'error'), { code: 'EADDRINUSE' })
  second.listen(0, subject.address, () => told++)
  await once(second, 'listening')
  t.equal(told, 2)
  for (const socket of [near, far]) socket.destroy()
  for (const open of [server, second]) open.close()
})
