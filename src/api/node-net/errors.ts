/** Errors as Node's users know them: codes of misuse, and numbers, calls and places of what the network did. */
import { getSystemErrorMap, inspect } from 'node:util'
import { NetError } from '../../kernel/errors.ts'
import type { Where } from './place.ts'

/** Platforms number them differently; libuv and Node have them negative. */
const NUMBERS: ReadonlyMap<string, number> = new Map([...getSystemErrorMap()].map(([number, [code]]) => [code, number]))

/** Adds Node's code to an error about wrong usage. */
export function coded<E extends Error>(error: E, code: string): E & { code: string } {
  return Object.assign(error, { code })
}

/**
 * @returns a NetError with Node's number for its code; its message starts as Node's does: 'bind EADDRINUSE 10.0.0.1:80'.
 */
export function netError(code: string, syscall: string, detail: string, place: Where = {}, from?: NetError): NetError {
  const port = place.port || undefined
  const where = place.address === undefined ? '' : ` ${place.address}${port === undefined ? '' : `:${port}`}`
  const { local } = place
  const own = local === undefined ? '' : ` - Local (${local.address}:${local.port})`
  const error = new NetError(code, `${syscall} ${code}${where}${own}${detail === '' ? '' : ` (${detail})`}`, {
    syscall,
    address: place.address,
    port,
    layer: from?.layer,
    reason: from?.reason,
    rfc: from?.rfc,
    cause: from?.cause,
  })
  error.errno = NUMBERS.get(code)
  if (local !== undefined) Object.assign(error, { localAddress: local.address, localPort: local.port })
  return error
}

/** The error of a tier below as this call's error: with its syscall and place, and all that it knew about the reason. */
export function asCall(error: unknown, syscall: string, place: Where = {}): Error {
  if (!NetError.is(error)) return error instanceof Error ? error : new Error(String(error))
  const detail = [explanation(error), error.rfc].filter((part) => part !== undefined && part !== '').join('; ')
  return netError(error.code, syscall, detail, place, error)
}

/** What a NetError's message says beyond its code. */
function explanation(error: NetError): string {
  return error.message.startsWith(`${error.code}: `) ? error.message.slice(error.code.length + 2) : (error.reason ?? '')
}

export function invalidArgType(name: string, expected: string, value: unknown): TypeError {
  const what = name.includes('.') ? 'property' : 'argument'
  const message = `The "${name}" ${what} must be ${expected}. Received ${described(value)}`
  return coded(new TypeError(message), 'ERR_INVALID_ARG_TYPE')
}

/** A value as Node's messages describe it. */
function described(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  if (typeof value === 'function') return `function ${value.name}`
  if (typeof value === 'object') {
    const { name } = value.constructor ?? {}
    return name === undefined ? inspect(value, { depth: -1 }) : `an instance of ${name}`
  }
  const text = inspect(value)
  return `type ${typeof value} (${text.length > 28 ? `${text.slice(0, 25)}...` : text})`
}

export function invalidArgValue(name: string, why: string, value: unknown): TypeError {
  return coded(new TypeError(`The property '${name}' ${why}. Received ${String(value)}`), 'ERR_INVALID_ARG_VALUE')
}

/** As `invalidArgValue`, of an argument that has a name of its own. */
export function invalidArgument(name: string, value: unknown): TypeError {
  return coded(new TypeError(`The argument '${name}' is invalid. Received ${inspect(value)}`), 'ERR_INVALID_ARG_VALUE')
}

export function missingArgs(message: string): TypeError {
  return coded(new TypeError(message), 'ERR_MISSING_ARGS')
}

/** @param allowZero whether 0 is a port here ("any"). @returns the port as a number. @throws RangeError ERR_SOCKET_BAD_PORT */
export function validPort(port: unknown, name: string, allowZero = true): number {
  const isNumeric = typeof port === 'number' || (typeof port === 'string' && port.trim() !== '')
  const value = Number(isNumeric ? port : Number.NaN)
  if (!Number.isInteger(value) || value < (allowZero ? 0 : 1) || value > 65_535) {
    const range = `${allowZero ? '>= 0' : '> 0'} and < 65536`
    throw coded(new RangeError(`${name} should be ${range}. Received ${described(port)}.`), 'ERR_SOCKET_BAD_PORT')
  }
  return value
}

/** @throws TypeError ERR_INVALID_ARG_TYPE — unless it is a function. */
export function requireFunction(value: unknown, name: string): void {
  if (typeof value !== 'function') throw invalidArgType(name, 'of type function', value)
}

/** @throws TypeError ERR_INVALID_ARG_TYPE — unless it is a number. */
export function requireNumber(value: unknown, name: string): asserts value is number {
  if (typeof value !== 'number') throw invalidArgType(name, 'of type number', value)
}

/** Of a write to a connection that is over. */
export function brokenPipe(): NetError {
  return netError('EPIPE', 'write', 'the connection has been closed')
}

/** Of a write that waited for a connection, and was given up with it. */
export function neverConnected(): Error {
  return coded(new Error('Socket closed before the connection was established'), 'ERR_SOCKET_CLOSED_BEFORE_CONNECTION')
}

/** What a wait that was given up rejects with, as Node's own do. */
export function abortError(signal: AbortSignal): Error {
  const error = new Error('The operation was aborted', { cause: signal.reason })
  error.name = 'AbortError'
  return coded(error, 'ABORT_ERR')
}

/** @throws TypeError ERR_INVALID_ARG_TYPE — unless it is an AbortSignal. */
export function requireSignal(value: unknown, name: string): asserts value is AbortSignal {
  if (typeof value !== 'object' || value === null || !('aborted' in value)) {
    throw invalidArgType(name, 'an instance of AbortSignal', value)
  }
}

export function outOfBounds(message: string): RangeError {
  return coded(new RangeError(message), 'ERR_BUFFER_OUT_OF_BOUNDS')
}
