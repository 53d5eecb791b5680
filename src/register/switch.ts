/** Which node the sockets of the program go to, if any. */

import { splitArguments } from '../api/node-net/arguments.ts'
import type { Dgram, Net } from '../api/node-net.ts'
import { ON_HOST } from '../kernel/on-host.ts'

/** What is needed of a node: one that `boot` gave, or `Simulation.boot`. */
export interface SocketsOfNode {
  readonly net: Net
  readonly dgram: Dgram
}

/** Undone by `close`, or at the end of the block it was declared in with `using`. Doing it twice does nothing. */
export interface Registration extends Disposable {
  close(): void
}

/** The last one is in force. */
const registered: { readonly node: SocketsOfNode }[] = []

export function switchTo(node: SocketsOfNode): Registration {
  const entry = { node }
  registered.push(entry)
  const close = (): void => {
    const at = registered.indexOf(entry)
    if (at >= 0) registered.splice(at, 1)
  }
  return { close, [Symbol.dispose]: close }
}

/** @returns the node that is meant, or undefined when the host is. */
export function nodeInForce(): SocketsOfNode | undefined {
  return registered.at(-1)?.node
}

/** @param args of `net.connect` or `listen`. @returns the node that is meant by such a call; local sockets are the host's. */
export function nodeFor(args: readonly unknown[]): SocketsOfNode | undefined {
  const node = nodeInForce()
  if (node === undefined) return undefined
  const [options] = splitArguments(args)
  const isLocal = (options.path !== undefined && options.path !== null) || options.fd !== undefined
  return isLocal || isMarked(options) ? undefined : node
}

/** The options say that the host is meant. */
export function isMarked(options: object): boolean {
  return ON_HOST in options
}
