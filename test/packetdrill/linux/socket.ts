/** A file descriptor's socket: what Linux keeps about it, over a connection or listener of ours. */
import type { Connection, ConnectionHandler, ConnectionOptions, Listener, NetError } from '../../../src/index.ts'
import { ErrorQueue } from './error-queue.ts'

export class LinuxSocket {
  nonBlocking = false
  /** Set before there is a connection, or on a listener, whose connections inherit it. */
  readonly options: Map<keyof ConnectionOptions, ConnectionOptions[keyof ConnectionOptions]> = new Map()
  /** Port of bind(); undefined before. */
  bound: number | undefined
  listener: Listener | undefined
  backlog = 0
  connection: Connection | undefined
  /** The handshake is complete, or was. */
  established = false
  /** connect() has told of that. */
  connected = false
  over = false
  readShut = false
  writeShut = false
  /** TCP_FASTOPEN_CONNECT is set; connect() has been called, and waits for the first write. */
  fastOpenConnect = false
  deferred = false
  /** recvmsg() tells what is left to read (TCP_INQ). */
  tellsLeft = false
  readonly errors: ErrorQueue = new ErrorQueue()
  /** For epoll: how often a writer was told that there is room again, and the connection came to stand or fell. */
  roomEdges = 0
  stateEdges = 0
  /** SO_ERROR: told once. */
  private error: string | undefined
  /** A write has told it already. */
  errorTold = false
  /** Goes on with a call that waits for room to write: at once, so that what it writes carries the ACK. */
  continueWrite: (() => void) | undefined
  private readonly changed: () => void

  /** @param changed called when something happened that a blocked call may wait for. */
  constructor(changed: () => void) {
    this.changed = changed
  }

  readonly handler: ConnectionHandler = {
    established: () => {
      this.established = true
      this.stateEdges++
      this.changed()
    },
    readable: () => this.changed(),
    writable: () => {
      this.roomEdges++
      this.continueWrite?.()
      this.changed()
    },
    drained: () => this.changed(),
    closed: (_, error) => this.closed(error),
    softError: () => this.changed(),
  }

  private closed(error: NetError | null): void {
    this.over = true
    this.stateEdges++
    if (error !== null && !this.errorTold) this.error = error.code
    this.changed()
  }

  /** The error that waits to be told, if any. */
  get pendingError(): string | undefined {
    return this.error
  }

  takeError(): string | undefined {
    const { error } = this
    this.error = undefined
    return error
  }

  /** Changes an option, on the connection where there is one. @throws RangeError, TypeError — the value makes no sense. */
  set<Name extends keyof ConnectionOptions>(name: Name, value: ConnectionOptions[Name]): void {
    this.options.set(name, value)
    this.connection?.set(name, value)
  }

  /** What connect() and listen() are given. */
  get initialOptions(): Partial<ConnectionOptions> {
    return Object.fromEntries(this.options)
  }

  /** connect() with AF_UNSPEC: resets the connection, and may connect again. */
  disconnect(): void {
    const { connection } = this
    if (connection !== undefined) connection.handler = {}
    connection?.abort()
    this.connection = undefined
    this.established = this.connected = this.over = this.readShut = this.writeShut = false
    this.error = undefined
    this.errorTold = false
    this.options.delete('fastOpen')
  }

  /** Takes over a connection that `listening` accepted. */
  adopt(connection: Connection, listening: LinuxSocket): void {
    this.connection = connection
    this.established = true
    this.connected = true
    connection.handler = this.handler
    for (const [name, value] of listening.options) this.set(name, value)
    this.errors.tellsZeroCopy = listening.errors.tellsZeroCopy
  }
}
