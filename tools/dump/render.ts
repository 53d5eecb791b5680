/** The renderings of a decoded packet: a line, a tree, a hex dump, JSON. */
import type pc from 'picocolors'
import type { CaptureRecord } from '../../src/capture/reader.ts'
import type { DumpLayer } from './model.ts'

/** Colours to use; `picocolors.createColors(false)` for none. */
export type Colors = ReturnType<typeof pc.createColors>

/** How times are shown. */
export type TimeFormat = (record: CaptureRecord) => string

/** Layers whose own line says nothing when a more specific one follows. */
const CARRIERS: ReadonlySet<string> = new Set(['Ethernet'])

/** `12:34:56.123456789` in UTC. */
export const clockTime: TimeFormat = (record) => {
  const day = record.seconds % 86_400
  const part = (n: number): string => String(n).padStart(2, '0')
  const clock = `${part(Math.floor(day / 3600))}:${part(Math.floor(day / 60) % 60)}:${part(day % 60)}`
  return `${clock}.${String(record.nanoseconds).padStart(9, '0')}`
}

/** Seconds since the first record it is shown. */
export function relativeTime(): TimeFormat {
  let first: CaptureRecord | undefined
  return (record) => {
    first ??= record
    let seconds = record.seconds - first.seconds
    let nanoseconds = record.nanoseconds - first.nanoseconds
    const negative = seconds < 0 || (seconds === 0 && nanoseconds < 0)
    if (negative) [seconds, nanoseconds] = [-seconds, -nanoseconds]
    if (nanoseconds < 0) [seconds, nanoseconds] = [seconds - 1, nanoseconds + 1e9]
    return `${negative ? '-' : ''}${seconds}.${String(nanoseconds).padStart(9, '0')}`
  }
}

/** One packet, one line: when, where, which way, what, and what is wrong or was said about it. */
export function line(record: CaptureRecord, layers: readonly DumpLayer[], time: TimeFormat, colors: Colors): string {
  const arrow = record.direction === 'in' ? '<' : record.direction === 'out' ? '>' : ' '
  const told = layers.filter((layer, i) => !(CARRIERS.has(layer.protocol) && i < layers.length - 1))
  const saying = told.filter((layer, i) => layer.protocol !== 'Data' || i === 0)
  const what = saying.map((layer) => layer.summary).join(' ')
  const faults = layers.flatMap((layer) => layer.faults.map((fault) => `${layer.protocol}: ${fault}`))
  const parts = [`${colors.dim(time(record))} ${colors.cyan(record.interface.name)} ${arrow} ${what}`]
  if (faults.length > 0) parts.push(colors.red(`[${faults.join('; ')}]`))
  for (const comment of record.comments) parts.push(colors.yellow(`{${comment}}`))
  return parts.join(' ')
}

/** Every field of every layer, indented. */
export function tree(layers: readonly DumpLayer[], colors: Colors): string {
  const lines: string[] = []
  for (const layer of layers) {
    lines.push(`  ${colors.bold(layer.protocol)}, ${layer.octets} octets at ${layer.offset}`)
    for (const field of layer.fields) lines.push(`    ${field.name}: ${field.value}`)
    for (const fault of layer.faults) lines.push(`    ${colors.red(fault)}`)
  }
  return lines.join('\n')
}

/** Sixteen octets a line, with offsets and characters; the colour changes from layer to layer. */
export function hexDump(octets: Uint8Array, layers: readonly DumpLayer[], colors: Colors): string {
  const palette = [colors.green, colors.cyan, colors.magenta, colors.blue]
  const ends = layers.map((layer) => layer.offset + layer.octets)
  const paint = (text: string, at: number): string => {
    const layer = ends.findIndex((end) => at < end)
    return layer < 0 ? text : (palette[layer % palette.length] as (text: string) => string)(text)
  }
  const lines: string[] = []
  for (let at = 0; at < octets.length; at += 16) {
    const row = octets.subarray(at, at + 16)
    const hex = Array.from(row, (octet, i) => paint(octet.toString(16).padStart(2, '0'), at + i) + (i === 7 ? ' ' : ''))
    const shown = Array.from(row, (octet) => (octet >= 32 && octet < 127 ? String.fromCharCode(octet) : '.')).join('')
    const missing = ' '.repeat((16 - row.length) * 3 + (row.length < 8 ? 1 : 0))
    lines.push(`  ${at.toString(16).padStart(4, '0')}  ${hex.join(' ')}${missing}  ${shown}`)
  }
  return lines.join('\n')
}

/** One object a packet, for NDJSON. */
export function json(record: CaptureRecord, layers: readonly DumpLayer[], withOctets: boolean): object {
  return {
    time: record.seconds + record.nanoseconds / 1e9,
    seconds: record.seconds,
    nanoseconds: record.nanoseconds,
    interface: record.interface.name,
    direction: record.direction ?? null,
    octets: record.octets.length,
    wireOctets: record.wireLength,
    comments: record.comments,
    layers: layers.map((layer) => ({
      protocol: layer.protocol,
      offset: layer.offset,
      octets: layer.octets,
      summary: layer.summary,
      faults: layer.faults,
      fields: fieldsOf(layer),
    })),
    ...(withOctets ? { hex: Buffer.from(record.octets).toString('hex') } : {}),
  }
}

/** By name; a name that comes several times, as 'option' does, has them all. */
function fieldsOf({ fields }: DumpLayer): Record<string, unknown> {
  const values = new Map<string, (string | number)[]>()
  for (const { name, value } of fields) values.set(name, [...(values.get(name) ?? []), value])
  return Object.fromEntries(
    [...values].map(([name, all]) => [name, all.length === 1 && name !== 'option' ? all[0] : all]),
  )
}
