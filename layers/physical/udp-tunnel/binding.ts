/** What engines have in common when they bind: where flows leave from, and what to say when it cannot be done. */
import { randomInt } from 'node:crypto'
import { NetError } from '../../../src/kernel/errors.ts'
import { type Endpoint, formatEndpoint } from './endpoint.ts'

/**
 * In front of received datagrams, so that what they carry can be forwarded in place; two more octets align what
 * follows an Ethernet header of 14.
 */
export const RECEIVE_HEADROOM = 66

/** Source ports are chosen from the dynamic ports (RFC 7348 §5, RFC 6335 §6). */
const FIRST_DYNAMIC_PORT = 49_152
const PORT_ATTEMPTS = 16

/** Binds to a port that flows leave from; when luck fails, to any. @param bind rejects as `bindError` says. */
export async function bindDynamic<Bound>(host: string, bind: (at: Endpoint) => Promise<Bound>): Promise<Bound> {
  for (let attempt = 1; attempt <= PORT_ATTEMPTS; attempt++) {
    try {
      return await bind({ host, port: randomInt(FIRST_DYNAMIC_PORT, 65_536) })
    } catch (error) {
      if (!(NetError.is(error) && error.code === 'EADDRINUSE')) throw error
    }
  }
  return bind({ host, port: 0 })
}

/** Which source port a flow leaves from: 0 for the local port, else one of `count - 1` others. @param flow see `Engine.send`. */
export function outletOf(flow: number, count: number): number {
  return flow === 0 || count === 1 ? 0 : 1 + ((flow >>> 0) % (count - 1))
}

/** @param cause whatever the system said, if that was an exception. */
export function bindError(code: string, at: Endpoint, cause?: unknown): NetError {
  return new NetError(code, sentence(code, at), {
    syscall: 'bind',
    address: at.host,
    port: at.port,
    layer: 'udp-tunnel',
    ...(cause !== undefined && { cause }),
  })
}

function sentence(code: string, at: Endpoint): string {
  switch (code) {
    case 'EADDRINUSE':
      return `UDP port ${formatEndpoint(at)} is in use, by another program or link: free it, or choose another local port`
    case 'EADDRNOTAVAIL':
      return `${at.host} is not an address of this machine: choose one that is as the local address, or 0.0.0.0 for all`
    case 'EACCES':
      return `no permission for UDP port ${formatEndpoint(at)}: choose a local port of at least 1024`
    default:
      return `UDP port ${formatEndpoint(at)} could not be bound (${code})`
  }
}
