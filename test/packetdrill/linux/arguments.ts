/** Arguments of calls as the kinds of value that calls want. */
import { Unsupported } from '../failure.ts'
import type { CallAction, Value } from '../language/script.ts'
import { constantOf } from './constants.ts'

const ANY: Value = { kind: 'any' }

/** A call's arguments, by position. Every method throws Unsupported where an argument is of another kind. */
export class Arguments {
  readonly call: CallAction
  readonly line: number

  constructor(call: CallAction, line: number) {
    this.call = call
    this.line = line
  }

  at(index: number): Value {
    return this.call.args[index] ?? ANY
  }

  number(index: number): number {
    return numberOf(this.at(index), this.line)
  }

  /** The name given, or 'any'. */
  word(index: number): string {
    const value = this.at(index)
    if (value.kind === 'any') return 'any'
    if (value.kind !== 'word') throw this.unsupported(`argument ${index + 1}`)
    return value.name
  }

  /** NULL, where there should be memory. */
  isNull(index: number): boolean {
    const value = this.at(index)
    return value.kind === 'word' && value.name === 'NULL'
  }

  /** The first of a list such as `[1]`, or the value itself. */
  first(index: number): Value {
    const value = this.at(index)
    return value.kind === 'list' ? (value.items[0] ?? ANY) : value
  }

  list(index: number): readonly Value[] {
    const value = this.at(index)
    if (value.kind !== 'list') throw this.unsupported(`argument ${index + 1}, which is no list`)
    return value.items
  }

  /** A field of a struct, or 'any' when it is not named. */
  field(value: Value, name: string): Value {
    if (value.kind !== 'struct') throw this.unsupported(`an argument without ${name}`)
    return value.fields.get(name) ?? ANY
  }

  /** `count` octets to write: zeros for `...`, else the string. */
  octets(index: number, count: number): Uint8Array {
    return octetsOf(this.at(index), count)
  }

  unsupported(what: string): Unsupported {
    return new Unsupported(this.line, `${what} of ${this.call.name}()`)
  }
}

/** The number a value stands for: constants by name, `|` between them. @throws Unsupported — it is none known. */
export function numberOf(value: Value, line: number): number {
  switch (value.kind) {
    case 'number':
      return value.value
    case 'word': {
      const number = constantOf(value.name)
      if (number === undefined) throw new Unsupported(line, `the constant ${value.name}`)
      return number
    }
    case 'or':
      return value.parts.reduce((bits, part) => bits | numberOf(part, line), 0)
    case 'apply':
      if (value.name === 'htons' && value.args[0] !== undefined) return numberOf(value.args[0], line)
      throw new Unsupported(line, `${value.name}()`)
    default:
      throw new Unsupported(line, `${value.kind} as a number`)
  }
}

export function octetsOf(value: Value, count: number): Uint8Array {
  const octets = new Uint8Array(count)
  if (value.kind === 'string') octets.set(new TextEncoder().encode(value.text).subarray(0, count))
  return octets
}
