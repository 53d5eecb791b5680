/** Wrong usage throws at once, with Node's codes; the network's failures are emitted, with Node's codes and ours. */
import type { AddressInfo } from 'node:net'
import { once, pair, readAll, record } from './events.ts'
import { check } from './subjects.ts'

type Failure = Error & { code: string; errno?: number; syscall?: string; address?: string; port?: number }

/** Calls with arguments that the types forbid. */
type Loose = (...args: readonly unknown[]) => unknown

check('nobody listens: ECONNREFUSED', async (t, subject) => {
  const { server, near, far, port } = await pair(subject)
  near.destroy()
  far.destroy()
  await new Promise<void>((resolve) => server.close(() => resolve()))
  const log: string[] = []
  const socket = subject.client.connect(port, subject.address)
  record(socket, 'socket', log, ['connect', 'error', 'close', 'end', 'connectionAttemptFailed'])
  const failed = once<Failure>(socket, 'error')
  await once(socket, 'close')
  const error = await failed
  t.match(error, { code: 'ECONNREFUSED', syscall: 'connect', address: subject.address, port, errno: -111 })
  t.match(error.message, `connect ECONNREFUSED ${subject.address}:${port}`)
  t.strictSame(log, ['socket connectionAttemptFailed', 'socket error ECONNREFUSED', 'socket close true'])
  t.equal(socket.connecting, false)
})

check('a connection from a certain port: the error says from where', async (t, subject) => {
  const { server, near, far, port } = await pair(subject)
  near.destroy()
  far.destroy()
  await new Promise<void>((resolve) => server.close(() => resolve()))
  for (const localAddress of [subject.clientAddress, undefined]) {
    const localPort = localAddress === undefined ? 45_678 : 45_679
    const socket = subject.client.connect({ port, host: subject.address, localAddress, localPort })
    const error = await once<Failure>(socket, 'error')
    const from = localAddress ?? '0.0.0.0'
    t.match(error, { code: 'ECONNREFUSED', port, localAddress: from, localPort })
    t.match(error.message, `connect ECONNREFUSED ${subject.address}:${port} - Local (${from}:${localPort})`)
  }
  const socket = subject.client.connect(port, subject.address)
  t.notOk('localPort' in (await once<Failure>(socket, 'error')), 'a port that nobody asked for is of no interest')
})

check('0.0.0.0 is this node', async (t, subject) => {
  const server = subject.client.createServer((socket) => socket.end('here'))
  const listening = once(server, 'listening')
  server.listen(0, '127.0.0.1')
  await listening
  const { port } = server.address() as { port: number }
  const socket = subject.client.connect(port, '0.0.0.0')
  t.equal(socket.autoSelectFamilyAttemptedAddresses, undefined, 'one address, no list of attempts')
  socket.once('connect', () => t.equal(socket.remoteAddress, '127.0.0.1'))
  t.equal(String(await readAll(socket)), 'here')
  t.equal(socket.autoSelectFamilyAttemptedAddresses, undefined)
  socket.destroy()
  await new Promise<void>((resolve) => server.close(() => resolve()))
  const error = await once<Failure>(subject.client.connect(port, '0.0.0.0'), 'error')
  t.match(error, { code: 'ECONNREFUSED', address: '0.0.0.0', port })
})

check('a port that is taken: EADDRINUSE, emitted by the server', async (t, subject) => {
  const { server, near, far, port } = await pair(subject)
  const second = subject.server.createServer()
  second.listen(port, subject.address)
  const error = await once<Failure>(second, 'error')
  t.match(error, { code: 'EADDRINUSE', syscall: 'listen', address: subject.address, port })
  t.match(error.message, /^listen EADDRINUSE/)
  t.equal(second.listening, false)
  t.equal(second.address(), null)
  near.destroy()
  far.destroy()
  server.close()
})

check('a port of all addresses that is taken is named with these', async (t, subject) => {
  const first = subject.server.createServer().listen(0)
  await once(first, 'listening')
  const { address, port } = first.address() as AddressInfo
  t.match(await once<Failure>(subject.server.createServer().listen(port), 'error'), {
    ...{ code: 'EADDRINUSE', address, port },
    message: new RegExp(`^listen EADDRINUSE.* ${address}:${port}`),
  })
  first.close()
})

check('an address that is not ours: EADDRNOTAVAIL', async (t, subject) => {
  const server = subject.server.createServer()
  server.listen(0, '192.0.2.77')
  t.match(await once<Failure>(server, 'error'), { code: 'EADDRNOTAVAIL', syscall: 'listen' })
})

check('a name nobody knows: ENOTFOUND', async (t, subject) => {
  const socket = subject.client.connect({
    port: 80,
    host: 'no.such.name',
    lookup: (host, _options, callback) =>
      process.nextTick(() => callback(Object.assign(new Error(`no ${host}`), { code: 'ENOTFOUND' }), [])),
  })
  const looked = once<Failure>(socket, 'lookup')
  t.match(await once<Failure>(socket, 'error'), { code: 'ENOTFOUND' })
  t.match(await looked, { code: 'ENOTFOUND' })
})

check('a lookup function of our own', async (t, subject) => {
  const asked: string[] = []
  const { server, near, far } = await pair(
    subject,
    {},
    {
      host: 'some.name',
      family: 4,
      autoSelectFamily: false,
      lookup: (host: string, _options: object, callback: (error: null, address: string, family: number) => void) => {
        asked.push(host)
        process.nextTick(callback, null, subject.address, 4)
      },
    },
  )
  t.strictSame(asked, ['some.name'])
  t.equal(near.remoteAddress, subject.address)
  near.destroy()
  far.destroy()
  server.close()
})

check('a write after end', async (t, subject) => {
  const { server, near, far } = await pair(subject)
  near.end()
  const failed = once<Failure>(near, 'error')
  near.write('x')
  t.match(await failed, { code: 'ERR_STREAM_WRITE_AFTER_END' })
  far.destroy()
  server.close()
})

check('arguments of connect', async (t, { client }) => {
  const socket = new client.Socket()
  const connect = socket.connect.bind(socket) as Loose
  t.throws(() => connect(), { name: 'TypeError', code: 'ERR_MISSING_ARGS' })
  t.throws(() => connect({}), { name: 'TypeError', code: 'ERR_MISSING_ARGS' })
  t.throws(() => connect({ port: true }), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' })
  t.throws(() => connect({ port: null }), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' })
  for (const port of [-1, 65_536, 1.5, Number.NaN, '', 'x', ' ']) {
    t.throws(() => connect({ port }), { name: 'RangeError', code: 'ERR_SOCKET_BAD_PORT' }, `port ${port}`)
  }
  t.throws(() => connect({ port: 1, lookup: 'x' }), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' })
  t.throws(() => connect({ port: 1, localAddress: 'x' }), { name: 'TypeError', code: 'ERR_INVALID_IP_ADDRESS' })
  t.throws(() => connect({ port: 1, localPort: 'x' }), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' })
})

check('arguments of setTimeout', async (t, { client }) => {
  const socket = new client.Socket()
  const setTimeout = socket.setTimeout.bind(socket) as Loose
  t.throws(() => setTimeout('100'), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' })
  t.throws(() => setTimeout(-1), { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' })
  t.throws(() => setTimeout(Number.POSITIVE_INFINITY), { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' })
  t.throws(() => setTimeout(1, 'x'), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' })
  socket.destroy()
})

check('arguments of listen', async (t, { server: net }) => {
  const server = net.createServer()
  const listen = server.listen.bind(server) as Loose
  t.throws(() => listen({}), { name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE' })
  t.throws(() => listen(false), { name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE' })
  for (const port of [-1, 65_536, 1.5]) {
    t.throws(() => listen(port), { name: 'RangeError', code: 'ERR_SOCKET_BAD_PORT' }, `port ${port}`)
  }
  t.throws(() => (net.createServer as Loose)('x'), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' })
})

check('object mode is refused', async (t, { client }) => {
  const Socket = client.Socket as unknown as new (options: object) => unknown
  for (const name of ['objectMode', 'readableObjectMode', 'writableObjectMode']) {
    t.throws(() => new Socket({ [name]: true }), { name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE' })
  }
})

check('local sockets are refused with a reason', async (t, subject) => {
  if (subject.real) {
    t.pass("Node's own has them")
    return
  }
  t.throws(() => subject.client.connect('/tmp/x' as unknown as number), {
    code: 'ERR_INVALID_ARG_VALUE',
    message: /no local \(IPC\) sockets/,
  })
  t.throws(() => subject.server.createServer().listen('/tmp/x'), { code: 'ERR_INVALID_ARG_VALUE' })
  t.throws(() => subject.server.createServer().listen({ fd: 3 } as object), { code: 'ERR_INVALID_ARG_VALUE' })
})
