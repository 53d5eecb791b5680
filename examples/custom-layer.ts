/**
 * A layer of your own: one that counts and scrambles every octet, put between any medium and Ethernet on both sides.
 * Run: npx tsx examples/custom-layer.ts
 */
import type { Layer, Medium, Packet, PhysicalService, User } from '../src/index.ts'
import { cable, ethernet, ip, ipv4, NO_OFFLOAD, Simulation, seconds, sockets, stack, tcp, udp } from '../src/index.ts'

/** XOR with a key: no security, but whoever listens in between sees nothing he knows. */
function scramble<M extends Medium>(key: number): Layer<PhysicalService<M>, PhysicalService<M>> {
  return (below, env) => {
    const boundary = env.boundary<undefined, 'noUser'>('scramble', below.boundary.encapsulation, { noUser: '' })
    const apply = ({ octets, start, end }: Packet): void => {
      for (let at = start; at < end; at++) octets[at] = (octets[at] ?? 0) ^ key
    }
    const user: User<undefined> = {
      receive(packet) {
        apply(packet)
        if (!boundary.up(packet, undefined, 0)) boundary.drop(packet, 'noUser')
      },
      ready: () => boundary.ready(),
      linkChanged: (state, reason) => boundary.linkChanged(state, reason),
    }
    env.defer(below.boundary.attach(user))
    return {
      tier: 'physical',
      medium: below.medium,
      offload: NO_OFFLOAD,
      boundary,
      get mtu() {
        return below.mtu
      },
      headroom: below.headroom,
      tailroom: below.tailroom,
      send(packet) {
        boundary.down(packet, undefined)
        apply(packet)
        return below.send(packet, undefined)
      },
    }
  }
}

async function main(): Promise<void> {
  const [left, right] = cable()
  await using sim = new Simulation()
  const host = (end: typeof left, address: string) =>
    stack(end, scramble<'frames'>(0x5a), ethernet(), ip(ipv4({ address })), sockets(tcp(), udp()))
  const a = sim.boot('A', host(left, '10.0.0.1/24'))
  sim.boot('B', host(right, '10.0.0.2/24'))
  const answer = a.icmp.ping('10.0.0.2')
  await sim.run(seconds(1))
  process.stdout.write(`${(await answer).outcome} through a layer of our own\n`)
}

void main()
