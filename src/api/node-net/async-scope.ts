/**
 * Events happen in the async context in which their socket was made, as Node's do: what `AsyncLocalStorage` holds in a
 * listener is what it held at `connect` or `listen`. Without it they would happen in the context of whoever woke the stack
 * last: of another request, perhaps. Costs 25 ns an event.
 */
import { AsyncResource } from 'node:async_hooks'
import type { NetError } from '../../kernel/errors.ts'
import type { Connection, ConnectionHandler } from '../sockets.ts'

/** @returns the context of now, to call things in later. */
export function scopeOf(type: string): AsyncResource {
  return new AsyncResource(`NETSTRATA_${type}`)
}

/**
 * Calls something in a context. What it throws is thrown on the next tick: as with Node's own sockets that is an uncaught
 * exception, which may be handled, and the stack, which has told others of other things, goes on.
 */
export function tell<A, B>(scope: AsyncResource, call: (a: A, b: B) => void, self: unknown, a?: A, b?: B): void {
  try {
    scope.runInAsyncScope(call as (a?: A, b?: B) => void, self, a, b)
  } catch (error) {
    throwLater(error)
  }
}

/** Makes an error of a listener an uncaught exception. */
export function throwLater(error: unknown): void {
  process.nextTick(rethrow, error)
}

function rethrow(error: unknown): never {
  throw error
}

/** A handler whose calls are made in the context of now. */
export class ScopedHandler implements ConnectionHandler {
  private readonly scope: AsyncResource = scopeOf('SOCKET')
  private readonly handler: Required<ConnectionHandler>

  constructor(handler: Required<ConnectionHandler>) {
    this.handler = handler
  }

  /** Calls something else in that context. */
  run<A, B>(call: (a: A, b: B) => void, a: A, b: B): void {
    tell(this.scope, call, undefined, a, b)
  }

  established(connection: Connection): void {
    tell(this.scope, this.handler.established, this.handler, connection)
  }

  readable(connection: Connection): void {
    tell(this.scope, this.handler.readable, this.handler, connection)
  }

  writable(connection: Connection): void {
    tell(this.scope, this.handler.writable, this.handler, connection)
  }

  drained(connection: Connection): void {
    tell(this.scope, this.handler.drained, this.handler, connection)
  }

  closed(connection: Connection, error: NetError | null): void {
    tell(this.scope, this.handler.closed, this.handler, connection, error)
  }

  softError(connection: Connection, error: NetError): void {
    tell(this.scope, this.handler.softError, this.handler, connection, error)
  }

  unanswered(connection: Connection): void {
    tell(this.scope, this.handler.unanswered, this.handler, connection)
  }
}
