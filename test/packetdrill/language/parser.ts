/**
 * The grammar's top:
 *
 *   script = { option } [ shell ] { event } [ shell ]
 *   event  = time action
 *   time   = [ '+' ] seconds [ '~' [ '+' ] seconds ] | '*'
 *   action = packet | call | shell | code
 */
import { Failure } from '../failure.ts'
import { parseCall } from './call-grammar.ts'
import { Cursor } from './cursor.ts'
import { type Token, tokenize } from './lexer.ts'
import { parsePacket } from './packet-grammar.ts'
import type { Action, Event, Script, Time } from './script.ts'

const AT_START: Time = { from: 'start', earliest: 0, latest: 0 }

/** @throws Failure — it is not a script; the message begins with 'syntax:'. */
export function parseScript(text: string): Script {
  const head = new Cursor(tokenize(text))
  const options: Script['options'][number][] = []
  while (head.is('option')) options.push(parseOption(head))
  const cursor = new Cursor(head.rest().flatMap((token) => substitute(token, options)))
  const events: Event[] = []
  while (!cursor.is('end')) events.push(parseEvent(cursor))
  if (events.every(({ time }) => time.from === 'start')) throw cursor.error('an event')
  return { options, events }
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
function substitute(token: Token, options: Script['options']): Token[] {
  if (token.kind !== 'word') return [token]
  const prefix = `${token.text}=`
  const define = options.find(({ name, value }) => name === 'define' && value.startsWith(prefix))
  if (define === undefined) return [token]
  const { line, glued } = token
  return tokenize(define.value.slice(prefix.length))
    .slice(0, -1)
    .map((part) => ({ ...part, line, glued }))
}

function parseEvent(cursor: Cursor): Event {
  const { line } = cursor.peek()
  const time = cursor.is('shell') ? AT_START : parseTime(cursor)
  const action = parseAction(cursor)
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

function parseAction(cursor: Cursor): Action {
  if (cursor.is('shell')) return { kind: 'shell', text: cursor.next().text }
  if (cursor.is('code')) return { kind: 'code', text: cursor.next().text }
  if (cursor.sees('<') || cursor.sees('>')) return parsePacket(cursor)
  return parseCall(cursor, parseReturn(cursor))
}

/** `...0.200`: when the call that follows returns. */
function parseReturn(cursor: Cursor): number | undefined {
  if (!cursor.is('ellipsis')) return undefined
  cursor.next()
  return parseSeconds(cursor)
}
