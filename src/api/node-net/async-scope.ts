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

/** A handler whose calls are made in the context of now. */
export class ScopedHandler implements ConnectionHandler {
  private readonly scope: AsyncResource = scopeOf('SOCKET')
  private readonly handler: Required<Omit<ConnectionHandler, 'drained'>>

  constructor(handler: Required<Omit<ConnectionHandler, 'drained'>>) {
    this.handler = handler
  }

  /** Calls something else in that context. */
  run<Args extends unknown[]>(call: (...args: Args) => void, ...args: Args): void {
    this.scope.runInAsyncScope(call, undefined, ...args)
  }

  established(connection: Connection): void {
    this.scope.runInAsyncScope(this.handler.established, this.handler, connection)
  }

  readable(connection: Connection): void {
    this.scope.runInAsyncScope(this.handler.readable, this.handler, connection)
  }

  writable(connection: Connection): void {
    this.scope.runInAsyncScope(this.handler.writable, this.handler, connection)
  }

  closed(connection: Connection, error: NetError | null): void {
    this.scope.runInAsyncScope(this.handler.closed, this.handler, connection, error)
  }

  softError(connection: Connection, error: NetError): void {
    this.scope.runInAsyncScope(this.handler.softError, this.handler, connection, error)
  }

  unanswered(connection: Connection): void {
    this.scope.runInAsyncScope(this.handler.unanswered, this.handler, connection)
  }
}
