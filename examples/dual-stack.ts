/**
 * A server of both families behind a router: one listener hears IPv6 and IPv4, and sees who calls by what. On virtual time.
 * Run: npx tsx examples/dual-stack.ts
 */
import {
  beside,
  type CableEnd,
  cable,
  ethernet,
  ip,
  ipv4,
  ipv6,
  Simulation,
  seconds,
  sockets,
  stack,
  tcp,
  udp,
} from '../src/index.ts'

async function main(): Promise<void> {
  const sim = new Simulation({ seed: 6 })
  const [near, left] = cable()
  const [far, right] = cable()
  // Addresses of IPv6 come from the router's advertisements.
  const host = (end: CableEnd, address: string, gateway: string) =>
    stack(end, ethernet(), ip(ipv4({ address, gateway }), ipv6()), sockets(tcp(), udp()))
  const client = sim.boot('client', host(near, '10.0.1.2/24', '10.0.1.1'))
  const server = sim.boot('server', host(far, '10.0.2.2/24', '10.0.2.1'))
  const links = beside({ lan0: stack(left, ethernet()), lan1: stack(right, ethernet()) })
  const four = ipv4({ addresses: { lan0: '10.0.1.1/24', lan1: '10.0.2.1/24' }, forwarding: true })
  const six = ipv6({
    addresses: { lan0: 'fd00:1::1/64', lan1: 'fd00:2::1/64' },
    forwarding: true,
    advertise: { lan0: {}, lan1: {} },
  })
  sim.boot('router', stack(links, ip(four, six), sockets(tcp(), udp())))
  await sim.run(seconds(10))

  server.net.createServer((socket) => socket.end(`you are ${socket.remoteAddress}\n`)).listen(80)
  const own = server.top.network.links().flatMap((link) => link.addresses)
  const global = own.map(String).find((address) => address.startsWith('fd00:2:'))
  for (const address of ['10.0.2.2', (global ?? '').replace(/\/\d+$/, '')]) {
    client.net.connect(80, address).on('data', (data: Buffer) => process.stdout.write(String(data)))
    await sim.run(seconds(1))
  }
  await sim.close()
}

void main()
