/** Interception in Node's shape: a socket for a connection to an address that is not ours. */
import { NetError } from '../../kernel/errors.ts'
import type { InterceptRule, StreamRequest } from '../sockets.ts'
import type { SocketOptions } from './arguments.ts'
import type { Context, NetStreams } from './context.ts'
import { placeOf } from './place.ts'
import type { SocketClass } from './server.ts'
import type { Socket } from './socket.ts'
import { connectionOptions } from './tuning.ts'

/** A SYN that was not answered yet. One of the four answers ends it; without any it is dropped after 30 s. */
export interface Interception {
  readonly remoteAddress: string
  readonly remotePort: number
  /** Where the sender wanted to go: the local address of the socket that `accept` gives. */
  readonly localAddress: string
  readonly localPort: number
  readonly family: 'IPv4' | 'IPv6'
  /**
   * Completes the handshake: the socket is `connecting` until 'connect'.
   * @throws NetError ECONNABORTED — it has been answered, or given up.
   */
  accept(options?: SocketOptions): Socket
  /** Connection refused. */
  reset(): void
  /** Host unreachable. */
  unreachable(): void
  /** No answer. */
  drop(): void
}

/** @returns undo. @throws NetError ENOTSUP — the transport below cannot. */
export type Intercept = (rule: InterceptRule, decide: (request: Interception) => void) => () => void

/** @returns `net.intercept` for one node. */
export function interceptor(context: Context<NetStreams>, SocketClass: SocketClass): Intercept {
  return (rule, decide) => {
    const { stream } = context.below
    if (stream.intercept === undefined) {
      throw new NetError('ENOTSUP', "the host's network cannot be intercepted: boot a stack of ours", {
        syscall: 'intercept',
      })
    }
    context.host.touched()
    const undo = stream.intercept(rule, (request) => {
      context.host.touched()
      decide(asInterception(context, SocketClass, request))
    })
    context.hold()
    let done = false
    return () => {
      if (done) return
      done = true
      context.host.touched()
      undo()
      context.release()
    }
  }
}

function asInterception(context: Context<NetStreams>, SocketClass: SocketClass, request: StreamRequest): Interception {
  // Read at once: endpoints belong to the stack.
  const remote = placeOf(request.source)
  const local = placeOf(request.destination)
  const answer = (how: 'reset' | 'unreachable' | 'drop') => () => {
    context.host.touched()
    request[how]()
  }
  return {
    remoteAddress: remote.address,
    remotePort: remote.port,
    localAddress: local.address,
    localPort: local.port,
    family: remote.family,
    accept: (options) => {
      context.host.touched()
      return new SocketClass(options).expect((handler, channel) =>
        request.accept(handler, connectionOptions(channel.tuning, undefined)),
      )
    },
    reset: answer('reset'),
    unreachable: answer('unreachable'),
    drop: answer('drop'),
  }
}
