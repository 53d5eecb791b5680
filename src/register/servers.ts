/**
 * What listens: every `net.Server`, and so the servers of `http`, `https`, `http2` and `tls`, which are ones. Such a server
 * stays the object it is; where a node is in force, a server of the node listens in its stead and hands it what connects.
 */
import net from 'node:net'
import { splitArguments } from '../api/node-net/arguments.ts'
import type { Server } from '../api/node-net.ts'
import { nodeFor } from './switch.ts'

/** Of a server of Node's, the one that listens, or did last, in its stead. */
const deputies: WeakMap<net.Server, Server> = new WeakMap()

/** Servers that were told not to keep the process alive, before they listen perhaps. */
const unreferenced: WeakSet<net.Server> = new WeakSet()

const ANSWERED = ['address', 'getConnections', 'close', 'ref', 'unref', Symbol.asyncDispose] as const
const RELAYED = ['listening', 'error', 'drop', 'close'] as const

export function patchServers(): void {
  const host = net.Server.prototype
  host.listen = listening(host.listen)
  for (const name of ANSWERED) Object.assign(host, { [name]: answered(name, host[name]) })
  const own = Object.getOwnPropertyDescriptor(host, 'listening')
  Object.defineProperty(host, 'listening', {
    ...own,
    get(this: net.Server) {
      return deputies.get(this)?.listening || own?.get?.call(this)
    },
  })
}

function listening(listen: net.Server['listen']): net.Server['listen'] {
  return function (this: net.Server, ...args: unknown[]) {
    const last = deputies.get(this)
    if (last?.listening) return Reflect.apply(last.listen, last, args) // which is refused
    const node = namesHandle(args) ? undefined : nodeFor('listen', splitArguments(args)[0])
    if (node === undefined || this.listening) {
      deputies.delete(this)
      return Reflect.apply(listen, this, args)
    }
    const callback = args.at(-1)
    if (typeof callback === 'function') this.once('listening', callback as () => void)
    const deputy = node.net.attach(this)
    deputies.set(this, deputy)
    if (unreferenced.has(this)) deputy.unref()
    Object.defineProperty(deputy, 'maxConnections', { get: () => this.maxConnections })
    for (const event of RELAYED) deputy.on(event, (...values: unknown[]) => this.emit(event, ...values))
    deputy.listen(...(args.filter((arg) => typeof arg !== 'function') as [number]))
    return this
  } as net.Server['listen']
}

/** (handle), or an object that has one or a descriptor: those are the host's. */
function namesHandle([first]: readonly unknown[]): boolean {
  return typeof first === 'object' && first !== null && !('port' in first)
}

// biome-ignore lint/suspicious/noExplicitAny: the arguments of every method
type Method = (this: net.Server, ...args: any[]) => any

function answered(name: (typeof ANSWERED)[number], method: Method): Method {
  return function (...args) {
    if (name === 'unref') unreferenced.add(this)
    if (name === 'ref') unreferenced.delete(this)
    const deputy = deputies.get(this)
    if (deputy === undefined) return Reflect.apply(method, this, args)
    const answer = Reflect.apply(deputy[name], deputy, args)
    return answer === deputy ? this : answer
  }
}
