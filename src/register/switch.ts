/** Which node the sockets of the program go to, if any. */
import type { Unchecked } from '../api/node-net/arguments.ts'
import type { Dgram, Net } from '../api/node-net.ts'
import { ON_HOST } from '../kernel/on-host.ts'

/** What is needed of a node: one that `boot` gave, or `Simulation.boot`. */
export interface SocketsOfNode {
  readonly net: Net
  readonly dgram: Dgram
}

/** What somebody is about to do. Where a socket is made first and told later, host and port are not known yet. */
export interface Intent {
  readonly call: 'connect' | 'listen' | 'dgram'
  /** As it was given: a name or an address. */
  readonly host?: string | undefined
  readonly port?: number | undefined
}

/** Undone by `close`, or at the end of the block it was declared in with `using`. Doing it twice does nothing. */
export interface Registration extends Disposable {
  close(): void
}

/** The last one that wants it has it. */
const registered: { readonly node: SocketsOfNode; readonly wants: (intent: Intent) => boolean }[] = []

export function switchTo(node: SocketsOfNode, wants: (intent: Intent) => boolean): Registration {
  const entry = { node, wants }
  registered.push(entry)
  const close = (): void => {
    const at = registered.indexOf(entry)
    if (at >= 0) registered.splice(at, 1)
  }
  return { close, [Symbol.dispose]: close }
}

/** @param options of the call. @returns the node that is meant, or undefined when the host is: for local sockets always. */
export function nodeFor(call: Intent['call'], options: Unchecked): SocketsOfNode | undefined {
  const { host, port, path, fd, handle } = options
  if ((path !== undefined && path !== null) || fd !== undefined || handle !== undefined) return undefined
  if (ON_HOST in options) return undefined
  const intent = { call, host: typeof host === 'string' ? host : undefined, port: numberOf(port) }
  return registered.findLast(({ wants }) => wants(intent))?.node
}

function numberOf(port: unknown): number | undefined {
  return typeof port === 'number' || typeof port === 'string' ? Number(port) : undefined
}
