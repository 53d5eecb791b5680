/** What makes a link worse, as text: 'loss=5%', 'delay=40ms', … */
import { LinkSpecError, Options, parseDuration } from './link-text.ts'

/** Impairments, each direction; fractions are 0 to 1, times microseconds, the rate bits per second. */
export interface ImpairmentSpec {
  loss?: number
  corruption?: number
  duplication?: number
  reordering?: number
  delay?: number
  jitter?: number
  rate?: number
}

const FRACTIONS: ReadonlyMap<string, keyof ImpairmentSpec> = new Map([
  ['loss', 'loss'],
  ['corrupt', 'corruption'],
  ['duplicate', 'duplication'],
  ['reorder', 'reordering'],
])
const DURATIONS: ReadonlyMap<string, keyof ImpairmentSpec> = new Map([
  ['delay', 'delay'],
  ['jitter', 'jitter'],
])
/** Impairments alone: 'loss=5%', 'delay=40ms', … @throws LinkSpecError — one of them is none. */
export function parseImpairment(parts: readonly string[]): ImpairmentSpec {
  const options = new Options(parts.join(','), parts.join(','))
  const impairment = readImpairment(options)
  options.none()
  if (impairment === undefined) throw new LinkSpecError("say what is to be worse: 'loss=5%', 'delay=40ms', …")
  return impairment
}

/** '1%' or '0.01' as a fraction. @throws LinkSpecError */
export function parseFraction(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(%?)$/.exec(text)
  const value = match === null ? Number.NaN : Number(match[1]) / (match[2] === '%' ? 100 : 1)
  if (!(value <= 1)) throw new LinkSpecError(`'${text}' is not a share such as '1%' or '0.01'`)
  return value
}

/** '10mbit', '500kbit', '1gbit' in bits per second. @throws LinkSpecError */
export function parseRate(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(k|m|g)?bit$/.exec(text)
  if (match === null) throw new LinkSpecError(`'${text}' is not a rate such as '10mbit'`)
  return Number(match[1]) * { k: 1e3, m: 1e6, g: 1e9, '': 1 }[(match[2] ?? '') as 'k' | 'm' | 'g' | '']
}

/** Takes the impairments among the options of a link; undefined: there are none. */
export function readImpairment(options: Options): ImpairmentSpec | undefined {
  const impairment: ImpairmentSpec = {}
  for (const [key, field] of FRACTIONS) read(options, key, field, parseFraction, impairment)
  for (const [key, field] of DURATIONS) read(options, key, field, parseDuration, impairment)
  read(options, 'rate', 'rate', parseRate, impairment)
  return Object.keys(impairment).length > 0 ? impairment : undefined
}

function read(
  options: Options,
  key: string,
  field: keyof ImpairmentSpec,
  parse: (text: string) => number,
  into: ImpairmentSpec,
): void {
  const text = options.take(key)
  if (text !== undefined) into[field] = parse(text)
}
