/** What is link-local on nodes with several links (RFC 4007): the same address may be another station on each. */
import t from 'tap'
import { cable } from '../../../../layers/physical/cable.ts'
import { seconds } from '../../../../src/kernel/clock.ts'
import { packetsInUse } from '../../../../src/kernel/packet.ts'
import type { TestLink } from '../ipv4/link.ts'
import { FRAGMENT, fragmentHeader, packet, told, twoLinks } from './bare.ts'
import { drops, host, linkLocal, PROBE, pattern, router, Sink, scenario } from './stand.ts'

const STATION = 'fe80::9'

function piece(offset: number, more: boolean, octets: Uint8Array, source = STATION): Uint8Array {
  const payload = Uint8Array.from([...fragmentHeader(PROBE, offset, more, 7), ...octets])
  return packet({ source, destination: 'fd00:b::1', next: FRAGMENT, payload })
}

t.test('fragments of one address on two links are of two packets', async (t) => {
  const before = packetsInUse()
  const { sim, network, wires } = twoLinks()
  const [a, b] = wires as [TestLink, TestLink]
  const sink = new Sink(network, PROBE)
  const [ours, theirs] = [pattern(48, 1), pattern(48, 2)]
  a.inject(piece(0, true, ours.subarray(0, 24)))
  b.inject(piece(0, true, theirs.subarray(0, 24)))
  b.inject(piece(24, false, theirs.subarray(24)))
  a.inject(piece(24, false, ours.subarray(24)))
  t.strictSame(
    sink.got.map(({ octets }) => octets),
    [theirs, ours],
  )
  sink.got.length = 0
  const global = 'fd00:b::9'
  a.inject(piece(0, true, ours.subarray(0, 24), global))
  b.inject(piece(24, false, ours.subarray(24), global))
  t.equal(sink.got.length, 1, 'those of an address that means one station may come by several')
  await sim.close()
  t.equal(packetsInUse(), before)
})

t.test('who is told that the rest did not come is asked for by the link of what came', async (t) => {
  const before = packetsInUse()
  const { sim, network, wires } = twoLinks()
  const [a, b] = wires as [TestLink, TestLink]
  const errors = (wire: TestLink) => wire.sent.flatMap((octets) => told(octets) ?? [])
  b.inject(piece(0, true, pattern(24)))
  await sim.run(seconds(10))
  a.inject(piece(0, true, pattern(24)))
  await sim.run(seconds(55))
  t.strictSame([errors(a), errors(b)], [[], ['3 1 0']])
  await sim.run(seconds(10))
  t.strictSame([errors(a), errors(b)], [['3 1 0'], ['3 1 0']])
  t.strictSame(drops(network), { reassemblyTimeout: 2 })
  await sim.close()
  t.equal(packetsInUse(), before)
})

scenario('a station without any other address hears that a neighbour is not there', async (t, sim) => {
  const [left, right] = [cable(), cable()]
  const r = sim.boot(
    'R',
    router([left[0], right[0]], { addresses: { eth0: 'fd00:a::1/64', eth1: 'fd00:b::1/64' } }),
  ).top
  await sim.run(seconds(3))
  const gateway = linkLocal(r, 'eth1')
  const h = sim.boot('H', host(right[1], { autoconfigure: false, gateway: `${gateway}%eth0` })).top
  await sim.run(seconds(3))
  const reasons: string[] = []
  h.onError(PROBE, ({ reason, from }) => void reasons.push(`${reason} ${from}`))
  const sink = new Sink(h, PROBE)
  sink.send('fd00:b::99', pattern(16))
  await sim.run(seconds(10))
  t.strictSame(reasons, [`hostUnreachable ${gateway}`])
})
