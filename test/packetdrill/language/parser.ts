/**
 * The grammar's top:
 *
 *   script = { option } [ shell ] { event } [ shell ]
 *   event  = time action
 *   time   = [ '+' ] seconds [ '~' [ '+' ] seconds ] | '*'
 *   action = packet | call | shell | code
 */
import { Failure, Unsupported } from '../failure.ts'
import { parseCall } from './call-grammar.ts'
import { Cursor } from './cursor.ts'
import { DEFINITIONS, type IpVersion, isIpVersion, type Wire, wireOf } from './ip-version.ts'
import { type Token, tokenize } from './lexer.ts'
import { parsePacket } from './packet-grammar.ts'
import type { Action, Event, Script, Time } from './script.ts'

const AT_START: Time = { from: 'start', earliest: 0, latest: 0 }

/**
 * @param otherwise over what it runs if it does not say.
 * @throws Failure — it is not a script; the message begins with 'syntax:'.
 */
export function parseScript(text: string, otherwise: IpVersion = 'ipv4'): Script {
  const head = new Cursor(tokenize(text))
  const options: Script['options'][number][] = []
  while (head.is('option')) options.push(parseOption(head))
  const ipVersion = ipVersionOf(options) ?? otherwise
  const wire = wireOf(ipVersion)
  const defined = options.filter(({ name }) => name === 'define').map(({ value }) => value)
  const definitions = [...defined, ...DEFINITIONS[wire]]
  const cursor = new Cursor(head.rest().flatMap((token) => substitute(token, definitions)))
  const events: Event[] = []
  while (!cursor.is('end')) events.push(parseEvent(cursor, wire))
  if (events.every(({ time }) => time.from === 'start')) throw cursor.error('an event')
  return { ipVersion, options, events }
}

/** What `--ip_version` says, the last of several; undefined: nothing. */
function ipVersionOf(options: Script['options']): IpVersion | undefined {
  const option = options.findLast(({ name }) => name === 'ip_version')
  if (option === undefined) return undefined
  const { value, line } = option
  if (!isIpVersion(value)) throw new Unsupported(line, `--ip_version=${value}`)
  return value
}

function parseOption(cursor: Cursor): Script['options'][number] {
  const { text: name, line } = cursor.next()
  if (!cursor.skip('=')) return { name, value: '', line }
  let value = verbatim(cursor.next())
  while (cursor.peek().glued && !cursor.is('end')) value += verbatim(cursor.next()) // ipv4-mapped-ipv6, NAME="value"
  return { name, value, line }
}

const QUOTES: Readonly<Record<string, string>> = { string: '"', shell: '`' }

function verbatim({ kind, text }: Token): string {
  const quote = QUOTES[kind] ?? ''
  return quote + text + quote
}

/** `--define=NAME=value` puts the value where the script has the name. */
function substitute(token: Token, definitions: readonly string[]): Token[] {
  if (token.kind !== 'word') return [token]
  const prefix = `${token.text}=`
  const define = definitions.find((definition) => definition.startsWith(prefix))
  if (define === undefined) return [token]
  const { line, glued } = token
  return tokenize(define.slice(prefix.length))
    .slice(0, -1)
    .map((part) => ({ ...part, line, glued }))
}

function parseEvent(cursor: Cursor, wire: Wire): Event {
  const { line } = cursor.peek()
  const time = cursor.is('shell') ? AT_START : parseTime(cursor)
  const action = parseAction(cursor, wire)
  const awaited = action.kind === 'packet' && action.direction === 'out'
  if ((time.from === 'any' || time.latest !== time.earliest) && !awaited) {
    throw new Failure(line, 'syntax: only a packet that is expected can have a range of times, or any')
  }
  return { line, time, action }
}

function parseTime(cursor: Cursor): Time {
  if (cursor.skip('*')) return { from: 'any', earliest: 0, latest: 0 }
  const from = cursor.skip('+') ? 'previous' : 'zero'
  const earliest = parseSeconds(cursor)
  if (!cursor.skip('~')) return { from, earliest, latest: earliest }
  if (from === 'previous') cursor.expect('+')
  const latest = parseSeconds(cursor)
  if (latest < earliest) throw cursor.error('a range of times that runs forward')
  return { from, earliest, latest }
}

/** @returns microseconds. */
export function parseSeconds(cursor: Cursor): number {
  const { text } = cursor.is('float') ? cursor.next() : cursor.take('integer', 'a time')
  if (text.startsWith('-')) throw cursor.error('a time that is not negative', text)
  return Math.round(Number(text) * 1e6)
}

function parseAction(cursor: Cursor, wire: Wire): Action {
  if (cursor.is('shell')) return { kind: 'shell', text: cursor.next().text }
  if (cursor.is('code')) return { kind: 'code', text: cursor.next().text }
  if (cursor.sees('<') || cursor.sees('>')) return parsePacket(cursor, wire)
  return parseCall(cursor, parseReturn(cursor))
}

/** `...0.200`: when the call that follows returns. */
function parseReturn(cursor: Cursor): number | undefined {
  if (!cursor.is('ellipsis')) return undefined
  cursor.next()
  return parseSeconds(cursor)
}
