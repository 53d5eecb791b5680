/** `netstrata/register`: unmodified calls of Node's modules go through a node, and to the host again when it is over. */
import childProcess from 'node:child_process'
import dgram, { createSocket } from 'node:dgram'
import { getEventListeners } from 'node:events'
import http from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import { createRequire } from 'node:module'
import net, { connect, createServer } from 'node:net'
import { buffer, text } from 'node:stream/consumers'
import tls from 'node:tls'
import { fileURLToPath } from 'node:url'
import tap, { type Test } from 'tap'
import { hostSockets } from '../src/api/host-sockets.ts'
import { cable, ethernet, ip, ipv4, ipv6, Simulation, sockets, stack, tcp, udp } from '../src/index.ts'
import { seconds } from '../src/kernel/clock.ts'
import { type Intent, onHost, register } from '../src/register.ts'
import { boot } from '../src/runtime/real-time.ts'
import { type Network, network } from '../src/testing.ts'
import { CERTIFICATE, KEY } from './api/certificate.ts'
import { once, pattern } from './api/events.ts'

const required = createRequire(import.meta.url)('net') as typeof net
const BODY = pattern(100_000)
const SECURE = { key: KEY, cert: CERTIFICATE }
const TRUST = { ca: CERTIFICATE, servername: 'server.test' }

/** Node compiles the parser of its `fetch` in the background, with the first one, and virtual time waits for no thread. */
async function firstFetch(): Promise<void> {
  const server = http.createServer((_, response) => response.end()).listen(0, '127.0.0.1')
  await once(server, 'listening')
  await (await fetch(`http://127.0.0.1:${(server.address() as net.AddressInfo).port}/`)).text()
  server.closeAllConnections()
  server.close()
}
await firstFetch()

/** Runs a body between two hosts; what it registers is over by its end. */
function check(title: string, body: (t: Test, hosts: Network<'A' | 'B'>) => Promise<void>): void {
  tap.test(title, { timeout: 120_000 }, async (t) => {
    await using hosts = network({ hosts: { A: {}, B: {} }, links: [{ between: ['A', 'B'] }] })
    let over = false
    const done = body(t, hosts).finally(() => {
      over = true
    })
    done.catch(() => {})
    t.ok(await hosts.sim.runUntil(() => over, seconds(60)), 'it comes to an end')
    await done
  })
}

/** Listens on B, with Node's own call. */
async function onB<S extends net.Server>({ nodes }: Network<'A' | 'B'>, server: S, port: number): Promise<S> {
  using _ = register(nodes.B)
  const listening = once(server, 'listening')
  server.listen(port)
  await listening
  return server
}

tap.test('over IPv6, in brackets, by name, and on ::', { timeout: 120_000 }, async (t) => {
  const sim = new Simulation()
  const ends = cable()
  const hosts = { both: ['2001:db8::2', '10.0.0.2'] }
  const host = (name: string, end: (typeof ends)[0], n: number) => {
    const family4 = ipv4({ address: `10.0.0.${n}/24` })
    const network = ip(family4, ipv6({ address: `2001:db8::${n}/64` }))
    return sim.boot(name, stack(end, ethernet(), network, sockets(tcp(), udp())), { hosts })
  }
  const [a, b] = [host('A', ends[0], 1), host('B', ends[1], 2)]
  await sim.run(seconds(4))
  const talk = async (): Promise<void> => {
    const server = http.createServer((request, response) => response.end(request.socket.remoteAddress))
    let echo: dgram.Socket
    {
      using _ = register(b)
      echo = dgram.createSocket('udp6', (message, { port, address }) => echo.send(message, port, address))
      server.listen(80)
      await once(server, 'listening')
      echo.bind(7)
      await once(echo, 'listening')
    }
    t.match(server.address(), { address: '::', family: 'IPv6' })
    using _ = register(a)
    const said: string[] = []
    for (const place of ['[2001:db8::2]', 'both', '10.0.0.2']) {
      const response = await once<http.IncomingMessage>(http.get(`http://${place}/`, { agent: false }), 'response')
      said.push(await text(response))
    }
    t.same(said, ['2001:db8::1', '2001:db8::1', '::ffff:10.0.0.1'])
    const socket = createSocket('udp6')
    socket.send('over UDP', 7, '2001:db8::2')
    t.equal(String(await once<Buffer>(socket, 'message')), 'over UDP')
    for (const one of [socket, echo, server]) one.close()
  }
  let over = false
  const done = talk().finally(() => {
    over = true
  })
  t.ok(await sim.runUntil(() => over, seconds(60)), 'it comes to an end')
  await done
  await sim.close()
})

check('net: calls that were imported, required or read before', async (t, hosts) => {
  const server = await onB(
    hosts,
    createServer((socket) => socket.pipe(socket)),
    7,
  )
  t.match(server.address(), { address: '0.0.0.0', port: 7 })
  using _ = register(hosts.nodes.A)
  for (const call of [connect, net.connect, net.createConnection, required.connect, required.createConnection]) {
    const socket = call({ port: 7, host: 'B' })
    t.ok(socket instanceof hosts.nodes.A.net.Socket)
    await once(socket, 'connect')
    t.equal(socket.remoteAddress, hosts.address('B'))
    socket.end('hello')
    t.equal(await text(socket), 'hello')
  }
  const early = new net.Socket({ allowHalfOpen: true })
  early.connect(7, 'B').end('made first')
  t.equal(await text(early), 'made first')
  t.equal(early.allowHalfOpen, true)
  server.close()
  await once(server, 'close')
})

check('http: requests, agents and fetch', async (t, hosts) => {
  const server = await onB(
    hosts,
    http.createServer((request, response) => request.pipe(response)),
    80,
  )
  using _ = register(hosts.nodes.A)
  for (const agent of [undefined, false, new http.Agent({ keepAlive: true })] as const) {
    const request = http.request({ host: 'B', method: 'POST', agent })
    request.end(BODY)
    const response = await once<http.IncomingMessage>(request, 'response')
    t.equal(response.socket.remoteAddress, hosts.address('B'))
    t.ok((await buffer(response)).equals(BODY))
    if (typeof agent === 'object') agent.destroy()
  }
  const answer = await fetch('http://B/', { method: 'POST', body: 'by fetch' })
  t.equal(await answer.text(), 'by fetch')
  server.close()
  await once(server, 'close')
})

check('tls and https', async (t, hosts) => {
  const plain = await onB(
    hosts,
    tls.createServer(SECURE, (socket) => socket.pipe(socket)),
    443,
  )
  const web = await onB(
    hosts,
    https.createServer(SECURE, (_, response) => response.end(BODY)),
    8443,
  )
  using _ = register(hosts.nodes.A)
  const forms = [
    () => tls.connect({ port: 443, host: 'B', ...TRUST }),
    () => tls.connect(443, 'B', TRUST),
    () => tls.connect(443, { host: 'B', ...TRUST }),
  ]
  for (const form of forms) {
    const socket = form()
    const secured = once(socket, 'secureConnect')
    await secured
    t.equal(socket.authorized, true)
    t.equal(socket.remoteAddress, hosts.address('B'))
    socket.end('secret')
    t.equal(await text(socket), 'secret')
  }
  const request = https.get({ host: 'B', port: 8443, agent: false, ...TRUST })
  t.ok((await buffer(await once<http.IncomingMessage>(request, 'response'))).equals(BODY))
  for (const server of [plain, web]) {
    server.close()
    await once(server, 'close')
  }
})

check('tls: what is told of a connection, and that an alert after its end is no error', async (t, hosts) => {
  const server = await onB(
    hosts,
    tls.createServer(SECURE, (socket) => socket.once('data', () => socket.destroy())),
    443,
  )
  using _ = register(hosts.nodes.A)
  const socket = tls.connect({ ...TRUST, host: 'B', port: 443 })
  const told: string[] = []
  const steps: string[] = []
  socket.on('error', (error) => told.push(error.message))
  for (const step of ['lookup', 'connect', 'ready', 'secureConnect']) socket.on(step, () => steps.push(step))
  await once(socket, 'secureConnect')
  t.strictSame(steps, ['lookup', 'connect', 'ready', 'secureConnect'])
  socket.write('go away')
  await once(socket.resume(), 'close')
  t.strictSame(told, [])
  server.close()
})

check('tls: options that make no sense are refused, and leave nothing behind', async (t, hosts) => {
  using _ = register(hosts.nodes.A)
  const ciphers = 'none-of-these'
  t.throws(() => tls.connect({ ...TRUST, host: 'B', port: 443, ciphers }), { code: 'ERR_SSL_NO_CIPHER_MATCH' })
  t.throws(() => tls.connect({ minDHSize: -1 } as tls.ConnectionOptions), /minDHSize/)
  await hosts.sim.sleep(seconds(1))
  t.strictSame([...hosts.nodes.A.top.stream.list()], [])
})

check('tls: over a socket that connects later, and a server that pauses', async (t, hosts) => {
  const options = { ...SECURE, pauseOnConnect: true, allowHalfOpen: true }
  const paused: boolean[] = []
  const accept = (socket: tls.TLSSocket) => {
    paused.push(socket.isPaused())
    socket.pipe(socket)
  }
  const server = await onB(hosts, tls.createServer(options, accept), 443)
  using _ = register(hosts.nodes.A)
  const plain = new net.Socket()
  const socket = tls.connect({ ...TRUST, socket: plain })
  socket.end(BODY)
  plain.connect(443, 'B')
  t.same(await buffer(socket), BODY)
  t.strictSame(paused, [true])
  server.close()
})

check('tls: onread gets the plain text', async (t, hosts) => {
  const server = await onB(
    hosts,
    tls.createServer(SECURE, (socket) => socket.end(BODY)),
    443,
  )
  using _ = register(hosts.nodes.A)
  const got: Buffer[] = []
  const callback = (n: number, into: Uint8Array) => got.push(Buffer.from(into.subarray(0, n))) > 0
  const onread = { buffer: Buffer.alloc(1000), callback }
  const socket = tls.connect({ ...TRUST, host: 'B', port: 443, onread } as tls.ConnectionOptions)
  await once(socket, 'close')
  t.ok(Buffer.concat(got).equals(BODY))
  t.ok(got.every(({ length }) => length <= 1000))
  server.close()
})

check('tls: a signal ends it once', async (t, hosts) => {
  using _ = register(hosts.nodes.A)
  const controller = new AbortController()
  const socket = tls.connect({ ...TRUST, host: 'B', port: 443, signal: controller.signal } as tls.ConnectionOptions)
  t.equal(getEventListeners(controller.signal, 'abort').length, 1)
  const failed = once<Error>(socket, 'error')
  controller.abort()
  t.equal((await failed).name, 'AbortError')
  await hosts.sim.sleep(seconds(1))
  t.strictSame([...hosts.nodes.A.top.stream.list()], [])
})

check('http2, in clear and in TLS', async (t, hosts) => {
  const echo = (stream: http2.ServerHttp2Stream) => stream.respond({ ':status': 200 }) ?? stream.pipe(stream)
  const clear = await onB(hosts, http2.createServer().on('stream', echo), 80)
  const secure = await onB(hosts, http2.createSecureServer(SECURE).on('stream', echo), 443)
  using _ = register(hosts.nodes.A)
  const clients = [
    { session: http2.connect('http://B', () => {}), server: clear },
    { session: http2.connect('https://B', TRUST), server: secure },
  ]
  for (const { session, server } of clients) {
    const stream = session.request({ ':method': 'POST' })
    stream.end(BODY)
    t.ok((await buffer(stream)).equals(BODY))
    session.close()
    await once(session, 'close')
    server.close()
    await once(server, 'close')
  }
})

check('dgram', async (t, hosts) => {
  const inB = register(hosts.nodes.B)
  const server = dgram.createSocket('udp4', (message, { port, address }) => server.send(message, port, address))
  t.ok(server instanceof hosts.nodes.B.dgram.Socket)
  server.bind(7)
  await once(server, 'listening')
  inB.close()
  using _ = register(hosts.nodes.A)
  for (const make of [
    createSocket,
    dgram.createSocket,
    (type: 'udp4') => Reflect.construct(dgram.Socket, [type]),
  ] as const) {
    const client = make('udp4')
    client.send('ping', 7, 'B')
    t.equal(String(await once<Buffer>(client, 'message')), 'ping')
    client.close()
  }
  server.close()
})

check('servers: what they say of themselves', async (t, hosts) => {
  using _ = register(hosts.nodes.A)
  const server = net.createServer({ pauseOnConnect: true })
  t.equal(server.listening, false)
  t.equal(server.address(), null)
  await new Promise<void>((resolve) => server.listen({ port: 80, host: hosts.address('A') }, resolve))
  t.equal(server.listening, true)
  t.strictSame(server.address(), { address: hosts.address('A'), family: 'IPv4', port: 80 })
  t.throws(() => server.listen(81), { code: 'ERR_SERVER_ALREADY_LISTEN' })
  const second = net.createServer().listen(80)
  t.match(await once(second, 'error'), { code: 'EADDRINUSE' })
  const near = net.connect(80, hosts.address('A'))
  const far = await once<net.Socket>(server, 'connection')
  t.equal(far.isPaused(), true)
  t.equal(await new Promise((resolve) => server.getConnections((_, n) => resolve(n))), 1)
  server.maxConnections = 1
  net.connect(80, hosts.address('A')).on('error', () => {})
  t.match(await once(server, 'drop'), { localPort: 80 })
  t.equal(server.unref(), server)
  t.equal(server.ref(), server)
  const closed = new Promise((resolve) => server.close(resolve))
  t.equal(server.listening, false)
  near.destroy()
  far.destroy()
  t.equal(await closed, undefined)
  t.equal(server.address(), null)
  t.match(await new Promise((resolve) => server.close(resolve)), { code: 'ERR_SERVER_NOT_RUNNING' })
  server.listen(80)
  await once(server, 'listening')
  await server[Symbol.asyncDispose]()
  t.equal(server.listening, false)
})

check('the newest registration is in force, and undone twice at no harm', async (t, hosts) => {
  const a = register(hosts.nodes.A)
  const b = register(hosts.nodes.B)
  t.equal(net.connect(9, '127.0.0.1').on('error', () => {}) instanceof hosts.nodes.B.net.Socket, true)
  a.close()
  t.equal(net.connect(9, '127.0.0.1').on('error', () => {}) instanceof hosts.nodes.B.net.Socket, true)
  b.close()
  b.close()
  const socket = new net.Socket()
  t.equal(socket instanceof hosts.nodes.B.net.Socket, false)
  t.equal(socket.constructor.name, 'Socket')
})

check('a registration may want some of it only', async (t, hosts) => {
  const { A, B } = hosts.nodes
  const server = await onB(
    hosts,
    net.createServer((socket) => socket.end('B')),
    80,
  )
  const seen: Intent[] = []
  using _a = register(A, ({ host }) => host === 'B')
  using _b = register(B, (intent) => {
    seen.push(intent)
    return intent.host === '127.0.0.1' && intent.port === 7
  })
  t.equal(await text(net.connect(80, 'B')), 'B', 'what the newer one does not want')
  t.ok(net.connect({ port: 7, host: '127.0.0.1' }).on('error', () => {}) instanceof B.net.Socket)
  for (const socket of [net.connect(9, '127.0.0.1').on('error', () => {}), new net.Socket()]) {
    t.notOk(socket instanceof A.net.Socket || socket instanceof B.net.Socket, "the host's")
  }
  net.createServer().listen(0, '127.0.0.1').close()
  dgram.createSocket('udp4').close()
  tls.connect(8443, { host: '127.0.0.2' }).on('error', () => {})
  t.strictSame(seen, [
    { call: 'connect', host: 'B', port: 80 },
    { call: 'connect', host: '127.0.0.1', port: 7 },
    { call: 'connect', host: '127.0.0.1', port: 9 },
    { call: 'connect', host: undefined, port: undefined },
    { call: 'listen', host: '127.0.0.1', port: 0 },
    { call: 'dgram', host: undefined, port: undefined },
    { call: 'connect', host: '127.0.0.2', port: 8443 },
  ])
  server.close()
})

tap.test('the host has what belongs to it, with a node in force and without', async (t) => {
  await using hosts = network({ hosts: { A: {}, B: {} }, links: [{ between: ['A', 'B'] }] })
  await exchange(t)
  using _ = register(hosts.nodes.A)
  // Descriptors: a child's streams are sockets of Node's.
  const child = childProcess.spawn(process.execPath, ['-p', '40 + 2'])
  t.equal(await text(child.stdout), '42\n')
  await exchange(t, onHost)
  await using node = await boot(hostSockets(), 'host')
  const server = node.net.createServer((socket) => socket.end('over the host'))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as net.AddressInfo
  t.equal(await text(node.net.connect(port, '127.0.0.1')), 'over the host')
  server.close()
})

tap.test('a program that knows of nothing, in either kind of module', async (t) => {
  const overlay = fileURLToPath(new URL('register/overlay.ts', import.meta.url))
  const serve = 'createServer((s) => s.end(s.localAddress))'
  const ask = "listen(80, () => connect(80, '10.0.0.1').pipe(process.stdout))"
  const programs = {
    commonjs: `const { connect, createServer } = require('net'); ${serve}.${ask}.unref()`,
    module: `import { connect, createServer } from 'node:net'; ${serve}.unref().${ask}`,
  }
  for (const [kind, program] of Object.entries(programs)) {
    const args = ['--import=tsx', `--import=${overlay}`, `--input-type=${kind}`, '-e', program]
    const child = childProcess.spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    const [said, complained] = await Promise.all([text(child.stdout), text(child.stderr)])
    t.equal(said, '10.0.0.1', `${kind} ${complained}`)
  }
})

/** Over the host's loopback, with these options for each call. */
async function exchange(t: Test, options: object = {}): Promise<void> {
  const server = net.createServer((socket) => socket.end('from the host'))
  server.listen({ port: 0, host: '127.0.0.1', ...options })
  await once(server, 'listening')
  const { port } = server.address() as net.AddressInfo
  t.equal(await text(net.connect({ port, host: '127.0.0.1', ...options })), 'from the host')
  server.close()
  await once(server, 'close')
  const socket = dgram.createSocket({ type: 'udp4', ...options })
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  socket.send('to itself', socket.address().port, '127.0.0.1')
  t.equal(String(await once<Buffer>(socket, 'message')), 'to itself')
  socket.close()
}

tap.test("subclasses of Node's sockets, and its constructors called as functions, are Node's", async (t) => {
  await using hosts = network({ hosts: { A: {}, B: {} }, links: [{ between: ['A', 'B'] }] })
  using _ = register(hosts.nodes.A)
  class Own extends net.Socket {}
  const own = new Own()
  t.ok(own instanceof Own)
  t.ok(own instanceof net.Socket)
  t.notOk(hosts.nodes.A.net.connect(9, '127.0.0.1').on('error', () => {}) instanceof Own)
  function Old(this: net.Socket): void {
    Reflect.apply(net.Socket, this, [])
  }
  Object.setPrototypeOf(Old.prototype, net.Socket.prototype)
  const old = Reflect.construct(Old, []) as net.Socket
  t.equal(old.pending, true)
  t.equal(old.connecting, false)
})
