/** `<mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 8>`, or `<...>` for any. */
import { Unsupported } from '../failure.ts'
import type { Cursor } from './cursor.ts'
import type { TcpBody, TcpOption } from './script.ts'

/** Kinds of the options that have octets of their own, and what comes before these (RFC 7413, RFC 6994, RFC 2385). */
const OCTETS: Readonly<Record<string, readonly [kind: number, ...magic: number[]]>> = {
  FO: [34],
  FOEXP: [254, 0xf9, 0x89],
  md5: [19],
}

export function parseTcpOptions(cursor: Cursor): TcpBody['options'] {
  if (!cursor.skip('<')) return []
  if (cursor.is('ellipsis')) {
    cursor.next()
    cursor.expect('>')
    return 'any'
  }
  const options: TcpOption[] = []
  do options.push(parseTcpOption(cursor))
  while (cursor.skip(','))
  cursor.expect('>')
  return options
}

function parseTcpOption(cursor: Cursor): TcpOption {
  const { text: name, line } = cursor.take('word', 'an option of TCP')
  switch (name) {
    case 'nop':
    case 'eol':
    case 'sackOK':
      return { name }
    case 'mss':
      return { name, value: cursor.integer('an MSS', 0, 0xffff) }
    case 'wscale':
      return { name, value: cursor.integer('a shift', 0, 255) }
    case 'TS':
      return parseTimestamps(cursor)
    case 'sack':
      return parseSack(cursor)
    default:
      if (!Object.hasOwn(OCTETS, name)) throw new Unsupported(line, `the TCP option ${name}`)
      return parseOctets(cursor, OCTETS[name] as (typeof OCTETS)[string])
  }
}

function parseTimestamps(cursor: Cursor): TcpOption {
  cursor.expect('val')
  if (cursor.is('ellipsis')) {
    cursor.next()
    return { name: 'anyTS', echo: parseEcho(cursor) }
  }
  return { name: 'TS', value: cursor.integer('a timestamp'), echo: parseEcho(cursor) }
}

function parseEcho(cursor: Cursor): number {
  cursor.expect('ecr')
  return cursor.integer('a timestamp')
}

function parseSack(cursor: Cursor): TcpOption {
  const blocks: [number, number][] = []
  while (cursor.is('integer')) {
    const left = cursor.integer('a left edge')
    cursor.expect(':')
    blocks.push([left, cursor.integer('a right edge')])
  }
  return { name: 'sack', blocks }
}

function parseOctets(cursor: Cursor, [option, ...magic]: (typeof OCTETS)[string]): TcpOption {
  const hex = cursor.is('word') || cursor.is('integer') ? cursor.next().text : ''
  if (!/^(?:[0-9a-fA-F]{2})*$/.test(hex)) throw cursor.error('octets in hexadecimal', hex)
  return { name: 'octets', option, octets: Uint8Array.from([...magic, ...Buffer.from(hex, 'hex')]) }
}
