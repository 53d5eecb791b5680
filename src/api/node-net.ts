/** The API in Node's shape: `node.net` and what belongs to it. */

export {
  httpAgent,
  httpsAgent,
  type UndiciConnector,
  type UndiciConnectorOptions,
  undiciConnector,
} from './node-net/agents.ts'
export type { ConnectExtras, ServerOptions, SocketOptions } from './node-net/arguments.ts'
export type { ApiHost, NetStreams } from './node-net/context.ts'
export { createDgram, type Dgram } from './node-net/dgram.ts'
export type { DatagramSocketOptions, Message, SendCallback } from './node-net/dgram-arguments.ts'
export type { NetDatagrams } from './node-net/dgram-sender.ts'
export type { BindOptions, DgramSocket } from './node-net/dgram-socket.ts'
export type { StackEvent } from './node-net/diagnostics.ts'
export { createIcmp, type Icmp, type PingOptions } from './node-net/icmp.ts'
export type { Intercept, Interception } from './node-net/intercept.ts'
export { type Family, type Hosts, type LookupFunction, Names } from './node-net/names.ts'
export { type ConnectionTaker, createNet, type Net, type NetConnectOptions, type NetPromises } from './node-net/net.ts'
export { type DgramOf, type IcmpOf, type NetOf, NodeApi } from './node-net/node-api.ts'
export type { ListenOptions, Server } from './node-net/server.ts'
export type { ConnectOptions, Socket } from './node-net/socket.ts'
