/** TCP (RFC 9293) with its options. */
import { reverse } from '../flows.ts'
import { type Decoded, data, Fields, hex, type Scope, truncated } from '../model.ts'
import { checksumFault, pseudoHeader } from './checksum.ts'

const HEADER_OCTETS = 20
const TCP = 6
const SYN = 0x02
const RST = 0x04
const ACK = 0x10
/** From the lowest bit; in the order tcpdump's readers are used to: flags are shown as letters. */
const FLAGS = ['F', 'S', 'R', 'P', '.', 'U', 'E', 'W'] as const

export function tcp(scope: Scope): Decoded {
  const present = scope.end - scope.start
  if (present < HEADER_OCTETS)
    return scope.cut === true && present >= 8 ? quoted(scope) : truncated('TCP', scope, HEADER_OCTETS)
  const fields = new Fields(scope)
  const source = fields.u16('source port', 0)
  const destination = fields.u16('destination port', 2)
  const sequence = fields.u32('sequence number', 4)
  const acknowledgment = fields.u32('acknowledgment number', 8)
  const headerOctets = (fields.u8('data offset', 12, (value) => (value >> 4) * 4) >> 4) << 2
  const flags = fields.u8('flags', 13, (value) => `${hex(value, 2)} ${formatFlags(value)}`)
  const window = fields.u16('window', 14)
  fields.u16('checksum', 16, (value) => hex(value, 4))
  const urgent = fields.u16('urgent pointer', 18)
  const faults: string[] = []
  const pseudo = pseudoHeader(scope, TCP)
  if (scope.cut !== true && pseudo !== undefined) {
    const fault = checksumFault(scope, scope.start, scope.end, pseudo)
    if (fault !== undefined) faults.push(fault)
  }
  const fits = headerOctets >= HEADER_OCTETS && headerOctets <= present
  if (!fits && scope.cut !== true) faults.push(`data offset ${headerOctets}`)
  const numbers = numbersOf(scope, source, destination)
  const acknowledges = (flags & ACK) !== 0
  // What an ICMP error quotes is old, and a reset may have numbers of its own (RFC 9293 §3.10.7.1): both teach nothing.
  if (scope.cut !== true && (flags & RST) === 0) numbers.see(sequence, flags, acknowledges ? acknowledgment : undefined)
  const options = fits ? readOptions(scope, fields, headerOctets, faults, numbers) : []
  const length = fits ? present - headerOctets : 0
  const shown = flags & SYN ? sequence : numbers.own(sequence)
  const parts = [`TCP ${source} > ${destination} [${formatFlags(flags)}] seq ${shown}`]
  if (length > 0) parts[0] += `:${(shown + length) % 0x1_0000_0000}`
  if (acknowledges) parts.push(`ack ${numbers.peers(acknowledgment)}`)
  parts.push(`win ${window}`)
  if (flags & 0x20) parts.push(`urg ${urgent}`)
  if (options.length > 0) parts.push(`<${options.join(', ')}>`)
  parts.push(`length ${length}`)
  const layer = {
    protocol: 'TCP',
    offset: scope.start,
    octets: fits ? headerOctets : present,
    fields: fields.list,
    summary: parts.join(' '),
    faults,
  }
  if (length === 0) return { layer }
  return { layer, next: { protocol: data, scope: { ...scope, start: scope.start + headerOctets } } }
}

/** How the numbers of one segment are shown. */
interface Numbers {
  see(sequence: number, flags: number, acknowledgment: number | undefined): void
  /** Of the direction of the segment. */
  own(sequence: number): number
  /** Of the other direction: acknowledgments. */
  peers(sequence: number): number
}

const AS_THEY_ARE: Numbers = { see: () => {}, own: (sequence) => sequence, peers: (sequence) => sequence }

function numbersOf(scope: Scope, sourcePort: number, destinationPort: number): Numbers {
  const { flows, source, destination } = scope
  if (flows === undefined || source === undefined || destination === undefined) return AS_THEY_ARE
  const flow = { source, destination, sourcePort, destinationPort }
  return {
    see: (sequence, flags, acknowledgment) => flows.see(flow, sequence, (flags & SYN) !== 0, acknowledgment),
    own: (sequence) => flows.relative(flow, sequence),
    peers: (sequence) => flows.relative(reverse(flow), sequence),
  }
}

/** The first octets of a segment, as an ICMP error quotes them. */
function quoted(scope: Scope): Decoded {
  const fields = new Fields(scope)
  const source = fields.u16('source port', 0)
  const destination = fields.u16('destination port', 2)
  const sequence = fields.u32('sequence number', 4)
  return {
    layer: {
      protocol: 'TCP',
      offset: scope.start,
      octets: scope.end - scope.start,
      fields: fields.list,
      summary: `TCP ${source} > ${destination} seq ${numbersOf(scope, source, destination).own(sequence)}`,
      faults: [],
    },
  }
}

function formatFlags(flags: number): string {
  const letters = FLAGS.filter((_, bit) => (flags >> bit) & 1)
  // SYN before ACK's dot reads as everywhere else: 'S.', 'F.', 'P.'
  return letters.length === 0 ? 'none' : letters.join('')
}

function readOptions(scope: Scope, fields: Fields, headerOctets: number, faults: string[], numbers: Numbers): string[] {
  const shown: string[] = []
  for (let at = HEADER_OCTETS; at < headerOctets; ) {
    const kind = scope.view.getUint8(scope.start + at)
    if (kind === 0) break
    if (kind === 1) {
      at++ // padding, of no interest on its line
      continue
    }
    const octets = at + 1 < headerOctets ? scope.view.getUint8(scope.start + at + 1) : 0
    if (octets < 2 || at + octets > headerOctets) {
      faults.push(`option ${kind} of ${octets} octets`)
      break
    }
    const text = formatOption(scope, scope.start + at, kind, octets, numbers)
    fields.add('option', text, at, octets)
    shown.push(text)
    at += octets
  }
  return shown
}

function formatOption(scope: Scope, at: number, kind: number, octets: number, numbers: Numbers): string {
  const { view } = scope
  if (kind === 2 && octets === 4) return `mss ${view.getUint16(at + 2)}`
  if (kind === 3 && octets === 3) return `wscale ${view.getUint8(at + 2)}`
  if (kind === 4 && octets === 2) return 'sackOK'
  if (kind === 8 && octets === 10) return `TS val ${view.getUint32(at + 2)} ecr ${view.getUint32(at + 6)}`
  if (kind === 5 && (octets - 2) % 8 === 0) {
    const blocks: string[] = []
    for (let edge = at + 2; edge < at + octets; edge += 8)
      blocks.push(`${numbers.peers(view.getUint32(edge))}:${numbers.peers(view.getUint32(edge + 4))}`)
    return `sack ${blocks.join(' ')}`
  }
  return `option ${kind}`
}
