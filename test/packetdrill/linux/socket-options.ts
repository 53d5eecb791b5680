/** setsockopt() and getsockopt(): Linux's options over those of a connection. */
import { type ConnectionOptions, type Duration, ms, seconds } from '../../../src/index.ts'
import type { Value } from '../language/script.ts'
import { type Arguments, numberOf } from './arguments.ts'
import { errnoOf } from './constants.ts'
import { DONE, type Outcome, outcomeOf } from './outcome.ts'
import type { LinuxSocket } from './socket.ts'

interface SocketOption {
  readonly set: (socket: LinuxSocket, value: number) => void
  readonly get: (socket: LinuxSocket) => number
}

type NameOf<Type> = {
  [Name in keyof ConnectionOptions]: ConnectionOptions[Name] extends Type ? Name : never
}[keyof ConnectionOptions]

const OPTIONS: Readonly<Record<string, SocketOption>> = {
  SO_REUSEADDR: { set: () => {}, get: () => 1 },
  SO_REUSEPORT: { set: () => {}, get: () => 1 },
  // What is written is copied in any case.
  SO_ZEROCOPY: {
    set: ({ errors }, value) => {
      errors.tellsZeroCopy = value !== 0
    },
    get: ({ errors }) => Number(errors.tellsZeroCopy),
  },
  SO_TIMESTAMPING: {
    set: ({ errors }, value) => errors.setTimestamping(value),
    get: ({ errors }) => errors.timestampingBits,
  },
  // Nothing here looks at it.
  SO_MARK: { set: () => {}, get: () => 0 },
  // Every address of the node can be bound to.
  IP_FREEBIND: { set: () => {}, get: () => 1 },
  SO_KEEPALIVE: flag('keepAlive'),
  // Linux doubles them, for its bookkeeping, and says so. Of a receive buffer it offers half as window.
  SO_SNDBUF: {
    set: (socket, value) => socket.set('sendBuffer', 2 * Math.max(value, 2304)),
    get: (socket) => current(socket, 'sendBuffer'),
  },
  SO_RCVBUF: {
    set: (socket, value) => socket.set('receiveBuffer', Math.max(value, 1152)),
    get: (socket) => 2 * current(socket, 'receiveBuffer'),
  },
  SO_ERROR: { set: () => {}, get: (socket) => errnoOf(socket.takeError()) },
  TCP_NODELAY: {
    set: (socket, value) => socket.set('noDelay', value !== 0),
    get: (socket) => (current(socket, 'noDelay') ? 1 : 0),
  },
  TCP_CORK: flag('cork'),
  TCP_INQ: {
    set: (socket, value) => {
      socket.tellsLeft = value !== 0
    },
    get: (socket) => (socket.tellsLeft ? 1 : 0),
  },
  TCP_MAXSEG: {
    set: (socket, value) => socket.set('maxSegment', value),
    get: (socket) => socket.connection?.info().maxSegment ?? (current(socket, 'maxSegment') || 536),
  },
  TCP_NOTSENT_LOWAT: count('notSentLowWater'),
  TCP_USER_TIMEOUT: time('userTimeout', ms),
  TCP_FASTOPEN: count('fastOpen'),
  TCP_FASTOPEN_CONNECT: {
    set: (socket, value) => {
      socket.fastOpenConnect = value !== 0
    },
    get: (socket) => (socket.fastOpenConnect ? 1 : 0),
  },
  SO_MAX_PACING_RATE: count('maxPacingRate'),
  TCP_SYNCNT: count('synRetries'),
  TCP_KEEPIDLE: time('keepAliveIdle', seconds),
  TCP_KEEPINTVL: time('keepAliveInterval', seconds),
  TCP_KEEPCNT: count('keepAliveCount'),
  IP_TOS: count('trafficClass'),
  IPV6_TCLASS: count('trafficClass'),
  IP_TTL: count('ttl'),
  IPV6_UNICAST_HOPS: count('ttl'),
  IP_MTU_DISCOVER: flag('pathMtuDiscovery'),
  IPV6_MTU_DISCOVER: flag('pathMtuDiscovery'),
}

function flag(name: NameOf<boolean>): SocketOption {
  return { set: (socket, value) => socket.set(name, value !== 0), get: (socket) => (current(socket, name) ? 1 : 0) }
}

function count(name: Exclude<NameOf<number>, undefined>): SocketOption {
  return { set: (socket, value) => socket.set(name, value), get: (socket) => current(socket, name) }
}

function time(name: NameOf<Duration>, unit: (value: number) => Duration): SocketOption {
  return { set: (socket, value) => socket.set(name, unit(value)), get: (socket) => current(socket, name) / unit(1) }
}

/** What a connection has, or would begin with. */
function current<Name extends keyof ConnectionOptions>(socket: LinuxSocket, name: Name): ConnectionOptions[Name] {
  return socket.connection?.get(name) ?? (socket.options.get(name) as ConnectionOptions[Name])
}

/** setsockopt(fd, level, name, [value], length) */
export function setSocketOption(socket: LinuxSocket, args: Arguments): Outcome {
  const name = args.word(2)
  try {
    if (name === 'SO_LINGER') socket.set('linger', lingerOf(args))
    else if (name === 'TCP_CONGESTION') socket.set('congestionControl', congestionOf(args))
    else optionOf(name, args).set(socket, numberOf(args.first(3), args.line))
    return DONE
  } catch (error) {
    return outcomeOf(error)
  }
}

/** getsockopt(fd, level, name, [value], [length]) */
export function getSocketOption(socket: LinuxSocket, args: Arguments): Outcome {
  const name = args.word(2)
  if (name === 'TCP_INFO' || name === 'TCP_CC_INFO') throw args.unsupported(`${name}, other than in a snippet of code,`)
  const got = optionOf(name, args).get(socket)
  // What a connection would begin with is the node's to say.
  if (!Number.isFinite(got)) throw args.unsupported(`${name} of a socket that was told none and has no connection`)
  const expected = args.first(3)
  if (expected.kind === 'any' || numberOf(expected, args.line) === got) return DONE
  return { ...DONE, differs: `${name}: expected ${textOf(expected)}, got ${got}` }
}

function optionOf(name: string, args: Arguments): SocketOption {
  const option = OPTIONS[name]
  if (option === undefined) throw args.unsupported(`the option ${name}`)
  return option
}

function congestionOf(args: Arguments): 'cubic' | 'reno' {
  const value = args.first(3)
  const name = value.kind === 'string' ? value.text : ''
  if (name !== 'cubic' && name !== 'reno') throw args.unsupported(`the congestion control "${name}"`)
  return name
}

function lingerOf(args: Arguments): Duration | undefined {
  const value = args.first(3)
  const on = numberOf(args.field(value, 'onoff'), args.line) !== 0
  return on ? seconds(numberOf(args.field(value, 'linger'), args.line)) : undefined
}

const textOf = (value: Value): string =>
  value.kind === 'number' ? `${value.value}` : value.kind === 'word' ? value.name : value.kind
