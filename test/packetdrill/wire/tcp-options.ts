/** TCP options as octets and as text (RFC 9293 §3.2, RFC 7323, RFC 2018). */
import type { TcpOption } from '../language/script.ts'

const KIND = { eol: 0, nop: 1, mss: 2, wscale: 3, sackOK: 4, sack: 5, TS: 8 } as const

/** In the order given, without padding: scripts write theirs. */
export function encodeTcpOptions(options: readonly TcpOption[]): Uint8Array {
  return Uint8Array.from(options.flatMap(encode))
}

function encode(option: TcpOption): number[] {
  switch (option.name) {
    case 'eol':
    case 'nop':
      return [KIND[option.name]]
    case 'sackOK':
      return [KIND.sackOK, 2]
    case 'mss':
      return [KIND.mss, 4, option.value >>> 8, option.value & 255]
    case 'wscale':
      return [KIND.wscale, 3, option.value]
    case 'TS':
      return [KIND.TS, 10, ...word(option.value), ...word(option.echo)]
    case 'anyTS':
      throw new Error('a timestamp of any value is only expected')
    case 'sack':
      return [KIND.sack, 2 + 8 * option.blocks.length, ...option.blocks.flat().flatMap(word)]
    case 'octets':
      return [option.option, 2 + option.octets.length, ...option.octets]
  }
}

const word = (value: number): number[] => [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255]

/** @returns undefined when a length makes no sense. */
export function decodeTcpOptions(octets: Uint8Array): TcpOption[] | undefined {
  const view = new DataView(octets.buffer, octets.byteOffset, octets.byteLength)
  const options: TcpOption[] = []
  for (let at = 0; at < octets.length; ) {
    const kind = octets[at] as number
    if (kind === KIND.eol || kind === KIND.nop) {
      options.push({ name: kind === KIND.eol ? 'eol' : 'nop' })
      at++
      continue
    }
    const length = octets[at + 1] ?? 0
    if (length < 2 || at + length > octets.length) return undefined
    options.push(decode(kind, view, at, length))
    at += length
  }
  return options
}

function decode(kind: number, view: DataView, at: number, length: number): TcpOption {
  if (kind === KIND.mss && length === 4) return { name: 'mss', value: view.getUint16(at + 2) }
  if (kind === KIND.wscale && length === 3) return { name: 'wscale', value: view.getUint8(at + 2) }
  if (kind === KIND.sackOK && length === 2) return { name: 'sackOK' }
  if (kind === KIND.TS && length === 10) {
    return { name: 'TS', value: view.getUint32(at + 2), echo: view.getUint32(at + 6) }
  }
  if (kind === KIND.sack && length % 8 === 2) {
    const blocks: [number, number][] = []
    for (let i = at + 2; i < at + length; i += 8) blocks.push([view.getUint32(i), view.getUint32(i + 4)])
    return { name: 'sack', blocks }
  }
  const octets = new Uint8Array(view.buffer, view.byteOffset + at + 2, length - 2).slice()
  return { name: 'octets', option: kind, octets }
}

/** As scripts write it. */
export function formatTcpOption(option: TcpOption): string {
  switch (option.name) {
    case 'mss':
    case 'wscale':
      return `${option.name} ${option.value}`
    case 'TS':
      return `TS val ${option.value} ecr ${option.echo}`
    case 'anyTS':
      return `TS val ... ecr ${option.echo}`
    case 'sack':
      return `sack ${option.blocks.map(([left, right]) => `${left}:${right}`).join(' ')}`
    case 'octets':
      return `kind ${option.option} ${Buffer.from(option.octets).toString('hex')}`.trimEnd()
    default:
      return option.name
  }
}
