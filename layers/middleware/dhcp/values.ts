/** Values of DHCP's options: numbers, addresses, routes and text, to octets and back. */
import type { Message } from './message.ts'
import { OPTION } from './message.ts'

/** A route to a prefix, as option 121 gives it (RFC 3442). */
export interface ClasslessRoute {
  readonly prefix: number
  readonly length: number
  /** The next hop; 0: on the link. */
  readonly via: number
}

const TEXT = new TextEncoder()

export const ofWord = (word: number): Uint8Array => ofWords([word])

export function ofWords(words: readonly number[]): Uint8Array {
  const octets = new Uint8Array(words.length * 4)
  const view = new DataView(octets.buffer)
  for (const [i, word] of words.entries()) view.setInt32(i * 4, word)
  return octets
}

export function ofShort(value: number): Uint8Array {
  return Uint8Array.of(value >> 8, value & 255)
}

export const ofText = (text: string): Uint8Array => TEXT.encode(text)

/** @returns the first word of an option; undefined when it is not there, or too short. */
export const wordOf = (message: Message, code: number): number | undefined => wordsOf(message, code)[0]

/** The words of an option; what is left over is no word. */
export function wordsOf({ options }: Message, code: number): number[] {
  const octets = options.get(code)
  if (octets === undefined) return []
  const view = new DataView(octets.buffer, octets.byteOffset, octets.length)
  return Array.from({ length: octets.length >> 2 }, (_, i) => view.getInt32(i * 4))
}

export function shortOf({ options }: Message, code: number): number | undefined {
  const octets = options.get(code)
  return octets === undefined || octets.length < 2 ? undefined : ((octets[0] as number) << 8) | (octets[1] as number)
}

/** Text of an option: printable ASCII alone, since others chose it and it is shown to people. */
export function textOf({ options }: Message, code: number): string | undefined {
  const octets = options.get(code)
  if (octets === undefined) return undefined
  const printable = [...octets].filter((octet) => octet >= 0x20 && octet < 0x7f)
  return String.fromCharCode(...printable.slice(0, 255))
}

/** How many leading ones a mask has; undefined when it has others behind them. */
export function lengthOf(mask: number): number | undefined {
  const length = Math.clz32(~mask)
  return mask === maskOf(length) ? length : undefined
}

export const maskOf = (length: number): number => (length === 0 ? 0 : -1 << (32 - length))

/** Of option 121: length, as many octets of the prefix as that takes, next hop. @returns undefined when it is cut short or wrong. */
export function routesOf({ options }: Message): ClasslessRoute[] | undefined {
  const octets = options.get(OPTION.classlessRoutes)
  if (octets === undefined) return undefined
  const routes: ClasslessRoute[] = []
  for (let at = 0; at < octets.length; ) {
    const length = octets[at++] as number
    const significant = (length + 7) >> 3
    if (length > 32 || at + significant + 4 > octets.length) return undefined
    const padded = new Uint8Array(8)
    padded.set(octets.subarray(at, at + significant))
    padded.set(octets.subarray(at + significant, at + significant + 4), 4)
    const view = new DataView(padded.buffer)
    routes.push({ prefix: view.getInt32(0) & maskOf(length), length, via: view.getInt32(4) })
    at += significant + 4
  }
  return routes
}

export function ofRoutes(routes: readonly ClasslessRoute[]): Uint8Array {
  const octets = routes.flatMap(({ prefix, length, via }) => [
    length,
    ...ofWord(prefix).subarray(0, (length + 7) >> 3),
    ...ofWord(via),
  ])
  return Uint8Array.from(octets)
}
