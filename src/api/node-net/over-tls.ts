/**
 * What Node's TLS does for its own sockets only: over one of ours it knows no addresses, and forgets what it is told about
 * delays, keep-alive and holding the process. Here that is passed on.
 */
import type { OnReadOpts } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { Socket } from './socket.ts'

const PLACES = ['localAddress', 'localPort', 'localFamily', 'remoteAddress', 'remotePort', 'remoteFamily'] as const
const STEPS = ['lookup', 'connect', 'ready'] as const
const SETTINGS = ['setNoDelay', 'setKeepAlive', 'ref', 'unref'] as const

/** Joins a TLS socket to the socket that it stands on. @returns the TLS socket. */
export function joined(secured: TLSSocket, plain: Socket): TLSSocket {
  leaveEnd(plain)
  for (const step of STEPS) plain.on(step, (...told: unknown[]) => secured.emit(step, ...told))
  for (const name of PLACES) Object.defineProperty(secured, name, { configurable: true, get: () => plain[name] })
  for (const name of SETTINGS) {
    const value = (...args: Parameters<Socket[typeof name]>): TLSSocket => {
      Reflect.apply(plain[name], plain, args)
      return secured
    }
    Object.defineProperty(secured, name, { configurable: true, writable: true, value })
  }
  Object.defineProperty(secured, 'address', { configurable: true, writable: true, value: () => plain.address() })
  return secured
}

/**
 * Leaves the end of a socket to the TLS socket over it, which still has to say what waits to be written, and that it ends, after
 * the peer has ended. What becomes of it then is by the option `allowHalfOpen` that TLS has seen before.
 */
export function leaveEnd(plain: Socket): void {
  const { end } = plain
  plain.end = (...args: unknown[]): Socket => {
    Reflect.apply(end, plain, args)
    plain.write = swallow
    return plain
  }
  plain.allowHalfOpen = true
}

/** What TLS says after it has ended the socket, in answer to what still comes, goes nowhere, as over one of Node's own. */
function swallow(_chunk: unknown, encoding?: unknown, callback?: unknown): boolean {
  const done = typeof encoding === 'function' ? encoding : callback
  if (typeof done === 'function') process.nextTick(done as () => void)
  return true
}

/** The option `onread`, which Node's TLS forgets over a socket of ours. */
export function readInto(secured: TLSSocket, { buffer, callback }: OnReadOpts): void {
  secured.on('data', (chunk: Buffer) => {
    for (let at = 0; at < chunk.length; ) {
      const into = typeof buffer === 'function' ? buffer() : buffer
      const n = Math.min(chunk.length - at, into.length)
      into.set(chunk.subarray(at, at + n))
      at += n
      if (callback.call(secured, n, into) === false) secured.pause()
    }
  })
}

/** Whether a server is one of TLS. */
export function isTls(server: object): boolean {
  return 'setSecureContext' in server
}

/** A first listener of 'secureConnection', where only Node knows what the TLS socket stands on. */
export function join(secured: TLSSocket): void {
  const { _handle: handle } = secured as { _handle?: { _parentWrap?: { stream?: unknown } } }
  const plain = handle?._parentWrap?.stream
  if (plain instanceof Socket) joined(secured, plain)
}
