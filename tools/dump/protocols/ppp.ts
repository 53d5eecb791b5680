/** PPP in HDLC-like framing, with or without FCS, and its control protocols (RFC 1661, RFC 1332, RFC 5072, RFC 1994). */
import { crc32 } from 'node:zlib'
import { fcs16 } from '../../../layers/datalink/fcs.ts'
import { formatIpv4 } from '../../../src/kernel/address.ts'
import { type Decoded, type Decoder, data, Fields, hex, type Scope, truncated } from '../model.ts'
import { ipv4 } from './ipv4.ts'
import { ipv6 } from './ipv6.ts'

const CONTROL_OCTETS = 4
const ADDRESS_AND_CONTROL = 0xff03

const PROTOCOLS: ReadonlyMap<number, { name: string; decoder: Decoder }> = new Map([
  [0x0021, { name: 'IPv4', decoder: (scope) => ipv4(scope) }],
  [0x0057, { name: 'IPv6', decoder: ipv6 }],
  [0x8021, { name: 'IPCP', decoder: control('IPCP') }],
  [0x8057, { name: 'IPV6CP', decoder: control('IPV6CP') }],
  [0xc021, { name: 'LCP', decoder: control('LCP') }],
  [0xc223, { name: 'CHAP', decoder: control('CHAP') }],
])

const CODES = [
  'code 0',
  'Configure-Request',
  'Configure-Ack',
  'Configure-Nak',
  'Configure-Reject',
  'Terminate-Request',
  'Terminate-Ack',
  'Code-Reject',
  'Protocol-Reject',
  'Echo-Request',
  'Echo-Reply',
  'Discard-Request',
]
const CHAP_CODES = ['code 0', 'Challenge', 'Response', 'Success', 'Failure']
/** Names of options by their protocol and type. */
const OPTIONS: Readonly<Record<string, Readonly<Record<number, string>>>> = {
  LCP: { 1: 'MRU', 2: 'ACCM', 3: 'authentication', 5: 'magic number', 7: 'PFC', 8: 'ACFC' },
  IPCP: { 2: 'IP compression', 3: 'IP address', 129: 'DNS server', 131: 'second DNS server' },
  IPV6CP: { 1: 'interface identifier' },
}
const LAST_CONFIGURE = 4

/** The decoder of the packet behind a protocol number `at` octets on; undefined where that is not one of IP. */
export function networkDecoder({ view, start }: Scope, at: number): Decoder | undefined {
  const protocol = view.getUint16(start + at)
  return protocol === 0x0021 || protocol === 0x0057 ? PROTOCOLS.get(protocol)?.decoder : undefined
}

/** @param fcsOctets 2 or 4 when the frame carries its FCS, else 0. */
export function ppp(fcsOctets: number): Decoder {
  return (scope) => {
    const fields = new Fields(scope)
    const end = scope.end - fcsOctets
    const full = end - scope.start >= 2 && scope.view.getUint16(scope.start) === ADDRESS_AND_CONTROL
    if (full) fields.u16('address and control', 0, (value) => hex(value, 4))
    const at = full ? 2 : 0
    if (end - scope.start <= at) return truncated('PPP', scope, at + 1 + fcsOctets)
    const short = (scope.view.getUint8(scope.start + at) & 1) === 1
    const octets = at + (short ? 1 : 2)
    if (end - scope.start < octets) return truncated('PPP', scope, octets + fcsOctets)
    const show = (value: number): string => `${hex(value, 4)} ${PROTOCOLS.get(value)?.name ?? ''}`.trim()
    const protocol = short ? fields.u8('protocol', at, show) : fields.u16('protocol', at, show)
    const known = PROTOCOLS.get(protocol)
    const faults = fcsOctets > 0 && scope.cut !== true ? checkFcs(scope, end, fcsOctets, fields) : []
    return {
      layer: {
        protocol: 'PPP',
        offset: scope.start,
        octets,
        fields: fields.list,
        summary: known === undefined ? `PPP protocol ${hex(protocol, 4)}` : 'PPP',
        faults,
      },
      next: { protocol: known?.decoder ?? data, scope: { ...scope, start: scope.start + octets, end } },
    }
  }
}

/** Adds the FCS at `end` to the fields. @returns what is wrong with it. */
export function checkFcs(scope: Scope, end: number, fcsOctets: number, fields: Fields): string[] {
  const { view, octets, start } = scope
  const found = fcsOctets === 2 ? view.getUint16(end, true) : view.getUint32(end, true)
  const right = fcsOctets === 2 ? fcs16(view, start, end) ^ 0xffff : crc32(octets.subarray(start, end))
  const digits = fcsOctets * 2
  fields.add('FCS', `${hex(found, digits)} ${found === right ? 'good' : 'bad'}`, end - start, fcsOctets)
  return found === right ? [] : [`bad FCS ${hex(found, digits)}, should be ${hex(right, digits)}`]
}

function control(name: string): Decoder {
  return (scope): Decoded => {
    if (scope.end - scope.start < CONTROL_OCTETS) return truncated(name, scope, CONTROL_OCTETS)
    const fields = new Fields(scope)
    const names = name === 'CHAP' ? CHAP_CODES : CODES
    const code = fields.u8('code', 0, (value) => `${value} ${names[value] ?? ''}`.trim())
    const id = fields.u8('identifier', 1)
    const length = fields.u16('length', 2)
    const faults: string[] = []
    const fits = length >= CONTROL_OCTETS && length <= scope.end - scope.start
    if (!fits) faults.push(`length ${length} of ${scope.end - scope.start} octets`)
    const end = fits ? scope.start + length : scope.end
    const told = name !== 'CHAP' && code >= 1 && code <= LAST_CONFIGURE ? options(name, scope, end, fields, faults) : ''
    return {
      layer: {
        protocol: name,
        offset: scope.start,
        octets: end - scope.start,
        fields: fields.list,
        summary: `${name} ${names[code] ?? `code ${code}`} ${id}${told}`,
        faults,
      },
    }
  }
}

function options(name: string, scope: Scope, end: number, fields: Fields, faults: string[]): string {
  const { view, start } = scope
  let told = ''
  for (let at = start + CONTROL_OCTETS; at < end; ) {
    const type = view.getUint8(at)
    const length = at + 1 < end ? view.getUint8(at + 1) : 0
    if (length < 2 || at + length > end) {
      faults.push(`option ${type} has length ${length}`)
      return told
    }
    const known = OPTIONS[name]?.[type] ?? `option ${type}`
    const value = optionValue(name, type, view, at + 2, length - 2)
    fields.add(known, value, at - start, length)
    told += `, ${known}${value === '' ? '' : ` ${value}`}`
    at += length
  }
  return told
}

function optionValue(name: string, type: number, view: DataView, at: number, octets: number): string {
  if (octets === 4 && name === 'IPCP' && type !== 2) return formatIpv4(view.getUint32(at))
  if (octets === 2 && name === 'LCP' && type === 1) return String(view.getUint16(at))
  let text = ''
  for (let i = 0; i < octets; i++)
    text += view
      .getUint8(at + i)
      .toString(16)
      .padStart(2, '0')
  return text
}
