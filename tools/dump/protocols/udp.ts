/** UDP (RFC 768), and VXLAN (RFC 7348) and Geneve (RFC 8926) within it. */
import { type Decoded, data, Fields, hex, type Scope, truncated } from '../model.ts'
import { checksumFault, pseudoHeader } from './checksum.ts'
import { ethernet } from './ethernet.ts'

const HEADER_OCTETS = 8
const VXLAN_PORT = 4789
const GENEVE_PORT = 6081
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
  if (checksum === 0 && scope.source?.isIpv4 === false) faults.push('no checksum')
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
      protocol: destination === VXLAN_PORT ? vxlan : destination === GENEVE_PORT ? geneve : data,
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

const ETHERNET_TYPE = 0x6558

function geneve(scope: Scope): Decoded {
  if (scope.end - scope.start < HEADER_OCTETS) return truncated('Geneve', scope, HEADER_OCTETS)
  const fields = new Fields(scope)
  const first = fields.u8('version and option length', 0, (value) => `${value >> 6}, ${(value & 0x3f) * 4} octets`)
  const flags = fields.u8('flags', 1, (value) => hex(value, 2))
  const type = fields.u16('protocol type', 2, (value) => hex(value, 4))
  const vni = scope.view.getUint32(scope.start + 4) >>> 8
  fields.add('VNI', vni, 4, 3)
  const octets = HEADER_OCTETS + (first & 0x3f) * 4
  const faults: string[] = []
  if (first >> 6 !== 0) faults.push(`version ${first >> 6}`)
  if (octets > scope.end - scope.start) faults.push('the options go beyond the end')
  const inner = faults.length === 0 && type === ETHERNET_TYPE ? ethernet(0) : data
  return {
    layer: {
      protocol: 'Geneve',
      offset: scope.start,
      octets: Math.min(octets, scope.end - scope.start),
      fields: fields.list,
      summary: `Geneve ${vni}${flags & 0x80 ? ' control' : ''}`,
      faults,
    },
    next: { protocol: inner, scope: { ...scope, start: Math.min(scope.start + octets, scope.end) } },
  }
}
