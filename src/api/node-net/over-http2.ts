/**
 * What HTTP/2 in clear does for Node's own sockets only: it wraps ours, so that its sessions do not know their peer, nor
 * reach the connection with what they set on every socket. (In TLS they stand on a TLS socket, see `over-tls.ts`.)
 */
import type { ServerHttp2Session } from 'node:http2'
import { Socket } from './socket.ts'

/** Whether a server is one of HTTP/2: its sessions send small frames at once, and would turn the delay off themselves. */
export function isHttp2(server: object): boolean {
  return 'updateSettings' in server
}

/** A first listener of 'session': from then on `session.socket.remoteAddress` and its like are known. */
export function introduce({ socket }: ServerHttp2Session): void {
  const wrapper = socket as { stream?: unknown; _peername?: object }
  if (!(wrapper.stream instanceof Socket)) return
  const { remoteAddress: address, remotePort: port, remoteFamily: family } = wrapper.stream
  wrapper._peername = { address, port, family }
}
