/** What a socket has been told about delays and keep-alive, to be said to its connection now or when there is one. */
import type { Connection, ConnectionOptions } from '../sockets.ts'

export interface Tuning {
  noDelay: boolean
  keepAlive: boolean
  /** Milliseconds; 0: the connection's default. */
  keepAliveDelay: number
}

/** Says it to a connection that is there. */
export function tellKeepAlive(connection: Connection, { keepAlive, keepAliveDelay }: Readonly<Tuning>): void {
  if (keepAliveDelay > 0) connection.set('keepAliveIdle', keepAliveDelay * 1000)
  connection.set('keepAlive', keepAlive)
}

/** What was set before there was a connection, as its options, besides others. */
export function connectionOptions(
  set: Readonly<Tuning>,
  more: Partial<ConnectionOptions> | undefined,
): Partial<ConnectionOptions> | undefined {
  if (!set.noDelay && !set.keepAlive && set.keepAliveDelay === 0) return more
  return {
    ...more,
    ...(set.noDelay ? { noDelay: true } : {}),
    ...(set.keepAliveDelay > 0 ? { keepAliveIdle: set.keepAliveDelay * 1000 } : {}),
    ...(set.keepAlive ? { keepAlive: true } : {}),
  }
}
