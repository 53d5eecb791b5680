/** Node's and undici's HTTP clients on our sockets. */
import http from 'node:http'
import https from 'node:https'
import net from 'node:net'
import tls from 'node:tls'
import type { Net, NetConnectOptions } from './net.ts'
import { joined } from './over-tls.ts'
import type { Socket } from './socket.ts'

/** @returns an agent for `http.request` whose connections go through the node. */
export function httpAgent(node: Net, options: http.AgentOptions = {}): http.Agent {
  const agent = new http.Agent(options)
  agent.createConnection = (wanted) => node.connect(wanted as NetConnectOptions)
  return agent
}

/** @returns an agent for `https.request` whose connections go through the node. TLS is Node's, sessions are resumed. */
export function httpsAgent(node: Net, options: https.AgentOptions = {}): https.Agent {
  const agent = new https.Agent(options)
  const overTls = agent.createConnection
  agent.createConnection = (wanted, callback) => {
    const socket = node.connect(wanted as NetConnectOptions)
    return joined(overTls.call(agent, withSocket(wanted, socket), callback) as tls.TLSSocket, socket)
  }
  return agent
}

/** What tells `https` to use a connection that is there (under way) already. */
function withSocket<Options extends object>(options: Options, socket: net.Socket): Options {
  return { ...options, socket }
}

/** What undici asks a connector for. */
export interface UndiciTarget {
  readonly hostname: string
  readonly host?: string | undefined
  readonly protocol: string
  readonly port: string
  readonly servername?: string | undefined
  readonly localAddress?: string | null | undefined
  readonly httpSocket?: net.Socket | undefined
}

/** Ends in a socket, or an error. */
export type UndiciCallback = (...result: [error: null, socket: net.Socket] | [error: Error, socket: null]) => void

export type UndiciConnector = (target: UndiciTarget, callback: UndiciCallback) => void

export interface UndiciConnectorOptions extends tls.ConnectionOptions {
  /** Offer HTTP/2 in TLS. Default false. */
  readonly allowH2?: boolean | undefined
  /** Milliseconds for connection and TLS handshake together. Default 10000; 0: no limit. */
  readonly timeout?: number | undefined
}

/** @returns what undici takes as `connect`: `fetch(url, { dispatcher: new Agent({ connect: node.undiciConnector() }) })`. */
export function undiciConnector(node: Net, options: UndiciConnectorOptions = {}): UndiciConnector {
  const { allowH2 = false, timeout = 10_000, ...secure } = options
  return (target, callback) => {
    const { hostname, protocol, port, servername, localAddress, httpSocket } = target
    const overTls = protocol === 'https:'
    const host = hostname.replace(/^\[|\]$/g, '')
    const plain = (httpSocket ??
      node.connect({
        host,
        port: Number(port || (overTls ? 443 : 80)),
        noDelay: true,
        keepAlive: true,
        keepAliveInitialDelay: 60_000,
        ...(localAddress ? { localAddress } : {}),
      })) as Socket
    const name = servername ?? (net.isIP(host) === 0 ? host : '')
    const socket = overTls
      ? joined(
          tls.connect({
            ALPNProtocols: allowH2 ? ['h2', 'http/1.1'] : ['http/1.1'],
            ...secure,
            servername: name,
            socket: plain,
          }),
          plain,
        )
      : plain
    report(socket, plain, overTls ? 'secureConnect' : 'connect', timeout, callback)
  }
}

function report(
  socket: net.Socket,
  plain: net.Socket,
  connected: 'connect' | 'secureConnect',
  timeout: number,
  callback: UndiciCallback,
): void {
  const late = (): void => {
    socket.destroy(Object.assign(new Error(`not connected within ${timeout} ms`), { code: 'UND_ERR_CONNECT_TIMEOUT' }))
  }
  if (timeout > 0) plain.setTimeout(timeout, late)
  const calm = (): void => {
    plain.setTimeout(0)
    plain.off('timeout', late)
  }
  const fail = (error: Error): void => {
    calm()
    callback(error, null)
  }
  socket.once('error', fail)
  socket.once(connected, () => {
    calm()
    socket.off('error', fail)
    callback(null, socket)
  })
}
