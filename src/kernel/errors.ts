/**
 * What goes wrong, in three kinds: the wire counts a drop and never throws; misuse throws `TypeError` or `RangeError`
 * with Node's codes, at once; an operation that fails does so with a `NetError`, whose code is one of Node's.
 */

const BRAND: symbol = Symbol.for('netstrata.NetError')

/** What a NetError may carry besides its code. */
export interface NetErrorDetails {
  /** The call that failed, as Node names them: 'connect', 'bind', 'listen', 'read', 'write', 'open', … */
  readonly syscall?: string | undefined
  /** The address concerned, as text. */
  readonly address?: string | undefined
  /** The port concerned. */
  readonly port?: number | undefined
  /** Where in the stack it was decided: 'tcp', 'ipv4', 'arp', … */
  readonly layer?: string | undefined
  /** Why, as one word; the same vocabulary as the drop counters. */
  readonly reason?: string | undefined
  /** The standard and section behind the decision, for example 'RFC 9293 §3.10.7.3'. */
  readonly rfc?: string | undefined
  /** The error that led to this one. */
  readonly cause?: unknown
}

/** An operation of the stack failed. `code` is Node's where Node has one (`ECONNREFUSED`, `EHOSTUNREACH`, …). */
export class NetError extends Error {
  override readonly name: string = 'NetError'
  readonly code: string
  /** Node's (negative) number for the code; filled in by the APIs shaped like Node's. */
  errno: number | undefined = undefined
  readonly syscall: string | undefined
  readonly address: string | undefined
  readonly port: number | undefined
  readonly layer: string | undefined
  readonly reason: string | undefined
  readonly rfc: string | undefined

  constructor(code: string, message: string, details: NetErrorDetails = {}) {
    super(
      message.includes(code) ? message : `${code}: ${message}`,
      details.cause === undefined ? {} : { cause: details.cause },
    )
    this.code = code
    this.syscall = details.syscall
    this.address = details.address
    this.port = details.port
    this.layer = details.layer
    this.reason = details.reason
    this.rfc = details.rfc
    Object.defineProperty(this, BRAND, { value: true })
  }

  /** True for a NetError of any copy of this package in the process. */
  static is(value: unknown): value is NetError {
    return typeof value === 'object' && value !== null && BRAND in value
  }
}

/** An argument of the right type whose value makes no sense. @returns a TypeError with code ERR_INVALID_ARG_VALUE. */
export function invalidValue(name: string, expected: string, value: unknown): TypeError {
  return coded(
    new TypeError(`The argument '${name}' must be ${expected}. Received ${show(value)}`),
    'ERR_INVALID_ARG_VALUE',
  )
}

/** An argument of the wrong type. @returns a TypeError with code ERR_INVALID_ARG_TYPE. */
export function invalidType(name: string, expected: string, value: unknown): TypeError {
  return coded(
    new TypeError(
      `The "${name}" argument must be ${expected}. Received ${value === null ? 'null' : `type ${typeof value}`}`,
    ),
    'ERR_INVALID_ARG_TYPE',
  )
}

/** A number outside its range. @returns a RangeError with code ERR_OUT_OF_RANGE. */
export function outOfRange(name: string, range: string, value: unknown): RangeError {
  return coded(
    new RangeError(`The value of "${name}" is out of range. It must be ${range}. Received ${show(value)}`),
    'ERR_OUT_OF_RANGE',
  )
}

/** @throws RangeError ERR_OUT_OF_RANGE — unless `value` is an integer from `low` to `high`. @returns the value. */
export function integer(name: string, value: number, low: number, high: number): number {
  if (typeof value !== 'number') throw invalidType(name, 'of type number', value)
  if (!Number.isInteger(value) || value < low || value > high)
    throw outOfRange(name, `an integer >= ${low} && <= ${high}`, value)
  return value
}

/** @throws RangeError ERR_OUT_OF_RANGE — unless `value` is a number from `low` to `high`. @returns the value. */
export function inRange(name: string, value: number, low: number, high: number): number {
  if (typeof value !== 'number') throw invalidType(name, 'of type number', value)
  if (!(value >= low && value <= high)) throw outOfRange(name, `>= ${low} && <= ${high}`, value)
  return value
}

function coded<E extends Error>(error: E, code: string): E {
  return Object.assign(error, { code })
}

function show(value: unknown): string {
  return typeof value === 'string' ? `'${value}'` : String(value)
}
