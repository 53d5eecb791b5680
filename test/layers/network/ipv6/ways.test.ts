/** Equal ways of IPv6: each flow keeps one, whatever else is sent, and it is the one that the routes explain. */
import t from 'tap'
import { packetsInUse } from '../../../../src/kernel/packet.ts'
import { packet, twoLinks } from './bare.ts'

const SOURCE = 'fd00:a::9'
/** More destinations than hops are kept. */
const DESTINATIONS = 400

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
