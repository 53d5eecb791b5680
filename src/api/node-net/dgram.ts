/** An object in the shape of the module `node:dgram`, over the datagrams of one node. */
import { type ApiHost, Context } from './context.ts'
import { type DatagramSocketOptions, socketOptions } from './dgram-arguments.ts'
import type { NetDatagrams } from './dgram-sender.ts'
import { type BindOptions, DgramSocket } from './dgram-socket.ts'
import { asNames, type Hosts, type Names } from './names.ts'
import { settle } from './promises.ts'

type MessageListener = (
  message: Buffer,
  from: { address: string; family: 'IPv4' | 'IPv6'; port: number; size: number },
) => void

/** The shape of `node:dgram`; see Node's documentation, and `DgramSocket` for what differs. */
export interface Dgram {
  readonly Socket: new (options: 'udp4' | 'udp6' | DatagramSocketOptions, listener?: MessageListener) => DgramSocket
  /** @throws TypeError ERR_SOCKET_BAD_TYPE, ERR_INVALID_ARG_TYPE */
  createSocket(type: 'udp4' | 'udp6' | DatagramSocketOptions, listener?: MessageListener): DgramSocket
  readonly promises: {
    /**
     * @param options of the socket and of `bind`; the signal only concerns the wait.
     * @returns a socket that receives.
     * @throws NetError EADDRINUSE, EADDRNOTAVAIL, …; AbortError
     */
    bind(options: DatagramSocketOptions & BindOptions): Promise<DgramSocket>
  }
}

/**
 * @param below the datagrams to use.
 * @param host the clock, timers and holds of the node.
 * @param hosts names the node knows.
 */
export function createDgram(below: NetDatagrams, host: ApiHost, hosts: Hosts | Names = {}): Dgram {
  const context = new Context(below, host, asNames(hosts, below))

  class NodeDgramSocket extends DgramSocket {
    constructor(type: 'udp4' | 'udp6' | DatagramSocketOptions, listener?: MessageListener) {
      super(context, socketOptions(type))
      if (typeof listener === 'function') this.on('message', listener)
    }
  }
  Object.defineProperty(NodeDgramSocket, 'name', { value: 'Socket' })

  return {
    Socket: NodeDgramSocket,
    createSocket: (type, listener) => new NodeDgramSocket(type, listener),
    promises: {
      bind: ({ signal, ...options }) =>
        settle(signal, (resolve, reject) => {
          const socket = new NodeDgramSocket(options)
          socket.once('error', reject)
          socket.bind(options, () => {
            socket.off('error', reject)
            resolve(socket)
          })
          return () => {
            socket.close()
          }
        }),
    },
  }
}
