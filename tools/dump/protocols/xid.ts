/**
 * The information field of XID, by which a station tells what it knows and takes: LLC's (IEEE 802.2 §5.4.1.1.2), and
 * that of ISO 8885.
 */
import { decodeXid, type XidParameters } from '../../../layers/datalink/hdlc/xid.ts'
import { type Decoded, Fields, type Scope, truncated } from '../model.ts'

const LLC_FORMAT = 0x81
const LLC_OCTETS = 3
const TYPES = [1, 2, 3]

/** To be asked only where there is one. */
export function xid(scope: Scope): Decoded {
  const { octets, start, end } = scope
  const fields = new Fields(scope)
  if (octets[start] === LLC_FORMAT) {
    if (end - start < LLC_OCTETS) return truncated('XID', scope, LLC_OCTETS)
    const known = TYPES.filter((type) => (((octets[start + 1] as number) >> (type - 1)) & 1) !== 0).join()
    const window = (octets[start + 2] as number) >> 1
    fields.add('types', known, 1, 1)
    fields.add('window', window, 2, 1)
    return told(scope, fields, `types ${known}, window ${window}`)
  }
  const parameters = decodeXid(octets.subarray(start, end))
  const text = parameters === undefined ? 'of a format nobody knows, or cut' : textOf(parameters)
  fields.add('parameters', text, 0, end - start)
  return told(scope, fields, text)
}

function told({ start, end }: Scope, { list }: Fields, text: string): Decoded {
  const summary = `XID ${text}`
  return { layer: { protocol: 'XID', offset: start, octets: end - start, fields: list, summary, faults: [] } }
}

function textOf({ halfDuplex, modulus, recovery, segments, n1, k, t1, n2 }: XidParameters): string {
  const parts = [
    halfDuplex === undefined ? '' : halfDuplex ? 'half duplex' : 'full duplex',
    modulus === undefined ? '' : `modulo ${modulus}`,
    recovery ?? '',
    segments === true ? 'segments' : '',
    n1 === undefined ? '' : `N1 ${n1}`,
    k === undefined ? '' : `k ${k}`,
    t1 === undefined ? '' : `T1 ${t1 / 1000} ms`,
    n2 === undefined ? '' : `N2 ${n2}`,
  ]
  return parts.filter((part) => part !== '').join(', ') || 'nothing'
}
