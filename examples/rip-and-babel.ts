/**
 * A network of RIP, a network of Babel, and between them a router that tells each of the other. On virtual time.
 * Run: npx tsx examples/rip-and-babel.ts
 */
import {
  babel,
  beside,
  type CableEnd,
  cable,
  ethernet,
  ip,
  ipv4,
  ipv6,
  rip,
  Simulation,
  seconds,
  sockets,
  stack,
  tcp,
  udp,
} from '../src/index.ts'

const router = (ends: Record<string, CableEnd>, addresses: Record<string, string>) => {
  const links = Object.fromEntries(Object.entries(ends).map(([name, end]) => [name, stack(end, ethernet())]))
  const network = ip(ipv4({ addresses, forwarding: true }), ipv6({ forwarding: true }))
  return stack(beside(links), network, sockets(tcp(), udp()))
}

const links = { origin: 'link', prefix: '10.0.0.0/8', action: 'allow' } as const

async function main(): Promise<void> {
  const sim = new Simulation({ seed: 7 })
  const [west, toWest] = cable()
  const [east, toEast] = cable()

  const old = sim.boot(
    'old',
    stack(router({ way: west }, { way: '10.1.0.1/24' }), rip({ interfaces: { way: {} }, announce: ['10.7.0.0/16'] })),
  )
  sim.boot(
    'border',
    stack(
      router({ old: toWest, young: toEast }, { old: '10.1.0.2/24', young: '10.2.0.2/24' }),
      rip({ interfaces: { old: {} }, redistribute: [links, { origin: 'babel', action: 'allow', metric: 4 }] }),
      babel({ interfaces: { young: {} }, redistribute: [links, { origin: 'rip', action: 'allow' }] }),
    ),
  )
  const young = sim.boot(
    'young',
    stack(router({ way: east }, { way: '10.2.0.1/24' }), babel({ interfaces: { way: {} }, announce: ['10.8.0.0/16'] })),
  )

  await sim.run(seconds(60))
  for (const { prefix, via, metric } of old.top.rip.routes())
    console.log(`RIP:   ${prefix} by ${via ?? 'itself'}, ${metric}`)
  for (const { prefix, via, metric } of young.top.babel.routes()) {
    if (!prefix.includes(':')) console.log(`Babel: ${prefix} by ${via ?? 'itself'}, ${metric}`)
  }
  const pong = old.icmp.ping('10.2.0.1')
  await sim.run(seconds(2))
  console.log(`from one to the other: ${(await pong).outcome}`)

  // What has gone in one network is gone in the other.
  await young.close()
  await sim.run(seconds(30))
  console.log(`10.8.0.0/16 at old: ${old.top.network.routes.lookup('10.8.0.1')?.action ?? 'no way'}`)
  await sim.close()
}

void main()
