/**
 * Node's own protocols, ws and undici: our end as the client of servers over the kernel's TCP, and as the server of curl,
 * of openssl, and of ws over the kernel's TCP.
 */
import '../../src/register.ts' // before the libraries: some keep the functions they find when they load

import http from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import net from 'node:net'
import { buffer, text } from 'node:stream/consumers'
import tls from 'node:tls'
import t, { type Test } from 'tap'
import { Agent, Client, fetch as undiciFetch } from 'undici'
import { WebSocket } from 'ws'
import { CERTIFICATE, KEY } from '../api/certificate.ts'
import { once } from '../api/events.ts'
import { atSite, BULK, bothWays, type Dial, OURS, registered, type Site, THEIRS, TRUST } from './site.ts'
import { echoHttp, echoHttp2, echoWebSockets } from './web-echo.ts'

const SECURE = { key: KEY, cert: CERTIFICATE }
const NAME = TRUST.servername

atSite('clients', [], t, async (t, site) => {
  await site.servePeer('web')
  await bothWays(t, site, async (t, dial) => {
    await t.test('net', async (t) => {
      const socket = dial?.(7) ?? net.connect(7, THEIRS)
      socket.end(BULK)
      t.ok(BULK.equals(await buffer(socket)))
    })
    await t.test('tls', async (t) => {
      const socket = tls.connect({ ...TRUST, ...(dial ? { socket: dial(8007) } : { port: 8007, host: THEIRS }) })
      await once(socket, 'secureConnect')
      t.equal(socket.authorized, true)
      socket.end(BULK)
      t.ok(BULK.equals(await buffer(socket)))
    })
    await t.test('http', (t) => askHttp(t, http, dial && site.node.httpAgent({ keepAlive: true }), {}))
    await t.test('https', (t) => askHttp(t, https, dial && site.node.httpsAgent({ keepAlive: true }), TRUST))
    await t.test('http2', async (t) => {
      await askHttp2(
        t,
        http2.connect(`http://${NAME}:8080`, dial && { createConnection: () => dial(8080).setNoDelay() }),
      )
      const secured = (connect: Dial) => () => tls.connect({ ...TRUST, ALPNProtocols: ['h2'], socket: connect(8443) })
      await askHttp2(t, http2.connect(`https://${NAME}:8443`, dial ? { createConnection: secured(dial) } : TRUST))
    })
    await t.test('ws', async (t) => {
      for (const scheme of ['ws', 'wss']) {
        const createConnection =
          dial && (() => (scheme === 'ws' ? dial(80) : tls.connect({ ...TRUST, socket: dial(443) })))
        await askWebSocket(
          t,
          new WebSocket(`${scheme}://${NAME}/`, { ...TRUST, ...(dial && { createConnection }) } as object),
        )
      }
    })
    await t.test('undici', (t) => askUndici(t, site, dial))
  })
  await registered(t, site, (t) =>
    t
      .test('the global fetch', async (t) => {
        const answer = await fetch(`http://${NAME}/`, { method: 'POST', body: BULK })
        t.ok(BULK.equals(Buffer.from(await answer.arrayBuffer())))
        await t.rejects(fetch(`http://${THEIRS}:9000/`), { cause: { code: 'ECONNREFUSED' } })
      })
      .then(() => {}),
  )
})

async function askHttp(
  t: Test,
  { request }: typeof http | typeof https,
  agent: http.Agent | undefined,
  options: object,
): Promise<void> {
  const ask = async (method: string, path: string, body?: Buffer): Promise<http.IncomingMessage> => {
    const asked = request({ host: NAME, method, path, ...(agent && { agent }), ...options })
    asked.end(body)
    return once<http.IncomingMessage>(asked, 'response')
  }
  t.equal(await text(await ask('GET', '/here')), `GET /here by HTTP/1.1 from ${OURS}`)
  const bodies = await Promise.all(Array.from({ length: 8 }, async () => buffer(await ask('POST', '/', BULK))))
  t.ok(
    bodies.every((body) => body.equals(BULK)),
    'large bodies both ways, several at once',
  )
  agent?.destroy()
}

async function askHttp2(t: Test, session: http2.ClientHttp2Session): Promise<void> {
  t.equal(await text(session.request({ ':path': '/here' })), `GET /here by HTTP/2 from ${OURS}`)
  const bodies = Array.from({ length: 8 }, () => buffer(session.request({ ':method': 'POST' }).end(BULK)))
  t.ok(
    (await Promise.all(bodies)).every((body) => body.equals(BULK)),
    'large bodies both ways, several at once',
  )
  const closed = once(session, 'close')
  session.close()
  await closed
}

async function askWebSocket(t: Test, socket: WebSocket): Promise<void> {
  await once(socket, 'open')
  for (const message of [BULK.subarray(0, 1), BULK.subarray(0, 1000), BULK]) {
    const answer = once<Buffer>(socket, 'message')
    socket.send(message)
    t.ok(message.equals(await answer))
  }
  const closed = once(socket, 'close')
  socket.close(1001)
  t.equal(await closed, 1001)
}

async function askUndici(t: Test, { node }: Site, dial: Dial | undefined): Promise<void> {
  const connect = dial ? node.undiciConnector({ ca: CERTIFICATE }) : { ca: CERTIFICATE }
  for (const dispatcher of [new Client(`https://${NAME}`, { connect }), new Agent({ connect })] as const) {
    const { body } = await dispatcher.request({ origin: `https://${NAME}`, path: '/', method: 'POST', body: BULK })
    t.ok(BULK.equals(Buffer.from(await body.arrayBuffer())))
    const answer = await undiciFetch(`https://${NAME}/`, { dispatcher })
    t.equal(await answer.text(), `GET / by HTTP/1.1 from ${OURS}`)
    await dispatcher.close()
  }
}

atSite('servers', ['curl', 'openssl'], t, async (t, site) => {
  const { node } = site
  const servers = () => ({
    80: echoWebSockets(http.createServer(echoHttp)),
    443: echoWebSockets(https.createServer(SECURE, echoHttp)),
    8008: tls.createServer(SECURE, (socket) => socket.end(BULK.toString('hex'))),
    8080: http2.createServer().on('stream', echoHttp2),
    8443: http2.createSecureServer(SECURE).on('stream', echoHttp2),
  })
  async function serve(t: Test, listen: (server: net.Server, port: number) => net.Server): Promise<void> {
    const listening = Object.entries(servers()).map(([port, server]) => listen(server, Number(port)))
    await Promise.all(listening.map((server) => server.listening || once(server, 'listening')))
    await askAll(t, site)
    await Promise.all(listening.map((server) => new Promise((resolve) => server.close(resolve))))
  }
  await t.test('by their hook', (t) => serve(t, (server, port) => node.net.attach(server).listen(port)))
  await registered(t, site, (t) => serve(t, (server, port) => server.listen(port)))
})

/** Each server, by a program that somebody else wrote. */
async function askAll(t: Test, { kernel, write, path, certificate, peer }: Site): Promise<void> {
  const bulk = write('bulk', BULK.toString('hex'))
  const trust = ['--cacert', certificate, '--connect-to', `::${OURS}:`]
  const curl = (...args: readonly string[]) => kernel.run('curl', '-sS', '--max-time', '20', ...trust, ...args)
  const sites = [
    [`http://${NAME}/`, 'HTTP/1.1', ''],
    [`https://${NAME}/`, 'HTTP/1.1', '--http1.1'],
    [`http://${NAME}:8080/`, 'HTTP/2', '--http2-prior-knowledge'],
    [`https://${NAME}:8443/`, 'HTTP/2', '--http2'],
  ] as const
  for (const [url, version, flag] of sites) {
    const flags = flag === '' ? [] : [flag]
    const { output } = await curl(...flags, url)
    t.equal(output, `GET / by ${version} from ${THEIRS}`)
    const back = path('back')
    t.same(await curl(...flags, '--data-binary', `@${bulk}`, '-o', back, url), { code: 0, output: '' }, url)
    t.equal((await kernel.run('cmp', bulk, back)).output, '')
  }
  for (const url of [`ws://${OURS}/`, `wss://${OURS}/`]) {
    t.same(await peer('ask-ws', url), { code: 0, output: 'closed with 1000\n' }, url)
  }
  const trusted = ['-quiet', '-verify_return_error', '-CAfile', certificate]
  const shown = await kernel.run(
    'sh',
    '-c',
    `openssl s_client ${trusted.join(' ')} -connect ${OURS}:8008 2>&1 >${path('back')}`,
  )
  t.equal(shown.code, 0, shown.output)
  t.equal((await kernel.run('cmp', bulk, path('back'))).output, '')
}
