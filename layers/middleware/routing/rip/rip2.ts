/**
 * RIP version 2 (RFC 2453 §4), for IPv4.
 *
 *      0                 2                 4
 *     ┌─────────────────┬─────────────────┐
 *     │ address family  │    route tag    │
 *     ├─────────────────┴─────────────────┤
 *     │ address │ mask │ next hop │ metric│    4 octets each
 *     └───────────────────────────────────┘
 */
import { IpAddress, maskIpv4 } from '../../../../src/kernel/address.ts'
import { type Codec, INFINITY, isMetric, REQUEST } from './pdu.ts'

const AF_UNSPECIFIED = 0
const AF_INET = 2
const AF_AUTHENTICATION = 0xffff

export const rip2: Codec = {
  name: 'rip2',
  isIpv4: true,
  port: 520,
  version: 2,
  group: IpAddress.ipv4(0xe0000009), // 224.0.0.9
  lowerOctets: 28,
  mostEntries: 25,
  ttl: 1,

  read(view, at, command, into) {
    const family = view.getUint16(at)
    if (family === AF_AUTHENTICATION) return 'authenticated'
    into.metric = view.getUint32(at + 16)
    if (command === REQUEST && family === AF_UNSPECIFIED && into.metric === INFINITY) return 'everything'
    if (family !== AF_INET) return 'badFamily'
    const address = view.getInt32(at + 4)
    const mask = view.getInt32(at + 8)
    into.length = Math.clz32(~mask)
    into.tag = view.getUint16(at + 2)
    into.address.setIpv4(address)
    into.nextHop.setIpv4(view.getInt32(at + 12))
    if (mask !== maskIpv4(into.length) || (address & ~mask) !== 0 || !isDestination(address, into.length)) {
      return 'badPrefix'
    }
    // A request says nothing by its metrics.
    return command === REQUEST || isMetric(into.metric) ? 'route' : 'badMetric'
  },

  write(view, at, { w3 }, length, tag, metric) {
    view.setUint16(at, AF_INET)
    view.setUint16(at + 2, tag)
    view.setInt32(at + 4, w3)
    view.setInt32(at + 8, maskIpv4(length))
    view.setUint32(at + 12, 0)
    view.setUint32(at + 16, metric)
  },

  writeEverything(view, at) {
    view.setUint32(at, 0)
    view.setUint32(at + 4, 0)
    view.setUint32(at + 8, 0)
    view.setUint32(at + 12, 0)
    view.setUint32(at + 16, INFINITY)
  },
}

/** Not of this host, a group, or reserved (RFC 2453 §3.9.2); 0.0.0.0 only as the default route. */
function isDestination(address: number, length: number): boolean {
  const first = address >>> 24
  return length === 0 || (first !== 0 && first !== 127 && first < 224)
}
