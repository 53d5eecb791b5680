/**
 * Is this what the script says? Both are in the script's numbers. As in the original, options must come in exactly that
 * order, the window counts where the script gives one, the payload is zeros; unlike there, checksums always count.
 */
import type { IpFields, TcpBody, TcpOption } from '../language/script.ts'
import type { IpHeader } from './ip.ts'
import { FLAG, formatFlags } from './tcp-flags.ts'
import { formatTcpOption } from './tcp-options.ts'

export interface Comparison {
  /** Do not look at PSH, whose place RFC 9293 §3.9.1 leaves open. */
  readonly ignorePsh: boolean
  /** How far a timestamp may be from the script's; undefined: they are not compared. */
  readonly timestampTolerance: number | undefined
}

/** What differs, as 'field: expected x, got y'; undefined when nothing does. */
export function difference(expected: TcpBody, got: TcpBody, how: Comparison): string | undefined {
  return (
    fieldDifference('flags', flagText(expected, how), flagText(got, how)) ??
    fieldDifference('seq', expected.seq, got.seq) ??
    fieldDifference('length', expected.length, got.length) ??
    fieldDifference('ack', expected.ack, got.ack) ??
    (expected.window === undefined ? undefined : fieldDifference('win', expected.window, got.window)) ??
    fieldDifference('urg', expected.urgent, got.urgent) ??
    optionDifference(expected.options, got.options, how)
  )
}

const flagText = ({ flags }: TcpBody, { ignorePsh }: Comparison): string =>
  formatFlags(ignorePsh ? flags & ~FLAG.psh : flags)

function fieldDifference(
  name: string,
  expected: string | number | undefined,
  got: string | number | undefined,
): string | undefined {
  return expected === got ? undefined : `${name}: expected ${expected}, got ${got}`
}

function optionDifference(expected: TcpBody['options'], got: TcpBody['options'], how: Comparison): string | undefined {
  if (expected === 'any' || got === 'any') return undefined
  const same = expected.length === got.length && expected.every((option, i) => matches(option, got[i], how))
  return same ? undefined : fieldDifference('options', text(expected), text(got))
}

function matches(expected: TcpOption, got: TcpOption | undefined, { timestampTolerance }: Comparison): boolean {
  if (got?.name === 'TS' && (expected.name === 'TS' || expected.name === 'anyTS')) {
    if (expected.echo !== got.echo) return false
    if (expected.name === 'anyTS' || timestampTolerance === undefined) return true
    return Math.abs((expected.value - got.value) | 0) <= timestampTolerance
  }
  return got !== undefined && formatTcpOption(expected) === formatTcpOption(got)
}

const text = (options: readonly TcpOption[]): string => `<${options.map(formatTcpOption).join(',')}>`

/** The same for the IP header. */
export function ipDifference({ tos, ttl }: IpFields, got: IpHeader): string | undefined {
  const ecn = got.tos & 3
  const ttlDifference = ttl === undefined ? undefined : fieldDifference('ttl', ttl, got.ttl)
  if (ttlDifference !== undefined || tos === undefined) return ttlDifference
  if (tos.check === 'all') return fieldDifference('tos', hex(tos.value), hex(got.tos))
  if (tos.check === 'ecn') return fieldDifference('ecn', tos.value, ecn)
  return ecn === 1 || ecn === 2 ? undefined : `ecn: expected ECT(0) or ECT(1), got ${ecn}`
}

const hex = (value: number): string => `0x${value.toString(16)}`

/**
 * Can two segments be one of the script's, as if a link had merged or cut it (TSO)? All but the sequence number, FIN, PSH
 * and CWR must be equal, and each as long as the one before it, or the last shorter.
 */
export function unmergeable(before: TcpBody, next: TcpBody, isLast: boolean): string | undefined {
  const varying = FLAG.fin | FLAG.psh | FLAG.cwr
  const seq = (before.seq + before.length) >>> 0
  return (
    fieldDifference('flags', formatFlags(before.flags & ~varying), formatFlags(next.flags & ~varying)) ??
    fieldDifference('seq', seq, next.seq) ??
    fieldDifference('ack', before.ack, next.ack) ??
    fieldDifference('win', before.window, next.window) ??
    fieldDifference('urg', before.urgent, next.urgent) ??
    (isLast && next.length < before.length ? undefined : fieldDifference('length', before.length, next.length))
  )
}

/** Segments of one merged packet: the last's header with the first's sequence number and CWR. */
export function merged(parts: readonly TcpBody[]): TcpBody {
  const first = parts[0] as TcpBody
  const last = parts.at(-1) as TcpBody
  const flags = (last.flags & ~FLAG.cwr) | (first.flags & FLAG.cwr)
  return { ...last, flags, seq: first.seq, length: parts.reduce((sum, { length }) => sum + length, 0) }
}
