/** The API in Node's shape: `node.net` and what belongs to it. */
export type { ConnectExtras, ServerOptions, SocketOptions } from './node-net/arguments.ts'
export type { ApiHost, NetStreams } from './node-net/context.ts'
export type { Intercept, Interception } from './node-net/intercept.ts'
export { type Family, type Hosts, type LookupFunction, Names } from './node-net/names.ts'
export { type ConnectionTaker, createNet, type Net, type NetConnectOptions, type NetPromises } from './node-net/net.ts'
export type { ListenOptions, Server } from './node-net/server.ts'
export type { ConnectOptions, Socket } from './node-net/socket.ts'
