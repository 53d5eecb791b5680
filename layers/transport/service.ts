/** The transport tier offers an API, not a boundary: its shape is that of `src/api/sockets.ts`. */
export type { DatagramSockets, IcmpSockets, Sockets, StreamSockets } from '../../src/api/sockets.ts'
