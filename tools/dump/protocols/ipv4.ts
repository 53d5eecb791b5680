/** IPv4 (RFC 791) and ICMP (RFC 792). */
import { formatIpv4, IpAddress } from '../../../src/kernel/address.ts'
import { type Decoded, type Decoder, data, Fields, hex, type Scope, truncated } from '../model.ts'
import { checksumFault } from './checksum.ts'
import { tcp } from './tcp.ts'
import { udp } from './udp.ts'

const HEADER_OCTETS = 20
const ICMP_OCTETS = 8
const PROTOCOLS: ReadonlyMap<number, { name: string; decoder: Decoder }> = new Map([
  [1, { name: 'ICMP', decoder: (scope) => icmp(scope) }],
  [6, { name: 'TCP', decoder: tcp }],
  [17, { name: 'UDP', decoder: (scope) => udp(scope) }],
])

export function ipv4(scope: Scope): Decoded {
  if (scope.end - scope.start < HEADER_OCTETS) return truncated('IPv4', scope, HEADER_OCTETS)
  const fields = new Fields(scope)
  const first = scope.view.getUint8(scope.start)
  const headerOctets = (first & 15) * 4
  fields.add('version', first >> 4, 0, 1)
  fields.add('header length', headerOctets, 0, 1)
  fields.u8('type of service', 1, (value) => hex(value, 2))
  const totalLength = fields.u16('total length', 2)
  const identification = fields.u16('identification', 4)
  const fragment = fields.u16('flags and fragment offset', 6, formatFragment)
  const ttl = fields.u8('time to live', 8)
  const protocol = fields.u8('protocol', 9, (value) => `${value} ${PROTOCOLS.get(value)?.name ?? ''}`.trim())
  fields.u16('header checksum', 10, (value) => hex(value, 4))
  const source = fields.u32('source', 12, formatIpv4)
  const destination = fields.u32('destination', 16, formatIpv4)
  const faults = headerFaults(scope, first >> 4, headerOctets, totalLength)
  const end = Math.min(scope.end, scope.start + Math.max(totalLength, headerOctets))
  const present = Math.min(headerOctets, scope.end - scope.start)
  if (present > HEADER_OCTETS)
    fields.add('options', `${headerOctets - HEADER_OCTETS} octets`, HEADER_OCTETS, present - HEADER_OCTETS)
  const layer = {
    protocol: 'IPv4',
    offset: scope.start,
    octets: present,
    fields: fields.list,
    summary: `${formatIpv4(source)} > ${formatIpv4(destination)}`,
    faults,
  }
  if (headerOctets < HEADER_OCTETS || present < headerOctets) return { layer }
  const inner = {
    ...scope,
    start: scope.start + headerOctets,
    end,
    source: IpAddress.ipv4(source),
    destination: IpAddress.ipv4(destination),
  }
  const isFragment = (fragment & 0x3fff) !== 0
  if (isFragment) {
    const where = `fragment ${identification} at ${(fragment & 0x1fff) * 8}${fragment & 0x2000 ? ', more follow' : ', last'}`
    return { layer: { ...layer, summary: `${layer.summary} ${where}` }, next: { protocol: data, scope: inner } }
  }
  const known = PROTOCOLS.get(protocol)
  const summary =
    known === undefined
      ? `${layer.summary} protocol ${protocol}`
      : ttl <= 1
        ? `${layer.summary} ttl ${ttl}`
        : layer.summary
  return { layer: { ...layer, summary }, next: { protocol: known?.decoder ?? data, scope: inner } }
}

function headerFaults(scope: Scope, version: number, headerOctets: number, totalLength: number): string[] {
  const faults: string[] = []
  if (version !== 4) faults.push(`version ${version}`)
  if (headerOctets < HEADER_OCTETS) faults.push(`header length ${headerOctets}`)
  else if (scope.start + headerOctets <= scope.end) {
    const fault = checksumFault(scope, scope.start, scope.start + headerOctets)
    if (fault !== undefined) faults.push(fault)
  } else if (scope.cut !== true) faults.push(`header length ${headerOctets}`)
  if (totalLength < headerOctets) faults.push(`total length ${totalLength}`)
  else if (scope.cut !== true && scope.start + totalLength > scope.end) faults.push('longer than the packet')
  return faults
}

function formatFragment(value: number): string {
  const flags = [value & 0x4000 ? 'DF' : '', value & 0x2000 ? 'MF' : ''].filter((flag) => flag !== '').join(' ')
  return `${flags === '' ? 'no flags' : flags}, offset ${(value & 0x1fff) * 8}`
}

const UNREACHABLE = [
  'network unreachable',
  'host unreachable',
  'protocol unreachable',
  'port unreachable',
  'fragmentation needed',
  'source route failed',
]

function icmp(scope: Scope): Decoded {
  if (scope.end - scope.start < ICMP_OCTETS) return truncated('ICMP', scope, ICMP_OCTETS)
  const fields = new Fields(scope)
  const type = fields.u8('type', 0)
  const code = fields.u8('code', 1)
  fields.u16('checksum', 2, (value) => hex(value, 4))
  const fault = scope.cut === true ? undefined : checksumFault(scope, scope.start, scope.end)
  const layer = { protocol: 'ICMP', offset: scope.start, octets: ICMP_OCTETS, fault }
  const inner = { ...scope, start: scope.start + ICMP_OCTETS }
  let summary: string
  let next: Decoded['next'] = { protocol: data, scope: inner }
  if (type === 0 || type === 8) {
    const identifier = fields.u16('identifier', 4)
    const sequence = fields.u16('sequence', 6)
    summary = `echo ${type === 8 ? 'request' : 'reply'} id ${identifier} seq ${sequence}`
  } else {
    // Errors quote the header of the packet they are about, cut short (RFC 1812 §4.3.2.3).
    next = { protocol: ipv4, scope: { ...inner, cut: true } }
    summary =
      type === 3
        ? (UNREACHABLE[code] ?? `unreachable, code ${code}`)
        : type === 11
          ? code === 0
            ? 'time to live exceeded'
            : 'reassembly time exceeded'
          : type === 5
            ? 'redirect'
            : type === 12
              ? 'parameter problem'
              : `type ${type} code ${code}`
    if (type === 3 && code === 4) summary += `, next hop's MTU ${fields.u16('next-hop MTU', 6)}`
    if (type !== 3 && type !== 5 && type !== 11 && type !== 12) next = { protocol: data, scope: inner }
  }
  return {
    layer: {
      protocol: layer.protocol,
      offset: layer.offset,
      octets: layer.octets,
      fields: fields.list,
      summary: `ICMP ${summary}`,
      faults: fault === undefined ? [] : [fault],
    },
    next,
  }
}
