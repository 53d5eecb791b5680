/**
 * What Node's TLS does for its own sockets only: over one of ours it knows no addresses, and forgets what it is told about
 * delays, keep-alive and holding the process. Here that is passed on.
 */
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
 * Ends a socket under TLS a turn after the peer has ended it, not at once: TLS still has to say that it ends, and over one of
 * Node's own it can. Without it, that would fail with EPIPE.
 */
export function leaveEnd(plain: Socket): void {
  plain.forgiveReset()
  if (plain.allowHalfOpen) return
  plain.allowHalfOpen = true
  plain.once('end', () => setImmediate(() => plain.end()))
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
