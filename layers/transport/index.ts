/** The transport tier: connections and datagrams between programs. */
export * from './service.ts'
export type { TcpOptions } from './tcp/settings.ts'
export { tcp } from './tcp/tcp.ts'
