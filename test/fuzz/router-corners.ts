/** What only a router with rules drops: translation, a policy, the check of the way back; and messages about groups. */
import {
  beside,
  cable,
  direct,
  type Ipv4Options,
  ip,
  ipv4,
  ms,
  type Node,
  type Simulation,
  type Sockets,
  seconds,
  sockets,
  stack,
  tcp,
  udp,
} from '../../src/index.ts'
import { parseAddress } from '../../src/kernel/address.ts'
import { Packet } from '../../src/kernel/packet.ts'
import { ICMP, type Ipv4Fields, ipv4Packet, repair, UDP, udpDatagram } from './frames.ts'
import { address } from './stand.ts'

const INSIDE = address('10.0.1.2')
const OUTSIDE = address('203.0.113.1')
const SERVER = address('203.0.113.9')
const GRE = 47
const IGMP = 2

/** A router between two networks, and what puts packets on either side of it. */
function router(sim: Simulation, name: string, options: Ipv4Options) {
  const ends = { inside: cable({ medium: 'ip' }), outside: cable({ medium: 'ip' }) }
  const links = { in0: stack(ends.inside[0], direct()), out0: stack(ends.outside[0], direct()) }
  sim.boot(name, stack(beside(links), ip(ipv4({ forwarding: true, ...options })), sockets(tcp(), udp())))
  const hosts = {
    inside: sim.boot(`${name} in`, ends.inside[1]).top,
    outside: sim.boot(`${name} out`, ends.outside[1]).top,
  }
  for (const host of Object.values(hosts)) host.boundary.attach({ receive: (packet) => packet.release() })
  return async (side: 'inside' | 'outside', fields: Ipv4Fields, payload: Uint8Array): Promise<void> => {
    const octets = ipv4Packet(fields, payload)
    repair(octets, 'ip')
    const packet = Packet.take(hosts[side].headroom, octets.length)
    packet.append(octets)
    hosts[side].send(packet, undefined)
    await sim.run(ms(1))
  }
}

const datagram = (from: number, to: number): Uint8Array => udpDatagram(from, to, new Uint8Array(4))

/** A message of ICMP that says of a quoted packet that its port is unreachable. */
function error(quoted: Ipv4Fields, payload: Uint8Array): Uint8Array {
  const quote = ipv4Packet(quoted, payload)
  repair(quote, 'ip')
  return Uint8Array.from([3, 3, 0, 0, 0, 0, 0, 0, ...quote])
}

/** Every corner of a router. */
export async function routerCorners(sim: Simulation): Promise<void> {
  await translationCorner(sim)
  await policyCorner(sim)
  await groupCorner(sim)
}

async function translationCorner(sim: Simulation): Promise<void> {
  const addresses = { in0: '10.0.1.1/24', out0: '203.0.113.1/24' }
  const nat = { link: 'out0', inside: ['10.0.1.0/24'], maxSessions: 2, maxSessionsPerHost: 1 }
  const put = router(sim, 'nat', { addresses, nat })
  await put('outside', { source: SERVER, destination: INSIDE, protocol: UDP }, datagram(5, 1000)) // natUnsolicited
  await put('inside', { source: INSIDE, destination: SERVER, protocol: UDP }, datagram(1000, 5))
  const other = address('203.0.113.10')
  await put('outside', { source: other, destination: OUTSIDE, protocol: UDP }, datagram(5, 1000)) // natFiltered
  await put('inside', { source: INSIDE, destination: SERVER, protocol: UDP }, datagram(1001, 6)) // natHostFull
  for (const host of ['10.0.1.3', '10.0.1.4']) {
    await put('inside', { source: address(host), destination: SERVER, protocol: UDP }, datagram(1000, 5)) // natFull
  }
  await put('inside', { source: INSIDE, destination: SERVER, protocol: GRE }, new Uint8Array(8)) // natProtocol
  const bogus = Uint8Array.from([3, 3, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4])
  await put('inside', { source: INSIDE, destination: SERVER, protocol: ICMP }, bogus) // natQuote
  const unasked = error({ source: SERVER, destination: INSIDE, protocol: UDP }, datagram(7, 4242))
  await put('inside', { source: INSIDE, destination: SERVER, protocol: ICMP }, unasked) // natNoSession

  const bare = router(sim, 'bare nat', {
    addresses: { in0: '10.0.1.1/24' },
    routes: [{ prefix: '203.0.113.0/24', link: 'out0' }],
    nat: { link: 'out0', inside: ['10.0.1.0/24'] },
  })
  await bare('inside', { source: INSIDE, destination: SERVER, protocol: UDP }, datagram(1000, 5)) // natNoAddress
}

async function policyCorner(sim: Simulation): Promise<void> {
  const put = router(sim, 'policy', {
    addresses: { in0: '10.0.1.1/24', out0: '203.0.113.1/24' },
    reversePath: 'strict',
    policy: {
      rules: [
        { protocol: 'udp', destinationPort: 1, action: 'deny' },
        { protocol: 'udp', destinationPort: 2, action: 'reject' },
      ],
    },
  })
  await put('inside', { source: INSIDE, destination: SERVER, protocol: UDP }, datagram(1000, 1)) // policyDenied
  await put('inside', { source: INSIDE, destination: SERVER, protocol: UDP }, datagram(1000, 2)) // policyRejected
  await put('inside', { source: SERVER, destination: address('10.0.1.1'), protocol: UDP }, datagram(1000, 3)) // reversePath
}

async function groupCorner(sim: Simulation): Promise<void> {
  const put = router(sim, 'groups', { addresses: { in0: '10.0.1.1/24', out0: '203.0.113.1/24' } })
  const all = address('224.0.0.1')
  const group = '239.1.1.1'
  const { datagram } = (sim.nodes.get('groups') as Node<Sockets>).top
  datagram.bind({ address: parseAddress('0.0.0.0') }, { message: () => {} }).join(parseAddress(group), 'in0')
  const ask = (ttl: number, octets: number[], sum = true, destination = all): Promise<void> => {
    const payload = Uint8Array.from(octets)
    if (sum) {
      let total = 0
      for (let at = 0; at + 1 < octets.length; at += 2)
        total += ((octets[at] as number) << 8) | (octets[at + 1] as number)
      const value = ~((total & 0xffff) + (total >>> 16)) & 0xffff
      payload.set([value >> 8, value & 255], 2)
    }
    return put('inside', { source: INSIDE, destination, protocol: IGMP, ttl }, payload)
  }
  await ask(1, [0x11, 1, 0, 0]) // igmpTruncated
  await ask(1, [0x99, 1, 0, 0, 0, 0, 0, 0]) // igmpType
  await ask(1, [0x16, 1, 0, 0, 10, 0, 0, 1]) // igmpGroup
  await ask(2, [0x11, 1, 0, 0, 0, 0, 0, 0]) // igmpTtl
  await ask(1, [0x11, 1, 0, 0, 0, 0, 0, 0], false) // igmpChecksum
  await ask(1, [0x11, 1, 0, 0, 0, 0, 0, 0]) // igmpAlert
  await ask(1, [0x11, 0, 0, 0, 0, 0, 0, 0], true, address(group)) // igmpDestination
  await sim.run(seconds(1))
}
