/** ICMPv6 (RFC 4443), Neighbour Discovery (RFC 4861) with its options, and Multicast Listener Discovery (RFC 2710, RFC 3810). */
import { formatMac } from '../../../src/kernel/address.ts'
import { type Decoder, data, Fields, hex, type Scope, truncated } from '../model.ts'
import { checksumFault, pseudoHeader } from './checksum.ts'

const HEADER_OCTETS = 8
const ICMPV6 = 58

const UNREACHABLE = [
  'no route',
  'prohibited',
  'beyond scope',
  'address unreachable',
  'port unreachable',
  'failed source policy',
  'reject route',
]
const PROBLEM = ['erroneous field', 'unrecognized next header', 'unrecognized option', 'incomplete header chain']

/** What a message says: its summary, and where its options begin, if it has any. */
interface Message {
  readonly summary: string
  /** Octets from the start of the message. */
  readonly options?: number
  /** It quotes a packet behind its header (RFC 4443 §3). */
  readonly quotes?: boolean
}

/** @param ip decodes what errors quote. */
export function icmpv6(ip: Decoder): Decoder {
  return (scope) => {
    const present = scope.end - scope.start
    if (present < HEADER_OCTETS) return truncated('ICMPv6', scope, HEADER_OCTETS)
    const fields = new Fields(scope)
    const type = fields.u8('type', 0)
    const code = fields.u8('code', 1)
    fields.u16('checksum', 2, (value) => hex(value, 4))
    const pseudo = scope.cut === true ? undefined : pseudoHeader(scope, ICMPV6)
    const fault = pseudo === undefined ? undefined : checksumFault(scope, scope.start, scope.end, pseudo)
    const needed = OCTETS[type] ?? HEADER_OCTETS
    if (present < needed) return truncated('ICMPv6', scope, needed)
    const { summary, options, quotes } = messageOf(fields, type, code)
    const faults = fault === undefined ? [] : [fault]
    const told = options === undefined ? [] : optionsOf(fields, scope, options, faults)
    const octets = options === undefined ? needed : present
    const inner = { ...scope, start: scope.start + octets }
    return {
      layer: {
        protocol: 'ICMPv6',
        offset: scope.start,
        octets,
        fields: fields.list,
        summary: ['ICMPv6', summary, ...told].join(' '),
        faults,
      },
      next: quotes === true ? { protocol: ip, scope: { ...inner, cut: true } } : { protocol: data, scope: inner },
    }
  }
}

/** Octets of messages that are longer than the header, without their options. */
const OCTETS: Readonly<Record<number, number>> = { 130: 24, 131: 24, 132: 24, 134: 16, 135: 24, 136: 24, 137: 40 }

function messageOf(fields: Fields, type: number, code: number): Message {
  switch (type) {
    case 1:
      return { summary: UNREACHABLE[code] ?? `unreachable, code ${code}`, quotes: true }
    case 2:
      return { summary: `packet too big, MTU ${fields.u32('MTU', 4)}`, quotes: true }
    case 3:
      return { summary: code === 0 ? 'hop limit exceeded' : 'reassembly time exceeded', quotes: true }
    case 4: {
      const pointer = fields.u32('pointer', 4)
      return { summary: `${PROBLEM[code] ?? `parameter problem, code ${code}`} at ${pointer}`, quotes: true }
    }
    case 128:
    case 129: {
      const identifier = fields.u16('identifier', 4)
      const sequence = fields.u16('sequence', 6)
      return { summary: `echo ${type === 128 ? 'request' : 'reply'} id ${identifier} seq ${sequence}` }
    }
    case 130:
      fields.u16('maximum response delay', 4)
      return { summary: `listener query for ${group(fields)}` }
    case 131:
      return { summary: `listener report of ${group(fields)}` }
    case 132:
      return { summary: `listener done with ${group(fields)}` }
    case 133:
      return { summary: 'router solicitation', options: 8 }
    case 134:
      return routerAdvertisement(fields)
    case 135: {
      const target = fields.address('target', 8)
      return { summary: `who has ${target}?`, options: 24 }
    }
    case 136:
      return neighbourAdvertisement(fields)
    case 137: {
      const target = fields.address('target', 8)
      return { summary: `redirect: to ${fields.address('destination', 24)} by ${target}`, options: 40 }
    }
    case 143:
      return { summary: `listener report, ${fields.u16('records', 6)} records` }
    default:
      return { summary: `type ${type} code ${code}` }
  }
}

const group = (fields: Fields): string => {
  const address = fields.address('group', 8)
  return address.isUnspecified ? 'all groups' : address.toString()
}

function routerAdvertisement(fields: Fields): Message {
  const hopLimit = fields.u8('hop limit', 4)
  const flags = fields.u8('flags', 5, (value) => flagsOf(value, { M: 0x80, O: 0x40 }))
  const lifetime = fields.u16('router lifetime', 6, (value) => `${value} s`)
  fields.u32('reachable time', 8, (value) => `${value} ms`)
  fields.u32('retransmission time', 12, (value) => `${value} ms`)
  const managed = flagsOf(flags, { M: 0x80, O: 0x40 })
  const said = [`lifetime ${lifetime} s`, hopLimit === 0 ? '' : `hop limit ${hopLimit}`, managed]
  return { summary: ['router advertisement', ...said].filter((part) => part !== '').join(' '), options: 16 }
}

function neighbourAdvertisement(fields: Fields): Message {
  const bits = { router: 0x80, solicited: 0x40, override: 0x20 }
  const flags = fields.u8('flags', 4, (value) => flagsOf(value, bits))
  const said = flagsOf(flags, bits)
  return { summary: `${fields.address('target', 8)} is here${said === '' ? '' : ` (${said})`}`, options: 24 }
}

const flagsOf = (value: number, names: Readonly<Record<string, number>>): string =>
  Object.entries(names)
    .filter(([, bit]) => (value & bit) !== 0)
    .map(([name]) => name)
    .join(' ')

/** @returns what the options say, for the line. A length of 0 would never end (RFC 4861 §4.6). */
function optionsOf(fields: Fields, scope: Scope, from: number, faults: string[]): string[] {
  const told: string[] = []
  const all = scope.end - scope.start
  for (let at = from; at < all; ) {
    const octets = at + 2 <= all ? scope.view.getUint8(scope.start + at + 1) * 8 : 0
    if (octets === 0 || at + octets > all) {
      if (scope.cut !== true) faults.push(octets === 0 ? 'an option of no length' : 'an option beyond the end')
      break
    }
    const said = option(fields, scope, at, octets)
    if (said !== '') told.push(said)
    at += octets
  }
  return told
}

function option(fields: Fields, scope: Scope, at: number, octets: number): string {
  const type = scope.view.getUint8(scope.start + at)
  const start = scope.start + at
  const { view } = scope
  if (type === 1 || type === 2) {
    const mac = formatMac(view.getUint16(start + 2) * 0x1_0000_0000 + view.getUint32(start + 4))
    fields.add(`${type === 1 ? 'source' : 'target'} link-layer address`, mac, at, octets)
    return mac
  }
  if (type === 3 && octets >= 32) {
    const prefix = `${fields.addressAt(at + 16)}/${view.getUint8(start + 2)}`
    const flags = flagsOf(view.getUint8(start + 3), { 'on-link': 0x80, autonomous: 0x40 })
    const times = `valid for ${seconds(view.getUint32(start + 4))}, preferred for ${seconds(view.getUint32(start + 8))}`
    fields.add('prefix', `${prefix} ${flags} ${times}`, at, octets)
    return `prefix ${prefix}`
  }
  if (type === 5) {
    fields.add('MTU', view.getUint32(start + 4), at, octets)
    return `MTU ${view.getUint32(start + 4)}`
  }
  if (type === 25 && octets >= 24) {
    const servers = Array.from({ length: (octets - 8) >> 4 }, (_, i) => fields.addressAt(at + 8 + 16 * i))
    fields.add('DNS servers', `${servers.join(' ')} for ${seconds(view.getUint32(start + 4))}`, at, octets)
    return `DNS ${servers.join(' ')}`
  }
  fields.add(OPTIONS[type] ?? `option ${type}`, `${octets} octets`, at, octets)
  return ''
}

const OPTIONS: Readonly<Record<number, string>> = {
  4: 'redirected header',
  14: 'nonce',
  24: 'route information',
  31: 'DNS search list',
  38: 'PREF64',
}

const seconds = (value: number): string => (value === 0xffff_ffff ? 'ever' : `${value} s`)
