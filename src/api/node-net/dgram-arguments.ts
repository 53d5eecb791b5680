/** The many ways to call `send`, `bind` and `createSocket`, brought into one form, and checked as Node checks them. */
import type dgram from 'node:dgram'
import type net from 'node:net'
import { outOfRange } from '../../kernel/errors.ts'
import { requireBlockList } from './block-list.ts'
import {
  coded,
  invalidArgType,
  netError,
  outOfBounds,
  requireFunction,
  requireNumber,
  requireSignal,
  validPort,
} from './errors.ts'
import type { LookupFunction } from './names.ts'

export type SendCallback = (error: Error | null, bytes: number) => void

/** What `send` takes as a message, or as one of its parts. */
export type Message = string | NodeJS.ArrayBufferView

/** A send call after its checks. */
export interface SendPlan {
  readonly octets: Uint8Array
  /** 0 on a connected socket. */
  readonly port: number
  readonly address: string | undefined
  readonly callback: SendCallback | undefined
}

/** What `createSocket` takes: Node's options, and ours. */
export interface DatagramSocketOptions extends Omit<dgram.SocketOptions, 'lookup'> {
  readonly lookup?: LookupFunction | undefined
  readonly reusePort?: boolean | undefined
  /** From where nothing is heard, and where nothing is sent to: ERR_IP_BLOCKED. */
  readonly receiveBlockList?: net.BlockList | undefined
  readonly sendBlockList?: net.BlockList | undefined
  /** Name of the link to send and receive by, exclusively; default: all, by route. */
  readonly link?: string | undefined
}

type Loose = readonly unknown[]

/**
 * send(msg[, offset, length][, port][, address][, callback])
 * @throws TypeError ERR_INVALID_ARG_TYPE. Error ERR_SOCKET_DGRAM_IS_CONNECTED. RangeError ERR_SOCKET_BAD_PORT, ERR_BUFFER_OUT_OF_BOUNDS
 */
export function sendPlan(args: Loose, connected: boolean): SendPlan {
  const [message, ...rest] = args
  const callback = rest.find((value) => typeof value === 'function') as SendCallback | undefined
  const plain = rest.slice(0, callback === undefined ? rest.length : rest.indexOf(callback))
  // With a port or address after them, or on a connected socket, two numbers are offset and length.
  const numbers = typeof plain[0] === 'number' && typeof plain[1] === 'number'
  const sliced = numbers && (connected || Boolean(plain[2]) || Boolean(plain[3]))
  const octets = sliced ? slice(message, plain[0] as number, plain[1] as number) : join(message)
  const [port, address] = sliced ? plain.slice(2) : plain
  if (connected) {
    // Without offset and length, Node looks at what would stand behind them: send(msg, port, address, callback) is refused.
    if (sliced ? port || address : rest[2] || rest[3])
      throw coded(new Error('Already connected'), 'ERR_SOCKET_DGRAM_IS_CONNECTED')
    return { octets, port: 0, address: undefined, callback }
  }
  const checked = validPort(port, 'Port', false)
  if (address !== undefined && address !== null && typeof address !== 'string') {
    throw invalidArgType('address', 'of type string', address)
  }
  return { octets, port: checked, address: address || undefined, callback }
}

/** @throws TypeError ERR_SOCKET_BAD_TYPE, ERR_INVALID_ARG_TYPE */
export function socketOptions(type: unknown): DatagramSocketOptions {
  const options = (typeof type === 'object' && type !== null ? type : { type }) as DatagramSocketOptions
  if (options.type !== 'udp4' && options.type !== 'udp6') {
    throw coded(new TypeError('Bad socket type specified. Valid types are: udp4, udp6'), 'ERR_SOCKET_BAD_TYPE')
  }
  if (options.lookup !== undefined) requireFunction(options.lookup, 'lookup')
  for (const name of ['recvBufferSize', 'sendBufferSize'] as const) {
    const size: unknown = options[name]
    if (size === undefined) continue
    requireNumber(size, `options.${name}`)
    if (!isSize(size)) throw outOfRange(`options.${name}`, '>= 0 && <= 4294967295', size)
  }
  for (const name of ['receiveBlockList', 'sendBlockList'] as const) requireBlockList(options[name], `options.${name}`)
  if (options.signal !== undefined) requireSignal(options.signal, 'options.signal')
  return options
}

/** bind([port][, address][, callback]) or bind(options[, callback]) */
export function bindPlan(args: Loose): [port: number, address: string | undefined, callback: (() => void) | undefined] {
  const callback = args.find((value) => typeof value === 'function') as (() => void) | undefined
  const [first, second] = args
  if (typeof first === 'object' && first !== null) {
    const { port, address, fd } = first as dgram.BindOptions
    if (fd !== undefined) throw invalidArgType('options.fd', 'undefined: descriptors belong to the host', fd)
    return [port === undefined || port === null ? 0 : validPort(port, 'Port'), address || undefined, callback]
  }
  const port = first === undefined || first === null || first === callback ? 0 : validPort(first, 'Port')
  if (second && second !== callback && typeof second !== 'string') {
    throw invalidArgType('hostname', 'of type string', second)
  }
  return [port, typeof second === 'string' && second !== '' ? second : undefined, callback]
}

function slice(message: unknown, offset: number, length: number): Uint8Array {
  const octets = part(message, 'buffer')
  if (!(offset >= 0 && offset <= octets.length)) throw outOfBounds('"offset" is outside of buffer bounds')
  if (!(length >= 0 && offset + length <= octets.length)) throw outOfBounds('"length" is outside of buffer bounds')
  return octets.subarray(offset, offset + length)
}

function join(message: unknown): Uint8Array {
  if (!Array.isArray(message)) return part(message, 'buffer')
  return Buffer.concat(message.map((piece: unknown) => part(piece, 'buffer list arguments', message)))
}

/** @param shown what the error is about. */
function part(message: unknown, name: string, shown = message): Uint8Array {
  if (typeof message === 'string') return Buffer.from(message)
  if (message instanceof Uint8Array) return message
  if (ArrayBuffer.isView(message)) return new Uint8Array(message.buffer, message.byteOffset, message.byteLength)
  throw invalidArgType(name, 'of type string or an instance of Buffer, TypedArray, or DataView', shown)
}

/** @returns a TTL. @throws NetError EINVAL — outside its range. TypeError ERR_INVALID_ARG_TYPE */
export function hops(ttl: unknown, call: string, least: number): number {
  requireNumber(ttl, 'ttl')
  if (!Number.isInteger(ttl) || ttl < least || ttl > 255)
    throw netError('EINVAL', call, `${ttl} is not ${least} to 255`)
  return ttl
}

/** @returns octets of a buffer. @throws TypeError ERR_SOCKET_BAD_BUFFER_SIZE */
export function bufferSize(size: unknown): number {
  if (isSize(size)) return size
  throw coded(new TypeError('Buffer size must be a positive integer'), 'ERR_SOCKET_BAD_BUFFER_SIZE')
}

function isSize(size: unknown): size is number {
  return Number.isInteger(size) && (size as number) >= 0 && (size as number) <= 0xffff_ffff
}
