/**
 * A program that knows nothing of stacks, through one: plain http.createServer and fetch, between two hosts on a cable.
 * Run: npx tsx examples/register.ts
 *
 * A program that cannot be changed is started with the rest of this file: node --import ./overlay.mjs program.js
 */
import { once } from 'node:events'
import http from 'node:http'
import { boot, cable, ethernet, ip, ipv4, sockets, stack, tcp, udp } from '../src/index.ts'
import { register } from '../src/register.ts'

/** Any library: it has no option to say where its connections go. */
async function unmodifiedClient(url: string): Promise<string> {
  const response = await fetch(url)
  return response.text()
}

async function main(): Promise<void> {
  const [left, right] = cable()
  const host = (end: typeof left, address: string) =>
    stack(end, ethernet(), ip(ipv4({ address })), sockets(tcp(), udp()))
  await using a = await boot(host(left, '10.0.0.1/24'), 'A', { hosts: { b: '10.0.0.2' } })
  await using b = await boot(host(right, '10.0.0.2/24'), 'B')

  const server = http.createServer((request, response) => response.end(`hello, ${request.socket.remoteAddress}\n`))
  {
    using _ = register(b)
    server.listen(80)
    await once(server, 'listening')
  }
  {
    using _ = register(a)
    process.stdout.write(await unmodifiedClient('http://b/'))
  }
  server.close()
  server.closeAllConnections()
  await once(server, 'close')
}

void main()
