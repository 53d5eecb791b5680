/** The many ways to call `connect` and `listen`, brought into one form, and checked as Node checks them. */
import { ADDRCONFIG, ALL, V4MAPPED } from 'node:dns'
import net from 'node:net'
import { type IpAddress, tryParseAddress } from '../../kernel/address.ts'
import { outOfRange } from '../../kernel/errors.ts'
import type { ConnectionOptions } from '../sockets.ts'
import {
  coded,
  invalidArgType,
  invalidArgument,
  invalidArgValue,
  missingArgs,
  requireFunction,
  requireNumber,
  validPort,
} from './errors.ts'
import type { Family, LookupFunction } from './names.ts'

/** What `connect` understands, beyond Node's. */
export interface ConnectExtras {
  /** Name of the link to leave by; default: by route. */
  readonly link?: string | undefined
  /** Options of the connection below, for what Node has no word for. */
  readonly tcp?: Partial<ConnectionOptions> | undefined
}

/** A connect call after its checks. */
export interface ConnectPlan extends ConnectExtras {
  readonly host: string
  readonly port: number
  readonly family: Family
  /** As it was given: lookup functions are told. */
  readonly givenFamily: unknown
  readonly hints: number
  readonly lookup: LookupFunction | undefined
  /** Try all addresses of the name until one answers. */
  readonly autoSelect: boolean
  /** Milliseconds for each attempt but the last. */
  readonly attemptTimeout: number
  readonly localAddress: IpAddress | undefined
  readonly localPort: number | undefined
}

/** A listen call after its checks. */
export interface ListenPlan extends ConnectExtras {
  readonly host: string | undefined
  readonly port: number
  readonly ipv6Only: boolean
  readonly backlog: number | undefined
  readonly signal: AbortSignal | undefined
}

type Callback = () => void

/** Options as they come in, from JavaScript too: nothing is known about them. */
export type Unchecked = Readonly<Record<string, unknown>>

const NO_LOCAL_SOCKETS = 'is not supported: a network stack has no local (IPC) sockets; use node:net for those'

/** Splits (options | port, host | path, …, callback) into options and callback. */
export function splitArguments(args: readonly unknown[]): [Unchecked, Callback | undefined] {
  const [first, second] = args
  const last = args.at(-1)
  const callback = typeof last === 'function' ? (last as Callback) : undefined
  if (args.length === 0 || typeof first === 'function') return [{}, callback]
  if (typeof first === 'object' && first !== null) return [first as Unchecked, callback]
  if (typeof first === 'string' && !(Number(first) >= 0)) return [{ path: first }, callback]
  return [typeof second === 'string' ? { port: first, host: second } : { port: first }, callback]
}

/**
 * @throws TypeError ERR_MISSING_ARGS, ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE (a path), ERR_INVALID_IP_ADDRESS
 * @throws RangeError ERR_SOCKET_BAD_PORT
 */
export function connectPlan(options: Unchecked): ConnectPlan {
  const { port, path, host, lookup, localAddress, localPort, hints } = options
  if (path !== undefined && path !== null) throw invalidArgValue('options.path', NO_LOCAL_SOCKETS, path)
  if (port === undefined) throw missingArgs('The "options" or "port" or "path" argument must be specified')
  if (typeof port !== 'number' && typeof port !== 'string') {
    throw invalidArgType('options.port', 'one of type number or string', port)
  }
  requireHostname(host)
  requireAutoSelection(options)
  const isLiteral = typeof host === 'string' && tryParseAddress(host) !== undefined
  if (!isLiteral) requireLookup(lookup, hints)
  if (localPort !== undefined && localPort !== null) requireNumber(localPort, 'options.localPort')
  const family = familyIn(options)
  const source = validAddress(localAddress)
  const tcp = options.tcp as Partial<ConnectionOptions> | undefined
  // What Fast Open sends with the SYN of an attempt that is given up would be lost; an address of ours has but one family.
  const single = family !== 0 || source !== undefined || (tcp?.fastOpen ?? 0) > 0
  return {
    host: host || 'localhost',
    port: validPort(port, 'Port'),
    family,
    givenFamily: options.family,
    hints: typeof hints === 'number' ? hints : 0,
    lookup: (lookup as LookupFunction | undefined) ?? undefined,
    autoSelect: !single && Boolean(options.autoSelectFamily ?? net.getDefaultAutoSelectFamily()),
    attemptTimeout: attemptTimeout(options),
    localAddress: source,
    localPort: localPort === undefined || localPort === null ? undefined : validPort(localPort, 'options.localPort'),
    link: options.link as string | undefined,
    tcp,
  }
}

function familyIn({ family }: Unchecked): Family {
  if (family === 6 || family === 'IPv6') return 6
  return family === 4 || family === 'IPv4' ? 4 : 0
}

/** As Node, which takes whatever is falsy for no name. */
function requireHostname(host: unknown): asserts host is string | null | undefined | false | 0 {
  if (host && typeof host !== 'string') throw invalidArgType('options.host', 'of type string', host)
}

/** What is only looked at where there is a name to look up. */
function requireLookup(lookup: unknown, hints: unknown): void {
  if (lookup !== undefined && lookup !== null) requireFunction(lookup, 'options.lookup')
  else if (hints && (Number(hints) & ~(ADDRCONFIG | ALL | V4MAPPED)) !== 0) throw invalidArgument('hints', hints)
}

function requireAutoSelection({ autoSelectFamily, autoSelectFamilyAttemptTimeout: timeout }: Unchecked): void {
  if (autoSelectFamily !== undefined && autoSelectFamily !== null && typeof autoSelectFamily !== 'boolean') {
    throw invalidArgType('options.autoSelectFamily', 'of type boolean', autoSelectFamily)
  }
  if (timeout === undefined || timeout === null) return
  const name = 'options.autoSelectFamilyAttemptTimeout'
  requireNumber(timeout, name)
  if (!Number.isInteger(timeout) || timeout < 1) throw outOfRange(name, '>= 1 && <= 2147483647', timeout)
}

/** No less than 10, as Node has it. */
function attemptTimeout({ autoSelectFamilyAttemptTimeout: timeout }: Unchecked): number {
  return typeof timeout === 'number' ? Math.max(10, timeout) : net.getDefaultAutoSelectFamilyAttemptTimeout()
}

/**
 * @param args of `Server.listen`.
 * @throws TypeError ERR_INVALID_ARG_VALUE — neither port nor a form that is supported.
 * @throws RangeError ERR_SOCKET_BAD_PORT
 */
export function listenPlan(args: readonly unknown[]): [ListenPlan, Callback | undefined] {
  const [options, callback] = splitArguments(args)
  const { port, path, host, fd, signal } = options
  const hasPort = typeof port === 'number' || typeof port === 'string'
  if (!hasPort && path !== undefined && path !== null) throw invalidArgValue('options.path', NO_LOCAL_SOCKETS, path)
  if (fd !== undefined || '_handle' in options) {
    throw invalidArgValue('options', 'must not hold a descriptor or handle: those belong to the host', fd ?? 'handle')
  }
  const anyPort =
    args.length === 0 || typeof args[0] === 'function' || ('port' in options && (port === undefined || port === null))
  if (!anyPort && !hasPort) {
    throw invalidArgValue('options', 'must have the property "port" or "path"', port)
  }
  requireHostname(host)
  return [
    {
      host: host || undefined,
      ipv6Only: Boolean(options.ipv6Only),
      port: anyPort ? 0 : validPort(port, 'options.port'),
      backlog: backlogOf(options, args),
      signal: signal as AbortSignal | undefined,
      link: options.link as string | undefined,
      tcp: options.tcp as Partial<ConnectionOptions> | undefined,
    },
    callback,
  ]
}

/** (port, backlog), (port, host, backlog) or { backlog }. */
function backlogOf(options: Unchecked, args: readonly unknown[]): number | undefined {
  for (const value of [args[1], args[2], options.backlog]) {
    const backlog = typeof value === 'string' ? Number(value) : value
    if (typeof backlog === 'number' && backlog > 0) return Math.trunc(backlog)
  }
  return undefined
}

function validAddress(text: unknown): IpAddress | undefined {
  if (text === undefined || text === null || text === '') return undefined
  const address = typeof text === 'string' ? tryParseAddress(text) : undefined
  if (address === undefined) throw coded(new TypeError(`Invalid IP address: ${String(text)}`), 'ERR_INVALID_IP_ADDRESS')
  return address
}

/** What the constructor of a socket takes. */
export interface SocketOptions extends Omit<net.SocketConstructorOpts, 'fd'>, net.ConnectOpts {
  /** A stream of octets has no object mode. */
  readonly objectMode?: false | undefined
  readonly readableObjectMode?: false | undefined
  readonly writableObjectMode?: false | undefined
  readonly highWaterMark?: number | undefined
  readonly readableHighWaterMark?: number | undefined
  readonly writableHighWaterMark?: number | undefined
  readonly noDelay?: boolean | undefined
  readonly keepAlive?: boolean | undefined
  /** Milliseconds. */
  readonly keepAliveInitialDelay?: number | undefined
  /** Where it does not connect to: ERR_IP_BLOCKED. */
  readonly blockList?: net.BlockList | undefined
}

/** What a server is made with. */
export interface ServerOptions {
  /** Leave our direction open when the peer has closed its own. Default false. */
  readonly allowHalfOpen?: boolean | undefined
  /** Do not read from accepted sockets until they are resumed. Default false. */
  readonly pauseOnConnect?: boolean | undefined
  readonly noDelay?: boolean | undefined
  readonly keepAlive?: boolean | undefined
  /** Milliseconds. */
  readonly keepAliveInitialDelay?: number | undefined
  readonly highWaterMark?: number | undefined
  /** Whose connections are closed without a word. */
  readonly blockList?: net.BlockList | undefined
}
