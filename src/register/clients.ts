/** What connects: `net`, and `tls` and `http` where they keep their own way to it. `https`, `http2` and `fetch` use these. */
import http from 'node:http'
import http2 from 'node:http2'
import net from 'node:net'
import tls from 'node:tls'
import { type SocketOptions, splitArguments } from '../api/node-net/arguments.ts'
import { joined, readInto } from '../api/node-net/over-tls.ts'
import type { SocketClass } from '../api/node-net/server.ts'
import { Socket } from '../api/node-net/socket.ts'
import type { NetConnectOptions } from '../api/node-net.ts'
import { standIn } from './stand-in.ts'
import { nodeFor } from './switch.ts'

// biome-ignore lint/suspicious/noExplicitAny: the arguments of every overload
type Call = (...args: any[]) => any

export function patchClients(): void {
  const HostSocket = standIn(net.Socket, socketClass)
  const connect = connecting(net.connect)
  Object.assign(net, { connect, createConnection: connect, Socket: HostSocket, Stream: HostSocket })
  Object.assign(http.Agent.prototype, { createConnection: connecting(http.Agent.prototype.createConnection) })
  Object.assign(tls, { connect: securing(tls.connect) })
  Object.assign(http2, { connect: undelayed(http2.connect) })
}

/** A number is a descriptor. */
function socketClass([options]: readonly unknown[]): SocketClass | undefined {
  if (typeof options === 'number') return undefined
  return nodeFor('connect', typeof options === 'object' && options !== null ? { ...options } : {})?.net.Socket
}

function connecting(host: Call): Call {
  return function connect(this: unknown, ...args) {
    const node = nodeFor('connect', splitArguments(args)[0])
    return node === undefined ? Reflect.apply(host, this, args) : Reflect.apply(node.net.connect, node.net, args)
  }
}

/** Its sessions turn the delay off themselves, but not on sockets of ours: (authority, options, listener). */
function undelayed(host: Call): Call {
  return function connect(this: unknown, authority, ...args) {
    const options = typeof args[0] === 'object' ? args.shift() : undefined
    return Reflect.apply(host, this, [authority, { noDelay: true, ...options }, ...args])
  }
}

/** What is for the TLS socket alone. */
interface OwnOptions {
  readonly signal?: AbortSignal
  readonly onread?: net.OnReadOpts
}

/** TLS is Node's, over a socket of the node: (options) or (port, host, options), each with a callback. */
function securing(host: Call): Call {
  return function connect(this: unknown, ...args) {
    const [place, callback] = splitArguments(args)
    const more = args.slice(1).find((arg) => typeof arg === 'object' && arg !== null)
    const { timeout, ...options } = { ...place, ...more } as tls.ConnectionOptions & { timeout?: number }
    const { socket: given, signal: _, onread, ...plain } = options as typeof options & OwnOptions
    if (given instanceof Socket) return over(given, () => Reflect.apply(host, this, args))
    const node = nodeFor('connect', { ...options })
    if (node === undefined || given) return Reflect.apply(host, this, args)
    const socket = new node.net.Socket(plain as SocketOptions)
    // First TLS, whose options may be refused, then the connection.
    const secured = over(socket, () => Reflect.apply(host, this, [{ ...options, socket }, callback]))
    if (timeout) secured.setTimeout(timeout)
    if (onread !== undefined) readInto(secured, onread)
    if (!secured.destroyed) socket.connect(plain as NetConnectOptions)
    return secured
  }
}

/** TLS speaks at once: over a socket that has not begun to connect, what it says waits for the connection. */
function over(plain: Socket, secure: () => tls.TLSSocket): tls.TLSSocket {
  const waits = plain.pending && !plain.connecting
  if (waits) plain.cork()
  const secured = joined(secure(), plain)
  if (waits) plain.once('connect', () => plain.uncork())
  return secured
}
