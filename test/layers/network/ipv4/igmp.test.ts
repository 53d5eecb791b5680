/** Which queries of IGMP are answered. What is answered, and when, is in membership/reporter.test.ts. */
import type { Cast } from '../../../../layers/datalink/service.ts'
import { EVERYBODY } from '../../../../layers/network/membership/source-filter.ts'
import { parseAddress } from '../../../../src/kernel/address.ts'
import { seconds } from '../../../../src/kernel/clock.ts'
import { bare, datagram } from './bare.ts'
import { drops, referenceChecksum } from './stand.ts'

const IGMP = 2
const ALL_HOSTS = '224.0.0.1'
const GROUP = '239.1.2.3'
const ALERT = [0x94, 4, 0, 0]

/** A query; of version 3 unless it has 8 octets. @param code 0 and 8 octets: version 1. */
function query({
  options = ALERT as readonly number[],
  destination = ALL_HOSTS,
  group = '0.0.0.0',
  ttl = 1,
  code = 10,
  length = 12,
} = {}): Uint8Array {
  const all = [0x11, code, 0, 0, ...group.split('.').map(Number), 2, 125, 0, 0]
  const payload = Uint8Array.from(all.slice(0, length))
  const sum = referenceChecksum(payload)
  payload[2] = sum >> 8
  payload[3] = sum & 255
  return datagram({ source: '10.0.0.254', destination, protocol: IGMP, ttl, options, payload })
}

bare('a query is heeded from the link alone, and with router alert (RFC 3376 §9.1)', async (t, on) => {
  const { sim, network, wire } = on
  network.joinGroup(parseAddress(GROUP), 1, EVERYBODY)
  await sim.run(seconds(10))
  const asked = async (octets: Uint8Array, cast: Cast = 'multicast'): Promise<string[]> => {
    wire.sent.length = 0
    const before = drops(network)
    wire.inject(octets, cast)
    await sim.run(seconds(11))
    const after = drops(network)
    const reported = wire.sent.some((sent) => sent[9] === IGMP) ? ['report'] : []
    return [...reported, ...Object.keys(after).filter((reason) => after[reason] !== before[reason])]
  }
  t.strictSame(await asked(query()), ['report'])
  t.strictSame(await asked(query({ options: [1, 1, 1, 1, ...ALERT] })), ['report'], 'behind padding')
  t.strictSame(await asked(query({ options: [7, 4, 4, 0, ...ALERT] })), ['report'], 'behind another option')
  for (const options of [[], [0, ...ALERT, 0, 0, 0], [0x94, 4, 0, 1], [7, 8, 4, 0, ...ALERT]]) {
    t.strictSame(await asked(query({ options })), ['igmpAlert'], `options ${options}`)
  }
  t.strictSame(await asked(query({ ttl: 2 })), ['igmpTtl'])
  t.strictSame(await asked(query({ destination: GROUP })), ['igmpDestination'])
  t.strictSame(await asked(query({ destination: GROUP, group: GROUP })), ['report'], 'of the group itself')
  t.strictSame(await asked(query({ destination: '10.0.0.1' }), 'unicast'), ['report'], 'to us alone')
  t.strictSame(await asked(query({ options: [], length: 8 })), ['igmpAlert'], 'of version 2')
  t.strictSame(await asked(query({ options: [], length: 8, code: 0 })), ['report'], 'of version 1, which has none')
})
