/** From the call of `connect` to a connection under way. */
import { NetError } from '../../kernel/errors.ts'
import type { ConnectionHandler } from '../sockets.ts'
import type { ConnectPlan } from './arguments.ts'
import type { ScopedHandler } from './async-scope.ts'
import { Attempts } from './attempts.ts'
import { refusal } from './block-list.ts'
import type { Channel } from './channel.ts'
import type { Context, NetStreams } from './context.ts'
import { asCall, coded, netError } from './errors.ts'
import {
  type Answer,
  askLookup,
  type Found,
  familyOf,
  invalidAddress,
  reachable,
  textOf,
  tryParseFound,
} from './names.ts'
import type { Dialled } from './place.ts'
import type { Socket } from './socket.ts'
import { connectionOptions } from './tuning.ts'

/** One call of `connect`, and all that it concerns. */
export interface Dialling {
  readonly channel: Channel
  readonly socket: Socket
  readonly context: Context<NetStreams>
  readonly plan: ConnectPlan
  readonly handler: ScopedHandler
}

/** Resolves the host, on the tick after `connect`, so that all its events can be listened to. */
export function dial(call: Dialling): void {
  const { channel, socket, context, plan } = call
  if (!channel.connecting) return
  const { host, family, givenFamily, hints, lookup } = plan
  if (lookup === undefined || tryParseFound(host) !== undefined) {
    const found = plan.autoSelect ? context.names.resolveAll(host, family) : context.names.resolve(host, family)
    if (!NetError.is(found)) {
      connectTo(call, 'address' in found ? [found] : found)
      return
    }
    socket.emit('lookup', found, undefined, undefined, host)
    socket.destroy(found)
    return
  }
  askLookup(lookup, host, { family: givenFamily, hints, all: plan.autoSelect }, (error, answers) => {
    context.host.touched()
    if (!channel.connecting) return
    if (error !== null) {
      socket.emit('lookup', error, undefined, undefined, host)
      socket.destroy(error)
    } else {
      answered(call, answers)
    }
  })
}

/** What a custom `lookup` has found. Node goes by the first answer where none is of use. */
function answered(call: Dialling, answers: readonly Answer[]): void {
  const { socket, context, plan } = call
  const found = answers.filter(isUseful).map((answer) => answer.found)
  if (found.length === 0) {
    const [first] = answers as readonly [Answer]
    const { text, family } = first
    if (first.found === undefined) {
      socket.emit('lookup', invalidAddress(first), undefined, undefined, plan.host)
      socket.destroy(invalidAddress(first))
    } else {
      socket.emit('lookup', null, text, familyOf(first.found), plan.host)
      socket.destroy(invalidFamily(family, plan))
    }
    return
  }
  const usable = context.names.usable(found)
  if (NetError.is(usable)) {
    socket.emit('lookup', null, textOf(found[0] as Found), familyOf(found[0] as Found), plan.host)
    socket.destroy(usable)
  } else {
    connectTo(call, usable)
  }
}

function isUseful(answer: Answer): answer is Answer & { readonly found: Found } {
  const { found, family } = answer
  return found !== undefined && (family === undefined || family === 4 || family === 6)
}

/** Tells what was found, and connects to it. */
function connectTo(call: Dialling, found: readonly Found[]): void {
  const { channel, socket, plan } = call
  for (const one of found) {
    const text = textOf(one)
    if (tryParseFound(plan.host) === undefined) socket.emit('lookup', null, text, familyOf(one), plan.host)
    if (!channel.connecting) return
  }
  if (found.length > 1) new Attempts(call, found).next()
  else open(call, found[0] as Found)
}

function open(call: Dialling, found: Found): void {
  const { channel, socket } = call
  const failure = attempt(call, found, call.handler)
  if (failure === undefined || !channel.connecting) return
  const { address, port } = placeOfAttempt(found, call.plan)
  if (failure.tried) socket.emit('connectionAttemptFailed', address, port, familyOf(found), failure.error)
  socket.destroy(failure.error)
}

/** Why an attempt has not even begun. */
export interface Refusal {
  readonly error: Error
  /** The stack was asked. */
  readonly tried: boolean
}

/** Begins to connect to one address. @returns undefined when it is under way, or the socket destroyed. */
export function attempt(
  { channel, socket, context, plan }: Dialling,
  found: Found,
  handler: ConnectionHandler,
): Refusal | undefined {
  if (!channel.connecting) return undefined
  const { address, mapped, zone } = found
  const place = placeOfAttempt(found, plan)
  socket.emit('connectionAttempt', place.address, place.port, familyOf(found))
  if (!channel.connecting) return undefined
  const refused = refusal(socket.blockList, found)
  if (refused !== undefined) return { error: refused, tried: false }
  if (plan.port === 0) {
    return { error: netError('ECONNREFUSED', 'connect', 'nobody can listen on port 0', place), tried: false }
  }
  try {
    const { port, localAddress, localPort } = plan
    const link = plan.link ?? (zone === '' ? undefined : zone)
    const options = connectionOptions(channel.tuning, plan.tcp)
    const to = reachable(address)
    channel.mapped = mapped
    channel.dialled = place
    channel.attach(context.below.stream.connect({ address: to, port, localAddress, localPort, link, options }, handler))
    return undefined
  } catch (error) {
    return { error: asBind(error, plan) ?? asCall(error, 'connect', place), tried: true }
  }
}

/** Where an attempt leads, and from which port if one was asked for, as Node says it. */
export function placeOfAttempt(found: Found, plan: ConnectPlan): Dialled {
  const { port, localAddress, localPort = 0 } = plan
  const place = { address: textOf(found), port }
  if (localPort === 0) return place
  const address = localAddress?.toString() ?? (familyOf(found) === 4 ? '0.0.0.0' : '::')
  return { ...place, local: { address, port: localPort } }
}

function invalidFamily(family: unknown, { host, port }: ConnectPlan): Error {
  const error = new RangeError(`Invalid address family: ${String(family)} ${host}:${port}`)
  return Object.assign(coded(error, 'ERR_INVALID_ADDRESS_FAMILY'), { host, port })
}

/** @returns the error as one of the local address that was asked for, where it is. */
function asBind(error: unknown, { localAddress, localPort }: ConnectPlan): Error | undefined {
  if (!NetError.is(error) || error.code !== 'EADDRNOTAVAIL' || localAddress === undefined) return undefined
  return netError(error.code, 'bind', '', { address: localAddress.toString(), port: localPort }, error)
}

/** A socket makes one connection at a time. */
export function refuse({ socket, plan: { host, port } }: Dialling): void {
  socket.destroy(netError('EALREADY', 'connect', 'it is connecting already', { address: host, port }))
}

/** Where there is a connection, Node stays with it, and says that it is there. */
export function repeat({ socket }: Dialling): void {
  socket.emit('connect')
  socket.emit('ready')
}
