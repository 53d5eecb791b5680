/** What becomes of a connection whose socket is destroyed: the network has yet to do what the host's kernel would see to. */
import type { Connection, ConnectionHandler } from '../sockets.ts'
import type { Context, NetStreams } from './context.ts'

/** Nobody listens any more. */
export const UNHEARD: ConnectionHandler = {}

/** @returns a handler that keeps the process alive until what was written has left. */
export function lingering(connection: Connection, context: Context<NetStreams>): ConnectionHandler {
  if (!connection.notifyDrained()) return UNHEARD
  context.hold()
  return new Lingering(context)
}

class Lingering implements ConnectionHandler {
  private readonly context: Context<NetStreams>

  constructor(context: Context<NetStreams>) {
    this.context = context
  }

  drained(connection: Connection): void {
    connection.handler = UNHEARD
    this.context.release()
  }

  closed(): void {
    this.context.release()
  }
}
