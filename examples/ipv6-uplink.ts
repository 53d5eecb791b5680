/**
 * A home of IPv6: its router hears from the provider what its address and default route are, and is itself the router that the
 * laptop heeds. On virtual time. Run: npx tsx examples/ipv6-uplink.ts
 */
import { beside, cable, ethernet, ip, ipv6, Simulation, seconds, sockets, stack, tcp, udp } from '../src/index.ts'

async function main(): Promise<void> {
  const sim = new Simulation({ seed: 6 })
  const [near, wan] = cable()
  const [lan, desk] = cable()
  const transport = sockets(tcp(), udp())

  const outside = ipv6({ address: '2001:db8:1::1/64', forwarding: true, advertise: { eth0: {} } })
  const provider = sim.boot('provider', stack(near, ethernet(), ip(outside), transport))
  const both = ipv6({
    addresses: { lan: '2001:db8:2::1/64' },
    forwarding: true,
    autoconfigure: { wan: true },
    advertise: { lan: {} },
  })
  const links = beside({ wan: stack(wan, ethernet()), lan: stack(lan, ethernet()) })
  const router = sim.boot('router', stack(links, ip(both), transport))
  const laptop = sim.boot('laptop', stack(desk, ethernet(), ip(ipv6()), transport))
  await sim.run(seconds(20))

  for (const { name, addresses } of router.top.network.links()) {
    const own = addresses.filter((address) => address.startsWith('2001:'))
    console.log(`${name}: ${own}`)
  }
  const way = router.top.network.routes.lookup('2001:db8:9::1')
  console.log(`everywhere else: ${way?.prefix} by ${way?.link}, from ${way?.origin}`)

  // Nobody tells the provider what is behind the router: it has to know.
  const [uplink] = router.top.network.links()
  const via = uplink?.addresses.find((address) => address.startsWith('2001:'))?.split('/')[0]
  provider.top.network.routes.add({ prefix: '2001:db8:2::/64', via })
  const reply = laptop.icmp.ping('2001:db8:1::1')
  await sim.run(seconds(5))
  console.log(`from the laptop: ${(await reply).outcome}`)
  await sim.close()
}

void main()
