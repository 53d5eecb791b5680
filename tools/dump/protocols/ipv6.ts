/** IPv6 (RFC 8200) with its extension headers, each a layer of its own. */
import { type Decoded, type Decoder, data, Fields, hex, type Scope, truncated } from '../model.ts'
import { icmpv6 } from './icmpv6.ts'
import { ipv4 } from './ipv4.ts'
import { tcp } from './tcp.ts'
import { udp } from './udp.ts'

const HEADER_OCTETS = 40
const FRAGMENT_OCTETS = 8
/** The least that says how long an extension header is. */
const EXTENSION_OCTETS = 8
const NO_NEXT = 59
/** What stands for a length that is told by an option (RFC 2675). */
const JUMBO = 0

const HEADERS: ReadonlyMap<number, { name: string; decoder: Decoder }> = new Map([
  [0, { name: 'hop-by-hop options', decoder: extension('Hop-by-hop', 'hop-by-hop') }],
  [6, { name: 'TCP', decoder: tcp }],
  [17, { name: 'UDP', decoder: udp }],
  [43, { name: 'routing', decoder: extension('Routing', 'routing') }],
  [44, { name: 'fragment', decoder: (scope) => fragment(scope) }],
  [58, { name: 'ICMPv6', decoder: (scope) => icmpv6(ipv6)(scope) }],
  [NO_NEXT, { name: 'nothing', decoder: data }],
  [60, { name: 'destination options', decoder: extension('Destination options', 'destination-options') }],
])

/** IP of either kind, by its version field. */
export const ip: Decoder = (scope) =>
  scope.start < scope.end && scope.view.getUint8(scope.start) >> 4 === 6 ? ipv6(scope) : ipv4(scope)

export function ipv6(scope: Scope): Decoded {
  if (scope.end - scope.start < HEADER_OCTETS) return truncated('IPv6', scope, HEADER_OCTETS)
  const fields = new Fields(scope)
  const first = scope.view.getUint32(scope.start)
  const version = first >>> 28
  fields.add('version', version, 0, 1)
  fields.add('traffic class', hex((first >>> 20) & 0xff, 2), 0, 2)
  fields.add('flow label', hex(first & 0xf_ffff, 5), 1, 3)
  const length = fields.u16('payload length', 4)
  const next = fields.u8('next header', 6, nameOf)
  const hopLimit = fields.u8('hop limit', 7)
  const source = fields.address('source', 8)
  const destination = fields.address('destination', 24)
  const faults: string[] = []
  if (version !== 6) faults.push(`version ${version}`)
  const start = scope.start + HEADER_OCTETS
  if (scope.cut !== true && start + length > scope.end) faults.push('longer than the packet')
  const end = length === JUMBO && next === 0 ? scope.end : Math.min(scope.end, start + length)
  // Discovery is only heard of the link itself: there 255 says nothing (RFC 4861 §7.1).
  const ttl = hopLimit <= 1 ? ` hop limit ${hopLimit}` : ''
  return {
    layer: {
      protocol: 'IPv6',
      offset: scope.start,
      octets: HEADER_OCTETS,
      fields: fields.list,
      summary: `${source} > ${destination}${ttl}${isKnown(next) ? '' : ` protocol ${next}`}`,
      faults,
    },
    next: { protocol: decoderOf(next), scope: { ...scope, start, end, source, destination } },
  }
}

const nameOf = (next: number): string => `${next} ${HEADERS.get(next)?.name ?? ''}`.trim()
const isKnown = (next: number): boolean => HEADERS.has(next)
const decoderOf = (next: number): Decoder => HEADERS.get(next)?.decoder ?? data

/** A header of 8 octets and as many times 8 as it says (RFC 8200 §4.3, §4.4). */
function extension(protocol: string, summary: string): Decoder {
  return (scope) => {
    if (scope.end - scope.start < EXTENSION_OCTETS) return truncated(protocol, scope, EXTENSION_OCTETS)
    const fields = new Fields(scope)
    const next = fields.u8('next header', 0, nameOf)
    const octets = EXTENSION_OCTETS * (1 + fields.u8('length', 1, (value) => EXTENSION_OCTETS * (1 + value)))
    const present = Math.min(octets, scope.end - scope.start)
    if (protocol === 'Routing') {
      fields.u8('routing type', 2)
      fields.u8('segments left', 3)
    } else {
      options(fields, scope, present)
    }
    const isWhole = present === octets
    return {
      layer: {
        protocol,
        offset: scope.start,
        octets: present,
        fields: fields.list,
        summary: isKnown(next) ? summary : `${summary} protocol ${next}`,
        faults: isWhole || scope.cut === true ? [] : ['longer than the packet'],
      },
      ...(isWhole ? { next: { protocol: decoderOf(next), scope: { ...scope, start: scope.start + octets } } } : {}),
    }
  }
}

const OPTIONS: Readonly<Record<number, string>> = { 4: 'tunnel limit', 5: 'router alert', 194: 'jumbo payload' }

/** Type, length and value (RFC 8200 §4.2). */
function options(fields: Fields, { view, start }: Scope, octets: number): void {
  for (let at = 2; at < octets; ) {
    const type = view.getUint8(start + at)
    // The padding of one octet has no length.
    if (type === 0 || at + 1 >= octets) {
      at++
      continue
    }
    const length = Math.min(view.getUint8(start + at + 1), octets - at - 2)
    if (type !== 1) fields.add(OPTIONS[type] ?? `option ${type}`, `${length} octets`, at, 2 + length)
    at += 2 + length
  }
}

function fragment(scope: Scope): Decoded {
  if (scope.end - scope.start < FRAGMENT_OCTETS) return truncated('Fragment', scope, FRAGMENT_OCTETS)
  const fields = new Fields(scope)
  const next = fields.u8('next header', 0, nameOf)
  const where = fields.u16('offset and flag', 2, (value) => `offset ${value & 0xfff8}${value & 1 ? ', more' : ''}`)
  const identification = fields.u32('identification', 4, (value) => hex(value, 8))
  const isWhole = (where & 0xfff9) === 0
  return {
    layer: {
      protocol: 'Fragment',
      offset: scope.start,
      octets: FRAGMENT_OCTETS,
      fields: fields.list,
      summary: `fragment ${hex(identification, 8)} at ${where & 0xfff8}${where & 1 ? ', more follow' : ', last'}`,
      faults: [],
    },
    // Of what comes in pieces, no piece makes sense by itself.
    next: { protocol: isWhole ? decoderOf(next) : data, scope: { ...scope, start: scope.start + FRAGMENT_OCTETS } },
  }
}
