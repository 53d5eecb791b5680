/** Which queries of MLD are answered. What is answered, and when, is in membership/reporter.test.ts. */
import { ethernet } from '../../../../layers/datalink/ethernet/ethernet.ts'
import { ETHERTYPE } from '../../../../layers/datalink/service.ts'
import { readAddress } from '../../../../layers/network/ipv6/header.ts'
import { EVERYBODY } from '../../../../layers/network/membership/source-filter.ts'
import { cable } from '../../../../layers/physical/cable.ts'
import { IpAddress, parseAddress } from '../../../../src/kernel/address.ts'
import { ms, seconds } from '../../../../src/kernel/clock.ts'
import { stack } from '../../../../src/kernel/stack.ts'
import { addressOctets, bare, checksumOf, extension, HOP_BY_HOP, ICMPV6, newDrops, packet } from './bare.ts'
import { host, linkLocal, scenario } from './stand.ts'

const ROUTER = 'fe80::9'
const ALL_NODES = 'ff02::1'
const group = parseAddress('ff05::1234')
/** Router alert for MLD, and padding. */
const ALERT = [5, 2, 0, 0, 1, 0]

/** A general query of version 2. @param options of its hop-by-hop header; undefined: none. */
function query({ options = ALERT as readonly number[] | null, source = ROUTER, hopLimit = 1 } = {}): Uint8Array {
  const message = Uint8Array.from([130, 0, 0, 0, 0, 10, 0, 0, ...addressOctets('::'), 2, 125, 0, 0])
  const sum = checksumOf(source, ALL_NODES, ICMPV6, message)
  message[2] = sum >> 8
  message[3] = sum & 255
  const headers = options === null ? [] : extension(ICMPV6, options)
  const payload = Uint8Array.from([...headers, ...message])
  return packet({ source, destination: ALL_NODES, hopLimit, next: options === null ? ICMPV6 : HOP_BY_HOP, payload })
}

bare(
  'a query is heeded from the link alone, and with router alert (RFC 3810 §6.2)',
  async (t, { sim, network, wire }) => {
    network.joinGroup(group, 1, EVERYBODY)
    await sim.run(seconds(10))
    const asked = async (octets: Uint8Array): Promise<string[]> => {
      wire.sent.length = 0
      const dropped = newDrops(network, () => wire.inject(octets, 'multicast'))
      await sim.run(ms(100))
      const reports = wire.sent.filter((sent) => sent[6] === HOP_BY_HOP && sent[48] === 143).length
      return reports > 0 ? ['report', ...dropped] : dropped
    }
    t.same(await asked(query()), ['report'])
    t.same(await asked(query({ options: [1, 0, ...ALERT.slice(0, 4)] })), ['report'], 'behind padding')
    t.same(await asked(query({ options: null })), ['mldAlert'])
    t.same(await asked(query({ options: [1, 4, 0, 0, 0, 0] })), ['mldAlert'])
    t.same(await asked(query({ options: [5, 2, 0, 1, 1, 0] })), ['mldAlert'], 'for RSVP')
    t.same(await asked(query({ hopLimit: 2 })), ['mldSource'])
    t.same(await asked(query({ source: 'fd00::2' })), ['mldSource'])
  },
)

scenario('what was said from no address is said again with one (RFC 3590 §4)', async (t, sim) => {
  const wire = cable()
  const listener = sim.boot('L', stack(wire[1], ethernet())).top
  const sources: string[] = []
  listener.boundary.attach(
    {
      receive(packet) {
        const { view, start } = packet
        const text = (at: number) => readAddress(view, start + at, new IpAddress()).toString()
        const isReport = view.getUint8(start + 6) === HOP_BY_HOP && view.getUint8(start + 48) === 143
        const records = isReport ? view.getUint16(start + 54) : 0
        for (let i = 0; i < records; i++) if (text(60 + 20 * i) === group.toString()) sources.push(text(8))
        packet.release()
      },
    },
    ETHERTYPE.ipv6,
  )
  const { top } = sim.boot('A', host(wire[0], { autoconfigure: false }))
  top.joinGroup(group, 1, EVERYBODY)
  await sim.run(seconds(10))
  const own = linkLocal(top)
  t.strictSame([...new Set(sources)], ['::', own])
  t.equal(sources.filter((source) => source === own).length, 2)
})
