/** Datagrams in the shape of Node's. */

import type { Test } from 'tap'
import type { DgramSocket } from '../../src/api/node-net.ts'
import { once } from './events.ts'
import { check as checkAll, type Subject } from './subjects.ts'

type Failure = Error & { code: string; syscall?: string }
type Dgram = NonNullable<Subject['dgram']>
type Loose = (...args: readonly unknown[]) => unknown

function check(title: string, body: (t: Test, dgram: Dgram, subject: Subject) => Promise<void>): void {
  checkAll(title, async (t, subject) => {
    if (subject.dgram === undefined) t.pass('it has no datagrams')
    else await body(t, subject.dgram, subject)
  })
}

async function bound(dgram: Dgram): Promise<DgramSocket> {
  const socket = dgram.createSocket('udp4')
  const listening = once(socket, 'listening')
  socket.bind(0, '127.0.0.1')
  await listening
  return socket
}

function message(
  socket: DgramSocket,
): Promise<[Buffer, { address: string; family: string; port: number; size: number }]> {
  return new Promise((resolve) => socket.once('message', (octets, from) => resolve([octets, from])))
}

check('a datagram and its sender', async (t, dgram) => {
  const a = await bound(dgram)
  const b = await bound(dgram)
  const arriving = message(b)
  const sent = await new Promise((resolve) =>
    a.send('hello', b.address().port, '127.0.0.1', (error, bytes) => resolve([error, bytes])),
  )
  t.strictSame(sent, [null, 5])
  const [octets, from] = await arriving
  t.equal(String(octets), 'hello')
  t.strictSame(from, { address: '127.0.0.1', family: 'IPv4', port: a.address().port, size: 5 })
  t.equal(a.address().family, 'IPv4')
  a.close()
  b.close()
})

check('send in all its forms', async (t, dgram) => {
  const a = await bound(dgram)
  const b = await bound(dgram)
  const { port } = b.address()
  const octets = Buffer.from('0123456789')
  const forms: [() => void, string][] = [
    [() => a.send(octets, port), '0123456789'],
    [() => a.send(octets, port, '127.0.0.1'), '0123456789'],
    [() => a.send(octets, port, 'localhost'), '0123456789'],
    [() => a.send(octets, 2, 3, port), '234'],
    [() => a.send(octets, 2, 3, port, '127.0.0.1'), '234'],
    [() => a.send([octets, 'x', new Uint8Array([65])], port, '127.0.0.1'), '0123456789xA'],
    [() => a.send(new DataView(octets.buffer, octets.byteOffset + 1, 2), port), '12'],
    [() => a.send('', port), ''],
    [() => a.send([], port), ''],
    [() => a.send(octets, port, () => {}), '0123456789'],
    [() => a.send(octets, 0, 1, port, () => {}), '0'],
  ]
  for (const [send, expected] of forms) {
    const arriving = message(b)
    send()
    t.equal(String((await arriving)[0]), expected, String(send))
  }
  a.close()
  b.close()
})

check('0.0.0.0 is this node', async (t, dgram) => {
  const socket = dgram.createSocket('udp4')
  const bound = once(socket, 'listening')
  socket.bind(0)
  await bound
  const { port } = socket.address()
  socket.on('message', (octets) => got.push(String(octets)))
  const got: string[] = []
  socket.send('sent', port, '0.0.0.0')
  await once(socket, 'message')
  const other = dgram.createSocket('udp4')
  other.connect(port, '0.0.0.0')
  await once(other, 'connect')
  t.equal(other.remoteAddress().address, '127.0.0.1')
  other.send('connected')
  await once(socket, 'message')
  t.strictSame(got, ['sent', 'connected'])
  socket.close()
  other.close()
})

check('an unbound socket binds itself', async (t, dgram) => {
  const b = await bound(dgram)
  const a = dgram.createSocket('udp4')
  const octets = Buffer.from('kept')
  const arriving = message(b)
  a.send(octets, b.address().port, '127.0.0.1')
  const [, from] = await arriving
  t.equal(from.port, a.address().port)
  a.close()
  b.close()
})

check('connect, send, disconnect', async (t, dgram) => {
  const a = await bound(dgram)
  const b = await bound(dgram)
  t.throws(() => a.remoteAddress(), { code: 'ERR_SOCKET_DGRAM_NOT_CONNECTED' })
  t.throws(() => a.disconnect(), { code: 'ERR_SOCKET_DGRAM_NOT_CONNECTED' })
  const connected = once(a, 'connect')
  a.connect(b.address().port, '127.0.0.1')
  t.throws(() => a.connect(b.address().port), { code: 'ERR_SOCKET_DGRAM_IS_CONNECTED' })
  await connected
  t.strictSame(a.remoteAddress(), { address: '127.0.0.1', family: 'IPv4', port: b.address().port })
  t.throws(() => a.send('xy', 0, 1, 80, '127.0.0.1'), { code: 'ERR_SOCKET_DGRAM_IS_CONNECTED' })
  for (const [send, expected] of [
    [() => a.send('abc'), 'abc'],
    [() => a.send(Buffer.from('abc'), 1, 2), 'bc'],
    [() => a.send(Buffer.from('abc'), 1, 1, () => {}), 'b'],
  ] as const) {
    const arriving = message(b)
    send()
    t.equal(String((await arriving)[0]), expected)
  }
  a.disconnect()
  t.throws(() => a.remoteAddress(), { code: 'ERR_SOCKET_DGRAM_NOT_CONNECTED' })
  a.close()
  b.close()
})

check('a port that is taken', async (t, dgram) => {
  const a = await bound(dgram)
  const b = dgram.createSocket('udp4')
  const failed = once<Failure>(b, 'error')
  b.bind({ port: a.address().port, address: '127.0.0.1', exclusive: true })
  t.match(await failed, { code: 'EADDRINUSE', syscall: 'bind', message: /^bind EADDRINUSE/ })
  a.close()
  b.close()
})

check('too large a datagram', async (t, dgram) => {
  const a = await bound(dgram)
  const error = await new Promise((resolve) => a.send(Buffer.alloc(65_508), 9, '127.0.0.1', resolve))
  t.match(error, { code: 'EMSGSIZE', syscall: 'send' })
  a.close()
})

check('close, and what no longer works', async (t, dgram) => {
  const a = await bound(dgram)
  const closed = new Promise<void>((resolve) => a.close(resolve))
  for (const call of [() => a.close(), () => a.address(), () => a.send('x', 1), () => a.bind()]) {
    t.throws(call, { code: 'ERR_SOCKET_DGRAM_NOT_RUNNING' })
  }
  await closed
  const b = await bound(dgram)
  await b[Symbol.asyncDispose]()
  t.throws(() => b.close(), { code: 'ERR_SOCKET_DGRAM_NOT_RUNNING' })
})

check('close before it is bound', async (t, dgram) => {
  const a = dgram.createSocket('udp4')
  const log: string[] = []
  a.on('listening', () => log.push('listening')).on('close', () => log.push('close'))
  a.bind(0)
  a.close()
  await once(a, 'close')
  t.equal(log.at(-1), 'close')
})

check('binding twice', async (t, dgram) => {
  const a = await bound(dgram)
  t.throws(() => a.bind(), { code: 'ERR_SOCKET_ALREADY_BOUND' })
  a.close()
})

check('a signal closes it', async (t, dgram) => {
  const control = new AbortController()
  const a = dgram.createSocket({ type: 'udp4', signal: control.signal })
  const closed = once(a, 'close')
  a.bind(0)
  await once(a, 'listening')
  control.abort()
  await closed
  t.throws(() => a.address(), { code: 'ERR_SOCKET_DGRAM_NOT_RUNNING' })
})

check('options', async (t, dgram) => {
  const a = await bound(dgram)
  a.setBroadcast(true)
  t.equal(a.setTTL(9), 9)
  t.equal(a.setMulticastTTL(0), 0)
  t.equal(a.setMulticastLoopback(false), false)
  t.throws(() => a.setTTL(0), { code: 'EINVAL', syscall: 'setTTL' })
  t.throws(() => a.setTTL(256), { code: 'EINVAL' })
  t.throws(() => (a.setTTL as Loose).call(a, '5'), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' })
  a.setRecvBufferSize(100_000)
  t.ok(a.getRecvBufferSize() >= 100_000)
  a.setSendBufferSize(100_000)
  t.ok(a.getSendBufferSize() >= 100_000)
  t.throws(() => a.setRecvBufferSize(-1), { code: 'ERR_SOCKET_BAD_BUFFER_SIZE' })
  t.equal(a.getSendQueueCount(), 0)
  t.equal(a.getSendQueueSize(), 0)
  t.equal(a.ref().unref(), a)
  a.close()
})

check('arguments', async (t, dgram) => {
  const create = dgram.createSocket as Loose
  t.throws(() => create('udp'), { name: 'TypeError', code: 'ERR_SOCKET_BAD_TYPE' })
  t.throws(() => create(), { name: 'TypeError', code: 'ERR_SOCKET_BAD_TYPE' })
  t.throws(() => create({ type: 'udp4', lookup: 1 }), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' })
  const a = await bound(dgram)
  const send = a.send.bind(a) as Loose
  t.throws(() => send(1, 80), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' })
  t.throws(() => send([1], 80), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' })
  for (const port of [0, -1, 65_536, 'x', undefined]) {
    t.throws(() => send('x', port), { name: 'RangeError', code: 'ERR_SOCKET_BAD_PORT' }, `port ${port}`)
  }
  t.throws(() => send('x', 80, 7), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' })
  t.throws(() => send(Buffer.from('abc'), 4, 1, 80), { name: 'RangeError', code: 'ERR_BUFFER_OUT_OF_BOUNDS' })
  t.throws(() => send(Buffer.from('abc'), 1, 3, 80), { name: 'RangeError', code: 'ERR_BUFFER_OUT_OF_BOUNDS' })
  t.throws(() => (a.connect as Loose).call(a, 0), { name: 'RangeError', code: 'ERR_SOCKET_BAD_PORT' })
  a.close()
})

check('a lookup function', async (t, dgram) => {
  const b = await bound(dgram)
  const a = dgram.createSocket({
    type: 'udp4',
    lookup: (name, _options, callback) => process.nextTick(callback, null, name === 'b.test' ? '127.0.0.1' : name, 4),
  })
  const arriving = message(b)
  const octets = Buffer.from('named')
  a.send(octets, b.address().port, 'b.test')
  t.equal(String((await arriving)[0]), 'named')
  a.close()
  b.close()
})

check('what our datagrams do not do yet, they say', async (t, dgram, subject) => {
  if (subject.real) {
    t.pass("Node's own does")
    return
  }
  const a = await bound(dgram)
  const error = await new Promise((resolve) => a.send('x', 9, 'no.such.name', resolve))
  t.match(error, { code: 'ENOTFOUND', message: /hosts/ })
  a.close()
  const c = await dgram.promises.bind({ type: 'udp4', address: '127.0.0.1' })
  await t.rejects(dgram.promises.bind({ type: 'udp4', address: '127.0.0.1', port: c.address().port }), {
    code: 'EADDRINUSE',
  })
  await t.rejects(dgram.promises.bind({ type: 'udp4', signal: AbortSignal.abort() }), { code: 'ABORT_ERR' })
  c.close()
})
