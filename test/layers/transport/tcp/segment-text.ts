/** Segments as the lines of a script, and back. */

export const FLAGS: readonly (readonly [string, number])[] = [
  ['S', 0x02],
  ['F', 0x01],
  ['R', 0x04],
  ['P', 0x08],
  ['U', 0x20],
  ['E', 0x40],
  ['W', 0x80],
  ['.', 0x10],
]
export interface Sent {
  readonly flags: string
  readonly seq: number
  readonly length: number
  readonly ack: number | undefined
  readonly win: number
  readonly options: string
  readonly destination: string
  readonly segmentOctets: number
  /** The ECN field of the packet. */
  readonly ecn: number
}

/** What was sent, in as much detail as the line it is compared with. */
export function format({ flags, seq, length, ack, win, options }: Sent, like: string): string {
  let text = `${flags === '' ? '-' : flags} ${seq}:${seq + length}`
  if (ack !== undefined) text += ` ack ${ack}`
  if (/ win /.test(like)) text += ` win ${win}`
  if (like.includes('<')) text += ` <${/ts \*/.test(like) ? options.replace(/ts \d+ \d+/, 'ts * *') : options}>`
  return text
}

/** @param base sequence number that SACK blocks count from. */
export function encodeOptions(text: string, base = 0): Uint8Array {
  const octets: number[] = []
  for (const option of text === '' ? [] : text.split(',')) {
    const [name, a, b] = option.trim().split(' ')
    const n = Number(a)
    if (name === 'mss') octets.push(2, 4, n >> 8, n & 255)
    else if (name === 'ws') octets.push(3, 3, n)
    else if (name === 'sackOK') octets.push(4, 2)
    else if (name === 'nop') octets.push(1)
    else if (name === 'eol') octets.push(0)
    else if (name === 'unknown') octets.push(n, 4, 0xde, 0xad)
    else if (name === 'fo') octets.push(34, 2 + hex(a).length, ...hex(a))
    else if (name === 'foexp') octets.push(254, 4 + hex(a).length, 0xf9, 0x89, ...hex(a))
    else if (name === 'uto') octets.push(28, 4, n >> 8, n & 255)
    else if (name === 'sack') octets.push(...sackOption(option.trim().split(' ').slice(1), base))
    else if (name === 'ts') octets.push(8, 10, ...word(n), ...word(Number(b)))
    else throw new Error(`no such option: ${option}`)
  }
  while (octets.length % 4 !== 0) octets.push(0)
  return Uint8Array.from(octets)
}

const hex = (text = ''): number[] => [...Buffer.from(text, 'hex')]
const word = (n: number) => [(n >>> 24) & 255, (n >>> 16) & 255, (n >>> 8) & 255, n & 255]

function sackOption(blocks: string[], base: number): number[] {
  const edges = blocks.flatMap((block) => block.split(':').map((edge) => (base + Number(edge)) | 0))
  return [5, 2 + 4 * edges.length, ...edges.flatMap(word)]
}

const text = (octets: Uint8Array, from: number, to: number): string =>
  Buffer.from(octets.subarray(from, to)).toString('hex')

/** @param base sequence number that SACK blocks count from. */
export function decodeOptions(octets: Uint8Array, base = 0): string {
  const names: string[] = []
  const view = new DataView(octets.buffer, octets.byteOffset, octets.length)
  for (let at = 0; at < octets.length; ) {
    const kind = octets[at] as number
    if (kind === 0) break
    if (kind === 1) {
      names.push('nop')
      at++
      continue
    }
    const length = octets[at + 1] as number
    if (kind === 2) names.push(`mss ${view.getUint16(at + 2)}`)
    else if (kind === 3) names.push(`ws ${octets[at + 2]}`)
    else if (kind === 8) names.push(`ts ${view.getUint32(at + 2)} ${view.getUint32(at + 6)}`)
    else if (kind === 4) names.push('sackOK')
    else if (kind === 28) names.push(`uto ${view.getUint16(at + 2)}`)
    else if (kind === 34) names.push(`fo ${text(octets, at + 2, at + length)}`.trimEnd())
    else if (kind === 254) names.push(`foexp ${text(octets, at + 4, at + length)}`.trimEnd())
    else if (kind === 5) {
      const edge = (i: number) => (view.getInt32(at + 2 + 4 * i) - base) | 0
      const blocks = Array.from({ length: (length - 2) / 8 }, (_, i) => `${edge(2 * i)}:${edge(2 * i + 1)}`)
      names.push(`sack ${blocks.join(' ')}`)
    } else names.push(`kind ${kind}`)
    at += length
  }
  return names.join(',')
}
