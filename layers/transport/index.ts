/** The transport tier: connections and datagrams between programs. */
export * from './service.ts'
export { type DatagramOnlySockets, type StreamOnlySockets, sockets } from './sockets.ts'
export type { FastOpenOptions } from './tcp/fast-open-settings.ts'
export type { TcpChanges, TcpLayer } from './tcp/live-settings.ts'
export type { EcnMode, TcpOptions } from './tcp/settings.ts'
export { tcp } from './tcp/tcp.ts'
export { type UdpOptions, udp } from './udp/udp.ts'
