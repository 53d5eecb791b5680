/**
 * Calls of the system and their arguments:
 *
 *   call   = name '(' [ value { ',' value } ] ')' '=' value [ errno '(' words ')' ] [ '(' words ')' ]
 *   value  = atom { '|' atom }
 *   atom   = '...' | number | string | word [ '(' values ')' ] | '[' values ']' | '{' fields '}'
 *   fields = value { ',' value } | name [ '(' value ')' ] '=' value { ',' … }
 */
import type { Cursor } from './cursor.ts'
import type { CallAction, Value } from './script.ts'

export function parseCall(cursor: Cursor, returns: number | undefined): CallAction {
  const name = cursor.take('word', 'a packet, a call, a shell line or a snippet of code').text
  cursor.expect('(')
  const args = parseValues(cursor, ')')
  cursor.expect('=')
  const result = parseValue(cursor)
  const errno = cursor.is('word') ? cursor.next().text : undefined
  while (cursor.sees('(')) skipNote(cursor)
  return { kind: 'call', name, args, result, errno, returns }
}

/** Passes `(Broken pipe)` or `(flags O_RDWR|O_NONBLOCK)`, which is for people. */
function skipNote(cursor: Cursor): void {
  while (!cursor.skip(')')) {
    if (cursor.is('end')) throw cursor.error(')')
    cursor.next()
  }
}

function parseValues(cursor: Cursor, close: string): Value[] {
  const values: Value[] = []
  if (cursor.skip(close)) return values
  do values.push(parseValue(cursor))
  while (cursor.skip(','))
  cursor.expect(close)
  return values
}

function parseValue(cursor: Cursor): Value {
  const parts = [parseAtom(cursor)]
  while (cursor.skip('|')) parts.push(parseAtom(cursor))
  return parts.length === 1 ? (parts[0] as Value) : { kind: 'or', parts }
}

function parseAtom(cursor: Cursor): Value {
  if (cursor.skip('[')) return { kind: 'list', items: parseValues(cursor, ']') }
  if (cursor.skip('{')) return parseBraces(cursor)
  const token = cursor.next()
  switch (token.kind) {
    case 'ellipsis':
      return { kind: 'any' }
    case 'integer':
    case 'hex':
      return { kind: 'number', value: Number(token.text) }
    case 'string':
      return parseString(cursor, token.text)
    case 'word':
      if (cursor.skip('(')) return { kind: 'apply', name: token.text, args: parseValues(cursor, ')') }
      return { kind: 'word', name: token.text }
    default:
      throw cursor.error('a value', token.text)
  }
}

/** Strings side by side are one; `"GET"...` begins so. */
function parseString(cursor: Cursor, first: string): Value {
  let text = first
  while (cursor.is('string')) text += cursor.next().text
  if (cursor.is('ellipsis')) cursor.next()
  return { kind: 'string', text }
}

function parseBraces(cursor: Cursor): Value {
  const fields = new Map<string, Value>()
  const items: Value[] = []
  do {
    if (cursor.is('word') && (cursor.peek(1).text === '=' || cursor.peek(1).text === '(')) parseField(cursor, fields)
    else items.push(parseValue(cursor))
  } while (cursor.skip(','))
  cursor.expect('}')
  return fields.size > 0 ? { kind: 'struct', fields } : { kind: 'list', items }
}

/** `linger=2`, or `msg_iov(1)=[…]`, whose count is known by the list. */
function parseField(cursor: Cursor, fields: Map<string, Value>): void {
  const name = cursor.next().text
  if (cursor.skip('(')) parseValues(cursor, ')')
  cursor.expect('=')
  fields.set(name, parseValue(cursor))
}
