/** From the call of `connect` to a connection under way. */
import { IpAddress } from '../../kernel/address.ts'
import { NetError } from '../../kernel/errors.ts'
import type { ConnectionHandler, ConnectionOptions } from '../sockets.ts'
import type { ConnectPlan } from './arguments.ts'
import type { Channel } from './channel.ts'
import type { Context, NetStreams } from './context.ts'
import { asCall, coded, netError } from './errors.ts'
import { askLookup } from './names.ts'
import type { Socket } from './socket.ts'

/** Resolves the host, on the tick after `connect`, so that all its events can be listened to. */
export function dial(
  channel: Channel,
  socket: Socket,
  context: Context<NetStreams>,
  plan: ConnectPlan,
  handler: ConnectionHandler,
): void {
  if (!channel.connecting) return
  const found = context.names.resolve(plan.host, plan.family)
  if (plan.lookup !== undefined && (NetError.is(found) || found.toString() !== plan.host)) {
    const { family, hints } = plan
    askLookup(plan.lookup, plan.host, { family, hints, all: false }, (error, address, text, answered) => {
      context.host.touched()
      if (!channel.connecting) return
      socket.emit('lookup', error, text === '' ? undefined : text, address?.isIpv4 === false ? 6 : 4, plan.host)
      if (address !== undefined && answered !== undefined && answered !== 4 && answered !== 6) {
        socket.destroy(invalidFamily(answered, plan))
        return
      }
      const usable = address === undefined ? error : context.names.supported(address)
      if (usable instanceof IpAddress) open(channel, socket, context, plan, handler, usable)
      else socket.destroy(usable ?? undefined)
    })
    return
  }
  if (NetError.is(found)) {
    socket.emit('lookup', found, undefined, undefined, plan.host)
    socket.destroy(found)
    return
  }
  const text = found.toString()
  if (text !== plan.host) socket.emit('lookup', null, text, found.isIpv4 ? 4 : 6, plan.host)
  open(channel, socket, context, plan, handler, found)
}

function open(
  channel: Channel,
  socket: Socket,
  context: Context<NetStreams>,
  plan: ConnectPlan,
  handler: ConnectionHandler,
  address: IpAddress,
): void {
  if (!channel.connecting) return
  const place = { address: address.toString(), port: plan.port }
  socket.emit('connectionAttempt', place.address, place.port, address.isIpv4 ? 4 : 6)
  if (!channel.connecting) return
  if (plan.port === 0) {
    socket.destroy(netError('ECONNREFUSED', 'connect', 'nobody can listen on port 0', place))
    return
  }
  try {
    const { localAddress, localPort, link } = plan
    const options = connectionOptions(channel, plan.tcp)
    channel.attach(
      context.below.stream.connect({ address, port: plan.port, localAddress, localPort, link, options }, handler),
    )
  } catch (error) {
    const failure = asBind(error, plan) ?? asCall(error, 'connect', place)
    socket.emit('connectionAttemptFailed', place.address, place.port, address.isIpv4 ? 4 : 6, failure)
    socket.destroy(failure)
  }
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
export function refuse(socket: Socket, { host, port }: ConnectPlan): void {
  socket.destroy(netError('EALREADY', 'connect', 'it is connecting already', { address: host, port }))
}

/** Where there is a connection, Node stays with it, and says that it is there. */
export function repeat(socket: Socket): void {
  socket.emit('connect')
  socket.emit('ready')
}

/** What was set before there was a connection. */
export function connectionOptions(
  set: { readonly noDelay: boolean; readonly keepAlive: boolean; readonly keepAliveDelay: number },
  more: Partial<ConnectionOptions> | undefined,
): Partial<ConnectionOptions> | undefined {
  if (!set.noDelay && !set.keepAlive && set.keepAliveDelay === 0) return more
  return {
    ...more,
    ...(set.noDelay ? { noDelay: true } : {}),
    ...(set.keepAliveDelay > 0 ? { keepAliveIdle: set.keepAliveDelay * 1000 } : {}),
    ...(set.keepAlive ? { keepAlive: true } : {}),
  }
}
