/** Which queries of MLD are answered. What is answered, and when, is in membership/reporter.test.ts. */
import { EVERYBODY } from '../../../../layers/network/membership/source-filter.ts'
import { parseAddress } from '../../../../src/kernel/address.ts'
import { ms, seconds } from '../../../../src/kernel/clock.ts'
import { addressOctets, bare, checksumOf, extension, HOP_BY_HOP, ICMPV6, newDrops, packet } from './bare.ts'

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
