/**
 * A LAN whose router gives addresses: a laptop takes any, the printer has one reserved, and both keep theirs for days. On
 * virtual time.
 * Run: npx tsx examples/dhcp-lan.ts
 */
import {
  dhcpClient,
  dhcpServer,
  ethernet,
  type HubPort,
  hub,
  ip,
  ipv4,
  Simulation,
  seconds,
  sockets,
  stack,
  tcp,
  udp,
} from '../src/index.ts'

const PRINTER = '02:00:00:00:00:07'
const DAY = 86_400

async function main(): Promise<void> {
  const sim = new Simulation({ seed: 4 })
  const [first, second, third] = hub(3)
  const router = stack(first, ethernet(), ip(ipv4({ address: '10.0.0.1/24' })), sockets(tcp(), udp()))
  const server = dhcpServer({
    link: 'eth0',
    pool: ['10.0.0.100', '10.0.0.199'],
    reservations: { [PRINTER]: '10.0.0.7' },
    leaseTime: seconds(DAY),
  })
  const gateway = sim.boot('gateway', stack(router, server))
  const guest = (port: HubPort, address?: string) =>
    stack(port, ethernet({ address }), ip(ipv4()), sockets(tcp(), udp()), dhcpClient())
  const laptop = sim.boot('laptop', guest(second))
  const printer = sim.boot('printer', guest(third, PRINTER))

  await sim.run(seconds(5))
  for (const { name, top } of [laptop, printer]) process.stdout.write(`${name}: ${(await top.dhcp.bound()).address}\n`)

  printer.net.createServer((socket) => socket.end('ready\n')).listen(9100)
  laptop.net
    .connect(9100, '10.0.0.7')
    .on('data', (data: Buffer) => process.stdout.write(`the printer is ${String(data)}`))
  await sim.run(seconds(3 * DAY))
  const leased = gateway.top.dhcp.leases().filter(({ state }) => state === 'leased')
  process.stdout.write(`three days later: ${leased.length} leases\n`)
  await sim.close()
}

void main()
