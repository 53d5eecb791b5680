/** Values of a snippet, and what operators make of them. */

export type PythonValue = number | string | boolean | null | readonly PythonValue[]

/** The scope of a script's snippets: what they assign lasts. */
export interface Scope {
  /** @throws what says that there is no such name. */
  lookup(name: string): PythonValue
  assign(name: string, value: PythonValue): void
  print(text: string): void
}

export const truth = (value: PythonValue): boolean => (Array.isArray(value) ? value.length > 0 : Boolean(value))

export function pythonText(value: PythonValue): string {
  if (value === null) return 'None'
  if (typeof value === 'boolean') return value ? 'True' : 'False'
  return typeof value === 'object' ? `(${value.map(pythonText).join(', ')})` : `${value}`
}

/** `%` of a string: '%d packets' % 3. */
function format(template: string, value: PythonValue): string {
  const values = typeof value === 'object' && value !== null ? [...value] : [value]
  return template.replace(/%(?:%|[-+ #0]*\d*(?:\.\d+)?[a-zA-Z])/g, (spec) =>
    spec === '%%' ? '%' : pythonText(values.shift() ?? null),
  )
}

const equal = (a: PythonValue, b: PythonValue): boolean =>
  typeof a === 'object' || typeof b === 'object'
    ? JSON.stringify(a) === JSON.stringify(b)
    : typeof a === 'string' || typeof b === 'string'
      ? a === b
      : Number(a) === Number(b)

const holds = (list: PythonValue, item: PythonValue): boolean =>
  typeof list === 'string'
    ? list.includes(pythonText(item))
    : (list as readonly PythonValue[]).some((v) => equal(v, item))

const modulo = (a: number, b: number): number => a - b * Math.floor(a / b)

type Binary = (a: PythonValue, b: PythonValue) => PythonValue
const numeric =
  (apply: (a: number, b: number) => PythonValue): Binary =>
  (a, b) =>
    apply(Number(a), Number(b))

export const BINARY: Readonly<Record<string, Binary>> = {
  '==': (a, b) => equal(a, b),
  '!=': (a, b) => !equal(a, b),
  '<': numeric((a, b) => a < b),
  '<=': numeric((a, b) => a <= b),
  '>': numeric((a, b) => a > b),
  '>=': numeric((a, b) => a >= b),
  in: (a, b) => holds(b, a),
  'not in': (a, b) => !holds(b, a),
  is: (a, b) => equal(a, b),
  'is not': (a, b) => !equal(a, b),
  '|': numeric((a, b) => a | b),
  '^': numeric((a, b) => a ^ b),
  '&': numeric((a, b) => a & b),
  '<<': numeric((a, b) => a * 2 ** b),
  '>>': numeric((a, b) => Math.floor(a / 2 ** b)),
  '+': (a, b) => (typeof a === 'string' ? a + pythonText(b) : Number(a) + Number(b)),
  '-': numeric((a, b) => a - b),
  '*': numeric((a, b) => a * b),
  '/': numeric((a, b) => a / b),
  '//': numeric((a, b) => Math.floor(a / b)),
  '%': (a, b) => (typeof a === 'string' ? format(a, b) : modulo(Number(a), Number(b))),
  '**': numeric((a, b) => a ** b),
}

export const FUNCTIONS: Readonly<Record<string, (...args: PythonValue[]) => PythonValue>> = {
  abs: (a) => Math.abs(Number(a)),
  int: (a) => Math.trunc(Number(a)),
  float: (a) => Number(a),
  bool: (a) => truth(a ?? null),
  str: (a) => pythonText(a ?? null),
  len: (a) => (typeof a === 'string' || (typeof a === 'object' && a !== null) ? a.length : 0),
  min: (...args) => Math.min(...numbers(args)),
  max: (...args) => Math.max(...numbers(args)),
  round: (a) => Math.round(Number(a)),
  sum: (...args) => numbers(args).reduce((total, value) => total + value, 0),
}

const numbers = (args: readonly PythonValue[]): number[] => args.flat(1).map(Number)
