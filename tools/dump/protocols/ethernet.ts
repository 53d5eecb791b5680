/** Ethernet II, with or without FCS. */
import { crc32 } from 'node:zlib'
import { formatMac } from '../../../src/kernel/address.ts'
import { type Decoder, data, Fields, hex, type Scope, truncated } from '../model.ts'
import { arp } from './arp.ts'
import { bpq, llc, macControl } from './hdlc.ts'
import { ipv4 } from './ipv4.ts'
import { ipv6 } from './ipv6.ts'

const HEADER_OCTETS = 14
const ETHERTYPES: ReadonlyMap<number, { name: string; decoder: Decoder }> = new Map([
  [0x0800, { name: 'IPv4', decoder: (scope) => ipv4(scope) }],
  [0x0806, { name: 'ARP', decoder: (scope) => arp(scope) }],
  [0x86dd, { name: 'IPv6', decoder: (scope) => ipv6(scope) }],
  [0x8100, { name: '802.1Q', decoder: data }],
  [0x8808, { name: 'MAC control', decoder: macControl }],
  [0x08ff, { name: 'BPQ', decoder: (scope) => bpq(etherTypeDecoder)(scope) }],
])
/** Values up to this are the length of an LLC payload (IEEE 802.3 §3.2.6). */
const MAX_LENGTH = 1500

/** What an EtherType goes on with. */
export const etherTypeDecoder = (type: number): Decoder => ETHERTYPES.get(type)?.decoder ?? data

/** @param fcsOctets 4 when the frame carries its FCS, else 0. */
export function ethernet(fcsOctets: number): Decoder {
  return (scope) => {
    if (scope.end - scope.start < HEADER_OCTETS + fcsOctets)
      return truncated('Ethernet', scope, HEADER_OCTETS + fcsOctets)
    const fields = new Fields(scope)
    const destination = mac(fields, 'destination', scope, 0)
    const source = mac(fields, 'source', scope, 6)
    const type = fields.u16('type', 12, (value) => `${hex(value, 4)} ${ETHERTYPES.get(value)?.name ?? ''}`.trim())
    const end = scope.end - fcsOctets
    const faults: string[] = []
    if (fcsOctets === 4 && scope.cut !== true) {
      const found = scope.view.getUint32(end, true)
      const right = crc32(scope.octets.subarray(scope.start, end))
      fields.add('FCS', `${hex(found, 8)} ${found === right ? 'good' : 'bad'}`, end - scope.start, 4)
      if (found !== right) faults.push(`bad FCS ${hex(found, 8)}, should be ${hex(right, 8)}`)
    }
    const isLength = type <= MAX_LENGTH
    const known = isLength ? { decoder: llc(etherTypeDecoder) } : ETHERTYPES.get(type)
    const start = scope.start + HEADER_OCTETS
    const inner = { ...scope, start, end: isLength ? Math.min(end, start + type) : end }
    return {
      layer: {
        protocol: 'Ethernet',
        offset: scope.start,
        octets: HEADER_OCTETS,
        fields: fields.list,
        summary: `${formatMac(source)} > ${formatMac(destination)}${known === undefined ? ` type ${hex(type, 4)}` : ''}`,
        faults,
      },
      next: { protocol: known?.decoder ?? data, scope: inner },
    }
  }
}

function mac(fields: Fields, name: string, scope: Scope, at: number): number {
  const offset = scope.start + at
  const address = scope.view.getUint16(offset) * 0x1_0000_0000 + scope.view.getUint32(offset + 2)
  fields.add(name, formatMac(address), at, 6)
  return address
}
