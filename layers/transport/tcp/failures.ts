/** Why we end connections ourselves, other than by a timer. */
import type { Failure } from './tcb.ts'

/** The network no longer has the address that the connection is from. */
export const ADDRESS_GONE: Failure = {
  code: 'EADDRNOTAVAIL',
  message: 'the local address was removed',
  reason: 'addressRemoved',
  rfc: '',
}

/** The application has closed, the peer sends on, and what was written before will not arrive. */
export const DATA_LOST: Failure = {
  code: 'ECONNRESET',
  message: 'the peer sent data that nobody reads, and what was written is lost',
  reason: 'dataAfterClose',
  rfc: 'RFC 2525 §2.17',
}

/** Closing the node ends what is open. */
export const NODE_CLOSED: Failure = {
  code: 'ECONNABORTED',
  message: 'the node was closed',
  reason: 'nodeClosed',
  rfc: '',
}

/** The application did so. */
export const ABORTED: Failure = {
  code: 'ECONNABORTED',
  message: 'the connection was aborted locally',
  reason: 'aborted',
  rfc: 'RFC 9293 §3.10.5',
}

/** No more closed connections may linger, and this one has data. */
export const TOO_MANY_ORPHANS: Failure = {
  code: 'ENOBUFS',
  message: 'too many closed connections still have something to send',
  reason: 'orphanLimit',
  rfc: '',
}
