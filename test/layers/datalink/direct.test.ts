import t from 'tap'
import { direct } from '../../../layers/datalink/direct.ts'
import { ETHERTYPE, LinkAddressing } from '../../../layers/datalink/service.ts'
import { cable } from '../../../layers/physical/cable.ts'
import { packetsInUse, poisonReleased } from '../../../src/kernel/packet.ts'
import { linkConformance } from '../../conformance/link.ts'
import { linkDrops, payloadFor, stationOver, stationsOn } from './stations.ts'

poisonReleased(true)

await linkConformance(t, 'direct', { make: () => stationsOn(cable({ medium: 'ip' }), direct()) })
await linkConformance(t, 'direct with offload', {
  make: () => stationsOn(cable({ medium: 'ip', offload: true }), direct()),
})

t.test('it adds nothing, and has nobody to resolve', async (t) => {
  const offload = { segment: 65_535, checksum: true }
  const { link, sent } = stationOver('ip', direct(), { mtu: 1400, offload })
  t.strictSame([link.mtu, link.headroom, link.tailroom, link.broadcast], [1400, 3, 2, null])
  t.strictSame(link.offload, offload)
  const to = new LinkAddressing()
  to.protocol = ETHERTYPE.ipv4
  link.send(payloadFor(link, Uint8Array.of(0x45, 1)), to)
  t.strictSame(sent, [Uint8Array.of(0x45, 1)])
})

t.test('the version says the protocol; every reason to drop is reached', async (t) => {
  const { link, arrive, sent } = stationOver('ip', direct())
  const got: number[] = []
  link.boundary.attach(
    {
      receive(packet, { protocol }) {
        got.push(protocol)
        packet.release()
      },
    },
    ETHERTYPE.ipv4,
  )
  arrive(Uint8Array.of(0x45))
  arrive(Uint8Array.of(0x60))
  arrive(Uint8Array.of(0x50))
  arrive(new Uint8Array(0))
  const to = new LinkAddressing()
  to.protocol = ETHERTYPE.arp
  link.send(payloadFor(link, Uint8Array.of(0)), to)
  t.strictSame(got, [ETHERTYPE.ipv4])
  t.strictSame(sent, [])
  t.strictSame(linkDrops(link), { empty: 1, badVersion: 1, notIp: 1, unknownProtocol: 1 })
  t.strictSame(Object.keys(linkDrops(link)).sort(), [...link.boundary.drops.keys()].sort())
  t.equal(packetsInUse(), 0)
})
