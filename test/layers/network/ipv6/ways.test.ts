/** Equal ways of IPv6: each flow keeps one, whatever else is sent, and it is the one that the routes explain. */
import t from 'tap'
import { seconds } from '../../../../src/kernel/clock.ts'
import { packetsInUse } from '../../../../src/kernel/packet.ts'
import type { TestLink } from '../ipv4/link.ts'
import { icmp, packet, twoLinks } from './bare.ts'

const SOURCE = 'fd00:a::9'
/** More destinations than hops are kept. */
const DESTINATIONS = 400

t.test('routers of one link share the flows of a host, those of two links do not', async (t) => {
  const { sim, network, wires } = twoLinks({ autoconfigure: true })
  await sim.run(seconds(2))
  const hear = (wire: TestLink | undefined, source: string) =>
    wire?.inject(
      icmp(134, 0, (64 << 24) | 1800, new Uint8Array(8), { source, destination: 'ff02::1', hopLimit: 255 }),
      'multicast',
    )
  const ways = () => {
    const found = Array.from({ length: 50 }, (_, sourcePort) => {
      const { chosen } = network.control.routes.explain('2001:db8::5', {
        protocol: 17,
        sourcePort,
        destinationPort: 53,
      })
      return `${chosen?.via} ${chosen?.link}`
    })
    return [...new Set(found)].sort()
  }
  hear(wires[0], 'fe80::7')
  hear(wires[1], 'fe80::8')
  t.same(ways(), ['fe80::7 a'], 'what has our addresses of the one does not leave by the other')
  hear(wires[0], 'fe80::9')
  t.same(ways(), ['fe80::7 a', 'fe80::9 a'], 'load sharing (RFC 4311)')
  await sim.close()
})

t.test('flows to many destinations over two ways', async (t) => {
  const before = packetsInUse()
  const routes = [
    { prefix: '2001:db8::/32', via: 'fe80::7', link: 'a' },
    { prefix: '2001:db8::/32', via: 'fe80::8', link: 'b' },
  ]
  const { sim, network, wires } = twoLinks({ forwarding: true, routes })
  const names = ['a', 'b']
  /** By which link a datagram leaves. */
  const taken = (n: number, port: number): string => {
    for (const wire of wires) wire.sent.length = 0
    const payload = Uint8Array.from([port >> 8, port & 255, 0, 53, 0, 8, 0, 0])
    wires[0]?.inject(packet({ source: SOURCE, destination: `2001:db8::${n.toString(16)}`, next: 17, payload }))
    return names.filter((_, i) => wires[i]?.sent.length === 1).join()
  }
  const flows = Array.from({ length: DESTINATIONS * 2 }, (_, i) => ({ n: i % DESTINATIONS, port: 1000 + i }))
  const first = flows.map(({ n, port }) => taken(n, port))
  t.same(
    flows.map(({ n, port }) => taken(n, port)),
    first,
    'each once more',
  )
  const explained = flows.map(({ n, port }) => {
    const flow = { source: SOURCE, protocol: 17, sourcePort: port, destinationPort: 53 }
    return network.control.routes.explain(`2001:db8::${n.toString(16)}`, flow).chosen?.link
  })
  t.same(first, explained)
  const share = first.filter((name) => name === 'a').length / first.length
  t.ok(share > 0.4 && share < 0.6, `${share} of them by one`)
  await sim.close()
  t.equal(packetsInUse(), before)
})
