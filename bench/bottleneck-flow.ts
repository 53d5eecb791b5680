/** One flow: writes as much as the connection takes, until it is stopped. The same for the kernel's TCP and for ours. */
import { type NetLike, netSource } from './streams.ts'

export interface Flow {
  /** The local port, by which the receiver knows it. */
  readonly port: number
  /** Resets the connection. */
  stop(): void
}

/** Connects through `node:net`, or what has its shape, and begins. */
export async function flow(api: NetLike, port: number, host: string): Promise<Flow> {
  const socket = api.connect(port, host)
  await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject))
  const source = netSource(socket)
  source.start()
  return {
    port: socket.localPort ?? 0,
    stop() {
      source.stop()
      socket.resetAndDestroy()
    },
  }
}
