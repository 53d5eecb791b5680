/** UDP (RFC 768) and VXLAN (RFC 7348) within it. */
import { type Decoded, data, Fields, hex, type Scope, truncated } from '../model.ts'
import { checksumFault, pseudoHeader } from './checksum.ts'
import { ethernet } from './ethernet.ts'

const HEADER_OCTETS = 8
const VXLAN_PORT = 4789
const UDP = 17

export function udp(scope: Scope): Decoded {
  if (scope.end - scope.start < HEADER_OCTETS) return truncated('UDP', scope, HEADER_OCTETS)
  const fields = new Fields(scope)
  const source = fields.u16('source port', 0)
  const destination = fields.u16('destination port', 2)
  const length = fields.u16('length', 4)
  const checksum = fields.u16('checksum', 6, (value) => (value === 0 ? 'none' : hex(value, 4)))
  const faults: string[] = []
  const whole = scope.cut !== true && length === scope.end - scope.start
  if (length < HEADER_OCTETS || (scope.cut !== true && length > scope.end - scope.start))
    faults.push(`length ${length}`)
  const pseudo = pseudoHeader(scope, UDP)
  if (checksum !== 0 && whole && pseudo !== undefined) {
    const fault = checksumFault(scope, scope.start, scope.end, pseudo)
    if (fault !== undefined) faults.push(fault)
  }
  return {
    layer: {
      protocol: 'UDP',
      offset: scope.start,
      octets: HEADER_OCTETS,
      fields: fields.list,
      summary: `UDP ${source} > ${destination} length ${Math.max(0, length - HEADER_OCTETS)}`,
      faults,
    },
    next: {
      protocol: destination === VXLAN_PORT ? vxlan : data,
      scope: { ...scope, start: scope.start + HEADER_OCTETS },
    },
  }
}

function vxlan(scope: Scope): Decoded {
  if (scope.end - scope.start < HEADER_OCTETS) return truncated('VXLAN', scope, HEADER_OCTETS)
  const fields = new Fields(scope)
  const flags = fields.u8('flags', 0, (value) => hex(value, 2))
  const vni = scope.view.getUint32(scope.start + 4) >>> 8
  fields.add('VNI', vni, 4, 3)
  return {
    layer: {
      protocol: 'VXLAN',
      offset: scope.start,
      octets: HEADER_OCTETS,
      fields: fields.list,
      summary: `VXLAN ${vni}`,
      faults: flags & 0x08 ? [] : ['the VNI is not valid'],
    },
    next: { protocol: ethernet(0), scope: { ...scope, start: scope.start + HEADER_OCTETS } },
  }
}
