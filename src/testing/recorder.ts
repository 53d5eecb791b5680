/**
 * Watches what passes the links, and asserts about it.
 *
 *   const seen = record(net.sim, { boundary: /^A\/.*impair/ })
 *   …
 *   seen.expect({ direction: 'down', tcp: { flags: 'SYN', destinationPort: 80 } })
 *   seen.expectNone({ tcp: { flags: /RST/ } })
 */
import { AssertionError } from 'node:assert'
import { types } from 'node:util'
import type { Direction } from '../kernel/boundary.ts'
import type { AnyBoundary } from '../runtime/host.ts'
import { decodeFrame, describeFrame, type Frame } from './frames.ts'

/** What a value should be: equal, of the pattern, what the function says yes to, or, for an object, so in all parts named. */
export type Pattern<T> =
  | ((value: T) => boolean)
  | (T extends string
      ? T | RegExp
      : T extends number | boolean | undefined
        ? T
        : { readonly [Key in keyof T]?: Pattern<T[Key]> })

/** Of a frame: `{ ip: { destination: '10.0.2.1' }, tcp: { flags: /SYN/, seq: (seq) => seq > 7 } }`. */
export type FramePattern = Pattern<Frame>

/** Does the value have what the pattern names? What it does not name does not matter. */
export function matches<T>(value: T, pattern: Pattern<T>): boolean {
  return matchesAny(value, pattern)
}

function matchesAny(value: unknown, pattern: unknown): boolean {
  if (typeof pattern === 'function') return pattern(value) === true
  if (types.isRegExp(pattern)) return typeof value === 'string' && pattern.test(value)
  if (pattern instanceof Uint8Array) return value instanceof Uint8Array && Buffer.compare(value, pattern) === 0
  if (typeof pattern !== 'object' || pattern === null) return Object.is(value, pattern)
  if (typeof value !== 'object' || value === null) return false
  return Object.entries(pattern).every(([key, part]) => matchesAny((value as Record<string, unknown>)[key], part))
}

/** Where to watch. */
export interface RecordOptions {
  /** Which boundaries, by name; default: all whose packets are frames or IP packets. */
  readonly boundary?: RegExp | undefined
  readonly direction?: Direction | undefined
  /** Frames kept; beyond, the oldest are forgotten. Default 100,000. */
  readonly limit?: number | undefined
}

/** What has boundaries: a node; or a simulation, whose nodes may be yet to boot. */
export type Recordable =
  | { readonly boundaries: readonly AnyBoundary[] }
  | { eachBoundary(action: (boundary: AnyBoundary) => void): () => void }

export interface Recorder extends Disposable {
  /** What was seen so far, in order. */
  readonly frames: readonly Frame[]
  /** Those that match. */
  all(pattern: FramePattern): Frame[]
  /** The first that matches. @throws AssertionError — there is none; the message lists what was seen. */
  expect(pattern: FramePattern): Frame
  /** @throws AssertionError — there is one; the message shows it. */
  expectNone(pattern: FramePattern): void
  /** @throws AssertionError — frames of these patterns were not seen in this order; others may lie between them. */
  expectOrder(...patterns: FramePattern[]): Frame[]
  /** Forgets what was seen. */
  clear(): void
  stop(): void
}

const DEFAULT_LIMIT = 100_000
const SHOWN = 40

/** Starts to watch. */
export function record(from: Recordable, options: RecordOptions = {}): Recorder {
  return new FrameRecorder(from, options)
}

class FrameRecorder implements Recorder {
  frames: Frame[] = []
  private readonly options: RecordOptions
  private readonly stops: (() => void)[] = []

  constructor(from: Recordable, options: RecordOptions) {
    this.options = options
    if ('eachBoundary' in from) this.stops.push(from.eachBoundary((boundary) => this.watch(boundary)))
    else for (const boundary of from.boundaries) this.watch(boundary)
  }

  all(pattern: FramePattern): Frame[] {
    return this.frames.filter((frame) => matches(frame, pattern))
  }

  expect(pattern: FramePattern): Frame {
    const found = this.frames.find((frame) => matches(frame, pattern))
    return found ?? this.fail(`no frame matches ${show(pattern)}`, this.expect)
  }

  expectNone(pattern: FramePattern): void {
    const found = this.frames.find((frame) => matches(frame, pattern))
    if (found !== undefined) this.fail(`a frame matches ${show(pattern)}: ${describeFrame(found)}`, this.expectNone)
  }

  expectOrder(...patterns: FramePattern[]): Frame[] {
    const found: Frame[] = []
    let from = 0
    for (const pattern of patterns) {
      const at = this.frames.findIndex((frame, i) => i >= from && matches(frame, pattern))
      if (at < 0) this.fail(`no frame matches ${show(pattern)} after the ${found.length} before it`, this.expectOrder)
      found.push(this.frames[at] as Frame)
      from = at + 1
    }
    return found
  }

  clear(): void {
    this.frames = []
  }

  stop(): void {
    for (const stop of this.stops.splice(0)) stop()
  }

  [Symbol.dispose](): void {
    this.stop()
  }

  private watch(boundary: AnyBoundary): void {
    const { name, encapsulation } = boundary
    const wanted = this.options.boundary ?? /^/
    if (encapsulation === 'link' || encapsulation === 'transport' || !wanted.test(name)) return
    const { direction: only, limit = DEFAULT_LIMIT } = this.options
    const stop = boundary.watch({
      packet: (packet, _address, direction, at) => {
        if (only !== undefined && only !== direction) return
        const decoded = decodeFrame(packet.bytes().slice(), encapsulation)
        if (this.frames.length >= limit) this.frames.shift()
        this.frames.push({ at, boundary: name, direction, ...decoded })
      },
    })
    this.stops.push(stop)
  }

  private fail(what: string, stackStartFn: (...args: never) => unknown): never {
    const shown = this.frames.slice(-SHOWN).map((frame) => `  ${describeFrame(frame)}`)
    const before = this.frames.length - shown.length
    const list = [before > 0 ? `  … ${before} before` : '', ...shown].filter((line) => line !== '')
    const message = [`${what}. Seen:`, ...(list.length > 0 ? list : ['  nothing'])].join('\n')
    throw new AssertionError({ message, stackStartFn })
  }
}

/** A pattern as text, with its functions and expressions. */
function show(pattern: unknown): string {
  if (typeof pattern === 'function' || types.isRegExp(pattern)) return String(pattern)
  if (pattern instanceof Uint8Array) return Buffer.from(pattern).toString('hex')
  if (typeof pattern !== 'object' || pattern === null) return JSON.stringify(pattern) ?? 'undefined'
  return `{ ${Object.entries(pattern)
    .map(([key, part]) => `${key}: ${show(part)}`)
    .join(', ')} }`
}
