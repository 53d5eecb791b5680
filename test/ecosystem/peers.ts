/**
 * The kernel's side, where it takes a program of Node's: the same libraries, over the kernel's TCP. Run in the namespace by
 * `Site.peer` and `Site.servePeer`; a server says `ready`.
 */
import http from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import net from 'node:net'
import tls from 'node:tls'
import * as grpc from '@grpc/grpc-js'
import { WebSocket } from 'ws'
import { CERTIFICATE, KEY } from '../api/certificate.ts'
import { once } from '../api/events.ts'
import { echoServer, exercise } from './grpc-service.ts'
import { mongodbPeer } from './mongodb-peer.ts'
import { echoHttp, echoHttp2, echoWebSockets } from './web-echo.ts'

const SECURE = { key: KEY, cert: CERTIFICATE }

async function listen(servers: Readonly<Record<number, net.Server>>): Promise<void> {
  for (const [port, server] of Object.entries(servers)) await once(server.listen(Number(port), '0.0.0.0'), 'listening')
}

async function serveGrpc(): Promise<void> {
  const server = echoServer()
  const bind = (port: number, credentials: grpc.ServerCredentials) =>
    new Promise<void>((resolve, reject) => {
      server.bindAsync(`0.0.0.0:${port}`, credentials, (error) => (error === null ? resolve() : reject(error)))
    })
  await bind(50_051, grpc.ServerCredentials.createInsecure())
  const pair = { private_key: Buffer.from(KEY), cert_chain: Buffer.from(CERTIFICATE) }
  await bind(50_052, grpc.ServerCredentials.createSsl(null, [pair]))
}

async function askGrpc(host: string): Promise<void> {
  const bulk = Buffer.alloc(1 << 20, 'not all alike')
  await exercise(`${host}:50051`, grpc.credentials.createInsecure(), bulk)
  process.stdout.write('in clear: fine\n')
  await exercise(`${host}:50052`, grpc.credentials.createSsl(Buffer.from(CERTIFICATE)), bulk)
  process.stdout.write('in TLS: fine\n')
}

/** Sends messages of some sizes, and waits for them to come back. */
async function askWebSocket(url: string): Promise<void> {
  const socket = new WebSocket(url, { ca: CERTIFICATE, servername: 'server.test' } as object)
  await once(socket, 'open')
  for (const size of [0, 1, 125, 126, 65_535, 65_536, 1 << 20]) {
    const message = Buffer.alloc(size, 'not all alike')
    const answer = once<Buffer>(socket, 'message')
    socket.send(message)
    if (!(await answer).equals(message)) throw new Error(`${size} octets came back otherwise`)
  }
  const closed = once(socket, 'close')
  socket.close(1000)
  process.stdout.write(`closed with ${await closed}\n`)
}

const parts: Readonly<Record<string, (argument: string) => Promise<void>>> = {
  mongodb: () => listen({ 27017: mongodbPeer() }),
  web: () =>
    listen({
      80: echoWebSockets(http.createServer(echoHttp)),
      443: echoWebSockets(https.createServer(SECURE, echoHttp)),
      7: net.createServer((socket) => socket.pipe(socket)),
      8007: tls.createServer(SECURE, (socket) => socket.pipe(socket)),
      8080: http2.createServer().on('stream', echoHttp2),
      8443: http2.createSecureServer(SECURE).on('stream', echoHttp2),
    }),
  grpc: serveGrpc,
  'ask-grpc': askGrpc,
  'ask-ws': askWebSocket,
}

const [name = '', argument = ''] = process.argv.slice(2)
const part = parts[name]
if (part === undefined) throw new Error(`there is no part ${name}`)
void part(argument).then(() => {
  if (!name.startsWith('ask-')) process.stdout.write('ready\n')
})
