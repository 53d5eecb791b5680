/**
 * TLS and WebSockets by the libraries you know, over sockets of ours.
 * Run: npx tsx examples/tls-and-websocket.ts
 */
import { once } from 'node:events'
import http from 'node:http'
import { WebSocket, WebSocketServer } from 'ws'
import { boot, cable, ethernet, ip, ipv4, sockets, stack, tcp, udp } from '../src/index.ts'

async function main(): Promise<void> {
  const [left, right] = cable()
  const host = (end: typeof left, address: string) =>
    stack(end, ethernet(), ip(ipv4({ address })), sockets(tcp(), udp()))
  await using a = await boot(host(left, '10.0.0.1/24'), 'A', { hosts: { b: '10.0.0.2' } })
  await using b = await boot(host(right, '10.0.0.2/24'), 'B')

  const server = http.createServer()
  new WebSocketServer({ server }).on('connection', (socket) => {
    socket.on('message', (text) => socket.send(`${text}, said the other host`))
  })
  b.net.attach(server).listen(80)

  const socket = new WebSocket('ws://b/', { createConnection: () => a.net.connect(80, 'b') })
  await once(socket, 'open')
  socket.send('hello')
  const [message] = await once(socket, 'message')
  process.stdout.write(`${message}\n`)
  socket.close()
  await once(socket, 'close')
}

void main()
