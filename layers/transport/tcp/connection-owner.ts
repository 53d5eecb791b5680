/** Who has a connection, beside the application: those who know all connections, and the listener that it came by. */
import type { Instant } from '../../../src/kernel/clock.ts'
import type { TcpConnection } from './connection.ts'

/** What a connection needs of those who know all connections. */
export interface ConnectionOwner {
  /** The connection no longer receives segments. */
  unlink(connection: TcpConnection): void
  /** The same, and a record of it stays for 2 MSL. */
  enterTimeWait(connection: TcpConnection, now: Instant): void
  /** A connection in SYN-RECEIVED is so no longer. */
  handshakeOver(): void
  /** The protocol is done, but the application has not read everything: it is not over until `unlink` is called once more. */
  unread(connection: TcpConnection): void
  /** The application has closed the connection. @returns false when there are too many such: reset it. */
  orphan(connection: TcpConnection): boolean
}

/** Who takes connections that are complete: a listener. */
export interface Acceptor {
  /** It takes no further ones now. */
  readonly full: boolean
  /** A segment came for it; that may have completed its handshake. */
  progressed(connection: TcpConnection): void
  completed(connection: TcpConnection): void
  /** It ended before it was accepted. */
  lost(connection: TcpConnection): void
}
