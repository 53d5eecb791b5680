/**
 * What code may take from its surroundings. The stack gets time, chance and memory from `Env` only, so that a simulation
 * can be replayed; what is not on the list here is refused, whatever it may be called.
 */
import { isPropertyAccessExpression, type Node } from 'typescript/unstable/ast'
import type { GlobalUse } from './globals.ts'

const words = (text: string): string[] => text.trim().split(/\s+/)

/** The language itself: no time, no chance, no machine. */
const LANGUAGE = words(`
  Array ArrayBuffer BigInt BigInt64Array BigUint64Array Boolean DataView Float32Array Float64Array Infinity Int16Array
  Int32Array Int8Array Map Math NaN Number Object Reflect Set String Symbol Uint16Array Uint32Array Uint8Array WeakMap
  WeakSet isNaN undefined Error TypeError RangeError AggregateError TextDecoder TextEncoder WebAssembly`)

/** What waits: not below the sockets API, where everything is driven by calls. */
const WAITING = ['Promise']

/** Node's, for the shapes of Node's own API. None of it tells the time. */
const NODE_SHAPES = words(`
  AbortController AbortSignal Buffer DOMException Event EventTarget JSON URL process queueMicrotask setImmediate`)

/** A real machine: its clock, its chance, its processes. */
const MACHINE = [
  ...NODE_SHAPES,
  ...words(
    `Date clearImmediate clearInterval clearTimeout console crypto globalThis performance setInterval setTimeout`,
  ),
]

interface AmbientRule {
  readonly name: string
  readonly files: RegExp
  /** null: everything, as these are programs. */
  readonly may: ReadonlySet<string> | null
}

const rule = (name: string, files: RegExp, ...may: readonly (readonly string[])[]): AmbientRule => ({
  name,
  files,
  may: new Set(may.flat()),
})

/** The first rule that matches a file governs it. */
const RULES: readonly AmbientRule[] = [
  rule("the host's own network", /^src\/api\/host-sockets/, LANGUAGE, WAITING, MACHINE),
  rule('the API in the shape of Node', /^src\/api\/(?:node-|streams)/, LANGUAGE, WAITING, NODE_SHAPES),
  rule('the API', /^src\/api\//, LANGUAGE, WAITING, ['AbortSignal']),
  rule("the capture's file end", /^src\/capture\/file\.ts$/, LANGUAGE, WAITING, MACHINE),
  rule('a capture', /^src\/capture\//, LANGUAGE, WAITING),
  rule('the kernel and the protocols', /^(?:src\/kernel\/|layers\/(?:offload|datalink|network|transport)\/)/, LANGUAGE),
  rule('routing protocols', /^layers\/middleware\/routing\/([\w-]+)\/(?!\1\.ts$)/, LANGUAGE),
  rule('middleware', /^layers\/middleware\//, LANGUAGE, WAITING, ['AbortSignal']),
  rule(
    'media without a machine',
    /^layers\/physical\/(?:index|service|loopback|cable|hub|impair|line|cut|medium)(?:\.ts$|\/)/,
    LANGUAGE,
  ),
  rule('media of a real machine', /^layers\/physical\//, LANGUAGE, WAITING, MACHINE),
  rule('the runtimes and front doors', /^src\//, LANGUAGE, WAITING, MACHINE),
  { name: 'programs', files: /^(?:tools|test|bench|examples|scripts)\//, may: null },
]

/** What is wrong with a use of a global in `path`, or undefined. */
export function ambientFault(path: string, { name, node }: GlobalUse): string | undefined {
  const rule = RULES.find(({ files }) => files.test(path))
  if (rule === undefined) return 'no rule says what this file may take from its surroundings'
  if (rule.may === null) return undefined
  if (!rule.may.has(name)) return `${rule.name} may not use the global ${name}`
  if (name === 'Math' && !isArithmetic(node))
    return `${rule.name} may use Math.abs and the like, but neither chance nor Math as a value`
  return undefined
}

/** `Math.abs`, and nothing that could come to be `Math.random`. */
function isArithmetic(node: Node): boolean {
  const parent = node.parent
  return isPropertyAccessExpression(parent) && parent.expression === node && parent.name.text !== 'random'
}

/** No `async`, no `await`: files in which nothing waits. */
export function mustNotWait(path: string): boolean {
  return RULES.find(({ files }) => files.test(path))?.may?.has('Promise') === false
}
