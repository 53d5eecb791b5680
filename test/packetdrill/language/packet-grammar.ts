/**
 * Packets:
 *
 *   packet = ( '<' | '>' ) [ '[' ip ']' | '(' ip ')' ] ( tcp | icmp )
 *   tcp    = [ port '>' port ] flags range [ 'ack' n ] [ 'win' n ] [ 'urg' n ] [ '<' options '>' ]
 *   icmp   = 'icmp' type [ code ] [ 'mtu' n ] [ 'id' n ] [ quote ] | quote 'icmp' …
 *   quote  = '[' range ']'
 *   range  = seq ':' end '(' length ')'
 */
import { Unsupported } from '../failure.ts'
import { icmpNumbers } from '../wire/icmp.ts'
import { FLAG } from '../wire/tcp-flags.ts'
import type { Cursor } from './cursor.ts'
import type { Wire } from './ip-version.ts'
import { parseTcpOptions } from './option-grammar.ts'
import type { IcmpBody, IpFields, PacketAction, TcpBody } from './script.ts'

const LETTERS: Readonly<Record<string, number>> = {
  F: FLAG.fin,
  S: FLAG.syn,
  R: FLAG.rst,
  P: FLAG.psh,
  '.': FLAG.ack,
  U: FLAG.urg,
  E: FLAG.ece,
  W: FLAG.cwr,
  C: FLAG.cwr,
  A: FLAG.ae,
}
const ECN: Readonly<Record<string, number>> = { noecn: 0, ect1: 1, ect0: 2, ce: 3 }
const OTHER_PROTOCOLS = ['udp', 'ipv4', 'ipv6', 'gre', 'GREv0', 'mpls', 'raw', 'psp', 'sctp']

export function parsePacket(cursor: Cursor, wire: Wire): PacketAction {
  const direction = cursor.next().text === '<' ? 'in' : 'out'
  const ip = parseIp(cursor, wire)
  const { text, line } = cursor.peek()
  if (OTHER_PROTOCOLS.includes(text)) throw new Unsupported(line, `packets of ${text}`)
  const quote = parseQuote(cursor)
  if (quote !== undefined) cursor.expect('icmp')
  const body = quote !== undefined || cursor.skip('icmp') ? parseIcmp(cursor, wire, quote) : parseTcp(cursor)
  if (cursor.sees('{')) throw new Unsupported(line, 'mutated packets')
  if (direction === 'in' && body.kind === 'tcp') {
    if (body.window === undefined) throw cursor.error('win, in a packet to be sent')
    if (isOpen(body.options)) throw cursor.error('options, in a packet to be sent', '...')
  }
  return { kind: 'packet', direction, ip, body }
}

/** Do they leave something open? */
const isOpen = (options: TcpBody['options']): boolean =>
  options === 'any' || options.some(({ name }) => name === 'anyTS')

function parseIp(cursor: Cursor, wire: Wire): IpFields {
  let tos: IpFields['tos']
  let ttl: number | undefined
  let flowLabel: number | undefined
  if (quotes(cursor)) return { tos, ttl, flowLabel }
  const close = cursor.skip('[') ? ']' : cursor.skip('(') ? ')' : undefined
  if (close === undefined) return { tos, ttl, flowLabel }
  do {
    const { text, line } = cursor.next()
    if (text === 'ttl') ttl = cursor.integer('a TTL', 0, 255)
    else if (text === 'tos') tos = { check: 'all', value: Number(cursor.take('hex', 'a hexadecimal TOS').text) }
    else if (text === 'ect01') tos = { check: 'ect01', value: 0 }
    else if (Object.hasOwn(ECN, text)) tos = { check: 'ecn', value: ECN[text] as number }
    else if (text === 'flowlabel' && wire === 6) flowLabel = parseFlowLabel(cursor)
    else throw new Unsupported(line, `the IP field ${text}`)
  } while (cursor.skip(','))
  cursor.expect(close)
  return { tos, ttl, flowLabel }
}

function parseFlowLabel(cursor: Cursor): number {
  const { text } = cursor.take('hex', 'a hexadecimal flow label')
  if (Number(text) > 0xfffff) throw cursor.error('a flow label of 20 bits', text)
  return Number(text)
}

function parseTcp(cursor: Cursor): TcpBody {
  const ports = parsePorts(cursor)
  const flags = parseFlags(cursor)
  const { seq, length } = parseRange(cursor)
  const ack = cursor.skip('ack') ? cursor.integer('an acknowledgment number') : 0
  const window = cursor.skip('win') ? cursor.integer('a window', 0, 0xffff) : undefined
  const urgent = cursor.skip('urg') ? cursor.integer('an urgent pointer', 0, 0xffff) : 0
  return { kind: 'tcp', ports, flags, seq, length, ack, window, urgent, options: parseTcpOptions(cursor) }
}

function parsePorts(cursor: Cursor): TcpBody['ports'] {
  if (!cursor.is('integer') || cursor.peek(1).text !== '>') return undefined
  const source = cursor.integer('a port', 0, 0xffff)
  cursor.expect('>')
  return { source, destination: cursor.integer('a port', 0, 0xffff) }
}

/** `S.`, `FP.`, `.`, `SEW`, `P.5` with the ACE count, or `-` for none; the period is a token of its own. */
function parseFlags(cursor: Cursor): number {
  if (cursor.skip('-')) return 0
  let text = cursor.is('word') ? cursor.next().text : ''
  const joined = text === '' || cursor.peek().glued
  if (joined && (cursor.sees('.') || /^\.[0-7]$/.test(cursor.peek().text))) text += cursor.next().text
  if (text === '') throw cursor.error('flags of TCP')
  let flags = 0
  for (const letter of text) {
    const bits = /[0-7]/.test(letter) ? aceBits(Number(letter)) : LETTERS[letter]
    if (bits === undefined) throw cursor.error('flags of TCP', text)
    flags |= bits
  }
  return flags
}

const aceBits = (count: number): number =>
  (count & 1 ? FLAG.ece : 0) | (count & 2 ? FLAG.cwr : 0) | (count & 4 ? FLAG.ae : 0)

function parseRange(cursor: Cursor): { seq: number; length: number } {
  const seq = cursor.integer('a sequence number')
  cursor.expect(':')
  const end = cursor.integer('the end of a sequence')
  cursor.expect('(')
  const length = cursor.integer('a length', 0, 0xffff)
  cursor.expect(')')
  if (end !== (seq + length) >>> 0) throw cursor.error(`${seq}:${seq + length}(${length})`, `${seq}:${end}(${length})`)
  return { seq, length }
}

/** A bracket that begins with a number is no list of IP fields. */
const quotes = (cursor: Cursor): boolean => cursor.sees('[') && cursor.peek(1).kind === 'integer'

/** Of which segment an ICMP error is, before or after what it says. */
function parseQuote(cursor: Cursor): IcmpBody['quote'] {
  if (!quotes(cursor)) return undefined
  cursor.expect('[')
  const quote = parseRange(cursor)
  cursor.expect(']')
  return quote
}

function parseIcmp(cursor: Cursor, wire: Wire, before: IcmpBody['quote']): IcmpBody {
  const { text: typeName, line } = cursor.take('word', 'a type of ICMP')
  const codeName = cursor.is('word') && !cursor.sees('mtu') && !cursor.sees('id') ? cursor.next().text : undefined
  const numbers = icmpNumbers(wire, typeName, codeName)
  if (numbers === undefined) throw new Unsupported(line, `ICMP ${typeName} ${codeName ?? ''}`)
  const mtu = cursor.skip('mtu') ? cursor.integer('an MTU', 0, wire === 4 ? 0xffff : 0xffff_ffff) : 0
  if (cursor.skip('id')) cursor.integer('an identifier', 0, 0xffff)
  const quote = before ?? parseQuote(cursor)
  if (cursor.sees('[')) throw new Unsupported(line, `ICMP that quotes ${cursor.peek(1).text}`)
  return { kind: 'icmp', wire, ...numbers, mtu, quote }
}
