/**
 * An unmodified HTTP server and client on two hosts of their own, joined by Ethernet over UDP. No root.
 * Run: npx tsx examples/http-over-udp.ts [PORT PORT]   (in a project of yours, import from 'netstrata')
 */
import http from 'node:http'
import {
  type Blueprint,
  boot,
  ethernet,
  ip,
  ipv4,
  type Sockets,
  sockets,
  stack,
  tcp,
  type UdpTunnelService,
  udp,
  udpTunnel,
} from '../src/index.ts'

const HOST = '127.0.0.1'

function host(tunnel: Blueprint<UdpTunnelService>, address: string): Blueprint<Sockets> {
  return stack(tunnel, ethernet(), ip(ipv4({ address })), sockets(tcp(), udp()))
}

async function main(): Promise<void> {
  const [portA = 17_400, portB = 17_401] = process.argv.slice(2).map(Number)
  const tunnelA = udpTunnel({ local: { host: HOST, port: portA }, peers: [{ host: HOST, port: portB }] })
  const tunnelB = udpTunnel({ local: { host: HOST, port: portB }, peers: [{ host: HOST, port: portA }] })
  await using a = await boot(host(tunnelA, '10.0.0.1/24'), 'A')
  await using b = await boot(host(tunnelB, '10.0.0.2/24'), 'B')

  const server = http.createServer((request, response) => response.end(`you asked ${request.headers.host}\n`))
  b.net.attach(server).listen(80)

  const body = await new Promise<string>((resolve, reject) => {
    http
      .get('http://10.0.0.2/', { agent: a.httpAgent() }, (response) => {
        let text = ''
        response.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk
        })
        response.on('end', () => resolve(text))
      })
      .on('error', reject)
  })
  process.stdout.write(body)
}

void main()
