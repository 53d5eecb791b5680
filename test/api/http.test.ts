/** Node's own protocols, and popular libraries, over our sockets: each only has to be told where its connections come from. */
import http from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import type { Socket as NodeSocket } from 'node:net'
import { Duplex } from 'node:stream'
import tls from 'node:tls'
import type { Test } from 'tap'
import { Agent, fetch } from 'undici'
import WebSocket, { WebSocketServer } from 'ws'
import { httpAgent, httpsAgent, type Net, type Server, type Socket, undiciConnector } from '../../src/api/node-net.ts'
import { CERTIFICATE, KEY } from './certificate.ts'
import { listen, once, pattern, readAll } from './events.ts'
import { check as checkAll, type Subject } from './subjects.ts'

const SECURE = { key: KEY, cert: CERTIFICATE }
const TRUST = { ca: CERTIFICATE, servername: 'server.test' }
const BODY = pattern(300_000)

/** Where the sessions of HTTP/2 say they come from. */
const peers: (string | undefined)[] = []

interface Site {
  readonly server: Server
  readonly client: Net
  readonly port: number
  readonly address: string
}

/** A test on our sockets, whose transport is the host's or ours. `serve` is what takes the connections. */
function check(
  title: string,
  serve: () => Parameters<Net['attach']>[0],
  body: (t: Test, site: Site, subject: Subject) => Promise<void>,
): void {
  checkAll(title, async (t, subject) => {
    if (subject.real) {
      t.pass("Node's own is for others to test")
      return
    }
    const server = subject.server.attach(serve())
    const port = await listen(server, subject)
    await body(t, { server, client: subject.client, port, address: subject.address }, subject)
    const closed = once(server, 'close')
    server.close()
    await closed
  })
}

/** Answers with what it was sent, or with BODY. */
const echo: http.RequestListener = (request, response) => {
  if (request.method === 'POST') request.pipe(response)
  else response.end(BODY)
}

function get(request: http.ClientRequest): Promise<{ status: number | undefined; body: Buffer }> {
  return new Promise((resolve, reject) => {
    request.once('error', reject)
    request.once('response', (response) => {
      readAll(response).then((body) => resolve({ status: response.statusCode, body }), reject)
    })
    request.end()
  })
}

check(
  'http, with an agent that keeps connections',
  () => http.createServer(echo),
  async (t, site, subject) => {
    const agent = httpAgent(site.client, { keepAlive: true })
    let connections = 0
    site.server.on('connection', () => connections++)
    for (let i = 0; i < 3; i++) {
      const { status, body } = await get(http.get({ agent, host: site.address, port: site.port }))
      t.equal(status, 200)
      t.ok(body.equals(BODY))
      await subject.sleep(1)
    }
    t.equal(connections, 1)
    agent.destroy()
  },
)

check(
  'http, a connection for each request, and a body both ways',
  () => http.createServer(echo),
  async (t, site) => {
    const request = http.request({
      method: 'POST',
      host: site.address,
      port: site.port,
      createConnection: () => site.client.connect(site.port, site.address),
    })
    request.write(BODY.subarray(0, 1000))
    request.write(BODY.subarray(1000))
    const { body } = await get(request)
    t.ok(body.equals(BODY))
  },
)

check(
  'https',
  () => https.createServer(SECURE, echo),
  async (t, site) => {
    const agent = httpsAgent(site.client, { keepAlive: true })
    for (let i = 0; i < 2; i++) {
      const { body } = await get(https.get({ agent, host: site.address, port: site.port, ...TRUST }))
      t.ok(body.equals(BODY))
    }
    agent.destroy()
  },
)

check(
  'https: both ends know where the other one is',
  () =>
    https.createServer(SECURE, ({ socket: { remoteAddress, localPort } }, response) =>
      response.end(`${remoteAddress} ${localPort}`),
    ),
  async (t, site, { clientAddress }) => {
    const agent = httpsAgent(site.client)
    const request = https.get({ agent, host: site.address, port: site.port, ...TRUST })
    const { body } = await get(request)
    t.equal(String(body), `${clientAddress} ${site.port}`)
    t.equal(request.socket?.remoteAddress, site.address)
    agent.destroy()
  },
)

check(
  'https: what is set on a TLS socket reaches the connection below it',
  () => https.createServer(SECURE, echo),
  async (t, site) => {
    let below: Socket | undefined
    const connect = ((options: object) => (below = site.client.connect(options as never))) as Net['connect']
    const agent = httpsAgent({ ...site.client, connect }, { keepAlive: true, noDelay: false })
    const request = https.get({ agent, host: site.address, port: site.port, ...TRUST })
    await get(request)
    t.equal(below?.connection?.get('noDelay'), false)
    t.equal(request.socket?.setNoDelay().setKeepAlive(true).unref(), request.socket)
    t.equal(below?.connection?.get('noDelay'), true)
    t.equal(below?.connection?.get('keepAlive'), true)
    agent.destroy()
  },
)

check(
  'https refuses a certificate nobody vouches for',
  () => https.createServer(SECURE, echo),
  async (t, site) => {
    const agent = httpsAgent(site.client)
    await t.rejects(get(https.get({ agent, host: site.address, port: site.port, servername: 'server.test' })), {
      code: 'DEPTH_ZERO_SELF_SIGNED_CERT',
    })
    agent.destroy()
  },
)

check(
  'tls, closed by each side',
  () => tls.createServer(SECURE, (socket) => socket.end(BODY)),
  async (t, site) => {
    const socket = tls.connect({ ...TRUST, socket: site.client.connect(site.port, site.address) })
    t.ok((await readAll(socket)).equals(BODY))
    t.equal(socket.getProtocol(), 'TLSv1.3')
    if (!socket.closed) await once(socket, 'close')
  },
)

check(
  'tls, of which one side says that it ends while the connection below goes on: the other ends it',
  () => tls.createServer(SECURE, (socket) => socket.resume()),
  async (t, site) => {
    const plain = site.client.connect(site.port, site.address)
    const below = new Duplex({ read() {}, write: (chunk, _encoding, done) => void plain.write(chunk, done) })
    plain.on('data', (chunk: Buffer) => below.push(chunk))
    const socket = tls.connect({ ...TRUST, socket: below }, () => socket.end())
    await once(plain, 'end')
    t.ok(plain.bytesRead > 0)
    socket.destroy()
  },
)

check(
  'http/2 in clear, 20 streams',
  () =>
    h2Echo(
      http2.createServer().on('session', ({ socket }) => {
        peers.push(socket.remoteAddress)
      }),
    ),
  async (t, site, { clientAddress }) => {
    peers.length = 0
    site.server.on('connection', (far: Socket) => t.equal(far.connection?.get('noDelay'), true, 'as http2 does itself'))
    const session = http2.connect(`http://${site.address}`, {
      createConnection: () => site.client.connect(site.port, site.address),
    })
    await streams(t, session)
    t.strictSame(peers, [clientAddress])
  },
)

check(
  'http/2 in TLS, 20 streams',
  () => h2Echo(http2.createSecureServer(SECURE)),
  async (t, site) => {
    const session = http2.connect('https://server.test', {
      createConnection: () =>
        tls.connect({ ...TRUST, ALPNProtocols: ['h2'], socket: site.client.connect(site.port, site.address) }),
    })
    await streams(t, session)
  },
)

check(
  "undici's fetch",
  () => http.createServer(echo),
  async (t, site) => {
    const dispatcher = new Agent({ connect: undiciConnector(site.client) })
    const answer = await fetch(`http://${site.address}:${site.port}/`, { dispatcher })
    t.equal(answer.status, 200)
    t.ok(Buffer.from(await answer.arrayBuffer()).equals(BODY))
    const posted = await fetch(`http://${site.address}:${site.port}/`, { dispatcher, method: 'POST', body: 'ping' })
    t.equal(await posted.text(), 'ping')
    await dispatcher.destroy()
  },
)

check(
  "undici's fetch, by https",
  () => https.createServer(SECURE, echo),
  async (t, site) => {
    const lookup = (
      _name: string,
      _options: object,
      callback: (error: null, address: string, family: number) => void,
    ) => process.nextTick(callback, null, site.address, 4)
    const client = {
      ...site.client,
      connect: ((o: object) => site.client.connect({ ...o, lookup } as never)) as Net['connect'],
    }
    const dispatcher = new Agent({ connect: undiciConnector(client, { ca: CERTIFICATE }) })
    const answer = await fetch(`https://server.test:${site.port}/`, { dispatcher })
    t.ok(Buffer.from(await answer.arrayBuffer()).equals(BODY))
    await dispatcher.destroy()
  },
)

check(
  "undici's fetch, where nobody answers",
  () => http.createServer(echo),
  async (t, site) => {
    const dispatcher = new Agent({ connect: undiciConnector(site.client) })
    const failed = await fetch(`http://${site.address}:50/`, { dispatcher }).catch((error: Error) => error)
    t.match((failed as Error).cause, { code: 'ECONNREFUSED' })
    await dispatcher.destroy()
  },
)

check(
  'WebSocket',
  () => webSocketServer(),
  async (t, site) => {
    const socket = new WebSocket(`ws://${site.address}:${site.port}/`, {
      createConnection: () => site.client.connect(site.port, site.address) as NodeSocket,
    } as WebSocket.ClientOptions)
    await once(socket, 'open')
    const answer = once<Buffer>(socket, 'message')
    socket.send(BODY)
    t.ok((await answer).equals(BODY))
    const closed = once<number>(socket, 'close')
    socket.close(1000)
    t.equal(await closed, 1000)
  },
)

function h2Echo<Target extends http2.Http2Server | http2.Http2SecureServer>(server: Target): Target {
  server.on('stream', (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => {
    stream.respond({ ':status': 200 })
    stream.end(headers[':path'])
  })
  return server
}

async function streams(t: Test, session: http2.ClientHttp2Session): Promise<void> {
  const paths = Array.from({ length: 20 }, (_, i) => `/${i}`)
  const answers = await Promise.all(paths.map((path) => readAll(session.request({ ':path': path }))))
  t.strictSame(answers.map(String), paths)
  await new Promise<void>((resolve) => session.close(resolve))
}

function webSocketServer(): http.Server {
  const server = http.createServer()
  const sockets = new WebSocketServer({ server })
  sockets.on('connection', (socket) => socket.on('message', (octets, binary) => socket.send(octets, { binary })))
  return server
}
