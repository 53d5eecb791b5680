/** What Node's own modules do not have: promises, names, holds, interception, echo requests, ICMP errors as events. */
import t from 'tap'
import { hostSockets } from '../../src/api/host-sockets.ts'
import { type ApiHost, createIcmp, createNet, type Interception, type Socket } from '../../src/api/node-net.ts'
import type { ConnectionHandler, EchoReply, EchoRequest, StreamSockets } from '../../src/api/sockets.ts'
import { parseAddress } from '../../src/kernel/address.ts'
import { NetError } from '../../src/kernel/errors.ts'
import { Timers } from '../../src/kernel/timers.ts'
import { boot } from '../../src/runtime/real-time.ts'
import { listen, once, pair, readAll } from './events.ts'
import { check, inSimulation } from './subjects.ts'

class HostDouble implements ApiHost {
  readonly timers: Timers = new Timers()
  at = 0
  holds = 0
  touches = 0
  readonly clock = { now: (): number => this.at }

  touched(): void {
    this.touches++
  }

  hold(): () => void {
    this.holds++
    return () => {
      this.holds--
    }
  }

  defer(): void {}

  advance(us: number): void {
    this.at += us
    this.timers.advance(this.at)
  }
}

check('promise twins', async (t, subject) => {
  if (subject.real) {
    t.pass("Node's own has none")
    return
  }
  const server = await subject.server.promises.listen({ port: 0, host: subject.address }, (socket) => socket.end('hi'))
  const { port } = server.address() as { port: number }
  const socket = await subject.client.promises.connect({ port, host: subject.address })
  t.equal(String(await readAll(socket)), 'hi')
  await t.rejects(subject.server.promises.listen({ port, host: subject.address }), { code: 'EADDRINUSE' })
  await server[Symbol.asyncDispose]()
  await t.rejects(subject.client.promises.connect(port, subject.address), { code: 'ECONNREFUSED', port })
})

check('waits that are given up', async (t, subject) => {
  if (subject.real) {
    t.pass("Node's own has none")
    return
  }
  const given = { name: 'AbortError', code: 'ABORT_ERR', cause: 'enough' }
  await t.rejects(subject.client.promises.connect({ port: 1, signal: AbortSignal.abort('enough') }), given)
  const control = new AbortController()
  const waiting = subject.client.promises.connect({ port: 1, host: subject.address, signal: control.signal })
  control.abort('enough')
  await t.rejects(waiting, given)
  await t.rejects(subject.server.promises.listen({ port: 0, signal: AbortSignal.abort('enough') }), given)
  t.throws(() => subject.client.promises.connect({ port: 1, signal: 'x' as unknown as AbortSignal }), {
    code: 'ERR_INVALID_ARG_TYPE',
  })
  const server = await subject.server.promises
    .listen({ port: 0, host: subject.address, signal: control.signal })
    .catch((error: Error) => error)
  t.match(server, given)
  const late = new AbortController()
  const { port } = (await subject.server.promises.listen({ port: 0, host: subject.address })).address() as {
    port: number
  }
  const socket = await subject.client.promises.connect({ port, host: subject.address, signal: late.signal })
  late.abort()
  t.equal(socket.destroyed, false, 'the signal was for the wait')
  socket.destroy()
})

t.test('names: localhost, hosts, and what to do about the others', async (t) => {
  await using node = await boot(hostSockets(), 'names', { hosts: { db: '127.0.0.1', Both: ['::1', '127.0.0.1'] } })
  const server = node.net.createServer((socket) => socket.end(socket.localAddress))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  for (const host of ['localhost', 'a.localhost', 'db', 'DB', 'both']) {
    const socket = node.net.connect({ port, host, family: 4 })
    const looked = new Promise((resolve) => socket.once('lookup', (...args: unknown[]) => resolve(args)))
    t.equal(String(await readAll(socket)), '127.0.0.1', host)
    t.strictSame(await looked, [null, '127.0.0.1', 4, host])
  }
  const failed = await once<NetError>(node.net.connect(port, 'nowhere'), 'error')
  t.match(failed, {
    code: 'ENOTFOUND',
    syscall: 'getaddrinfo',
    address: 'nowhere',
    message: /hosts: \{ name: address \}/,
  })
  t.match(await once<NetError>(node.net.connect({ port, host: 'db', family: 6 }), 'error'), { code: 'ENOTFOUND' })
  server.close()
  await t.rejects(boot(hostSockets(), 'bad', { hosts: { db: 'not an address' } }), { code: 'ERR_INVALID_ARG_TYPE' })
})

t.test('a transport without IPv6 says so', async (t) => {
  const subject = await inSimulation()
  await subject.run(async () => {
    t.match(await once(subject.client.connect(1, '::1'), 'error'), { code: 'EAFNOSUPPORT', errno: -97 })
    t.match(await once(subject.server.createServer().listen(0, 'fd00::1'), 'error'), { code: 'EAFNOSUPPORT' })
    const lookup = (_host: string, _options: object, callback: (error: null, address: string) => void): void =>
      callback(null, 'fd00::1')
    t.match(await once(subject.client.connect({ port: 1, host: 'x', lookup }), 'error'), { code: 'EAFNOSUPPORT' })
  })
  await subject.close()
})

t.test('an error from the stack keeps its reason', async (t) => {
  const subject = await inSimulation()
  await subject.run(async () => {
    const error = await once<NetError>(subject.client.connect(1, subject.address), 'error')
    t.ok(NetError.is(error))
    t.match(error, { code: 'ECONNREFUSED', errno: -111, syscall: 'connect', layer: 'tcp', rfc: /RFC 9293/ })
  })
  await subject.close()
})

t.test('what keeps the process alive', async (t) => {
  await using node = await boot(hostSockets(), 'holds')
  const host = new HostDouble()
  const alive = setInterval(() => {}, 1000)
  t.teardown(() => clearInterval(alive))
  const net = createNet(node.top, host)
  const server = net.createServer((socket) => socket.resume())
  t.equal(host.holds, 0)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.equal(host.holds, 1, 'a server that listens')
  server.unref()
  t.equal(host.holds, 0)
  server.ref()
  server.ref()
  t.equal(host.holds, 1)
  server.unref()
  const { port } = server.address() as { port: number }
  const accepted = once<Socket>(server, 'connection')
  const socket = net.connect(port, '127.0.0.1')
  await once(socket, 'connectionAttempt')
  t.equal(host.holds, 1, 'a socket that connects')
  const far = await accepted
  far.unref()
  if (socket.connecting) await once(socket, 'connect')
  t.equal(host.holds, 1)
  socket.unref()
  t.equal(host.holds, 0)
  socket.ref()
  t.equal(host.holds, 1)
  far.write('read by nobody')
  await once(socket, 'readable')
  far.end()
  while (socket.listenerCount('end') > 0 && !socket.connection?.ended) await new Promise((done) => setTimeout(done, 5))
  t.equal(host.holds, 0, 'a socket that neither reads nor writes does not, as in Node')
  socket.end()
  socket.resume()
  await once(socket, 'close')
  t.equal(host.holds, 0, 'a socket that is closed does not')
  const asking = net.connect({ port, host: 'name', lookup: () => {} })
  await new Promise((done) => setTimeout(done, 5))
  t.equal(host.holds, 0, 'nor does one that waits for a lookup function')
  asking.destroy()
  const idle = new net.Socket().unref().ref()
  t.equal(host.holds, 0, 'nor does one that was never connected')
  idle.destroy()
  server.close()
})

t.test('octets on their way keep it alive after destroySoon', async (t) => {
  const subject = await inSimulation()
  const { near, far, server } = await subject.run(() => pair(subject))
  far.pause()
  near.write(Buffer.alloc(100_000))
  const connection = near.connection
  near.destroySoon()
  await subject.run(() => once(near, 'close'))
  t.ok((connection?.queuedOctets ?? 0) > 0, 'the peer does not read')
  const all = await subject.run(() => readAll(far.resume() as Socket))
  t.equal(all.length, 100_000)
  server.close()
  await subject.close()
})

t.test('a destroyed socket holds until its octets are acknowledged, or the connection fails', async (t) => {
  for (const ending of ['drained', 'closed'] as const) {
    const host = new HostDouble()
    const connection = {
      handler: {} as ConnectionHandler,
      remote: { address: parseAddress('10.0.0.9'), port: 80 },
      readableOctets: 0,
      ended: false,
      queuedOctets: 10,
      close() {},
      get: () => 0,
      notifyDrained: () => true,
    }
    const stream = {
      connect(_request: object, handler: ConnectionHandler) {
        connection.handler = handler
        return connection
      },
    }
    const net = createNet({ stream } as unknown as StreamSockets, host)
    const socket = net.connect(80, '10.0.0.9')
    await once(socket, 'connectionAttempt')
    await new Promise((resolve) => setImmediate(resolve))
    connection.handler.established?.(connection as never)
    socket.destroy()
    await once(socket, 'close')
    t.equal(host.holds, 1, 'closed for the application, not for the network')
    connection.handler[ending]?.(connection as never, null)
    connection.handler.closed?.(connection as never, null)
    t.equal(host.holds, 0, ending)
  }
})

t.test('node.close ends its servers and sockets, without an error', async (t) => {
  const node = await boot(hostSockets(), 'closing')
  const datagrams = node.dgram.createSocket('udp4')
  datagrams.bind(0)
  await once(datagrams, 'listening')
  const datagramsClosed = once(datagrams, 'close')
  const server = node.net.createServer((socket) => socket.resume())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const socket = node.net.connect((server.address() as { port: number }).port, '127.0.0.1')
  await once(socket, 'connect')
  const closed = Promise.all([once(socket, 'close'), once(server, 'close'), datagramsClosed])
  await node.close()
  await closed
  t.equal(server.listening, false)
  t.equal(socket.destroyed, true)
})

t.test('interception', async (t) => {
  const subject = await inSimulation()
  await subject.run(async () => {
    const seen: string[] = []
    let answer: (request: Interception) => void = () => {}
    const stop = subject.server.intercept({ prefix: '203.0.113.0/24', ports: [80] }, (request) => {
      seen.push(`${request.remoteAddress} ${request.localAddress}:${request.localPort} ${request.family}`)
      answer(request)
    })
    answer = (request) => {
      const socket = request.accept({ allowHalfOpen: true })
      t.equal(socket.connecting, true)
      socket.on('connect', () => socket.end(`you wanted ${socket.localAddress}`))
    }
    t.equal(String(await readAll(subject.client.connect(80, '203.0.113.9'))), 'you wanted 203.0.113.9')
    answer = (request) => request.reset()
    t.match(await once(subject.client.connect(80, '203.0.113.9'), 'error'), { code: 'ECONNREFUSED' })
    t.strictSame(seen, Array(2).fill('10.0.0.1 203.0.113.9:80 IPv4'))
    stop()
    stop()
  })
  await subject.close()
  await using node = await boot(hostSockets(), 'host')
  t.throws(() => node.net.intercept({ prefix: '0.0.0.0/0' }, () => {}), { code: 'ENOTSUP' })
})

t.test('an ICMP error that does not end the connection is an event', async (t) => {
  let handler: ConnectionHandler = {}
  const connection = {
    remote: { address: parseAddress('10.0.0.9'), port: 80 },
    close() {},
    get: () => 0,
    notifyDrained: () => false,
  }
  const stream = {
    connect(_request: object, given: ConnectionHandler) {
      handler = given
      return connection
    },
  }
  const net = createNet({ stream } as unknown as StreamSockets, new HostDouble())
  const socket = net.connect(80, '10.0.0.9')
  const icmp = once<NetError>(socket, 'icmp')
  await once(socket, 'connectionAttempt')
  await new Promise((resolve) => setImmediate(resolve))
  const error = new NetError('EHOSTUNREACH', 'host unreachable', { layer: 'icmp', reason: 'hostUnreachable' })
  handler.softError?.(connection as never, error)
  t.match(await icmp, { code: 'EHOSTUNREACH', reason: 'hostUnreachable', layer: 'icmp' })
  t.equal(socket.connecting, true)
  socket.destroy()
})

t.test('ping', async (t) => {
  const host = new HostDouble()
  const requests: EchoRequest[] = []
  let stopped = 0
  let answered: (reply: EchoReply) => void = () => {}
  const icmp = createIcmp(
    {
      icmp: {
        echo(request, answer) {
          if (request.ttl === 9) throw new NetError('ENETUNREACH', 'no route')
          requests.push(request)
          answered = answer
          return () => stopped++
        },
      },
    },
    host,
    { router: '10.0.0.254' },
  )
  const reply = { address: '10.0.0.254', outcome: 'reply', octets: 10, ttl: 64, roundTrip: 500 }
  const waiting = icmp.ping('router', { size: 10, ttl: 5 })
  t.equal(host.holds, 1)
  t.match(requests[0], { size: 10, ttl: 5 })
  t.equal(String(requests[0]?.address), '10.0.0.254')
  answered(reply)
  t.strictSame(await waiting, reply)
  t.equal(host.holds, 0)

  const late = icmp.ping('10.0.0.1', { timeout: 100 })
  host.advance(99_999)
  t.equal(host.holds, 1)
  host.advance(1)
  await t.rejects(late, { code: 'ETIMEDOUT', syscall: 'ping', address: '10.0.0.1' })
  t.equal(host.holds, 0)

  const control = new AbortController()
  const given = icmp.ping('10.0.0.1', { signal: control.signal })
  control.abort()
  await t.rejects(given, { code: 'ABORT_ERR' })
  t.equal(host.holds, 0)
  t.equal(host.timers.size, 0)
  t.ok(stopped >= 3)

  await t.rejects(icmp.ping('10.0.0.1', { ttl: 9 }), { code: 'ENETUNREACH', syscall: 'ping' })
  await t.rejects(icmp.ping('nowhere'), { code: 'ENOTFOUND' })
  t.equal(host.holds, 0)
  t.throws(() => icmp.ping('10.0.0.1', { size: 65_508 }), { code: 'ERR_OUT_OF_RANGE' })
  t.throws(() => icmp.ping('10.0.0.1', { ttl: 0 }), { code: 'ERR_OUT_OF_RANGE' })
  t.throws(() => icmp.ping(1 as unknown as string), { code: 'ERR_INVALID_ARG_TYPE' })
})

t.test('ping through the stack, and what comes back instead of a reply', async (t) => {
  const subject = await inSimulation()
  await subject.run(async () => {
    const reply = await subject.icmp.ping(subject.address, { size: 100 })
    t.match(reply, { address: subject.address, outcome: 'reply', octets: 100, ttl: 64 })
    t.ok(reply.roundTrip >= 2000, 'a millisecond each way')
    t.match(await subject.icmp.ping('localhost'), { address: '127.0.0.1', outcome: 'reply' })
    await t.rejects(subject.icmp.ping('10.0.0.77', { timeout: 200 }), { code: /ETIMEDOUT|EHOSTUNREACH/ })
  })
  await subject.close()
})

t.test('port unreachable: an error of a connected socket, and an event of any', async (t) => {
  const subject = await inSimulation()
  await subject.run(async () => {
    const socket = await subject.dgram.promises.bind({ type: 'udp4' })
    let errors = 0
    socket.on('error', () => errors++)
    const icmp = once<NetError>(socket, 'icmp')
    socket.send('x', 9, subject.address)
    t.match(await icmp, { code: 'ECONNREFUSED', address: subject.address, port: 9, errno: -111 })
    t.equal(errors, 0)
    const connected = once(socket, 'connect')
    socket.connect(9, subject.address)
    await connected
    const refused = once<NetError>(socket, 'error')
    socket.send('x')
    t.match(await refused, { code: 'ECONNREFUSED', address: subject.address, port: 9 })
    socket.close()
  })
  await subject.close()
})

t.test('stacks without a transport have no net', async (t) => {
  await using node = await boot(() => ({ tier: 'none' }), 'bare')
  t.throws(() => node.net as unknown, { code: 'ENOTSUP', message: /stack sockets/ })
})

check('attach closes idle HTTP connections with the server', async (t, subject) => {
  if (subject.real) {
    t.pass("Node's own has no attach")
    return
  }
  let idleClosed = 0
  const taker = { emit: () => true, closeIdleConnections: () => idleClosed++ }
  const server = subject.server.attach(taker)
  await listen(server, subject)
  server.close()
  await once(server, 'close')
  t.equal(idleClosed, 1)
})
